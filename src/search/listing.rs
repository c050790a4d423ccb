//! The points of a search that does not look at outcomes: drawn one by one, or all of a small space in a random order.

use super::layout::{Layout, Point};
use super::{SearchTask, Settings};
use crate::seed::Seed;

/// Points by number.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    layout: Layout,
    seed: Seed,
    /// All points, where the space holds no more than are wanted.
    whole: Option<Vec<Point>>,
    count: usize,
}

impl Listing {
    /// As many points as the task has trials, or all of a space that holds fewer.
    pub(super) fn new(task: &SearchTask) -> Listing {
        let layout = Layout::new(&task.space);
        let mut whole: Option<Vec<Point>> = layout.points(task.trials).map(Iterator::collect);
        if let Some(points) = &mut whole {
            task.seed.stream("order of trials", 0).shuffle(points);
        }
        let count = whole.as_ref().map_or(task.trials, Vec::len);
        Listing { layout, seed: task.seed, whole, count }
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether they are all points of the space.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.is_some()
    }

    /// The point number `trial`, whatever was asked for before.
    pub(super) fn point(&self, trial: usize) -> Point {
        match &self.whole {
            Some(points) => points[trial].clone(),
            None => self.layout.draw(self.seed.child("trial", trial as u64)),
        }
    }

    /// Its settings.
    pub(super) fn settings(&self, trial: usize) -> Settings {
        self.layout.settings(&self.point(trial))
    }

    /// The space.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }
}
