//! Figures of rare events: against scikit-learn, against a naive count of alarms and events, and at their edges.

use crate::markets::symbol;
use candlewick::metrics::{
    Beside, EventFigures, EventRows, RiskRows, alarm_threshold, area_under_curve, area_under_curve_interval,
    average_precision, brier_score, calibration_bins, event_figures, expected_calibration_error, log_loss,
    order_violations, share_interval,
};
use candlewick::seed::Seed;
use candlewick::table::{Bars, LabelKind, ModelPredictions, NULL, Sample};
use candlewick::units::Time;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::OnceLock;

const MINUTE: i64 = 60_000_000_000;

/// Two symbols that have a bar every minute.
fn minutes() -> &'static Bars {
    static BARS: OnceLock<Bars> = OnceLock::new();
    BARS.get_or_init(|| Bars::new(vec![flat("A", 0), flat("B", 0)]).unwrap())
}

/// A symbol whose price stands still, from this minute on.
fn flat(name: &str, first: i64) -> candlewick::table::SymbolBars {
    let times = (first..first + 1000).map(|minute| minute * MINUTE).collect();
    symbol(name, times, vec![1.0; 1000], vec![1.0; 1000])
}

/// The area under the curve of one fold.
fn area(risk: &[f64], happens: &[bool]) -> Option<f64> {
    area_under_curve(&vec![0; risk.len()], risk, happens)
}

/// The average precision of one fold.
fn precision(risk: &[f64], happens: &[bool]) -> Option<f64> {
    average_precision(&vec![0; risk.len()], risk, happens)
}

/// tests/reference/events.py made the numbers, with scikit-learn 1.9.1.
#[test]
fn event_figures_agree_with_scikit_learn() {
    let reference: serde_json::Value = serde_json::from_str(include_str!("reference/events.json")).unwrap();
    for (levels, figures) in reference["figures"].as_object().unwrap() {
        let levels: f64 = levels.parse().unwrap();
        let mut state = 1_u64;
        let mut uniform = || {
            state = (1_103_515_245 * state + 12_345) % (1 << 31);
            state as f64 / (1_u64 << 31) as f64
        };
        let (mut risk, mut happens) = (Vec::new(), Vec::new());
        for _ in 0..reference["count"].as_u64().unwrap() {
            let level = uniform();
            risk.push(if levels > 0.0 { (level * levels).floor() / levels } else { level });
            happens.push(uniform() < 0.02 + 0.2 * level * level);
        }
        for (name, found) in [
            ("auc", area(&risk, &happens)),
            ("average_precision", precision(&risk, &happens)),
            ("brier", brier_score(&risk, &happens)),
            ("log_loss", log_loss(&risk, &happens)),
        ] {
            let (found, expected) = (found.unwrap(), figures[name].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-12, "{levels} {name}: {found} is not {expected}");
        }
    }
}

#[test]
fn event_figures_without_an_event_are_not_defined() {
    for happens in [vec![false; 9], vec![]] {
        let risk = vec![0.25; happens.len()];
        assert_eq!(area(&risk, &happens), None);
        assert_eq!(precision(&risk, &happens), None);
    }
    assert_eq!(area(&[0.5, 0.6], &[true, true]), None);
    assert_eq!(brier_score(&[], &[]), None);
    assert_eq!(expected_calibration_error(&[]), None);
    let quiet = predictions(&[(0, 0, 0, 0.3, 0.0), (0, 0, 1, 0.9, 0.0)], 2);
    let found = figures(&quiet, 0.5, |_| NULL);
    assert_eq!((found.rows, found.events, found.base_rate, found.auc), (2, 0, Some(0.0), None));
    assert_eq!(alarm_threshold(&EventRows::new(&RiskRows::of(&quiet, 0), None, minutes()), 1.0), None);
    let alarms = found.alarms.unwrap();
    assert_eq!((alarms.recall, alarms.alarms, alarms.false_alarms), (None, 1, 1));
    assert!(found.hindsight.is_empty());
}

/// Rows `(fold, symbol, row, risk, actual)` of one horizon.
fn predictions(rows: &[(u32, u32, u32, f64, f64)], horizon: u32) -> ModelPredictions {
    ModelPredictions {
        model: "model".into(),
        kind: LabelKind::Event,
        horizons: vec![horizon],
        samples: rows.iter().map(|row| Sample { symbol: row.1, row: row.2 }).collect(),
        fold: rows.iter().map(|row| row.0).collect(),
        values: rows.iter().map(|row| row.3).collect(),
        actual: rows.iter().map(|row| row.4).collect(),
        alarm_at: Vec::new(),
        units: Vec::new(),
    }
}

fn figures(
    predictions: &ModelPredictions,
    threshold: f64,
    bars_to_event: impl Fn(usize) -> f64,
) -> EventFigures {
    let rows = EventRows::new(&RiskRows::of(predictions, 0), None, minutes());
    let count = rows.places().len();
    let times: Vec<Time> = (0..count as i64).map(|row| Time(row * MINUTE)).collect();
    let beside =
        Beside { times: &times, training_base_rate: &vec![0.1; count], alarm_at: &vec![threshold; count] };
    event_figures(&rows, &rows.events(bars_to_event), &beside)
}

#[test]
fn events_and_alarms_are_counted_as_the_words_say() {
    // Horizon 3. One event over rows 4 to 7 (two runs, two rows apart), its strike 2 bars after its first row; the label
    // of row 12 has nothing before it in its stretch, for row 11 has no forecast.
    let risk = [0.9, 0.1, 0.1, 0.1, 0.1, 0.8, 0.9, 0.1, 0.1, 0.1, 0.9, NULL, 0.9, 0.1];
    let actual = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let rows: Vec<_> = (0..14).map(|row| (0, 0, row as u32, risk[row], actual[row])).collect();
    let found = figures(&predictions(&rows, 3), 0.5, |place| if place == 4 { 2.0 } else { NULL });
    assert_eq!((found.rows, found.events), (13, 1));
    let alarms = found.alarms.unwrap();
    // Raised at rows 0 (false), 5 (with row 6, where the label is 1), 10 (false) and 12.
    assert_eq!((alarms.alarms, alarms.false_alarms, alarms.caught), (4, 2, 1));
    // Row 5 is the first alarm before the strike at row 6: one bar.
    assert_eq!((alarms.leads, alarms.median_lead), (vec![1], Some(1.0)));
    assert_eq!(alarms.false_alarms_per_day, Some(2.0 / (13.0 / 1440.0)));
    // At 0.85 the first alarm of the event comes with its strike: too late.
    let found = figures(&predictions(&rows, 3), 0.85, |place| if place == 4 { 2.0 } else { NULL });
    assert_eq!(found.alarms.unwrap().caught, 0);
}

#[test]
fn a_model_that_always_warns_is_not_called_precise() {
    let rows: Vec<_> = (0..1000).map(|row| (0, 0, row, 0.06, f64::from(row / 10 == 50))).collect();
    let constant = predictions(&rows, 10);
    // The only forecast there is raises too many alarms, so nothing raises one.
    assert_eq!(alarm_threshold(&EventRows::new(&RiskRows::of(&constant, 0), None, minutes()), 1.0), None);
    let found = figures(&constant, 0.06, |_| NULL).alarms.unwrap();
    assert_eq!(
        (found.alarms, found.false_alarms, found.caught, found.time_in_alarm),
        (100, 99, 1, Some(1.0))
    );
}

/// What the head of the folder says, counted row by row: stretches, events with their strikes, alarms.
struct Naive {
    stretches: Vec<Vec<usize>>,
    horizon: usize,
}

impl Naive {
    fn new(predictions: &ModelPredictions) -> Naive {
        let mut stretches: Vec<Vec<usize>> = Vec::new();
        for place in (0..predictions.samples.len()).filter(|place| !predictions.actual[*place].is_nan()) {
            let joins = stretches.last().and_then(|stretch| stretch.last()).is_some_and(|last| {
                let (one, other) = (predictions.samples[*last], predictions.samples[place]);
                predictions.fold[*last] == predictions.fold[place]
                    && one.symbol == other.symbol
                    && one.row + 1 == other.row
            });
            if joins { stretches.last_mut().unwrap().push(place) } else { stretches.push(vec![place]) }
        }
        Naive { stretches, horizon: predictions.horizons[0] as usize }
    }

    /// All alarms and the false ones.
    fn alarms(&self, predictions: &ModelPredictions, threshold: f64) -> (usize, usize) {
        let (mut all, mut wrong) = (0, 0);
        for stretch in &self.stretches {
            let mut standing: Option<(usize, bool)> = None;
            for (row, place) in stretch.iter().enumerate() {
                if predictions.values[*place] < threshold {
                    continue;
                }
                let event = predictions.actual[*place] == 1.0;
                standing = match standing {
                    Some((start, right)) if row < start + self.horizon => Some((start, right || event)),
                    before => {
                        wrong += usize::from(before.is_some_and(|(_, right)| !right));
                        all += 1;
                        Some((row, event))
                    }
                };
            }
            wrong += usize::from(standing.is_some_and(|(_, right)| !right));
        }
        (all, wrong)
    }

    /// The leads of the events, 0 for one that was missed; all strikes a horizon after the first row.
    fn leads(&self, predictions: &ModelPredictions, threshold: f64) -> Vec<usize> {
        let mut leads = Vec::new();
        for stretch in &self.stretches {
            let event = |row: &usize| predictions.actual[stretch[*row]] == 1.0;
            // Back from a row with an event to the first row of the event it belongs to.
            let begin = |row: usize| {
                let mut first = row;
                while let Some(before) = (0..first).rev().find(event) {
                    if first - before > 1 && first - before >= self.horizon {
                        break;
                    }
                    first = before;
                }
                first
            };
            for first in (1..stretch.len()).filter(event).filter(|row| begin(*row) == *row) {
                let last = (first..stretch.len()).rfind(|row| event(row) && begin(*row) == first).unwrap();
                let alarm = (first..=last.min(first + self.horizon - 1))
                    .find(|row| predictions.values[stretch[*row]] >= threshold);
                leads.push(alarm.map_or(0, |row| first + self.horizon - row));
            }
        }
        leads
    }

    fn threshold(&self, predictions: &ModelPredictions, allowed: usize) -> Option<f64> {
        let mut candidates: Vec<f64> = predictions.values.clone();
        candidates.sort_by(|one, other| other.total_cmp(one));
        let keeps = |candidate: &&f64| self.alarms(predictions, **candidate).1 <= allowed;
        candidates.iter().take_while(keeps).last().copied()
    }
}

/// Rows of two folds and two symbols with holes, risks of few levels and labels in runs.
fn random_predictions(seed: u64, horizon: u32) -> ModelPredictions {
    let mut stream = Seed(seed).stream("rows", 0);
    let mut rows = Vec::new();
    for (fold, symbol) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut label = false;
        for row in 0..60 {
            label = if stream.below(4) == 0 { stream.below(3) == 0 } else { label };
            let risk = stream.below(12) as f64 / 12.0;
            if stream.below(25) > 0 {
                rows.push((fold, symbol, fold * 60 + row, risk, f64::from(u8::from(label))));
            }
        }
    }
    predictions(&rows, horizon)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn alarms_and_events_are_those_of_a_naive_count(seed in 0_u64..1_000_000, horizon in 1_u32..9, level in 0_usize..13) {
        let predictions = random_predictions(seed, horizon);
        let (naive, threshold) = (Naive::new(&predictions), level as f64 / 12.0);
        let found = figures(&predictions, threshold, |_| NULL);
        let (leads, alarms) = (naive.leads(&predictions, threshold), found.alarms.unwrap());
        let mut caught: Vec<u32> = leads.iter().filter(|lead| **lead > 0).map(|lead| *lead as u32).collect();
        caught.sort_unstable();
        prop_assert_eq!((found.events, &alarms.leads), (leads.len(), &caught));
        prop_assert_eq!((alarms.alarms, alarms.false_alarms), naive.alarms(&predictions, threshold));
    }

    #[test]
    fn the_threshold_is_the_lowest_that_keeps_to_the_false_alarms(seed in 0_u64..1_000_000, horizon in 1_u32..9, allowed in 0_usize..30) {
        let predictions = random_predictions(seed, horizon);
        prop_assume!(predictions.actual.contains(&1.0));
        let rows = EventRows::new(&RiskRows::of(&predictions, 0), None, minutes());
        let moments = predictions.samples.iter().zip(&predictions.fold).map(|(sample, fold)| (*fold, sample.row));
        let days = moments.collect::<BTreeSet<(u32, u32)>>().len() as f64 / 1440.0;
        let found = alarm_threshold(&rows, (allowed as f64 + 0.5) / days);
        prop_assert_eq!(found, Naive::new(&predictions).threshold(&predictions, allowed));
    }

    #[test]
    fn the_area_is_the_share_of_pairs_and_keeps_under_rising_maps(seed in 0_u64..1_000_000) {
        let predictions = random_predictions(seed, 3);
        let happens: Vec<bool> = predictions.actual.iter().map(|actual| *actual == 1.0).collect();
        let (mut right, mut pairs) = (0.0, 0.0);
        for (risk, _) in predictions.values.iter().zip(&happens).filter(|row| *row.1) {
            for (other, _) in predictions.values.iter().zip(&happens).filter(|row| !row.1) {
                right += if risk > other { 1.0 } else if risk == other { 0.5 } else { 0.0 };
                pairs += 1.0;
            }
        }
        prop_assume!(pairs > 0.0);
        let found = area(&predictions.values, &happens).unwrap();
        prop_assert!((found - right / pairs).abs() < 1e-12);
        let mapped: Vec<f64> = predictions.values.iter().map(|risk| (3.0 * risk).exp() - 7.0).collect();
        prop_assert_eq!(area(&mapped, &happens), Some(found));
        prop_assert_eq!(precision(&mapped, &happens), precision(&predictions.values, &happens));
        let mirrored: Vec<f64> = predictions.values.iter().map(|risk| -risk).collect();
        prop_assert!((area(&mirrored, &happens).unwrap() - (1.0 - found)).abs() < 1e-12);
    }
}

/// The figures of the order of risks, and the interval of the area, of rows a minute apart.
fn order_figures(
    predictions: &ModelPredictions,
) -> (Option<f64>, Option<[f64; 2]>, Option<f64>, Option<f64>) {
    let found = figures(predictions, 0.5, |_| NULL);
    (found.auc, found.auc_interval, found.average_precision, found.average_precision_of_luck)
}

#[test]
fn a_constant_of_each_fold_is_no_skill() {
    // Four of ten rows of fold 0 have label 1, and one of ten of fold 1; the constants are in order, or the other way round.
    let rows = |levels: [f64; 2]| -> Vec<_> {
        (0..200)
            .map(|row| {
                let fold = row / 100;
                let label = f64::from(u8::from(row % 10 < [4, 1][fold as usize]));
                (fold, 0, row, levels[fold as usize], label)
            })
            .collect()
    };
    for levels in [[0.4, 0.1], [0.1, 0.4]] {
        let (auc, _, average, luck) = order_figures(&predictions(&rows(levels), 2));
        assert_eq!(auc, Some(0.5));
        assert_eq!(average, luck);
        assert!((luck.unwrap() - (40.0 * 0.4 + 10.0 * 0.1) / 50.0).abs() < 1e-15, "{luck:?}");
    }
}

#[test]
fn the_level_of_a_fold_moves_no_figure_of_the_order() {
    let mut forecasts = random_predictions(4, 3);
    let before = order_figures(&forecasts);
    assert!(before.1.is_some_and(|[low, high]| low < before.0.unwrap() && before.0.unwrap() < high));
    let fold = forecasts.fold.clone();
    forecasts.values.iter_mut().zip(&fold).for_each(|(risk, fold)| *risk += 8.0 * f64::from(*fold));
    assert_eq!(order_figures(&forecasts), before);
    // The naive figures: pairs of one fold; each fold's precision by its rows with an event.
    let (mut right, mut pairs, mut weighted, mut events) = (0.0, 0.0, 0.0, 0.0);
    for part in [0, 1] {
        let rows: Vec<usize> = (0..fold.len()).filter(|row| fold[*row] == part).collect();
        let risk: Vec<f64> = rows.iter().map(|row| forecasts.values[*row]).collect();
        let happens: Vec<bool> = rows.iter().map(|row| forecasts.actual[*row] == 1.0).collect();
        let positive = happens.iter().filter(|happens| **happens).count() as f64;
        let compared = positive * (happens.len() as f64 - positive);
        right += compared * area(&risk, &happens).unwrap();
        pairs += compared;
        weighted += positive * precision(&risk, &happens).unwrap();
        events += positive;
    }
    assert!((before.0.unwrap() - right / pairs).abs() < 1e-12);
    assert!((before.2.unwrap() - weighted / events).abs() < 1e-12);
}

#[test]
fn a_day_is_shared_by_all_symbols() {
    // Every sixth row of both symbols raises a false alarm; row 1 has label 1.
    let rows: Vec<_> = [0, 1]
        .into_iter()
        .flat_map(|symbol| {
            (0..600).map(move |row| {
                (0, symbol, row, f64::from(u8::from(row % 6 == 3)), f64::from(u8::from(row == 1)))
            })
        })
        .collect();
    let both = predictions(&rows, 2);
    let one = predictions(&rows[..600], 2);
    let rate = |forecasts: &ModelPredictions| {
        let found = figures(forecasts, 0.5, |_| NULL);
        (found.days, found.alarms.unwrap().false_alarms_per_day.unwrap())
    };
    assert_eq!(rate(&one), (600.0 / 1440.0, 240.0));
    assert_eq!(rate(&both), (600.0 / 1440.0, 480.0));
    // What one symbol may raise alone is too much of two.
    let threshold = |forecasts: &ModelPredictions, rate: f64| {
        alarm_threshold(&EventRows::new(&RiskRows::of(forecasts, 0), None, minutes()), rate)
    };
    assert_eq!(
        (threshold(&one, 240.0), threshold(&both, 240.0), threshold(&both, 480.0)),
        (Some(1.0), None, Some(1.0))
    );
    // Bars of the second symbol begin 100 minutes later: row numbers are no times.
    let bars = Bars::new(vec![flat("A", 0), flat("B", 100)]).unwrap();
    let allowed = |rate: f64| alarm_threshold(&EventRows::new(&RiskRows::of(&both, 0), None, &bars), rate);
    assert_eq!(
        (allowed(200.0 / (700.0 / 1440.0) - 1.0), allowed(200.5 / (700.0 / 1440.0))),
        (None, Some(1.0))
    );
}

#[test]
fn perfect_and_useless_forecasts_reach_the_ends_of_the_scales() {
    let happens: Vec<bool> = (0..500).map(|row| row % 50 < 5).collect();
    let perfect: Vec<f64> = happens.iter().map(|happens| f64::from(u8::from(*happens))).collect();
    assert_eq!(area(&perfect, &happens), Some(1.0));
    assert_eq!(precision(&perfect, &happens), Some(1.0));
    assert_eq!(brier_score(&perfect, &happens), Some(0.0));
    assert!(log_loss(&perfect, &happens).unwrap() < 1e-12);
    let bins = calibration_bins(&perfect, &happens, 1);
    assert_eq!(bins.iter().map(|bin| bin.rows).collect::<Vec<usize>>(), [450, 50]);
    assert_eq!(expected_calibration_error(&bins), Some(0.0));
    let constant = vec![0.1; 500];
    assert_eq!(area(&constant, &happens), Some(0.5));
    assert!((precision(&constant, &happens).unwrap() - 0.1).abs() < 1e-15);
    assert_eq!(calibration_bins(&constant, &happens, 1).len(), 1);
    let rows: Vec<_> =
        perfect.iter().enumerate().map(|(row, risk)| (0, 0, row as u32, *risk, *risk)).collect();
    let found = figures(&predictions(&rows, 5), 1.0, |_| NULL);
    // The first event begins with the first row: nobody can say how early it could have been seen.
    assert_eq!(found.events, 9);
    let alarms = found.alarms.unwrap();
    assert_eq!((alarms.recall, alarms.precision, alarms.false_alarms), (Some(1.0), Some(1.0), 0));
    assert_eq!(alarms.leads, [5; 9]);
    assert_eq!(found.brier_skill, Some(1.0));
}

#[test]
fn a_share_keeps_a_wide_interval_where_cases_are_few() {
    // Wilson (1927) by hand: 0 of 5 with z = 1.96 reaches z^2 / (5 + z^2).
    let [low, high] = share_interval(0.0, 5.0);
    assert!(low == 0.0 && (high - 3.841_458_820_694_124 / 8.841_458_820_694_124).abs() < 1e-12);
    let [low, high] = share_interval(0.5, 1e8);
    assert!((high - low - 2.0 * 1.959_963_984_540_054 * 0.5e-4).abs() < 1e-9);
}

#[test]
fn a_longer_horizon_must_not_have_a_lower_risk() {
    let mut both = predictions(&[(0, 0, 0, 0.0, 0.0), (0, 0, 1, 0.0, 0.0)], 3);
    assert_eq!(order_violations(&both), None);
    // The columns stand in another order than the horizons.
    both.horizons = vec![60, 10];
    both.values = vec![0.5, 0.2, 0.2, 0.5];
    assert_eq!(order_violations(&both), Some(0.5));
}

/// Risks that follow a slow hidden state, outcomes over the next `horizon` bars: neighbours share nearly everything.
fn overlapping(seed: u64, rows: usize, horizon: usize) -> (Vec<f64>, Vec<bool>) {
    let mut stream = Seed(seed).stream("state", 0);
    let mut state = 0.0;
    let states: Vec<f64> = (0..rows + horizon)
        .map(|_| {
            state = 0.95 * state + stream.normal() * (1.0 - 0.95_f64 * 0.95).sqrt();
            state
        })
        .collect();
    let strikes: Vec<bool> = states.iter().map(|state| stream.uniform() < 0.004 * state.exp()).collect();
    let happens = (0..rows).map(|row| strikes[row + 1..=row + horizon].contains(&true)).collect();
    (states[..rows].to_vec(), happens)
}

/// How often the interval of 95 % holds the area of a very long series: (measured, see the assertion).
#[test]
#[ignore = "400 series; half a minute"]
fn intervals_of_the_area_hold_the_truth() {
    let horizon = 20;
    let (risk, happens) = overlapping(1, 4_000_000, horizon);
    let truth = area(&risk, &happens).unwrap();
    let times: Vec<Time> = (0..10_000).map(Time).collect();
    let holds = |seed: &u64| {
        let (risk, happens) = overlapping(*seed, times.len(), horizon);
        let [low, high] =
            area_under_curve_interval((&vec![0; risk.len()], &times), &risk, &happens, horizon).unwrap();
        low <= truth && truth <= high
    };
    let share = (100..500).filter(holds).count() as f64 / 400.0;
    println!("the truth is {truth:.4}; {:.1} % of the intervals hold it", share * 100.0);
    assert!((0.90..=0.98).contains(&share), "{share}");
}
