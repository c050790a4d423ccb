//! Grids of books on one core, in processor seconds. `benches/README.md` has the commands and what was measured.
//!
//! `CANDLEWICK_BARS` names a Parquet file with the columns open, high, low, close, volume, a bar a minute; without it a
//! seeded walk of 100,000 bars is made. `CANDLEWICK_ROWS` picks rows of the table by a part of their names.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot prepare has nothing to measure")]

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use candlewick::domains::market::backtest::costs::{proportional::Proportional, slippage::Slippage};
use candlewick::domains::market::backtest::{
    BacktestConfig, BatchOutcome, BatchRequest, CostConfig, Devices, Exits, Signals, run_batch, run_compact,
    run_one,
};
use candlewick::domains::market::strategies::{Direction, Strategy, World, sma_cross::SmaCross};
use candlewick::kernels::instructions::Instructions;
use candlewick::metrics::{compact_metrics, trading_metrics};
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, Positions, Predictions, SymbolBars};
use candlewick::units::Time;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Mutex;

const MINUTE: i64 = 60_000_000_000;

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn peak_mebibytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kibibytes| kibibytes.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn from_file(path: &str) -> BarColumns {
    let file = std::fs::File::open(path).unwrap();
    let mut columns = BarColumns::default();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        for (name, column) in [
            ("open", &mut columns.open),
            ("high", &mut columns.high),
            ("low", &mut columns.low),
            ("close", &mut columns.close),
            ("volume", &mut columns.volume),
        ] {
            let values = batch.column_by_name(name).unwrap().as_primitive::<Float64Type>();
            column.extend(values.values().iter().copied());
        }
    }
    columns
}

fn walk(rows: usize) -> BarColumns {
    let mut stream = Seed(1).stream("prices", 0);
    let mut price = 100.0;
    let mut columns = BarColumns::default();
    for _ in 0..rows {
        let open = price * (1.5e-4 * stream.normal()).exp();
        price *= (6e-4 * stream.normal()).exp();
        columns.open.push(open);
        columns.close.push(price);
        columns.high.push(open.max(price) * (1.0 + 2e-4 * stream.uniform()));
        columns.low.push(open.min(price) * (1.0 - 2e-4 * stream.uniform()));
        columns.volume.push(1.0);
    }
    columns
}

fn market() -> Bars {
    let mut columns =
        std::env::var("CANDLEWICK_BARS").map_or_else(|_| walk(100_000), |path| from_file(&path));
    columns.time = (0..columns.open.len() as i64).map(|row| Time(row * MINUTE)).collect();
    Bars::new(vec![SymbolBars::new("ALPHA", columns).unwrap()]).unwrap()
}

fn cross(fast: usize, slow: usize, direction: Direction) -> SmaCross {
    SmaCross { fast, slow, direction }
}

/// The pairs of the peers' benchmark: fast 10, 20 ... 100 and slow 150, 250 ... 1050.
fn hundred(direction: Direction) -> Vec<SmaCross> {
    (10..101)
        .step_by(10)
        .flat_map(|fast| (150..1051).step_by(100).map(move |slow| cross(fast, slow, direction)))
        .collect()
}

/// Fast 2, 3 ... 101 and slow 105, 109 ... 501.
fn ten_thousand(direction: Direction) -> Vec<SmaCross> {
    (2..102).flat_map(|fast| (105..505).step_by(4).map(move |slow| cross(fast, slow, direction))).collect()
}

/// Whether a row of the table is asked for.
fn wanted(name: &str) -> bool {
    std::env::var("CANDLEWICK_ROWS").map_or(true, |part| name.contains(&part))
}

/// Times five runs after a first, cold one, and prints the line of the table.
fn row(name: &str, bars: usize, books: usize, run: impl Fn() -> BatchOutcome) {
    prepared_row(name, bars, books, || (), |()| run());
}

/// As [`row`], with something that is made before the clock starts and used up.
fn prepared_row<P>(
    name: &str,
    bars: usize,
    books: usize,
    prepare: impl Fn() -> P,
    run: impl Fn(P) -> BatchOutcome,
) {
    if !wanted(name) {
        return;
    }
    let timed = || {
        let prepared = prepare();
        let start = cpu_seconds();
        let outcome = run(prepared);
        (cpu_seconds() - start, outcome)
    };
    let (cold, outcome) = timed();
    let mut warm: Vec<f64> = (0..5).map(|_| timed().0).collect();
    warm.sort_unstable_by(f64::total_cmp);
    let fills: usize = outcome.figures.iter().map(|book| book.fills).sum();
    println!(
        "{name}: cold {cold:.4} s, warm {:.4} s, {:.0} M bar-strategies per CPU second, {:.0} bars a fill, peak {:.0} MiB",
        warm[2],
        (bars * books) as f64 / warm[2] / 1e6,
        (bars * books) as f64 / fills.max(1) as f64,
        peak_mebibytes()
    );
}

/// One book with all figures of the trading table: its orders are in memory, its curve is made anew where it is read.
fn one_book(bars: &Bars, pair: &SmaCross) {
    let rows = bars.symbols()[0].len();
    let predictions = Predictions::default();
    let world =
        World { bars, predictions: &predictions, span: 0..rows, seed: Seed(1), reference: None, book: 0 };
    let config = BacktestConfig {
        costs: vec![CostConfig::Proportional(Proportional { fee_bps: 10.0 })],
        ..BacktestConfig::default()
    };
    let orders = pair.decide(&world).unwrap();
    let name = format!("one book, {} / {}", pair.fast, pair.slow);
    for (name, compact) in
        [(format!("{name}, full summary"), true), (format!("{name}, with its curve"), false)]
    {
        if !wanted(&name) {
            continue;
        }
        let timed = || {
            let start = cpu_seconds();
            let metrics = if compact {
                compact_metrics(&run_compact(bars, &orders, &config, 0..rows, None).unwrap(), 525_600.0)
            } else {
                trading_metrics(&run_one(bars, ("", &orders), &config, 0..rows, None), 525_600.0)
            };
            (cpu_seconds() - start, metrics.fills)
        };
        let (cold, fills) = timed();
        let mut warm: Vec<f64> = (0..5).map(|_| timed().0).collect();
        warm.sort_unstable_by(f64::total_cmp);
        println!(
            "{name}: cold {cold:.4} s, warm {:.4} s, {fills} fills, peak {:.0} MiB",
            warm[2],
            peak_mebibytes()
        );
    }
}

/// Orders of any origin: the levels of crosses, long and short, decided before the clock starts.
fn general(request: &BatchRequest, pairs: &[SmaCross]) {
    let (bars, rows) = (request.bars, request.span.len());
    let predictions = Predictions::default();
    let world =
        World { bars, predictions: &predictions, span: 0..rows, seed: Seed(1), reference: None, book: 0 };
    // Twenty are enough to fill the clock, and do not fill the memory.
    let orders: Vec<Positions> = pairs.iter().step_by(5).map(|pair| pair.decide(&world).unwrap()).collect();
    let costs = vec![
        CostConfig::Proportional(Proportional { fee_bps: 5.0 }),
        CostConfig::Slippage(Slippage { bps: 2.0 }),
    ];
    let config = |exits: Exits| BacktestConfig { costs: costs.clone(), exits, ..BacktestConfig::default() };
    let funding: Vec<f64> = (0..rows).map(|row| if row % 480 == 479 { 1e-4 } else { 0.0 }).collect();
    let stops = Exits { stop_loss_percent: Some(2.0), take_profit_percent: Some(4.0), ..Exits::default() };
    let trailing = Exits { trailing_stop_percent: Some(1.0), ..Exits::default() };
    for (name, exits, funding) in [
        ("orders, long and short, slippage", Exits::default(), &[][..]),
        ("orders, long and short, slippage, stop and target", stops.clone(), &[][..]),
        ("orders, long and short, slippage, stop, target, funding", stops, &funding[..]),
        ("orders, long and short, slippage, trailing stop, funding", trailing, &funding[..]),
    ] {
        let config = config(exits);
        let request = BatchRequest { config: &config, funding, ..request.clone() };
        let copy = || orders.iter().map(|orders| Mutex::new(Some(orders.clone()))).collect::<Vec<_>>();
        prepared_row(name, rows, orders.len(), copy, |copies| {
            let decide = |book: usize| Ok(copies[book].lock().unwrap().take().unwrap());
            run_batch(&request, Signals::Decided { books: orders.len(), decide: &decide }, &Silent).unwrap()
        });
    }
}

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let bars = market();
        let rows = bars.symbols()[0].len();
        println!("{rows} bars in memory, peak {:.0} MiB", peak_mebibytes());
        let config = BacktestConfig {
            costs: vec![CostConfig::Proportional(Proportional { fee_bps: 10.0 })],
            ..BacktestConfig::default()
        };
        let request = BatchRequest {
            bars: &bars,
            symbol: 0,
            config: &config,
            span: 0..rows,
            exits: &[],
            funding: &[],
            borrow: &[],
            periods: 512,
            instructions: Instructions::widest(),
            devices: Devices::default(),
        };
        let pairs = hundred(Direction::LongOnly);
        let crosses = |pairs: &[SmaCross]| run_batch(&request, Signals::SmaCross(pairs), &Silent).unwrap();
        let first = crosses(&pairs[..1]).figures[0];
        println!(
            "pair (10, 150): return {:.14}, Sharpe {:.10}, drawdown {:.12}, {} fills",
            first.total_return(),
            first.sharpe(525_600.0).unwrap_or(f64::NAN),
            first.max_drawdown,
            first.fills
        );
        for pair in [cross(10, 100, Direction::LongShort), cross(200, 2000, Direction::LongShort)] {
            one_book(&bars, &pair);
        }
        row("1 pair", rows, 1, || crosses(&pairs[..1]));
        row("100 pairs", rows, 100, || crosses(&pairs));
        let short = hundred(Direction::LongShort);
        row("100 pairs long and short", rows, 100, || crosses(&short));
        let many = ten_thousand(Direction::LongOnly);
        general(&request, &short);
        row("10,000 pairs", rows, many.len(), || crosses(&many));
    });
}
