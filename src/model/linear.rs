//! Ridge regression of the targets on the whole window, solved exactly.
//!
//! With the window flattened to `D = T * F` numbers (relative to the last bar, which then drops out, with
//! `normalisation: last_value`), minimises `|y - a - x w|^2 + penalty |w|^2` summed over the training
//! windows (Hoerl and Kennard 1970); the intercept a is not penalised. The normal equations are summed in f64 in one
//! fixed order, centred by the means, and solved by Cholesky's factorisation.

use super::{CARD_FILE, ClosedForm, FitError, FitTask, Fitted, Model, Started, WEIGHTS_FILE};
use super::{bounded, bounded_graph, check_windows, damaged, fault, save_card};
use crate::kernels::matrix::{Matrix, MatrixMut, Target, multiply};
use crate::nn::Normalisation;
use crate::onnx::{ElementType, GraphBuilder, TensorData, Value};
use crate::rundir::{RunDirError, read_json, write_atomic};
use crate::table::{LabelKind, Windows};
use crate::train::TrainConfig;
use candle_core::Device;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
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

/// Windows that enter the normal equations at once.
const ROWS: usize = 256;

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
        let mut equations = NormalEquations::sum(self, &task, (&input_mean, &target_mean))?;
        for k in 0..inputs {
            equations.gram[k * inputs + k] += self.penalty;
        }
        let singular = || FitError::Singular { task: task.label.clone() };
        let coefficients = solve(&mut equations, inputs, outputs).ok_or_else(singular)?;
        let intercept = (0..outputs)
            .map(|horizon| {
                let weights = &coefficients[horizon * inputs..(horizon + 1) * inputs];
                target_mean[horizon] - dot(weights, &input_mean)
            })
            .collect();
        let card =
            Card { settings: *self, kind: task.kind, features: task.train.features(), horizons: outputs };
        let parameters = self.parameters(card.features, outputs, &task.config);
        Ok(clock.done(Box::new(FittedLinear { card, coefficients, intercept }), parameters, &task))
    }

    fn load(&self, folder: &Path, _: &Device) -> Result<Box<dyn Fitted>, FitError> {
        let path = folder.join(CARD_FILE);
        let card: Card = read_json(&path)?;
        if card.settings != *self {
            return Err(damaged(&path, "it holds a model of other settings").into());
        }
        let path = folder.join(WEIGHTS_FILE);
        let file = std::fs::read(&path).map_err(|source| RunDirError::Read { path: path.clone(), source })?;
        let tensors = SafeTensors::deserialize(&file).map_err(|error| damaged(&path, error))?;
        let read = |name: &str, count: usize| -> Result<Vec<f64>, RunDirError> {
            let tensor = tensors.tensor(name).map_err(|error| damaged(&path, error))?;
            if tensor.dtype() != Dtype::F64 || tensor.data().len() != 8 * count {
                return Err(damaged(&path, format!("{name} does not hold {count} numbers")));
            }
            Ok(tensor.data().as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
        };
        let coefficients = read("coefficients", card.horizons * self.inputs(card.features))?;
        let intercept = read("intercept", card.horizons)?;
        Ok(Box::new(FittedLinear { card, coefficients, intercept }))
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
}

struct NormalEquations {
    /// `[D, D]`
    gram: Vec<f64>,
    /// `[H, D]`
    cross: Vec<f64>,
}

impl NormalEquations {
    fn sum(
        model: &Linear,
        task: &FitTask,
        (input_mean, target_mean): (&[f64], &[f64]),
    ) -> Result<Self, FitError> {
        let windows = &task.train;
        let (inputs, outputs) = (input_mean.len(), target_mean.len());
        let mut equations =
            NormalEquations { gram: vec![0.0; inputs * inputs], cross: vec![0.0; outputs * inputs] };
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for start in (0..windows.len()).step_by(ROWS) {
            if task.stop.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(FitError::Interrupted);
            }
            let rows = ROWS.min(windows.len() - start);
            x.clear();
            y.clear();
            for index in start..start + rows {
                x.extend(model.inputs_of(windows, index).zip(input_mean).map(|(value, mean)| value - mean));
                y.extend(
                    windows
                        .target(index)
                        .iter()
                        .zip(target_mean)
                        .map(|(value, mean)| f64::from(*value) - mean),
                );
            }
            let inputs_of_rows = Matrix::new(&x, rows, inputs, inputs);
            let gram = MatrixMut::new(&mut equations.gram, inputs, inputs, inputs);
            multiply(gram, inputs_of_rows.transposed(), inputs_of_rows, Target::Added);
            let cross = MatrixMut::new(&mut equations.cross, outputs, inputs, inputs);
            multiply(
                cross,
                Matrix::new(&y, rows, outputs, outputs).transposed(),
                inputs_of_rows,
                Target::Added,
            );
        }
        Ok(equations)
    }
}

/// Factors `gram = L L'` in place (lower triangle), then solves for every horizon; `None` where a pivot vanishes or a
/// number is not finite.
fn solve(equations: &mut NormalEquations, inputs: usize, outputs: usize) -> Option<Vec<f64>> {
    let gram = &mut equations.gram;
    for row in 0..inputs {
        let (above, below) = gram.split_at_mut(row * inputs);
        let this = &mut below[..inputs];
        for column in 0..row {
            let other = &above[column * inputs..][..=column];
            this[column] = (this[column] - dot(&this[..column], &other[..column])) / other[column];
        }
        let pivot = this[row] - dot(&this[..row], &this[..row]);
        // Rounding leaves a vanished pivot at about 1e-16 of its diagonal element.
        if !(pivot > this[row] * 1e-12 && pivot.is_finite()) {
            return None;
        }
        this[row] = pivot.sqrt();
    }
    let mut solution = equations.cross.clone();
    for values in solution.chunks_exact_mut(inputs.max(1)).take(outputs) {
        for row in 0..inputs {
            let factors = &gram[row * inputs..][..=row];
            values[row] = (values[row] - dot(&factors[..row], &values[..row])) / factors[row];
        }
        for row in (0..inputs).rev() {
            let below: f64 = (row + 1..inputs).map(|k| gram[k * inputs + row] * values[k]).sum();
            values[row] = (values[row] - below) / gram[row * inputs + row];
        }
    }
    solution.iter().all(|value| value.is_finite()).then_some(solution)
}

/// A sum in eight lanes: one fixed order that vectorises.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (left, right) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    for (left, right) in left.0.iter().zip(right.0) {
        for lane in 0..8 {
            lanes[lane] += left[lane] * right[lane];
        }
    }
    let rest: f64 = left.1.iter().zip(right.1).map(|(left, right)| left * right).sum();
    lanes.iter().sum::<f64>() + rest
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
    /// `[H, D]`
    coefficients: Vec<f64>,
    /// `[H]`
    intercept: Vec<f64>,
}

impl Fitted for FittedLinear {
    fn predict(&self, windows: &Windows, _: &Device) -> Result<Vec<f64>, FitError> {
        check_windows(windows, self.card.settings.window, self.card.features)?;
        let inputs = self.card.settings.inputs(windows.features());
        let mut forecasts = Vec::with_capacity(windows.len() * self.card.horizons);
        for index in 0..windows.len() {
            let window: Vec<f64> = self.card.settings.inputs_of(windows, index).collect();
            for (horizon, intercept) in self.intercept.iter().enumerate() {
                let weights = &self.coefficients[horizon * inputs..(horizon + 1) * inputs];
                forecasts.push(bounded(self.card.kind, intercept + dot(weights, &window)));
            }
        }
        Ok(forecasts)
    }

    fn save(&self, folder: &Path) -> Result<(), RunDirError> {
        let path = folder.join(WEIGHTS_FILE);
        let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (coefficients, intercept) = (bytes(&self.coefficients), bytes(&self.intercept));
        let inputs = self.card.settings.inputs(self.card.features);
        let view =
            |shape, data| TensorView::new(Dtype::F64, shape, data).map_err(|error| fault(&path, &error));
        let tensors = [
            ("coefficients", view(vec![self.card.horizons, inputs], &coefficients)?),
            ("intercept", view(vec![self.card.horizons], &intercept)?),
        ];
        let file = safetensors::serialize(tensors, None).map_err(|error| fault(&path, &error))?;
        write_atomic(&path, &file)?;
        save_card(folder, &self.card)
    }

    fn graph(&self, graph: &mut GraphBuilder, windows: &Value) -> Result<Value, FitError> {
        let Card { settings, kind, features, horizons } = self.card;
        let inputs = settings.inputs(features);
        // Ours is computed in f64 as well, from scaled features in f32.
        let mut x = graph.cast(windows, ElementType::Double);
        if settings.normalisation == Normalisation::LastValue {
            let last = graph.gather(&x, 1, &[-1]);
            let bars = graph.slice(&x, 1, 0..settings.window - 1);
            x = graph.subtract(&bars, &last);
        }
        let flat = graph.reshape(&x, &[0, inputs as i64]);
        let rows = 0..inputs;
        let transposed = rows.flat_map(|input| self.coefficients.iter().skip(input).step_by(inputs).copied());
        let coefficients = TensorData::Doubles(transposed.collect());
        let coefficients = graph.constant("coefficients", &[inputs, horizons], coefficients);
        let intercept = graph.constant("intercept", &[horizons], TensorData::Doubles(self.intercept.clone()));
        let forecasts = graph.linear(&flat, [&coefficients, &intercept]);
        Ok(bounded_graph(graph, kind, forecasts))
    }
}
