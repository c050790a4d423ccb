//! Where in a file the parts of a bar stand.

use super::DataError;
use super::config::{ColumnsConfig, PriceColumn, TimeUnit};
use crate::suggest::closest;
use arrow::datatypes::{DataType, Schema};
use std::path::Path;

/// Indices of a file's top-level columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) timestamp: usize,
    pub(super) unit: Option<TimeUnit>,
    pub(super) symbol: Option<usize>,
    pub(super) prices: Prices,
    pub(super) volume: Option<usize>,
    /// In the order of their names.
    pub(super) extras: Vec<usize>,
}

/// The price columns of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Prices {
    /// Open, high, low, close.
    Bars([Source; 4]),
    /// Only a close.
    Closes(Source),
    /// Series that nobody trades, each a symbol.
    Series(Vec<usize>),
    /// None, which only a description allows.
    Absent,
}

/// One number of a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Source {
    /// As it is.
    Column(usize),
    /// The mean of two.
    Mid(usize, usize),
}

const PRICES: [&str; 4] = ["open", "high", "low", "close"];

impl Layout {
    /// Finds the columns of bars.
    pub(super) fn of(path: &Path, schema: &Schema, columns: &ColumnsConfig) -> Result<Layout, DataError> {
        if !columns.series.is_empty() {
            return Layout::of_series(path, schema, columns);
        }
        let finder = Finder { path, schema };
        let layout = Layout::times_only(path, schema, columns)?;
        let written = [&columns.open, &columns.high, &columns.low, &columns.close];
        let there = |index: usize| written[index].is_some() || finder.index(PRICES[index]).is_some();
        let price = |index: usize| -> Result<Source, DataError> {
            match written[index] {
                Some(PriceColumn::Mid { mid: [bid, ask] }) => {
                    Ok(Source::Mid(finder.require(PRICES[index], bid)?, finder.require(PRICES[index], ask)?))
                }
                Some(PriceColumn::Name(name)) => Ok(Source::Column(finder.require(PRICES[index], name)?)),
                None => Ok(Source::Column(finder.require(PRICES[index], PRICES[index])?)),
            }
        };
        let closes_only = there(3) && !there(0) && !there(1) && !there(2);
        // Without any price, the close is what is missed most: a file may have nothing else.
        if !(0..4).any(there) && finder.index("bid_open").is_none() {
            price(3)?;
        }
        let prices = if closes_only {
            finder.refuse_near_misses()?;
            Prices::Closes(price(3)?)
        } else {
            let sources = [price(0)?, price(1)?, price(2)?, price(3)?];
            // One column for all four is how a user asks for closes only where there are other prices, too.
            let one = sources.iter().all(|source| *source == sources[3]);
            if one { Prices::Closes(sources[3]) } else { Prices::Bars(sources) }
        };
        let volume = match &columns.volume {
            Some(name) => Some(finder.require("volume", name)?),
            None => finder.index("volume"),
        };
        let extras = columns
            .extra
            .iter()
            .map(|(name, extra)| finder.require_extra(name, &extra.column))
            .collect::<Result<_, _>>()?;
        Ok(Layout { prices, volume, extras, ..layout })
    }

    /// Finds the columns of series.
    fn of_series(path: &Path, schema: &Schema, columns: &ColumnsConfig) -> Result<Layout, DataError> {
        if columns.maps_bars() {
            return Err(DataError::setting(
                "data.columns.series",
                "it stands beside columns of prices, symbols, volumes or extras",
                "leave out all but `timestamp`, or `series` itself",
            ));
        }
        let names = &columns.series;
        if let Some((_, twice)) =
            names.iter().enumerate().find(|(index, name)| names[..*index].contains(name))
        {
            let found = format!("`{twice}` stands twice");
            return Err(DataError::setting("data.columns.series", found, "name each column once"));
        }
        let finder = Finder { path, schema };
        let layout = Layout::times_only(path, schema, columns)?;
        let series = names.iter().map(|name| finder.require("series", name)).collect::<Result<_, _>>()?;
        Ok(Layout { prices: Prices::Series(series), symbol: None, ..layout })
    }

    /// Finds the timestamp and, if there is one, the symbol.
    pub(super) fn times_only(
        path: &Path,
        schema: &Schema,
        columns: &ColumnsConfig,
    ) -> Result<Layout, DataError> {
        let finder = Finder { path, schema };
        let (name, unit) = match &columns.timestamp {
            Some(written) => (written.column.as_str(), written.unit),
            None => ("timestamp", None),
        };
        let symbol = match &columns.symbol {
            Some(name) => Some(finder.require("symbol", name)?),
            None => finder.index("symbol"),
        };
        let timestamp = finder.require("timestamp", name)?;
        Ok(Layout { timestamp, unit, symbol, prices: Prices::Absent, volume: None, extras: Vec::new() })
    }

    /// Every column that is read, ascending.
    pub(super) fn indices(&self) -> Vec<usize> {
        let mut all = vec![self.timestamp];
        all.extend(self.symbol);
        all.extend(self.volume);
        all.extend(&self.extras);
        let sources: &[Source] = match &self.prices {
            Prices::Bars(sources) => sources,
            Prices::Closes(source) => std::slice::from_ref(source),
            Prices::Series(series) => {
                all.extend(series);
                &[]
            }
            Prices::Absent => &[],
        };
        for source in sources {
            match source {
                Source::Column(index) => all.push(*index),
                Source::Mid(bid, ask) => all.extend([*bid, *ask]),
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What a folder's files must have in common, in words.
    pub(super) fn parts(&self) -> String {
        let prices = match self.prices {
            Prices::Bars(_) => "open, high, low, close",
            Prices::Closes(_) => "close only",
            Prices::Series(_) => "series",
            Prices::Absent => "no prices",
        };
        let symbol = if self.symbol.is_some() { "a symbol" } else { "no symbol" };
        let volume = if self.volume.is_some() { "a volume" } else { "no volume" };
        format!("{prices}, {symbol}, {volume}")
    }
}

struct Finder<'a> {
    path: &'a Path,
    schema: &'a Schema,
}

impl Finder<'_> {
    fn index(&self, name: &str) -> Option<usize> {
        self.schema.fields().iter().position(|field| field.name() == name)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    fn require(&self, part: &str, name: &str) -> Result<usize, DataError> {
        self.index(name).ok_or_else(|| {
            let remedy = match self.proposal(part, name) {
                Some(near) => {
                    format!("did you mean `{near}`? Write it under data.columns: {{{part}: {near}}}")
                }
                None if self.index("bid_px_1").is_some() => {
                    "these are levels of an order book; make bars of them with `candlewick data depth`".into()
                }
                None => format!("name the right one under data.columns: {{{part}: ...}}"),
            };
            self.error(name, remedy)
        })
    }

    fn require_extra(&self, known_as: &str, name: &str) -> Result<usize, DataError> {
        self.index(name).ok_or_else(|| {
            let right = closest(name, self.names()).unwrap_or("...");
            self.error(name, format!("write data.columns: {{extra: {{{known_as}: {right}}}}}"))
        })
    }

    fn error(&self, name: &str, remedy: String) -> DataError {
        let mut names: Vec<&str> = self.names().take(12).collect();
        if self.schema.fields().len() > names.len() {
            names.push("...");
        }
        let found = format!("there is no such column; the file has {}", names.join(", "));
        DataError::Column { path: self.path.into(), column: name.into(), found, remedy }
    }

    fn proposal(&self, part: &str, name: &str) -> Option<String> {
        let bid_ask = [format!("bid_{part}"), format!("ask_{part}")];
        if bid_ask.iter().all(|side| self.index(side).is_some()) {
            return Some(format!("{{mid: [{}]}}", bid_ask.join(", ")));
        }
        if let Some(near) = closest(name, self.names()) {
            return Some(near.to_owned());
        }
        let is_time =
            |kind: &DataType| matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
        let usual =
            ["time", "date", "datetime", "ts", "ticker", "asset", "pair", "price", "vol", "o", "h", "l", "c"];
        let fields = self.schema.fields();
        match part {
            "timestamp" => fields
                .iter()
                .find(|field| is_time(field.data_type()))
                .or_else(|| {
                    fields.iter().find(|field| usual[..4].contains(&field.name().to_lowercase().as_str()))
                })
                .map(|field| field.name().clone()),
            "close" => {
                ["price", "mid_price"].into_iter().find(|name| self.index(name).is_some()).map(str::to_owned)
            }
            _ => fields
                .iter()
                .find(|field| {
                    usual[9..].contains(&field.name().as_str()) && part.starts_with(field.name().as_str())
                })
                .map(|field| field.name().clone()),
        }
    }

    /// `Open` or `opne` beside a close must not pass as a file of closes only.
    fn refuse_near_misses(&self) -> Result<(), DataError> {
        let letters = |name: &str| {
            let mut letters: Vec<char> = name.to_lowercase().chars().collect();
            letters.sort_unstable();
            letters
        };
        for part in &PRICES[..3] {
            if let Some(near) = self.names().find(|name| letters(name) == letters(part)) {
                let remedy =
                    format!("did you mean `{near}`? Write it under data.columns: {{{part}: {near}}}");
                return Err(self.error(part, remedy));
            }
        }
        Ok(())
    }
}
