//! Who judges a trial, and what may therefore vary: a setting that no judged figure can see, or that changes on which rows
//! trials are judged, is a mistake that would cost hours or money.

use super::super::ExperimentConfig;
use super::{JudgedFigure, SweepConfig};
use crate::data::SplitConfig;
use crate::search::MethodConfig;
use crate::suggest::closest;
use crate::table::{LabelKind, ScalerRows};

/// A mistake: the sweep's key at which it stands, the message, and a hint.
pub(super) type Fault = (&'static str, String, String);

/// What of `backtest` is a decision of the trader; the rest is the world and the yardstick.
const SEARCHED: [&str; 3] = ["sizing", "exits", "books"];

/// Who judges.
pub(super) struct Judge<'a> {
    experiment: &'a ExperimentConfig,
    metric: JudgedFigure,
    rungs: bool,
    /// The model whose figure it is.
    pub(super) model: String,
    /// The strategy that trades on it.
    pub(super) strategy: Option<String>,
}

impl<'a> Judge<'a> {
    /// Resolves who judges.
    pub(super) fn new(
        config: &SweepConfig,
        experiment: &'a ExperimentConfig,
    ) -> Result<Judge<'a>, Vec<Fault>> {
        let model = model(config, experiment).map_err(|fault| vec![fault])?;
        let strategy = strategy(config, experiment, &model);
        let mut faults: Vec<Fault> = strategy.as_ref().err().cloned().into_iter().collect();
        let judge = Judge {
            experiment,
            metric: config.metric,
            rungs: config.method.build().uses_rungs(),
            model,
            strategy: strategy.unwrap_or_default(),
        };
        faults.extend(judge.method_fault(config));
        faults.extend(fold_fault(config, experiment));
        if faults.is_empty() { Ok(judge) } else { Err(faults) }
    }

    fn is_closed_form(&self) -> bool {
        self.experiment.models.get(&self.model).is_some_and(|model| model.build().is_closed_form())
    }

    fn method_fault(&self, config: &SweepConfig) -> Option<Fault> {
        let model = &self.model;
        if !self.is_closed_form() {
            let stops = self.experiment.train.early_stopping.is_some();
            let message =
                "`pbt` cannot train on a network that stopped early, and the experiment stops early";
            let hint = "write `set: {train.early_stopping: null}`";
            let pbt = matches!(config.method, MethodConfig::Pbt(_));
            return (pbt && stops).then(|| ("method", message.into(), hint.into()));
        }
        if self.metric == JudgedFigure::Loss {
            let message = format!("`{model}` is solved in closed form and has no training loss");
            return Some(("metric", message, "write `metric: validation.mse`".into()));
        }
        let message = format!(
            "`{}` looks at trials epoch by epoch, but `{model}` is solved in closed form",
            config.method.name()
        );
        self.rungs.then(|| ("method", message, "use random, tpe or grid".into()))
    }

    /// Why this path may not vary, with a hint.
    pub(super) fn refusal(&self, path: &str) -> Option<(String, String)> {
        let mut segments = path.split('.');
        let section = segments.next().unwrap_or_default();
        let name = segments.next().unwrap_or_default();
        let say = |message: String, hint: &str| Some((message, hint.to_owned()));
        match section {
            "name" | "device" => say(format!("`{section}` changes no figure"), "leave it out"),
            "seed" => say(
                "to vary `seed` is to choose by luck".into(),
                "leave it out; `seeds: 5` judges each trial by the mean of five networks",
            ),
            "data" | "split" => say(
                format!("`{section}` decides on which rows trials are judged, so they could not be compared"),
                "leave it out",
            ),
            "target" if self.metric != JudgedFigure::SharpeRatio => say(
                format!(
                    "forecasts of different targets cannot be compared, and `metric` is {}",
                    self.metric.name()
                ),
                "use `metric: validation.sharpe`, or leave it out",
            ),
            _ if self.changes_unit(path) => say(
                format!(
                    "`{path}` changes the unit of `{}`, so trials could not be compared",
                    self.metric.name()
                ),
                self.other_unit(),
            ),
            "train" => self.train_refusal(path),
            "models" => self.model_refusal(name),
            "strategies" | "backtest" if self.metric != JudgedFigure::SharpeRatio => say(
                format!("`{}` does not depend on `{section}`", self.metric.name()),
                "use `metric: validation.sharpe`, or leave it out",
            ),
            _ if path.split('.').any(|segment| segment == "intrabar") => say(
                "`intrabar` is an assumption about the market, and the search would take the kindest".into(),
                "leave it out",
            ),
            "strategies" => self.strategy_refusal(name),
            "backtest" if !SEARCHED.contains(&name) => say(
                format!(
                    "`{path}` decides under which conditions trials are judged, so they could not be compared"
                ),
                "leave it out; of `backtest` only sizing, exits and books may vary",
            ),
            _ => None,
        }
    }

    /// Whether this setting decides by which numbers targets are divided before the judging error is taken: those of the
    /// trial's own training windows, whose rows and number it changes.
    fn changes_unit(&self, path: &str) -> bool {
        use JudgedFigure::{Loss, MeanAbsoluteError, MeanSquaredError};
        let segments: Vec<&str> = path.split('.').collect();
        let part_alone = match self.metric {
            // Classes are learned as they are, but for a weight that their share among the training windows decides.
            Loss if self.target_kind().is_some_and(LabelKind::is_probability)
                && !self.experiment.train.loss.is_balanced() =>
            {
                return false;
            }
            Loss => false,
            MeanSquaredError | MeanAbsoluteError if self.judges_changes() => {
                self.experiment.scaler.rows == ScalerRows::Part
            }
            _ => return false,
        };
        match segments[0] {
            "features" | "scaler" => true,
            "train" => path == "train.stride_bars" && !part_alone,
            // A whole model has a window as well.
            "models" => (segments.len() < 4 || segments[3] == "window") && !part_alone,
            _ => false,
        }
    }

    /// Whether errors are in units of each symbol's own deviation.
    fn judges_changes(&self) -> bool {
        self.target_kind() == Some(LabelKind::Change)
    }

    fn target_kind(&self) -> Option<LabelKind> {
        self.experiment.target.as_ref().map(|target| target.build().kind())
    }

    fn other_unit(&self) -> &'static str {
        if self.judges_changes() {
            "use `metric: validation.rank_ic`, or leave it out"
        } else {
            "use `metric: validation.mse` or `validation.rank_ic`, or leave it out"
        }
    }

    fn train_refusal(&self, path: &str) -> Option<(String, String)> {
        if self.is_closed_form() {
            let message = format!("`{}` is solved in closed form and does not use `train`", self.model);
            return Some((message, "leave it out".into()));
        }
        if path == "train" {
            let message = "the whole of `train` cannot vary at once".into();
            return Some((message, "write its settings one by one, such as `train.batch_size`".into()));
        }
        let under = |section: &str| path == section || path.starts_with(&format!("{section}."));
        if under("train.loss") && self.metric == JudgedFigure::Loss {
            let message = "values of different losses cannot be compared".into();
            return Some((message, "write `metric: validation.mse`".into()));
        }
        if under("train.seeds") {
            let message = "how many networks a trial has is said by the sweep's own `seeds`".into();
            return Some((message, "leave it out; write `seeds: 5` beside `trials`".into()));
        }
        if under("train.epochs") && self.rungs {
            let message = "how many epochs a trial is trained is what the method decides".into();
            return Some((message, "leave it out; `set: {train.epochs: 20}` gives the most".into()));
        }
        None
    }

    fn model_refusal(&self, name: &str) -> Option<(String, String)> {
        let models = &self.experiment.models;
        if !models.contains_key(name) {
            let names = models.keys().map(String::as_str);
            return Some((format!("`{name}` is not a model of the experiment"), known(name, names)));
        }
        let hint = format!("write `model: {name}`, or leave it out");
        (name != self.model)
            .then(|| (format!("trials are judged by `{}`, not by `{name}`", self.model), hint))
    }

    fn strategy_refusal(&self, name: &str) -> Option<(String, String)> {
        let strategies = &self.experiment.strategies;
        if !strategies.contains_key(name) {
            let names = strategies.keys().map(String::as_str);
            return Some((format!("`{name}` is not a strategy of the experiment"), known(name, names)));
        }
        let judge = self.strategy.as_deref().unwrap_or_default();
        let hint = format!("write `strategy: {name}`, or leave it out");
        (name != judge)
            .then(|| (format!("trials are judged by the book of `{judge}`, not of `{name}`"), hint))
    }
}

/// "did you mean", or all names.
fn known<'a>(wanted: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match closest(wanted, names.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
    }
}

fn model(config: &SweepConfig, experiment: &ExperimentConfig) -> Result<String, Fault> {
    let names = experiment.models.keys().map(String::as_str);
    match &config.model {
        Some(name) if experiment.models.contains_key(name) => Ok(name.clone()),
        Some(name) => {
            Err(("model", format!("`{name}` is not a model of the experiment"), known(name, names)))
        }
        None => match experiment.models.len() {
            0 => Err((
                "experiment",
                "the experiment has no `models`, so there is nothing to train".into(),
                "vary parameters of strategies by lists and ranges in the experiment itself".into(),
            )),
            1 => Ok(names.collect()),
            count => Err((
                "experiment",
                format!("the experiment has {count} models; `model` must say which one is judged"),
                format!("add `model: ...`, one of {}", names.collect::<Vec<_>>().join(", ")),
            )),
        },
    }
}

/// The strategy that is named, or the only single book that trades on the model.
fn strategy(
    config: &SweepConfig,
    experiment: &ExperimentConfig,
    model: &str,
) -> Result<Option<String>, Fault> {
    let trades = |name: &str| {
        let entry = experiment.strategies.get(name);
        entry.is_some_and(|entry| {
            entry.build().model().is_some_and(|(traded, _)| traded == model) && entry.len() == 1
        })
    };
    let names = experiment.strategies.keys().map(String::as_str);
    if let Some(name) = &config.strategy {
        if !experiment.strategies.contains_key(name) {
            let message = format!("`{name}` is not a strategy of the experiment");
            return Err(("strategy", message, known(name, names)));
        }
        if !trades(name) {
            let message = format!("`{name}` is no single book that trades on `{model}`");
            return Err(("strategy", message, "name a strategy on this model that is no grid".into()));
        }
        return Ok(Some(name.clone()));
    }
    let candidates: Vec<&str> = names.filter(|name| trades(name)).collect();
    match candidates.as_slice() {
        [one] => Ok(Some((*one).to_owned())),
        _ if config.metric != JudgedFigure::SharpeRatio => Ok(None),
        [] => {
            let message = format!("no single book of the experiment trades on `{model}`");
            Err(("metric", message, "add a strategy such as model_signal, or use another metric".into()))
        }
        several => {
            let message = format!("{} strategies trade on `{model}`", several.len());
            Err(("metric", message, format!("add `strategy: ...`, one of {}", several.join(", "))))
        }
    }
}

fn fold_fault(config: &SweepConfig, experiment: &ExperimentConfig) -> Option<Fault> {
    let folds = match experiment.split.as_ref()? {
        SplitConfig::WalkForward(split) => split.folds,
        SplitConfig::Holdout(_) => 1,
        SplitConfig::PurgedKFold(_) => {
            let message = "with `split: purged_k_fold` all rows are test rows of some fold, so none is left to choose by";
            let hint = "sweep an experiment with `walk_forward` or `holdout`";
            return Some(("experiment", message.into(), hint.into()));
        }
    };
    let message = format!("`folds` is {}, but the experiment has {folds}", config.folds);
    (config.folds > folds).then(|| ("folds", message, format!("write at most {folds}")))
}
