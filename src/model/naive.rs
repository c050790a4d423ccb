//! Forecasts without learning: what every model must beat.

use super::{ClosedForm, FitError, FitTask, Fitted, Model, Started};
use super::{bounded, bounded_graph, check_windows, save_card};
use crate::onnx::{ElementType, GraphBuilder, TensorData, Value};
use crate::rundir::{RunDirError, read_json};
use crate::table::{LabelKind, Windows};
use crate::train::{TargetScaling, TrainConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A forecast without learning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Naive {
    /// Which one: zero, mean or last.
    pub forecast: Forecast,
}

/// What a naive model forecasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Forecast {
    /// Neutral: 0, or a probability of one half for a class. For returns this is the random walk. For an event it is the
    /// risk of 0, that nothing ever happens; the base rate of events is `mean`.
    #[default]
    Zero,
    /// The mean of the training targets, each horizon its own.
    Mean,
    /// What was goes on: the first feature at the window's last bar, brought from its mean and standard deviation over
    /// the training windows to those of the target. Put the recent return first among the features to make this momentum.
    Last,
}

impl Model for Naive {
    fn window(&self) -> usize {
        1
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn parameters(&self, _: usize, outputs: usize, _: &TrainConfig) -> usize {
        match self.forecast {
            Forecast::Zero => 0,
            Forecast::Mean => outputs,
            Forecast::Last => 2 + 2 * outputs,
        }
    }

    fn is_closed_form(&self) -> bool {
        true
    }

    fn start<'a>(&self, task: FitTask<'a>) -> Result<Started<'a>, FitError> {
        let clock = ClosedForm::start(self, &task)?;
        // Also for a class, whose targets a network takes as they are.
        let targets = TargetScaling::fit(&task.train, LabelKind::Return);
        let outputs = task.train.outputs();
        let constant = |values: Vec<f64>| (values, vec![0.0; outputs]);
        let (level, slope) = match self.forecast {
            Forecast::Zero => constant(vec![if task.kind == LabelKind::Class { 0.5 } else { 0.0 }; outputs]),
            Forecast::Mean => constant(targets.mean().to_vec()),
            Forecast::Last => persistence(&task.train, &targets),
        };
        let features = task.train.features();
        let fitted = FittedNaive { settings: *self, kind: task.kind, features, level, slope };
        let parameters = self.parameters(features, outputs, &task.config);
        Ok(clock.done(Box::new(fitted), parameters, &task))
    }

    fn load(&self, folder: &Path) -> Result<Box<dyn Fitted>, FitError> {
        let path = folder.join(super::CARD_FILE);
        let fitted: FittedNaive = read_json(&path)?;
        if fitted.settings != *self || fitted.level.len() != fitted.slope.len() {
            return Err(super::damaged(&path, "it holds a model of other settings").into());
        }
        Ok(Box::new(fitted))
    }
}

/// Level and slope of each horizon by the mean and deviation of the first feature's last value.
fn persistence(windows: &Windows, targets: &TargetScaling) -> (Vec<f64>, Vec<f64>) {
    let count = windows.len() as f64;
    let average = |value: &dyn Fn(f64) -> f64| {
        (0..windows.len()).map(|index| value(last_value(windows, index))).sum::<f64>() / count
    };
    let mean = average(&|value| value);
    let deviation = average(&|value| (value - mean).powi(2)).sqrt();
    let factor = if deviation > mean.abs() * 1e-9 { deviation.recip() } else { 0.0 };
    let slope: Vec<f64> = targets.deviation().iter().map(|deviation| deviation * factor).collect();
    (targets.mean().iter().zip(&slope).map(|(target, slope)| target - slope * mean).collect(), slope)
}

/// The first feature at the window's last bar; 0 where there is no feature.
fn last_value(windows: &Windows, index: usize) -> f64 {
    let window = windows.window(index);
    window.get(window.len().saturating_sub(windows.features())).copied().map_or(0.0, f64::from)
}

/// level + slope * last value.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FittedNaive {
    settings: Naive,
    kind: LabelKind,
    features: usize,
    /// `[H]`
    level: Vec<f64>,
    /// `[H]`
    slope: Vec<f64>,
}

impl Fitted for FittedNaive {
    fn predict(&self, windows: &Windows) -> Result<Vec<f64>, FitError> {
        check_windows(windows, 1, self.features)?;
        let mut forecasts = Vec::with_capacity(windows.len() * self.level.len());
        for index in 0..windows.len() {
            let last = last_value(windows, index);
            let of_horizon = self.level.iter().zip(&self.slope);
            forecasts.extend(of_horizon.map(|(level, slope)| bounded(self.kind, level + slope * last)));
        }
        Ok(forecasts)
    }

    fn save(&self, folder: &Path) -> Result<(), RunDirError> {
        save_card(folder, self)
    }

    fn graph(&self, graph: &mut GraphBuilder, windows: &Value) -> Result<Value, FitError> {
        let bar = graph.gather(windows, 1, &[-1]);
        let bar = graph.squeeze(&bar, 1);
        let last = graph.gather(&bar, 1, &[0]);
        let last = graph.cast(&last, ElementType::Double);
        let horizons = [self.level.len()];
        let slope = graph.constant("slope", &horizons, TensorData::Doubles(self.slope.clone()));
        let level = graph.constant("level", &horizons, TensorData::Doubles(self.level.clone()));
        let moved = graph.multiply(&last, &slope);
        let forecasts = graph.add(&moved, &level);
        Ok(bounded_graph(graph, self.kind, forecasts))
    }
}
