//! YAML text and overrides in, a checked sweep out, or every mistake at once.

use super::super::diagnostic::{ConfigError, Diagnostic, Origin, Source};
use super::super::load::{Override, Text, deserialized, graft, schema_json};
use super::super::tree::{self, Node};
use super::super::{ExperimentConfig, Plan, resolve, schema};
use super::plan::{Ground, SweepPlan};
use super::relevance::Judge;
use super::{SweepConfig, trial};
use crate::rundir::sha256_hex;
use crate::search::{self, Dimension, MethodConfig, SearchTask, Space};
use crate::seed::Seed;
use crate::suggest::closest;
use serde_json::Value as Json;
use std::path::Path;

/// Reads a sweep and the experiment that it varies; `read_experiment` reads a file, and says why it cannot. The file's name
/// is taken from the folder of the sweep's own file.
///
/// # Errors
/// Every mistake that can be found: all of the sweep's grammar, or if there is none, all of the experiment's, or if there is
/// none, all of the meaning. Each value of the space has been tried on the experiment.
pub fn load_sweep(
    text: &Text,
    read_experiment: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<SweepPlan, ConfigError> {
    let mut loading = Loading { sources: text.sources(), found: Vec::new() };
    let plan = loading.plan(text, read_experiment);
    match plan {
        Some(plan) if loading.found.is_empty() => Ok(plan),
        _ => {
            let Loading { sources, found: mut diagnostics } = loading;
            diagnostics.sort_by_key(|diagnostic| (diagnostic.origin.source, diagnostic.origin.start));
            Err(ConfigError { sources, diagnostics })
        }
    }
}

/// The JSON Schema of a sweep, as pretty-printed text.
pub fn sweep_schema_text() -> String {
    format!("{:#}\n", sweep_schema())
}

fn sweep_schema() -> Json {
    schemars::schema_for!(SweepConfig).to_value()
}

/// The hint for an interval of a setting that takes whole numbers only.
const WHOLE_NUMBERS: &str = "add `int: true`";

/// A load in progress.
struct Loading {
    sources: Vec<Source>,
    found: Vec<Diagnostic>,
}

impl Loading {
    fn plan(
        &mut self,
        text: &Text,
        read_experiment: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Option<SweepPlan> {
        let (mut config, tree) = self.sweep(text)?;
        self.check_alone(&config, &tree);
        let path = Path::new(text.name).parent().unwrap_or(Path::new("")).join(&config.experiment);
        let (experiment, ground) = self.experiment(&path, &tree, read_experiment)?;
        if !self.found.is_empty() {
            return None;
        }
        let judge = match Judge::new(&config, &experiment.experiment) {
            Ok(judge) => judge,
            Err(faults) => {
                for (key, message, hint) in faults {
                    self.complain(&tree, key, message, hint);
                }
                return None;
            }
        };
        let space = self.conditions(&config.space, &tree, &experiment);
        self.check_space(&space, &tree, &ground, &judge);
        if !self.found.is_empty() {
            return None;
        }
        (config.model, config.strategy) = (Some(judge.model.clone()), judge.strategy.clone());
        config.goal = Some(config.goal.unwrap_or(config.metric.natural_goal()));
        let epochs = most_epochs(&experiment, &space);
        config.trials = Some(self.trials(&config, &tree, &space, epochs)?);
        let resolved = match serde_saphyr::to_string(&config) {
            Ok(resolved) => resolved,
            Err(error) => {
                self.found.push(Diagnostic::new(error.to_string(), Origin::default()));
                return None;
            }
        };
        let sha256 = sha256_hex(format!("{resolved}{}", experiment.sha256).as_bytes());
        let written = text.yaml.to_owned();
        Some(SweepPlan { config, experiment, space, epochs, written, resolved, sha256, ground })
    }

    /// The sweep's own file and overrides.
    fn sweep(&mut self, text: &Text) -> Option<(SweepConfig, Node)> {
        let mut tree = match tree::parse(text.yaml, 0) {
            Ok(tree) => tree,
            Err(error) => {
                self.found.push(*error);
                return None;
            }
        };
        for (index, set) in text.overrides.iter().enumerate() {
            let grafted = Override::parse(set, index + 1).and_then(|change| {
                let segments = segments(&tree, change.path);
                change.apply(&mut tree, &segments)
            });
            self.found.extend(grafted.err());
        }
        schema::check(&tree, &sweep_schema(), "the sweep", &mut self.found);
        if !self.found.is_empty() {
            return None;
        }
        deserialized(&tree, &mut self.found).map(|config| (config, tree))
    }

    /// What is wrong with the sweep whatever the experiment is.
    fn check_alone(&mut self, config: &SweepConfig, tree: &Node) {
        if let Err(hint) = resolve::check_name(&config.name) {
            self.complain(tree, "name", format!("`{}` cannot name a folder", config.name), hint);
        }
        if config.space.is_empty() {
            let hint = "as in `train.optimizer.adamw.learning_rate: {min: 1e-4, max: 1e-2, log: true}`";
            self.complain(tree, "space", "`space` is empty: nothing varies".into(), hint.into());
        }
        for (path, dimension) in &config.space {
            if let Err(message) = dimension.check() {
                let place = tree.child("space").and_then(|space| space.child(path));
                let origin = place.map_or(tree.origin, |node| node.origin);
                self.found.push(Diagnostic::new(format!("`{path}`: {message}"), origin));
            }
        }
    }

    /// The experiment with `set` applied.
    fn experiment(
        &mut self,
        path: &Path,
        sweep: &Node,
        read_experiment: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Option<(Plan, Ground)> {
        let yaml = match read_experiment(path) {
            Ok(yaml) => yaml,
            Err(message) => {
                let hint = "the path is taken from the folder of this file".into();
                self.complain(sweep, "experiment", message, hint);
                return None;
            }
        };
        let source = self.sources.len();
        self.sources.push(Source { name: path.display().to_string(), text: yaml.clone() });
        let mut tree = match tree::parse(&yaml, source) {
            Ok(tree) => tree,
            Err(error) => {
                self.found.push(*error);
                return None;
            }
        };
        if let Some(tree::Value::Map(entries)) = sweep.child("set").map(|set| &set.value) {
            for entry in entries {
                let segments: Vec<&str> = entry.key.split('.').collect();
                let grafted = graft(&mut tree, &segments, entry.node.clone(), entry.key_origin);
                self.found.extend(grafted.err().map(|message| Diagnostic::new(message, entry.key_origin)));
            }
        }
        let mut experiment = self.typed(&tree)?;
        resolve::check_meaning(&mut experiment, &tree, &mut self.found);
        let plan = Plan::new(experiment, &yaml);
        let space_origin = sweep.key_origin("space").unwrap_or(sweep.origin);
        let ground = Ground { json: tree.to_json(), tree, sources: self.sources.clone(), space_origin };
        plan.ok().map(|plan| (plan, ground))
    }

    fn typed(&mut self, tree: &Node) -> Option<ExperimentConfig> {
        let before = self.found.len();
        schema::check(tree, &schema_json(), "the experiment", &mut self.found);
        if self.found.len() > before {
            return None;
        }
        deserialized(tree, &mut self.found)
    }

    /// The space with those conditions alone that are about something that varies; the others must hold.
    fn conditions(&mut self, written: &Space, tree: &Node, experiment: &Plan) -> Space {
        let resolved = serde_json::to_value(&experiment.experiment).unwrap_or_default();
        let mut space = written.clone();
        for (path, dimension) in &mut space {
            dimension.when.retain(|other, wanted| {
                if written.contains_key(other) {
                    return true;
                }
                let message = match trial::get(&resolved, other) {
                    Some(value) if search::holds(wanted, value) => return false,
                    Some(value) => format!("`when` never holds: `{other}` is {value} and does not vary"),
                    None => format!("`when` names `{other}`, which is no setting of the experiment"),
                };
                let near = closest(other, written.keys().map(String::as_str)).map(str::to_owned);
                let near = near.or_else(|| trial::nearest(&resolved, other));
                let hint = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
                self.found.push(Diagnostic::new(message, when_origin(tree, path, other)).hint(hint));
                false
            });
        }
        for (path, message) in search::check_conditions(&space) {
            let whole = tree.child("space").and_then(|space| space.child(&path)).unwrap_or(tree);
            let origin = whole.child("when").map_or(whole.origin, |node| node.origin);
            self.found.push(Diagnostic::new(message, origin));
        }
        space
    }

    /// Tries every value of every dimension on the experiment, others as they are written there.
    fn check_space(&mut self, space: &Space, tree: &Node, ground: &Ground, judge: &Judge) {
        if !self.found.is_empty() {
            return;
        }
        let schema = schema_json();
        let trying = Trying { ground, space, schema: &schema };
        for (path, dimension) in space {
            let written = tree.child("space");
            let key = written.and_then(|space| space.key_origin(path)).unwrap_or_default();
            if let Some((message, hint)) = judge.refusal(path) {
                self.found.push(Diagnostic::new(message, key).hint(hint));
                continue;
            }
            let Some(node) = written.and_then(|space| space.child(path)) else { continue };
            for candidate in candidates(dimension, node) {
                let mut new = trying.mistakes(path, key, &candidate);
                new.retain(|diagnostic| !self.found.contains(diagnostic));
                self.found.append(&mut new);
                // The other end lacks the same word.
                if self.found.last().is_some_and(|diagnostic| diagnostic.label == WHOLE_NUMBERS) {
                    break;
                }
            }
        }
    }

    /// The number of trials, once the method accepts the task.
    fn trials(&mut self, config: &SweepConfig, tree: &Node, space: &Space, epochs: u64) -> Option<usize> {
        let counted = match (&config.trials, &config.method) {
            (Some(trials), _) => Ok(*trials),
            (None, MethodConfig::Grid(grid)) => grid.count(space),
            (None, _) => Err("`trials` is missing: how many settings are tried".into()),
        };
        let checked = counted.and_then(|trials| {
            let task = SearchTask { space: space.clone(), trials, epochs, seed: Seed(config.seed) };
            config.method.build().check(&task).map(|()| trials)
        });
        match checked {
            Ok(trials) => Some(trials),
            Err(message) => {
                self.complain(tree, "method", message, String::new());
                None
            }
        }
    }

    /// A mistake at one of the sweep's keys, or at the beginning where it is left out.
    fn complain(&mut self, tree: &Node, key: &str, message: String, hint: String) {
        let start = Origin { end: tree.origin.end.min(tree.origin.start + 1), ..tree.origin };
        let origin = tree.child(key).map_or(start, |node| node.origin);
        self.found.push(Diagnostic::new(message, origin).hint(hint));
    }
}

/// The keys of an override's path. Within `set` and `space` a key is itself a path: one that is written there already, or
/// else all the rest.
fn segments<'a>(tree: &Node, path: &'a str) -> Vec<&'a str> {
    let Some((section @ ("set" | "space"), rest)) = path.split_once('.') else {
        return path.split('.').collect();
    };
    let borders = rest.match_indices('.').map(|(position, _)| position);
    let known = tree.child(section);
    let key = borders.rev().find(|border| known.is_some_and(|known| known.child(&rest[..*border]).is_some()));
    match key {
        Some(border) if section == "space" => {
            let mut segments = vec![section, &rest[..border]];
            segments.extend(rest[border + 1..].split('.'));
            segments
        }
        _ => vec![section, rest],
    }
}

fn when_origin(tree: &Node, path: &str, other: &str) -> Origin {
    let dimension = tree.child("space").and_then(|space| space.child(path));
    let when = dimension.and_then(|dimension| dimension.child("when"));
    when.and_then(|when| when.key_origin(other)).unwrap_or(tree.origin)
}

/// The listed values, or both ends of the interval as a trial would be given them.
fn candidates(dimension: &Dimension, node: &Node) -> Vec<Node> {
    if let Some(tree::Value::List(items)) = node.child("values").map(|values| &values.value) {
        return items.clone();
    }
    let end = |key: &str, unit: f64| {
        Node::of_json(&dimension.value_at(unit), node.child(key).map_or(node.origin, |node| node.origin))
    };
    vec![end("min", 0.0), end("max", 1.0)]
}

/// The experiment on which values are tried.
struct Trying<'a> {
    ground: &'a Ground,
    space: &'a Space,
    schema: &'a Json,
}

impl Trying<'_> {
    /// What is wrong with the experiment when the setting at `path`, whose key stands at `key`, has this value.
    fn mistakes(&self, path: &str, key: Origin, candidate: &Node) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut tree = self.ground.tree.clone();
        let mut changes = vec![(path.to_owned(), candidate.clone())];
        self.add_conditions(path, key, &mut changes);
        changes.sort_by_key(|(path, _)| trial::depth(path));
        for (path, node) in changes {
            let segments: Vec<&str> = path.split('.').collect();
            if let Err(message) = graft(&mut tree, &segments, node, key) {
                return vec![Diagnostic::new(format!("`{path}`: {message}"), key)];
            }
        }
        schema::check(&tree, self.schema, "the experiment", &mut found);
        if found.is_empty()
            && let Some(mut experiment) = deserialized::<ExperimentConfig>(&tree, &mut found)
        {
            resolve::check_meaning(&mut experiment, &tree, &mut found);
        }
        found.into_iter().map(|diagnostic| self.placed(diagnostic, path, candidate)).collect()
    }

    /// The values that make the condition of a dimension hold.
    fn add_conditions(&self, path: &str, key: Origin, changes: &mut Vec<(String, Node)>) {
        for (other, wanted) in self.space.get(path).into_iter().flat_map(|dimension| &dimension.when) {
            let listed = wanted.as_array().map_or(&[][..], Vec::as_slice);
            let takes =
                |value: &&Json| self.space.get(other).is_some_and(|other| other.position_of(value).is_some());
            if let Some(value) = std::iter::once(wanted).chain(listed).find(takes) {
                changes.push((other.clone(), Node::of_json(value, key)));
                self.add_conditions(other, key, changes);
            }
        }
    }

    /// A mistake that shows within the experiment is the value's, since the experiment alone is right.
    fn placed(&self, diagnostic: Diagnostic, path: &str, candidate: &Node) -> Diagnostic {
        let own = self.ground.tree.origin.source == diagnostic.origin.source;
        let whole_number = matches!(candidate.value, tree::Value::Float(number) if number.fract() == 0.0)
            && diagnostic.message.ends_with("expected a whole number");
        let hint = if whole_number { WHOLE_NUMBERS.to_owned() } else { diagnostic.label };
        if !own {
            return Diagnostic { label: hint, ..diagnostic };
        }
        let message = format!("with `{path}` at {}: {}", candidate.to_json(), diagnostic.message);
        Diagnostic { message, origin: candidate.origin, label: hint }
    }
}

/// The most epochs that a trial may ask for.
fn most_epochs(experiment: &Plan, space: &Space) -> u64 {
    let written = experiment.experiment.train.epochs;
    let Some(dimension) = space.get("train.epochs") else { return written };
    let varied = match &dimension.values {
        Some(values) => values.iter().filter_map(Json::as_u64).max(),
        None => dimension.max.map(|most| most as u64),
    };
    match varied {
        Some(most) if dimension.when.is_empty() => most,
        // Where its condition does not hold a trial has the experiment's own.
        most => most.unwrap_or(0).max(written),
    }
}
