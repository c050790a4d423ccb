//! Rolling least squares of one column on another.

use crate::domains::market::rolling;

/// Moments of pairs (x, y), joined without cancellation (Chan, Golub, LeVeque 1979).
#[derive(Clone, Copy)]
pub(super) struct Joint {
    count: f64,
    mean_x: f64,
    mean_y: f64,
    squares_x: f64,
    squares_y: f64,
    products: f64,
}

impl Joint {
    fn joined(self, later: Joint) -> Joint {
        let count = self.count + later.count;
        let (x, y) = (later.mean_x - self.mean_x, later.mean_y - self.mean_y);
        let share = later.count / count;
        let weight = self.count * share;
        Joint {
            count,
            mean_x: self.mean_x + x * share,
            mean_y: self.mean_y + y * share,
            squares_x: self.squares_x + later.squares_x + x * x * weight,
            squares_y: self.squares_y + later.squares_y + y * y * weight,
            products: self.products + later.products + x * y * weight,
        }
    }

    /// The slope of y on x by least squares; null where x does not vary.
    pub(super) fn slope(self) -> f64 {
        if self.squares_x > 0.0 { self.products / self.squares_x } else { f64::NAN }
    }

    /// The distance of the point (x, y) from the line through the means with this slope.
    pub(super) fn residual(self, slope: f64, x: f64, y: f64) -> f64 {
        (y - self.mean_y) - slope * (x - self.mean_x)
    }

    /// Sample standard deviation of those distances over the window; null where nothing but rounding is left of them.
    pub(super) fn residual_deviation(self, slope: f64) -> f64 {
        let scale = self.squares_y + slope * slope * self.squares_x;
        let squares = self.squares_y - 2.0 * slope * self.products + slope * slope * self.squares_x;
        if squares > 1e-12 * scale { (squares / (self.count - 1.0)).sqrt() } else { f64::NAN }
    }
}

/// The moments of every full window of `period` pairs; element i is the window that ends at pair `i + period - 1`.
pub(super) fn joint_moments(x: &[f64], y: &[f64], period: usize) -> Vec<Joint> {
    let single = |(x, y): (&f64, &f64)| Joint {
        count: 1.0,
        mean_x: *x,
        mean_y: *y,
        squares_x: 0.0,
        squares_y: 0.0,
        products: 0.0,
    };
    let pairs: Vec<Joint> = x.iter().zip(y).map(single).collect();
    rolling::fold(&pairs, period, Joint::joined)
}
