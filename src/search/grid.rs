//! Grid search: every combination.

use super::layout::{Layout, Point, Walk};
use super::{BLIND_LOOK_AHEAD, Job, Method, Next, Search, SearchTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every combination of the values, the last dimension fastest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grid {
    /// Into how many values an interval is divided, its ends included, evenly on its scale. Needed where the space holds an
    /// interval of numbers that are not whole; whole numbers are counted out where there are no more than these.
    #[schemars(range(min = 1))]
    pub steps: Option<usize>,
    /// Whether the grid may have more combinations than there are trials. It is then walked in a random order, so that what
    /// is tried is a fair sample of it. Without this a grid that is too large is refused.
    pub partial: bool,
}

/// A grid beyond this is a slip of the hand.
const MOST_POINTS: usize = 1_000_000;

impl Grid {
    fn coordinates(&self, layout: &Layout) -> Vec<Vec<f64>> {
        let steps = self.steps.unwrap_or(MOST_POINTS);
        layout
            .axes
            .iter()
            .map(|axis| if axis.count() == Some(1) { axis.coordinates() } else { axis.spread(steps) })
            .collect()
    }

    /// How many combinations the grid of a checked space has.
    ///
    /// # Errors
    /// An interval without `steps`, or too many combinations to be counted out.
    pub fn count(&self, space: &super::Space) -> Result<usize, String> {
        let layout = Layout::new(space);
        for (path, axis) in space.keys().zip(&layout.axes) {
            if self.steps.is_none() && axis.count().is_none_or(|count| count > MOST_POINTS) {
                return Err(format!(
                    "a grid needs to know how finely to cut the interval of `{path}`; write \
                     `method: {{grid: {{steps: 5}}}}`, or list its `values`"
                ));
            }
        }
        if self.steps == Some(0) {
            return Err("grid.steps must be at least 1".into());
        }
        if self.steps.is_some_and(|steps| steps > MOST_POINTS) {
            return Err(format!("grid.steps must be at most {MOST_POINTS}"));
        }
        let walk = Walk::new(&layout, self.coordinates(&layout));
        walk.count_up_to(MOST_POINTS)
            .ok_or_else(|| format!("the grid has more than {MOST_POINTS} combinations; use fewer values"))
    }
}

impl Method for Grid {
    fn check(&self, task: &SearchTask) -> Result<(), String> {
        let count = self.count(&task.space)?;
        if count > task.trials && !self.partial {
            return Err(format!(
                "the grid has {count} combinations, but `trials` is {}; write `trials: {count}`, fewer values, or \
                 `method: {{grid: {{partial: true}}}}` to try a random part of it",
                task.trials
            ));
        }
        Ok(())
    }

    fn uses_rungs(&self) -> bool {
        false
    }

    fn start(&self, task: SearchTask) -> Box<dyn Search> {
        let layout = Layout::new(&task.space);
        let mut points: Vec<Point> =
            Walk::new(&layout, self.coordinates(&layout)).take(MOST_POINTS).collect();
        if points.len() > task.trials {
            task.seed.stream("order of trials", 0).shuffle(&mut points);
            points.truncate(task.trials);
        }
        Box::new(GridSearch { layout, points, epochs: task.epochs, asked: 0 })
    }
}

struct GridSearch {
    layout: Layout,
    points: Vec<Point>,
    epochs: u64,
    asked: usize,
}

impl Search for GridSearch {
    fn next(&mut self) -> Next {
        let Some(point) = self.points.get(self.asked) else { return Next::Done };
        let settings = self.layout.settings(point);
        self.asked += 1;
        Next::Job(Job { trial: self.asked - 1, settings, epochs: self.epochs, copy_from: None })
    }

    fn look_ahead(&self) -> usize {
        BLIND_LOOK_AHEAD
    }

    fn tell(&mut self, _: usize, _: u64, _: Option<f64>) {}
}
