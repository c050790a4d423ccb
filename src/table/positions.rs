//! What a strategy wants to hold.

use super::{Bars, NULL};

/// Targets of one book, decided at the close of each bar.
///
/// A target is the wanted share of the symbol's part of the book: 1 is fully long, 0 flat, -1 fully short. A null keeps
/// the quantity as it is. Sizing turns a share into a quantity when the order is filled.
#[derive(Clone, Debug)]
pub struct Positions {
    /// `[symbol][row]`.
    targets: Vec<Vec<f64>>,
    /// `[symbol][row]`: gross weight of the allocation to which the order belongs; empty where targets are no weights.
    gross: Vec<Vec<f64>>,
    basis: Basis,
}

/// Of what a target is a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Of the symbol's slot, an equal part of the book.
    Slot,
    /// Of the whole book: portfolio weights.
    Book,
}

impl Positions {
    /// Takes levels "be this exposed from now on" and keeps only the rows at which the level changes, so that an
    /// unchanged opinion never trades. Leading zeros are no order.
    ///
    /// # Errors
    /// Rows that do not fit the bars, or a target that is not in [-1, 1].
    pub fn levels(bars: &Bars, mut levels: Vec<Vec<f64>>) -> Result<Positions, String> {
        for column in &mut levels {
            let mut current = 0.0;
            for level in column {
                if level.is_nan() {
                    continue;
                }
                if *level == current {
                    *level = NULL;
                } else {
                    current = *level;
                }
            }
        }
        Positions::orders(bars, levels)
    }

    /// Takes orders: each number trades to that target, also when it equals the one before (a rebalance).
    ///
    /// # Errors
    /// As [`Positions::levels`].
    pub fn orders(bars: &Bars, targets: Vec<Vec<f64>>) -> Result<Positions, String> {
        Positions::new(bars, targets, Vec::new(), Basis::Slot)
    }

    /// Takes portfolio weights: each number trades to that share of the whole book's equity at the moment of the fill. The
    /// weights of one step are one allocation. They may add up to less than 1, the rest is cash; what is above 1 in sum of
    /// absolute values needs leverage, and is scaled down together without. Sales are filled before purchases.
    ///
    /// # Errors
    /// As [`Positions::levels`].
    pub fn weights(bars: &Bars, weights: Vec<Vec<f64>>) -> Result<Positions, String> {
        let mut sums = vec![0.0; bars.timeline().times().len()];
        let orders = |column: &[f64], symbol: usize| -> Vec<(usize, f64)> {
            let steps = bars.timeline().steps(symbol).iter().map(|step| *step as usize);
            steps.zip(column.iter().copied()).collect()
        };
        let symbols = || weights.iter().enumerate().take(bars.symbols().len());
        for (step, weight) in symbols().flat_map(|(symbol, column)| orders(column, symbol)) {
            sums[step] += if weight.is_nan() { 0.0 } else { weight.abs() };
        }
        let gross = symbols()
            .map(|(symbol, column)| orders(column, symbol).into_iter().map(|(step, _)| sums[step]).collect());
        let gross = gross.collect();
        Positions::allocated(bars, weights, gross)
    }

    /// Takes portfolio weights as [`Positions::weights`], but an allocation may be ordered over several steps, as where
    /// symbols trade at different hours: `gross[symbol][row]` is the sum of absolute weights of the whole allocation to
    /// which the order of that row belongs. It must be known when the first of them is ordered. Rows without an order
    /// are not looked at.
    ///
    /// # Errors
    /// As [`Positions::levels`].
    pub fn allocated(bars: &Bars, weights: Vec<Vec<f64>>, gross: Vec<Vec<f64>>) -> Result<Positions, String> {
        if !gross.iter().map(Vec::len).eq(weights.iter().map(Vec::len)) {
            return Err("gross weights do not fit the weights, expected one a weight".into());
        }
        Positions::new(bars, weights, gross, Basis::Book)
    }

    fn new(
        bars: &Bars,
        targets: Vec<Vec<f64>>,
        gross: Vec<Vec<f64>>,
        basis: Basis,
    ) -> Result<Positions, String> {
        if targets.len() != bars.symbols().len() {
            return Err(format!("targets for {} symbols, expected {}", targets.len(), bars.symbols().len()));
        }
        for (symbol, column) in bars.symbols().iter().zip(&targets) {
            if column.len() != symbol.len() {
                let (found, expected) = (column.len(), symbol.len());
                return Err(format!("{found} targets for {}, expected {expected}", symbol.symbol()));
            }
            if let Some(row) = column.iter().position(|target| target.abs() > 1.0) {
                return Err(format!(
                    "target {} of {} at row {row} is outside -1 to 1; scale the strategy's weights",
                    column[row],
                    symbol.symbol()
                ));
            }
        }
        Ok(Positions { targets, gross, basis })
    }

    /// The targets of one symbol, one a bar, null where nothing is ordered.
    pub fn targets(&self, symbol: usize) -> &[f64] {
        &self.targets[symbol]
    }

    /// `[row]`: sum of absolute weights of the whole allocation to which the symbol's order belongs; empty where targets
    /// are no weights.
    pub fn gross(&self, symbol: usize) -> &[f64] {
        self.gross.get(symbol).map_or(&[], Vec::as_slice)
    }

    /// Of what the targets are shares.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// Number of symbols.
    pub fn symbols(&self) -> usize {
        self.targets.len()
    }
}
