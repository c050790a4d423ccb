//! Random search: every trial is drawn by itself (Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization").

use super::listing::Listing;
use super::{BLIND_LOOK_AHEAD, Job, Method, Next, Search, SearchTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every trial is drawn by itself, so trial number n is the same whatever came before. Of a space that holds no more
/// points than there are trials, every point is tried once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Random {}

impl Method for Random {
    fn check(&self, _: &SearchTask) -> Result<(), String> {
        Ok(())
    }

    fn uses_rungs(&self) -> bool {
        false
    }

    fn start(&self, task: SearchTask) -> Box<dyn Search> {
        Box::new(RandomSearch { listing: Listing::new(&task), epochs: task.epochs, asked: 0 })
    }
}

struct RandomSearch {
    listing: Listing,
    epochs: u64,
    asked: usize,
}

impl Search for RandomSearch {
    fn next(&mut self) -> Next {
        if self.asked == self.listing.count() {
            return Next::Done;
        }
        let trial = self.asked;
        self.asked += 1;
        Next::Job(Job { trial, settings: self.listing.settings(trial), epochs: self.epochs, copy_from: None })
    }

    fn look_ahead(&self) -> usize {
        BLIND_LOOK_AHEAD
    }

    fn tell(&mut self, _: usize, _: u64, _: Option<f64>) {}
}
