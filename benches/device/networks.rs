//! The shapes of the benchmark networks: A, B and C (LSTM) and D (Transformer), as in `configs/benchmarks/`.

use candlewick::model::{Lstm, ModelConfig, Transformer};

/// Populations of the kernels' section.
pub(crate) const POPULATIONS: [usize; 3] = [1, 64, 256];

/// A network of LSTM layers.
pub(crate) struct LstmShape {
    pub(crate) name: &'static str,
    pub(crate) layers: Vec<usize>,
    /// Bars of a window.
    pub(crate) steps: usize,
    pub(crate) features: usize,
    pub(crate) outputs: usize,
    /// Windows of a batch.
    pub(crate) batch: usize,
}

/// A, B and C.
pub(crate) fn lstms(small: bool) -> Vec<LstmShape> {
    let shape = |name, layers: &[usize], steps, features, outputs| {
        if small {
            let layers = layers.iter().map(|hidden| hidden / 10).collect();
            return LstmShape { name, layers, steps: steps / 10, features: 3, outputs, batch: 8 };
        }
        LstmShape { name, layers: layers.to_vec(), steps, features, outputs, batch: 32 }
    };
    vec![shape("A", &[100, 50], 60, 6, 5), shape("B", &[50], 50, 4, 1), shape("C", &[128, 64], 60, 10, 4)]
}

impl LstmShape {
    /// Inputs and hidden units of each layer.
    pub(crate) fn sizes(&self) -> Vec<[usize; 2]> {
        let inputs = std::iter::once(&self.features).chain(&self.layers);
        inputs.zip(&self.layers).map(|(inputs, hidden)| [*inputs, *hidden]).collect()
    }

    /// Weights of the network: four gates of each unit, each with a bias, and the linear head.
    pub(crate) fn weights(&self) -> usize {
        let head = (self.layers[self.layers.len() - 1] + 1) * self.outputs;
        self.sizes().iter().map(|[inputs, hidden]| 4 * hidden * (inputs + hidden + 1)).sum::<usize>() + head
    }

    pub(crate) fn model(&self) -> ModelConfig {
        let settings =
            Lstm { window: self.steps, layers: self.layers.clone(), dropout: 0.2, ..Lstm::default() };
        ModelConfig::Lstm(settings)
    }
}

/// A Transformer.
pub(crate) struct TransformerShape {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) layers: usize,
    pub(crate) middle: usize,
    pub(crate) steps: usize,
    pub(crate) features: usize,
    pub(crate) outputs: usize,
    pub(crate) batch: usize,
}

/// D.
pub(crate) fn transformer(small: bool) -> TransformerShape {
    let [width, heads, layers, middle, steps, features, outputs, batch] =
        if small { [16, 2, 2, 32, 5, 4, 2, 8] } else { [256, 8, 6, 1024, 25, 40, 4, 128] };
    TransformerShape { width, heads, layers, middle, steps, features, outputs, batch }
}

impl TransformerShape {
    /// Rows of a batch.
    pub(crate) fn rows(&self) -> usize {
        self.batch * self.steps
    }

    /// Weights of the network: encoder, layers (queries, keys, values and output; perceptron; two norms), norm, head.
    pub(crate) fn weights(&self) -> usize {
        let (width, middle) = (self.width, self.middle);
        let layer = 4 * width * (width + 1) + 2 * width * middle + middle + width + 4 * width;
        (self.features + 1) * width + self.layers * layer + 2 * width + (width + 1) * self.outputs
    }

    pub(crate) fn model(&self) -> ModelConfig {
        ModelConfig::Transformer(Transformer {
            window: self.steps,
            width: self.width,
            heads: self.heads,
            layers: self.layers,
            feed_forward: Some(self.middle),
            dropout: 0.1,
            ..Transformer::default()
        })
    }
}
