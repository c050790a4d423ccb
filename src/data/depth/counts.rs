//! Snapshots that are no state of a book, and what many of them say about the files.

use crate::data::DataError;
use crate::units::counted;
use std::path::{Path, PathBuf};

/// Dropping a larger share of the snapshots is refused: what is left would be a sample that nobody chose.
const MOST_DROPPED: f64 = 0.05;

/// A volume this close to the mid price, relatively, looks like a price.
const LIKE_A_PRICE: f64 = 0.01;

/// How many snapshots were read and why some were dropped.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) read: usize,
    pub(super) crossed: usize,
    pub(super) empty: usize,
    pub(super) shallow: usize,
    /// Where the first dropped one stands, and what is wrong with it.
    first: Option<(PathBuf, String, String)>,
}

impl Counts {
    /// Counts a snapshot that is dropped because the best bid is not below the best ask.
    pub(super) fn drop_crossed(&mut self, path: &Path, place: String, [bid, ask]: [f64; 2]) {
        self.crossed += 1;
        let found = format!("the best bid {bid} is not below the best ask {ask}");
        self.first.get_or_insert_with(|| (path.into(), place, found));
    }

    /// Counts a snapshot that is dropped because there is nothing in it.
    pub(super) fn drop_empty(&mut self, path: &Path, place: String, found: &str) {
        self.empty += 1;
        self.first.get_or_insert_with(|| (path.into(), place, found.to_owned()));
    }

    /// Refuses files of which too much would be dropped, or nothing left.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let dropped = self.crossed + self.empty;
        if self.read == 0 {
            let remedy = "choose files with snapshots of an order book";
            return Err(DataError::setting("INPUT", "there is no snapshot in them", remedy));
        }
        let Some((path, place, found)) = &self.first else { return Ok(()) };
        if dropped < self.read && dropped as f64 <= MOST_DROPPED * self.read as f64 {
            return Ok(());
        }
        Err(DataError::Row {
            path: path.clone(),
            place: place.clone(),
            column: "bid and ask".into(),
            found: format!(
                "{found}, the first of {dropped} such snapshots out of {} ({:.1} %; at most {} % are dropped)",
                self.read,
                100.0 * dropped as f64 / self.read as f64,
                100.0 * MOST_DROPPED
            ),
            remedy: "check that bids and asks are not exchanged, and repair the source".into(),
        })
    }

    /// What people should know.
    pub(super) fn warnings(&self, within_percent: f64) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.crossed > 0 {
            let crossed = counted(self.crossed, "snapshot");
            warnings.push(format!("{crossed} dropped: the best bid is not below the best ask"));
        }
        if self.empty > 0 {
            warnings.push(format!("{} dropped: the book is empty", counted(self.empty, "snapshot")));
        }
        if self.shallow > 0 {
            warnings.push(format!(
                "the deepest level of {} out of {} lies closer to the mid price than {within_percent} %: their volumes are \
                 lower bounds; take more levels, or a smaller --within-percent",
                counted(self.shallow, "snapshot"),
                self.read
            ));
        }
        warnings
    }
}

/// Volumes of one file that look like prices: some crawlers read the wrong field.
#[derive(Debug, Default)]
pub(super) struct PriceLike {
    rows: usize,
    alike: usize,
    first: Option<(String, &'static str, f64, f64)>,
}

impl PriceLike {
    /// Looks at a snapshot.
    pub(super) fn take(&mut self, place: impl Fn() -> String, mid_price: f64, [buy, sell]: [f64; 2]) {
        self.rows += 1;
        let alike = |volume: f64| (volume / mid_price - 1.0).abs() <= LIKE_A_PRICE;
        for (column, volume) in [("buy_volume", buy), ("sell_volume", sell)] {
            if alike(volume) {
                self.alike += 1;
                self.first.get_or_insert_with(|| (place(), column, volume, mid_price));
                return;
            }
        }
    }

    /// Refuses a file in which most volumes look like prices.
    pub(super) fn check(&self, path: &Path) -> Result<(), DataError> {
        match &self.first {
            Some((place, column, volume, mid_price)) if 2 * self.alike > self.rows => {
                let share = 100.0 * self.alike as f64 / self.rows as f64;
                Err(DataError::Row {
                    path: path.into(),
                    place: place.clone(),
                    column: (*column).into(),
                    found: format!(
                        "the volume {volume} lies within 1 % of the mid price {mid_price}, and so it is in {share:.0} % of \
                         the rows: the volumes are prices"
                    ),
                    remedy: "a crawler that reads the wrong field does so; repair it and collect again"
                        .into(),
                })
            }
            _ => Ok(()),
        }
    }
}
