//! How networks are trained, as the user writes it.

use crate::kernels::instructions::Instructions;
use crate::kernels::precision::Precision;
use crate::nn::LossConfig;
use crate::table::LabelKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How networks are trained; models with a closed form ignore it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Most passes over the training windows.
    #[schemars(range(min = 1))]
    pub epochs: u64,
    /// Windows of one optimiser step; the last step of an epoch takes what is left.
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Most windows that pass through the network at once: an optimiser step on a larger batch adds up the gradients of
    /// several passes, which takes less memory and is otherwise the same but for rounding and dropout masks. `null` for
    /// whole batches.
    #[schemars(range(min = 1))]
    pub micro_batch: Option<usize>,
    /// Learn from every k-th window only: neighbouring windows share almost all their bars.
    #[schemars(range(min = 1))]
    pub stride_bars: usize,
    /// Networks a model and fold that differ in their seed alone; their mean is the forecast (a deep ensemble:
    /// Lakshminarayanan, Pritzel and Blundell 2017). Costs so many times the training.
    #[schemars(range(min = 1))]
    pub seeds: usize,
    /// In which numbers the products of a step are computed: f32, bf16 or auto.
    pub precision: PrecisionConfig,
    /// What is made small: mse, huber, quantile, bce, weighted_bce or mixed.
    pub loss: LossConfig,
    /// What moves the weights.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes: constant, cosine or plateau.
    pub schedule: ScheduleConfig,
    /// Longest gradient, as the Euclidean norm over all weights; a longer one is shortened to it. `null` for none.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub gradient_clip: Option<f64>,
    /// Ends the training when the validation loss no longer falls, and keeps the best epoch's weights. `null` trains
    /// all epochs and keeps the last weights.
    pub early_stopping: Option<EarlyStopping>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            epochs: 20,
            batch_size: 128,
            micro_batch: None,
            stride_bars: 1,
            seeds: 1,
            precision: PrecisionConfig::default(),
            loss: LossConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            gradient_clip: Some(1.0),
            early_stopping: Some(EarlyStopping::default()),
        }
    }
}

/// The format of the factors of a training step's matrix products. Weights, sums, optimiser and forecasts are f32 with all
/// of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrecisionConfig {
    /// 24 significant bits: the same numbers on every processor of one vector width.
    #[default]
    F32,
    /// 8 significant bits (bfloat16): up to twice as fast where the processor has AVX512-BF16, slow on others; on CUDA devices
    /// by tensor cores.
    Bf16,
    /// bf16 where the processor has AVX512-BF16, or on CUDA devices, and the kind of model has been shown to forecast as well with it, else f32.
    Auto,
}

/// A precision, and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenPrecision {
    /// `f32` or `bf16`.
    pub name: String,
    /// Why it is this one.
    pub reason: String,
}

impl PrecisionConfig {
    /// The precision of a network of this kind, on a CUDA device or on the CPU. `proven` lists the kinds that forecast as
    /// well with bf16.
    pub fn choose(self, kind: &str, proven: &[&str], cuda: bool) -> (Precision, ChosenPrecision) {
        let (precision, reason) = match self {
            PrecisionConfig::F32 => (Precision::F32, "asked for by the configuration".into()),
            PrecisionConfig::Bf16 => (Precision::Bf16, "asked for by the configuration".into()),
            PrecisionConfig::Auto if !proven.contains(&kind) => {
                (Precision::F32, format!("auto: bf16 is not proven for {kind}"))
            }
            PrecisionConfig::Auto if cuda => (
                Precision::Bf16,
                format!("auto: proven for {kind}, and CUDA devices multiply it by tensor cores"),
            ),
            PrecisionConfig::Auto if !Instructions::multiply_bf16() => {
                (Precision::F32, "auto: the processor has no AVX512-BF16".into())
            }
            PrecisionConfig::Auto => {
                (Precision::Bf16, format!("auto: proven for {kind}, and the processor has AVX512-BF16"))
            }
        };
        let name = match precision {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        };
        (precision, ChosenPrecision { name: name.into(), reason })
    }
}

/// The optimiser by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    #[serde(rename = "adamw")]
    AdamW(AdamWConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::AdamW(AdamWConfig::default())
    }
}

/// AdamW (Loshchilov and Hutter 2019). The decay acts on all weights, biases included, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Length of a step, before the schedule.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    /// Share of each weight that a step takes away, times the learning rate.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Memory of the mean gradient.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta_1: f64,
    /// Memory of the squared gradient.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta_2: f64,
    /// Keeps the division finite.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        AdamWConfig { learning_rate: 1e-3, weight_decay: 0.01, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

/// The learning rate over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// Always the optimiser's.
    #[default]
    Constant,
    /// Rises in a straight line over the warm-up, then falls along half a cosine towards 0 at the last step.
    Cosine {
        /// Steps until the full rate.
        #[serde(default)]
        warm_up_steps: u64,
    },
    /// Is multiplied by `factor` whenever the validation loss has not fallen for more than `patience` epochs.
    Plateau {
        /// What the rate is multiplied by.
        #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
        factor: f64,
        /// Epochs to wait.
        patience: u64,
    },
}

impl ScheduleConfig {
    /// The rate of step number `step` (from 1) of `steps`, as a share of the optimiser's. `reductions` counts the
    /// plateaus so far.
    pub fn share(&self, step: u64, steps: u64, reductions: u32) -> f64 {
        match self {
            ScheduleConfig::Constant => 1.0,
            ScheduleConfig::Cosine { warm_up_steps } if step <= *warm_up_steps => {
                step as f64 / *warm_up_steps as f64
            }
            ScheduleConfig::Cosine { warm_up_steps } => {
                let length = steps.saturating_sub(*warm_up_steps).max(1);
                let progress = (step - warm_up_steps - 1) as f64 / length as f64;
                0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            ScheduleConfig::Plateau { factor, .. } => factor.powi(reductions.cast_signed()),
        }
    }
}

/// When training ends before its last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EarlyStopping {
    /// Epochs without improvement after which training ends.
    #[schemars(range(min = 1))]
    pub patience: u64,
    /// By how much the validation loss must fall to count as improvement.
    #[schemars(range(min = 0.0))]
    pub min_delta: f64,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        EarlyStopping { patience: 5, min_delta: 0.0 }
    }
}

impl TrainConfig {
    /// Whether the settings make sense, for targets of this kind.
    ///
    /// # Errors
    /// Says which setting does not, and why.
    pub fn check(&self, kind: LabelKind) -> Result<(), String> {
        let OptimizerConfig::AdamW(adamw) = &self.optimizer;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let share = |value: f64| (0.0..1.0).contains(&value);
        let rules = [
            (self.epochs > 0, "train.epochs must be at least 1"),
            (self.batch_size > 0, "train.batch_size must be at least 1"),
            (
                self.micro_batch.is_none_or(|most| most > 0),
                "train.micro_batch must be at least 1, or null for whole batches",
            ),
            (self.stride_bars > 0, "train.stride_bars must be at least 1"),
            (self.seeds > 0, "train.seeds must be at least 1"),
            (
                self.gradient_clip.is_none_or(positive),
                "train.gradient_clip must be above 0, or null for none",
            ),
            (positive(adamw.learning_rate), "train.optimizer.adamw.learning_rate must be above 0"),
            (
                adamw.weight_decay.is_finite() && adamw.weight_decay >= 0.0,
                "train.optimizer.adamw.weight_decay must be 0 or above",
            ),
            (share(adamw.beta_1), "train.optimizer.adamw.beta_1 must be at least 0 and below 1"),
            (share(adamw.beta_2), "train.optimizer.adamw.beta_2 must be at least 0 and below 1"),
            (
                (adamw.beta_1 as f32) < 1.0 && (adamw.beta_2 as f32) < 1.0,
                "train.optimizer.adamw.beta_1 and beta_2 must be below 1 by at least 1e-7",
            ),
            (
                positive(adamw.epsilon) && adamw.epsilon as f32 >= f32::MIN_POSITIVE,
                "train.optimizer.adamw.epsilon must be at least 1.2e-38, since it is used in 32 bits",
            ),
            (
                !matches!(self.schedule, ScheduleConfig::Plateau { factor, .. } if !positive(factor) || factor >= 1.0),
                "train.schedule.plateau.factor must be above 0 and below 1",
            ),
            (
                self.early_stopping.is_none_or(|stopping| stopping.patience > 0),
                "train.early_stopping.patience must be at least 1",
            ),
            (
                self.early_stopping
                    .is_none_or(|stopping| stopping.min_delta.is_finite() && stopping.min_delta >= 0.0),
                "train.early_stopping.min_delta must be 0 or above",
            ),
            (
                !self.loss.uses(|loss| *loss == LossConfig::Bce) || kind.is_probability(),
                "train.loss bce needs a target of 0 or 1; use mse, huber or quantile with this target",
            ),
            (
                !self.loss.uses(|loss| matches!(loss, LossConfig::WeightedBce { .. }))
                    || kind.is_probability(),
                "train.loss weighted_bce needs a target of 0 or 1; use mse, huber or quantile with this target",
            ),
            (
                !self.loss.uses(|loss| *loss == LossConfig::Direction) || !kind.is_probability(),
                "train.loss direction needs a target with a sign; use bce with a target of 0 or 1",
            ),
        ];
        if let Some((_, text)) = rules.iter().find(|(good, _)| !good) {
            return Err((*text).to_owned());
        }
        self.loss.check().map_err(|text| format!("train.{text}"))
    }
}
