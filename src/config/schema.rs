//! The JSON Schema of an experiment, and the check of a tree against it that finds every mistake at once.
//!
//! The schema comes from the settings' own types, so a new model or strategy is checked, suggested and completed in
//! editors without a line here. Only the parts of JSON Schema that those types produce are understood.

use super::diagnostic::{Diagnostic, Origin};
use super::tree::{Entry, Node, Value};
use crate::domains::market::strategies::{BESIDE, MOST_BOOKS, NumberRange, RANGE_FORMAT};
use crate::suggest::closest;
use serde_json::{Map, Value as Json};

/// Checks `node`, which is called `name`, against `schema` (a whole document with `$defs`) and adds every mistake to `found`.
pub(super) fn check(node: &Node, schema: &Json, name: &str, found: &mut Vec<Diagnostic>) {
    Checker { root: schema, found }.value(node, schema, name);
}

struct Checker<'a> {
    root: &'a Json,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn value(&mut self, node: &Node, schema: &'a Json, name: &str) {
        if let Some(form) = self.resolved(schema) {
            self.form(node, form, name);
        }
    }

    fn form(&mut self, node: &Node, schema: &'a Map<String, Json>, name: &str) {
        if choices(schema).is_some() {
            self.choice(node, &self.forms(schema), name);
        } else if let Some(allowed) = schema.get("enum").and_then(Json::as_array) {
            self.named(node, &allowed.iter().filter_map(Json::as_str).collect::<Vec<_>>(), name);
        } else if let Some(only) = schema.get("const").and_then(Json::as_str) {
            self.named(node, &[only], name);
        } else {
            self.typed(node, schema, name);
        }
    }

    /// Follows references; the settings beside a reference are documentation.
    fn resolved(&self, schema: &'a Json) -> Option<&'a Map<String, Json>> {
        let mut schema = schema.as_object()?;
        while let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            schema = self.root.pointer(reference.strip_prefix('#')?)?.as_object()?;
        }
        Some(schema)
    }

    /// All forms of a choice, those of choices within it included (an optional choice is one beside nothing).
    fn forms(&self, schema: &'a Map<String, Json>) -> Vec<&'a Map<String, Json>> {
        match choices(schema) {
            None => vec![schema],
            Some(choices) => choices
                .iter()
                .filter_map(|choice| self.resolved(choice))
                .flat_map(|form| self.forms(form))
                .collect(),
        }
    }

    fn typed(&mut self, node: &Node, schema: &'a Map<String, Json>, name: &str) {
        let wanted: Vec<&str> = match schema.get("type") {
            Some(Json::String(one)) => vec![one],
            Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
            _ => return,
        };
        if !wanted.iter().any(|kind| fits(&node.value, kind)) {
            return self.wrong_type(node, &wanted, name);
        }
        match &node.value {
            Value::Map(entries) => self.map(node.origin, entries, schema, name),
            Value::List(items) => self.list(node.origin, items, schema, name),
            Value::Integer(number) => self.range(node.origin, *number as f64, schema, name),
            Value::Float(number) => self.range(node.origin, *number, schema, name),
            Value::Text(text) if is_range(schema) => {
                self.number_range(node.origin, text, schema, name);
            }
            _ => {}
        }
    }

    fn wrong_type(&mut self, node: &Node, wanted: &[&str], name: &str) {
        let wanted: Vec<&str> = wanted
            .iter()
            .filter(|kind| **kind != "null" || wanted.len() == 1)
            .map(|kind| spoken(kind))
            .collect();
        let message = format!("`{name}` is {}, expected {}", describe(&node.value), wanted.join(" or "));
        let hint = match (&node.value, wanted.first()) {
            (Value::Null, Some(&"a map")) => "write `{}` for the default settings",
            (Value::Null, _) => "write a value",
            _ => "",
        };
        self.found.push(Diagnostic::new(message, node.origin).hint(hint));
    }

    fn map(&mut self, origin: Origin, entries: &[Entry], schema: &'a Map<String, Json>, name: &str) {
        let known = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties");
        for entry in entries {
            match (known.and_then(|known| known.get(&entry.key)), others) {
                (Some(inner), _) => self.value(&entry.node, inner, &entry.key),
                (None, Some(inner @ Json::Object(_))) => self.value(&entry.node, inner, &entry.key),
                (None, Some(Json::Bool(false))) => {
                    let names =
                        known.map(|known| known.keys().map(String::as_str).collect()).unwrap_or_default();
                    self.unknown(entry, names, name);
                }
                _ => {}
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for missing in required.into_iter().flatten().filter_map(Json::as_str) {
            if !entries.iter().any(|entry| entry.key == missing) {
                let end = Origin { end: origin.end.min(origin.start + 1), ..origin };
                let message = format!("`{missing}` is missing in {name}");
                self.found.push(Diagnostic::new(message, end).hint(format!("add `{missing}: ...`")));
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, names: Vec<&str>, name: &str) {
        let hint = suggestion(&entry.key, &names, "the settings are");
        let message = format!("unknown setting `{}` in {name}", entry.key);
        self.found.push(Diagnostic::new(message, entry.key_origin).hint(hint));
    }

    fn list(&mut self, origin: Origin, items: &[Node], schema: &'a Map<String, Json>, name: &str) {
        if let Some(least) = schema.get("minItems").and_then(Json::as_u64)
            && (items.len() as u64) < least
        {
            let message = format!("`{name}` has {} entries, expected at least {least}", items.len());
            self.found.push(Diagnostic::new(message, origin));
        }
        if let Some(inner) = schema.get("items") {
            for item in items {
                self.value(item, inner, name);
            }
        }
    }

    fn no_number(&mut self, value: &Value, origin: Origin, whole: bool, name: &str) {
        let (found, number) = (describe(value), if whole { "a whole number" } else { "a number" });
        let message =
            format!("`{name}` is {found}, expected {number}, a range as 5..60 by 5, or a list of them");
        self.found.push(Diagnostic::new(message, origin));
    }

    /// Text that stands for many numbers: it must be a range, and its ends must be numbers that may be written alone.
    fn number_range(&mut self, origin: Origin, text: &str, schema: &Map<String, Json>, name: &str) {
        let whole = schema.contains_key("multipleOf");
        let message = match NumberRange::parse(text) {
            Ok(range) if range.len() > MOST_BOOKS => {
                format!("the range `{text}` of `{name}` has {} values, more than {MOST_BOOKS}", range.len())
            }
            Ok(range) if whole && !range.is_whole() => {
                format!("the range `{text}` of `{name}` has numbers that are not whole")
            }
            Ok(range) => {
                let (first, last) = range.bounds();
                self.range(origin, first, schema, name);
                return if last > first {
                    self.range(origin, last, schema, name)
                };
            }
            Err(_) if !text.contains("..") => {
                return self.no_number(&Value::Text(text.to_owned()), origin, whole, name);
            }
            Err(message) => format!("`{name}`: {message}"),
        };
        self.found.push(Diagnostic::new(message, origin));
    }

    fn range(&mut self, origin: Origin, number: f64, schema: &Map<String, Json>, name: &str) {
        let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
        let complaint = match (
            bound("minimum").filter(|least| number < *least),
            bound("maximum").filter(|most| number > *most),
            bound("exclusiveMinimum").filter(|least| number <= *least),
            bound("exclusiveMaximum").filter(|most| number >= *most),
        ) {
            (Some(least), ..) => format!("at least {least}"),
            (_, Some(most), ..) => format!("at most {most}"),
            (_, _, Some(least), _) => format!("more than {least}"),
            (_, _, _, Some(most)) => format!("less than {most}"),
            _ if number.is_finite() => return,
            _ => "a finite number".to_owned(),
        };
        let message = format!("`{name}` is {number}, expected {complaint}");
        self.found.push(Diagnostic::new(message, origin));
    }

    /// One of several forms: names, one-key maps (an externally tagged choice), or types.
    fn choice(&mut self, node: &Node, forms: &[&'a Map<String, Json>], name: &str) {
        if matches!(node.value, Value::Null)
            && forms.iter().any(|form| form.get("type") == Some(&Json::from("null")))
        {
            return;
        }
        let tags: Vec<&str> = forms.iter().filter_map(|form| tag(form)).collect();
        let words: Vec<&str> = forms.iter().flat_map(|form| words(form)).collect();
        match &node.value {
            Value::Map(entries) if !tags.is_empty() => self.tagged(node, entries, forms, name),
            Value::Text(text) if tags.contains(&text.as_str()) && !words.contains(&text.as_str()) => {
                let message = format!("`{text}` in {name} lacks its settings");
                self.found.push(
                    Diagnostic::new(message, node.origin)
                        .hint(format!("write `{text}: {{}}` for the default settings")),
                );
            }
            Value::Text(_) if !words.is_empty() => self.named(node, &words, name),
            _ => {
                // The one form whose type fits decides which mistakes are meant.
                let fitting =
                    forms.iter().find(|form| kinds(form).iter().any(|kind| fits(&node.value, kind)));
                match fitting {
                    Some(form) => self.form(node, form, name),
                    None if !tags.is_empty() => {
                        let hint = format!(
                            "write one of {} with its settings, as in `{}: {{}}`",
                            tags.join(", "),
                            tags[0]
                        );
                        let message = format!("`{name}` is {}, expected a choice", describe(&node.value));
                        self.found.push(Diagnostic::new(message, node.origin).hint(hint));
                    }
                    None if !words.is_empty() => self.named(node, &words, name),
                    None if let Some(range) = forms.iter().find(|form| is_range(form)) => {
                        self.no_number(&node.value, node.origin, range.contains_key("multipleOf"), name);
                    }
                    None => {
                        let wanted: Vec<&str> = forms.iter().flat_map(|form| kinds(form)).collect();
                        self.wrong_type(node, &wanted, name);
                    }
                }
            }
        }
    }

    fn tagged(&mut self, node: &Node, entries: &[Entry], forms: &[&'a Map<String, Json>], name: &str) {
        let tags: Vec<&str> = forms.iter().filter_map(|form| tag(form)).collect();
        let neighbours: Vec<&str> = forms.first().map(|form| beside(form)).unwrap_or_default();
        let (others, chosen): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().partition(|entry| neighbours.contains(&entry.key.as_str()));
        let [entry] = chosen.as_slice() else {
            let message = format!("`{name}` has {} choices, expected exactly one", chosen.len());
            return self
                .found
                .push(Diagnostic::new(message, node.origin).hint(format!("one of {}", tags.join(", "))));
        };
        let form = forms.iter().find(|form| tag(form) == Some(&entry.key));
        let Some(settings) = form.and_then(|form| form.get("properties")) else {
            let message = format!("unknown choice `{}` for {name}", entry.key);
            let hint = suggestion(&entry.key, &tags, "the choices are");
            return self.found.push(Diagnostic::new(message, entry.key_origin).hint(hint));
        };
        for entry in chosen.into_iter().chain(others) {
            if let Some(inner) = settings.get(&entry.key) {
                self.value(&entry.node, inner, &entry.key);
            }
        }
    }

    fn named(&mut self, node: &Node, allowed: &[&str], name: &str) {
        match &node.value {
            Value::Text(text) if allowed.contains(&text.as_str()) => {}
            Value::Text(text) => {
                let message = format!("unknown value `{text}` for {name}");
                let hint = suggestion(text, allowed, "the values are");
                self.found.push(Diagnostic::new(message, node.origin).hint(hint));
            }
            other => {
                let message = format!("`{name}` is {}, expected a name", describe(other));
                self.found.push(
                    Diagnostic::new(message, node.origin).hint(format!("one of {}", allowed.join(", "))),
                );
            }
        }
    }
}

fn choices(schema: &Map<String, Json>) -> Option<&Vec<Json>> {
    schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Json::as_array)
}

/// The key of an externally tagged choice, which is its only one but for those that may stand beside it.
fn tag(form: &Map<String, Json>) -> Option<&str> {
    let required = form.get("required")?.as_array()?;
    let properties = form.get("properties")?.as_object()?;
    let alone = properties.len() == 1 + beside(form).len();
    (required.len() == 1 && alone).then(|| required[0].as_str())?
}

/// Settings that may stand beside the key of a choice.
fn beside(form: &Map<String, Json>) -> Vec<&str> {
    form.get(BESIDE).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect()
}

fn is_range(form: &Map<String, Json>) -> bool {
    form.get("format").and_then(Json::as_str) == Some(RANGE_FORMAT)
}

fn words(form: &Map<String, Json>) -> Vec<&str> {
    let listed = form.get("enum").and_then(Json::as_array).into_iter().flatten();
    listed.chain(form.get("const")).filter_map(Json::as_str).collect()
}

fn kinds(form: &Map<String, Json>) -> Vec<&str> {
    match form.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn fits(value: &Value, kind: &str) -> bool {
    matches!(
        (value, kind),
        (Value::Null, "null")
            | (Value::Bool(_), "boolean")
            | (Value::Integer(_), "integer" | "number")
            | (Value::Float(_), "number")
            | (Value::Text(_), "string")
            | (Value::List(_), "array")
            | (Value::Map(_), "object")
    )
}

fn spoken(kind: &str) -> &str {
    match kind {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        "object" => "a map",
        "null" => "nothing",
        other => other,
    }
}

fn describe(value: &Value) -> String {
    let short = |text: &str| text.chars().take(40).collect::<String>();
    match value {
        Value::Null => "empty".into(),
        Value::Bool(value) => format!("{value}"),
        Value::Integer(value) => format!("the number {value}"),
        Value::Float(value) => format!("the number {value}"),
        Value::Text(value) => format!("the text `{}`", short(value)),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a map".into(),
    }
}

fn suggestion(wanted: &str, names: &[&str], otherwise: &str) -> String {
    match closest(wanted, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{otherwise} {}", names.join(", ")),
    }
}
