//! Grids of moving-average crosses on the device and on the processors, whose bits must be the same.

use super::measure::{Bench, digits, row, section};
use candlewick::domains::market::backtest::costs::proportional::Proportional;
use candlewick::domains::market::backtest::{
    BacktestConfig, BatchOutcome, BatchRequest, CostConfig, Devices, Signals, run_batch,
};
use candlewick::domains::market::strategies::{Direction, sma_cross::SmaCross};
use candlewick::kernels::instructions::Instructions;
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, SymbolBars};
use candlewick::units::Time;

const MINUTE: i64 = 60_000_000_000;

/// Prints the table of all grids.
pub(crate) fn books(bench: &Bench) {
    let note = "All figures of a book (final equity, drawdown, mean and deviation of the returns, fills, trades, wins, fees, time in \
                the market) and 512 sampled returns, f64; next open, 10 bps. The clock runs from bars and pairs in the \
                host's memory to figures and returns there. `both` lets device and processors share.";
    let columns = ["grid", "where", "seconds", "bar-strategies/s", "against the processors", "bits"];
    section(bench, "grids of books", note, &columns);
    let rows = if bench.small { 3_000 } else { 200_000 };
    let bars = walk(rows);
    let costs = vec![CostConfig::Proportional(Proportional { fee_bps: 10.0 })];
    let config = BacktestConfig { costs, ..BacktestConfig::default() };
    let gpus = [bench.gpu.clone()];
    for (name, direction) in
        [("long and flat", Direction::LongOnly), ("long and short", Direction::LongShort)]
    {
        let pairs = pairs(bench.small, direction);
        let run = |devices| {
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
                devices,
            };
            run_batch(&request, Signals::SmaCross(&pairs), &Silent).unwrap()
        };
        let grid = format!("{} pairs x {rows} bars, {name}", pairs.len());
        let timed = |devices| {
            let mut outcome = None;
            let seconds = bench.seconds_of_work(|| outcome = Some(run(devices)));
            (seconds, outcome.unwrap())
        };
        let (processors, expected) = timed(Devices::default());
        let print = |place: &str, seconds: f64, bits: &str| {
            let rate = (rows * pairs.len()) as f64 / seconds;
            let times = format!("{:.2}x", processors / seconds);
            row(&[grid.clone(), place.into(), digits(seconds), format!("{rate:.3e}"), times, bits.into()]);
        };
        let threads = rayon::current_num_threads();
        print(&format!("{threads} threads"), processors, "-");
        for (place, first) in [("device", true), ("both", false)] {
            let (seconds, found) = timed(Devices { gpus: &gpus, first });
            let place = format!("{place}, {} books on the device", found.on_devices);
            let same = same(&found, &expected);
            print(&place, seconds, if same { "the same" } else { "DIFFERENT" });
            assert!(same, "the device must find the bits of the processors");
        }
    }
}

/// Whether every number has the same bits.
fn same(found: &BatchOutcome, expected: &BatchOutcome) -> bool {
    let bits =
        |outcome: &BatchOutcome| outcome.returns.values().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    found.figures == expected.figures && bits(found) == bits(expected)
}

/// 220 fast lengths by 265 slow ones: 58,300 pairs.
fn pairs(small: bool, direction: Direction) -> Vec<SmaCross> {
    let [fast, slow] = if small { [5, 8] } else { [220, 265] };
    (2..2 + fast)
        .flat_map(|fast| (225..225 + slow).map(move |slow| SmaCross { fast, slow, direction }))
        .collect()
}

fn walk(rows: usize) -> Bars {
    let mut stream = Seed(1).stream("prices", 0);
    let mut price = 100.0;
    let mut columns = BarColumns::default();
    for row in 0..rows {
        let open = price * (1.5e-4 * stream.normal()).exp();
        price *= (6e-4 * stream.normal()).exp();
        columns.time.push(Time(row as i64 * MINUTE));
        columns.open.push(open);
        columns.close.push(price);
        columns.high.push(open.max(price) * (1.0 + 2e-4 * stream.uniform()));
        columns.low.push(open.min(price) * (1.0 - 2e-4 * stream.uniform()));
        columns.volume.push(1.0);
    }
    Bars::new(vec![SymbolBars::new("ALPHA", columns).unwrap()]).unwrap()
}
