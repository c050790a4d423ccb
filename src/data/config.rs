//! The `data:` section of an experiment.

use super::BarDuration;
use crate::units::Time;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Which bars to load, and what to do where they are not clean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// A Parquet file, a folder of them (read with its subfolders) or a glob (`*`, `?`, and `**` for any folders);
    /// relative to the folder in which the program was started. Several files are read in the order of their names.
    pub path: String,
    /// The symbols to load, in the order they shall have; left out: all, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<Vec<String>>,
    /// The symbol of files that have no column of symbols; left out: the file's name without its ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The span of time to load.
    #[serde(default)]
    pub range: RangeConfig,
    /// IANA name of the zone in which timestamps without a zone (and dates) are meant, for example `America/New_York`.
    /// An hour that the clock runs through twice is read as its first pass; a time that the clock skips is a bad row.
    /// Timestamps that carry a zone and integers (counted from 1970-01-01 UTC) need none.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Names of the columns, where they differ from timestamp, symbol, open, high, low, close, volume.
    #[serde(default)]
    pub columns: ColumnsConfig,
    /// Builds longer bars, for example `4h` or `1d`: first open, highest high, lowest low, last close, sum of volumes.
    /// Buckets are aligned to midnight UTC and stamped at their start. A symbol's first bucket is dropped unless
    /// a bar starts where it starts, its last unless a bar ends where it ends; both are counted. The length must be a
    /// multiple of the bars' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resample: Option<BarDuration>,
    /// What to do with rows that are not clean.
    #[serde(default)]
    pub quality: QualityConfig,
}

fn utc() -> String {
    "UTC".into()
}

impl DataConfig {
    /// All bars of a path, with every other setting at its default.
    pub fn of(path: impl Into<String>) -> DataConfig {
        DataConfig {
            path: path.into(),
            symbols: None,
            symbol: None,
            range: RangeConfig::default(),
            time_zone: utc(),
            columns: ColumnsConfig::default(),
            resample: None,
            quality: QualityConfig::default(),
        }
    }
}

/// A span of time by the start of bars. A time is `2021-03-04`, `2021-03-04T05:06:07` (UTC) or with `Z` or an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RangeConfig {
    /// The first bar may start here; left out: the first bar there is.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub start: Option<Time>,
    /// Bars start before this: `end: 2024-01-01` takes all of 2023. Left out: to the last bar.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub end: Option<Time>,
}

mod moment {
    use super::{Deserialize, Deserializer, Serializer, Time};

    #[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| Time::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

/// Where each part of a bar stands in the files. A file with a close but neither open, high nor low is read as closes
/// only: open = high = low = close, with a warning. So is a file of which all four are mapped to one column:
/// `{open: adj_close, high: adj_close, low: adj_close, close: adj_close}` is how to load an adjusted close beside
/// unadjusted prices, for mixing the two would be wrong. A file without volume has volume 0, with a warning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnsConfig {
    /// Start of the bar: a name, or `{column: ts, unit: ms}` where it is an integer.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "optional_timestamp")]
    #[schemars(with = "Option<TimestampForms>")]
    pub timestamp: Option<TimestampColumn>,
    /// Name of the symbol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// First price: a name, or `{mid: [bid_open, ask_open]}` for the mean of two columns.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "optional_price")]
    pub open: Option<PriceColumn>,
    /// Highest price: a name, or `{mid: [bid_high, ask_high]}`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "optional_price")]
    pub high: Option<PriceColumn>,
    /// Lowest price: a name, or `{mid: [bid_low, ask_low]}`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "optional_price")]
    pub low: Option<PriceColumn>,
    /// Last price: a name, or `{mid: [bid_close, ask_close]}`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "optional_price")]
    pub close: Option<PriceColumn>,
    /// Traded volume in units of the asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// Columns of a wide file that are series of numbers which nobody trades (loads, temperatures, rates): each becomes a
    /// symbol of its name with open = high = low = close = its value and volume 0. Values may be 0 and negative. Only
    /// `timestamp` may be mapped beside them, and an experiment on them has no strategies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<String>,
    /// Further columns of numbers that features (`column`, `depth_stress`), circuit breakers and costs read, by the name under
    /// which they are known:
    /// `{gas_price: gas_price_gwei, funding_rate: {column: funding, resample: sum}}`. A null stays a null.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, ExtraColumn>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the two forms of the schema")]
enum TimestampForms {
    /// The name of the column.
    Name(String),
    /// The name, and the unit of integers.
    Written(TimestampColumn),
}

/// A column beside the bars: its name, or `{column: funding, resample: sum}`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(with = "ExtraColumnForms")]
pub struct ExtraColumn {
    /// Its name in the files.
    pub column: String,
    /// What becomes of it where `data.resample` builds longer bars.
    pub resample: Resampling,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the two forms of the schema")]
enum ExtraColumnForms {
    /// The name of the column in the files.
    Name(String),
    /// The name, and how longer bars are built from it.
    Written(WrittenColumn),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenColumn {
    /// Its name in the files.
    column: String,
    /// What becomes of it where `data.resample` builds longer bars. Default `last`.
    #[serde(default)]
    resample: Resampling,
}

/// How an extra column of longer bars is built from shorter ones. Nulls are left out; where all are null, so is the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// The last value: right for prices and states.
    #[default]
    Last,
    /// The sum: right for what is paid each time, such as funding.
    Sum,
    /// The arithmetic mean.
    Mean,
}

impl ColumnsConfig {
    /// Whether more is mapped than a list of series leaves room for.
    pub(super) fn maps_bars(&self) -> bool {
        self.maps_a_price() || self.symbol.is_some() || self.volume.is_some() || !self.extra.is_empty()
    }

    /// Whether any price is mapped by the user.
    pub(super) fn maps_a_price(&self) -> bool {
        [&self.open, &self.high, &self.low, &self.close].iter().any(|price| price.is_some())
    }

    /// The close as it would be written.
    pub(super) fn close_name(&self) -> String {
        match &self.close {
            None => "close".into(),
            Some(PriceColumn::Name(name)) => name.clone(),
            Some(PriceColumn::Mid { mid: [bid, ask] }) => format!("{{mid: [{bid}, {ask}]}}"),
        }
    }
}

/// The column of timestamps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampColumn {
    /// Its name.
    pub column: String,
    /// What integers count since 1970-01-01 UTC; needed for integers only, which must lie in the years 1980 to 2100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<TimeUnit>,
}

/// What an integer timestamp counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl TimeUnit {
    /// Nanoseconds of one unit.
    pub fn nanoseconds(self) -> i64 {
        match self {
            TimeUnit::S => 1_000_000_000,
            TimeUnit::Ms => 1_000_000,
            TimeUnit::Us => 1_000,
            TimeUnit::Ns => 1,
        }
    }

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::S => "s",
            TimeUnit::Ms => "ms",
            TimeUnit::Us => "us",
            TimeUnit::Ns => "ns",
        }
    }

    /// The unit in which a number is a moment between 1973 and 5138: people mean no other.
    pub fn guess(value: i64) -> TimeUnit {
        match value.unsigned_abs() {
            0..100_000_000_000 => TimeUnit::S,
            100_000_000_000..100_000_000_000_000 => TimeUnit::Ms,
            100_000_000_000_000..100_000_000_000_000_000 => TimeUnit::Us,
            _ => TimeUnit::Ns,
        }
    }
}

/// Where a price comes from.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum PriceColumn {
    /// One column.
    Name(String),
    /// The mean of two columns, bid and ask.
    Mid {
        /// Names of the two columns.
        mid: [String; 2],
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mid {
    mid: [String; 2],
}

/// A value that may be written as a plain name. Not serde's untagged enum, which would lose the line of a typo.
struct NameOr<Written, Value>(PhantomData<(Written, Value)>);

impl<'de, Written: Deserialize<'de> + Into<Value>, Value: From<String>> Visitor<'de>
    for NameOr<Written, Value>
{
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a column, or a map")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        Written::deserialize(MapAccessDeserializer::new(map)).map(Into::into)
    }
}

impl From<String> for PriceColumn {
    fn from(name: String) -> PriceColumn {
        PriceColumn::Name(name)
    }
}

impl From<Mid> for PriceColumn {
    fn from(Mid { mid }: Mid) -> PriceColumn {
        PriceColumn::Mid { mid }
    }
}

impl From<String> for TimestampColumn {
    fn from(column: String) -> TimestampColumn {
        TimestampColumn { column, unit: None }
    }
}

impl From<String> for ExtraColumn {
    fn from(column: String) -> ExtraColumn {
        ExtraColumn { column, resample: Resampling::default() }
    }
}

impl From<WrittenColumn> for ExtraColumn {
    fn from(written: WrittenColumn) -> ExtraColumn {
        ExtraColumn { column: written.column, resample: written.resample }
    }
}

impl<'de> Deserialize<'de> for ExtraColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOr::<WrittenColumn, ExtraColumn>(PhantomData))
    }
}

fn optional_timestamp<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<TimestampColumn>, D::Error> {
    deserializer.deserialize_any(NameOr::<TimestampColumn, TimestampColumn>(PhantomData)).map(Some)
}

fn optional_price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PriceColumn>, D::Error> {
    deserializer.deserialize_any(NameOr::<Mid, PriceColumn>(PhantomData)).map(Some)
}

/// What to do with rows that are not clean. The strict answer is the default; each repair is counted and reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QualityConfig {
    /// Two bars of one symbol with the same time.
    pub duplicates: Duplicates,
    /// A bar that is earlier than the one before it in the same file and symbol. (Files may overlap or stand in any
    /// order: their bars are always merged by time.)
    pub unsorted: Unsorted,
    /// Two successive bars of a symbol that are further apart than one interval.
    pub gaps: Gaps,
    /// A row with a missing time, symbol, price or volume, a price that is not finite and positive, a negative volume,
    /// a low above or a high below another price of the bar. To drop more than 5 % of the rows, not counting rows without
    /// any price, is an error: what is left would be a sample that nobody chose.
    pub bad_rows: BadRows,
}

/// Two bars of one symbol with the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Duplicates {
    /// Stop.
    #[default]
    Error,
    /// Keep the one that was read first.
    KeepFirst,
    /// Keep the one that was read last.
    KeepLast,
}

/// A bar that is earlier than the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unsorted {
    /// Stop.
    #[default]
    Error,
    /// Sort by time.
    Sort,
}

/// Bars that are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gaps {
    /// Leave the gap: no bar is invented.
    #[default]
    Keep,
    /// Stop.
    Error,
}

/// A row that is no bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum BadRows {
    /// Stop.
    #[default]
    Error,
    /// Leave the row out.
    Drop,
}
