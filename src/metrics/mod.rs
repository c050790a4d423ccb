//! Pure functions from numbers to figures. Each formula stands with its source in the documentation of its function.

mod benchmark;
mod book_figures;
mod breaker;
mod drawdown;
mod equity_curve;
mod events;
mod excursion;
mod forecast;
mod forecast_error;
mod ic_interval;
mod importance;
mod lanes;
mod long_run;
mod noise_floor;
mod normal;
mod returns;
mod rolling;
mod significance;
mod tail;
mod trades;

pub use benchmark::{BenchmarkMetrics, benchmark_figures};
pub use book_figures::{book_figures, stretch_returns};
pub use breaker::{BreakerMetrics, Stop};
pub use drawdown::{DrawdownPeriod, Drawdowns, drawdowns, worst_drawdowns};
pub use equity_curve::{EquityCurve, compact_curve, equity_curve, equity_curve_by};
pub use events::{
    Alarm, AlarmConfig, AlarmFigures, Beside, CalibrationBin, EventFigures, EventRows, HINDSIGHT_RATES,
    HindsightPoint, RareEvent, Reached, RiskRows, alarm_threshold, area_under_curve,
    area_under_curve_interval, average_precision, brier_score, calibration_bins, event_figures,
    expected_calibration_error, log_loss, order_violations, share_interval,
};
pub use excursion::{Excursion, excursions};
pub use forecast::{forecast_metrics, scaled_errors, signal_turnover};
pub use forecast_error::{StandardErrors, standard_errors};
pub use ic_interval::ic_interval;
pub use importance::{FEWEST_OUTCOMES, Factor, importance};
pub use long_run::NORMAL_975;
pub use noise_floor::{Excess, FloorExcess, NoiseFloor};
pub use normal::{normal_cumulative, normal_quantile};
pub use returns::{
    annual_growth, conditional_value_at_risk, gain_to_pain, gaussian_value_at_risk, kurtosis, omega,
    quantile, recovery_factor, returns, sharpe, skew, sortino, stability, tail_ratio, volatility,
};
pub use rolling::{rolling_beta, rolling_sharpe, rolling_volatility};
pub use significance::{
    HEADLINE_RESAMPLES, Headline, RESAMPLES, SelectionFigures, SharpeEstimate, StationaryBlocks,
    SuperiorAbility, deflated_sharpe, expected_block_length, expected_maximum_sharpe, headline_intervals,
    overfitting_probability, probabilistic_sharpe, selection_figures, sharpe_difference,
    sharpe_difference_test, sharpe_interval, superior_ability, trial_variance,
};
pub use trades::{
    RoundTrip, expectancy, kelly, longest_streak, payoff, profit_factor, round_trips, system_quality,
};

use crate::table::{BookResult, Carried, CompactBook, Fill};
use equity_curve::{CurveRows, read_curve};
use returns::{StandardMoments, sample_excess_kurtosis, sample_skew};
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
    /// Mean squared error in units of each symbol's own standard deviation over the training rows, over the windows
    /// whose every horizon is known; only for targets that are changes. The figure of forecasting benchmarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled_mse: Option<f64>,
    /// Mean absolute error in the same units, over the same windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled_mae: Option<f64>,
    /// Share of forecasts that equal the outcome after rounding to whole numbers, halves away from zero; only where the
    /// target is a level or a change and every outcome is a whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounded_accuracy: Option<f64>,
    /// How sure the errors and the accuracy are; absent for too few rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_errors: Option<StandardErrors>,
    /// By how much these figures are worse than the noise floor; absent where the experiment names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_floor: Option<FloorExcess>,
    /// Share of forecasts on the right side of neutral; outcomes that are exactly neutral do not count.
    pub directional_accuracy: Option<f64>,
    /// What always guessing the more frequent side would reach.
    pub directional_base_rate: Option<f64>,
    /// Mean over times of the Pearson correlation across symbols; with fewer than three symbols the correlation over
    /// all rows.
    pub ic: Option<f64>,
    /// 95 % interval of `ic` that takes account of overlapping horizons; only of a single horizon.
    #[serde(default)]
    pub ic_interval: Option<[f64; 2]>,
    /// The same as `ic` with ranks (Spearman).
    pub rank_ic: Option<f64>,
    /// Mean over sample deviation of the times' Pearson correlations; not defined for one correlation over all rows.
    #[serde(default)]
    pub icir: Option<f64>,
    /// The same with ranks.
    #[serde(default)]
    pub rank_icir: Option<f64>,
    /// Mean outcome of the highest less that of the lowest tenth of the forecasts, in units of the label: of each time
    /// with ten symbols, else of all rows.
    #[serde(default)]
    pub decile_spread: Option<f64>,
    /// Area under the receiver operating characteristic, within folds; only for targets that are 0 or 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Average precision, the mean over folds weighted by their rows of label 1; only for targets that are 0 or 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
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
            scaled_mse: mean(|part| part.scaled_mse),
            scaled_mae: mean(|part| part.scaled_mae),
            rounded_accuracy: mean(|part| part.rounded_accuracy),
            standard_errors: if let [one] = parts { one.standard_errors } else { None },
            above_floor: if let [one] = parts { one.above_floor } else { None },
            directional_accuracy: mean(|part| part.directional_accuracy),
            directional_base_rate: mean(|part| part.directional_base_rate),
            ic: mean(|part| part.ic),
            ic_interval: if let [one] = parts { one.ic_interval } else { None },
            rank_ic: mean(|part| part.rank_ic),
            icir: mean(|part| part.icir),
            rank_icir: mean(|part| part.rank_icir),
            decile_spread: mean(|part| part.decile_spread),
            auc: mean(|part| part.auc),
            average_precision: mean(|part| part.average_precision),
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
    /// Fills by which a book on margin was liquidated.
    #[serde(default)]
    pub liquidations: usize,
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
    /// 5 % quantile of a normal distribution with the mean and deviation of the returns: Gaussian value at risk.
    #[serde(default)]
    pub gaussian_var_95: Option<f64>,
    /// Total return over the absolute maximum drawdown.
    #[serde(default)]
    pub recovery_factor: Option<f64>,
    /// Probability that the true Sharpe ratio is above 0 (Bailey and Lopez de Prado 2012).
    #[serde(default)]
    pub probabilistic_sharpe: Option<f64>,
    /// Bars after which a Sharpe ratio of this kind is above 0 with a probability of 95 % (the same); not defined where
    /// the ratio is not positive.
    #[serde(default)]
    pub minimum_track_record: Option<f64>,
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
    /// Mean over trades of the worst price while it was open against the average entry price, as a ratio: 0 or negative.
    #[serde(default)]
    pub mean_adverse_excursion: Option<f64>,
    /// Mean over trades of the best price against the average entry price, as a ratio: 0 or positive.
    #[serde(default)]
    pub mean_favourable_excursion: Option<f64>,
}

impl TradingMetrics {
    /// What trading and holding took: fees, slippage with spread and impact, gas, funding and borrowing, in quote currency.
    pub fn all_costs(&self) -> f64 {
        let carried = self.funding_cost + self.borrow_cost;
        self.fees + self.slippage_cost + self.gas_cost + carried
    }

    /// Sets what needs the bars that the trades went through.
    pub fn set_excursions(&mut self, excursions: &[Excursion]) {
        let mean = |of: fn(&Excursion) -> f64| {
            finite(excursions.iter().map(of).sum::<f64>() / excursions.len() as f64)
        };
        self.mean_adverse_excursion = mean(|trade| trade.adverse);
        self.mean_favourable_excursion = mean(|trade| trade.favourable);
    }

    /// Sets what follows from the equity curve alone. `periods_per_year` is the number of bars a year.
    pub fn set_curve(&mut self, curve: &EquityCurve, periods_per_year: f64) {
        let (moments, falls) = (&curve.moments, &curve.drawdowns);
        let scale = periods_per_year.sqrt();
        let of_moments = |figure: &dyn Fn(&StandardMoments) -> Option<f64>| moments.as_ref().and_then(figure);
        self.total_return = finite(curve.growth - 1.0);
        self.cagr = annual_growth(curve.growth, curve.rows, periods_per_year);
        self.volatility =
            if curve.rows > 1 { finite(moments.map_or(0.0, |it| it.deviation) * scale) } else { None };
        self.sharpe = of_moments(&|it| finite(it.mean / it.deviation * scale));
        self.sortino = finite(curve.mean / curve.downside.sqrt() * scale);
        self.max_drawdown = finite(falls.deepest);
        self.calmar = self.cagr.and_then(|growth| finite(growth / falls.deepest.abs()));
        self.recovery_factor = recovery_factor(curve.growth - 1.0, falls.deepest);
        self.max_drawdown_bars = falls.longest_bars;
        self.recovery_bars = falls.recovery_bars;
        self.ulcer_index = finite(falls.ulcer_index);
        self.omega = finite(curve.gains / curve.losses);
        self.gain_to_pain = finite((curve.gains - curve.losses) / curve.losses);
        self.skew = of_moments(&|it| sample_skew(it.skew, curve.rows));
        self.kurtosis = of_moments(&|it| sample_excess_kurtosis(it.kurtosis, curve.rows));
        self.var_95 = curve.lower_tail;
        self.cvar_95 = curve.shortfall;
        self.gaussian_var_95 = of_moments(&|it| finite(it.mean + it.deviation * normal_quantile(0.05)));
        self.tail_ratio = curve
            .upper_tail
            .zip(curve.lower_tail)
            .and_then(|(upper, lower)| finite(upper.abs() / lower.abs()));
        let estimate = curve.sharpe_estimate();
        self.probabilistic_sharpe = estimate.and_then(|it| it.probability_above(0.0));
        self.minimum_track_record = estimate.and_then(|it| it.minimum_track_record(0.0, 0.95));
    }
}

/// All figures of a book. `periods_per_year` is the number of bars a year.
pub fn trading_metrics(book: &BookResult, periods_per_year: f64) -> TradingMetrics {
    let rows = CurveRows::Kept { equity: &book.equity.equity, exposure: &book.equity.exposure };
    book_metrics(&rows, &book.fills, book.carried, (book.starting_cash, periods_per_year))
}

/// All figures of a book of which no curve is kept, those of [`trading_metrics`] to the bit.
pub fn compact_metrics(book: &CompactBook, periods_per_year: f64) -> TradingMetrics {
    let rows = CurveRows::Compact(book);
    book_metrics(&rows, &book.fills, book.carried, (book.starting_cash, periods_per_year))
}

fn book_metrics(
    rows: &CurveRows,
    fills: &[Fill],
    carried: Carried,
    (starting_cash, periods_per_year): (f64, f64),
) -> TradingMetrics {
    let mut metrics = TradingMetrics::default();
    let mut gained = 0.0;
    if let Some((curve, sums)) = read_curve(rows, starting_cash) {
        metrics.set_curve(&curve, periods_per_year);
        let count = curve.rows as f64;
        metrics.exposure = finite(sums.held / count);
        metrics.gross_exposure = finite(sums.gross / count);
        let notional: f64 = fills.iter().map(|fill| fill.quantity * fill.price).sum();
        let turned = notional / curve.mean_equity * periods_per_year / count;
        metrics.turnover = if curve.mean_equity > 0.0 { finite(turned) } else { None };
        gained = sums.last - starting_cash;
    }
    trade_figures(&mut metrics, &round_trips(fills));
    cost_figures(&mut metrics, fills, carried, gained);
    metrics
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

/// What trading and carrying cost; `gained` is the profit after all of it.
fn cost_figures(metrics: &mut TradingMetrics, fills: &[Fill], carried: Carried, gained: f64) {
    let sum = |of: fn(&Fill) -> f64| fills.iter().map(of).sum::<f64>();
    metrics.fills = fills.len();
    metrics.fees = sum(|fill| fill.fee);
    metrics.slippage_cost = sum(|fill| fill.quantity * (fill.price - fill.reference_price).abs());
    metrics.spread_cost = sum(|fill| fill.spread);
    metrics.impact_cost = sum(|fill| fill.impact);
    metrics.gas_cost = sum(|fill| fill.gas);
    metrics.funding_cost = carried.funding;
    metrics.borrow_cost = carried.borrow;
    let costs = metrics.all_costs();
    let profit = gained + costs;
    metrics.costs_of_gross_profit = if profit > 0.0 { finite(costs / profit) } else { None };
}

/// What is not a number is not a figure.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
