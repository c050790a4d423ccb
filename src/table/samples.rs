//! Which rows a model learns from or forecasts.

/// One row of one symbol: the last bar of a window and the bar at whose close a forecast is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    /// Index of the symbol.
    pub symbol: u32,
    /// Row within the symbol's bars.
    pub row: u32,
}

/// The samples of one fold's training part, purged against its validation and test parts. Only a split makes them, and a
/// [`crate::table::Scaler`] is fitted on nothing else.
#[derive(Clone, Debug)]
pub struct TrainSamples(Vec<Sample>);

impl TrainSamples {
    /// For `data::split` alone: the caller vouches that no label of a sample reaches into a held-out part.
    pub fn purged(samples: Vec<Sample>) -> TrainSamples {
        TrainSamples(samples)
    }

    /// The samples, in order.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }
}
