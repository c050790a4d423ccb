//! Pure functions from numbers to figures. Each formula stands with its source in the documentation of its function.

use serde::{Deserialize, Serialize};

/// How well forecasts matched what came. `None` where a figure is not defined (no row, no variance).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ForecastMetrics {
    /// Forecasts whose outcome is known.
    pub rows: usize,
    /// Mean squared error, in squared units of the label.
    pub mse: Option<f64>,
    /// Mean absolute error, in units of the label.
    pub mae: Option<f64>,
    /// Share of forecasts on the right side of neutral; outcomes that are exactly neutral do not count.
    pub directional_accuracy: Option<f64>,
    /// What always guessing the more frequent side would reach.
    pub directional_base_rate: Option<f64>,
    /// Mean over times of the Pearson correlation across symbols; with fewer than three symbols the correlation over
    /// all rows.
    pub ic: Option<f64>,
    /// The same with ranks (Spearman).
    pub rank_ic: Option<f64>,
}

/// What a book earned. `None` where a figure is not defined (no variance, no trade). See `trading_metrics`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TradingMetrics {
    /// Last equity over starting cash, minus 1.
    pub total_return: Option<f64>,
    /// (1 + total return)^(periods per year / periods) - 1.
    pub cagr: Option<f64>,
    /// Sample standard deviation of the returns a bar, times sqrt(periods per year).
    pub volatility: Option<f64>,
    /// Mean over sample standard deviation of the returns a bar, times sqrt(periods per year); risk-free rate 0.
    pub sharpe: Option<f64>,
    /// Mean over sqrt(mean of squared negative returns), over all bars, times sqrt(periods per year).
    pub sortino: Option<f64>,
    /// Lowest equity over highest equity before it, minus 1; the starting cash counts.
    pub max_drawdown: Option<f64>,
    /// CAGR over the absolute maximum drawdown.
    pub calmar: Option<f64>,
    /// Traded notional over mean equity, a year.
    pub turnover: Option<f64>,
    /// Round trips that were closed.
    pub trades: usize,
    /// Share of closed round trips that earned money after costs.
    pub win_rate: Option<f64>,
    /// Share of bars with a position.
    pub exposure: Option<f64>,
    /// Fees paid, in quote currency.
    pub fees: f64,
}
