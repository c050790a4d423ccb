//! What all models have in common whose weights are trained: fit, forecast, save, load.

use super::{CARD_FILE, FitError, FitTask, Fitted, Member, Started, WEIGHTS_FILE};
use super::{bounded, bounded_graph, check_windows, damaged, fault, save_card};
use crate::kernels::arena::Arena;
use crate::nn::LossConfig;
use crate::onnx::{GraphBuilder, Value};
use crate::progress::Event;
use crate::rundir::{RunDirError, read_json, write_atomic};
use crate::seed::Seed;
use crate::table::{LabelKind, Windows};
use crate::train::{Network, TargetScaling, TrainConfig, Training, balance, bytes, evaluate, floats};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a network is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkShape {
    /// T
    pub(super) window: usize,
    /// F
    pub(super) features: usize,
    /// H * Q: every horizon's outputs side by side.
    pub(super) outputs: usize,
}

/// A model's settings that can become a network.
pub(super) trait Architecture: Send + Sync {
    /// T
    fn length(&self) -> usize;

    /// The name in the registry: "lstm".
    fn kind(&self) -> &'static str;

    /// All settings that decide the shapes of tensors, but for the window, in words: "lstm [100, 50]".
    fn shape(&self) -> String;

    /// How many numbers such a network trains, without building it.
    fn count(&self, shape: NetworkShape) -> usize;

    /// A network with fresh weights; settings were checked.
    fn network(&self, shape: NetworkShape, seed: Seed) -> candle_core::Result<Box<dyn Network>>;

    /// The settings as they are saved beside the weights.
    fn settings(&self) -> serde_json::Value;
}

/// Kinds of models that were shown to forecast as well when they are trained with bf16 products, over seeds, on ETTh1 and
/// on the shipped market: what `precision: auto` may choose for them.
///
/// lstm, five seeds, mean (standard deviation over seeds) in f32, then in bf16: scaled test error at 96 hours of
/// `configs/experiments/etth1.yaml` 0.4347 (0.0032), 0.4341 (0.0036); validation error of
/// `configs/quickstart.yaml` in 1e-4 5.5613 (0.0134), 5.5610 (0.0129). `tests/precision.rs` shows both again.
const PROVEN_IN_BF16: &[&str] = &["lstm"];

/// How many weights the network would have.
pub(super) fn parameters(
    architecture: &dyn Architecture,
    features: usize,
    outputs: usize,
    config: &TrainConfig,
) -> usize {
    let outputs = outputs * config.loss.outputs_per_horizon();
    let shape = NetworkShape { window: architecture.length(), features, outputs };
    architecture.count(shape)
}

/// Builds a network and begins to train it.
pub(super) fn start<'a>(
    architecture: impl Architecture + 'static,
    mut task: FitTask<'a>,
) -> Result<Started<'a>, FitError> {
    if task.config.loss.is_balanced() {
        task.config = balanced(&task).into();
    }
    check_windows(&task.train, architecture.length(), task.train.features())?;
    let loss = task.config.loss.clone();
    let outputs = task.train.outputs() * loss.outputs_per_horizon();
    let shape = NetworkShape { window: architecture.length(), features: task.train.features(), outputs };
    let scaling = TargetScaling::fit(&task.train, task.kind);
    let network = architecture.network(shape, task.seed)?;
    let card =
        Card { settings: architecture.settings(), kind: task.kind, shape, loss, scaling: scaling.clone() };
    let precision = task.config.precision.choose(architecture.kind(), PROVEN_IN_BF16, task.cuda);
    let training = Training::new(network, scaling, precision, task)?;
    let training = Box::new(training);
    Ok(Started::Member(Member { architecture: Box::new(architecture), card, training }))
}

/// The task's settings with the number that a balanced weight is on its training windows.
fn balanced(task: &FitTask) -> TrainConfig {
    let weight = balance(&task.train).unwrap_or_else(|| {
        let text = format!(
            "{}: its training windows do not hold both a target of 0 and one of 1, so `positive_weight: balanced` is 1",
            task.label
        );
        task.progress.on(&Event::Warning { text });
        1.0
    });
    TrainConfig { loss: task.config.loss.with_balanced_weight(weight), ..(*task.config).clone() }
}

/// Reads a network that was saved with the same settings.
pub(super) fn load(architecture: &dyn Architecture, folder: &Path) -> Result<Box<dyn Fitted>, FitError> {
    let path = folder.join(CARD_FILE);
    let card: Card = read_json(&path)?;
    if card.settings != architecture.settings() {
        return Err(damaged(&path, "it holds a model of other settings").into());
    }
    let network = architecture.network(card.shape, Seed(0))?;
    let path = folder.join(WEIGHTS_FILE);
    let file = std::fs::read(&path).map_err(|source| RunDirError::Read { path: path.clone(), source })?;
    let tensors = SafeTensors::deserialize(&file).map_err(|error| damaged(&path, error))?;
    let mut values = Vec::new();
    for weight in network.parameters().weights() {
        let tensor = tensors.tensor(&weight.name).map_err(|error| damaged(&path, error))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != weight.var.dims() {
            return Err(damaged(&path, format!("{} has another shape", weight.name)).into());
        }
        values.push(floats(tensor.data()));
    }
    network.parameters().set(&values)?;
    Ok(Box::new(TrainedNetwork { card, network }))
}

/// All of a saved model but its weights.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Card {
    settings: serde_json::Value,
    kind: LabelKind,
    pub(super) shape: NetworkShape,
    loss: LossConfig,
    scaling: TargetScaling,
}

/// A network whose training is over.
pub(super) struct TrainedNetwork {
    pub(super) card: Card,
    pub(super) network: Box<dyn Network>,
}

/// Forecasts in units of the label, `[N, H]` row-major.
pub(super) fn forecast(
    card: &Card,
    network: &dyn Network,
    windows: &Windows,
    arena: &Arena,
) -> Result<Vec<f64>, FitError> {
    let Card { kind, shape, loss, scaling, .. } = card;
    check_windows(windows, shape.window, shape.features)?;
    let mut forecasts = Vec::with_capacity(windows.len() * scaling.outputs());
    evaluate(network, windows, arena, |_, outputs| {
        for row in loss.forecast(&outputs)?.to_vec2::<f32>()? {
            let of_horizon = row.iter().enumerate();
            forecasts
                .extend(of_horizon.map(|(h, value)| bounded(*kind, scaling.restore(h, f64::from(*value)))));
        }
        Ok(())
    })?;
    Ok(forecasts)
}

impl Fitted for TrainedNetwork {
    fn predict(&self, windows: &Windows) -> Result<Vec<f64>, FitError> {
        forecast(&self.card, &*self.network, windows, &Arena::default())
    }

    fn graph(&self, graph: &mut GraphBuilder, windows: &Value) -> Result<Value, FitError> {
        let Card { kind, shape, loss, scaling, .. } = &self.card;
        let outputs = self.network.graph(graph, windows, [shape.window, shape.features])?;
        let forecasts = loss.graph(graph, &outputs, scaling.outputs())?;
        let forecasts = scaling.graph(graph, &forecasts);
        Ok(bounded_graph(graph, *kind, forecasts))
    }

    fn save(&self, folder: &Path) -> Result<(), RunDirError> {
        let path = folder.join(WEIGHTS_FILE);
        let parameters = self.network.parameters();
        let values = parameters.values().map_err(|error| fault(&path, &error))?;
        let data: Vec<Vec<u8>> = values.iter().map(|values| bytes(values)).collect();
        let mut tensors = Vec::new();
        for (weight, data) in parameters.weights().iter().zip(&data) {
            let view = TensorView::new(Dtype::F32, weight.var.dims().to_vec(), data);
            tensors.push((weight.name.as_str(), view.map_err(|error| fault(&path, &error))?));
        }
        let file = safetensors::serialize(tensors, None).map_err(|error| fault(&path, &error))?;
        write_atomic(&path, &file)?;
        save_card(folder, &self.card)
    }
}
