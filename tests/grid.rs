//! Grids of parameters: what may vary, how books are counted, what is left out, and how mistakes are told.

use crate::config::{BASE, mistakes, plan, with};
use crate::program::Scratch;
use candlewick::domains::market::backtest::{BacktestConfig, Intrabar, Sizing};
use candlewick::domains::market::strategies::{
    Direction, NumberRange, StrategyConfig, StrategyEntry, sma_cross::SmaCross,
};
use serde_json::{Value, json};

fn entry(written: &Value) -> StrategyEntry {
    serde_json::from_value(written.clone()).unwrap()
}

fn sma(strategy: StrategyConfig) -> SmaCross {
    match strategy {
        StrategyConfig::SmaCross(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn numbers(text: &str) -> Vec<Value> {
    let range = NumberRange::parse(text).unwrap();
    (0..range.len()).map(|index| range.value(index)).collect()
}

#[test]
fn grid_ranges_hold_the_numbers_that_one_would_write() {
    assert_eq!(numbers("5..8"), [json!(5), json!(6), json!(7), json!(8)]);
    assert_eq!(numbers("5..60 by 20"), [json!(5), json!(25), json!(45)]);
    assert_eq!(numbers("-2..2 by 2"), [json!(-2), json!(0), json!(2)]);
    assert_eq!(numbers("0.1..0.5 by 0.1"), [json!(0.1), json!(0.2), json!(0.3), json!(0.4), json!(0.5)]);
    assert_eq!(numbers("-0.05..0.05 by 0.05"), [json!(-0.05), json!(0.0), json!(0.05)]);
    assert_eq!(numbers("1..2 by 0.5"), [json!(1.0), json!(1.5), json!(2.0)]);
    assert_eq!(numbers("7..7"), [json!(7)]);
    for (wrong, expected) in [
        ("5..", "has no end"),
        ("..5", "has no start"),
        ("60..5", "ends before it begins"),
        ("5..60 by 0", "step that is not above 0"),
        ("5..60 by -5", "step that is not above 0"),
        ("5...60", "is no number"),
        ("5..sixty", "`sixty` in the range `5..sixty` is no number"),
        ("1..1e6", "is no number"),
        ("5-60", "is no range"),
        ("5..9 by", "is no number"),
        ("1234567890123456..2", "is no number"),
    ] {
        let found = NumberRange::parse(wrong).unwrap_err();
        assert!(found.contains(expected), "{wrong}: {found}");
    }
}

/// Against two obvious loops.
#[test]
fn grid_is_the_product_of_its_axes_less_what_makes_no_sense() {
    let grid =
        entry(&json!({"sma_cross": {"slow": ["4..12 by 4", 5], "fast": "2..6", "direction": "long_short"}}));
    let mut expected = Vec::new();
    for fast in [2, 3, 4, 5, 6] {
        for slow in [4, 8, 12, 5] {
            if fast < slow {
                expected.push(SmaCross { fast, slow, direction: Direction::LongShort });
            }
        }
    }
    grid.check().unwrap();
    assert!(grid.is_grid() && grid.len() == expected.len() && grid.skipped_count() == 20 - expected.len());
    let found: Vec<SmaCross> = (0..grid.len()).map(|book| sma(grid.config(book).strategy)).collect();
    assert_eq!(found, expected);
    let axes: Vec<(&str, usize)> =
        grid.axes().iter().map(|axis| (axis.parameter.as_str(), axis.values.len())).collect();
    assert_eq!(axes, [("fast", 5), ("slow", 4)]);
    assert_eq!(grid.label(1), "fast=2,slow=8");
    assert_eq!(grid.coordinates(3), [&json!(2), &json!(5)]);
    assert_eq!(grid.positions(3), [0, 3]);
    let skipped: Vec<(String, String)> = grid.skipped().collect();
    assert_eq!(skipped.len(), grid.skipped_count());
    assert_eq!(
        skipped[0],
        ("fast=4,slow=4".into(), "fast is 4 and slow is 4; write a fast below slow".into())
    );
}

#[test]
fn grid_of_names_flags_choices_and_sizing() {
    let grid = entry(&json!({
        "sma_cross": {"direction": ["long_only", "long_short"], "fast": [5]},
        "sizing": {"volatility_target": {"annual": ["0.1..0.3 by 0.1"], "lookback_bars": 50}},
    }));
    grid.check().unwrap();
    assert_eq!(grid.len(), 6);
    assert_eq!(grid.label(5), "fast=5,direction=long_short,annual=0.3");
    let last = grid.config(5);
    assert_eq!(sma(last.strategy).direction, Direction::LongShort);
    let target = Sizing::VolatilityTarget { annual: 0.3, lookback_bars: 50, max_leverage: 1.0 };
    assert_eq!(last.sizing, Some(target));
    assert_eq!(grid.variations().count(), 1 + 1 + 2);
    let stops = entry(&json!({
        "donchian_breakout": {"exit": [5, 10]},
        "exits": {"trailing_stop_percent": [null, 3], "stop_loss_percent": "1..2 by 0.5", "intrabar": "best_first"},
        "sizing": {"fraction": {}},
    }));
    stops.check().unwrap();
    assert_eq!(stops.len(), 12);
    assert_eq!(stops.label(4), "exit=5,stop_loss_percent=2.0,trailing_stop_percent=none");
    let backtest = BacktestConfig { cash: 5.0, ..BacktestConfig::default() };
    let (none, three) = (stops.config(4).settings(&backtest), stops.config(5).settings(&backtest));
    assert_eq!((none.exits.stop_loss_percent, none.exits.trailing_stop_percent), (Some(2.0), None));
    assert_eq!((three.exits.trailing_stop_percent, three.exits.intrabar), (Some(3.0), Intrabar::BestFirst));
    assert_eq!((three.sizing, three.cash), (Sizing::Fraction { of_equity: 0.5 }, 5.0));
    let again: StrategyEntry = serde_json::from_value(serde_json::to_value(&stops).unwrap()).unwrap();
    assert!(again == stops && (0..12).all(|book| again.config(book) == stops.config(book)));
    // Bad sizing is left out like any other combination.
    let half = entry(&json!({"buy_and_hold": {}, "sizing": {"fraction": {"of_equity": [0.0, 0.5]}}}));
    assert_eq!((half.len(), half.skipped_count()), (1, 1));
}

#[test]
fn grid_plain_entries_stay_single_books() {
    let plain = entry(&json!({"sma_cross": {"fast": 5}}));
    assert!(!plain.is_grid() && plain.len() == 1 && plain.label(0).is_empty());
    assert_eq!(plain.first().sizing, None);
    let same = StrategyEntry::from(StrategyConfig::SmaCross(SmaCross { fast: 5, ..SmaCross::default() }));
    assert_eq!(plain, same);
    assert_eq!(plain.config(0), same.config(0));
    let wrong = entry(&json!({"sma_cross": {"fast": 50, "slow": 5}}));
    assert_eq!(wrong.check().unwrap_err().message, "fast is 50 and slow is 5; write a fast below slow");
}

#[test]
fn grid_keeps_its_ranges_through_the_resolved_plan() {
    let yaml = with(
        "hold: {buy_and_hold: {}}",
        "hold: {sma_cross: {slow: [50..400 by 10, 500], fast: 5..60}, sizing: {fraction: {of_equity: [0.5, 1]}}}",
    );
    let first = plan(&yaml, &[]).unwrap();
    assert!(first.resolved.contains("50..400 by 10"), "{}", first.resolved);
    let again = plan(&first.resolved, &[]).unwrap();
    assert_eq!(first.experiment, again.experiment);
    assert_eq!(first.sha256, again.sha256);
    let (one, two) = (&first.experiment.strategies["hold"], &again.experiment.strategies["hold"]);
    assert_eq!(one.len(), two.len());
    assert!((0..one.len()).all(|book| one.config(book) == two.config(book)));
    // The sum over fast of the slow values above it, of 37 in all, twice.
    let expected: usize =
        (5..=60).map(|fast| (50..=400).step_by(10).chain([500]).filter(|slow| fast < *slow).count()).sum();
    assert_eq!(one.len(), 2 * expected);
}

/// An optional setting has no place among the defaults; its axis must come back at the same place all the same.
#[test]
fn grid_of_an_optional_setting_reloads_to_the_same_books() {
    let yaml =
        with("model: small, horizon_bars: 4", "hold_bars: [1, 2], model: small, threshold_bps: [0, 5]");
    let first = plan(&yaml, &[]).unwrap();
    let again = plan(&first.resolved, &[]).unwrap();
    let (one, two) = (&first.experiment.strategies["signal"], &again.experiment.strategies["signal"]);
    assert_eq!((one.len(), one), (4, two));
    assert!((0..4).all(|book| one.config(book) == two.config(book) && one.label(book) == two.label(book)));
}

#[test]
fn grid_mistakes_are_told_at_their_place() {
    let hold = |entry: &str| mistakes(&with("{buy_and_hold: {}}", entry), &[]);
    for (written, expected) in [
        (
            "{sma_cross: {fast: [5..]}}",
            "13:29 `fast`: the range `5..` has no end; write a range as 5..60 or 50..400 by 10 | ",
        ),
        (
            "{sma_cross: {fast: 60..5}}",
            "13:28 `fast`: the range `60..5` ends before it begins; write the smaller number first | ",
        ),
        ("{sma_cross: {fsat: [5..9]}}", "13:22 unknown setting `fsat` in sma_cross | did you mean `fast`?"),
        ("{sma_cross: {fast: 0..9}}", "13:28 `fast` is 0, expected at least 1 | "),
        (
            "{sma_cross: {fast: [0.5..2 by 0.5]}}",
            "13:29 the range `0.5..2 by 0.5` of `fast` has numbers that are not whole | ",
        ),
        ("{sma_cross: {fast: []}}", "13:28 `fast` has 0 entries, expected at least 1 | "),
        (
            "{sma_cross: {fast: many}}",
            "13:28 `fast` is the text `many`, expected a whole number, a range as 5..60 by 5, or a list of them | ",
        ),
        (
            "{sma_cross: {fast: {a: 1}}}",
            "13:28 `fast` is a map, expected a whole number, a range as 5..60 by 5, or a list of them | ",
        ),
        (
            "{sma_cross: {direction: [long_only, long_shrt]}}",
            "13:45 unknown value `long_shrt` for direction | did you mean `long_short`?",
        ),
        (
            "{sma_cross: {fast: 1..2000000}}",
            "13:28 the range `1..2000000` of `fast` has 2000000 values, more than 1000000 | ",
        ),
        (
            "{sma_cross: {fast: 1..2000, slow: 1001..2000}}",
            "13:21 the grid has 2000000 combinations (2000 of fast x 1000 of slow), more than 1000000; take larger steps | ",
        ),
        (
            "{sma_cross: {fast: 50..60, slow: [20, 30]}}",
            "13:21 none of the 22 combinations makes sense; the first, fast=50,slow=20: fast is 50 and slow is 20; \
             write a fast below slow | ",
        ),
        ("{sma_cross: {fast: [5, 4..6]}}", "13:21 fast has the value 5 twice | "),
        (
            "{random_entry: {books: [5, 6]}}",
            "13:24 random_entry is a distribution of books already and cannot be a grid; write single values | ",
        ),
        ("{buy_and_hold: {}, sizin: {}}", "13:9 `hold` has 2 choices, expected exactly one | "),
        ("{buy_and_hold: {}, sizing: {half: {}}}", "13:37 unknown choice `half` for sizing | "),
        (
            "{buy_and_hold: {}, sizing: {fraction: {of_equity: 0}}}",
            "13:36 sizing: fraction.of_equity is 0, expected above 0 and at most 1 | ",
        ),
        (
            "{buy_and_hold: {}, exits: {stop_loss_percent: [1, 100]}}",
            "13:59 `stop_loss_percent` is 100, expected less than 100 | ",
        ),
        (
            "{buy_and_hold: {}, exits: {stop_loss_precent: [1]}}",
            "13:36 unknown setting `stop_loss_precent` in exits | did you mean `stop_loss_percent`?",
        ),
        (
            "{buy_and_hold: {}, sizing: {risk_per_trade: {}}}",
            "13:36 sizing: risk_per_trade needs a stop to know what a trade can lose; add exits.stop_loss_percent",
        ),
        (
            "{buy_and_hold: {}, exits: {stop_loss_percent: [null]}, sizing: {risk_per_trade: {risk_percent: [1, 2]}}}",
            "13:72 none of the 2 combinations makes sense; the first, stop_loss_percent=none,risk_percent=1: sizing: \
             risk_per_trade needs a stop",
        ),
        (
            "{model_signal: {model: [small, smal], horizon_bars: [4, 5]}}",
            "13:32 strategy `hold` trades on `smal`, which is not a model | did you mean `small`?",
        ),
    ] {
        let found = hold(written);
        let text = found[0].strip_prefix("demo.yaml:").unwrap_or(&found[0]);
        assert!(text.starts_with(expected), "{written}\n found    {text}\n expected {expected}");
    }
    let both = hold("{model_signal: {model: [small, smal], horizon_bars: [4, 5]}}");
    assert!(both.len() == 2 && both[1].contains("uses horizon 5"), "{both:#?}");
}

#[test]
fn grid_mistakes_have_carets() {
    let error = plan(&with("{buy_and_hold: {}}", "{sma_cross: {fast: [5..]}}"), &[]).unwrap_err();
    let text = error.render(false);
    assert!(text.contains("--> demo.yaml:13:29"), "{text}");
    assert!(text.contains("^^^"), "{text}");
}

#[test]
fn grid_is_counted_by_check() {
    let scratch = Scratch::new();
    scratch.market(200, 0.1);
    let yaml = "name: small\ndata: {path: market.parquet}\n\
                strategies:\n  sma: {sma_cross: {fast: 2..5, slow: [4, 10]}}\n  hold: {buy_and_hold: {}}\n";
    scratch.write("small.yaml", yaml);
    let shown = scratch.candlewick(&["check", "small.yaml"]).exits(0).stdout;
    let line = "grid        sma: 6 books, 4 of fast x 2 of slow; 2 combinations left out, as fast=4,slow=4 (fast is 4";
    assert!(shown.contains(line), "{shown}");
    let document = scratch.candlewick(&["check", "small.yaml", "--json"]).exits(0).json();
    assert_eq!(document["grids"].as_array().unwrap().len(), 1);
    assert_eq!((&document["grids"][0]["books"], &document["grids"][0]["skipped"]), (&json!(6), &json!(2)));
}

#[test]
fn grid_of_a_million_books_is_known_in_seconds_and_small() {
    let start = std::time::Instant::now();
    let grid = entry(&json!({"sma_cross": {"fast": "1..1000", "slow": "1001..2000"}}));
    grid.check().unwrap();
    assert_eq!(grid.len(), 1_000_000);
    assert_eq!(
        sma(grid.config(999_999).strategy),
        SmaCross { fast: 1000, slow: 2000, ..SmaCross::default() }
    );
    assert!(start.elapsed().as_secs_f64() < 30.0, "{:?}", start.elapsed());
    println!("a million books: {:?}", start.elapsed());
}

/// Ranges inside choices, optional parts and maps with names of the user's.
#[test]
fn grid_reaches_nested_settings() {
    for (written, label, books) in [
        (
            json!({"cross_sectional_momentum": {"rebalance": {"bars": [24, "100..200 by 50"]}, "top": [1, 2]}}),
            "top=2,bars=200",
            8,
        ),
        (
            json!({"portfolio": {"weights": {"ALPHA": [0.2, 0.5], "BETA": 0.1}, "turnover_limit": "0.1..0.2 by 0.1",
                "rebalance": {"calendar": ["week", "month"]}}}),
            "ALPHA=0.5,calendar=month,turnover_limit=0.2",
            8,
        ),
        (
            json!({"time_series_momentum": {"volatility": {"annual": [0.1, 0.2]}, "skip_bars": [0, 24, 200]}}),
            "skip_bars=24,annual=0.2",
            4,
        ),
        (json!({"return_forecast": {"method": {"rolling_mean": {"period": "2..4"}}}}), "period=4", 3),
        (
            json!({"pairs": {"hedge": ["ratio", "regression"], "stop": [2.5, 3], "entry": [2, 2.6]}}),
            "hedge=regression,entry=2.6,stop=3",
            6,
        ),
    ] {
        let grid = entry(&written);
        grid.check().unwrap();
        assert_eq!((grid.len(), grid.label(books - 1).as_str()), (books, label), "{written}");
        let yaml = with("{buy_and_hold: {}}", &written.to_string());
        let first = plan(&yaml, &[]).unwrap_or_else(|error| panic!("{error}"));
        let again = plan(&first.resolved, &[]).unwrap().experiment.strategies["hold"].clone();
        assert_eq!((again.len(), &again, again.label(books - 1)), (books, &grid, grid.label(books - 1)));
    }
}

/// A grid of lists cannot be told from a list; a setting that is a list keeps its meaning, and the base has none.
#[test]
fn grid_base_has_no_axes() {
    assert!(plan(BASE, &[]).unwrap().experiment.strategies.values().all(|entry| !entry.is_grid()));
}

/// No stop at all is one pair of two exits, and only together with a sizing that needs a stop.
#[test]
fn grid_leaves_out_exits_and_sizing_that_do_not_fit_together() {
    let written = "{donchian_breakout: {entry: 20, exit: [5, 10]}, exits: {stop_loss_percent: [5, null], \
                   trailing_stop_percent: [5, null]}, sizing: {risk_per_trade: {risk_percent: 1}}}";
    let first = plan(&with("{buy_and_hold: {}}", written), &[]).unwrap();
    let again = plan(&first.resolved, &[]).unwrap();
    for loaded in [&first, &again] {
        let (grid, backtest) = (&loaded.experiment.strategies["hold"], &loaded.experiment.backtest);
        assert_eq!((grid.len(), grid.skipped_count()), (6, 2));
        assert!((0..6).all(|book| grid.config(book).settings(backtest).check().is_ok()));
        let skipped: Vec<(String, String)> = grid.skipped().collect();
        assert_eq!(skipped.len(), 2);
        for ((label, reason), exit) in skipped.iter().zip([5, 10]) {
            assert_eq!(*label, format!("exit={exit},stop_loss_percent=none,trailing_stop_percent=none"));
            assert!(reason.contains("risk_per_trade needs a stop"), "{reason}");
        }
    }
    // The section itself has a stop, so an entry that replaces the sizing alone fits.
    let yaml =
        with("{buy_and_hold: {}}", "{buy_and_hold: {}, sizing: {risk_per_trade: {risk_percent: [1, 2]}}}");
    let stopped = plan(&yaml, &["backtest.exits.stop_loss_percent=5"]).unwrap();
    assert_eq!(stopped.experiment.strategies["hold"].len(), 2);
}

/// Every combination is looked at, but each pair of exits and sizing once.
#[test]
fn grid_of_many_books_is_restricted_in_seconds() {
    let mut grid = entry(&json!({
        "sma_cross": {"fast": "1..100", "slow": "101..350"},
        "exits": {"stop_loss_percent": [null, 5]},
        "sizing": {"risk_per_trade": {"risk_percent": [1, 2]}},
    }));
    let start = std::time::Instant::now();
    grid.restrict(&BacktestConfig::default());
    println!("100000 books restricted in {:?}", start.elapsed());
    assert_eq!((grid.len(), grid.skipped_count()), (50_000, 50_000));
    assert!(start.elapsed().as_secs_f64() < 2.0, "{:?}", start.elapsed());
}
