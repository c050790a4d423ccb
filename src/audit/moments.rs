//! After which moments the future is poisoned.

use super::Audit;
use super::poison::spread;
use crate::table::Bars;
use std::ops::Range;

/// Moments near the first bar: they cost next to nothing, and what fills a warm-up backwards is seen nowhere else.
const EARLY: [usize; 6] = [0, 2, 7, 19, 53, 120];

impl Audit<'_> {
    /// Moments within the steps `range` of the audited stretch: a few at its beginning, some spread evenly, some where
    /// leaks hide. Ascending, never the last step, after which there is nothing to poison.
    pub(super) fn moments(&self, range: Range<usize>, purpose: &str) -> Vec<usize> {
        let steps = self.stretch.timeline().times().len();
        let range = range.start.min(steps)..range.end.min(steps.saturating_sub(1));
        let mut stream = self.pipeline.seed.stream(purpose, 0);
        let count = self.depth.moments();
        let mut moments = spread(range.clone(), count, &mut stream);
        let hidden: Vec<usize> =
            places(self.stretch).into_iter().filter(|step| range.contains(step)).collect();
        moments.extend(spread(0..hidden.len(), count, &mut stream).into_iter().map(|index| hidden[index]));
        moments.extend(EARLY.iter().map(|step| range.start + step).filter(|step| range.contains(step)));
        moments.sort_unstable();
        moments.dedup();
        moments
    }
}

/// Steps after which leaks hide: before a gap, before a symbol's first bar, and before a price or volume that repeats
/// itself, which is what filling backwards looks like.
fn places(bars: &Bars) -> Vec<usize> {
    let mut places = Vec::new();
    for (index, symbol) in bars.symbols().iter().enumerate() {
        let steps = bars.timeline().steps(index);
        places.extend(steps.first().and_then(|first| (*first as usize).checked_sub(1)));
        for row in 1..symbol.len() {
            let gap = symbol.time()[row].0 - symbol.time()[row - 1].0 > bars.interval();
            let still = symbol.close()[row] == symbol.close()[row - 1] || symbol.volume()[row - 1] == 0.0;
            if gap || still {
                places.push(steps[row - 1] as usize);
            }
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}
