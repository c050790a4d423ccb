//! Seeded sweeps: every kind of dimension, every fate of a trial, from one trial to a thousand.

use candlewick::rundir::{
    Conclusion, DimensionSummary, PopulationSummary, SweepSummary, TrialSpan, TrialStatus, TrialSummary,
    Verdict, WinnerSummary,
};
use candlewick::seed::{Seed, Stream};
use serde_json::{Value, json};

pub(super) const RATE: &str = "train.optimizer.adamw.learning_rate";
pub(super) const DECAY: &str = "train.optimizer.adamw.weight_decay";
pub(super) const OPTIMIZER: &str = "train.optimizer.kind";
pub(super) const LAYERS: &str = "models.lstm.lstm.layers";
pub(super) const DROPOUT: &str = "models.lstm.lstm.dropout";
pub(super) const WINDOW: &str = "models.lstm.lstm.window";

const EPOCHS: u64 = 12;
const CORES: usize = 4;

/// What to make up.
#[derive(Clone, Copy)]
pub(super) struct SyntheticSweep {
    pub(super) trials: usize,
    /// Whether trials end otherwise than finished.
    pub(super) fates: bool,
    pub(super) winner: bool,
    pub(super) seeds: usize,
    pub(super) dimensions: usize,
}

impl Default for SyntheticSweep {
    fn default() -> SyntheticSweep {
        SyntheticSweep { trials: 64, fates: true, winner: true, seeds: 2, dimensions: 6 }
    }
}

fn dimension(
    path: &str,
    scale: &str,
    int: bool,
    values: Vec<Value>,
    interval: Option<[f64; 2]>,
) -> DimensionSummary {
    DimensionSummary { path: path.into(), scale: scale.into(), int, values, interval, importance: None }
}

fn space(count: usize) -> Vec<DimensionSummary> {
    let mut space = vec![
        dimension(RATE, "log", false, vec![], Some([1e-4, 1e-2])),
        dimension(
            LAYERS,
            "choice",
            false,
            vec![json!([16]), json!([32]), json!([32, 16]), json!([64, 32])],
            None,
        ),
        dimension(DROPOUT, "linear", false, vec![], Some([0.0, 0.4])),
        dimension(WINDOW, "linear", true, vec![], Some([12.0, 48.0])),
        dimension(OPTIMIZER, "choice", false, vec![json!("adamw"), json!("sgd")], None),
        dimension(DECAY, "log", false, vec![], Some([1e-6, 1e-1])),
    ];
    space.truncate(count);
    space.extend((6..count).map(|index| {
        dimension(&format!("features.lag_{index}.scale"), "linear", false, vec![], Some([-1.0, 1.0]))
    }));
    space
}

fn drawn(dimension: &DimensionSummary, noise: &mut Stream) -> Value {
    let Some([low, high]) = dimension.interval else {
        return dimension.values[noise.below(dimension.values.len())].clone();
    };
    if dimension.scale == "log" {
        return json!((low.ln() + noise.uniform() * (high.ln() - low.ln())).exp());
    }
    let value = low + noise.uniform() * (high - low);
    if dimension.int { json!(value.round() as i64) } else { json!(value) }
}

/// The loss that a trial ends with: a valley over the learning rate, a step for the layers, a slope for dropout.
fn ending(settings: &indexmap::IndexMap<String, Value>) -> f64 {
    let rate = settings.get(RATE).and_then(Value::as_f64).unwrap_or(1e-3);
    let depth = settings.get(LAYERS).and_then(Value::as_array).map_or(1, Vec::len);
    let dropout = settings.get(DROPOUT).and_then(Value::as_f64).unwrap_or(0.1);
    0.95 + 0.06 * (rate / 1.2e-3).log10().powi(2) - 0.02 * depth as f64 + 0.05 * dropout
}

impl SyntheticSweep {
    pub(super) fn summary(&self) -> SweepSummary {
        let space = space(self.dimensions);
        let mut clocks = [0.0_f64; CORES];
        let mut trials: Vec<TrialSummary> =
            (0..self.trials).map(|number| self.trial(number, &space, &mut clocks)).collect();
        if self.fates && self.trials > 40 {
            trials[37].reused = true;
            trials[37].spans.clear();
        }
        let finished = |trial: &&TrialSummary| trial.status == TrialStatus::Complete;
        let best = trials
            .iter()
            .filter(finished)
            .min_by(|left, right| left.value.unwrap().total_cmp(&right.value.unwrap()));
        let best = best.map(|trial| trial.number);
        let mut summary = SweepSummary {
            sweep_dir: "sweeps/2026-11-20_quickstart-sweep_1a2b3c4d".into(),
            name: "quickstart-sweep".into(),
            experiment: "configs/quickstart.yaml".into(),
            seed: 7,
            version: "0.1.0".into(),
            data_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            device: "cpu".into(),
            threads: CORES,
            method: "tpe".into(),
            metric: "validation.loss".into(),
            minimize: true,
            trials_asked: self.trials,
            seconds_allowed: None,
            epochs: EPOCHS,
            folds: 1,
            seeds: self.seeds,
            seconds: clocks.into_iter().fold(0.0, f64::max),
            cpu_seconds: clocks.iter().sum(),
            space,
            trials,
            populations: vec![
                PopulationSummary {
                    shape: "lstm [32, 16], 24 bars, 6 features, 5 outputs".into(),
                    members: 38,
                },
                PopulationSummary { shape: "lstm [16], 24 bars, 6 features, 5 outputs".into(), members: 26 },
            ],
            best,
            overfitting_probability: Some(0.38),
            winner: best.filter(|_| self.winner).map(winner),
            stop_reason: "completed".into(),
            warnings: vec!["2 trials diverged: their learning rates lie above 0.008".into()],
        };
        summary.measure_importance();
        summary
    }

    fn status(&self, number: usize) -> TrialStatus {
        match number % 16 {
            _ if !self.fates || number == 0 => TrialStatus::Complete,
            5 | 9 | 11 | 14 => TrialStatus::Pruned,
            12 => TrialStatus::Diverged,
            13 if number.is_multiple_of(3) => TrialStatus::Failed,
            15 if number + 1 == self.trials => TrialStatus::Unfinished,
            _ => TrialStatus::Complete,
        }
    }

    fn trial(&self, number: usize, space: &[DimensionSummary], clocks: &mut [f64; CORES]) -> TrialSummary {
        let mut noise = Seed(17).stream("trial", number as u64);
        let mut settings = indexmap::IndexMap::new();
        for dimension in space {
            let value = drawn(dimension, &mut noise);
            // The decay belongs to one optimizer only.
            if dimension.path != DECAY || settings.get(OPTIMIZER) == Some(&json!("adamw")) {
                settings.insert(dimension.path.clone(), value);
            }
        }
        let status = self.status(number);
        let epochs = match status {
            TrialStatus::Complete => EPOCHS,
            TrialStatus::Pruned => 1 + 3 * (number as u64 % 2),
            TrialStatus::Failed => 0,
            _ => 3,
        };
        let end = ending(&settings) + 0.004 * noise.normal();
        let curve: Vec<(u64, f64)> = (1..=epochs)
            .map(|epoch| (epoch, end + 0.3 * (-0.7 * epoch as f64).exp() + 0.001 * noise.normal()))
            .collect();
        let value = curve.last().map(|(_, loss)| *loss).filter(|_| status != TrialStatus::Diverged);
        let seconds = 0.3 + 0.05 * epochs as f64 * (1.0 + noise.uniform());
        let core = (0..CORES).min_by(|left, right| clocks[*left].total_cmp(&clocks[*right])).unwrap();
        let start = clocks[core];
        clocks[core] += seconds;
        let spread = value.into_iter().flat_map(|value| {
            (0..self.seeds).map(move |seed| value + 0.002 * (seed as f64 - 0.5 * (self.seeds as f64 - 1.0)))
        });
        TrialSummary {
            number,
            id: format!("{:016x}", noise.next_u64()),
            status,
            settings,
            value,
            values: spread.collect(),
            epochs,
            parameters: 11_251,
            curve,
            validation_sharpe: value.map(|value| 12.0 * (1.0 - value)),
            spans: vec![TrialSpan { core, start, end: start + seconds }],
            cpu_seconds: seconds,
            reused: false,
            reason: match status {
                TrialStatus::Failed => Some("window 48 is longer than the fold's 40 training bars".into()),
                TrialStatus::Diverged => Some("the loss of epoch 4 is no number".into()),
                _ => None,
            },
        }
    }
}

fn winner(trial: usize) -> WinnerSummary {
    WinnerSummary {
        trial,
        run_dir: "runs/2026-11-20_quickstart_5e6f7a8b".into(),
        book: Some("lstm_signal".into()),
        sharpe: Some(0.84),
        deflated_sharpe: Some(0.41),
        test_value: Some(0.9731),
        verdict: Some(Verdict {
            best_model: "lstm_signal".into(),
            best_baseline: "hold".into(),
            sharpe_difference: 0.31,
            interval: [-0.12, 0.70],
            p_value: Some(0.21),
            trials: 64,
            conclusion: Conclusion::NotProven,
            choice: "the only book on a model".into(),
        }),
    }
}
