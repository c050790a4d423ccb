//! Forecasts beside a known noise floor: how sure their errors are, and who scores better than is possible.

use crate::program::{Done, Scratch};
use arrow::array::{ArrayRef, Float64Array, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use candlewick::metrics::{ForecastMetrics, NoiseFloor, StandardErrors, forecast_metrics, standard_errors};
use candlewick::seed::{Seed, Stream};
use candlewick::table::{LabelKind, NULL};
use candlewick::units::Time;
use parquet::arrow::ArrowWriter;
use std::sync::Arc;

/// The floor of [`level`] and its noise, from the probabilities of the 21 values at each of the ten phases.
const FLOOR: NoiseFloor = NoiseFloor { mse: Some(2.253), mae: Some(1.188), accuracy: Some(0.256) };

/// A sine of period 10 in whole numbers, with noise of deviation 1.5.
fn price(row: usize, noise: &mut Stream) -> f64 {
    (level(row) + 1.5 * noise.normal()).round().clamp(-10.0, 10.0)
}

fn level(row: usize) -> f64 {
    8.0 * (std::f64::consts::TAU * 0.1 * (row % 10) as f64).sin()
}

fn times(rows: usize) -> Vec<Time> {
    (0..rows as i64).map(Time).collect()
}

#[test]
fn accuracy_is_that_of_rounded_forecasts_of_whole_numbers() {
    let forecasts = [0.5, -0.5, 2.49, -1.5, 7.0];
    let outcomes = [1.0, -1.0, 2.0, -1.0, NULL];
    let of =
        |kind, outcomes: &[f64]| forecast_metrics(&times(5), kind, &forecasts, outcomes).rounded_accuracy;
    assert_eq!(of(LabelKind::Value, &outcomes), Some(0.75), "halves go away from zero, the null is skipped");
    assert_eq!(of(LabelKind::Change, &outcomes), Some(0.75));
    for kind in [LabelKind::Return, LabelKind::Class, LabelKind::Event, LabelKind::Direction] {
        assert_eq!(of(kind, &outcomes), None, "{kind:?}");
    }
    assert_eq!(of(LabelKind::Value, &[1.0, -1.0, 2.0, -1.0, 0.5]), None, "one outcome is no whole number");
    assert_eq!(of(LabelKind::Value, &[NULL; 5]), None);
}

/// Standard error of the mean over horizons of the mean of `losses[horizon][row]`, a row a time, by its definition: the
/// autocovariances of the row means up to the horizon in full and up to twice of it in part.
fn naive_error(losses: &[Vec<f64>], longest: usize) -> f64 {
    let rows = losses[0].len();
    let row_mean = |row: usize| losses.iter().map(|losses| losses[row]).sum::<f64>() / losses.len() as f64;
    let mean = (0..rows).map(row_mean).sum::<f64>() / rows as f64;
    let mut variance = 0.0;
    for one in 0..rows {
        for other in 0..rows {
            let lag = one.abs_diff(other) as f64 / longest as f64;
            let weight = (2.0 - lag).clamp(0.0, 1.0);
            variance += weight * (row_mean(one) - mean) * (row_mean(other) - mean);
        }
    }
    variance.sqrt() / rows as f64
}

#[test]
fn standard_errors_are_those_of_the_definition() {
    let (rows, horizons) = (120, [1, 2, 4]);
    let mut random = Seed(3).stream("errors", 0);
    let actual: Vec<f64> = (0..rows * 3).map(|_| (3.0 * random.normal()).round()).collect();
    let forecasts: Vec<f64> = actual.iter().map(|outcome| outcome + random.normal()).collect();
    let losses = |of: &dyn Fn(f64, f64) -> f64| -> Vec<Vec<f64>> {
        let column =
            |horizon| (horizon..rows * 3).step_by(3).map(|place| of(forecasts[place], actual[place]));
        (0..3).map(|horizon| column(horizon).collect()).collect()
    };
    let found = standard_errors(&times(rows), LabelKind::Value, &forecasts, &actual, &horizons).unwrap();
    let right = |forecast: f64, outcome: f64| f64::from(u8::from(forecast.round() == outcome));
    for (found, losses) in [
        (found.mse, losses(&|forecast, outcome| (forecast - outcome).powi(2))),
        (found.mae, losses(&|forecast, outcome| (forecast - outcome).abs())),
        (found.rounded_accuracy, losses(&right)),
    ] {
        let expected = naive_error(&losses, 4);
        assert!((found.unwrap() / expected - 1.0).abs() < 1e-9, "{found:?} is not {expected}");
    }
    // Rows in any order, and rows without an outcome, change nothing.
    let mut mixed: Vec<usize> = (0..rows).collect();
    Seed(4).stream("order", 0).shuffle(&mut mixed);
    let take = |values: &[f64], null: f64| -> Vec<f64> {
        let rows = mixed.iter().flat_map(|row| values[3 * row..3 * row + 3].to_vec());
        rows.chain([null; 3]).collect()
    };
    let moments: Vec<Time> = mixed.iter().map(|row| Time(*row as i64)).chain([Time(50)]).collect();
    let (moved, outcomes) = (take(&forecasts, 0.0), take(&actual, NULL));
    let again = standard_errors(&moments, LabelKind::Value, &moved, &outcomes, &horizons).unwrap();
    assert!((again.mse.unwrap() / found.mse.unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(standard_errors(&times(19), LabelKind::Value, &forecasts[..19], &actual[..19], &[1]), None);
    let returns = standard_errors(&times(rows), LabelKind::Return, &forecasts, &actual, &horizons).unwrap();
    assert_eq!(returns.rounded_accuracy, None);
}

/// Sums over five steps are forecast at every step, so that neighbouring errors share four fifths of their noise: errors
/// that took rows as independent would be less than half of what the figures show from world to world.
#[test]
fn standard_errors_are_as_wide_as_figures_differ_when_outcomes_overlap() {
    const WORLDS: usize = 300;
    let (rows, horizon) = (400, 5);
    let (mut figures, mut errors, mut independent) = (Vec::new(), Vec::new(), Vec::new());
    for world in 0..WORLDS {
        let mut random = Seed(9).stream("world", world as u64);
        let steps: Vec<f64> = (0..rows + horizon).map(|_| random.normal()).collect();
        let actual: Vec<f64> = (0..rows).map(|row| steps[row..row + horizon].iter().sum()).collect();
        let found =
            standard_errors(&times(rows), LabelKind::Change, &vec![0.0; rows], &actual, &[horizon as u32]);
        let squares: Vec<f64> = actual.iter().map(|outcome| outcome * outcome).collect();
        let mean = squares.iter().sum::<f64>() / rows as f64;
        let variance = squares.iter().map(|square| (square - mean).powi(2)).sum::<f64>() / rows as f64;
        figures.push(mean);
        errors.push(found.unwrap().mse.unwrap().powi(2));
        independent.push(variance / rows as f64);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let centre = mean(&figures);
    let spread = mean(&figures.iter().map(|figure| (figure - centre).powi(2)).collect::<Vec<f64>>()).sqrt();
    let ratio = mean(&errors).sqrt() / spread;
    assert!((0.9..1.1).contains(&ratio), "errors are {ratio} of the spread");
    let naive = mean(&independent).sqrt() / spread;
    assert!(naive < 0.6, "the case needs overlap: {naive}");
}

/// The figures of forecasts that are `level + share * noise`: 0 is honest, 1 has seen the outcome.
fn leaking(share: f64, rows: usize) -> ForecastMetrics {
    let mut noise = Seed(12).stream("price", 0);
    let actual: Vec<f64> = (0..rows).map(|row| price(row, &mut noise)).collect();
    let forecasts: Vec<f64> =
        actual.iter().enumerate().map(|(row, actual)| level(row) + share * (actual - level(row))).collect();
    let mut metrics = forecast_metrics(&times(rows), LabelKind::Value, &forecasts, &actual);
    metrics.standard_errors = standard_errors(&times(rows), LabelKind::Value, &forecasts, &actual, &[1]);
    metrics
}

#[test]
fn only_a_forecast_that_has_seen_the_outcome_is_below_the_floor() {
    let leaks = |share: f64, rows: usize| FLOOR.beside(&leaking(share, rows)).leaks().collect::<Vec<_>>();
    assert!(leaks(0.0, 20_000).is_empty(), "{:?}", leaking(0.0, 20_000));
    assert_eq!(leaks(0.1, 20_000), ["MSE", "MAE", "accuracy"], "a tenth of the noise was known");
    assert_eq!(leaks(0.1, 200), Vec::<&str>::new(), "which 200 rows cannot show");
    assert_eq!(leaks(1.0, 200), ["MSE", "MAE", "accuracy"], "an error of 0 has no sampling error");
    let excess = FLOOR.beside(&leaking(0.0, 20_000)).mse.unwrap();
    let [low, high] = excess.interval.unwrap();
    assert!(low < excess.value && excess.value < high && excess.floor == 2.253);
    assert!((high - low - 2.0 * 1.96 * 0.0225).abs() < 0.01, "squares of a normal: 2.25 sqrt(2 / 20,000)");
    // What is not known is not compared; the accuracy falls short where the errors exceed.
    let only = NoiseFloor { accuracy: Some(0.5), ..NoiseFloor::default() };
    let beside = only.beside(&leaking(0.0, 20_000));
    assert!(beside.mse.is_none() && beside.mae.is_none());
    assert!((beside.accuracy.unwrap().value - (0.5 - 0.256)).abs() < 0.02);
    let unsure = ForecastMetrics { mse: Some(0.0), ..ForecastMetrics::default() };
    assert!(!FLOOR.beside(&unsure).mse.unwrap().leaks, "without a sampling error nothing is told");
    let exact = ForecastMetrics {
        mse: Some(2.253),
        standard_errors: Some(StandardErrors { mse: Some(0.0), ..StandardErrors::default() }),
        ..ForecastMetrics::default()
    };
    assert!(!FLOOR.beside(&exact).mse.unwrap().leaks);
}
