//! Grids of books that devices and processors share: whoever runs a book, its numbers are the same.

use super::emulator::{build, gpu, real};
use super::program::program;
use candlewick::domains::market::backtest::costs::{proportional::Proportional, slippage::Slippage};
use candlewick::domains::market::backtest::{
    BacktestConfig, BatchRequest, CostConfig, Devices, Exits, FillTime, Signals, run_batch,
};
use candlewick::domains::market::strategies::{Direction, sma_cross::SmaCross};
use candlewick::kernels::instructions::Instructions;
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, SymbolBars};
use candlewick::units::Time;
use std::process::{Command, Output};

const HOUR: i64 = 3_600_000_000_000;

fn walk(rows: usize, seed: u64) -> Bars {
    let mut stream = Seed(seed).stream("prices", 0);
    let (mut columns, mut price) = (BarColumns::default(), 100.0_f64);
    for row in 0..rows {
        let open = price * (0.001 * stream.normal()).exp();
        price *= (0.006 * stream.normal()).exp();
        columns.time.push(Time(row as i64 * HOUR));
        columns.open.push(open);
        columns.high.push(open.max(price) * 1.001);
        columns.low.push(open.min(price) * 0.999);
        columns.close.push(price);
        columns.volume.push(1.0);
    }
    Bars::new(vec![SymbolBars::new("ALPHA", columns).unwrap()]).unwrap()
}

fn pairs() -> Vec<SmaCross> {
    let direction =
        |fast: usize| if fast.is_multiple_of(2) { Direction::LongOnly } else { Direction::LongShort };
    let pair = |fast, slow| SmaCross { fast, slow, direction: direction(fast) };
    (2..12).flat_map(|fast| (20..33).map(move |slow| pair(fast, slow))).collect()
}

#[test]
fn devices_and_processors_find_the_same() {
    let Some(gpu) = gpu() else { return };
    let (bars, pairs) = (walk(2500, 3), pairs());
    // One device twice is as good as two.
    let gpus = [gpu.clone(), gpu];
    let stop = |percent: f64| Exits { stop_loss_percent: Some(percent), ..Exits::default() };
    let watched: Vec<Exits> =
        [Exits::default(), stop(1.0), stop(4.0)].into_iter().cycle().take(pairs.len()).collect();
    let paid: Vec<f64> = (0..2500).map(|row| if row % 8 == 7 { 1e-4 } else { 0.0 }).collect();
    for fill in [FillTime::NextOpen, FillTime::SameClose] {
        for (periods, exits, funding) in [(0, &[][..], &[][..]), (37, &[], &[]), (37, &watched, &paid)] {
            let costs = vec![
                CostConfig::Proportional(Proportional { fee_bps: 10.0 }),
                CostConfig::Slippage(Slippage { bps: 3.0 }),
            ];
            let config = BacktestConfig { fill, costs, ..BacktestConfig::default() };
            let run = |devices| {
                let request = BatchRequest {
                    bars: &bars,
                    symbol: 0,
                    config: &config,
                    span: 100..2500,
                    exits,
                    funding,
                    borrow: &[],
                    periods,
                    instructions: Instructions::widest(),
                    devices,
                };
                run_batch(&request, Signals::SmaCross(&pairs), &Silent).unwrap()
            };
            let expected = run(Devices::default());
            assert_eq!(expected.on_devices, 0);
            assert!(expected.figures.iter().all(|book| book.fills > 10));
            let found = run(Devices { gpus: &gpus, first: true });
            assert_eq!(found.on_devices, pairs.len());
            assert_eq!(found.figures, expected.figures);
            assert!(
                found.returns.values() == expected.returns.values(),
                "returns with {fill:?}, {periods} periods"
            );
            // Too little work to ask a device.
            assert_eq!(run(Devices { gpus: &gpus, first: false }).on_devices, 0);
        }
    }
}

/// What the program wrote and said.
struct Ran {
    books: Vec<u8>,
    words: String,
}

/// `candlewick backtest` in this folder, on this device, which has this memory where it is emulated.
fn backtest(folder: &std::path::Path, device: &str, bytes: u64) -> Ran {
    let mut command = Command::new(program());
    if !real() {
        let library = build("plain").unwrap();
        command.env("LD_LIBRARY_PATH", library).env("CANDLEWICK_EMULATED_BYTES", bytes.to_string());
    }
    let Output { status, stdout, stderr } = command
        .args(["backtest", "grid.yaml", "--json", "--no-report", "--no-audit", "--device", device])
        .current_dir(folder)
        .output()
        .unwrap();
    let words = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{words}");
    let done: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    let run = folder.join(done["run_dir"].as_str().unwrap());
    Ran { books: std::fs::read(run.join("books.parquet")).unwrap(), words }
}

/// Enough work that the program asks the device. An emulated one is slower than the processors, or has no room.
#[test]
fn the_program_writes_the_same_books_with_a_device() {
    if gpu().is_none() {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    candlewick::data::write_bars(&walk(300_000, 8), &folder.path().join("market.parquet")).unwrap();
    let list =
        |range: std::ops::Range<usize>| range.map(|length| length.to_string()).collect::<Vec<_>>().join(", ");
    let cross = format!("fast: [{}], slow: [{}]", list(2..32), list(40..70));
    let yaml = format!(
        "name: grid\ndata: {{path: market.parquet}}\nstrategies:\n  sma: {{sma_cross: {{{cross}}}}}\n\
         backtest: {{costs: [{{proportional: {{fee_bps: 10}}}}]}}\n"
    );
    std::fs::write(folder.path().join("grid.yaml"), yaml).unwrap();
    let expected = backtest(folder.path(), "cpu", 0);
    let beside = backtest(folder.path(), "cuda", 4 << 30);
    assert!(!beside.words.contains("failed"), "{}", beside.words);
    assert!(beside.books == expected.books, "{}", beside.words);
    if real() {
        return;
    }
    let without_room = backtest(folder.path(), "cuda", 1 << 20);
    assert!(without_room.words.contains("has no room"), "{}", without_room.words);
    assert!(without_room.books == expected.books, "{}", without_room.words);
}
