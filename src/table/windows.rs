//! The only door from tables to tensors.

use super::{Bars, Features, Sample, TrainSamples};
use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How features are scaled before a model sees them; fitted on the training rows of the fold alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalerConfig {
    /// Which statistics are used.
    #[serde(default)]
    pub kind: ScalerKind,
    /// Fit one scaler a symbol instead of one over all symbols. Wanted where features are prices of different size;
    /// every symbol must then have training rows in every fold.
    #[serde(default)]
    pub per_symbol: bool,
    /// Which training rows the statistics are taken of.
    #[serde(default)]
    pub rows: ScalerRows,
}

/// The rows of which a scaler takes its statistics; all of them lie in the training part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScalerRows {
    /// The last row of each training window.
    #[default]
    Windows,
    /// Every row of the training part, by the embargo away from held-out parts: the custom of forecasting benchmarks.
    Part,
}

/// The statistics of a scaler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScalerKind {
    /// (x - mean) / population standard deviation.
    #[default]
    Standard,
    /// (x - minimum) / (maximum - minimum).
    MinMax,
    /// (x - median) / (third quartile - first quartile).
    Robust,
    /// As it is.
    None,
}

/// `(x - offset) * factor` for every feature. A feature that is constant over the training rows gets factor 0: it
/// carries no information and must not blow up on the first test row that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    config: ScalerConfig,
    /// `[group][feature]` with one group, or one a symbol.
    offset: Vec<Vec<f64>>,
    factor: Vec<Vec<f64>>,
    /// `[symbol]`: what a target is divided by; empty where targets stay in the units of the label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    target_unit: Vec<f64>,
}

impl Scaler {
    /// Fits on these training rows: the last row of each training window, or with [`ScalerRows::Part`] all of the part.
    ///
    /// # Errors
    /// No training row, or with `per_symbol` a symbol without one.
    pub fn fit(config: ScalerConfig, features: &Features, train: &TrainSamples) -> Result<Scaler, String> {
        let groups = if config.per_symbol { features.symbols() } else { 1 };
        let mut scaler = Scaler { config, offset: Vec::new(), factor: Vec::new(), target_unit: Vec::new() };
        for group in 0..groups {
            let samples: Vec<&Sample> = train
                .samples()
                .iter()
                .filter(|sample| !config.per_symbol || sample.symbol as usize == group)
                .collect();
            if samples.is_empty() {
                return Err(match config.per_symbol {
                    true => format!(
                        "symbol number {} has no training row to fit its scaler; use `per_symbol: false` or a longer training part",
                        group + 1
                    ),
                    false => "there is no training row to fit the scaler".into(),
                });
            }
            let (offset, factor) = (0..features.names().len())
                .map(|feature| {
                    let mut values: Vec<f64> = samples
                        .iter()
                        .map(|sample| features.column(sample.symbol as usize, feature)[sample.row as usize])
                        .collect();
                    statistics(config.kind, &mut values)
                })
                .unzip();
            scaler.offset.push(offset);
            scaler.factor.push(factor);
        }
        Ok(scaler)
    }

    /// Measures targets of each symbol in units of the population standard deviation of its closes over these training
    /// rows; a symbol that is constant there, or has none of the rows, keeps the unit of the label.
    #[must_use]
    pub fn with_target_units(mut self, bars: &Bars, train: &TrainSamples) -> Scaler {
        let mut closes = vec![Vec::new(); bars.symbols().len()];
        for sample in train.samples() {
            closes[sample.symbol as usize]
                .push(bars.symbols()[sample.symbol as usize].close()[sample.row as usize]);
        }
        let unit = |values: &mut Vec<f64>| match statistics(ScalerKind::Standard, values) {
            (_, factor) if factor.is_finite() && factor > 0.0 => factor.recip(),
            _ => 1.0,
        };
        self.target_unit = closes.iter_mut().map(unit).collect();
        self
    }

    /// What a target of the symbol is divided by; `None` where targets stay in the units of the label.
    pub fn target_unit(&self, symbol: usize) -> Option<f64> {
        self.target_unit.get(symbol).copied()
    }

    /// Whether the scaled features of a symbol or the unit of its target differ from those of the others.
    pub fn differs_by_symbol(&self) -> bool {
        self.offset.len() > 1 || self.target_unit.len() > 1
    }

    /// Offset and factor of each feature `[F]` of the symbol, to be applied as `(x - offset) * factor` in f64 and then
    /// rounded to f32; `None` where there is no such symbol.
    pub fn of_symbol(&self, symbol: usize) -> Option<(&[f64], &[f64])> {
        let group = self.group(symbol);
        Some((self.offset.get(group)?, self.factor.get(group)?))
    }

    /// All that was fitted: `[group][feature]` offset and factor, one group, or with `per_symbol` one a symbol; then the
    /// unit of each symbol's target.
    pub fn statistics(&self) -> impl Iterator<Item = Vec<[f64; 2]>> {
        let pairs = |(offset, factor): (&Vec<f64>, &Vec<f64>)| {
            offset.iter().zip(factor).map(|(offset, factor)| [*offset, *factor]).collect()
        };
        let units = self.target_unit.iter().map(|unit| vec![[*unit, *unit]]);
        self.offset.iter().zip(&self.factor).map(pairs).chain(units)
    }

    fn group(&self, symbol: usize) -> usize {
        if self.config.per_symbol { symbol } else { 0 }
    }
}

fn statistics(kind: ScalerKind, values: &mut [f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let (offset, width) = match kind {
        ScalerKind::None => return (0.0, 1.0),
        ScalerKind::Standard => {
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            (mean, variance.sqrt())
        }
        ScalerKind::MinMax => {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            (low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low)
        }
        ScalerKind::Robust => {
            values.sort_unstable_by(f64::total_cmp);
            let quantile = |share: f64| {
                let position = share * (count - 1.0);
                let below = position.floor() as usize;
                let above = (below + 1).min(values.len() - 1);
                values[below] + (position - below as f64) * (values[above] - values[below])
            };
            (quantile(0.5), quantile(0.75) - quantile(0.25))
        }
    };
    // Rounding leaves a constant column with a width of a few units in the last place of its offset.
    let constant = width <= offset.abs() * 1e-12;
    (offset, if constant { 0.0 } else { width.recip() })
}

/// Scaled windows X `[N, T, F]`, gathered when asked for, and their targets y `[N, H]`.
#[derive(Clone, Debug)]
pub struct Windows {
    /// `[symbol]`: scaled features row-major `[rows, F]`.
    scaled: Arc<Vec<Vec<f32>>>,
    /// `[F]`
    names: Arc<[String]>,
    scaler: Arc<Scaler>,
    /// `[symbol]`: rows before the first one that is at hand.
    before: Arc<[usize]>,
    length: usize,
    samples: Vec<Sample>,
    /// `[N, H]` row-major; empty where there are none.
    targets: Vec<f32>,
    outputs: usize,
}

impl Windows {
    /// Windows of `length` rows that end at each of `samples`; `targets` is `[N, outputs]` row-major, or empty.
    ///
    /// # Errors
    /// A window that reaches before the first row or into a null, or targets that do not fit.
    pub fn new(
        features: &Features,
        scaler: &Scaler,
        length: usize,
        samples: Vec<Sample>,
        targets: Vec<f32>,
    ) -> Result<Windows, String> {
        if let Some(bad) =
            samples.iter().find(|s| !features.complete(s.symbol as usize, s.row as usize, length))
        {
            return Err(format!(
                "the window that ends at row {} of symbol {} is not complete",
                bad.row, bad.symbol
            ));
        }
        let outputs = if samples.is_empty() { 0 } else { targets.len() / samples.len() };
        if outputs * samples.len() != targets.len() {
            return Err(format!("{} targets for {} windows", targets.len(), samples.len()));
        }
        let scaled = (0..features.symbols()).map(|symbol| scale_rows(features, scaler, symbol)).collect();
        Ok(Windows {
            scaled: Arc::new(scaled),
            names: features.names().into(),
            scaler: Arc::new(scaler.clone()),
            before: vec![0; features.symbols()].into(),
            length,
            samples,
            targets,
            outputs,
        })
    }

    /// Windows of live series, of which only the last rows are at hand: `recent` holds for the symbol of each sample
    /// exactly the `length` rows that end with it, and no row of any other symbol. The samples keep the rows that they have
    /// in the whole series.
    ///
    /// # Errors
    /// A symbol that appears twice, or a window with a null.
    pub fn of_recent(
        recent: &Features,
        scaler: &Scaler,
        length: usize,
        samples: Vec<Sample>,
    ) -> Result<Windows, String> {
        let mut before = vec![0; recent.symbols()];
        let local = samples.iter().map(|sample| {
            let (symbol, row) = (sample.symbol as usize, sample.row as usize);
            before[symbol] = (row + 1).saturating_sub(length);
            Sample { symbol: sample.symbol, row: length.saturating_sub(1) as u32 }
        });
        let windows = Windows::new(recent, scaler, length, local.collect(), Vec::new())?;
        if samples.windows(2).any(|pair| pair[0].symbol >= pair[1].symbol) {
            return Err("live windows must be given in the order of their symbols, one each".into());
        }
        Ok(Windows { before: before.into(), samples, ..windows })
    }

    /// Other samples of the same scaled features, without copying those.
    ///
    /// # Errors
    /// Targets that do not fit.
    pub fn with_samples(&self, samples: Vec<Sample>, targets: Vec<f32>) -> Result<Windows, String> {
        let outputs = if samples.is_empty() { 0 } else { targets.len() / samples.len() };
        if outputs * samples.len() != targets.len() {
            return Err(format!("{} targets for {} windows", targets.len(), samples.len()));
        }
        let first = |sample: &Sample| self.before[sample.symbol as usize] + self.length;
        if let Some(bad) = samples.iter().find(|sample| (sample.row as usize) + 1 < first(sample)) {
            return Err(format!(
                "the window that ends at row {} of symbol {} is not complete",
                bad.row, bad.symbol
            ));
        }
        Ok(Windows { samples, targets, outputs, ..self.clone() })
    }

    /// N.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no window.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// T, in bars.
    pub fn length(&self) -> usize {
        self.length
    }

    /// F.
    pub fn features(&self) -> usize {
        self.names.len()
    }

    /// Names of the features, in the order of the last axis.
    pub fn feature_names(&self) -> &[String] {
        &self.names
    }

    /// H: targets of each window.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The last row of each window.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// One window `[T, F]` row-major.
    pub fn window(&self, index: usize) -> &[f32] {
        let (symbol, start) = self.start(index);
        &self.scaled[symbol][start..start + self.length * self.features()]
    }

    /// Every symbol's scaled features, row-major `[rows, F]`. Windows that were made of each other share them.
    pub fn series(&self) -> &Arc<Vec<Vec<f32>>> {
        &self.scaled
    }

    /// The symbol of a window, and the number in that symbol's series with which it begins.
    pub fn start(&self, index: usize) -> (usize, usize) {
        let sample = self.samples[index];
        let symbol = sample.symbol as usize;
        let end = (sample.row as usize + 1 - self.before[symbol]) * self.features();
        (symbol, end - self.length * self.features())
    }

    /// A feature at one bar of a window in its own units, as exact as its scaled value: to 1/2^24 of its distance from the
    /// scaler's offset. Of a feature that was constant when the scaler was fitted, that constant.
    pub fn unscaled(&self, index: usize, bar: usize, feature: usize) -> f64 {
        let group = self.scaler.group(self.samples[index].symbol as usize);
        let (offset, factor) = (self.scaler.offset[group][feature], self.scaler.factor[group][feature]);
        let scaled = f64::from(self.window(index)[bar * self.features() + feature]);
        if factor == 0.0 { offset } else { offset + scaled / factor }
    }

    /// What the target of one window was divided by; 1 where targets are in the units of the label.
    pub fn target_unit(&self, index: usize) -> f64 {
        self.scaler.target_unit(self.samples[index].symbol as usize).unwrap_or(1.0)
    }

    /// How many of a window's last rows are not in the window before it.
    pub fn new_rows(&self, index: usize) -> usize {
        let sample = self.samples[index];
        let before = index.checked_sub(1).map(|before| self.samples[before]);
        match before.filter(|before| before.symbol == sample.symbol) {
            Some(before) => (sample.row.abs_diff(before.row) as usize).min(self.length),
            None => self.length,
        }
    }

    /// The targets of one window `[H]`.
    pub fn target(&self, index: usize) -> &[f32] {
        &self.targets[index * self.outputs..(index + 1) * self.outputs]
    }

    /// X of these windows, `[B, T, F]`.
    ///
    /// # Errors
    /// Windows that are not there.
    pub fn gather(&self, indices: &[usize]) -> candle_core::Result<Tensor> {
        let mut values = Vec::with_capacity(indices.len() * self.length * self.features());
        for index in indices {
            values.extend_from_slice(self.window(*index));
        }
        Tensor::from_vec(values, (indices.len(), self.length, self.features()), &Device::Cpu)
    }
}

fn scale_rows(features: &Features, scaler: &Scaler, symbol: usize) -> Vec<f32> {
    let (count, rows, group) = (features.names().len(), features.rows(symbol), scaler.group(symbol));
    let mut scaled = vec![0.0; rows * count];
    for feature in 0..count {
        let (offset, factor) = (scaler.offset[group][feature], scaler.factor[group][feature]);
        for (row, value) in features.column(symbol, feature).iter().enumerate() {
            scaled[row * count + feature] = ((value - offset) * factor) as f32;
        }
    }
    scaled
}
