//! Every bar of the equity curve against an exact oracle: a plain loop over the documented conventions in numbers of
//! twice the precision (Dekker 1971), and in whole numbers where quantities are fixed.

use super::markets::{HOUR, columns, shared};
use candlewick::domains::market::backtest::{BacktestConfig, Cost, FillTime, Sizing, run_book};
use candlewick::domains::market::strategies::{Strategy, World, sma_cross::SmaCross};
use candlewick::metrics::trading_metrics;
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, BookResult, Predictions, Side, SymbolBars};
use candlewick::units::Time;
use std::ops::{Add, Div, Mul, Range, Sub};

/// The unevaluated sum of two f64, good to about 31 digits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Double(f64, f64);

impl Double {
    fn of(value: f64) -> Double {
        Double(value, 0.0)
    }

    fn sum(a: f64, b: f64) -> Double {
        let sum = a + b;
        let part = sum - a;
        Double(sum, (a - (sum - part)) + (b - part))
    }
}

impl Add for Double {
    type Output = Double;
    fn add(self, other: Double) -> Double {
        let high = Double::sum(self.0, other.0);
        let low = Double::sum(self.1, other.1);
        let mixed = Double::sum(high.0, high.1 + low.0);
        Double::sum(mixed.0, mixed.1 + low.1)
    }
}

impl Sub for Double {
    type Output = Double;
    fn sub(self, other: Double) -> Double {
        self + Double(-other.0, -other.1)
    }
}

impl Mul for Double {
    type Output = Double;
    fn mul(self, other: Double) -> Double {
        let product = self.0 * other.0;
        let error = self.0.mul_add(other.0, -product);
        Double::sum(product, error + (self.0 * other.1 + self.1 * other.0))
    }
}

impl Div for Double {
    type Output = Double;
    fn div(self, other: Double) -> Double {
        let first = self.0 / other.0;
        let rest = self - other * Double::of(first);
        let second = rest.0 / other.0;
        let rest = rest - other * Double::of(second);
        Double::sum(first, second) + Double::of(rest.0 / other.0)
    }
}

#[test]
fn backtest_oracle_computes_in_twice_the_precision() {
    let third = Double::of(1.0) / Double::of(3.0);
    let one = third + third + third;
    assert_eq!(one.0, 1.0);
    assert!(one.1.abs() < 1e-31);
    let tenth = Double::of(1.0) / Double::of(10.0);
    let rest = tenth * Double::of(10.0) - Double::of(1.0);
    assert!(rest.0.abs() < 1e-31);
}

/// One question to the oracle.
#[derive(Clone, Debug)]
struct Case {
    fast: usize,
    slow: usize,
    range: Range<usize>,
    fill: FillTime,
    all_in: bool,
}

impl Case {
    fn config(&self) -> BacktestConfig {
        BacktestConfig {
            fill: self.fill,
            sizing: if self.all_in { Sizing::AllIn {} } else { Sizing::Fixed { quantity: 1.0 } },
            costs: vec![Cost::Proportional { fee_bps: 10.0 }],
            ..BacktestConfig::default()
        }
    }

    fn run(&self, bars: &Bars) -> BookResult {
        let strategy = SmaCross { fast: self.fast, slow: self.slow, ..SmaCross::default() };
        let predictions = Predictions::default();
        let world = World {
            bars,
            predictions: &predictions,
            span: self.range.clone(),
            seed: Seed(0),
            reference: None,
            book: 0,
        };
        run_book(bars, &strategy.decide(&world).unwrap(), "sma", &self.config(), self.range.clone())
    }
}

/// One fill of the oracle.
struct OracleFill {
    step: usize,
    buys: bool,
    price: f64,
    quantity: Double,
    fee: Double,
}

/// What the oracle says.
struct Oracle {
    equity: Vec<Double>,
    fills: Vec<OracleFill>,
}

/// A price in whole hundredths.
fn ticks(price: f64) -> i64 {
    let ticks = (price * 100.0).round();
    assert_eq!(ticks / 100.0, price);
    ticks as i64
}

/// Long while the mean of the fast closes is above that of the slow ones, flat otherwise; in whole numbers.
fn wanted(close: &[f64], fast: usize, slow: usize) -> Vec<bool> {
    let sums = |period: usize| {
        let mut sum = 0;
        let add = |row: usize| {
            sum += ticks(close[row]);
            if row >= period {
                sum -= ticks(close[row - period]);
            }
            sum
        };
        (0..close.len()).map(add).collect::<Vec<i64>>()
    };
    let (fast_sums, slow_sums) = (sums(fast), sums(slow));
    let above = |row: usize| row + 1 >= slow && fast_sums[row] * slow as i64 > slow_sums[row] * fast as i64;
    (0..close.len()).map(above).collect()
}

/// The conventions, word by word: the level at a close is traded at the next open or at that close; a fee of 10 basis
/// points of the notional each way; one unit, or all the cash, fee included, where that is less or wanted; marked at
/// closes.
fn oracle(bars: &SymbolBars, case: &Case) -> Oracle {
    let level = wanted(bars.close(), case.fast, case.slow);
    let rate = Double::of(10.0) / Double::of(10_000.0);
    let mut cash = Double::of(100_000.0);
    let mut held = Double::of(0.0);
    let mut oracle = Oracle { equity: Vec::new(), fills: Vec::new() };
    for row in case.range.clone() {
        let (wants, price) = match case.fill {
            FillTime::NextOpen => (row > 0 && level[row - 1], bars.open()[row]),
            FillTime::SameClose => (level[row], bars.close()[row]),
        };
        let holds = held.0 > 0.0;
        if wants != holds {
            let exact = Double::of(price);
            let affordable = cash / (exact * (Double::of(1.0) + rate));
            let quantity = match (wants, case.all_in || affordable.0 < 1.0) {
                (false, _) => held,
                (true, false) => Double::of(1.0),
                (true, true) => affordable,
            };
            let (notional, fee) = (quantity * exact, quantity * exact * rate);
            cash = if wants { cash - notional - fee } else { cash + notional - fee };
            held = if wants { quantity } else { Double::of(0.0) };
            oracle.fills.push(OracleFill { step: row, buys: wants, price, quantity, fee });
        }
        oracle.equity.push(cash + held * Double::of(bars.close()[row]));
    }
    oracle
}

/// Relative error of a number against an exact one.
fn error_of(found: f64, exact: Double) -> f64 {
    ((Double::of(found) - exact) / exact).0.abs()
}

const TOLERANCE: f64 = 1e-12;

/// Compares every bar and every fill, and returns the worst relative error of the curve.
fn agree(bars: &Bars, case: &Case) -> f64 {
    let (book, exact) = (case.run(bars), oracle(&bars.symbols()[0], case));
    assert_eq!(book.fills.len(), exact.fills.len(), "{case:?}");
    for (fill, exact) in book.fills.iter().zip(&exact.fills) {
        assert_eq!((fill.step as usize, fill.side == Side::Buy), (exact.step, exact.buys), "{case:?}");
        assert_eq!(fill.price, exact.price, "{case:?}");
        assert!(error_of(fill.quantity, exact.quantity) <= TOLERANCE, "{case:?} {fill:?}");
        assert!(error_of(fill.fee, exact.fee) <= TOLERANCE, "{case:?} {fill:?}");
    }
    assert_eq!(book.equity.equity.len(), case.range.len(), "{case:?}");
    let errors = book.equity.equity.iter().zip(&exact.equity).map(|(found, exact)| error_of(*found, *exact));
    let worst = errors.fold(0.0, f64::max);
    assert!(worst <= TOLERANCE, "{case:?}: worst relative error {worst:e}");
    worst
}

/// The bars of the reference, or a skip.
fn reference_bars() -> Option<Bars> {
    let mut table =
        columns(&shared("reference/ref_50k.parquet")?, &["open", "high", "low", "close", "volume"])
            .into_iter();
    let mut next = || table.next().unwrap();
    let (open, high, low, close, volume) = (next(), next(), next(), next(), next());
    let start = 1_735_689_600_000_000_000;
    let time = (0..open.len() as i64).map(|row| Time(start + row * HOUR / 60)).collect();
    let columns = BarColumns { time, open, high, low, close, volume };
    Some(Bars::new(vec![SymbolBars::new("REF", columns).unwrap()]).unwrap())
}

fn case_of(name: &str) -> Case {
    let fill = if name.starts_with("next_open") { FillTime::NextOpen } else { FillTime::SameClose };
    Case { fast: 60, slow: 240, range: 0..50_000, fill, all_in: name.ends_with("allin") }
}

#[test]
fn backtest_reference_curves_are_exact_at_every_bar() {
    let (Some(bars), Some(results)) = (reference_bars(), shared("reference/reference_results.json")) else {
        return;
    };
    let reference: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(results).unwrap()).unwrap();
    let cases = reference["oracle"].as_object().unwrap();
    assert_eq!(cases.len(), 4);
    for (name, expected) in cases {
        let case = case_of(name);
        let number = |key: &str| expected[key].as_f64().unwrap();
        let exact = oracle(&bars.symbols()[0], &case);
        let near = |found: f64, expected: f64, tolerance: f64, what: &str| {
            let error = (found / expected - 1.0).abs();
            assert!(error <= tolerance, "{name} {what}: {found}, expected {expected}, error {error:e}");
        };
        // The oracle of this test against the published one.
        let last = exact.equity.len() - 1;
        near(exact.equity[last].0, number("final_equity"), 1e-13, "final equity");
        let fees = exact.fills.iter().fold(Double::of(0.0), |sum, fill| sum + fill.fee);
        near(fees.0, number("total_fees"), 1e-13, "fees");
        assert_eq!(exact.fills.len() as f64, number("n_fills"), "{name}");
        for (row, equity) in expected["equity_at"].as_object().unwrap() {
            near(exact.equity[row.parse::<usize>().unwrap()].0, equity.as_f64().unwrap(), 1e-13, row);
        }
        for (fill, expected) in exact.fills.iter().zip(expected["first_fills"].as_array().unwrap()) {
            assert_eq!(fill.step as u64, expected["bar"].as_u64().unwrap());
            assert_eq!(if fill.buys { 1 } else { -1 }, expected["side"].as_i64().unwrap());
            assert_eq!(fill.price, expected["price"].as_f64().unwrap());
            near(fill.quantity.0, expected["qty"].as_f64().unwrap(), 1e-13, "quantity");
            near(fill.fee.0, expected["fee"].as_f64().unwrap(), 1e-13, "fee");
        }
        // The ledger against the oracle, and its figures against the published ones.
        let worst = agree(&bars, &case);
        println!("{name}: worst relative error of the curve {worst:e}");
        let metrics = trading_metrics(&case.run(&bars), 525_600.0);
        near(metrics.fees, number("total_fees"), TOLERANCE, "fees");
        near(metrics.max_drawdown.unwrap(), number("max_drawdown"), 1e-11, "drawdown");
        near(metrics.total_return.unwrap(), number("total_return"), 1e-11, "total return");
        near(metrics.sharpe.unwrap(), number("sharpe_min_365d"), 1e-9, "Sharpe ratio");
        assert_eq!(metrics.trades as f64, number("round_trips"));
    }
}

/// With one unit everything is a whole number of hundred-thousandths: no rounding anywhere.
#[test]
fn backtest_fixed_quantity_equals_whole_numbers() {
    let Some(bars) = reference_bars() else { return };
    let symbol = &bars.symbols()[0];
    let ticks = |price: f64| i128::from(ticks(price));
    for fill in [FillTime::NextOpen, FillTime::SameClose] {
        let case = Case { fill, all_in: false, ..case_of("") };
        let level = wanted(symbol.close(), case.fast, case.slow);
        let (mut cash, mut held) = (100_000 * 100_000_i128, 0);
        let book = case.run(&bars);
        for row in 0..symbol.len() {
            let (wants, price) = match fill {
                FillTime::NextOpen => (row > 0 && level[row - 1], symbol.open()[row]),
                FillTime::SameClose => (level[row], symbol.close()[row]),
            };
            let change = i128::from(wants) - held;
            // A tick is a thousand units, a fee of 10 basis points of a tick one unit.
            cash -= change * ticks(price) * 1000 + change.abs() * ticks(price);
            held += change;
            let exact = (cash + held * ticks(symbol.close()[row]) * 1000) as f64 / 100_000.0;
            let error = (book.equity.equity[row] / exact - 1.0).abs();
            assert!(error <= 1e-14, "{fill:?} row {row}: {error:e}");
        }
    }
}

#[test]
fn backtest_other_periods_and_parameters_are_as_exact() {
    let Some(bars) = reference_bars() else { return };
    let mut fills = 0;
    for (fast, slow, range) in [
        (5, 20, 0..50_000),
        (1, 2, 0..20_000),
        (10, 300, 25_000..50_000),
        (60, 240, 12_345..23_456),
        (100, 1_000, 500..49_000),
        (30, 31, 40_000..50_000),
        (2, 5_000, 0..50_000),
    ] {
        for fill in [FillTime::NextOpen, FillTime::SameClose] {
            for all_in in [false, true] {
                let case = Case { fast, slow, range: range.clone(), fill, all_in };
                agree(&bars, &case);
                fills += case.run(&bars).fills.len();
            }
        }
    }
    assert!(fills > 50_000, "{fills}");
}

/// Other data, made here, so that the proof also stands where the reference is not at hand: prices in ticks with gaps.
#[test]
fn backtest_made_markets_are_as_exact() {
    for seed in 0..6 {
        let mut stream = Seed(seed).stream("ticks", 0);
        let mut columns = BarColumns::default();
        let mut price: f64 = 20_000.0;
        for row in 0..5_000 {
            let open = (price + (8.0 * stream.normal()).round()).max(100.0);
            price = (open + (40.0 * stream.normal()).round()).max(100.0);
            columns.time.push(Time(row * HOUR));
            for (column, ticks) in [
                (&mut columns.open, open),
                (&mut columns.close, price),
                (&mut columns.high, open.max(price)),
                (&mut columns.low, open.min(price)),
            ] {
                column.push(ticks / 100.0);
            }
            columns.volume.push(1.0);
        }
        let bars = Bars::new(vec![SymbolBars::new("MADE", columns).unwrap()]).unwrap();
        let (fast, slow) = [(1, 3), (3, 10), (5, 50), (20, 100), (7, 8), (50, 400)][seed as usize];
        for fill in [FillTime::NextOpen, FillTime::SameClose] {
            for all_in in [false, true] {
                agree(&bars, &Case { fast, slow, range: 10 * seed as usize..5_000, fill, all_in });
            }
        }
    }
}
