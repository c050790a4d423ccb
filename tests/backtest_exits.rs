//! Exits in the ledger: by hand, and against a naive book that follows the stated order of events word by word.

use super::markets::{HOUR, wide_bars, wide_symbol};
use super::program::Scratch;
use candlewick::domains::market::backtest::{
    BacktestConfig, Cost, Exits, FillTime, Intrabar, Sizing, run_book,
};
use candlewick::rundir::TableFile;
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, BookResult, FillReason, NULL, Positions, Side, SymbolBars};
use candlewick::units::Time;
use std::ops::Range;

/// Bars of `[open, high, low, close]`.
fn bars_of(rows: &[[f64; 4]]) -> Bars {
    let column = |field: usize| rows.iter().map(|row| row[field]).collect::<Vec<f64>>();
    let columns = BarColumns {
        time: (0..rows.len() as i64).map(|row| Time(row * HOUR)).collect(),
        open: column(0),
        high: column(1),
        low: column(2),
        close: column(3),
        volume: vec![1.0; rows.len()],
    };
    Bars::new(vec![SymbolBars::new("ALPHA", columns).unwrap()]).unwrap()
}

fn run(rows: &[[f64; 4]], targets: &[f64], config: &BacktestConfig) -> BookResult {
    let bars = bars_of(rows);
    let positions = Positions::orders(&bars, vec![targets.to_vec()]).unwrap();
    run_book(&bars, &positions, "hand", config, 0..rows.len())
}

fn config(exits: Exits) -> BacktestConfig {
    BacktestConfig {
        cash: 1000.0,
        sizing: Sizing::Fixed { quantity: 1.0 },
        exits,
        ..BacktestConfig::default()
    }
}

fn brief(book: &BookResult) -> Vec<(u32, Side, f64, FillReason)> {
    book.fills.iter().map(|fill| (fill.step, fill.side, fill.price, fill.reason)).collect()
}

#[test]
fn exits_stop_then_flat_until_the_next_order() {
    let rows = [
        [100.0, 101.0, 99.0, 100.0],
        [100.0, 104.0, 98.0, 102.0],
        // Touches 90, the stop of a position that was opened at 100.
        [102.0, 103.0, 90.0, 95.0],
        // Back above: no order, no position.
        [95.0, 120.0, 94.0, 110.0],
        [110.0, 112.0, 108.0, 111.0],
        // Gaps below 99, the stop of a position that was opened at 110.
        [80.0, 130.0, 79.0, 85.0],
    ];
    let exits = Exits { stop_loss_percent: Some(10.0), ..Exits::default() };
    let book = run(&rows, &[1.0, NULL, NULL, 1.0, NULL, NULL], &config(exits));
    assert_eq!(
        brief(&book),
        [
            (1, Side::Buy, 100.0, FillReason::Signal),
            (2, Side::Sell, 90.0, FillReason::Stop),
            (4, Side::Buy, 110.0, FillReason::Signal),
            (5, Side::Sell, 80.0, FillReason::Stop),
        ]
    );
    assert_eq!(book.equity.equity, [1000.0, 1002.0, 990.0, 990.0, 991.0, 960.0]);
    assert_eq!(book.equity.exposure[2..4], [0.0, 0.0]);
}

#[test]
fn exits_are_live_on_the_bar_of_the_entry_and_take_the_worst_first() {
    let rows = [[100.0, 100.0, 100.0, 100.0], [100.0, 111.0, 94.0, 108.0], [108.0, 109.0, 107.0, 108.0]];
    let exits = Exits { stop_loss_percent: Some(5.0), take_profit_percent: Some(10.0), ..Exits::default() };
    let worst = run(&rows, &[1.0, NULL, NULL], &config(exits.clone()));
    assert_eq!(brief(&worst)[1], (1, Side::Sell, 95.0, FillReason::Stop));
    let best =
        run(&rows, &[1.0, NULL, NULL], &config(Exits { intrabar: Intrabar::BestFirst, ..exits.clone() }));
    assert_eq!(brief(&best)[1], (1, Side::Sell, 110.00000000000001, FillReason::Target));
    // With same_close the bar of the entry is over; the next one touches nothing.
    let close = BacktestConfig { fill: FillTime::SameClose, ..config(exits) };
    let book = run(&rows, &[NULL, 1.0, NULL], &close);
    assert_eq!(brief(&book), [(1, Side::Buy, 108.0, FillReason::Signal)]);
}

/// A stop pays slippage, half the spread and the fee; a target rests and pays the fee only.
#[test]
fn exits_pay_as_the_order_that_they_are() {
    let costs = vec![
        Cost::Proportional { fee_bps: 100.0 },
        Cost::Slippage { bps: 100.0 },
        Cost::Spread { bps: 200.0 },
    ];
    // Sold at 100 x 0.98 = 98; target 49, stop 147.
    let exits = Exits { stop_loss_percent: Some(50.0), take_profit_percent: Some(50.0), ..Exits::default() };
    let config = BacktestConfig { costs, ..config(exits) };
    let start = [[100.0, 100.0, 100.0, 100.0], [100.0, 101.0, 99.0, 100.0]];
    let reached = run(&[start[0], start[1], [100.0, 101.0, 48.0, 60.0]], &[-1.0, NULL, NULL], &config);
    let fill = reached.fills[1];
    assert_eq!(
        (fill.reason, fill.side, fill.reference_price, fill.price),
        (FillReason::Target, Side::Buy, 49.0, 49.0)
    );
    assert!((fill.fee - 0.49).abs() < 1e-15);
    assert!((reached.equity.equity[2] - (1000.0 + 98.0 - 0.98 - 49.0 - 0.49)).abs() < 1e-12);
    let stopped = run(&[start[0], start[1], [100.0, 150.0, 99.0, 120.0]], &[-1.0, NULL, NULL], &config);
    let fill = stopped.fills[1];
    assert_eq!((fill.reason, fill.reference_price), (FillReason::Stop, 147.0));
    assert!((fill.price - 147.0 * 1.02).abs() < 1e-12);
    assert!((fill.fee - 1.4994).abs() < 1e-12);
}

#[test]
fn exits_by_time_at_the_open_or_at_the_close() {
    let rows: Vec<[f64; 4]> =
        (0..8).map(|row| [100.0 + f64::from(row), 120.0, 80.0, 100.5 + f64::from(row)]).collect();
    let exits = Exits { max_bars: Some(3), ..Exits::default() };
    let mut targets = vec![NULL; 8];
    targets[1] = 1.0;
    let open = run(&rows, &targets, &config(exits.clone()));
    assert_eq!(brief(&open)[1], (5, Side::Sell, 105.0, FillReason::Time));
    let same_close = BacktestConfig { fill: FillTime::SameClose, ..config(exits) };
    assert_eq!(brief(&run(&rows, &targets, &same_close))[1], (4, Side::Sell, 104.5, FillReason::Time));
    // An order at the close at which time is up comes after it and opens anew.
    targets[4] = -1.0;
    let turned = run(&rows, &targets, &same_close);
    assert_eq!(
        brief(&turned)[1..3],
        [(4, Side::Sell, 104.5, FillReason::Time), (4, Side::Sell, 104.5, FillReason::Signal)]
    );
}

/// What the naive book found: step, side, quantity, price, reason.
type NaiveFill = (usize, Side, f64, f64, FillReason);

/// A book of one symbol that follows the seven points of the rule one after another, written without the kernel.
struct Naive<'a> {
    bars: &'a SymbolBars,
    exits: &'a Exits,
    all_in: bool,
    fee: f64,
    slippage: f64,
    cash: f64,
    quantity: f64,
    entry: f64,
    extreme: f64,
    age: u32,
    fills: Vec<NaiveFill>,
}

impl Naive<'_> {
    fn trade(&mut self, row: usize, change: f64, reference: f64, reason: FillReason) {
        let slippage = if reason == FillReason::Target { 0.0 } else { self.slippage };
        let price = if change > 0.0 { reference * (1.0 + slippage) } else { reference * (1.0 - slippage) };
        let before = self.quantity;
        self.cash -= change * price;
        self.cash -= self.fee * change.abs() * price;
        self.quantity += change;
        if before * self.quantity <= 0.0 {
            (self.entry, self.extreme, self.age) = (price, reference, 0);
        } else if self.quantity.abs() > before.abs() {
            self.entry = (self.entry * before + price * change) / self.quantity;
        }
        let side = if change > 0.0 { Side::Buy } else { Side::Sell };
        self.fills.push((row, side, change.abs(), price, reason));
    }

    /// The order of a strategy: everything there is, or one unit; what is held goes first.
    fn order(&mut self, row: usize, target: f64, price: f64) {
        let equity = self.cash + self.quantity * price;
        if target == 0.0 {
            if self.quantity != 0.0 {
                self.trade(row, -self.quantity, price, FillReason::Signal);
            }
            return;
        }
        let cost = if target > 0.0 {
            (1.0 + self.slippage) * (1.0 + self.fee)
        } else {
            2.0 - (1.0 - self.slippage) * (1.0 - self.fee)
        };
        // To cover a short costs a fee, too, and cash is all there is.
        let covered = self.cash + self.quantity * price * cost;
        let budget = if target > 0.0 && self.quantity < 0.0 { covered } else { equity };
        let wanted = if self.all_in { target * budget / (price * cost) } else { target };
        self.trade(row, wanted - self.quantity, price, FillReason::Signal);
    }

    fn levels(&self) -> (f64, FillReason, f64) {
        let sign = self.quantity.signum();
        let percent = |percent: Option<f64>| percent.map(|percent| percent / 100.0);
        let stop = percent(self.exits.stop_loss_percent).map(|p| self.entry * (1.0 - sign * p));
        let trailing = percent(self.exits.trailing_stop_percent).map(|p| self.extreme * (1.0 - sign * p));
        let none = if sign > 0.0 { 0.0 } else { f64::INFINITY };
        let target = percent(self.exits.take_profit_percent).map(|p| self.entry * (1.0 + sign * p));
        let (level, reason) = match (stop, trailing) {
            (Some(stop), Some(trailing)) if sign * trailing > sign * stop => (trailing, FillReason::Trailing),
            (None, Some(trailing)) => (trailing, FillReason::Trailing),
            (Some(stop), _) => (stop, FillReason::Stop),
            (None, None) => (none, FillReason::Stop),
        };
        (level, reason, target.unwrap_or(if sign > 0.0 { f64::INFINITY } else { 0.0 }))
    }

    fn leave(&mut self, row: usize, price: f64, reason: FillReason) {
        self.trade(row, -self.quantity, price, reason);
    }

    /// Points 3 and 4.
    fn levels_touched(&mut self, row: usize, traded: bool) {
        let [open, high, low] = [self.bars.open()[row], self.bars.high()[row], self.bars.low()[row]];
        if self.quantity != 0.0 && !traded {
            let (stop, reason, target) = self.levels();
            let sign = self.quantity.signum();
            if sign * open <= sign * stop {
                self.leave(row, open, reason);
            } else if sign * open >= sign * target {
                self.leave(row, open, FillReason::Target);
            }
        }
        if self.quantity == 0.0 {
            return;
        }
        let (stop, reason, target) = self.levels();
        let (stopped, reached) =
            if self.quantity > 0.0 { (low <= stop, high > target) } else { (high >= stop, low < target) };
        let worst = self.exits.intrabar == Intrabar::WorstFirst;
        if stopped && (worst || !reached) {
            let price = if self.quantity > 0.0 { stop.min(open) } else { stop.max(open) };
            self.leave(row, price, reason);
        } else if reached {
            self.leave(row, target, FillReason::Target);
        }
    }

    fn run(mut self, targets: &[f64], fill: FillTime) -> (Vec<f64>, Vec<NaiveFill>) {
        let due =
            |book: &Self| book.quantity != 0.0 && book.exits.max_bars.is_some_and(|most| book.age >= most);
        let mut pending = NULL;
        let mut equity = Vec::new();
        for (row, target) in targets.iter().enumerate() {
            self.age += 1;
            let before = self.fills.len();
            if fill == FillTime::NextOpen && !pending.is_nan() {
                self.order(row, std::mem::replace(&mut pending, NULL), self.bars.open()[row]);
            }
            let traded = self.fills.len() > before;
            if fill == FillTime::NextOpen && due(&self) {
                self.leave(row, self.bars.open()[row], FillReason::Time);
            }
            self.levels_touched(row, traded);
            let close = self.bars.close()[row];
            if fill == FillTime::SameClose && due(&self) {
                self.leave(row, close, FillReason::Time);
            }
            self.extreme = match self.quantity > 0.0 {
                true => self.extreme.max(self.bars.high()[row]),
                false => self.extreme.min(self.bars.low()[row]),
            };
            if !target.is_nan() {
                pending = *target;
            }
            if fill == FillTime::SameClose && !pending.is_nan() {
                self.order(row, std::mem::replace(&mut pending, NULL), close);
            }
            equity.push(self.cash + self.quantity * close);
        }
        (equity, self.fills)
    }
}

/// Whole levels, so that all-in orders leave nothing of what was held.
fn random_targets(rows: usize, seed: u64) -> Vec<f64> {
    let mut stream = Seed(seed).stream("targets", 0);
    let mut held = 0.0;
    let mut order = |_| {
        let target = [0.0, 1.0, -1.0][(stream.uniform() * 3.0) as usize % 3];
        if stream.uniform() > 0.08 || target == held {
            return NULL;
        }
        held = target;
        target
    };
    (0..rows).map(&mut order).collect()
}

fn random_exits(seed: u64) -> Exits {
    let mut stream = Seed(seed).stream("exits", 0);
    let mut some = |low: f64, width: f64| {
        let value = low + width * stream.uniform();
        (stream.uniform() < 0.6).then_some(value)
    };
    Exits {
        stop_loss_percent: some(0.2, 6.0),
        take_profit_percent: some(0.2, 8.0),
        trailing_stop_percent: some(0.5, 6.0),
        max_bars: some(1.0, 30.0).map(|bars| bars as u32),
        intrabar: if some(0.0, 1.0).is_some() { Intrabar::WorstFirst } else { Intrabar::BestFirst },
    }
}

#[test]
fn exits_equal_the_naive_book_in_every_fill_and_bar() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..120 {
        let bars = Bars::new(vec![wide_symbol("ALPHA", 600, seed, 0.0)]).unwrap();
        let targets = random_targets(600, seed);
        let exits = random_exits(seed);
        let all_in = seed % 3 == 0;
        let fill = if seed % 2 == 0 { FillTime::NextOpen } else { FillTime::SameClose };
        // Without a price that is worse for the first quarter: bits of the levels and of the gaps.
        let (fee_bps, bps) = if seed % 4 == 0 { (0.0, 0.0) } else { (8.0, 12.0) };
        let config = BacktestConfig {
            cash: 1000.0,
            fill,
            sizing: if all_in { Sizing::AllIn {} } else { Sizing::Fixed { quantity: 1.0 } },
            costs: vec![Cost::Proportional { fee_bps }, Cost::Slippage { bps }],
            exits: exits.clone(),
            ..BacktestConfig::default()
        };
        config.check().unwrap();
        let naive = Naive {
            bars: &bars.symbols()[0],
            exits: &exits,
            all_in,
            fee: fee_bps * 1e-4,
            slippage: bps * 1e-4,
            cash: 1000.0,
            quantity: 0.0,
            entry: 0.0,
            extreme: 0.0,
            age: 0,
            fills: Vec::new(),
        };
        let (equity, fills) = naive.run(&targets, fill);
        let positions = Positions::orders(&bars, vec![targets]).unwrap();
        let book = run_book(&bars, &positions, "book", &config, 0..600);
        assert!(book.bankrupt_at.is_none());
        let found: Vec<_> =
            book.fills.iter().map(|fill| (fill.step as usize, fill.side, fill.reason)).collect();
        let expected: Vec<_> = fills.iter().map(|(row, side, _, _, reason)| (*row, *side, *reason)).collect();
        assert_eq!(found, expected, "seed {seed} {exits:?}");
        for (fill, (_, _, quantity, price, reason)) in book.fills.iter().zip(&fills) {
            assert!((fill.price / price - 1.0).abs() < 1e-13, "seed {seed} {fill:?} {price}");
            assert!((fill.quantity / quantity - 1.0).abs() < 1e-11, "seed {seed} {fill:?} {quantity}");
            *seen.entry(reason.name()).or_insert(0) += 1;
        }
        for (row, (found, expected)) in book.equity.equity.iter().zip(&equity).enumerate() {
            assert!((found / expected - 1.0).abs() < 1e-12, "seed {seed} row {row}: {found}, {expected}");
        }
    }
    for reason in ["signal", "stop", "target", "trailing", "time"] {
        assert!(seen.get(reason).is_some_and(|count| *count > 200), "{seen:?}");
    }
}

#[test]
fn exits_that_are_far_away_change_no_bit() {
    let bars = wide_bars(400, 3);
    let targets =
        (0..3).map(|symbol| random_targets(bars.symbols()[symbol].len(), 40 + symbol as u64)).collect();
    let positions = Positions::orders(&bars, targets).unwrap();
    let span: Range<usize> = 0..bars.timeline().times().len();
    for fill in [FillTime::NextOpen, FillTime::SameClose] {
        let free = BacktestConfig { fill, ..BacktestConfig::default() };
        let exits = Exits {
            stop_loss_percent: Some(99.9),
            take_profit_percent: Some(1e6),
            max_bars: Some(100_000),
            ..Exits::default()
        };
        let bound = BacktestConfig { exits, ..free.clone() };
        let one = run_book(&bars, &positions, "one", &free, span.clone());
        let two = run_book(&bars, &positions, "one", &bound, span.clone());
        assert!(one.fills.len() > 50);
        assert_eq!(one.fills, two.fills);
        assert_eq!(one.equity.equity, two.equity.equity);
    }
}

#[test]
fn exits_refuse_settings_by_name() {
    for (exits, name) in [
        (Exits { stop_loss_percent: Some(0.0), ..Exits::default() }, "stop_loss_percent"),
        (Exits { stop_loss_percent: Some(100.0), ..Exits::default() }, "stop_loss_percent"),
        (Exits { take_profit_percent: Some(f64::NAN), ..Exits::default() }, "take_profit_percent"),
        (Exits { trailing_stop_percent: Some(-1.0), ..Exits::default() }, "trailing_stop_percent"),
        (Exits { max_bars: Some(0), ..Exits::default() }, "max_bars"),
    ] {
        let error = config(exits).check().unwrap_err();
        assert!(error.contains(name), "{error}");
    }
    let text = r#"{"exits": {"stop_loss_percent": 2, "intrabar": "best_first"}}"#;
    let read: BacktestConfig = serde_json::from_str(text).unwrap();
    let exits = Exits { stop_loss_percent: Some(2.0), intrabar: Intrabar::BestFirst, ..Exits::default() };
    assert_eq!(read.exits, exits);
    assert!(serde_json::from_str::<BacktestConfig>(r#"{"exits": {"stop": 2}}"#).is_err());
}

/// From the configuration to the column of the fills.
#[test]
fn exits_of_a_run_stand_in_its_fills() {
    let scratch = Scratch::new();
    let market = scratch.market(1500, 0.0);
    let yaml = format!(
        "name: exits\ndata: {{path: {}}}\nstrategies: {{sma: {{sma_cross: {{fast: 5, slow: 20}}}}}}\n\
         backtest:\n  exits: {{stop_loss_percent: 1, take_profit_percent: 1.5, max_bars: 12}}\n\
         \x20 sizing: {{risk_per_trade: {{risk_percent: 0.5}}}}\n  margin: {{max_leverage: 2}}\n",
        market.display()
    );
    scratch.write("exits.yaml", &yaml);
    scratch.candlewick(&["backtest", "exits.yaml", "--no-report"]).exits(0);
    let fills = TableFile::read(&scratch.runs()[0].join("fills.parquet")).unwrap();
    let reasons = fills.text("reason").unwrap();
    for reason in ["signal", "stop", "target", "time"] {
        assert!(reasons.iter().any(|found| &**found == reason), "no {reason} among {} fills", reasons.len());
    }
    let no_stop = yaml.replace("stop_loss_percent: 1, ", "");
    scratch.write("no_stop.yaml", &no_stop);
    let refused = scratch.candlewick(&["check", "no_stop.yaml"]).exits(2);
    assert!(refused.stderr.contains("risk_per_trade needs a stop"), "{}", refused.stderr);
}

#[test]
fn exits_reasons_have_names_in_their_order() {
    for (place, reason) in FillReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, place);
    }
}
