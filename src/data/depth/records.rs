//! Snapshots from the text files of a crawler that has summed the book already.

use super::counts::PriceLike;
use super::{DepthOptions, Snapshot, Snapshots, default_symbol};
use crate::data::DataError;
use crate::data::text_table::{CsvFile, json_lines, scalar, unreadable};
use crate::data::text_time::instant;
use crate::data::time_zone::Zone;
use std::path::Path;

/// The fields of a record; `symbol` and `blr` need not be there.
const FIELDS: [&str; 6] = ["timestamp", "mid_price", "buy_volume", "sell_volume", "blr", "symbol"];

/// Fields that must be there.
const NEEDED: usize = 4;

/// Whether the ending of a file is that of text.
pub(super) fn is_text(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ["csv", "tsv", "txt", "json", "jsonl", "ndjson"].contains(&ending.as_str())
}

/// Reads every record of a file.
pub(super) fn read(path: &Path, options: &DepthOptions, snapshots: &mut Snapshots) -> Result<(), DataError> {
    let default = default_symbol(path, options);
    let mut reader = Reader {
        path,
        options,
        default,
        zone: Zone::named("UTC")?,
        like_prices: PriceLike::default(),
        snapshots,
    };
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !["json", "jsonl", "ndjson"].contains(&ending.as_str()) {
        reader.csv()?;
    } else if starts_with_bracket(path)? {
        reader.json_array()?;
    } else {
        json_lines(path, |line, object| reader.object(&format!("line {line}"), object))?;
    }
    reader.like_prices.check(path)
}

fn starts_with_bracket(path: &Path) -> Result<bool, DataError> {
    let text = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    Ok(text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'['))
}

/// `buyVolume` and `Buy_Volume` are `buy_volume`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.trim_matches(['"', '\u{feff}', ' ']).chars() {
        if letter.is_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

struct Reader<'a> {
    path: &'a Path,
    options: &'a DepthOptions,
    default: String,
    zone: Zone,
    like_prices: PriceLike,
    snapshots: &'a mut Snapshots,
}

impl Reader<'_> {
    fn csv(&mut self) -> Result<(), DataError> {
        let file = CsvFile::open(self.path)?;
        let names: Vec<String> = file.names.iter().map(|name| snake_case(name)).collect();
        let places = FIELDS.map(|field| names.iter().position(|name| name == field));
        if let Some(missing) = places[..NEEDED].iter().position(Option::is_none) {
            return Err(DataError::Column {
                path: self.path.into(),
                column: FIELDS[missing].into(),
                found: format!("there is no such column; the file has {}", file.names.join(", ")),
                remedy: format!("write a header with {}", FIELDS[..NEEDED].join(", ")),
            });
        }
        file.lines(|line, value| {
            let text = |place: Option<usize>| {
                place.and_then(value).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
            };
            self.record(&format!("line {line}"), &places.map(text))
        })
    }

    fn json_array(&mut self) -> Result<(), DataError> {
        let text = std::fs::read(self.path).map_err(|error| unreadable(self.path, &error))?;
        let objects: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(&text)
            .map_err(|error| {
                let remedy = "write an array of JSON objects, or one object a line";
                DataError::file(self.path, format!("it is no JSON array of objects ({error})"), remedy)
            })?;
        for (index, object) in objects.iter().enumerate() {
            self.object(&format!("object {}", index + 1), object)?;
        }
        Ok(())
    }

    fn object(
        &mut self,
        place: &str,
        object: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<(), DataError> {
        let field = |field: &str| {
            let found = object.iter().find(|(name, _)| snake_case(name) == field);
            found.and_then(|(_, value)| scalar(value)).filter(|text| !text.trim().is_empty())
        };
        self.record(place, &FIELDS.map(field))
    }

    /// Takes one record, its fields in the order of [`FIELDS`].
    fn record(&mut self, place: &str, fields: &[Option<String>; FIELDS.len()]) -> Result<(), DataError> {
        let number = |index: usize| self.number(place, FIELDS[index], fields[index].as_deref());
        let [mid_price, buy_volume, sell_volume] = [number(1)?, number(2)?, number(3)?];
        let blr = fields[4].as_ref().map(|_| number(4)).transpose()?;
        let Some(text) = &fields[0] else {
            return Err(self.wrong(place, FIELDS[0], "there is none".into()));
        };
        let time = instant(text, self.options.unit, &self.zone);
        let time = time.map_err(|found| self.wrong(place, FIELDS[0], found))?;
        for (column, volume) in [("buy_volume", buy_volume), ("sell_volume", sell_volume)] {
            if volume < 0.0 {
                return Err(self.wrong(place, column, format!("{volume} is negative; expected a volume")));
            }
        }
        if mid_price <= 0.0 {
            return Err(self.wrong(place, "mid_price", format!("{mid_price}; expected a positive price")));
        }
        self.snapshots.counts.read += 1;
        if buy_volume == 0.0 && sell_volume == 0.0 {
            self.snapshots.counts.drop_empty(self.path, place.into(), "both volumes are 0");
            return Ok(());
        }
        if let Some(blr) = blr {
            self.check_ratio(place, blr, [buy_volume, sell_volume])?;
        }
        self.like_prices.take(|| place.into(), mid_price, [buy_volume, sell_volume]);
        let symbol = self.snapshots.names.code(fields[5].as_deref().unwrap_or(&self.default));
        self.snapshots.rows.push(Snapshot { time, symbol, mid_price, buy_volume, sell_volume });
        Ok(())
    }

    /// Refuses a ratio that is not that of the volumes, up to the rounding of crawlers: volumes to 2 digits, the ratio to
    /// 4. Without anything for sale crawlers write 0.
    fn check_ratio(&self, place: &str, blr: f64, [buy, sell]: [f64; 2]) -> Result<(), DataError> {
        let right = if sell > 0.0 { buy / sell } else { 0.0 };
        let rounding = if sell > 0.0 { 0.005 * (1.0 + right) / sell } else { 0.0 };
        if (blr - right).abs() <= 1e-4 + 2.0 * rounding {
            return Ok(());
        }
        let found = format!("{blr}, but buy_volume {buy} by sell_volume {sell} is {right:.4}");
        Err(self.wrong(place, "blr", found))
    }

    fn number(&self, place: &str, column: &str, text: Option<&str>) -> Result<f64, DataError> {
        let Some(text) = text else {
            return Err(self.wrong(place, column, "there is none".into()));
        };
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(self.wrong(place, column, format!("`{text}` is no finite number"))),
        }
    }

    fn wrong(&self, place: &str, column: &str, found: String) -> DataError {
        DataError::Row {
            path: self.path.into(),
            place: place.into(),
            column: column.into(),
            found,
            remedy: "repair that record, or collect the data again".into(),
        }
    }
}
