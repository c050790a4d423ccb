//! A space as the methods see it: axes in an order in which conditions can be asked, points of coordinates, their count.

use super::axis::Axis;
use super::space::{Settings, Space, holds, order};
use crate::seed::Seed;
use serde_json::Value;

/// A coordinate for each axis, in the order of the space; none where its condition does not hold.
pub(super) type Point = Vec<Option<f64>>;

/// A space, compiled.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    paths: Vec<String>,
    /// In the order of the space.
    pub(super) axes: Vec<Axis>,
    /// Of each axis the axes on which its condition looks, each with what it wants.
    conditions: Vec<Vec<(usize, Value)>>,
    /// The axes, each after those on which its condition looks.
    pub(super) order: Vec<usize>,
}

impl Layout {
    /// Of a space that was checked. Conditions on what is no dimension are left out, and so are circles.
    pub(super) fn new(space: &Space) -> Layout {
        let conditions = space.values().map(|dimension| {
            let known = dimension.when.iter();
            known.filter_map(|(path, wanted)| Some((space.get_index_of(path)?, wanted.clone()))).collect()
        });
        Layout {
            paths: space.keys().cloned().collect(),
            axes: space.values().map(Axis::new).collect(),
            conditions: conditions.collect(),
            order: order(space).unwrap_or_default(),
        }
    }

    /// A point whose coordinates are asked for in an order in which every condition is decided before.
    pub(super) fn point(&self, mut coordinate: impl FnMut(usize, &Axis) -> f64) -> Point {
        let mut point = vec![None; self.axes.len()];
        for &axis in &self.order {
            if self.is_active(axis, &point) {
                point[axis] = Some(coordinate(axis, &self.axes[axis]));
            }
        }
        point
    }

    /// Whether the condition of an axis holds at a point.
    pub(super) fn is_active(&self, axis: usize, point: &Point) -> bool {
        self.conditions[axis].iter().all(|(other, wanted)| {
            point[*other].is_some_and(|coordinate| holds(wanted, &self.axes[*other].value(coordinate)))
        })
    }

    /// Whether some axis exists only under a condition.
    pub(super) fn is_conditional(&self) -> bool {
        self.conditions.iter().any(|conditions| !conditions.is_empty())
    }

    /// A point drawn at random. Each axis has its own stream, so that a new dimension does not change the others.
    pub(super) fn draw(&self, seed: Seed) -> Point {
        self.point(|axis, values| values.draw(seed.stream(&self.paths[axis], 0).uniform()))
    }

    /// The settings of a point, in the order of the space.
    pub(super) fn settings(&self, point: &Point) -> Settings {
        let there = point.iter().enumerate().filter_map(|(axis, coordinate)| Some((axis, (*coordinate)?)));
        there
            .map(|(axis, coordinate)| (self.paths[axis].clone(), self.axes[axis].value(coordinate)))
            .collect()
    }

    /// All points, if every dimension can be counted and there are not more than `limit`.
    pub(super) fn points(&self, limit: usize) -> Option<Walk<'_>> {
        let few = self.axes.iter().all(|axis| axis.count().is_some_and(|count| count <= limit));
        let walk = || Walk::new(self, self.axes.iter().map(Axis::coordinates).collect());
        (few && walk().count_up_to(limit).is_some()).then(walk)
    }
}

/// All combinations of some coordinates of each axis, the last axis fastest; axes whose condition does not hold are left out.
pub(super) struct Walk<'a> {
    layout: &'a Layout,
    coordinates: Vec<Vec<f64>>,
    /// Of each axis that is active the index of its coordinate.
    place: Vec<Option<usize>>,
    started: bool,
}

impl<'a> Walk<'a> {
    /// Over these coordinates, at least one an axis.
    pub(super) fn new(layout: &'a Layout, coordinates: Vec<Vec<f64>>) -> Walk<'a> {
        let place = vec![None; coordinates.len()];
        Walk { layout, coordinates, place, started: false }
    }

    /// How many there are, if not more than `limit`.
    pub(super) fn count_up_to(mut self, limit: usize) -> Option<usize> {
        if !self.layout.is_conditional() {
            let mut lengths = self.coordinates.iter().map(Vec::len);
            let product = lengths.try_fold(1_usize, |product, length| product.checked_mul(length));
            return product.filter(|product| *product <= limit);
        }
        let mut count = 0;
        while self.advance() {
            count += 1;
            if count > limit {
                return None;
            }
        }
        Some(count)
    }

    /// Moves to the next combination.
    fn advance(&mut self) -> bool {
        if !self.started {
            self.started = true;
            self.reset_from(0);
            return true;
        }
        for rank in (0..self.layout.order.len()).rev() {
            let axis = self.layout.order[rank];
            if let Some(index) = self.place[axis].filter(|index| index + 1 < self.coordinates[axis].len()) {
                self.place[axis] = Some(index + 1);
                self.reset_from(rank + 1);
                return true;
            }
        }
        false
    }

    /// Sets the axes from this rank of the order on to their first coordinate, where their condition holds.
    fn reset_from(&mut self, rank: usize) {
        for &axis in &self.layout.order[rank..] {
            self.place[axis] = None;
        }
        let mut point = self.point();
        for &axis in &self.layout.order[rank..] {
            if self.layout.is_active(axis, &point) {
                self.place[axis] = Some(0);
                point[axis] = Some(self.coordinates[axis][0]);
            }
        }
    }

    fn point(&self) -> Point {
        self.place.iter().zip(&self.coordinates).map(|(index, own)| Some(own[(*index)?])).collect()
    }
}

impl Iterator for Walk<'_> {
    type Item = Point;

    fn next(&mut self) -> Option<Point> {
        self.advance().then(|| self.point())
    }
}
