//! Horizons as they are written: one, a list, or a range such as `1..96`.

use crate::domains::market::range::{NumberRange, range_schema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::json;
use std::borrow::Cow;
use std::fmt;

/// A longer unbroken run of horizons is written as a range.
const LONGEST_LIST: usize = 8;

/// More horizons than any forecast has; a longer range is a slip of the hand.
const MOST_HORIZONS: usize = 10_000;

/// The schema of horizons.
pub(super) struct Horizons;

impl JsonSchema for Horizons {
    fn schema_name() -> Cow<'static, str> {
        "Horizons".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = json!({"type": "integer", "minimum": 1});
        let range = range_schema(&number);
        let list = json!({"type": "array", "items": number.clone()});
        let mut schema = Schema::default();
        schema.insert("anyOf".into(), json!([number, range, list]));
        schema
    }
}

pub(super) fn serialize<S: Serializer>(horizons: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    let unbroken = horizons.windows(2).all(|pair| pair[1] == pair[0] + 1);
    match horizons {
        [first, .., last] if unbroken && horizons.len() > LONGEST_LIST => {
            serializer.collect_str(&format_args!("{first}..{last}"))
        }
        _ => horizons.serialize(serializer),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    deserializer.deserialize_any(Written)
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Vec<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bars, a list of them, or a range such as 1..96")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Vec<u32>, E> {
        u32::try_from(number).map(|horizon| vec![horizon]).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Vec<u32>, E> {
        u32::try_from(number).map(|horizon| vec![horizon]).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u32>, E> {
        let range = NumberRange::parse(text).map_err(E::custom)?;
        if range.len() > MOST_HORIZONS {
            return Err(E::custom(format!("`{text}` are more than {MOST_HORIZONS} horizons")));
        }
        let horizon = |index: usize| range.value(index).as_u64().and_then(|value| u32::try_from(value).ok());
        (0..range.len())
            .map(horizon)
            .collect::<Option<_>>()
            .ok_or_else(|| E::custom(format!("`{text}` holds numbers that are no count of bars")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u32>, A::Error> {
        let mut horizons = Vec::new();
        while let Some(horizon) = list.next_element()? {
            horizons.push(horizon);
        }
        Ok(horizons)
    }
}
