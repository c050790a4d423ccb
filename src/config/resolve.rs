//! From an experiment as written to a plan: what a section means beside the others, checked all at once.

use super::ExperimentConfig;
use super::diagnostic::Diagnostic;
use super::tree::Node;
use crate::data::{Resampling, SplitConfig};
use crate::domains::market::backtest::{CostConfig, lower};
use crate::domains::market::indicators::check_extra_column;
use crate::domains::market::labels::LabelConfig;
use crate::domains::market::strategies::{StrategyConfig, StrategyEntry, traded_model};
use crate::metrics::AlarmConfig;
use crate::model::missing_feature;
use crate::rundir::sha256_hex;
use crate::suggest::closest;
use crate::table::LabelKind;

/// An experiment whose every default is filled in and whose sections fit each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The settings.
    pub experiment: ExperimentConfig,
    /// The file as the user wrote it, overrides not included.
    pub written: String,
    /// The settings as YAML; loading it gives an equal plan.
    pub resolved: String,
    /// SHA-256 of `resolved`.
    pub sha256: String,
}

impl Plan {
    pub(super) fn new(experiment: ExperimentConfig, written: &str) -> Result<Plan, String> {
        let resolved = serde_saphyr::to_string(&experiment).map_err(|error| error.to_string())?;
        let sha256 = sha256_hex(resolved.as_bytes());
        Ok(Plan { experiment, written: written.to_owned(), resolved, sha256 })
    }

    /// The same experiment without the folds before this one, counted from 0.
    ///
    /// # Errors
    /// A split that has only one fold, or a plan that cannot be written as YAML.
    pub fn from_fold(&self, first: usize) -> Result<Plan, String> {
        let mut experiment = self.experiment.clone();
        match &mut experiment.split {
            _ if first == 0 => return Ok(self.clone()),
            Some(SplitConfig::WalkForward(split)) => split.first_fold = first,
            _ => return Err(format!("there is no fold {first}; use walk_forward")),
        }
        Plan::new(experiment, &self.written)
    }

    /// The same experiment with its strategies on models and the models left out: a plain backtest.
    ///
    /// # Errors
    /// A plan that cannot be written as YAML.
    pub fn without_models(&self) -> Result<Plan, String> {
        let mut experiment = self.experiment.clone();
        experiment.strategies.retain(|_, strategy| {
            // A book that matches a book on a model has nothing to match.
            let all = &self.experiment.strategies;
            let plain = |entry: &StrategyEntry| traded_model(all, &entry.first().strategy).is_none();
            let matched = strategy.build().matches().flatten().and_then(|name| all.get(name));
            plain(strategy) && matched.is_none_or(plain)
        });
        experiment.models.clear();
        Plan::new(experiment, &self.written)
    }
}

/// Adds every mistake that only two sections together show, and leaves out the combinations of grids that do not fit the
/// section `backtest`.
pub(super) fn check_meaning(experiment: &mut ExperimentConfig, tree: &Node, found: &mut Vec<Diagnostic>) {
    experiment.strategies.values_mut().for_each(|entry| entry.restrict(&experiment.backtest));
    if experiment.alarms.is_none() && is_event(experiment) {
        experiment.alarms = Some(AlarmConfig::default());
    }
    let experiment = &*experiment;
    let mut complain = |path: &str, message: String, hint: String| {
        found.push(Diagnostic::new(message, tree.origin_at(path)).hint(hint));
    };
    check_names(experiment, &mut complain);
    check_models(experiment, &mut complain);
    check_alarms(experiment, &mut complain);
    check_series(experiment, &mut complain);
    check_noise_floor(experiment, &mut complain);
    check_strategies(experiment, &mut complain);
    check_backtest(experiment, &mut complain);
}

fn check_backtest(experiment: &ExperimentConfig, complain: &mut Complain) {
    let settings = &experiment.backtest;
    let parts = [
        ("backtest.costs", lower(&settings.costs).map(|_| ())),
        ("backtest.sizing", settings.sizing.check()),
        ("backtest.exits", settings.exits.check()),
        ("backtest", settings.check()),
    ];
    check_funding(experiment, complain);
    // The check of the whole repeats what the parts have found.
    if let Some((path, Err(message))) = parts.into_iter().find(|(_, result)| result.is_err()) {
        complain(path, message, String::new());
    }
}

/// Funding is paid several times within a longer bar, so the rates of resampled bars are sums.
fn check_funding(experiment: &ExperimentConfig, complain: &mut Complain) {
    if experiment.data.resample.is_none() {
        return;
    }
    for cost in &experiment.backtest.costs {
        let CostConfig::Funding(funding) = cost else { continue };
        let extra = experiment.data.columns.extra.get(&funding.column);
        if let Some(extra) = extra.filter(|extra| extra.resample != Resampling::Sum) {
            let (name, column) = (&funding.column, &extra.column);
            complain(
                &format!("data.columns.extra.{name}"),
                format!("funding reads `{name}`, of which data.resample keeps one value a bar"),
                format!("write `{name}: {{column: {column}, resample: sum}}`"),
            );
        }
    }
}

type Complain<'a> = dyn FnMut(&str, String, String) + 'a;

fn check_names(experiment: &ExperimentConfig, complain: &mut Complain) {
    let names = [("name", experiment.name.as_str())]
        .into_iter()
        .map(|(path, name)| (path.to_owned(), name))
        .chain(experiment.models.keys().map(|name| (format!("models.{name}"), name.as_str())))
        .chain(experiment.strategies.keys().map(|name| (format!("strategies.{name}"), name.as_str())));
    for (path, name) in names {
        if let Err(hint) = check_name(name) {
            complain(&path, format!("`{name}` cannot name a file"), hint);
        }
    }
}

/// Whether a name can name a file or folder.
///
/// # Errors
/// Says which names can.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= 64 && name.chars().all(plain) {
        return Ok(());
    }
    Err("letters, digits, `.`, `-` and `_`, at most 64, beginning with a letter or digit".into())
}

fn check_models(experiment: &ExperimentConfig, complain: &mut Complain) {
    if experiment.models.is_empty() {
        if experiment.strategies.is_empty() {
            complain(
                "",
                "there is nothing to do: no `models` and no `strategies`".into(),
                "add one of them".into(),
            );
        }
        return;
    }
    let needs = [
        ("features", experiment.features.is_empty(), "what the models see"),
        ("target", experiment.target.is_none(), "what the models forecast"),
        (
            "split",
            experiment.split.is_none(),
            "how the bars are cut into training, validation and test parts",
        ),
    ];
    for (section, missing, meaning) in needs {
        if missing {
            complain("models", format!("`models` needs `{section}`: {meaning}"), format!("add `{section}`"));
        }
    }
    for (name, model) in &experiment.models {
        if let Err(message) = model.build().check() {
            complain(&format!("models.{name}"), message, String::new());
        }
        let kind = experiment.target.as_ref().map(|target| target.build().kind());
        if let Some(Err(message)) = kind.map(|kind| model.build().fits(kind)) {
            complain(&format!("models.{name}.{}", model.name()), message, String::new());
        }
    }
    if let Some(target) = &experiment.target
        && let Err(message) = experiment.train.check(target.build().kind())
    {
        complain("train", message, String::new());
    }
    if let Some(target) = &experiment.target
        && let Err(message) = target.build().check()
    {
        complain(&format!("target.{}", target.name()), message, String::new());
    }
    let mut seen: Vec<String> = Vec::new();
    for (index, feature) in experiment.features.iter().enumerate() {
        if let Err(message) = feature.build().check() {
            complain(&format!("features.{index}"), message, String::new());
        }
        let extras = experiment.data.columns.extra.keys().map(String::as_str);
        if let Err((message, hint)) = check_extra_column(feature.build(), extras) {
            complain(&format!("features.{index}"), message, hint);
        }
        for name in feature.build().names() {
            if seen.contains(&name) {
                complain(
                    &format!("features.{index}"),
                    format!("the feature `{name}` is computed twice"),
                    "remove one".into(),
                );
            }
            seen.push(name);
        }
    }
    let known = seen.iter().map(String::as_str);
    for (name, model) in &experiment.models {
        for wanted in model.build().wanted_features() {
            if !seen.iter().any(|feature| feature == wanted) {
                let (message, hint) = missing_feature(wanted, known.clone());
                complain(&format!("models.{name}.{}", model.name()), message, hint);
            }
        }
    }
}

fn is_event(experiment: &ExperimentConfig) -> bool {
    experiment.target.as_ref().is_some_and(|target| target.build().kind() == LabelKind::Event)
}

fn check_alarms(experiment: &ExperimentConfig, complain: &mut Complain) {
    let Some(alarms) = &experiment.alarms else { return };
    if !is_event(experiment) {
        let message = "`alarms` are raised by the risk of an event, and `target` is none";
        complain("alarms", message.into(), "leave it out, or use the target `drawdown_within`".into());
    } else if let Err(message) = alarms.check() {
        complain("alarms", message, String::new());
    }
}

/// Series that nobody trades have no returns and no books.
fn check_series(experiment: &ExperimentConfig, complain: &mut Complain) {
    if experiment.data.columns.series.is_empty() {
        return;
    }
    if !experiment.strategies.is_empty() {
        let message = "`data.columns.series` are numbers that nobody trades, so no strategy can run on them";
        complain("strategies", message.into(), "leave `strategies` out, or load prices".into());
    }
    if let Some(target) = &experiment.target
        && !matches!(
            target,
            LabelConfig::ForwardChange(_) | LabelConfig::ForwardValue(_) | LabelConfig::Sign(_)
        )
    {
        let message = format!(
            "`{}` is made of returns, which series that may be 0 or negative do not have",
            target.name()
        );
        complain(
            &format!("target.{}", target.name()),
            message,
            "use `forward_change`, `forward_value` or `sign`".into(),
        );
    }
}

/// A floor under nothing is a mistake, and an accuracy after rounding has a meaning for levels and changes alone.
fn check_noise_floor(experiment: &ExperimentConfig, complain: &mut Complain) {
    let Some(floor) = &experiment.noise_floor else { return };
    if let Err(message) = floor.check() {
        complain("noise_floor", message, String::new());
    }
    if experiment.models.is_empty() {
        let message = "`noise_floor` stands beside the figures of models, and there are none";
        complain("noise_floor", message.into(), "leave it out, or add `models`".into());
    }
    let kind = experiment.target.as_ref().map(|target| target.build().kind());
    if floor.accuracy.is_some() && !matches!(kind, None | Some(LabelKind::Value | LabelKind::Change)) {
        let message = "an accuracy after rounding has a meaning for levels and changes alone";
        let hint = "leave it out, or forecast `forward_value` or `forward_change`";
        complain("noise_floor.accuracy", message.into(), hint.into());
    }
}

fn check_strategies(experiment: &ExperimentConfig, complain: &mut Complain) {
    for (name, entry) in &experiment.strategies {
        if let Err(fault) = entry.check() {
            complain(&format!("strategies.{name}.{}", fault.path), fault.message, String::new());
            continue;
        }
        // One value at a time is enough: models, horizons and names of books are asked for, each by one parameter. What
        // depends on several parameters has left its combinations out or is told by the check above.
        let mut told = Vec::new();
        let mut complain_once = |path: &str, message: String, hint: String| {
            if !told.contains(&message) {
                told.push(message.clone());
                complain(path, message, hint);
            }
        };
        for book in entry.variations() {
            check_strategy(experiment, name, &book.strategy, &mut complain_once);
        }
    }
}

fn check_strategy(
    experiment: &ExperimentConfig,
    name: &str,
    strategy: &StrategyConfig,
    complain: &mut Complain,
) {
    let path = format!("strategies.{name}.{}", strategy.name());
    if let Some((model, horizon)) = strategy.build().model() {
        if !experiment.models.contains_key(model) {
            let hint = match closest(model, experiment.models.keys().map(String::as_str)) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "name one of `models`".into(),
            };
            complain(
                &format!("{path}.model"),
                format!("strategy `{name}` trades on `{model}`, which is not a model"),
                hint,
            );
        }
        if let Some(target) = experiment.target.as_ref().map(|target| target.build()) {
            let horizons = target.horizons();
            if let Some(wanted) = horizon.filter(|wanted| !horizons.contains(wanted)) {
                let message =
                    format!("strategy `{name}` uses horizon {wanted}, which `target` does not forecast");
                complain(&format!("{path}.horizon_bars"), message, format!("the horizons are {horizons:?}"));
            }
            if let Err(message) = strategy.build().fits(target.kind()) {
                complain(&path, message, String::new());
            }
        }
    }
    if let Some(Some(other)) = strategy.build().matches() {
        check_match(experiment, (name, "matches", other), &format!("{path}.match"), complain);
    }
    if let Some(other) = strategy.build().guards() {
        check_match(experiment, (name, "guards", other), &format!("{path}.guards"), complain);
    }
    if let Some(column) =
        strategy.build().column().filter(|name| !experiment.data.columns.extra.contains_key(*name))
    {
        let message = format!("strategy `{name}` reads `{column}`, which is no extra column of the data");
        let hint = match closest(column, experiment.data.columns.extra.keys().map(String::as_str)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("add `{column}` to data.columns.extra"),
        };
        complain(&format!("{path}.column"), message, hint);
    }
}

/// A book can only match or guard another strategy that is one book, and none that guards it in turn.
fn check_match(
    experiment: &ExperimentConfig,
    (name, relation, other): (&str, &str, &str),
    path: &str,
    complain: &mut Complain,
) {
    let single = |entry: &&StrategyEntry| !entry.is_grid() && entry.build().books() == 1;
    let mut next = experiment.strategies.get(other).filter(single);
    let mut steps = 0;
    while let Some(entry) = next {
        let Some(further) = entry.build().guards() else { return };
        steps += 1;
        // A chain longer than the list of strategies goes in a circle.
        next = experiment.strategies.get(further).filter(|_| steps <= experiment.strategies.len());
    }
    let hint = match closest(other, experiment.strategies.keys().map(String::as_str)) {
        Some(known) if known != name => format!("did you mean `{known}`?"),
        _ => "name another strategy that is one book".into(),
    };
    let message = match steps {
        0 => format!("strategy `{name}` {relation} `{other}`, which is no single book"),
        _ => format!(
            "strategy `{name}` {relation} `{other}`, which guards in a circle or nothing that is there"
        ),
    };
    complain(path, message, hint);
}
