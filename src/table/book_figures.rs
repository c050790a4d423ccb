//! What is kept of a book that is one of thousands.

/// The figures of one book without its curve. Money is in quote currency; a bar is a step of the timeline in the span.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BookFigures {
    /// Bars of the span, with or without a position.
    pub bars: usize,
    /// Cash at the start.
    pub starting_cash: f64,
    /// Equity at the last close.
    pub final_equity: f64,
    /// Mean of the simple returns a bar; the first is against the starting cash.
    pub mean_return: f64,
    /// Their sample standard deviation (divisor: bars less one); 0 where all are equal up to rounding, and for fewer than
    /// two bars.
    pub return_deviation: f64,
    /// Lowest equity over highest equity before it, minus 1: 0 or negative; the starting cash counts as the first high.
    pub max_drawdown: f64,
    /// Executed orders.
    pub fills: usize,
    /// Round trips that were closed.
    pub trades: usize,
    /// Of them, those that earned money after costs.
    pub winning_trades: usize,
    /// Fees paid.
    pub fees: f64,
    /// What fills lost against the bar's price by spread and slippage.
    pub slippage_cost: f64,
    /// Bars with a position at their close, however small.
    pub held_bars: usize,
    /// Whether the equity was used up, and the book closed for good.
    pub bankrupt: bool,
}

impl BookFigures {
    /// Last equity over starting cash, minus 1.
    pub fn total_return(&self) -> f64 {
        self.final_equity / self.starting_cash - 1.0
    }

    /// Sharpe ratio: mean over sample deviation of the returns, times sqrt(periods per year); `None` where all returns
    /// are equal.
    pub fn sharpe(&self, periods_per_year: f64) -> Option<f64> {
        let ratio = self.mean_return / self.return_deviation * periods_per_year.sqrt();
        (self.return_deviation > 0.0 && ratio.is_finite()).then_some(ratio)
    }
}
