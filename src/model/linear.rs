//! Ridge regression of the targets on the whole window, solved exactly.
//!
//! With the window flattened to `D = T * F` numbers (relative to the last bar, which then drops out, with
//! `normalisation: last_value`), minimises `|y - a - x w|^2 + penalty |w|^2` summed over the training
//! windows (Hoerl and Kennard 1970); the intercept a is not penalised. The normal equations are summed in f64 in one
//! fixed order, centred by the means, and solved by Cholesky's factorisation.

use super::coefficients::Coefficients;
use super::normal_equations::{NormalEquations, ROWS, dot};
use super::{CARD_FILE, ClosedForm, FitError, FitTask, Fitted, Model, Started};
use super::{bounded, bounded_graph, check_windows, damaged, save_card};
use crate::nn::Normalisation;
use crate::onnx::{ElementType, GraphBuilder, Value};
use crate::rundir::{RunDirError, read_json};
use crate::table::{LabelKind, Windows};
use crate::train::TrainConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Ridge regression on the whole window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Linear {
    /// Bars of a window; 1 looks at the current features alone.
    #[schemars(range(min = 1))]
    pub window: usize,
    /// Weight of the squared coefficients against the squared errors summed over all training windows.
    #[schemars(range(min = 0.0))]
    pub penalty: f64,
    /// What is subtracted from each window first: none or last_value. With `last_value` and a target that is a change this is `NLinear` (Zeng
    /// et al. 2023), solved exactly; there is no intercept then, so that a series that stands still is forecast to do so.
    pub normalisation: Normalisation,
}

impl Default for Linear {
    fn default() -> Self {
        Linear { window: 1, penalty: 1.0, normalisation: Normalisation::None }
    }
}

/// Most inputs: the normal equations of more would take gigabytes.
const MOST_INPUTS: usize = 10_000;

impl Model for Linear {
    fn window(&self) -> usize {
        self.window
    }

    fn check(&self) -> Result<(), String> {
        if self.window == 0 {
            return Err("linear.window must be at least 1".into());
        }
        if !(self.penalty.is_finite() && self.penalty >= 0.0) {
            return Err(format!("linear.penalty must be 0 or above, not {}", self.penalty));
        }
        if self.normalisation == Normalisation::Instance {
            return Err(
                "linear.normalisation is none or last_value; a deviation of the window is not linear in it"
                    .into(),
            );
        }
        if self.window == 1 && self.normalisation == Normalisation::LastValue {
            return Err("linear.window of 1 holds nothing beside the last value, which `last_value` subtracts; write 2 \
                        or more"
                .into());
        }
        Ok(())
    }

    fn parameters(&self, features: usize, outputs: usize, _: &TrainConfig) -> usize {
        let intercepts = usize::from(self.normalisation == Normalisation::None);
        if self.check().is_ok() { (self.inputs(features) + intercepts) * outputs } else { 0 }
    }

    fn is_closed_form(&self) -> bool {
        true
    }

    fn start<'a>(&self, task: FitTask<'a>) -> Result<Started<'a>, FitError> {
        let clock = ClosedForm::start(self, &task)?;
        let (inputs, outputs) = (self.inputs(task.train.features()), task.train.outputs());
        if inputs > MOST_INPUTS {
            return Err(FitError::Settings(format!(
                "linear: {} bars of {} features are {inputs} inputs, more than {MOST_INPUTS}; use a shorter `window`",
                task.train.length(),
                task.train.features()
            )));
        }
        let (input_mean, target_mean) = self.means(&task.train);
        let mut equations = self.equations(&task, (&input_mean, &target_mean))?;
        for input in 0..inputs {
            equations.add_to_diagonal(input, self.penalty);
        }
        let singular = || FitError::Singular { task: task.label.clone() };
        let coefficients = equations.solve().ok_or_else(singular)?;
        let intercept = (0..outputs)
            .map(|horizon| {
                let weights = &coefficients[horizon * inputs..(horizon + 1) * inputs];
                target_mean[horizon] - dot(weights, &input_mean)
            })
            .collect();
        let card =
            Card { settings: *self, kind: task.kind, features: task.train.features(), horizons: outputs };
        let parameters = self.parameters(card.features, outputs, &task.config);
        let coefficients = Coefficients::new(inputs, coefficients, intercept);
        Ok(clock.done(Box::new(FittedLinear { card, coefficients }), parameters, &task))
    }

    fn load(&self, folder: &Path) -> Result<Box<dyn Fitted>, FitError> {
        let path = folder.join(CARD_FILE);
        let card: Card = read_json(&path)?;
        if card.settings != *self {
            return Err(damaged(&path, "it holds a model of other settings").into());
        }
        let coefficients = Coefficients::load(folder, self.inputs(card.features), card.horizons)?;
        Ok(Box::new(FittedLinear { card, coefficients }))
    }
}

impl Linear {
    /// D: numbers of a window that enter.
    fn inputs(&self, features: usize) -> usize {
        let bars = match self.normalisation {
            Normalisation::None => self.window,
            Normalisation::LastValue | Normalisation::Instance => self.window.saturating_sub(1),
        };
        bars * features
    }

    /// The numbers of a window that enter, `[D]`.
    fn inputs_of<'a>(&self, windows: &'a Windows, index: usize) -> impl Iterator<Item = f64> + 'a {
        let (window, features) = (windows.window(index), windows.features());
        let (bars, last) = window.split_at(self.inputs(features));
        let subtracted = move |number: usize| match last.is_empty() {
            true => 0.0,
            false => f64::from(last[number % features]),
        };
        bars.iter().enumerate().map(move |(number, value)| f64::from(*value) - subtracted(number))
    }

    /// Mean of every input and of every target, by which both are centred; zeros where there is no intercept.
    fn means(&self, windows: &Windows) -> (Vec<f64>, Vec<f64>) {
        let mut inputs = vec![0.0; self.inputs(windows.features())];
        let mut targets = vec![0.0; windows.outputs()];
        if self.normalisation == Normalisation::LastValue {
            return (inputs, targets);
        }
        for index in 0..windows.len() {
            for (sum, value) in inputs.iter_mut().zip(self.inputs_of(windows, index)) {
                *sum += value;
            }
            for (sum, value) in targets.iter_mut().zip(windows.target(index)) {
                *sum += f64::from(*value);
            }
        }
        let count = windows.len() as f64;
        for sum in inputs.iter_mut().chain(&mut targets) {
            *sum /= count;
        }
        (inputs, targets)
    }

    /// Sums over all training windows, centred by these means.
    fn equations(
        &self,
        task: &FitTask,
        (input_mean, target_mean): (&[f64], &[f64]),
    ) -> Result<NormalEquations, FitError> {
        let windows = &task.train;
        let mut equations = NormalEquations::new(input_mean.len(), target_mean.len());
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for start in (0..windows.len()).step_by(ROWS) {
            if task.stop.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(FitError::Interrupted);
            }
            x.clear();
            y.clear();
            for index in start..windows.len().min(start + ROWS) {
                x.extend(self.inputs_of(windows, index).zip(input_mean).map(|(value, mean)| value - mean));
                let targets = windows.target(index).iter().zip(target_mean);
                y.extend(targets.map(|(value, mean)| f64::from(*value) - mean));
            }
            equations.add(&x, &x, &y);
        }
        Ok(equations)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    settings: Linear,
    kind: LabelKind,
    features: usize,
    horizons: usize,
}

struct FittedLinear {
    card: Card,
    coefficients: Coefficients,
}

impl Fitted for FittedLinear {
    fn predict(&self, windows: &Windows) -> Result<Vec<f64>, FitError> {
        check_windows(windows, self.card.settings.window, self.card.features)?;
        let mut forecasts = Vec::with_capacity(windows.len() * self.card.horizons);
        for index in 0..windows.len() {
            let window: Vec<f64> = self.card.settings.inputs_of(windows, index).collect();
            forecasts.extend(self.coefficients.of(&window).map(|value| bounded(self.card.kind, value)));
        }
        Ok(forecasts)
    }

    fn save(&self, folder: &Path) -> Result<(), RunDirError> {
        self.coefficients.save(folder)?;
        save_card(folder, &self.card)
    }

    fn graph(&self, graph: &mut GraphBuilder, windows: &Value) -> Result<Value, FitError> {
        let Card { settings, kind, features, .. } = self.card;
        // Ours is computed in f64 as well, from scaled features in f32.
        let mut x = graph.cast(windows, ElementType::Double);
        if settings.normalisation == Normalisation::LastValue {
            let last = graph.gather(&x, 1, &[-1]);
            let bars = graph.slice(&x, 1, 0..settings.window - 1);
            x = graph.subtract(&bars, &last);
        }
        let flat = graph.reshape(&x, &[0, settings.inputs(features) as i64]);
        let forecasts = self.coefficients.graph(graph, &flat);
        Ok(bounded_graph(graph, kind, forecasts))
    }
}
