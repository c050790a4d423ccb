//! What a strategy that guards another one sees.

/// A state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// The risk is low.
    Green,
    /// The risk is raised, or unknown.
    Yellow,
    /// The breaker has tripped.
    Red,
}

/// What a circuit breaker sees of one symbol, a value a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The forecast, or the value of the column; null where there is none.
    pub risk: Vec<f64>,
    /// What trips the breaker; null where validation chose nothing.
    pub red: Vec<f64>,
    /// The state after the row.
    pub state: Vec<BreakerState>,
}
