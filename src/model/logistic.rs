//! Logistic regression on the whole window with a ridge penalty, solved by Newton's method.
//!
//! With the window's picked features flattened to `x` of D numbers, each horizon apart minimises
//! `sum ln(1 + e^z) - y z + penalty / 2 |w|^2` with `z = a + x w` over the training windows; the intercept a is not penalised
//! (le Cessie and van Houwelingen 1992). A Newton step is one weighted least-squares fit (IRLS); it is halved until the sum
//! falls enough (Armijo 1966). All sums are f64 in one fixed order, and no number is random.

use super::coefficients::Coefficients;
use super::normal_equations::{NormalEquations, ROWS, dot};
use super::{CARD_FILE, ClosedForm, FitError, FitTask, Fitted, Model, Started};
use super::{check_windows, damaged, feature, save_card};
use crate::onnx::{ElementType, GraphBuilder, Value};
use crate::progress::Event;
use crate::rundir::{RunDirError, read_json};
use crate::table::{LabelKind, Windows};
use crate::train::TrainConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::Ordering;

/// Logistic regression on the whole window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logistic {
    /// Bars of a window; 1 looks at the current features alone.
    #[schemars(range(min = 1))]
    pub window: usize,
    /// Weight of half the squared coefficients against the negative log-likelihood summed over all training windows; above
    /// 0, since classes that a plane separates have no finite solution without.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub penalty: f64,
    /// Names of the features that it sees; all where there are none. One feature and a window of 1 make a calibrated rule
    /// of that feature.
    pub features: Vec<String>,
}

impl Default for Logistic {
    fn default() -> Self {
        Logistic { window: 1, penalty: 1.0, features: Vec::new() }
    }
}

/// Most inputs: Newton's equations of more would take gigabytes.
const MOST_INPUTS: usize = 10_000;

/// It has converged when the next step would lower the sum by no more than half of this, in nats. That step is still taken,
/// after which the error is of the order of this number's square.
const TOLERANCE: f64 = 1e-10;

/// The sum over all windows is known to about this part of itself; a smaller fall cannot be seen.
const ROUNDING: f64 = 1e-9;

/// Most Newton steps; about ten are usual.
const MOST_STEPS: usize = 100;

/// Share of the linear gain that a step must bring.
const ENOUGH: f64 = 1e-4;

/// Most halvings of a step; a shorter one would change nothing but rounding.
const MOST_HALVINGS: i32 = 40;

impl Model for Logistic {
    fn window(&self) -> usize {
        self.window
    }

    fn check(&self) -> Result<(), String> {
        if self.window == 0 {
            return Err("logistic.window must be at least 1".into());
        }
        if !(self.penalty.is_finite() && self.penalty > 0.0) {
            return Err(format!("logistic.penalty must be above 0, not {}", self.penalty));
        }
        let twice = |(index, name): (usize, &String)| self.features[..index].contains(name);
        match self.features.iter().enumerate().find(|one| twice(*one)) {
            Some((_, name)) => Err(format!("logistic.features names `{name}` twice; remove one of them")),
            None => Ok(()),
        }
    }

    fn fits(&self, kind: LabelKind) -> Result<(), String> {
        if kind.is_probability() {
            return Ok(());
        }
        Err("logistic forecasts the probability of a target that is 0 or 1; use `linear` with this target, or a target such \
             as `sign` or `drawdown_within`"
            .into())
    }

    fn wanted_features(&self) -> Vec<&str> {
        self.features.iter().map(String::as_str).collect()
    }

    fn parameters(&self, features: usize, outputs: usize, _: &TrainConfig) -> usize {
        let picked = if self.features.is_empty() { features } else { self.features.len() };
        if self.check().is_ok() { (self.window * picked + 1) * outputs } else { 0 }
    }

    fn is_closed_form(&self) -> bool {
        true
    }

    fn start<'a>(&self, task: FitTask<'a>) -> Result<Started<'a>, FitError> {
        let clock = ClosedForm::start(self, &task)?;
        let picked = match self.features.is_empty() {
            true => (0..task.train.features()).collect(),
            false => self.features.iter().map(|name| feature(&task.train, name)).collect::<Result<_, _>>()?,
        };
        let (features, horizons) = (task.train.features(), task.train.outputs());
        let card = Card { settings: self.clone(), features, picked, horizons };
        let inputs = card.inputs();
        if inputs > MOST_INPUTS {
            return Err(FitError::Settings(format!(
                "logistic: {} bars of {} features are {inputs} inputs, more than {MOST_INPUTS}; use a shorter `window` or \
                 fewer `features`",
                self.window,
                card.picked.len()
            )));
        }
        let centre = card.means(&task.train);
        let (mut weights, mut intercept) = (Vec::new(), Vec::new());
        for horizon in 0..horizons {
            let mut solution = Newton::solve(&card, &centre, &task, horizon)?;
            let centred = solution.pop().unwrap_or_default();
            intercept.push(centred - dot(&solution, &centre));
            weights.extend(solution);
        }
        let parameters = self.parameters(features, horizons, &task.config);
        let coefficients = Coefficients::new(inputs, weights, intercept);
        Ok(clock.done(Box::new(FittedLogistic { card, coefficients }), parameters, &task))
    }

    fn load(&self, folder: &Path) -> Result<Box<dyn Fitted>, FitError> {
        let path = folder.join(CARD_FILE);
        let card: Card = read_json(&path)?;
        if card.settings != *self {
            return Err(damaged(&path, "it holds a model of other settings").into());
        }
        let coefficients = Coefficients::load(folder, card.inputs(), card.horizons)?;
        Ok(Box::new(FittedLogistic { card, coefficients }))
    }
}

/// The search for one horizon's coefficients.
struct Newton<'a> {
    card: &'a Card,
    windows: &'a Windows,
    /// `[D]`: mean of each input, by which they are centred, so that a level far from 0 costs no digits.
    centre: &'a [f64],
    /// `[N]`: 0 or 1.
    targets: Vec<f64>,
    /// `[N]`: z of each window.
    logits: Vec<f64>,
    /// `[D + 1]`: the intercept stands last.
    solution: Vec<f64>,
}

impl Newton<'_> {
    fn solve(card: &Card, centre: &[f64], task: &FitTask, horizon: usize) -> Result<Vec<f64>, FitError> {
        let windows = &*task.train;
        let targets: Vec<f64> =
            (0..windows.len()).map(|index| f64::from(windows.target(index)[horizon])).collect();
        let (count, ones) = (targets.len() as f64, targets.iter().sum::<f64>());
        let mut solution = vec![0.0; card.inputs() + 1];
        if ones == 0.0 || ones == count {
            return Ok(constant(task, horizon, solution, ones));
        }
        let start = (ones / (count - ones)).ln();
        *solution.last_mut().unwrap_or(&mut 0.0) = start;
        let logits = vec![start; targets.len()];
        let mut newton = Newton { card, windows, centre, targets, logits, solution };
        let stuck = |how: &str| {
            let bars = task.horizons.get(horizon).copied().unwrap_or_default();
            let remedy = "look for extreme feature values, or use a larger `penalty`";
            FitError::Settings(format!("logistic: horizon {bars} {how}; {remedy}"))
        };
        for _ in 0..MOST_STEPS {
            if task.stop.load(Ordering::Relaxed) {
                return Err(FitError::Interrupted);
            }
            let singular = || FitError::Singular { task: task.label.clone() };
            let (step, gain) = newton.direction().ok_or_else(singular)?;
            let before = newton.sum_at(&step, &newton.logits, 0.0);
            // Where no part of the step lowers the sum, this is the minimum only if what is left drowns in rounding.
            match newton.take(&step, gain) {
                true if gain > TOLERANCE => {}
                false if gain.is_nan() || gain > ROUNDING * before => {
                    return Err(stuck("finds no way down along its step"));
                }
                _ => return Ok(newton.solution),
            }
        }
        Err(stuck(&format!("has not converged after {MOST_STEPS} steps")))
    }

    /// Calls with a block of windows after the other: the number of its first one, and their centred inputs `[R, D + 1]`, of
    /// which the last is 1.
    fn blocks(&self, mut take: impl FnMut(usize, &[f64])) {
        let mut x = Vec::new();
        for start in (0..self.windows.len()).step_by(ROWS) {
            x.clear();
            for index in start..self.windows.len().min(start + ROWS) {
                let first = x.len();
                self.card.inputs_of(self.windows, index, &mut x);
                x[first..].iter_mut().zip(self.centre).for_each(|(value, mean)| *value -= mean);
                x.push(1.0);
            }
            take(start, &x);
        }
    }

    /// Newton's step, and its gain: the product of step and gradient.
    fn direction(&self) -> Option<(Vec<f64>, f64)> {
        let (width, penalty) = (self.solution.len(), self.card.settings.penalty);
        let mut equations = NormalEquations::new(width, 1);
        let (mut weighted, mut residuals) = (Vec::new(), Vec::new());
        self.blocks(|start, x| {
            weighted.clear();
            residuals.clear();
            for (row, x) in x.chunks_exact(width).enumerate() {
                let risk = probability(self.logits[start + row]);
                let weight = risk * (1.0 - risk);
                weighted.extend(x.iter().map(|value| weight * value));
                residuals.push(self.targets[start + row] - risk);
            }
            equations.add(&weighted, x, &residuals);
        });
        for (input, value) in self.solution[..width - 1].iter().enumerate() {
            equations.add_to_diagonal(input, penalty);
            equations.cross()[input] -= penalty * value;
        }
        let gradient = equations.cross().to_vec();
        let step = equations.solve()?;
        let gain = dot(&gradient, &step);
        Some((step, gain))
    }

    /// Moves along the step, halved until the sum falls enough; whether it moved.
    fn take(&mut self, step: &[f64], gain: f64) -> bool {
        let mut change = Vec::with_capacity(self.logits.len());
        self.blocks(|_, x| change.extend(x.chunks_exact(step.len()).map(|x| dot(x, step))));
        let before = self.sum_at(step, &change, 0.0);
        for halvings in 0..=MOST_HALVINGS {
            let length = 0.5_f64.powi(halvings);
            // Close to the minimum the fall drowns in rounding; there the whole step is right.
            if gain <= TOLERANCE || self.sum_at(step, &change, length) <= before - ENOUGH * length * gain {
                let moved = |values: &mut [f64], by: &[f64]| {
                    values.iter_mut().zip(by).for_each(|(value, by)| *value += length * by);
                };
                moved(&mut self.solution, step);
                moved(&mut self.logits, &change);
                return true;
            }
        }
        false
    }

    /// The penalised negative log-likelihood after so much of the step.
    fn sum_at(&self, step: &[f64], change: &[f64], length: f64) -> f64 {
        let windows = self.logits.iter().zip(change).zip(&self.targets);
        let surprise: f64 = windows
            .map(|((logit, change), target)| {
                let logit = logit + length * change;
                logit.max(0.0) - logit * target + (-logit.abs()).exp().ln_1p()
            })
            .sum();
        let weights = self.solution.iter().zip(step).take(step.len() - 1);
        let squares: f64 = weights.map(|(weight, step)| (weight + length * step).powi(2)).sum();
        surprise + 0.5 * self.card.settings.penalty * squares
    }
}

/// Training targets that are all alike have no finite solution: without weights, and with the intercept of
/// `(ones + 1/2) / (windows + 1)`, the estimate of Krichevsky and Trofimov (1981).
fn constant(task: &FitTask, horizon: usize, mut solution: Vec<f64>, ones: f64) -> Vec<f64> {
    let count = task.train.len() as f64;
    let bars = task.horizons.get(horizon).copied().unwrap_or_default();
    let text = format!(
        "{}: all targets of horizon {bars} are {} in its training windows, so its forecast is a constant",
        task.label,
        if ones > 0.0 { 1 } else { 0 }
    );
    task.progress.on(&Event::Warning { text });
    *solution.last_mut().unwrap_or(&mut 0.0) = ((ones + 0.5) / (count - ones + 0.5)).ln();
    solution
}

/// 1 / (1 + e^-z), without overflow.
fn probability(logit: f64) -> f64 {
    let tail = (-logit.abs()).exp();
    if logit >= 0.0 { 1.0 / (1.0 + tail) } else { tail / (1.0 + tail) }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    settings: Logistic,
    /// F of the windows.
    features: usize,
    /// Which of them it sees.
    picked: Vec<usize>,
    horizons: usize,
}

impl Card {
    /// D
    fn inputs(&self) -> usize {
        self.settings.window * self.picked.len()
    }

    /// Mean of every input, `[D]`.
    fn means(&self, windows: &Windows) -> Vec<f64> {
        let (mut sums, mut x) = (vec![0.0; self.inputs()], Vec::new());
        for index in 0..windows.len() {
            x.clear();
            self.inputs_of(windows, index, &mut x);
            sums.iter_mut().zip(&x).for_each(|(sum, value)| *sum += value);
        }
        sums.iter().map(|sum| sum / windows.len() as f64).collect()
    }

    /// Appends the numbers of a window that enter, `[D]`.
    fn inputs_of(&self, windows: &Windows, index: usize, x: &mut Vec<f64>) {
        for bar in windows.window(index).chunks_exact(self.features) {
            x.extend(self.picked.iter().map(|feature| f64::from(bar[*feature])));
        }
    }
}

struct FittedLogistic {
    card: Card,
    coefficients: Coefficients,
}

impl Fitted for FittedLogistic {
    fn predict(&self, windows: &Windows) -> Result<Vec<f64>, FitError> {
        check_windows(windows, self.card.settings.window, self.card.features)?;
        let mut forecasts = Vec::with_capacity(windows.len() * self.card.horizons);
        let mut x = Vec::with_capacity(self.card.inputs());
        for index in 0..windows.len() {
            x.clear();
            self.card.inputs_of(windows, index, &mut x);
            forecasts.extend(self.coefficients.of(&x).map(probability));
        }
        Ok(forecasts)
    }

    fn save(&self, folder: &Path) -> Result<(), RunDirError> {
        self.coefficients.save(folder)?;
        save_card(folder, &self.card)
    }

    fn graph(&self, graph: &mut GraphBuilder, windows: &Value) -> Result<Value, FitError> {
        let picked: Vec<i64> = self.card.picked.iter().map(|feature| *feature as i64).collect();
        let x = graph.cast(windows, ElementType::Double);
        let x = graph.gather(&x, 2, &picked);
        let flat = graph.reshape(&x, &[0, self.card.inputs() as i64]);
        let logits = self.coefficients.graph(graph, &flat);
        Ok(graph.sigmoid(&logits))
    }
}
