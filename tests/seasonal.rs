//! Seasonal forecasts: exact past values, and means by the place in the period.

use candlewick::model::{FitError, FitTask, Fitted, ModelConfig, Seasonal, SeasonalForecast};
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{
    BarColumns, Bars, Features, LabelKind, NULL, Sample, Scaler, ScalerConfig, ScalerKind, SymbolBars,
    TrainSamples, Windows,
};
use candlewick::train::TrainConfig;
use candlewick::units::Time;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Two symbols of closes on different levels with a period of 10 and noise; the first feature is noise, the second the close.
struct Series {
    closes: Vec<Vec<f64>>,
    features: Features,
    scaler: Scaler,
    kind: LabelKind,
    horizons: Vec<u32>,
}

const ROWS: usize = 400;
const TRAIN: std::ops::Range<usize> = 40..300;

impl Series {
    fn new(kind: LabelKind, scaler: ScalerConfig, horizons: &[u32]) -> Series {
        let mut stream = Seed(8).stream("series", 0);
        let mut closes = Vec::new();
        for level in [100.0, 4_000.0] {
            let wave = |row: usize| (std::f64::consts::TAU * row as f64 / 10.0).sin();
            closes
                .push((0..ROWS).map(|row| level + 25.0 * wave(row) + stream.normal()).collect::<Vec<f64>>());
        }
        let noise: Vec<f64> = (0..ROWS).map(|_| stream.normal()).collect();
        let columns = closes.iter().map(|closes| vec![noise.clone(), closes.clone()]).collect();
        let features = Features::new(vec!["noise".into(), "close".into()], columns).unwrap();
        let rows = TrainSamples::purged(samples(TRAIN));
        let mut scaler = Scaler::fit(scaler, &features, &rows).unwrap();
        if kind == LabelKind::Change {
            scaler = scaler.with_target_units(&bars(&closes), &rows);
        }
        Series { closes, features, scaler, kind, horizons: horizons.to_vec() }
    }

    /// In units of the label.
    fn label(&self, sample: Sample, horizon: usize) -> f64 {
        let (closes, row) = (&self.closes[sample.symbol as usize], sample.row as usize);
        let later = closes.get(row + horizon).copied().unwrap_or(NULL);
        if self.kind == LabelKind::Change { later - closes[row] } else { later }
    }

    fn windows(&self, rows: std::ops::Range<usize>, length: usize) -> Windows {
        let samples = samples(rows);
        let targets = samples.iter().flat_map(|sample| {
            let unit = self.scaler.target_unit(sample.symbol as usize).unwrap_or(1.0);
            self.horizons.iter().map(move |horizon| (self.label(*sample, *horizon as usize) / unit) as f32)
        });
        let targets = targets.collect();
        Windows::new(&self.features, &self.scaler, length, samples, targets).unwrap()
    }

    fn fit(&self, model: &ModelConfig) -> Result<Box<dyn Fitted>, FitError> {
        let length = model.build().window();
        let train = Arc::new(self.windows(TRAIN, length));
        let task = FitTask {
            label: "fold 1 seasonal".into(),
            validation: train.clone(),
            train,
            kind: self.kind,
            horizons: self.horizons.as_slice().into(),
            config: Arc::new(TrainConfig::default()),
            seed: Seed(1),
            cuda: false,
            checkpoint: None,
            stop: &AtomicBool::new(false),
            progress: &Silent,
        };
        model.build().fit(task).map(|fit| fit.model)
    }

    /// Forecasts of the rows after the training part, `[N, H]`, in units of the label.
    fn forecast(&self, model: &ModelConfig) -> (Vec<Sample>, Vec<f64>) {
        let windows = self.windows(300..ROWS, model.build().window());
        let mut forecasts = self.fit(model).unwrap().predict(&windows).unwrap();
        for (index, row) in forecasts.chunks_exact_mut(self.horizons.len()).enumerate() {
            row.iter_mut().for_each(|value| *value *= windows.target_unit(index));
        }
        (windows.samples().to_vec(), forecasts)
    }
}

fn samples(rows: std::ops::Range<usize>) -> Vec<Sample> {
    (0..2).flat_map(|symbol| rows.clone().map(move |row| Sample { symbol, row: row as u32 })).collect()
}

fn bars(closes: &[Vec<f64>]) -> Bars {
    let symbols = closes.iter().enumerate().map(|(index, closes)| {
        let columns = BarColumns {
            time: (0..ROWS as i64).map(|second| Time(second * 1_000_000_000)).collect(),
            open: closes.clone(),
            high: closes.clone(),
            low: closes.clone(),
            close: closes.clone(),
            volume: vec![0.0; ROWS],
        };
        SymbolBars::new(format!("S{index}"), columns).unwrap()
    });
    Bars::new(symbols.collect()).unwrap()
}

fn seasonal(period: usize, forecast: SeasonalForecast) -> ModelConfig {
    ModelConfig::Seasonal(Seasonal { period, forecast })
}

#[test]
fn the_last_period_is_repeated_in_the_units_of_the_series() {
    let per_symbol = ScalerConfig { per_symbol: true, ..ScalerConfig::default() };
    let min_max = ScalerConfig { kind: ScalerKind::MinMax, ..ScalerConfig::default() };
    let none = ScalerConfig { kind: ScalerKind::None, ..ScalerConfig::default() };
    let horizons = [1, 2, 9, 10, 11, 25];
    for scaler in [ScalerConfig::default(), per_symbol, min_max, none] {
        for kind in [LabelKind::Value, LabelKind::Change] {
            let series = Series::new(kind, scaler, &horizons);
            let (samples, forecasts) = series.forecast(&seasonal(10, SeasonalForecast::Last));
            for (sample, forecasts) in samples.iter().zip(forecasts.chunks_exact(horizons.len())) {
                let closes = &series.closes[sample.symbol as usize];
                for (forecast, horizon) in forecasts.iter().zip(horizons) {
                    // Back from the forecast time by whole periods, to what is known.
                    let mut row = sample.row as usize + horizon as usize;
                    while row > sample.row as usize {
                        row -= 10;
                    }
                    let current = if kind == LabelKind::Change { closes[sample.row as usize] } else { 0.0 };
                    // Windows hold f32; without a scaler those of a level of 4,000 have steps of 2.4e-4.
                    let exact = if scaler.kind == ScalerKind::None { 5e-4 } else { 4e-4 };
                    let exact = if scaler.per_symbol { 1e-5 } else { exact };
                    let wanted = closes[row] - current;
                    assert!((forecast - wanted).abs() < exact, "{kind:?} {horizon}: {forecast}, {wanted}");
                }
            }
        }
    }
}

#[test]
fn the_mean_is_that_of_the_place_in_the_period() {
    for kind in [LabelKind::Value, LabelKind::Change, LabelKind::Return] {
        let series = Series::new(kind, ScalerConfig::default(), &[1, 5]);
        let (samples, forecasts) = series.forecast(&seasonal(10, SeasonalForecast::Mean));
        for (sample, forecasts) in samples.iter().zip(forecasts.chunks_exact(2)) {
            for (forecast, horizon) in forecasts.iter().zip([1, 5]) {
                let rows = TRAIN.filter(|row| row % 10 == sample.row as usize % 10);
                let labels: Vec<f64> =
                    rows.map(|row| series.label(Sample { row: row as u32, ..*sample }, horizon)).collect();
                let wanted = labels.iter().sum::<f64>() / labels.len() as f64;
                // Targets are f32.
                assert!((forecast - wanted).abs() < 2e-4, "{kind:?} {horizon}: {forecast}, {wanted}");
            }
        }
    }
}

#[test]
fn a_place_without_training_rows_gets_the_mean_of_all() {
    let series = Series::new(LabelKind::Value, ScalerConfig::default(), &[1]);
    // Training rows 40 to 299 in a period of 350: no row from 300 on has a place that was trained on.
    let (samples, forecasts) = series.forecast(&seasonal(350, SeasonalForecast::Mean));
    let all: Vec<f64> = (0..2)
        .flat_map(|symbol| TRAIN.map(move |row| Sample { symbol, row: row as u32 }))
        .map(|sample| series.label(sample, 1))
        .collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    for (sample, forecast) in samples.iter().zip(&forecasts) {
        let place = sample.row as usize % 350;
        match TRAIN.contains(&place) {
            true => {
                let wanted = series.label(Sample { row: place as u32, ..*sample }, 1);
                assert!((forecast - wanted).abs() < 2e-4);
            }
            false => assert!((forecast - mean).abs() < 1e-3, "{sample:?}: {forecast}, {mean}"),
        }
    }
}

#[test]
fn a_seasonal_model_that_was_read_forecasts_the_same_bits() {
    let series = Series::new(LabelKind::Value, ScalerConfig::default(), &[1, 3]);
    for forecast in [SeasonalForecast::Last, SeasonalForecast::Mean] {
        let model = seasonal(7, forecast);
        let fitted = series.fit(&model).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fitted.save(folder.path()).unwrap();
        let loaded = model.build().load(folder.path()).unwrap();
        let windows = series.windows(300..ROWS, model.build().window());
        let predict = |model: &dyn Fitted| -> Vec<u64> {
            let values = model.predict(&windows).unwrap();
            values.into_iter().map(f64::to_bits).collect()
        };
        assert_eq!(predict(&*fitted), predict(&*loaded));
    }
}

#[test]
fn what_cannot_be_repeated_is_refused_with_a_remedy() {
    let last = seasonal(10, SeasonalForecast::Last);
    for kind in
        [LabelKind::Return, LabelKind::Scaled, LabelKind::Class, LabelKind::Event, LabelKind::Direction]
    {
        let error = Series::new(kind, ScalerConfig::default(), &[1]).fit(&last).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("use `forecast: mean`"), "{kind:?}: {error}");
    }
    let mut series = Series::new(LabelKind::Value, ScalerConfig::default(), &[1]);
    let columns = series.closes.iter().map(|closes| vec![closes.clone(), closes.clone()]).collect();
    series.features = Features::new(vec!["price".into(), "close_2".into()], columns).unwrap();
    let error = series.fit(&last).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("wants the feature `close`") && error.contains("did you mean `close_2`"),
        "{error}"
    );
    series.fit(&seasonal(10, SeasonalForecast::Mean)).unwrap();
}

#[test]
fn configurations_of_seasonal_and_logistic_models_are_checked_before_anything_runs() {
    use super::config::{mistakes, plan, with};
    let model = "  small: {lstm: {window: 12, layers: [8]}}";
    let models = |more: &str| with(model, &format!("{model}\n  other: {more}"));
    let found = mistakes(&models("{seasonal: {period: 10, forecast: last}}"), &[]);
    assert!(found.iter().any(|one| one.contains("neither a value nor a change")), "{found:?}");
    assert!(found.iter().any(|one| one.contains("wants the feature `close`")), "{found:?}");
    let found = mistakes(&models("{logistic: {window: 5}}"), &[]);
    assert!(found.len() == 1 && found[0].contains("use `linear` with this target"), "{found:?}");
    plan(&models("{seasonal: {period: 24}}"), &[]).unwrap();
    let classes = |more: &str| {
        models(more).replace("{forward_return: {horizons_bars: [4]}}", "{sign: {horizons_bars: [4]}}")
    };
    plan(&classes("{logistic: {features: [log_return_2]}}"), &[]).unwrap();
    let found = mistakes(&classes("{logistic: {features: [log_return_3]}}"), &[]);
    assert!(found.len() == 1 && found[0].contains("| did you mean `log_return_"), "{found:?}");
}
