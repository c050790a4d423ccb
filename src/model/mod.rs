//! Models: one trait, one file each. See `registry.rs` for how one joins.

use crate::kernels::arena::Arena;
use crate::onnx::{GraphBuilder, Value};
use crate::progress::Event;
use crate::rundir::RunDirError;
use crate::suggest::closest;
use crate::table::{LabelKind, Windows};
use crate::train::{Clock, TrainConfig};
use std::path::Path;

mod coefficients;
mod linear;
mod logistic;
mod lstm;
mod member;
mod naive;
mod network;
mod normal_equations;
mod patch_transformer;
mod seasonal;
mod transformer;

pub use crate::train::{
    Advance, Divergence, EpochRecord, FitError, FitReport, FitTask, PopulationRecord, StopReason,
};
pub use linear::Linear;
pub use logistic::Logistic;
pub use lstm::Lstm;
pub use member::{Member, Started, train_together};
pub use naive::{Forecast, Naive};
pub use patch_transformer::PatchTransformer;
pub use seasonal::{Seasonal, SeasonalForecast};
pub use transformer::Transformer;

/// A forecaster's settings, from which it can be fitted.
pub trait Model: Send + Sync {
    /// Bars of a window.
    fn window(&self) -> usize;

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Says which setting does not, and why.
    fn check(&self) -> Result<(), String>;

    /// Whether it can forecast labels of this kind.
    ///
    /// # Errors
    /// Says why not, and what to use instead.
    fn fits(&self, _kind: LabelKind) -> Result<(), String> {
        Ok(())
    }

    /// Names of features that it must be given.
    fn wanted_features(&self) -> Vec<&str> {
        Vec::new()
    }

    /// How many numbers a fit on so many features and horizons would find; 0 where the settings make no sense.
    fn parameters(&self, features: usize, outputs: usize, config: &TrainConfig) -> usize;

    /// Whether fitting it is solving a formula: at once, and without random numbers.
    fn is_closed_form(&self) -> bool {
        false
    }

    /// Starts to fit on the training windows: a closed form is done at once, a network is a member of a population, to
    /// be moved on. Two fits of equal tasks give the same bits.
    ///
    /// # Errors
    /// Settings or windows that make no sense, or the wish to stop.
    fn start<'a>(&self, task: FitTask<'a>) -> Result<Started<'a>, FitError>;

    /// Fits to the end.
    ///
    /// # Errors
    /// As [`Model::start`], and numbers that leave the finite before anything was learned.
    fn fit(&self, task: FitTask) -> Result<Fit, FitError> {
        match self.start(task)? {
            Started::Done(fit) => Ok(fit),
            Started::Member(member) => member.to_end(&Arena::default()),
        }
    }

    /// Reads a model of these settings that [`Fitted::save`] wrote.
    ///
    /// # Errors
    /// Files that are missing, damaged or of other settings.
    fn load(&self, folder: &Path) -> Result<Box<dyn Fitted>, FitError>;
}

/// A fitted model and how it came about.
pub struct Fit {
    /// Ready to forecast.
    pub model: Box<dyn Fitted>,
    /// What the fit did.
    pub report: FitReport,
}

/// A model that forecasts.
pub trait Fitted: Send + Sync {
    /// Forecasts of these windows in units of the label, `[N, H]` row-major. Targets of the windows are not looked at.
    ///
    /// # Errors
    /// Windows of another length or other features, or a device that fails.
    fn predict(&self, windows: &Windows) -> Result<Vec<f64>, FitError>;

    /// Writes it into a folder, from which [`Model::load`] reads it with the same bits.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn save(&self, folder: &Path) -> Result<(), RunDirError>;

    /// Adds what [`Fitted::predict`] computes to a graph: scaled windows `[B, T, F]` in f32 -> forecasts `[B, H]` in f64.
    ///
    /// # Errors
    /// [`FitError::NoGraph`] where forecasts are no function of such a window alone.
    fn graph(&self, _graph: &mut GraphBuilder, _windows: &Value) -> Result<Value, FitError> {
        Err(FitError::NoGraph)
    }
}

crate::registry! {
    /// A model by name.
    ModelConfig => dyn Model;
    /// A forecast without learning, to be beaten: zero, the mean, or the last value.
    naive: Naive,
    /// What was one period ago, or what usually is at this place of the period.
    seasonal: Seasonal,
    /// Ridge regression on the whole window, solved exactly.
    linear: Linear,
    /// Logistic regression with a ridge penalty on the whole window, for targets of 0 or 1.
    logistic: Logistic,
    /// A recurrent network with long short-term memory.
    lstm: Lstm,
    /// A causal Transformer encoder over patches of bars.
    transformer: Transformer,
    /// A Transformer encoder over overlapping patches of each feature apart (PatchTST).
    patch_transformer: PatchTransformer,
}

/// The names of the two files of a saved model.
const CARD_FILE: &str = "model.json";
const WEIGHTS_FILE: &str = "model.safetensors";

/// The time at which a closed form started.
struct ClosedForm(Clock);

impl ClosedForm {
    /// Checks the settings and that there is something to fit.
    fn start(model: &dyn Model, task: &FitTask) -> Result<Self, FitError> {
        let clock = ClosedForm(Clock::start());
        model.check().map_err(FitError::Settings)?;
        model.fits(task.kind).map_err(FitError::Settings)?;
        if task.train.is_empty() {
            return Err(FitError::NoWindows { task: task.label.clone(), part: "training" });
        }
        check_windows(&task.train, model.window(), task.train.features())?;
        for name in model.wanted_features() {
            feature(&task.train, name)?;
        }
        task.progress.on(&Event::FitStarted { task: task.label.clone(), steps: 1 });
        Ok(clock)
    }

    fn done<'a>(self, model: Box<dyn Fitted>, parameters: usize, task: &FitTask) -> Started<'a> {
        task.progress
            .on(&Event::FitDone { task: task.label.clone(), detail: "solved in closed form".into() });
        let (seconds, cpu_seconds) = self.0.elapsed();
        let report = FitReport {
            parameters,
            samples: 0,
            precision: None,
            seconds,
            cpu_seconds,
            step_seconds: 0.0,
            step_cpu_seconds: 0.0,
            seconds_to_first_step: None,
            epochs: Vec::new(),
            best_epoch: None,
            stop_reason: StopReason::ClosedForm,
            population: None,
        };
        Started::Done(Fit { model, report })
    }
}

fn check_windows(
    windows: &Windows,
    expected_length: usize,
    expected_features: usize,
) -> Result<(), FitError> {
    let (length, features) = (windows.length(), windows.features());
    if (length, features) == (expected_length, expected_features) {
        return Ok(());
    }
    Err(FitError::Shape { expected_length, expected_features, length, features })
}

/// The number of the feature of this name.
fn feature(windows: &Windows, name: &str) -> Result<usize, FitError> {
    let names = windows.feature_names();
    let place = names.iter().position(|candidate| candidate == name);
    place.ok_or_else(|| {
        let (message, hint) = missing_feature(name, names.iter().map(String::as_str));
        FitError::Settings(format!("{message}; {hint}"))
    })
}

/// That a model wants a feature which is not among these, and what to do.
pub fn missing_feature<'a>(wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> (String, String) {
    let hint = match closest(wanted, known.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("add it to `features`; there are {}", known.collect::<Vec<_>>().join(", ")),
    };
    (format!("the model wants the feature `{wanted}`, which is not computed"), hint)
}

/// A forecast of a class is a probability, whatever a regression says.
fn bounded(kind: LabelKind, forecast: f64) -> f64 {
    if kind.is_probability() { forecast.clamp(0.0, 1.0) } else { forecast }
}

/// The same in a graph, of f64.
fn bounded_graph(graph: &mut GraphBuilder, kind: LabelKind, forecast: Value) -> Value {
    if kind.is_probability() { graph.clip(&forecast, [0.0, 1.0]) } else { forecast }
}

/// A card that cannot become JSON is a fault of the program, not of the disk; it is told as a damaged file.
fn save_card<T: serde::Serialize>(folder: &Path, card: &T) -> Result<(), RunDirError> {
    let path = folder.join(CARD_FILE);
    let text = serde_json::to_string_pretty(card).map_err(|error| fault(&path, &error))?;
    crate::rundir::write_atomic(&path, (text + "\n").as_bytes())
}

fn fault(path: &Path, error: &dyn std::fmt::Display) -> RunDirError {
    RunDirError::Damaged {
        path: path.into(),
        reason: error.to_string(),
        remedy: "this is a fault of the program; please report it",
    }
}

fn damaged(path: &Path, reason: impl std::fmt::Display) -> RunDirError {
    RunDirError::Damaged { path: path.into(), reason: reason.to_string(), remedy: "run the experiment again" }
}
