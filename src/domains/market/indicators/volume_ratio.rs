//! Volume ratio.

use super::{Indicator, Memory, at_least, ratio};
use crate::domains::market::rolling;
use crate::table::Bars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Volume of the bar over the mean volume of the last bars, itself included: 1 is an ordinary bar. Null where nothing
/// was traded in the whole window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VolumeRatio {
    /// Bars of the mean, at least 1.
    #[schemars(range(min = 1))]
    pub period: usize,
}

impl Default for VolumeRatio {
    fn default() -> Self {
        VolumeRatio { period: 20 }
    }
}

impl Indicator for VolumeRatio {
    fn names(&self) -> Vec<String> {
        vec![format!("volume_ratio_{}", self.period)]
    }

    fn warm_up(&self) -> usize {
        self.period.saturating_sub(1)
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let column = |volume: &[f64]| {
            let means = rolling::mean(volume, self.period);
            volume.iter().zip(means).map(|(volume, mean)| ratio(*volume, mean)).collect()
        };
        bars.symbols().iter().map(|symbol| vec![column(symbol.volume())]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.period).in_blocks_of(self.period)
    }
}
