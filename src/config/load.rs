//! YAML text and overrides in, a typed experiment out, or every mistake at once.

use super::diagnostic::{ConfigError, Diagnostic, Origin, Source};
use super::tree::{self, Node};
use super::{ExperimentConfig, Plan, resolve, schema};
use serde_json::Value as Json;

/// The texts of a load: a file and the overrides given beside it.
#[derive(Clone, Debug)]
pub struct Text<'a> {
    /// The file's path, for messages.
    pub name: &'a str,
    /// The file's content.
    pub yaml: &'a str,
    /// Each `--set path=value`, in order; later ones win.
    pub overrides: &'a [String],
}

/// Reads an experiment.
///
/// # Errors
/// Every mistake that can be found: all of the grammar, or if there is none, all of the meaning.
pub fn load(text: &Text) -> Result<Plan, ConfigError> {
    let mut sources = vec![Source { name: text.name.to_owned(), text: text.yaml.to_owned() }];
    for (index, set) in text.overrides.iter().enumerate() {
        sources.push(Source { name: format!("--set #{}", index + 1), text: set.clone() });
    }
    let mut diagnostics = Vec::new();
    let typed = typed(text, &mut diagnostics);
    if let (true, Some((mut experiment, tree))) = (diagnostics.is_empty(), typed) {
        resolve::check_meaning(&mut experiment, &tree, &mut diagnostics);
        if diagnostics.is_empty() {
            return Plan::new(experiment, text.yaml).map_err(|message| ConfigError {
                sources,
                diagnostics: vec![Diagnostic::new(message, Origin::default())],
            });
        }
    }
    diagnostics.sort_by_key(|diagnostic| (diagnostic.origin.source, diagnostic.origin.start));
    Err(ConfigError { sources, diagnostics })
}

fn typed(text: &Text, diagnostics: &mut Vec<Diagnostic>) -> Option<(ExperimentConfig, Node)> {
    let mut tree = match tree::parse(text.yaml, 0) {
        Ok(tree) => tree,
        Err(error) => {
            diagnostics.push(*error);
            return None;
        }
    };
    for (index, set) in text.overrides.iter().enumerate() {
        if let Err(error) = graft(&mut tree, set, index + 1) {
            diagnostics.push(error);
        }
    }
    schema::check(&tree, &schema_json(), diagnostics);
    if !diagnostics.is_empty() {
        return None;
    }
    match serde_path_to_error::deserialize::<_, ExperimentConfig>(tree.to_json()) {
        Ok(experiment) => Some((experiment, tree)),
        Err(error) => {
            let origin = tree.origin_at(&error.path().to_string());
            diagnostics.push(Diagnostic::new(format!("`{}`: {}", error.path(), error.inner()), origin));
            None
        }
    }
}

fn graft(tree: &mut Node, set: &str, source: usize) -> Result<(), Diagnostic> {
    let whole = Origin { source, start: 0, end: set.len() };
    let Some((path, value)) = set.split_once('=') else {
        let hint = "as in train.epochs=5";
        return Err(
            Diagnostic::new(format!("`{set}` is not an override; write path=value"), whole).hint(hint)
        );
    };
    let mut node = tree::parse(value, source).map_err(|error| Diagnostic { origin: whole, ..*error })?;
    shift(&mut node, path.len() + 1);
    let key = Origin { source, start: 0, end: path.len() };
    // A key that the override makes is pointed at by the path, its value by the value.
    let value_node = node.clone();
    node.origin = key;
    tree.set(path.trim(), node).map_err(|message| Diagnostic::new(message, key))?;
    tree.set(path.trim(), value_node).map_err(|message| Diagnostic::new(message, key))
}

fn shift(node: &mut Node, by: usize) {
    node.origin.start += by;
    node.origin.end += by;
    match &mut node.value {
        tree::Value::List(items) => items.iter_mut().for_each(|item| shift(item, by)),
        tree::Value::Map(entries) => {
            for entry in entries {
                entry.key_origin.start += by;
                entry.key_origin.end += by;
                shift(&mut entry.node, by);
            }
        }
        _ => {}
    }
}

fn schema_json() -> Json {
    schemars::schema_for!(ExperimentConfig).to_value()
}

/// The JSON Schema that gives editors completion and checks, as pretty-printed text.
pub fn schema_text() -> String {
    format!("{:#}\n", schema_json())
}
