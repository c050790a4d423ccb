//! The circuit breaker: its states by hand and against a naive machine, what it orders, what it refuses, that it sees no
//! future, and that its figures add up.

use super::causality::poison;
use super::config::{mistakes, plan};
use super::markets::{HOUR, random_bars, symbol};
use candlewick::domains::market::backtest::costs::{proportional::Proportional, slippage::Slippage};
use candlewick::domains::market::backtest::{BacktestConfig, CostConfig, FillTime, run_book};
use candlewick::domains::market::strategies::circuit_breaker::{CircuitBreaker, InRed};
use candlewick::domains::market::strategies::{BreakerState, Strategy, World};
use candlewick::metrics::{BreakerMetrics, Stop};
use candlewick::seed::Seed;
use candlewick::table::{
    Bars, BookResult, LabelKind, ModelPredictions, NULL, Positions, Predictions, Sample,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// Forecast risks `[symbol][row]` of one horizon with a threshold beside each.
fn risks(horizon: u32, values: &[Vec<f64>], alarm_at: f64) -> Predictions {
    let rows =
        values.iter().enumerate().flat_map(|(symbol, rows)| (0..rows.len()).map(move |row| (symbol, row)));
    let made: Vec<(usize, usize)> = rows.filter(|(symbol, row)| !values[*symbol][*row].is_nan()).collect();
    Predictions(vec![ModelPredictions {
        model: "model".into(),
        kind: LabelKind::Event,
        horizons: vec![horizon],
        samples: made.iter().map(|one| Sample { symbol: one.0 as u32, row: one.1 as u32 }).collect(),
        fold: vec![0; made.len()],
        values: made.iter().map(|one| values[one.0][one.1]).collect(),
        actual: vec![NULL; made.len()],
        alarm_at: vec![alarm_at; made.len()],
        units: Vec::new(),
    }])
}

fn world<'a>(bars: &'a Bars, predictions: &'a Predictions, reference: Option<&'a Positions>) -> World<'a> {
    World { bars, predictions, span: 0..bars.timeline().times().len(), seed: Seed(7), reference, book: 0 }
}

fn line(close: &[f64]) -> Bars {
    let times = (0..close.len() as i64).map(|row| row * HOUR).collect();
    Bars::new(vec![symbol("ALPHA", times, close.to_vec(), close.to_vec())]).unwrap()
}

/// The same bars with the extra column `blr`.
fn with_column(bars: &Bars, values: impl Fn(usize, usize) -> f64) -> Bars {
    let with = |(index, one): (usize, &candlewick::table::SymbolBars)| {
        let column = (0..one.len()).map(|row| values(index, row)).collect();
        one.clone().with_extras(BTreeMap::from([("blr".to_owned(), column)])).unwrap()
    };
    Bars::new(bars.symbols().iter().enumerate().map(with).collect()).unwrap()
}

/// The states of the only symbol as letters.
fn states(breaker: &CircuitBreaker, horizon: u32, values: &[f64], alarm_at: f64) -> String {
    let (bars, risks) = (line(&vec![1.0; values.len()]), risks(horizon, &[values.to_vec()], alarm_at));
    letters(&breaker.watch(&world(&bars, &risks, None)).unwrap().unwrap()[0].state)
}

fn letters(states: &[BreakerState]) -> String {
    let letter = |state: &BreakerState| match state {
        BreakerState::Green => 'g',
        BreakerState::Yellow => 'y',
        BreakerState::Red => 'r',
    };
    states.iter().map(letter).collect()
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
}

#[test]
fn breaker_leaves_red_after_enough_calm_bars_in_a_row() {
    let breaker = CircuitBreaker {
        red: Some(0.6),
        yellow: Some(0.3),
        cool_down_bars: Some(2),
        ..CircuitBreaker::default()
    };
    let risk = [0.1, 0.3, 0.2, 0.6, 0.2, 0.3, 0.2, 0.1, 0.4, 0.7, 0.1, 0.1];
    // Two bars below yellow end red; the bar at 0.3 between them starts the count again.
    assert_eq!(states(&breaker, 4, &risk, NULL), "gygrrrrgyrrg");
    // Without settings the threshold of validation is red, 80 % of it yellow, and the horizon cools down.
    let plain = CircuitBreaker::default();
    assert_eq!(states(&plain, 3, &[0.1, 0.4, 0.5, 0.2, 0.2, 0.39, 0.24, 0.45], 0.5), "gyrrrggy");
    // A written yellow above the threshold that validation chose cannot hold red back.
    let high = CircuitBreaker { yellow: Some(0.3), cool_down_bars: Some(1), ..CircuitBreaker::default() };
    assert_eq!(states(&high, 3, &[0.1, 0.2, 0.1], 0.2), "grg");
}

#[test]
fn breaker_keeps_its_state_without_forecasts_and_is_then_yellow_but_never_released() {
    let breaker = CircuitBreaker { cool_down_bars: Some(1), ..CircuitBreaker::default() };
    let nan = NULL;
    // Blind before the first forecast; green for as long as the last one speaks (two bars), then yellow.
    assert_eq!(states(&breaker, 2, &[nan, 0.1, nan, nan, nan, 0.1], 0.5), "yggyyg");
    // No number is no all-clear.
    assert_eq!(states(&breaker, 2, &[0.1, 0.6, nan, nan, nan, nan, 0.1], 0.5), "grrrrrg");
    // Where validation could choose no threshold, a forecast says nothing.
    assert_eq!(states(&breaker, 2, &[0.1, 0.9, 0.9], nan), "yyy");
}

/// Red of one fold does not last through the next one, for which validation chose nothing.
#[test]
fn breaker_is_blind_and_not_red_in_a_fold_without_a_threshold() {
    let breaker = CircuitBreaker { cool_down_bars: Some(2), ..CircuitBreaker::default() };
    let risk = [0.1, 0.9, 0.9, NULL, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1];
    let mut risks = risks(2, &[risk.to_vec()], 0.5);
    // Of the nine forecasts the fourth, fifth and sixth are of that fold; the row before them has none at all.
    risks.0[0].alarm_at[3..6].fill(NULL);
    let bars = line(&[1.0; 10]);
    let watch = breaker.watch(&world(&bars, &risks, None)).unwrap().unwrap().remove(0);
    assert_eq!(letters(&watch.state), "grrryyyggg");
}

#[test]
fn breaker_on_a_column_trips_at_the_level_and_below() {
    let breaker = |yellow, cool_down_bars| CircuitBreaker {
        model: None,
        column: Some("blr".into()),
        red: Some(0.4),
        yellow,
        cool_down_bars,
        ..CircuitBreaker::default()
    };
    let values = [1.2, 0.7, 0.4, 0.41, 0.3, 0.6, 0.9, NULL, 1.0];
    let bars = with_column(&line(&[1.0; 9]), |_, row| values[row]);
    let none = Predictions::default();
    let states = |breaker: &CircuitBreaker| {
        let watch = breaker.watch(&world(&bars, &none, None)).unwrap().unwrap().remove(0);
        assert!(same_bits(&watch.risk, &values));
        letters(&watch.state)
    };
    // By default it is the bare rule; a bar without a value is blind at once.
    assert_eq!(states(&breaker(None, None)), "ggrgrggyg");
    assert_eq!(states(&breaker(Some(0.8), None)), "gyrrrrgyg");
    assert_eq!(states(&breaker(Some(0.8), Some(2))), "gyrrrrrrg");
}

/// The obvious machine: looks back over all rows at every row.
fn naive(risk: &[f64], horizon: usize, (red, yellow, needed): (f64, f64, usize)) -> String {
    let mut text = String::new();
    for row in 0..risk.len() {
        let known: Vec<(usize, f64)> =
            (0..=row).map(|row| (row, risk[row])).filter(|one| !one.1.is_nan()).collect();
        let alarm = known.iter().rposition(|one| one.1 >= red);
        let locked = alarm.is_some_and(|alarm| {
            let since: Vec<bool> = known[alarm..].iter().map(|one| one.1 < yellow).collect();
            !since.windows(needed).any(|window| window.iter().all(|calm| *calm))
        });
        let blind = known.last().is_none_or(|last| row - last.0 >= horizon);
        let warned = known.last().is_some_and(|last| last.1 >= yellow);
        text.push(if locked {
            'r'
        } else if blind || warned {
            'y'
        } else {
            'g'
        });
    }
    text
}

#[test]
fn breaker_equals_the_naive_machine() {
    for seed in 0..40 {
        let mut stream = Seed(seed).stream("risk", 0);
        let risk: Vec<f64> = (0..300)
            .map(|row| match stream.uniform() {
                draw if draw < 0.1 || (100..110).contains(&row) => NULL,
                draw => (draw - 0.1) / 0.9,
            })
            .collect();
        for (horizon, cool_down) in [(1, 1), (4, 2), (6, 5)] {
            let breaker = CircuitBreaker {
                red: Some(0.8),
                yellow: Some(0.6),
                cool_down_bars: Some(cool_down),
                ..CircuitBreaker::default()
            };
            let found = states(&breaker, horizon, &risk, NULL);
            assert_eq!(found, naive(&risk, horizon as usize, (0.8, 0.6, cool_down)), "seed {seed}");
        }
    }
}

/// The orders of the only symbol.
fn orders(breaker: &CircuitBreaker, risk: &[f64], reference: Option<&[f64]>) -> Vec<f64> {
    let (bars, risks) = (line(&vec![1.0; risk.len()]), risks(1, &[risk.to_vec()], 0.5));
    let reference = reference.map(|orders| Positions::orders(&bars, vec![orders.to_vec()]).unwrap());
    breaker.decide(&world(&bars, &risks, reference.as_ref())).unwrap().targets(0).to_vec()
}

#[test]
fn breaker_orders_what_it_guards() {
    let n = NULL;
    let breaker = CircuitBreaker { cool_down_bars: Some(1), ..CircuitBreaker::default() };
    let risk = [0.1, 0.1, 0.6, 0.1, 0.45, 0.1, 0.6, 0.6, 0.1];
    let check = |breaker: &CircuitBreaker, reference: Option<&[f64]>, expected: &[f64]| {
        let found = orders(breaker, &risk, reference);
        assert!(same_bits(&found, expected), "{found:?}");
    };
    // Buy and hold, which yellow leaves alone by default.
    check(&breaker, None, &[1.0, n, 0.0, 1.0, n, n, 0.0, n, 1.0]);
    let half = CircuitBreaker { yellow_exposure: 0.5, ..breaker.clone() };
    check(&half, None, &[1.0, n, 0.0, 1.0, 0.5, 1.0, 0.0, n, 1.0]);
    // An order that comes in red is taken up afterwards; one that repeats itself (a rebalance) goes through.
    let wanted = [n, 1.0, n, n, 1.0, n, n, 0.4, n];
    let guard = CircuitBreaker { guards: Some("other".into()), ..breaker.clone() };
    check(&guard, Some(&wanted), &[n, 1.0, 0.0, 1.0, 1.0, n, 0.0, n, 0.4]);
    let pause = CircuitBreaker { in_red: InRed::Pause, ..guard.clone() };
    check(&pause, Some(&wanted), &[n, 1.0, n, n, 1.0, n, n, n, 0.4]);
    // What the guarded strategy never wanted is not bought.
    check(&guard, Some(&[n; 9]), &[n; 9]);
    assert!(guard.decide(&world(&line(&[1.0; 9]), &risks(1, &[risk.to_vec()], 0.5), None)).is_err());
}

#[test]
fn breaker_keeps_the_weights_and_the_gross_of_a_portfolio() {
    let bars = random_bars(6, 1);
    let rows: Vec<usize> = bars.symbols().iter().map(candlewick::table::SymbolBars::len).collect();
    let weights = rows.iter().map(|rows| {
        let mut column = vec![NULL; *rows];
        column[0] = 0.6;
        column
    });
    let portfolio = Positions::weights(&bars, weights.collect()).unwrap();
    let mut risk: Vec<Vec<f64>> = rows.iter().map(|rows| vec![0.1; *rows]).collect();
    risk[0][2] = 0.9;
    let breaker =
        CircuitBreaker { guards: Some("x".into()), cool_down_bars: Some(1), ..CircuitBreaker::default() };
    let found = breaker.decide(&world(&bars, &risks(1, &risk, 0.5), Some(&portfolio))).unwrap();
    assert_eq!(found.basis(), portfolio.basis());
    assert!(same_bits(&found.targets(0)[..4], &[0.6, NULL, 0.0, 0.6]));
    assert!((found.gross(0)[3] - 1.8).abs() < 1e-12, "{:?}", found.gross(0));
    assert!(same_bits(found.targets(1), portfolio.targets(1)));
}

/// Cuts and poisons the future of bars, column and forecasts.
#[test]
fn breaker_in_every_form_decides_alike_without_the_future() {
    let bars = super::causality::random_bars(3, 200);
    let mut stream = Seed(3).stream("risk", 0);
    let noise: Vec<Vec<f64>> =
        bars.symbols().iter().map(|one| (0..one.len()).map(|_| stream.uniform()).collect()).collect();
    let blr = with_column(&bars, |symbol, row| noise[symbol][row]);
    let model = CircuitBreaker { yellow_exposure: 0.5, cool_down_bars: Some(2), ..CircuitBreaker::default() };
    let column = CircuitBreaker {
        model: None,
        column: Some("blr".into()),
        red: Some(0.1),
        yellow: Some(0.3),
        ..model.clone()
    };
    for breaker in [CircuitBreaker { in_red: InRed::Pause, ..model.clone() }, model, column] {
        let known = risks(3, &noise, 0.8);
        let whole = breaker.decide(&world(&blr, &known, None)).unwrap();
        for cut in (20..199).step_by(9) {
            let end = bars.timeline().times()[cut];
            let past = |symbol: usize, row: usize| bars.symbols()[symbol].time()[row] <= end;
            let changed: Vec<Vec<f64>> = noise
                .iter()
                .enumerate()
                .map(|(symbol, rows)| {
                    let later =
                        |(row, value): (usize, &f64)| if past(symbol, row) { *value } else { 1.0 - value };
                    rows.iter().enumerate().map(later).collect()
                })
                .collect();
            let poisoned = poison(&bars, cut as u64, |time| time > end);
            let poisoned = with_column(&poisoned, |symbol, row| changed[symbol][row]);
            let found = breaker.decide(&world(&poisoned, &risks(3, &changed, 0.8), None)).unwrap();
            for (index, one) in bars.symbols().iter().enumerate() {
                let rows = one.time().partition_point(|time| *time <= end);
                assert!(
                    same_bits(&found.targets(index)[..rows], &whole.targets(index)[..rows]),
                    "{breaker:?} {cut}"
                );
            }
        }
    }
}

#[test]
fn breaker_settings_that_make_no_sense_are_refused() {
    let base = CircuitBreaker::default;
    let column = || CircuitBreaker { model: None, column: Some("blr".into()), red: Some(0.4), ..base() };
    let cases = [
        (CircuitBreaker { model: None, ..base() }, "there is no risk: write `model`"),
        (CircuitBreaker { column: Some("blr".into()), ..base() }, "model excludes column"),
        (CircuitBreaker { red: None, ..column() }, "column needs `red`"),
        (CircuitBreaker { horizon_bars: Some(3), ..column() }, "horizon_bars needs a model"),
        (CircuitBreaker { yellow: Some(0.3), ..column() }, "yellow is 0.3, expected 0.4 or more"),
        (
            CircuitBreaker { red: Some(0.4), yellow: Some(0.5), ..base() },
            "yellow is 0.5, expected 0.4 or less",
        ),
        (CircuitBreaker { red: Some(1.4), ..base() }, "red is 1.4, expected a probability"),
        (CircuitBreaker { cool_down_bars: Some(0), ..base() }, "cool_down_bars is 0"),
        (CircuitBreaker { yellow_exposure: 1.5, ..base() }, "yellow_exposure is 1.5"),
    ];
    for (breaker, expected) in cases {
        let message = breaker.check().unwrap_err();
        assert!(message.starts_with(expected), "{message}");
    }
    assert!(base().check().is_ok() && column().check().is_ok());
    let message = base().fits(LabelKind::Return).unwrap_err();
    assert!(message.contains("drawdown_within") && message.contains("model_signal"), "{message}");
    let message = column().decide(&world(&line(&[1.0; 3]), &Predictions::default(), None)).unwrap_err();
    assert!(message.contains("data.columns.extra"), "{message}");
}

const EXPERIMENT: &str = "\
name: demo
data: {path: bars.parquet, columns: {extra: {blr: blr}}}
features: [{log_return: {lags: [1]}}]
target: {drawdown_within: {horizons_bars: [10, 30]}}
split: {walk_forward: {folds: 4, train_bars: 600, validation_bars: 100, test_bars: 100}}
models: {ridge: {linear: {}}}
strategies:
  model: {circuit_breaker: {model: ridge, horizon_bars: 30}}
  rule: {circuit_breaker: {column: blr, red: 0.4, guards: sma}}
  both: {circuit_breaker: {column: blr, red: [0.3, 0.4], guards: model}}
  sma: {sma_cross: {fast: 5, slow: 20}}
";

#[test]
fn breaker_configurations_are_read_and_mistakes_told() {
    let accepted = plan(EXPERIMENT, &[]).unwrap();
    assert_eq!(accepted.experiment.strategies["both"].len(), 2);
    // Without models nothing is left that trades on one, also through what it guards.
    let plain = accepted.without_models().unwrap();
    assert_eq!(plain.experiment.strategies.keys().collect::<Vec<_>>(), ["rule", "sma"]);
    let told = |from: &str, to: &str, expected: &str| {
        assert!(EXPERIMENT.contains(from));
        let found = mistakes(&EXPERIMENT.replace(from, to), &[]);
        assert!(found.iter().any(|one| one.contains(expected)), "{found:?}");
    };
    told(
        "{column: blr, red: 0.4, guards",
        "{column: bl, red: 0.4, guards",
        "which is no extra column of the data | did you mean `blr`?",
    );
    told(
        "guards: sma",
        "guards: smaa",
        "strategy `rule` guards `smaa`, which is no single book | did you mean `sma`?",
    );
    told("guards: sma", "guards: rule", "strategy `rule` guards `rule`, which guards in a circle");
    told(
        "drawdown_within: {horizons_bars: [10, 30]}",
        "sign: {horizons_bars: [10, 30]}",
        "the target is no risk of an event",
    );
    told("{model: ridge, horizon_bars: 30}", "{}", "there is no risk: write `model`");
}

fn costs() -> Vec<CostConfig> {
    vec![
        CostConfig::Proportional(Proportional { fee_bps: 10.0 }),
        CostConfig::Slippage(Slippage { bps: 5.0 }),
    ]
}

fn stopped_by_hand(state: &[BreakerState]) -> Vec<Range<usize>> {
    let red = |row: usize| state.get(row) == Some(&BreakerState::Red);
    let starts = (0..state.len()).filter(|row| red(*row) && (*row == 0 || !red(row - 1)));
    starts
        .map(|start| (start..).find(|row| !red(*row)).map_or(start..start, |end| start + 1..end + 2))
        .collect()
}

/// What is avoided, missed, earned elsewhere and paid is what the equity differs by, to rounding.
#[test]
fn breaker_figures_add_up_to_the_difference_of_the_equity() {
    for seed in 0..30 {
        let mut stream = Seed(seed).stream("risk", 0);
        let close: Vec<f64> = (0..400)
            .scan(100.0, |price, _| {
                *price *= (0.01 * stream.normal()).exp();
                Some(*price)
            })
            .collect();
        let bars = line(&close);
        let risk: Vec<f64> = (0..400).map(|_| stream.uniform()).collect();
        let risks = risks(2, &[risk], 0.95);
        for fill in [FillTime::NextOpen, FillTime::SameClose] {
            let config = BacktestConfig { costs: costs(), fill, ..BacktestConfig::default() };
            let breaker = CircuitBreaker::default();
            let world = world(&bars, &risks, None);
            let own = run_book(&bars, &breaker.decide(&world).unwrap(), "own", &config, 50..400);
            let mut hold = vec![NULL; 400];
            hold[0] = 1.0;
            let guarded = Positions::levels(&bars, vec![hold]).unwrap();
            let guarded = run_book(&bars, &guarded, "hold", &config, 50..400);
            let stopped = stopped_by_hand(&breaker.watch(&world).unwrap().unwrap()[0].state);
            let inside = |range: Range<usize>| range.start.saturating_sub(50)..range.end.saturating_sub(50);
            let stopped: Vec<Range<usize>> = stopped.into_iter().map(inside).collect();
            let found = BreakerMetrics::default().with_books(&own, &guarded, &stopped);
            let [avoided, missed, elsewhere, costs, net] = [
                found.loss_avoided,
                found.gains_missed,
                found.elsewhere,
                found.extra_costs,
                found.net_effect,
            ]
            .map(Option::unwrap);
            let last = |book: &BookResult| *book.equity.equity.last().unwrap();
            assert_eq!(net, last(&own) - last(&guarded));
            assert!((avoided - missed + elsewhere - costs - net).abs() < 1e-8 * last(&own), "seed {seed}");
            // A single symbol that is held whole differs from the guarded book in stops alone, cents of cash aside.
            assert!(elsewhere.abs() < 1e-6 * last(&own), "seed {seed}: {elsewhere}");
            assert!(avoided > 0.0 && missed > 0.0 && costs > 0.0);
        }
    }
}

/// A fall of a half and a rise by a half, both missed, without costs and with a fee.
#[test]
fn breaker_figures_by_hand() {
    //                        row: 0     1     2     3     4     5      6      7      8
    let bars = line(&[100.0, 100.0, 100.0, 50.0, 50.0, 50.0, 100.0, 100.0, 100.0]);
    let risk = [0.0, 0.9, 0.9, 0.0, 0.9, 0.9, 0.0, 0.0, 0.0];
    let risks = risks(1, &[risk.to_vec()], 0.5);
    let breaker = CircuitBreaker::default();
    let hold =
        Positions::levels(&bars, vec![vec![1.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL]]).unwrap();
    let run = |positions: &Positions, costs: Vec<CostConfig>| {
        let config = BacktestConfig { cash: 1000.0, costs, ..BacktestConfig::default() };
        run_book(&bars, positions, "book", &config, 0..9)
    };
    let own = breaker.decide(&world(&bars, &risks, None)).unwrap();
    let (free, held) = (run(&own, Vec::new()), run(&hold, Vec::new()));
    let stopped = [2..5, 5..8];
    let found = BreakerMetrics::default().with_books(&free, &held, &stopped);
    // Sold at 100 (bar 2), bought back at 50 (bar 4); sold at 50 (bar 5), bought back at 100 (bar 7).
    assert_eq!((free.equity.equity[8], held.equity.equity[8]), (1000.0, 1000.0));
    let log_two = std::f64::consts::LN_2;
    for (amount, expected) in [
        (found.loss_avoided, 1000.0 * log_two),
        (found.gains_missed, 1000.0 * log_two),
        (found.extra_costs, 0.0),
        (found.net_effect, 0.0),
    ] {
        assert!((amount.unwrap() - expected).abs() < 1e-9, "{found:?}");
    }
    assert_eq!((found.max_drawdown, found.guarded_max_drawdown), (0.0, -0.5));
    // A fee of 1 % on each of five fills instead of one.
    let fee = vec![CostConfig::Proportional(Proportional { fee_bps: 100.0 })];
    let (paid, held) = (run(&own, fee.clone()), run(&hold, fee));
    let found = BreakerMetrics::default().with_books(&paid, &held, &stopped);
    assert!((paid.equity.equity[8] - 1000.0 * 0.99_f64.powi(2) / 1.01_f64.powi(3)).abs() < 1e-9);
    let (a, b) = (paid.equity.equity[8], 1000.0 / 1.01);
    let four_fees = 2.0 * 1.01_f64.ln() - 2.0 * 0.99_f64.ln();
    let expected = four_fees * (a - b) / (a / b).ln();
    assert!((found.extra_costs.unwrap() - expected).abs() < 1e-9);
    assert!((found.net_effect.unwrap() + found.extra_costs.unwrap()).abs() < 1e-9);
}

#[test]
fn breaker_stops_are_counted() {
    let stop = |rows: Range<usize>, before_event| Stop { rows, before_event };
    let stops = [stop(3..5, Some(true)), stop(9..10, Some(false)), stop(20..29, None)];
    let found = BreakerMetrics::default().with_stops(&stops);
    assert_eq!((found.stops, found.longest_stop_bars, found.mean_stop_bars), (3, 9, Some(4.0)));
    assert_eq!(BreakerMetrics::default().with_stops(&[]).mean_stop_bars, None);
}
