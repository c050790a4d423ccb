//! A recurrent network with long short-term memory: layers of an LSTM, the last output, one linear layer.

use super::network::{self, Architecture, NetworkShape};
use super::{FitError, FitTask, Fitted, Model, Started};
use crate::nn::program::{ProgramBuilder, Slot};
use crate::nn::{Linear, LstmStack, Normalisation, Parameters, Pass};
use crate::onnx::{GraphBuilder, Value};
use crate::seed::Seed;
use crate::train::{Network, TrainConfig};
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A recurrent network with long short-term memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lstm {
    /// Bars of a window.
    #[schemars(range(min = 1))]
    pub window: usize,
    /// Units of each layer, from the input to the output.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub layers: Vec<usize>,
    /// Share of each layer's outputs that is dropped in training.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub dropout: f64,
    /// Whether each window of each feature is normalised by its own numbers; `last_value` where levels wander, with a target
    /// that is a change.
    pub normalisation: Normalisation,
}

impl Default for Lstm {
    fn default() -> Self {
        Lstm { window: 60, layers: vec![100, 50], dropout: 0.2, normalisation: Normalisation::None }
    }
}

impl Model for Lstm {
    fn window(&self) -> usize {
        self.window
    }

    fn check(&self) -> Result<(), String> {
        if self.window == 0 {
            return Err("lstm.window must be at least 1".into());
        }
        if self.layers.is_empty() || self.layers.contains(&0) {
            return Err(format!(
                "lstm.layers must hold at least one layer of at least 1 unit, not {:?}",
                self.layers
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("lstm.dropout must be at least 0 and below 1, not {}", self.dropout));
        }
        Ok(())
    }

    fn parameters(&self, features: usize, outputs: usize, config: &TrainConfig) -> usize {
        if self.check().is_ok() { network::parameters(self, features, outputs, config) } else { 0 }
    }

    fn start<'a>(&self, task: FitTask<'a>) -> Result<Started<'a>, FitError> {
        self.check().map_err(FitError::Settings)?;
        network::start(self.clone(), task)
    }

    fn load(&self, folder: &Path) -> Result<Box<dyn Fitted>, FitError> {
        self.check().map_err(FitError::Settings)?;
        network::load(self, folder)
    }
}

impl Architecture for Lstm {
    fn length(&self) -> usize {
        self.window
    }

    fn kind(&self) -> &'static str {
        "lstm"
    }

    fn shape(&self) -> String {
        format!("lstm {:?}", self.layers)
    }

    fn count(&self, shape: NetworkShape) -> usize {
        let last = self.layers.last().copied().unwrap_or_default();
        LstmStack::count(shape.features, &self.layers).saturating_add(Linear::count(last, shape.outputs))
    }

    fn network(&self, shape: NetworkShape, seed: Seed) -> candle_core::Result<Box<dyn Network>> {
        let mut parameters = Parameters::new(seed);
        let layers = LstmStack::new(&mut parameters, "lstm", shape.features, &self.layers, self.dropout)?;
        let last = self.layers.last().copied().unwrap_or_default();
        let head = Linear::new(&mut parameters, "head", last, shape.outputs)?;
        Ok(Box::new(LstmNetwork { parameters, layers, head, normalisation: self.normalisation }))
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "lstm": self })
    }
}

struct LstmNetwork {
    parameters: Parameters,
    layers: LstmStack,
    head: Linear,
    normalisation: Normalisation,
}

impl Network for LstmNetwork {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> candle_core::Result<Tensor> {
        let windows = self.normalisation.apply(x)?;
        windows.restore(self.head.forward(&self.layers.forward(&windows.x, pass)?, pass)?)
    }

    fn program(&self, program: &mut ProgramBuilder) -> candle_core::Result<Slot> {
        let deviation = program.normalise(self.normalisation);
        let last = self.layers.program(program, program.input())?;
        let outputs = self.head.program(program, last.view())?;
        Ok(program.restore(outputs, deviation))
    }

    fn graph(&self, graph: &mut GraphBuilder, x: &Value, shape: [usize; 2]) -> candle_core::Result<Value> {
        let windows = self.normalisation.graph(graph, x, shape[1]);
        let last = self.layers.graph(graph, &windows.x)?;
        let outputs = graph.within("head", |graph| self.head.graph(graph, &last))?;
        Ok(windows.restore(graph, outputs))
    }
}
