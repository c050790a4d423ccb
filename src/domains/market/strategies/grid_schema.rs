//! The JSON Schema of entries with grids, made from the schema of plain settings: where a setting is a scalar, a range
//! or a list of values and ranges is allowed as well. Editors complete it, and configurations are checked against it.

use super::StrategyConfig;
use super::grid::StrategyEntry;
use crate::domains::market::backtest::{Exits, Sizing};
use crate::domains::market::range::range_schema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Settings that may stand beside the strategy of an entry. A choice that has such neighbours lists them under this key.
pub const BESIDE: &str = "x-beside";

/// Key, name of the schema, the schema without grids, and the manual of each setting that may stand beside a strategy.
const BESIDES: &[(&str, &str, &LazyLock<Value>, &str)] = &[
    (
        "exits",
        "ExitsGrid",
        &EXITS,
        "When a position is closed without an order, in place of `backtest.exits`. Its parameters may vary, too.",
    ),
    (
        "sizing",
        "SizingGrid",
        &SIZING,
        "How a target becomes a quantity, in place of `backtest.sizing`. Its parameters may vary, too.",
    ),
];

impl JsonSchema for StrategyEntry {
    fn schema_name() -> Cow<'static, str> {
        "StrategyEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut beside = Map::new();
        for (key, name, schema, manual) in BESIDES {
            generator.definitions_mut().insert((*name).into(), varied(schema));
            beside.insert((*key).into(), json!({"$ref": format!("#/$defs/{name}"), "description": manual}));
        }
        let forms = STRATEGIES["oneOf"].as_array().into_iter().flatten().map(|form| {
            let mut form = varied(form);
            form[BESIDE] = beside.keys().cloned().collect();
            if let Some(properties) = form["properties"].as_object_mut() {
                properties.extend(beside.clone());
            }
            form
        });
        let mut schema = Schema::default();
        schema.insert("description".into(), json!("A strategy, or with lists and ranges a grid of them."));
        schema.insert("oneOf".into(), forms.collect());
        schema
    }
}

/// The schema of strategies as they are without grids.
pub(super) static STRATEGIES: LazyLock<Value> = LazyLock::new(plain_schema::<StrategyConfig>);

/// The schema of sizing without grids.
pub(super) static SIZING: LazyLock<Value> = LazyLock::new(plain_schema::<Sizing>);

/// The schema of exits without grids.
pub(super) static EXITS: LazyLock<Value> = LazyLock::new(plain_schema::<Exits>);

/// The schema of settings without references.
fn plain_schema<C: JsonSchema>() -> Value {
    let mut root = schemars::schema_for!(C).to_value();
    let definitions = root.as_object_mut().and_then(|root| root.remove("$defs")).unwrap_or_default();
    inlined(&root, &definitions)
}

fn inlined(schema: &Value, definitions: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|reference| reference.strip_prefix("#/$defs/"));
            let mut whole = match name {
                Some(name) => inlined(&definitions[name], definitions),
                None => json!({}),
            };
            for (key, value) in fields.iter().filter(|(key, _)| key.as_str() != "$ref") {
                whole[key] = inlined(value, definitions);
            }
            whole
        }
        Value::Array(items) => items.iter().map(|item| inlined(item, definitions)).collect(),
        plain => plain.clone(),
    }
}

/// The forms of a choice, or the schema itself.
fn forms(schema: &Value) -> Vec<&Value> {
    match schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
        Some(forms) => forms.iter().flat_map(|form| self::forms(form)).collect(),
        None => vec![schema],
    }
}

fn has_type(form: &Value, wanted: &[&str]) -> bool {
    match &form["type"] {
        Value::String(one) => wanted.contains(&one.as_str()),
        Value::Array(several) => several.iter().filter_map(Value::as_str).any(|one| wanted.contains(&one)),
        _ => false,
    }
}

/// Whether a setting is a number, true or false, or text: what may vary.
pub(super) fn is_scalar(schema: &Value) -> bool {
    !forms(schema).into_iter().any(|form| has_type(form, &["array", "object"]))
}

/// Whether a setting is a number.
pub(super) fn is_number(schema: &Value) -> bool {
    forms(schema).into_iter().any(|form| has_type(form, &["integer", "number"]))
}

/// The schema of the setting `key` within settings or within a choice of them.
pub(super) fn inner<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let found = |form: &'a Value| form["properties"].get(key).or_else(|| form.get("additionalProperties"));
    forms(schema).into_iter().find_map(|form| found(form).filter(|schema| schema.is_object()))
}

/// The same schema with grids allowed for every scalar within.
fn varied(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if is_scalar(&schema) {
        return grid_of(schema);
    }
    for choice in ["oneOf", "anyOf"] {
        for form in schema.get_mut(choice).and_then(Value::as_array_mut).into_iter().flatten() {
            if !is_scalar(form) {
                *form = varied(form);
            }
        }
    }
    for setting in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        *setting.1 = varied(setting.1);
    }
    if let Some(others) = schema.get_mut("additionalProperties").filter(|others| others.is_object()) {
        *others = varied(others);
    }
    schema
}

fn grid_of(mut scalar: Value) -> Value {
    let mut grid = Map::new();
    for manual in ["description", "default"] {
        if let Some(text) = scalar.as_object_mut().and_then(|scalar| scalar.remove(manual)) {
            grid.insert(manual.into(), text);
        }
    }
    let mut one = vec![scalar.clone()];
    if is_number(&scalar) {
        one.push(range_schema(&scalar));
    }
    // The manual of each name stands beside it already; twice it would only lengthen the file.
    for form in scalar.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
        form.as_object_mut().map(|form| form.remove("description"));
    }
    let items = if one.len() == 1 { scalar } else { json!({"anyOf": one}) };
    one.push(json!({"type": "array", "minItems": 1, "items": items}));
    grid.insert("anyOf".into(), Value::Array(one));
    Value::Object(grid)
}
