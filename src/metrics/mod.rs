//! Pure functions from numbers to figures. Each formula stands with its source in the documentation of its function.

mod drawdown;
mod forecast;
mod returns;
mod significance;
mod trades;

pub use drawdown::{Drawdowns, drawdowns};
pub use forecast::forecast_metrics;
pub use returns::{
    annual_growth, conditional_value_at_risk, gain_to_pain, kurtosis, omega, quantile, returns, sharpe, skew,
    sortino, tail_ratio, volatility,
};
pub use significance::{
    RESAMPLES, StationaryBlocks, expected_block_length, sharpe_difference, sharpe_interval,
};
pub use trades::{
    RoundTrip, expectancy, kelly, longest_streak, payoff, profit_factor, round_trips, system_quality,
};

use crate::table::{BookResult, Fill};
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

impl ForecastMetrics {
    /// The mean of each figure over those parts in which it is defined; rows are summed.
    pub fn mean(parts: &[ForecastMetrics]) -> ForecastMetrics {
        let mean = |of: fn(&ForecastMetrics) -> Option<f64>| {
            let values: Vec<f64> = parts.iter().filter_map(of).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        ForecastMetrics {
            rows: parts.iter().map(|part| part.rows).sum(),
            mse: mean(|part| part.mse),
            mae: mean(|part| part.mae),
            directional_accuracy: mean(|part| part.directional_accuracy),
            directional_base_rate: mean(|part| part.directional_base_rate),
            ic: mean(|part| part.ic),
            rank_ic: mean(|part| part.rank_ic),
        }
    }
}

/// What a book earned. `None` where a figure is not defined (no variance, no trade, no loss). See [`trading_metrics`].
/// Returns are simple returns a bar; trades are round trips from flat to flat, see [`round_trips`].
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
    /// Share of bars with a position, however small: time in the market.
    pub exposure: Option<f64>,
    /// Mean over all bars of gross holdings (sum of absolute values) over equity; 1 is always fully invested.
    pub gross_exposure: Option<f64>,
    /// Fees paid, in quote currency.
    pub fees: f64,
    /// What fills lost against the bar's price by spread, slippage and impact together, in quote currency.
    pub slippage_cost: f64,
    /// The part of it that half the spread took.
    #[serde(default)]
    pub spread_cost: f64,
    /// The part of it that the trades' own impact took.
    #[serde(default)]
    pub impact_cost: f64,
    /// Gas paid, in quote currency.
    #[serde(default)]
    pub gas_cost: f64,
    /// Funding paid, in quote currency; negative where more was received.
    #[serde(default)]
    pub funding_cost: f64,
    /// Borrowing paid, in quote currency.
    #[serde(default)]
    pub borrow_cost: f64,
    /// All costs over the profit before them; not defined where that is not positive.
    pub costs_of_gross_profit: Option<f64>,
    /// Executed orders.
    pub fills: usize,
    /// Bars of the longest stretch below an earlier high, up to the bar before the recovery or to the end.
    pub max_drawdown_bars: usize,
    /// Bars from the lowest point of the deepest drawdown to the first bar back at the high; `None` where it is not
    /// back at the end.
    pub recovery_bars: Option<usize>,
    /// Square root of the mean squared drawdown, as a ratio (Martin and `McCann` 1989).
    pub ulcer_index: Option<f64>,
    /// Sum of positive over sum of negative returns, the threshold being 0 (Keating and Shadwick 2002).
    pub omega: Option<f64>,
    /// Sum of all over sum of negative returns (Schwager).
    pub gain_to_pain: Option<f64>,
    /// 5 % quantile of the returns: historical value at risk, negative for a loss.
    pub var_95: Option<f64>,
    /// Mean of the returns at or below `var_95`: expected shortfall.
    pub cvar_95: Option<f64>,
    /// Sample skewness of the returns.
    pub skew: Option<f64>,
    /// Sample excess kurtosis of the returns; 0 for a normal distribution.
    pub kurtosis: Option<f64>,
    /// 95 % quantile over absolute 5 % quantile of the returns.
    pub tail_ratio: Option<f64>,
    /// Profit of winning over loss of losing trades.
    pub profit_factor: Option<f64>,
    /// Mean winning over mean losing trade.
    pub payoff: Option<f64>,
    /// Kelly's fraction by trades: win rate - (1 - win rate) / payoff.
    pub kelly: Option<f64>,
    /// Mean profit of a trade, in quote currency.
    pub expectancy: Option<f64>,
    /// System quality number: sqrt(trades) x mean over sample deviation of the profits (Tharp); the count is not capped.
    pub sqn: Option<f64>,
    /// Mean bars from a trade's first to its last fill.
    pub mean_holding_bars: Option<f64>,
    /// Median bars from a trade's first to its last fill.
    pub median_holding_bars: Option<f64>,
    /// Most winning trades in a row, in the order in which they were closed.
    pub longest_winning_streak: usize,
    /// Most losing trades in a row.
    pub longest_losing_streak: usize,
    /// Profit over notional of the entries, of the best trade.
    pub best_trade: Option<f64>,
    /// The same of the worst trade.
    pub worst_trade: Option<f64>,
}

/// All figures of a book. `periods_per_year` is the number of bars a year.
pub fn trading_metrics(book: &BookResult, periods_per_year: f64) -> TradingMetrics {
    let mut metrics = TradingMetrics::default();
    return_figures(&mut metrics, book, periods_per_year);
    trade_figures(&mut metrics, &round_trips(&book.fills));
    cost_figures(&mut metrics, book, periods_per_year);
    metrics
}

fn return_figures(metrics: &mut TradingMetrics, book: &BookResult, periods_per_year: f64) {
    let equity = &book.equity.equity;
    let Some(last) = equity.last() else {
        return;
    };
    let returns = returns(book);
    let growth = last / book.starting_cash;
    let drawdowns = drawdowns(equity, book.starting_cash);
    metrics.total_return = finite(growth - 1.0);
    metrics.cagr = annual_growth(growth, returns.len(), periods_per_year);
    metrics.volatility = volatility(&returns, periods_per_year);
    metrics.sharpe = sharpe(&returns, periods_per_year);
    metrics.sortino = sortino(&returns, periods_per_year);
    metrics.max_drawdown = finite(drawdowns.deepest);
    metrics.calmar = metrics.cagr.and_then(|growth| finite(growth / drawdowns.deepest.abs()));
    metrics.max_drawdown_bars = drawdowns.longest_bars;
    metrics.recovery_bars = drawdowns.recovery_bars;
    metrics.ulcer_index = finite(drawdowns.ulcer_index);
    metrics.omega = omega(&returns);
    metrics.gain_to_pain = gain_to_pain(&returns);
    metrics.skew = skew(&returns);
    metrics.kurtosis = kurtosis(&returns);
    let mut sorted = returns;
    sorted.sort_unstable_by(f64::total_cmp);
    metrics.var_95 = quantile(&sorted, 0.05);
    metrics.cvar_95 = conditional_value_at_risk(&sorted, 0.05);
    metrics.tail_ratio = tail_ratio(&sorted);
    let inside = book.equity.exposure.iter().filter(|exposure| **exposure != 0.0).count();
    let rows = equity.len() as f64;
    metrics.exposure = finite(inside as f64 / rows);
    metrics.gross_exposure = finite(book.equity.exposure.iter().sum::<f64>() / rows);
}

fn trade_figures(metrics: &mut TradingMetrics, trips: &[RoundTrip]) {
    let profits: Vec<f64> = trips.iter().map(|trip| trip.profit).collect();
    let wins = profits.iter().filter(|profit| **profit > 0.0).count();
    let mut bars: Vec<f64> = trips.iter().map(|trip| f64::from(trip.exit_step - trip.entry_step)).collect();
    bars.sort_unstable_by(f64::total_cmp);
    let mut ratios: Vec<f64> = trips.iter().map(|trip| trip.profit / trip.entry_notional).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    metrics.trades = trips.len();
    metrics.win_rate = finite(wins as f64 / trips.len() as f64);
    metrics.profit_factor = profit_factor(&profits);
    metrics.payoff = payoff(&profits);
    metrics.kelly = kelly(&profits);
    metrics.expectancy = expectancy(&profits);
    metrics.sqn = system_quality(&profits);
    metrics.mean_holding_bars = expectancy(&bars);
    metrics.median_holding_bars = quantile(&bars, 0.5);
    metrics.longest_winning_streak = longest_streak(&profits, |profit| profit > 0.0);
    metrics.longest_losing_streak = longest_streak(&profits, |profit| profit < 0.0);
    metrics.worst_trade = ratios.first().copied().and_then(finite);
    metrics.best_trade = ratios.last().copied().and_then(finite);
}

fn cost_figures(metrics: &mut TradingMetrics, book: &BookResult, periods_per_year: f64) {
    let equity = &book.equity.equity;
    let notional: f64 = book.fills.iter().map(|fill| fill.quantity * fill.price).sum();
    metrics.fills = book.fills.len();
    metrics.fees = book.fills.iter().map(|fill| fill.fee).sum();
    metrics.slippage_cost =
        book.fills.iter().map(|fill| fill.quantity * (fill.price - fill.reference_price).abs()).sum();
    let sum = |of: fn(&Fill) -> f64| book.fills.iter().map(of).sum::<f64>();
    metrics.spread_cost = sum(|fill| fill.spread);
    metrics.impact_cost = sum(|fill| fill.impact);
    metrics.gas_cost = sum(|fill| fill.gas);
    metrics.funding_cost = book.carried.funding;
    metrics.borrow_cost = book.carried.borrow;
    let carried = metrics.funding_cost + metrics.borrow_cost;
    let costs = metrics.fees + metrics.slippage_cost + metrics.gas_cost + carried;
    let profit = equity.last().map_or(0.0, |last| last - book.starting_cash) + costs;
    metrics.costs_of_gross_profit = if profit > 0.0 { finite(costs / profit) } else { None };
    let rows = equity.len() as f64;
    let mean = equity.iter().sum::<f64>() / rows;
    metrics.turnover = if mean > 0.0 { finite(notional / mean * periods_per_year / rows) } else { None };
}

/// What is not a number is not a figure.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
