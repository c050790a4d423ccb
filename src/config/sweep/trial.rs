//! Settings of a trial, written into the experiment that is varied.

use crate::search::Settings;
use serde_json::{Map, Value};

/// The experiment with these settings in place of its own. A setting that lies within another one is written after it.
///
/// # Errors
/// A path that leads through a plain value or beyond a list.
pub(super) fn grafted(base: &Value, settings: &Settings) -> Result<Value, String> {
    let mut json = base.clone();
    let mut ordered: Vec<(&String, &Value)> = settings.iter().collect();
    ordered.sort_by_key(|(path, _)| depth(path));
    for (path, value) in ordered {
        let place = place(&mut json, path)?;
        *place = value.clone();
    }
    Ok(json)
}

/// How many keys lead to a setting.
pub(super) fn depth(path: &str) -> usize {
    path.split('.').count()
}

fn place<'a>(json: &'a mut Value, path: &str) -> Result<&'a mut Value, String> {
    let mut value = json;
    for segment in path.split('.') {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        value = match value {
            Value::Object(entries) => entries.entry(segment).or_insert(Value::Null),
            Value::Array(items) => {
                let length = items.len();
                let index = segment.parse::<usize>().ok();
                index
                    .and_then(|index| items.get_mut(index))
                    .ok_or_else(|| format!("`{segment}` of `{path}` is not an index of a list of {length}"))?
            }
            _ => return Err(format!("`{segment}` of `{path}` lies below a plain value")),
        };
    }
    Ok(value)
}

/// What stands at a path.
pub(super) fn get<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(json, |value, segment| match value {
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        other => other.get(segment),
    })
}

/// The nearest path that exists, for one that does not.
pub(super) fn nearest(json: &Value, path: &str) -> Option<String> {
    let mut value = json;
    let mut walked: Vec<&str> = Vec::new();
    for segment in path.split('.') {
        let next = match value {
            Value::Array(items) => segment.parse::<usize>().ok().and_then(|index| items.get(index)),
            other => other.get(segment),
        };
        if let Some(next) = next {
            value = next;
            walked.push(segment);
            continue;
        }
        let known = value.as_object()?.keys().map(String::as_str);
        let meant = crate::suggest::closest(segment, known)?;
        let rest: Vec<&str> = path.split('.').skip(walked.len() + 1).collect();
        let whole: Vec<&str> = walked.iter().copied().chain([meant]).chain(rest).collect();
        return Some(whole.join("."));
    }
    None
}
