//! What a live system would run: bars in, one moment at a time, forecasts out. It holds nothing that lies ahead.

use super::StreamError;
use super::ring::RingBuffer;
use crate::domains::market::indicators::{Bar, IndicatorConfig, RunningFeatures};
use crate::run::SavedModel;
use crate::table::{Bars, Features, Sample};
use crate::units::Time;

/// The bars of one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Start of the bars.
    pub time: Time,
    /// `[symbol]`, `None` where a symbol has none.
    pub bars: Vec<Option<Bar>>,
}

/// Ring buffers of features in front of a saved model.
pub struct Forecaster {
    features: RunningFeatures,
    /// `[symbol]`
    rings: Vec<RingBuffer>,
    /// `[symbol]`: bars so far.
    rows: Vec<u32>,
}

impl Forecaster {
    /// Begins before the first bar; of `world` only the symbols and the length of a bar are taken.
    ///
    /// # Errors
    /// Features whose settings make no sense.
    pub fn new(features: &[IndicatorConfig], world: &Bars, window: usize) -> Result<Forecaster, StreamError> {
        let features = RunningFeatures::new(features, world).map_err(StreamError::Features)?;
        let ring = RingBuffer::new(window.max(1), features.names().len());
        let symbols = world.symbols().len();
        Ok(Forecaster { rings: vec![ring; symbols], rows: vec![0; symbols], features })
    }

    /// Names of the features, in order.
    pub fn names(&self) -> &[String] {
        self.features.names()
    }

    /// Bars and rows of features that are remembered.
    pub fn remembered(&self) -> usize {
        self.features.remembered()
    }

    /// Takes the bars of the next moment; gives their features `[symbol][feature]`, `None` where a symbol has no bar.
    ///
    /// # Errors
    /// A bar that no market has, or that is not later than the one before.
    pub fn feed(&mut self, moment: &Moment) -> Result<Vec<Option<Vec<f64>>>, StreamError> {
        let rows = self.features.next(&moment.bars).map_err(StreamError::Features)?;
        for ((ring, count), row) in self.rings.iter_mut().zip(&mut self.rows).zip(&rows) {
            if let Some(row) = row {
                ring.push(row);
                *count += 1;
            }
        }
        Ok(rows)
    }

    /// Forecasts for each symbol of this moment (`fed` is what [`Forecaster::feed`] gave) whose window is complete:
    /// its number and a value a horizon, in units of the label.
    ///
    /// # Errors
    /// A device that fails.
    pub fn forecast(
        &self,
        model: &SavedModel,
        fed: &[Option<Vec<f64>>],
    ) -> Result<Vec<(usize, Vec<f64>)>, StreamError> {
        let ready: Vec<usize> = (0..fed.len())
            .filter(|symbol| fed[*symbol].is_some() && self.rings[*symbol].is_complete())
            .collect();
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let columns = (0..self.rings.len()).map(|symbol| {
            let column = |feature| match ready.contains(&symbol) {
                true => self.rings[symbol].column(feature),
                false => Vec::new(),
            };
            (0..self.names().len()).map(column).collect()
        });
        let features =
            Features::new(self.names().to_vec(), columns.collect()).map_err(StreamError::Features)?;
        let sample = |symbol: &usize| Sample { symbol: *symbol as u32, row: self.rows[*symbol] - 1 };
        let samples = ready.iter().map(sample).collect();
        let values = model.forecast(&features, samples)?;
        let horizons = values.len() / ready.len();
        Ok(ready.into_iter().zip(values.chunks(horizons.max(1)).map(<[f64]>::to_vec)).collect())
    }
}
