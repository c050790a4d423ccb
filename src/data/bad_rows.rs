//! Rows that are no bars: what is wrong with one, and what many of them say about the file.

use super::DataError;
use super::config::{BadRows, DataConfig};
use super::rows::{NO_SYMBOL, NO_TIME, NUMBERS, Origin, Rows};

/// Dropping a larger share of the rows is refused: what is left would be a sample that nobody chose.
const MOST_DROPPED: f64 = 0.05;

/// A larger share of rows whose prices contradict each other is no accident of single rows.
const MOST_CONTRADICTING: f64 = 0.01;

/// The bad ones among the rows that were asked for.
#[derive(Default)]
pub(super) struct BadRowCount {
    /// Rows that were asked for, good and bad.
    pub(super) chosen: usize,
    /// Rows that are no bars.
    pub(super) bad: usize,
    /// Those of them without any price: nothing is lost where they are left out.
    empty: usize,
    /// Those of them with an open or a close outside low to high.
    contradicting: usize,
    /// The first of them.
    first: Option<usize>,
}

impl BadRowCount {
    /// Looks at a row that was asked for and says whether it is a bar.
    pub(super) fn take(&mut self, rows: &Rows, index: usize) -> bool {
        self.chosen += 1;
        if problem(rows, index).is_none() {
            return true;
        }
        let [open, high, low, close] = std::array::from_fn(|column| rows.numbers[column][index]);
        let whole = [open, high, low, close].iter().all(|price| price.is_finite() && *price > 0.0);
        self.bad += 1;
        self.empty += usize::from([open, high, low, close].iter().all(|price| price.is_nan()));
        self.contradicting += usize::from(whole && (open.min(close) < low || open.max(close) > high));
        self.first.get_or_insert(index);
        false
    }

    /// Refuses bad rows that the configuration does not allow, and more of them than single mishaps can be.
    pub(super) fn check(&self, rows: &Rows, config: &DataConfig) -> Result<(), DataError> {
        let Some(first) = self.first else { return Ok(()) };
        // A single row is a mishap in the shortest file, too.
        let lost = self.bad - self.empty;
        let too_many = lost > 1 && lost as f64 > MOST_DROPPED * self.chosen as f64;
        let drop = config.quality.bad_rows == BadRows::Drop;
        if drop && !too_many {
            return Ok(());
        }
        if config.columns.maps_a_price()
            && self.contradicting > 1
            && self.contradicting as f64 > MOST_CONTRADICTING * self.chosen as f64
        {
            return Err(self.adjusted_differently(rows, first, config));
        }
        let Some((column, mut found)) = problem(rows, first) else { return Ok(()) };
        if self.bad > 1 {
            found += &format!(
                " (the first of {} bad rows, {:.1} % of {})",
                self.bad,
                self.percent(self.bad),
                self.chosen
            );
        }
        let remedy = match (too_many, rows.origin) {
            (false, origin) => format!("mend the source, or {}", origin.drop_bad_rows()),
            (true, Origin::Parquet) => {
                "mend the source or data.columns, or narrow data.range or data.symbols; at most 5 % of the rows may \
                 be dropped, not counting rows without any price"
                    .into()
            }
            (true, Origin::Text) => {
                "mend the source, or say with --column where each part stands; at most 5 % of the lines may be \
                 dropped, not counting lines without any price"
                    .into()
            }
        };
        // A value of a wide file stands in the column that gives the symbol its name.
        let column = match rows.names.all().get(rows.symbol[first] as usize) {
            Some(series) if rows.series && column != "timestamp" => series,
            _ => column,
        };
        Err(rows.error(first, column, found, &remedy))
    }

    fn adjusted_differently(&self, rows: &Rows, first: usize, config: &DataConfig) -> DataError {
        let close = config.columns.close_name();
        DataError::Bars {
            subject: config.path.clone(),
            found: format!(
                "{} of {} rows ({:.1} %) have an open or close outside low to high, first {}; the columns under \
                 data.columns seem to be adjusted differently for splits and dividends",
                self.contradicting,
                self.chosen,
                self.percent(self.contradicting),
                rows.place(first)
            ),
            remedy: format!(
                "map open, high, low and close to columns of one kind, or all four to `{close}` to load closes only: \
                 data.columns: {{open: {close}, high: {close}, low: {close}, close: {close}}}"
            ),
        }
    }

    fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.chosen as f64
    }
}

/// The first thing that makes a row no bar: its column and what is there.
pub(super) fn problem(rows: &Rows, index: usize) -> Option<(&'static str, String)> {
    if rows.time[index] == NO_TIME {
        let known = rows.time_problems.binary_search_by_key(&index, |(row, _)| *row);
        let found = known
            .map_or_else(|_| "the time is missing (null)".to_owned(), |at| rows.time_problems[at].1.clone());
        return Some(("timestamp", found));
    }
    if rows.symbol[index] == NO_SYMBOL {
        return Some(("symbol", "the symbol is missing (null)".into()));
    }
    let values: [f64; 5] = std::array::from_fn(|column| rows.numbers[column][index]);
    for (name, value) in NUMBERS.iter().zip(values) {
        let positive = value > 0.0 || (*name == "volume" && value == 0.0);
        let sound = value.is_finite() && (positive || rows.series);
        if !sound {
            let wanted = if rows.series {
                "a value is finite"
            } else if *name == "volume" {
                "a volume is finite and not negative"
            } else {
                "a price is finite and positive"
            };
            let found = if value.is_nan() {
                "the value is missing (null or NaN)".into()
            } else {
                format!("{value}; {wanted}")
            };
            return Some((name, found));
        }
    }
    let [open, high, low, close, _] = values;
    if high < low {
        return Some(("high", format!("high {high} is below low {low}")));
    }
    if low > open.min(close) {
        return Some(("low", format!("low {low} is above open {open} or close {close}")));
    }
    if high < open.max(close) {
        return Some(("high", format!("high {high} is below open {open} or close {close}")));
    }
    None
}
