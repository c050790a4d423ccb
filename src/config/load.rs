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

impl Text<'_> {
    /// The file and its overrides under the names by which people know them.
    pub(super) fn sources(&self) -> Vec<Source> {
        let mut sources = vec![Source { name: self.name.to_owned(), text: self.yaml.to_owned() }];
        for (index, set) in self.overrides.iter().enumerate() {
            sources.push(Source { name: format!("--set #{}", index + 1), text: set.clone() });
        }
        sources
    }
}

/// Reads an experiment.
///
/// # Errors
/// Every mistake that can be found: all of the grammar, or if there is none, all of the meaning.
pub fn load(text: &Text) -> Result<Plan, ConfigError> {
    let sources = text.sources();
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
        let grafted = Override::parse(set, index + 1).and_then(|change| {
            let segments: Vec<&str> = change.path.split('.').collect();
            change.apply(&mut tree, &segments)
        });
        diagnostics.extend(grafted.err());
    }
    schema::check(&tree, &schema_json(), "the experiment", diagnostics);
    if !diagnostics.is_empty() {
        return None;
    }
    deserialized(&tree, diagnostics).map(|experiment| (experiment, tree))
}

/// What a tree says, once its grammar is right.
pub(super) fn deserialized<T: serde::de::DeserializeOwned>(
    tree: &Node,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<T> {
    match serde_path_to_error::deserialize::<_, T>(tree.to_json()) {
        Ok(typed) => Some(typed),
        Err(error) => {
            let origin = tree.origin_at(&error.path().to_string());
            diagnostics.push(Diagnostic::new(format!("`{}`: {}", error.path(), error.inner()), origin));
            None
        }
    }
}

/// An override as it is given beside a file: `path=value`.
pub(super) struct Override<'a> {
    /// Keys and indices joined by dots.
    pub(super) path: &'a str,
    key: Origin,
    node: Node,
}

impl<'a> Override<'a> {
    /// Reads `set`, which is text number `source` of the load.
    ///
    /// # Errors
    /// Text without `=`, or a value that is no YAML.
    pub(super) fn parse(set: &'a str, source: usize) -> Result<Override<'a>, Diagnostic> {
        let whole = Origin { source, start: 0, end: set.len() };
        let Some((path, value)) = set.split_once('=') else {
            let hint = "as in train.epochs=5";
            return Err(
                Diagnostic::new(format!("`{set}` is not an override; write path=value"), whole).hint(hint)
            );
        };
        let mut node = tree::parse(value, source).map_err(|error| Diagnostic { origin: whole, ..*error })?;
        shift(&mut node, path.len() + 1);
        Ok(Override { path: path.trim(), key: Origin { source, start: 0, end: path.len() }, node })
    }

    /// Writes it into the tree, at these keys and indices.
    ///
    /// # Errors
    /// A path that leads through a plain value or beyond a list.
    pub(super) fn apply(self, tree: &mut Node, segments: &[&str]) -> Result<(), Diagnostic> {
        graft(tree, segments, self.node, self.key).map_err(|message| Diagnostic::new(message, self.key))
    }
}

/// Writes `node` into the tree. A key that is made on the way is pointed at by `key`, the value by its own place.
pub(super) fn graft(tree: &mut Node, segments: &[&str], node: Node, key: Origin) -> Result<(), String> {
    tree.set(segments, Node { origin: key, ..node.clone() })?;
    tree.set(segments, node)
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

/// The JSON Schema of an experiment.
pub(super) fn schema_json() -> Json {
    schemars::schema_for!(ExperimentConfig).to_value()
}

/// The JSON Schema that gives editors completion and checks, as pretty-printed text.
pub fn schema_text() -> String {
    format!("{:#}\n", schema_json())
}
