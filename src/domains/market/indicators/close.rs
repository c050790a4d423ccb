//! The close itself.

use super::{Indicator, Memory};
use crate::table::Bars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The close as it is: the value of a series. A price has no fixed level, so models of prices want returns instead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Close {}

impl Indicator for Close {
    fn names(&self) -> Vec<String> {
        vec!["close".into()]
    }

    fn warm_up(&self) -> usize {
        0
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| vec![symbol.close().to_vec()]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(1)
    }
}
