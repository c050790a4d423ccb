//! How far and for how long the equity stayed below its high.

/// The drawdowns of one equity curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawdowns {
    /// Lowest equity over the highest before it, minus 1: 0 or negative.
    pub deepest: f64,
    /// Bars of the longest stretch below the high.
    pub longest_bars: usize,
    /// Bars from the lowest point of the deepest drawdown to the first bar back at its high; `None` where it is not back,
    /// or where there is no drawdown.
    pub recovery_bars: Option<usize>,
    /// Square root of the mean squared drawdown over all bars (Martin and `McCann`: "The investor's guide to Fidelity
    /// funds", 1989).
    pub ulcer_index: f64,
}

/// The drawdowns of `equity`; the starting cash counts as the first high. Without a row everything is 0.
pub fn drawdowns(equity: &[f64], starting_cash: f64) -> Drawdowns {
    let mut found = Drawdowns { deepest: 0.0, longest_bars: 0, recovery_bars: None, ulcer_index: 0.0 };
    let (mut high, mut below, mut squares) = (starting_cash, 0, 0.0);
    // Row of the deepest point, while its high is not reached again.
    let mut trough = None;
    for (row, value) in equity.iter().enumerate() {
        if *value >= high {
            high = *value;
            below = 0;
            if let Some(lowest) = trough.take() {
                found.recovery_bars = Some(row - lowest);
            }
            continue;
        }
        let depth = value / high - 1.0;
        squares += depth * depth;
        below += 1;
        found.longest_bars = found.longest_bars.max(below);
        if depth < found.deepest {
            found.deepest = depth;
            found.recovery_bars = None;
            trough = Some(row);
        }
    }
    found.ulcer_index = (squares / (equity.len() as f64).max(1.0)).sqrt();
    found
}

/// One stretch below an earlier high. Rows count from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrawdownPeriod {
    /// Lowest equity over the high before it, minus 1: negative.
    pub depth: f64,
    /// The first row below the high.
    pub start: usize,
    /// The first row of the lowest equity.
    pub trough: usize,
    /// The first row back at the high; `None` where it is not back at the end.
    pub recovery: Option<usize>,
}

/// The `count` deepest drawdowns, the deepest first, of equal ones the earlier; the starting cash counts as the first high.
pub fn worst_drawdowns(equity: &[f64], starting_cash: f64, count: usize) -> Vec<DrawdownPeriod> {
    let mut periods: Vec<DrawdownPeriod> = Vec::new();
    let (mut high, mut below) = (starting_cash, None::<DrawdownPeriod>);
    for (row, value) in equity.iter().enumerate() {
        if *value >= high {
            high = *value;
            periods.extend(below.take().map(|period| DrawdownPeriod { recovery: Some(row), ..period }));
            continue;
        }
        let depth = value / high - 1.0;
        let period = below.get_or_insert(DrawdownPeriod { depth, start: row, trough: row, recovery: None });
        if depth < period.depth {
            (period.depth, period.trough) = (depth, row);
        }
    }
    periods.extend(below);
    // A stable sort: of equal ones the earlier stays first.
    periods.sort_by(|one, other| one.depth.total_cmp(&other.depth));
    periods.truncate(count);
    periods
}
