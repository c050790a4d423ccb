//! Exact quantiles of very many returns without sorting them.
//!
//! A sample says where the tail surely ends; what lies beyond that is gathered while the returns pass by, and the
//! quantile is selected among the few.

use super::equity_curve::{CurveRows, PIECE};
use super::finite;

/// Rows of the sample.
const SAMPLE: usize = 1 << 14;

/// Up to so many rows everything is gathered.
const FEW_ROWS: usize = 4 * SAMPLE;

/// The share of returns in a tail.
const SHARE: f64 = 0.05;

/// So many standard deviations of the sample's rank the gathered tail reaches beyond the quantile.
const MARGIN: f64 = 5.0;

/// The lower tail; the upper one is the lower tail of the negative returns.
pub(super) struct Tail {
    /// 1 or -1.
    sign: f64,
    /// What is below this is gathered.
    limit: f64,
    gathered: Vec<f64>,
}

impl Tail {
    /// Of the 5 % quantile and of the 95 % quantile.
    pub(super) fn both(rows: &CurveRows, starting_cash: f64) -> (Tail, Tail) {
        let sample: Vec<f64> = if rows.len() <= FEW_ROWS {
            Vec::new()
        } else {
            let row = |number: usize| number * rows.len() / SAMPLE;
            (0..SAMPLE).map(|number| rows.return_of(row(number), starting_cash)).collect()
        };
        let tail = |sign: f64| {
            let sample = sample.iter().map(|value| sign * value).collect();
            Tail::new(sign, rows.len(), sample)
        };
        (tail(1.0), tail(-1.0))
    }

    fn new(sign: f64, rows: usize, mut sample: Vec<f64>) -> Tail {
        if sample.is_empty() {
            return Tail { sign, limit: f64::INFINITY, gathered: Vec::with_capacity(rows) };
        }
        let count = SAMPLE as f64;
        let rank = SHARE * count + MARGIN * (count * SHARE * (1.0 - SHARE)).sqrt();
        let (_, limit, _) = sample.select_nth_unstable_by(rank as usize, f64::total_cmp);
        Tail { sign, limit: *limit, gathered: Vec::with_capacity(rows / 16) }
    }

    /// Takes the next piece of at most [`PIECE`] returns.
    #[inline(always)]
    pub(super) fn add(&mut self, values: &[f64]) {
        // Written always and kept where it counts: no branch that cannot be foreseen.
        let mut kept = [0.0; PIECE];
        let mut count = 0;
        for value in values {
            let value = self.sign * value;
            kept[count] = value;
            count += usize::from(value < self.limit);
        }
        self.gathered.extend_from_slice(&kept[..count]);
    }

    /// The quantile, linear between neighbours as [`quantile`](super::quantile), and the mean of the returns of the
    /// tail up to it. The curve that was read is read again where the sample was misleading or many returns are equal.
    pub(super) fn quantile(mut self, rows: &CurveRows, starting_cash: f64) -> (Option<f64>, Option<f64>) {
        let last = rows.len() - 1;
        let share = if self.sign > 0.0 { SHARE } else { 1.0 - SHARE };
        let position = share * last as f64;
        let (below, fraction) = (position.floor() as usize, position - position.floor());
        let ranks =
            [below, (below + 1).min(last)].map(|rank| if self.sign > 0.0 { rank } else { last - rank });
        let most = ranks[0].max(ranks[1]);
        let sign = self.sign;
        let mut at_limit = 0;
        if self.gathered.len() <= most {
            rows.each_piece(starting_cash, |_, _, values, _| {
                at_limit += values.iter().filter(|value| sign * **value == self.limit).count();
            });
            if self.gathered.len() + at_limit <= most {
                at_limit = 0;
                self.gathered.clear();
                rows.each_piece(starting_cash, |_, _, values, _| {
                    self.gathered.extend(values.iter().map(|value| sign * value));
                });
            }
        }
        let [lower, upper] = ranks.map(|rank| self.ranked(rank));
        let quantile = sign * lower + fraction * (sign * upper - sign * lower);
        let tail = self.gathered.iter().filter(|value| **value <= sign * quantile);
        let (count, sum) = tail.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
        let equal = if self.limit <= sign * quantile { at_limit as f64 } else { 0.0 };
        let sum = if equal > 0.0 { sum + equal * self.limit } else { sum };
        (finite(quantile), finite(sign * sum / (count + equal)))
    }

    /// The value at a rank from the tail's end; beyond what was gathered all are equal to the limit.
    fn ranked(&mut self, rank: usize) -> f64 {
        if rank >= self.gathered.len() {
            return self.limit;
        }
        *self.gathered.select_nth_unstable_by(rank, f64::total_cmp).1
    }
}
