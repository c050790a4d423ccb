//! Strategies: causal, named in their errors, and by hand where a few bars show the rule.

use super::markets::{HOUR, random_bars, symbol};
use candlewick::domains::market::backtest::{BacktestConfig, run_book};
use candlewick::domains::market::strategies::{
    Direction, Strategy, StrategyConfig, World, bollinger_reversion::BollingerReversion,
    donchian_breakout::DonchianBreakout, equal_weight::EqualWeight, macd::Macd, model_signal::Exit,
    model_signal::ModelSignal, random_entry::RandomEntry, rsi_reversion::RsiReversion, sma_cross::SmaCross,
    time_series_momentum::TimeSeriesMomentum,
};
use candlewick::seed::Seed;
use candlewick::table::{Bars, LabelKind, ModelPredictions, NULL, Positions, Predictions, Sample};
use std::ops::Range;

fn world<'a>(bars: &'a Bars, predictions: &'a Predictions, span: Range<usize>) -> World<'a> {
    World { bars, predictions, span, seed: Seed(7), reference: None, book: 0 }
}

fn line(close: &[f64]) -> Bars {
    let times = (0..close.len() as i64).map(|row| row * HOUR).collect();
    Bars::new(vec![symbol("ALPHA", times, close.to_vec(), close.to_vec())]).unwrap()
}

/// The level after each row of the first symbol.
fn levels(strategy: &dyn Strategy, bars: &Bars, predictions: &Predictions) -> Vec<f64> {
    let steps = bars.timeline().times().len();
    held(&strategy.decide(&world(bars, predictions, 0..steps)).unwrap(), 0)
}

fn held(positions: &Positions, symbol: usize) -> Vec<f64> {
    let mut level = 0.0;
    let follow = positions.targets(symbol).iter().map(|target| {
        level = if target.is_nan() { level } else { *target };
        level
    });
    follow.collect()
}

/// Forecasts of one horizon for the first symbol, null where none is made.
fn forecasts(kind: LabelKind, horizon: u32, values: &[f64]) -> Predictions {
    let made: Vec<usize> = (0..values.len()).filter(|row| !values[*row].is_nan()).collect();
    Predictions(vec![ModelPredictions {
        model: "model".into(),
        kind,
        horizons: vec![horizon],
        samples: made.iter().map(|row| Sample { symbol: 0, row: *row as u32 }).collect(),
        fold: vec![0; made.len()],
        values: made.iter().map(|row| values[*row]).collect(),
        actual: vec![NULL; made.len()],
        alarm_at: if kind == LabelKind::Event { vec![0.5; made.len()] } else { Vec::new() },
        units: Vec::new(),
    }])
}

/// The kind of forecasts that the strategy trades on.
fn kind_for(strategy: &StrategyConfig) -> LabelKind {
    if strategy.build().fits(LabelKind::Return).is_ok() { LabelKind::Return } else { LabelKind::Event }
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
}

#[test]
fn strategies_decide_alike_without_the_future() {
    let bars = random_bars(400, 2);
    let mut stream = Seed(1).stream("forecasts", 0);
    let values: Vec<f64> = (0..400).map(|_| 0.01 * stream.normal()).collect();
    for example in StrategyConfig::examples() {
        // A matched or random book covers the span as a whole by design.
        if example.name() == "random_entry" {
            continue;
        }
        let kind = kind_for(&example);
        let values: Vec<f64> =
            values.iter().map(|value| value + if kind == LabelKind::Event { 0.495 } else { 0.0 }).collect();
        let predictions = forecasts(kind, 3, &values);
        let whole = example.build().decide(&world(&bars, &predictions, 300..400)).unwrap();
        for cut in [150, 251, 333] {
            let known = bars.known_at(cut).unwrap();
            let mut past = predictions.clone();
            past.0[0] = forecasts(kind, 3, &values[..=cut]).0.remove(0);
            let found = example.build().decide(&world(&known, &past, 300..400)).unwrap();
            for (symbol, bars) in known.symbols().iter().enumerate() {
                let expected = &whole.targets(symbol)[..bars.len()];
                assert!(same_bits(found.targets(symbol), expected), "{} at {cut}", example.name());
            }
        }
    }
}

#[test]
fn strategies_trade_on_the_random_market() {
    let bars = random_bars(2000, 2);
    for example in StrategyConfig::examples() {
        let kind = kind_for(&example);
        // Returns on both sides of zero, risks on both sides of the alarm at 0.5.
        let (low, high) = if kind == LabelKind::Event { (0.1, 0.9) } else { (-0.01, 0.01) };
        let values: Vec<f64> = (0..2000).map(|row| if row / 50 % 2 == 0 { high } else { low }).collect();
        let predictions = forecasts(kind, 3, &values);
        let positions = example.build().decide(&world(&bars, &predictions, 1000..2000)).unwrap();
        let book = run_book(&bars, &positions, example.name(), &BacktestConfig::default(), 1000..2000);
        assert_eq!(book.fills.is_empty(), example.name() == "cash", "{}", example.name());
        // A breaker trips nine times while it holds the first symbol.
        let sold = |fill: &candlewick::table::Fill| fill.side.name() == "sell";
        assert!(kind != LabelKind::Event || book.fills.iter().filter(|fill| sold(fill)).count() >= 9);
        assert!(book.equity.equity.iter().all(|equity| equity.is_finite()));
    }
}

#[test]
fn strategies_buy_and_hold_is_in_position_from_the_first_bar() {
    let bars = random_bars(100, 3);
    let predictions = Predictions::default();
    let hold = StrategyConfig::examples().remove(0);
    assert_eq!(hold.name(), "buy_and_hold");
    let positions = hold.build().decide(&world(&bars, &predictions, 50..100)).unwrap();
    let book = run_book(&bars, &positions, "hold", &BacktestConfig::default(), 50..100);
    assert_eq!(book.fills.len(), 3);
    assert!(book.fills[0].step == 50 && book.equity.exposure[0] > 0.3);
}

#[test]
fn strategies_sma_cross_is_flat_at_a_tie() {
    let cross = SmaCross { fast: 1, slow: 3, direction: Direction::LongShort };
    let bars = line(&[0.1, 0.1, 0.1, 0.1, 0.3, 0.3, 0.3, 0.2, 0.2, 0.2]);
    let found = levels(&cross, &bars, &Predictions::default());
    assert_eq!(found, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, -1.0, -1.0, 0.0]);
}

#[test]
fn strategies_do_not_trade_a_market_that_does_not_move() {
    let bars = line(&[0.1; 700]);
    for example in StrategyConfig::examples() {
        let trend = ["sma_cross", "ema_cross", "macd", "rsi_reversion", "time_series_momentum"];
        if trend.contains(&example.name())
            || ["cash", "return_forecast", "volatility_target", "bollinger_breakout"]
                .contains(&example.name())
        {
            let found = levels(example.build(), &bars, &Predictions::default());
            assert!(found.iter().all(|level| *level == 0.0), "{}", example.name());
        }
    }
}

#[test]
fn strategies_macd_follows_its_signal_line() {
    let rising_then_falling: Vec<f64> = (0..60)
        .map(|row| 100.0 + if row < 40 { (row * row) as f64 } else { ((80 - row) * (80 - row)) as f64 })
        .collect();
    let found = levels(&Macd::default(), &line(&rising_then_falling), &Predictions::default());
    assert_eq!((found[32], found[33], found[39], found[50]), (0.0, 1.0, 1.0, 0.0));
}

#[test]
fn strategies_rsi_enters_below_and_leaves_above() {
    let rsi = RsiReversion { period: 2, direction: Direction::LongShort, ..RsiReversion::default() };
    let bars = line(&[10.0, 9.0, 8.0, 8.5, 12.0, 13.0, 12.9, 5.0]);
    // Index: null, null, 0, 33, 90, 93, 91, then deep below.
    assert_eq!(levels(&rsi, &bars, &Predictions::default()), [0.0, 0.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0]);
}

#[test]
fn strategies_bollinger_leaves_at_the_middle() {
    let bands = BollingerReversion { period: 4, width: 1.0, direction: Direction::LongShort };
    let bars = line(&[10.0, 10.0, 10.0, 10.0, 8.0, 9.0, 9.9, 10.0, 13.0, 10.0]);
    let found = levels(&bands, &bars, &Predictions::default());
    assert_eq!(found, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, -1.0, 0.0]);
}

#[test]
fn strategies_donchian_breaks_out_and_leaves_earlier() {
    let turtle = DonchianBreakout { entry: 3, exit: 2, direction: Direction::LongShort };
    let bars = line(&[5.0, 6.0, 5.0, 6.0, 7.0, 7.0, 6.5, 4.0, 5.0, 7.0]);
    // Row 6 falls below the lows of rows 4 and 5, row 7 below those of 4 to 6, row 9 above the highs of 6 to 8.
    let found = levels(&turtle, &bars, &Predictions::default());
    assert_eq!(found, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, -1.0, -1.0, 1.0]);
}

/// The queue against the obvious window, on random bars.
#[test]
fn strategies_donchian_equals_the_naive_channel() {
    let bars = random_bars(500, 11);
    let turtle = DonchianBreakout { entry: 7, exit: 7, direction: Direction::LongShort };
    let positions = turtle.decide(&world(&bars, &Predictions::default(), 0..500)).unwrap();
    for (index, symbol) in bars.symbols().iter().enumerate() {
        let mut level = 0.0;
        let expected = (0..symbol.len()).map(|row| {
            if row >= 7 {
                let high = symbol.high()[row - 7..row].iter().copied().fold(f64::MIN, f64::max);
                let low = symbol.low()[row - 7..row].iter().copied().fold(f64::MAX, f64::min);
                if symbol.close()[row] > high {
                    level = 1.0;
                } else if symbol.close()[row] < low {
                    level = -1.0;
                }
            }
            level
        });
        assert_eq!(held(&positions, index), expected.collect::<Vec<f64>>());
    }
}

#[test]
fn strategies_momentum_follows_the_sign() {
    let momentum = TimeSeriesMomentum {
        lookback_bars: 2,
        direction: Direction::LongShort,
        ..TimeSeriesMomentum::default()
    };
    let bars = line(&[5.0, 6.0, 7.0, 6.0, 6.0, 7.0]);
    assert_eq!(levels(&momentum, &bars, &Predictions::default()), [0.0, 0.0, 1.0, 0.0, -1.0, 1.0]);
}

#[test]
fn strategies_equal_weight_restores_equal_parts() {
    let times: Vec<i64> = (0..6).map(|row| row * HOUR).collect();
    let rising = vec![10.0, 10.0, 20.0, 20.0, 20.0, 20.0];
    let flat = vec![10.0; 6];
    let bars = Bars::new(vec![
        symbol("ALPHA", times.clone(), rising.clone(), rising),
        symbol("BETA", times, flat.clone(), flat),
    ])
    .unwrap();
    let weights = EqualWeight { rebalance_bars: 3 };
    let positions = weights.decide(&world(&bars, &Predictions::default(), 0..6)).unwrap();
    let book = run_book(
        &bars,
        &positions,
        "equal",
        &BacktestConfig { cash: 100.0, ..BacktestConfig::default() },
        0..6,
    );
    // Each 50 at step 1; 150 at step 4, when 25 of the one are sold and of the other bought.
    let found: Vec<_> = book.fills.iter().map(|f| (f.step, f.symbol, f.side.name(), f.quantity)).collect();
    assert_eq!(found, [(1, 0, "buy", 5.0), (1, 1, "buy", 5.0), (4, 0, "sell", 1.25), (4, 1, "buy", 2.5)]);
}

#[test]
fn strategies_random_entry_matches_exposure_and_turnover() {
    let bars = random_bars(600, 5);
    let predictions = Predictions::default();
    let reference = SmaCross { fast: 5, slow: 20, ..SmaCross::default() }
        .decide(&world(&bars, &predictions, 200..600))
        .unwrap();
    let random = RandomEntry { books: 40, ..RandomEntry::default() };
    assert_eq!(random.matches(), Some(None));
    let world = || World { reference: Some(&reference), ..world(&bars, &predictions, 200..600) };
    let books: Vec<Positions> =
        (0..random.books()).map(|book| random.decide(&World { book, ..world() }).unwrap()).collect();
    let inside = |positions: &Positions| {
        let config = BacktestConfig::default();
        let book = run_book(&bars, positions, "random", &config, 200..600);
        let mut open = [false; 3];
        let mut bars_inside = 0;
        let mut fills = book.fills.iter().peekable();
        for step in 200..600 {
            while let Some(fill) = fills.next_if(|fill| fill.step == step) {
                open[fill.symbol as usize] = fill.side.name() == "buy";
            }
            let present = |symbol: &usize| bars.timeline().steps(*symbol).binary_search(&step).is_ok();
            bars_inside += (0..3).filter(|symbol| open[*symbol] && present(symbol)).count();
        }
        (bars_inside, book.fills.len())
    };
    let (expected, fills) = inside(&reference);
    assert!(expected > 200 && fills > 40);
    for positions in &books {
        let found = inside(positions);
        assert_eq!(found.0, expected);
        assert!(found.1.abs_diff(fills) <= 6, "{} fills, the reference has {fills}", found.1);
    }
    let first: Vec<Vec<f64>> = books.iter().map(|positions| held(positions, 0)).collect();
    assert!(first[1..].iter().filter(|other| **other == first[0]).count() < 3);
    assert_eq!(held(&random.decide(&World { book: 3, ..world() }).unwrap(), 0), first[3]);
}

#[test]
fn strategies_random_entry_by_the_coin_has_the_wanted_odds() {
    let bars = line(&vec![1.0; 4000]);
    let predictions = Predictions::default();
    let random =
        RandomEntry { books: 50, holding_bars: Some(10.0), exposure: Some(0.25), ..RandomEntry::default() };
    assert_eq!(random.matches(), None);
    let books: Vec<Positions> = (0..random.books())
        .map(|book| random.decide(&World { book, ..world(&bars, &predictions, 0..4000) }).unwrap())
        .collect();
    let levels: Vec<f64> = books.iter().flat_map(|book| held(book, 0)).collect();
    let exposure = levels.iter().sum::<f64>() / levels.len() as f64;
    let entries = levels.windows(2).filter(|pair| pair[1] > pair[0]).count() as f64;
    let holding = levels.iter().sum::<f64>() / entries;
    assert!((exposure - 0.25).abs() < 0.01, "exposure {exposure}");
    assert!((holding - 10.0).abs() < 0.4, "holding {holding}");
    let random = RandomEntry { exposure: Some(0.9), holding_bars: Some(2.0), ..RandomEntry::default() };
    let error = random.decide(&world(&bars, &predictions, 0..4000)).unwrap_err();
    assert!(error.contains("holding_bars"), "{error}");
    let random = RandomEntry { r#match: Some("sma".into()), ..RandomEntry::default() };
    assert!(random.decide(&world(&bars, &predictions, 0..4000)).unwrap_err().contains("sma"));
}

#[test]
fn strategies_model_signal_keeps_lapses_and_reverses() {
    let bars = line(&[1.0; 12]);
    let n = NULL;
    let values = [n, 0.002, 0.0001, n, -0.0001, -0.002, 0.0, 0.002, n, n, n, n];
    let predictions = forecasts(LabelKind::Return, 3, &values);
    let signal =
        |direction, exit| ModelSignal { threshold_bps: Some(5.0), direction, exit, ..ModelSignal::default() };
    let found = |signal: &ModelSignal| levels(signal, &bars, &predictions);
    // The forecast of row 7 lapses three bars later.
    let long_short = signal(Direction::LongShort, Exit::Opposite);
    assert_eq!(found(&long_short), [0.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    let long_only = signal(Direction::LongOnly, Exit::Opposite);
    assert_eq!(found(&long_only), [0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    let flat = signal(Direction::LongShort, Exit::Flat);
    assert_eq!(found(&flat), [0.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    let held = ModelSignal { hold_bars: Some(2), ..long_short };
    assert_eq!(found(&held), [0.0, 1.0, 1.0, 0.0, 0.0, -1.0, -1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn strategies_model_signal_reads_probabilities_from_a_half() {
    let bars = line(&[1.0; 4]);
    let predictions = forecasts(LabelKind::Class, 3, &[0.52, 0.6, 0.45, 0.3]);
    let signal = ModelSignal {
        threshold: Some(0.1 - 1e-12),
        direction: Direction::LongShort,
        ..ModelSignal::default()
    };
    assert_eq!(levels(&signal, &bars, &predictions), [0.0, 1.0, 1.0, -1.0]);
}

#[test]
fn strategies_refuse_settings_by_name() {
    let bars = line(&[1.0; 4]);
    let predictions = forecasts(LabelKind::Return, 3, &[0.1; 4]);
    let refused = |strategy: &dyn Strategy, name: &str| {
        let error = strategy.decide(&world(&bars, &predictions, 0..4)).unwrap_err();
        assert!(error.contains(name), "{error}");
    };
    refused(&SmaCross { fast: 9, slow: 9, ..SmaCross::default() }, "slow");
    refused(&SmaCross { fast: 0, ..SmaCross::default() }, "fast");
    refused(&RsiReversion { lower: 80.0, ..RsiReversion::default() }, "lower");
    refused(&BollingerReversion { width: 0.0, ..BollingerReversion::default() }, "width");
    refused(&EqualWeight { rebalance_bars: 0 }, "rebalance_bars");
    refused(&ModelSignal { model: "other".into(), ..ModelSignal::default() }, "other");
    refused(&ModelSignal { horizon_bars: Some(9), ..ModelSignal::default() }, "horizon_bars");
    refused(&ModelSignal { threshold: Some(0.1), ..ModelSignal::default() }, "threshold_bps");
    let signal = ModelSignal { threshold_bps: Some(5.0), ..ModelSignal::default() };
    assert!(signal.fits(LabelKind::Class).unwrap_err().contains("threshold"));
    assert_eq!(signal.fits(LabelKind::Return), Ok(()));
    assert_eq!(signal.model(), Some(("model", None)));
}
