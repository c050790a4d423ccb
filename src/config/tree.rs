//! YAML as a tree in which every value remembers where it was written, and `--set` as a branch grafted onto it.

use super::diagnostic::{Diagnostic, Origin};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What it is.
    pub(super) value: Value,
    /// Where it is written.
    pub(super) origin: Origin,
}

/// The YAML values that a configuration may hold.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing, or `null`, or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text, quoted or plain; dates are text.
    Text(String),
    /// `[a, b]` or lines with dashes.
    List(Vec<Node>),
    /// `{a: 1}` or lines with keys, in the written order.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key as written.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) key_origin: Origin,
    /// The value.
    pub(super) node: Node,
}

/// A configuration is written by hand; beyond this size it is an accident or an attack.
const LARGEST_TEXT: usize = 1 << 20;

/// How deep maps and lists may lie in each other.
const DEEPEST: usize = 64;

/// Parses one YAML document. `source` is the number of the text among the sources of a load.
///
/// # Errors
/// The syntax error, with its place.
pub(super) fn parse(text: &str, source: usize) -> Result<Node, Box<Diagnostic>> {
    let refuse =
        |message: String| Err(Box::new(Diagnostic::new(message, Origin { source, start: 0, end: 0 })));
    if text.len() > LARGEST_TEXT {
        return refuse(format!(
            "the text has {} bytes; a configuration may have at most {LARGEST_TEXT}",
            text.len()
        ));
    }
    if let Some((line, _)) = text.lines().enumerate().find(|(_, line)| nesting(line) > DEEPEST) {
        return refuse(format!("line {} opens more than {DEEPEST} brackets", line + 1));
    }
    // As in YAML 1.2: `off` is a word, not `false`.
    let options = serde_saphyr::options! { strict_booleans: true };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(placed(raw, source)),
        Err(error) => {
            let start = error.location().map_or(0, |location| byte_range(&location).0);
            let message = error.without_snippet().to_string();
            // The parser names the place again; the caret already does.
            let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
            Err(Box::new(Diagnostic::new(
                format!("this is not valid YAML: {message}"),
                Origin { source, start, end: start + 1 },
            )))
        }
    }
}

fn nesting(line: &str) -> usize {
    line.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count()
}

fn byte_range(location: &serde_saphyr::Location) -> (usize, usize) {
    let span = location.span();
    let start = span.byte_offset().unwrap_or_else(|| span.offset());
    let length = span.byte_len().unwrap_or_else(|| span.len());
    (start as usize, (start + length) as usize)
}

/// A value whose children know their places and which does not know its own yet.
enum Raw {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn origin_of(location: &serde_saphyr::Location, source: usize) -> Origin {
    let (start, end) = byte_range(location);
    Origin { source, start, end }
}

fn placed(raw: Spanned<Raw>, source: usize) -> Node {
    let origin = origin_of(&raw.referenced, source);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Integer(value) => Value::Integer(value),
        Raw::Float(value) => Value::Float(value),
        Raw::Text(value) => Value::Text(value),
        Raw::List(items) => Value::List(items.into_iter().map(|item| placed(item, source)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    key_origin: origin_of(&key.referenced, source),
                    key: key.value,
                    node: placed(value, source),
                })
                .collect(),
        ),
    };
    Node { value, origin }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or(Raw::Float(value as f64), Raw::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

impl Node {
    /// A value that is written in one place.
    pub(super) fn of_json(value: &serde_json::Value, origin: Origin) -> Node {
        use serde_json::Value as Json;
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Value::Integer(whole),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(|item| Node::of_json(item, origin)).collect()),
            Json::Object(entries) => {
                let entry = |(key, value): (&String, &Json)| Entry {
                    key: key.clone(),
                    key_origin: origin,
                    node: Node::of_json(value, origin),
                };
                Value::Map(entries.iter().map(entry).collect())
            }
        };
        Node { value, origin }
    }

    /// The child of that key or, in a list, of that index.
    pub(super) fn child(&self, segment: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == segment).map(|entry| &entry.node),
            Value::List(items) => items.get(segment.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Where the key of a child stands.
    pub(super) fn key_origin(&self, key: &str) -> Option<Origin> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_origin)
            }
            _ => None,
        }
    }

    /// The place of the deepest part of `path` that exists, for errors about a whole section.
    pub(super) fn origin_at(&self, path: &str) -> Origin {
        let mut node = self;
        for segment in path.split('.').filter(|segment| !segment.is_empty()) {
            match node.child(segment) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.origin
    }

    /// Replaces what stands at `path` (keys and indices, of which a key may hold dots), and makes the maps on the way.
    ///
    /// # Errors
    /// A path that leads through a plain value or beyond a list.
    pub(super) fn set(&mut self, path: &[&str], new: Node) -> Result<(), String> {
        let mut node = self;
        for &segment in path {
            if matches!(node.value, Value::Null) {
                node.value = Value::Map(Vec::new());
            }
            node = match &mut node.value {
                Value::List(items) => {
                    let length = items.len();
                    let index = segment.parse::<usize>().ok();
                    index.and_then(|index| items.get_mut(index)).ok_or_else(|| {
                        format!("`{segment}` is not an index of a list of {length} (the first is 0)")
                    })?
                }
                Value::Map(entries) => {
                    let position =
                        entries.iter().position(|entry| entry.key == segment).unwrap_or_else(|| {
                            let empty = Node { value: Value::Null, origin: new.origin };
                            entries.push(Entry {
                                key: segment.to_owned(),
                                key_origin: new.origin,
                                node: empty,
                            });
                            entries.len() - 1
                        });
                    &mut entries[position].node
                }
                _ => return Err(format!("`{segment}` lies below a plain value")),
            };
        }
        *node = new;
        Ok(())
    }

    /// The tree without its places, for serde.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(value) => value.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => serde_json::Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
            ),
        }
    }
}
