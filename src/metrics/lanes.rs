//! Sums in lanes: eight sums side by side instead of one long chain of additions. Their order depends on the number of values
//! alone, so equal values have equal bits on any number of threads.

/// Sums side by side.
pub(super) const LANES: usize = 8;

/// Sums of what `parts` makes of each value, in an order that depends on the number of values alone.
#[inline(always)]
pub(super) fn lane_sums<const SUMS: usize>(
    values: &[f64],
    parts: impl Fn(f64) -> [f64; SUMS],
) -> [f64; SUMS] {
    let mut lanes = [[0.0; LANES]; SUMS];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for lane in 0..LANES {
            let parts = parts(chunk[lane]);
            for sum in 0..SUMS {
                lanes[sum][lane] += parts[sum];
            }
        }
    }
    let mut sums = lanes.map(|lanes| lanes.iter().sum::<f64>());
    for value in rest {
        let parts = parts(*value);
        for sum in 0..SUMS {
            sums[sum] += parts[sum];
        }
    }
    sums
}

/// Sum of the products of two series, up to the end of the shorter one.
pub(super) fn lane_product(one: &[f64], other: &[f64]) -> f64 {
    let rows = one.len().min(other.len());
    let (one, one_rest) = one[..rows].as_chunks::<LANES>();
    let (other, other_rest) = other[..rows].as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (one, other) in one.iter().zip(other) {
        for lane in 0..LANES {
            lanes[lane] += one[lane] * other[lane];
        }
    }
    let rest = one_rest.iter().zip(other_rest).map(|(one, other)| one * other);
    lanes.into_iter().chain(rest).sum()
}
