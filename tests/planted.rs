//! The small world that models are fitted to in `models.rs` and `training.rs`.

use candlewick::model::{Fit, FitError, FitTask, Fitted, ModelConfig};
use candlewick::progress::{Event, Progress, Silent};
use candlewick::seed::Seed;
use candlewick::table::{Features, LabelKind, Sample, Scaler, ScalerConfig, TrainSamples, Windows};
use candlewick::train::TrainConfig;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// Windows of random features whose targets are a planted linear function of the last bars, plus noise.
pub(crate) struct World {
    pub(crate) kind: LabelKind,
    pub(crate) seed: Seed,
    pub(crate) train: Arc<Windows>,
    pub(crate) validation: Arc<Windows>,
    pub(crate) test: Windows,
}

struct AfterEpoch<'a>(&'a (dyn Fn(u64) + Sync));

impl Progress for AfterEpoch<'_> {
    fn on(&self, event: &Event) {
        if let Event::Epoch { epoch, .. } = event {
            (self.0)(*epoch);
        }
    }
}

/// What an action told as warnings.
pub(crate) fn progress_texts<T>(action: impl FnOnce(&dyn Progress) -> T) -> (T, Vec<String>) {
    #[derive(Default)]
    struct Warnings(Mutex<Vec<String>>);
    impl Progress for Warnings {
        fn on(&self, event: &Event) {
            if let Event::Warning { text } = event {
                self.0.lock().unwrap().push(text.clone());
            }
        }
    }
    let warnings = Warnings::default();
    let result = action(&warnings);
    (result, warnings.0.into_inner().unwrap())
}

impl World {
    pub(crate) fn new(window: usize, train: usize, horizons: usize) -> World {
        World::with_features(window, train, horizons, 3, 0.5)
    }

    /// Targets that have nothing to do with the features.
    pub(crate) fn noise(window: usize, train: usize, horizons: usize) -> World {
        World::with_features(window, train, horizons, 3, 1e6)
    }

    /// A world in which the model can be fitted: of classes where it forecasts nothing else.
    pub(crate) fn fitting(model: &ModelConfig, window: usize, train: usize, horizons: usize) -> World {
        let world = World::new(window, train, horizons);
        if model.build().fits(world.kind).is_ok() { world } else { world.of_classes() }
    }

    /// Whether each target is above 0, in place of the target.
    pub(crate) fn of_classes(self) -> World {
        let class = |windows: &Windows| {
            let above = |target: &f32| if *target > 0.0 { 1.0 } else { 0.0 };
            let targets = (0..windows.len()).flat_map(|index| windows.target(index)).map(above).collect();
            windows.with_samples(windows.samples().to_vec(), targets).unwrap()
        };
        World {
            kind: LabelKind::Class,
            train: class(&self.train).into(),
            validation: class(&self.validation).into(),
            test: class(&self.test),
            ..self
        }
    }

    pub(crate) fn with_features(
        window: usize,
        train: usize,
        horizons: usize,
        features: usize,
        noise: f64,
    ) -> World {
        let mut stream = Seed(11).stream("world", 0);
        let rows = train + 2 * train.max(100) + window;
        let columns: Vec<Vec<f64>> =
            (0..features).map(|_| (0..rows).map(|_| stream.normal()).collect()).collect();
        let target = |row: usize, horizon: usize, noise: f64| {
            let sign = if horizon.is_multiple_of(2) { 1.0 } else { -1.0 };
            let signal = columns[0][row] - 0.5 * columns[features - 1][row];
            (0.01 * (sign * signal + noise) + 0.002 * (horizon + 1) as f64) as f32
        };
        let targets: Vec<Vec<f32>> = (0..rows)
            .map(|row| (0..horizons).map(|horizon| target(row, horizon, noise * stream.normal())).collect())
            .collect();
        World::from_columns(window, train, columns, &targets)
    }

    pub(crate) fn from_columns(
        window: usize,
        train: usize,
        columns: Vec<Vec<f64>>,
        targets: &[Vec<f32>],
    ) -> World {
        let rows = columns[0].len();
        let names = (0..columns.len()).map(|index| format!("feature_{index}")).collect();
        let features = Features::new(names, vec![columns]).unwrap();
        let samples = |range: std::ops::Range<usize>| {
            range.map(|row| Sample { symbol: 0, row: row as u32 }).collect::<Vec<_>>()
        };
        let start = window - 1;
        let end = start + train;
        let half = (rows - end) / 2;
        let purged = TrainSamples::purged(samples(start..end));
        let scaler = Scaler::fit(ScalerConfig::default(), &features, &purged).unwrap();
        let windows = |range: std::ops::Range<usize>| {
            let flat = targets[range.clone()].concat();
            Windows::new(&features, &scaler, window, samples(range), flat).unwrap()
        };
        World {
            kind: LabelKind::Return,
            seed: Seed(5),
            train: windows(start..end).into(),
            validation: windows(end..end + half).into(),
            test: windows(end + half..rows),
        }
    }

    pub(crate) fn fit(&self, model: &ModelConfig, config: &TrainConfig) -> Result<Fit, FitError> {
        self.fit_reporting(model, config, None, &AtomicBool::new(false), &Silent)
    }

    pub(crate) fn fit_with(
        &self,
        model: &ModelConfig,
        config: &TrainConfig,
        checkpoint: Option<&Path>,
        stop: &AtomicBool,
        after_epoch: &(dyn Fn(u64) + Sync),
    ) -> Result<Fit, FitError> {
        self.fit_reporting(model, config, checkpoint, stop, &AfterEpoch(after_epoch))
    }

    pub(crate) fn fit_reporting(
        &self,
        model: &ModelConfig,
        config: &TrainConfig,
        checkpoint: Option<&Path>,
        stop: &AtomicBool,
        progress: &dyn Progress,
    ) -> Result<Fit, FitError> {
        model.build().fit(self.task(model, config, checkpoint, stop, progress))
    }

    pub(crate) fn task<'a>(
        &self,
        model: &ModelConfig,
        config: &TrainConfig,
        checkpoint: Option<&Path>,
        stop: &'a AtomicBool,
        progress: &'a dyn Progress,
    ) -> FitTask<'a> {
        FitTask {
            label: format!("fold 1 {}", model.name()),
            train: self.train.clone(),
            validation: self.validation.clone(),
            kind: self.kind,
            horizons: (1..=self.train.outputs() as u32).collect(),
            config: Arc::new(config.clone()),
            seed: self.seed,
            cuda: false,
            checkpoint: checkpoint.map(Path::to_path_buf),
            stop,
            progress,
        }
    }

    pub(crate) fn predict(&self, model: &dyn Fitted) -> Vec<f64> {
        model.predict(&self.test).unwrap()
    }

    pub(crate) fn test_targets(&self) -> Vec<f64> {
        (0..self.test.len())
            .flat_map(|index| self.test.target(index))
            .map(|value| f64::from(*value))
            .collect()
    }
}

pub(crate) fn predict_bits(world: &World, model: &dyn Fitted) -> Vec<u64> {
    world.predict(model).iter().map(|value| value.to_bits()).collect()
}
