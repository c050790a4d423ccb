//! An entry of the section `strategies`: one strategy, or a grid of parameters that is many.
//!
//! Any scalar parameter (a number, true or false, a name) may be a list of values and ranges, or a range:
//! `sma_cross: {fast: [5..60], slow: 50..400 by 10, direction: [long_only, long_short]}`. Beside the strategy an entry may
//! hold `exits` and `sizing`, which replace those of the section `backtest` and whose parameters may vary alike. The grid
//! is the product of all values. A parameter that is itself a list, such as a list of lags, does not vary: its list is its value.

use super::book_config::{BookConfig, Fault};
use super::grid_schema::{EXITS, SIZING, STRATEGIES, inner, is_number, is_scalar};
use super::{Strategy, StrategyConfig};
use crate::domains::market::backtest::{BacktestConfig, Exits, Sizing};
use crate::domains::market::range::NumberRange;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Books that one grid may have.
pub const MOST_BOOKS: usize = 1_000_000;

/// One strategy under the user's name, or a grid of them.
///
/// Books are built when they are asked for; kept are the combinations that make sense, four bytes each. They are counted
/// with the last axis fastest.
#[derive(Clone, Debug)]
pub struct StrategyEntry {
    /// As it would be written with every default filled in; ranges are ranges.
    template: Written,
    /// The same with the first value of each axis.
    base: Written,
    first: BookConfig,
    axes: Vec<GridAxis>,
    valid: Vec<u32>,
    /// The section that the books must fit, once it is known.
    backtest: Option<BacktestConfig>,
}

/// A parameter that varies.
#[derive(Clone, Debug, PartialEq)]
pub struct GridAxis {
    /// The parameter's name, a path where it is not the strategy's own: `fast`, `exits.stop_loss_percent`.
    pub parameter: String,
    /// Its values in order, ranges counted out.
    pub values: Vec<Value>,
    place: Place,
}

/// Where a parameter stands in an entry.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    part: Part,
    path: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Strategy,
    Exits,
    Sizing,
}

/// The parts of an entry as JSON.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    strategy: Value,
    exits: Option<Value>,
    sizing: Option<Value>,
}

impl Written {
    fn parts(&self) -> impl Iterator<Item = (Part, &Value)> {
        let others = [(Part::Exits, &self.exits), (Part::Sizing, &self.sizing)];
        let others = others.into_iter().filter_map(|(part, value)| Some((part, value.as_ref()?)));
        std::iter::once((Part::Strategy, &self.strategy)).chain(others)
    }

    /// Writes a value at a place, which is made if a default of nothing was left out there.
    fn set(&mut self, place: &Place, new: Value) {
        let part = match place.part {
            Part::Strategy => Some(&mut self.strategy),
            Part::Exits => self.exits.as_mut(),
            Part::Sizing => self.sizing.as_mut(),
        };
        let Some(mut value) = part else { return };
        for key in &place.path {
            value = &mut value[key.as_str()];
        }
        *value = new;
    }

    fn read(&self) -> Result<BookConfig, Fault> {
        let fault = |path: &str, error: serde_json::Error| Fault {
            path: path.to_owned(),
            message: error.to_string(),
        };
        let strategy = StrategyConfig::deserialize(&self.strategy)
            .map_err(|error| fault(self.name().unwrap_or_default(), error))?;
        let exits = self.exits.as_ref().map(Exits::deserialize).transpose();
        let sizing = self.sizing.as_ref().map(Sizing::deserialize).transpose();
        Ok(BookConfig {
            strategy,
            exits: exits.map_err(|error| fault("exits", error))?,
            sizing: sizing.map_err(|error| fault("sizing", error))?,
        })
    }

    fn name(&self) -> Option<&str> {
        self.strategy.as_object()?.keys().next().map(String::as_str)
    }
}

impl StrategyEntry {
    /// Reads an entry as it is written: one strategy, and beside it what replaces settings of the section `backtest`.
    ///
    /// # Errors
    /// Something that is no entry, or an axis that is too long to be counted out. What the values mean together is
    /// [`StrategyEntry::check`]'s.
    pub fn new(mut written: Map<String, Value>) -> Result<StrategyEntry, String> {
        let (exits, sizing) = (written.shift_remove("exits"), written.shift_remove("sizing"));
        if written.len() != 1 {
            return Err(format!("{} strategies in one entry, expected exactly one", written.len()));
        }
        let mut base = Written { strategy: Value::Object(written), exits, sizing };
        let mut specifications = Vec::new();
        for axis in axes(&base)? {
            specifications.push((axis.place.clone(), get(&base, &axis.place).clone()));
            base.set(&axis.place, axis.values[0].clone());
        }
        let first = base.read().map_err(|fault| fault.message)?;
        let json = |error: serde_json::Error| error.to_string();
        base.strategy = serde_json::to_value(&first.strategy).map_err(json)?;
        base.exits = first.exits.as_ref().map(serde_json::to_value).transpose().map_err(json)?;
        base.sizing = first.sizing.as_ref().map(serde_json::to_value).transpose().map_err(json)?;
        let mut template = base.clone();
        specifications.into_iter().for_each(|(place, written)| template.set(&place, written));
        // Found again in the order of the settings, so that an entry and its reload count their books alike.
        let axes = axes(&template)?;
        axes.iter().for_each(|axis| base.set(&axis.place, axis.values[0].clone()));
        let mut entry = StrategyEntry { template, base, first, axes, valid: Vec::new(), backtest: None };
        if entry.combinations() <= MOST_BOOKS {
            let sensible = |number: &u32| entry.combination(*number).is_ok();
            entry.valid = (0..entry.combinations() as u32).filter(sensible).collect();
        }
        Ok(entry)
    }

    /// Leaves out the combinations whose `exits` and `sizing` do not fit each other or the rest of the section `backtest`.
    pub fn restrict(&mut self, backtest: &BacktestConfig) {
        if self.first.exits.is_none() && self.first.sizing.is_none() {
            return;
        }
        // What the strategy's own parameters are makes no difference, so each pair of exits and sizing is looked at once.
        let mut known: HashMap<Vec<usize>, bool> = HashMap::new();
        let mut valid = std::mem::take(&mut self.valid);
        valid.retain(|number| {
            let mut positions = self.positions_of(*number);
            let mut own = self.axes.iter().map(|axis| axis.place.part == Part::Strategy);
            positions.retain(|_| !own.next().unwrap_or(true));
            *known.entry(positions).or_insert_with(|| {
                self.combination(*number).is_ok_and(|book| book.check_within(backtest).is_ok())
            })
        });
        (self.valid, self.backtest) = (valid, Some(backtest.clone()));
    }

    /// Whether a parameter varies, be it over a single value.
    pub fn is_grid(&self) -> bool {
        !self.axes.is_empty()
    }

    /// The parameters that vary, in the order of the strategy's settings.
    pub fn axes(&self) -> &[GridAxis] {
        &self.axes
    }

    /// The first combination, sensible or not: it has the name, the model and the number of books of all.
    pub fn first(&self) -> &BookConfig {
        &self.first
    }

    /// The strategy's name in the registry.
    pub fn name(&self) -> &'static str {
        self.first.strategy.name()
    }

    /// The first combination's strategy as an object that works.
    pub fn build(&self) -> &dyn Strategy {
        self.first.strategy.build()
    }

    /// How many books: the combinations that make sense; 0 only where [`StrategyEntry::check`] fails.
    #[expect(clippy::len_without_is_empty, reason = "empty is a fault that `check` tells")]
    pub fn len(&self) -> usize {
        self.valid.len()
    }

    /// The settings of a book, below [`StrategyEntry::len`].
    pub fn config(&self, book: usize) -> BookConfig {
        // What is in `valid` was read before, so the other arm cannot occur.
        self.combination(self.valid[book]).unwrap_or_else(|_| self.first.clone())
    }

    /// For each axis the index of the book's value.
    pub fn positions(&self, book: usize) -> Vec<usize> {
        self.positions_of(self.valid[book])
    }

    /// For each axis the book's value.
    pub fn coordinates(&self, book: usize) -> Vec<&Value> {
        self.values_of(self.valid[book])
    }

    /// The book's values in words: `fast=10,slow=60`; empty for a plain strategy. A parameter is named by the last part of its
    /// path where no other ends alike.
    pub fn label(&self, book: usize) -> String {
        self.label_of(self.valid[book])
    }

    /// How many combinations make no sense and are no books.
    pub fn skipped_count(&self) -> usize {
        self.combinations().min(MOST_BOOKS) - self.valid.len()
    }

    /// The combinations that make no sense, in order, each in words with the reason.
    pub fn skipped(&self) -> impl Iterator<Item = (String, String)> {
        let mut valid = self.valid.iter().copied().peekable();
        let numbers = 0..self.combinations().min(MOST_BOOKS) as u32;
        let left_out = numbers.filter(move |number| valid.next_if_eq(number).is_none());
        left_out.filter_map(|number| {
            let fault = self.fault(number)?;
            Some((self.label_of(number), fault.message))
        })
    }

    /// The first combination, and beside it each value of each axis alone: enough to see every value once.
    pub fn variations(&self) -> impl Iterator<Item = BookConfig> {
        let alone = self.axes.iter().flat_map(|axis| {
            axis.values[1..].iter().filter_map(|value| {
                let mut written = self.base.clone();
                written.set(&axis.place, value.clone());
                written.read().ok()
            })
        });
        std::iter::once(self.first.clone()).chain(alone)
    }

    /// Whether there is at least one book, and no more than can be run.
    ///
    /// # Errors
    /// Too many combinations, a value twice, a strategy that cannot vary, or no combination that makes sense.
    pub fn check(&self) -> Result<(), Fault> {
        let fault = |message: String| Err(Fault { path: self.name().to_owned(), message });
        for axis in &self.axes {
            let twice = axis.values.iter().enumerate().find(|(index, value)| {
                // Ranges rise; only short lists can be written by hand, and only they can hold a value twice unseen.
                *index < 1000 && axis.values[..*index].contains(value)
            });
            if let Some((_, value)) = twice {
                return fault(format!("{} has the value {} twice", axis.parameter, spoken(value)));
            }
        }
        if self.combinations() > MOST_BOOKS {
            let lengths: Vec<String> =
                self.axes.iter().map(|axis| format!("{} of {}", axis.values.len(), axis.parameter)).collect();
            return fault(format!(
                "the grid has {} combinations ({}), more than {MOST_BOOKS}; take larger steps",
                self.combinations(),
                lengths.join(" x "),
            ));
        }
        if self.is_grid() && (self.build().books() != 1 || self.build().matches().is_some()) {
            return fault(format!(
                "{} is a distribution of books already and cannot be a grid; write single values",
                self.name()
            ));
        }
        if !self.valid.is_empty() {
            return Ok(());
        }
        match (self.fault(0), self.is_grid()) {
            (Some(reason), true) => {
                let message = format!(
                    "none of the {} combinations makes sense; the first, {}: {}",
                    self.combinations(),
                    self.label_of(0),
                    reason.message
                );
                Err(Fault { path: reason.path, message })
            }
            (Some(reason), false) => Err(reason),
            (None, _) => Ok(()),
        }
    }

    /// Product of the axes' lengths.
    fn combinations(&self) -> usize {
        self.axes.iter().fold(1, |product: usize, axis| product.saturating_mul(axis.values.len()))
    }

    fn combination(&self, number: u32) -> Result<BookConfig, Fault> {
        let mut written = self.base.clone();
        for (axis, value) in self.axes.iter().zip(self.values_of(number)) {
            written.set(&axis.place, value.clone());
        }
        let book = written.read()?;
        book.check()?;
        Ok(book)
    }

    /// Why a combination is no book.
    fn fault(&self, number: u32) -> Option<Fault> {
        let book = match self.combination(number) {
            Ok(book) => book,
            Err(fault) => return Some(fault),
        };
        self.backtest.as_ref().and_then(|backtest| book.check_within(backtest).err())
    }

    fn positions_of(&self, number: u32) -> Vec<usize> {
        let mut rest = number as usize;
        let mut positions = vec![0; self.axes.len()];
        for (position, axis) in positions.iter_mut().zip(&self.axes).rev() {
            *position = rest % axis.values.len();
            rest /= axis.values.len();
        }
        positions
    }

    fn values_of(&self, number: u32) -> Vec<&Value> {
        let positions = self.positions_of(number);
        self.axes.iter().zip(positions).map(|(axis, position)| &axis.values[position]).collect()
    }

    fn label_of(&self, number: u32) -> String {
        let last = |parameter: &str| parameter.rsplit('.').next().unwrap_or_default().to_owned();
        // `exits.stop_loss_percent` is as clear without its section, unless another parameter ends alike.
        let short = |axis: &GridAxis| {
            let name = last(&axis.parameter);
            let alike = self.axes.iter().filter(|other| last(&other.parameter) == name).count();
            if alike == 1 { name } else { axis.parameter.clone() }
        };
        let pair = |(axis, value): (&GridAxis, &Value)| format!("{}={}", short(axis), spoken(value));
        let pairs: Vec<String> = self.axes.iter().zip(self.values_of(number)).map(pair).collect();
        pairs.join(",")
    }
}

fn spoken(value: &Value) -> String {
    match value {
        Value::String(name) => name.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    }
}

/// The axes of an entry, in the order in which it stands.
fn axes(written: &Written) -> Result<Vec<GridAxis>, String> {
    let mut found = Vec::new();
    for (part, value) in written.parts() {
        let schema: &Value = match part {
            Part::Strategy => &STRATEGIES,
            Part::Exits => &EXITS,
            Part::Sizing => &SIZING,
        };
        collect(value, schema, &mut Place { part, path: Vec::new() }, &mut found)?;
    }
    Ok(found)
}

fn collect(
    value: &Value,
    schema: &Value,
    place: &mut Place,
    found: &mut Vec<GridAxis>,
) -> Result<(), String> {
    let items = match value {
        Value::Object(settings) => {
            for (key, value) in settings {
                let Some(schema) = inner(schema, key) else { continue };
                place.path.push(key.clone());
                collect(value, schema, place, found)?;
                place.path.pop();
            }
            return Ok(());
        }
        Value::Array(items) if is_scalar(schema) => items.as_slice(),
        Value::String(_) if is_number(schema) => std::slice::from_ref(value),
        _ => return Ok(()),
    };
    let parameter = match place.part {
        Part::Strategy => place.path[1..].join("."),
        Part::Exits => format!("exits.{}", place.path.join(".")),
        Part::Sizing => format!("sizing.{}", place.path.join(".")),
    };
    let values =
        counted_out(items, is_number(schema)).map_err(|message| format!("{parameter}: {message}"))?;
    found.push(GridAxis { parameter, values, place: place.clone() });
    Ok(())
}

fn counted_out(items: &[Value], number: bool) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    for item in items {
        match item {
            Value::String(text) if number => {
                let range = NumberRange::parse(text)?;
                if range.len() > MOST_BOOKS {
                    return Err(format!(
                        "the range `{text}` has {} values, more than {MOST_BOOKS}",
                        range.len()
                    ));
                }
                values.extend((0..range.len()).map(|index| range.value(index)));
            }
            Value::Array(_) | Value::Object(_) => return Err("a list of lists or maps cannot vary".into()),
            other => values.push(other.clone()),
        }
    }
    if values.is_empty() {
        return Err("the list is empty; write at least one value".into());
    }
    Ok(values)
}

fn get<'a>(written: &'a Written, place: &Place) -> &'a Value {
    let part = written.parts().find(|(part, _)| *part == place.part);
    let start = part.map_or(&Value::Null, |(_, value)| value);
    place.path.iter().fold(start, |value, key| &value[key.as_str()])
}

impl From<StrategyConfig> for StrategyEntry {
    fn from(strategy: StrategyConfig) -> StrategyEntry {
        let json = serde_json::to_value(&strategy).unwrap_or_default();
        let base = Written { strategy: json, exits: None, sizing: None };
        let first = BookConfig { strategy, exits: None, sizing: None };
        let valid = if first.check().is_ok() { vec![0] } else { Vec::new() };
        StrategyEntry { template: base.clone(), base, first, axes: Vec::new(), valid, backtest: None }
    }
}

impl PartialEq for StrategyEntry {
    /// Equal if they would be written alike; all else follows from that.
    fn eq(&self, other: &StrategyEntry) -> bool {
        self.template == other.template
    }
}

impl Serialize for StrategyEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entry = self.template.strategy.as_object().cloned().unwrap_or_default();
        for (key, value) in [("exits", &self.template.exits), ("sizing", &self.template.sizing)] {
            if let Some(value) = value {
                entry.insert(key.to_owned(), value.clone());
            }
        }
        entry.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StrategyEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StrategyEntry, D::Error> {
        let written = Map::deserialize(deserializer)?;
        StrategyEntry::new(written).map_err(serde::de::Error::custom)
    }
}
