//! Named columns that a model may see.

/// The null of every f64 column. Bars are finite by construction, so NaN can only mean "not known yet": the warm-up
/// of an indicator, or a ratio whose denominator is zero. A null is never replaced by 0.
pub const NULL: f64 = f64::NAN;

/// Feature columns, row for row beside the bars. A row at t knows nothing after the close of t.
#[derive(Clone, Debug)]
pub struct Features {
    names: Vec<String>,
    /// `[symbol][feature][row]`.
    columns: Vec<Vec<Vec<f64>>>,
}

impl Features {
    /// Takes columns `[symbol][feature][row]`, each symbol with one column a name and equal rows. Infinities become
    /// nulls.
    ///
    /// # Errors
    /// Says which symbol and feature has the wrong length, or which name stands twice.
    pub fn new(names: Vec<String>, mut columns: Vec<Vec<Vec<f64>>>) -> Result<Features, String> {
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(format!("the feature `{name}` is computed twice; remove one of them"));
            }
        }
        for (symbol, features) in columns.iter_mut().enumerate() {
            if features.len() != names.len() {
                return Err(format!(
                    "symbol {symbol} has {} features, expected {}",
                    features.len(),
                    names.len()
                ));
            }
            let rows = features.first().map_or(0, Vec::len);
            for (name, column) in names.iter().zip(features) {
                if column.len() != rows {
                    return Err(format!(
                        "feature `{name}` of symbol {symbol} has {} rows, expected {rows}",
                        column.len()
                    ));
                }
                for value in column.iter_mut().filter(|value| value.is_infinite()) {
                    *value = NULL;
                }
            }
        }
        Ok(Features { names, columns })
    }

    /// Names in the order of the last axis of every window.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of symbols.
    pub fn symbols(&self) -> usize {
        self.columns.len()
    }

    /// Number of rows of a symbol.
    pub fn rows(&self, symbol: usize) -> usize {
        self.columns[symbol].first().map_or(0, Vec::len)
    }

    /// One feature of one symbol, a value a bar.
    pub fn column(&self, symbol: usize, feature: usize) -> &[f64] {
        &self.columns[symbol][feature]
    }

    /// Whether each of the `window` rows that end at `row` knows every feature.
    pub fn complete(&self, symbol: usize, row: usize, window: usize) -> bool {
        row + 1 >= window
            && self.columns[symbol]
                .iter()
                .all(|column| column[row + 1 - window..=row].iter().all(|value| !value.is_nan()))
    }
}
