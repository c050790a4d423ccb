//! Parzen estimators: densities over points, one kernel for each observed point and a flat one for the rest.

use super::axis::Axis;
use super::layout::{Layout, Point};
use crate::seed::Stream;

/// A mixture of kernels, each a product over the axes.
///
/// A number's kernel is a logistic distribution cut off at the ends of the unit interval; it resembles the normal one, and its
/// cumulative distribution and the inverse of it are plain formulas. A whole number has the probability of its cell over the
/// width of that cell. A choice's kernel holds most of its probability at the observed choice. An axis on which the observed
/// point has no coordinate has a flat kernel.
pub(super) struct Parzen<'a> {
    layout: &'a Layout,
    /// Of each observed point the kernel of each axis.
    kernels: Vec<Vec<Kernel>>,
    /// Cumulative weights of the observed points; the flat kernel has the rest up to 1.
    cumulative: Vec<f64>,
    /// Logarithms of the weights, that of the flat kernel last.
    log_weights: Vec<f64>,
}

/// No kernel is narrower than the unit interval by this factor.
const MOST_NARROW: f64 = 100.0;

/// With n kernels none is narrower than `(n + 1)^-NARROWING`. Measured on five standard functions: 1, as elsewhere, searches too
/// widely at the end, and 1.5 too narrowly while eight trials are under way.
const NARROWING: f64 = 1.15;

#[derive(Clone, Copy)]
enum Kernel {
    Flat,
    Choice { index: f64, own: f64, other: f64 },
    Number(Logistic),
}

/// A logistic distribution on the unit interval.
#[derive(Clone, Copy)]
struct Logistic {
    centre: f64,
    scale: f64,
    /// Cumulative probability at 0, before the ends are cut off.
    below: f64,
    /// Probability between 0 and 1, before the ends are cut off.
    inside: f64,
    /// Logarithm of `scale * inside`.
    log_norm: f64,
}

fn cumulative(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

impl Logistic {
    fn new(centre: f64, deviation: f64) -> Logistic {
        // The variance of a logistic distribution is (pi * scale)^2 / 3.
        let scale = deviation * 3.0_f64.sqrt() / std::f64::consts::PI;
        let below = cumulative(-centre / scale);
        let inside = cumulative((1.0 - centre) / scale) - below;
        Logistic { centre, scale, below, inside, log_norm: (scale * inside).ln() }
    }

    fn draw(&self, stream: &mut Stream) -> f64 {
        let share = self.below + stream.uniform() * self.inside;
        (self.centre + self.scale * (share / (1.0 - share)).ln()).clamp(0.0, 1.0)
    }

    fn log_density(&self, coordinate: f64) -> f64 {
        let z = ((coordinate - self.centre) / self.scale).abs();
        -z - 2.0 * (-z).exp().ln_1p() - self.log_norm
    }

    /// The mean density over a cell.
    fn log_density_of_cell(&self, (start, end): (f64, f64)) -> f64 {
        let probability =
            cumulative((end - self.centre) / self.scale) - cumulative((start - self.centre) / self.scale);
        (probability.max(f64::MIN_POSITIVE) / ((end - start) * self.inside)).ln()
    }
}

impl<'a> Parzen<'a> {
    /// Of observed points with these weights; the flat kernel has weight 1.
    pub(super) fn new(layout: &'a Layout, points: &[&Point], weights: &[f64]) -> Parzen<'a> {
        let mut kernels = vec![vec![Kernel::Flat; layout.axes.len()]; points.len()];
        for (axis, values) in layout.axes.iter().enumerate() {
            let there: Vec<(usize, f64)> =
                points.iter().enumerate().filter_map(|(index, point)| Some((index, point[axis]?))).collect();
            for (index, kernel) in axis_kernels(values, &there) {
                kernels[index][axis] = kernel;
            }
        }
        let total: f64 = weights.iter().sum::<f64>() + 1.0;
        let mut sum = 0.0;
        let cumulative = weights.iter().map(|weight| {
            sum += weight / total;
            sum
        });
        let cumulative = cumulative.collect();
        let log_weights = weights.iter().chain([&1.0]).map(|weight| (weight / total).ln()).collect();
        Parzen { layout, kernels, cumulative, log_weights }
    }

    /// A point drawn from the mixture.
    pub(super) fn draw(&self, stream: &mut Stream) -> Point {
        let unit = stream.uniform();
        let chosen = self.kernels.get(self.cumulative.partition_point(|sum| *sum <= unit));
        self.layout.point(|axis, values| match chosen.map_or(Kernel::Flat, |kernels| kernels[axis]) {
            Kernel::Flat => values.draw(stream.uniform()),
            Kernel::Number(kernel) => values.draw(kernel.draw(stream)),
            Kernel::Choice { index, own, other } => {
                let unit = stream.uniform();
                // The own choice has the end of the unit interval beyond the equal shares of all.
                let flat = 1.0 - (own - other);
                if unit < flat { values.draw(unit / flat) } else { index }
            }
        })
    }

    /// The logarithm of the density at a point.
    pub(super) fn log_density(&self, point: &Point) -> f64 {
        let active: Vec<(usize, f64, (f64, f64))> = point
            .iter()
            .enumerate()
            .filter_map(|(axis, coordinate)| {
                let coordinate = (*coordinate)?;
                Some((axis, coordinate, self.layout.axes[axis].cell(coordinate)))
            })
            .collect();
        let flat: f64 = active.iter().map(|(axis, ..)| flat_log_density(&self.layout.axes[*axis])).sum();
        let of_kernel = |kernels: &Vec<Kernel>| -> f64 {
            let each = active.iter().map(|(axis, coordinate, cell)| match kernels[*axis] {
                Kernel::Flat => flat_log_density(&self.layout.axes[*axis]),
                Kernel::Choice { index, own, other } => {
                    if index == *coordinate {
                        own.ln()
                    } else {
                        other.ln()
                    }
                }
                Kernel::Number(kernel) if cell.1 > cell.0 => kernel.log_density_of_cell(*cell),
                Kernel::Number(kernel) => kernel.log_density(*coordinate),
            });
            each.sum()
        };
        let logs: Vec<f64> = self
            .kernels
            .iter()
            .map(of_kernel)
            .chain([flat])
            .zip(&self.log_weights)
            .map(|(log, weight)| log + weight)
            .collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln()
    }
}

fn flat_log_density(values: &Axis) -> f64 {
    match values {
        Axis::Choices(choices) => -(choices.len() as f64).ln(),
        Axis::Interval { .. } => 0.0,
    }
}

/// The kernels of one axis, for the points that have a coordinate on it.
fn axis_kernels(values: &Axis, there: &[(usize, f64)]) -> Vec<(usize, Kernel)> {
    if let Axis::Choices(choices) = values {
        // One observation's worth of probability is shared by all choices, over all kernels (the flat one is one of them).
        let shared = 1.0 / (there.len() + 1) as f64;
        let total = 1.0 + shared * choices.len() as f64;
        let (own, other) = ((1.0 + shared) / total, shared / total);
        return there
            .iter()
            .map(|(point, index)| (*point, Kernel::Choice { index: *index, own, other }))
            .collect();
    }
    let mut sorted = there.to_vec();
    sorted.sort_by(|left, right| left.1.total_cmp(&right.1));
    let narrowest = 1.0 / MOST_NARROW.min((there.len() as f64 + 2.0).powf(NARROWING));
    let kernel = |rank: usize| {
        let (point, centre) = sorted[rank];
        let before = rank.checked_sub(1).map(|rank| sorted[rank].1);
        let after = sorted.get(rank + 1).map(|other| other.1);
        let gap = match (before, after) {
            (Some(before), Some(after)) => (centre - before).max(after - centre),
            (Some(before), None) => centre - before,
            (None, Some(after)) => after - centre,
            (None, None) => centre.max(1.0 - centre),
        };
        (point, Kernel::Number(Logistic::new(centre, gap.clamp(narrowest, 1.0))))
    };
    (0..sorted.len()).map(kernel).collect()
}
