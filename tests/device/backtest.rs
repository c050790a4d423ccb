//! Books of crosses on a device against their twins on the CPU: every number to the bit.

use super::emulator::gpu;
use candlewick::kernels::backtest_batch::{CrossBook, CrossPass, run_crosses};
use candlewick::kernels::backtest_device::{STRETCH_BYTES, run_crosses_on};
use candlewick::kernels::backtest_step::CostParameters;
use candlewick::kernels::batch_book::{BatchBook, BookRules, Market, Size};
use candlewick::kernels::exit_rules::ExitParameters;
use candlewick::kernels::gpu::Gpu;
use candlewick::kernels::instructions::Instructions;
use candlewick::seed::Seed;

const CASH: f64 = 10_000.0;

/// Prices of a walk, and the rows of it on which books run.
struct Walk {
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    first_row: usize,
    /// Steps of the rows of the span; empty for no gaps.
    steps: Vec<u32>,
    /// What is paid for holding; empty for nothing.
    funding: Vec<f64>,
    borrow: Vec<f64>,
}

impl Walk {
    /// `rows` rows after `first_row` others. Every fifth close is that of the row before.
    fn new(rows: usize, first_row: usize, drift: f64, seed: u64) -> Walk {
        let mut stream = Seed(seed).stream("prices", 0);
        let (mut open, mut close, mut price) = (Vec::new(), Vec::new(), 100.0_f64);
        for row in 0..first_row + rows {
            open.push(price * (0.002 * stream.normal()).exp());
            if row % 5 != 4 {
                price *= (drift + 0.01 * stream.normal()).exp();
            }
            close.push(price);
        }
        let mut wide = |pick: fn(f64, f64) -> f64, sign: f64| -> Vec<f64> {
            let reach =
                |(open, close): (&f64, &f64)| pick(*open, *close) * (1.0 + sign * 0.004 * stream.uniform());
            open.iter().zip(&close).map(reach).collect()
        };
        let (high, low) = (wide(f64::max, 1.0), wide(f64::min, -1.0));
        Walk { open, high, low, close, first_row, steps: Vec::new(), funding: Vec::new(), borrow: Vec::new() }
    }

    /// The same with every third step left out.
    fn with_gaps(mut self) -> Walk {
        let rows = self.close.len() - self.first_row;
        self.steps = (0..rows).map(|row| (7 + row + row / 2) as u32).collect();
        self
    }

    /// With payments of either sign every eighth row, and a price of being short.
    fn with_payments(mut self, funding: bool, borrow: bool) -> Walk {
        let rows = self.close.len() - self.first_row;
        let rate = |row: usize| if row % 8 == 7 { 1e-4 * (row % 5) as f64 - 2e-4 } else { 0.0 };
        self.funding = (0..rows).filter(|_| funding).map(rate).collect();
        self.borrow = (0..rows).filter(|_| borrow).map(|row| 1e-5 * (row % 3) as f64).collect();
        self
    }

    /// From this row of the span on at three times the price.
    fn with_jump(mut self, row: usize) -> Walk {
        for column in [&mut self.open, &mut self.high, &mut self.low, &mut self.close] {
            column[self.first_row + row..].iter_mut().for_each(|price| *price *= 3.0);
        }
        self
    }

    /// With samples at the ends of equal stretches, of which the first `unlisted` are before the first row.
    fn market(&self, samples: usize, unlisted: usize) -> Market<'_> {
        let (open, close) = (&self.open[self.first_row..], &self.close[self.first_row..]);
        let rows = close.len();
        let ends = (1..=samples).map(|end| (end * rows / samples.max(1)).saturating_sub(1) as u32);
        Market {
            open,
            high: &self.high[self.first_row..],
            low: &self.low[self.first_row..],
            close,
            steps: &self.steps,
            end_step: self.steps.last().map_or(rows, |last| *last as usize + 3),
            sample_rows: std::iter::repeat_n(0, unlisted).chain(ends).collect(),
            unlisted_samples: unlisted,
            funding: &self.funding,
            borrow: &self.borrow,
        }
    }

    fn pass<'a>(
        &'a self,
        market: &'a Market<'a>,
        case: &'a Case<'a>,
        books: &'a mut [CrossBook],
        samples: &'a mut [f64],
    ) -> CrossPass<'a> {
        CrossPass {
            market,
            fill_prices: if case.at_open { market.open } else { market.close },
            history: &self.close,
            first_row: self.first_row,
            tie: 1e-12,
            lag: usize::from(case.at_open),
            windows: &WINDOWS,
            rules: &case.rules,
            exits: case.exits,
            books,
            samples,
        }
    }
}

/// What one comparison runs.
#[derive(Clone, Copy, Debug)]
struct Case<'a> {
    books: usize,
    at_open: bool,
    short: bool,
    rules: BookRules,
    samples: usize,
    unlisted: usize,
    stretch_bytes: usize,
    exits: &'a [ExitParameters],
}

const FREE: CostParameters = CostParameters { fee_rate: 0.0, slippage_rate: 0.0 };
const COSTLY: CostParameters = CostParameters { fee_rate: 1e-3, slippage_rate: 5e-4 };
const ALL_IN: BookRules = BookRules { costs: COSTLY, resting: COSTLY, size: Size::Share(1.0) };
const PLAIN: Case<'static> = Case {
    books: 33,
    at_open: true,
    short: false,
    rules: ALL_IN,
    samples: 7,
    unlisted: 0,
    stretch_bytes: STRETCH_BYTES,
    exits: &[],
};

const WINDOWS: [usize; 12] = [1, 2, 3, 5, 8, 13, 21, 34, 64, 200, 1000, 6000];

/// Books of ever other pairs; where any goes short, every second one does.
fn books(case: &Case) -> Vec<CrossBook> {
    let pairs =
        (0..WINDOWS.len() - 1).flat_map(|fast| (fast + 1..WINDOWS.len()).map(move |slow| (fast, slow)));
    let book = |(number, (fast, slow))| CrossBook {
        book: BatchBook::new(CASH),
        fast,
        slow,
        short: case.short && number % 2 == 0,
        level: 0.0,
    };
    pairs.cycle().take(case.books).enumerate().map(book).collect()
}

/// Everything that is told of a book, in bits.
fn bits(cross: &CrossBook) -> Vec<u64> {
    let book = &cross.book;
    let money = [
        book.cash,
        book.quantity,
        book.fees,
        book.slippage_cost,
        book.last_change,
        book.equity(),
        book.max_drawdown(),
        book.sum,
        book.squares,
        cross.level,
        book.position.direction,
        book.position.entry_price,
        book.position.extreme,
    ];
    let counts = [
        book.marked,
        book.fills,
        book.trades,
        book.winning_trades,
        book.held_steps,
        usize::from(book.bankrupt),
    ];
    money.map(f64::to_bits).into_iter().chain(counts.map(|count| count as u64)).collect()
}

/// Returns from sample to sample, as the batch keeps them.
fn returns(samples: &[f64]) -> Vec<f32> {
    let mut before = CASH;
    let of = |worth: &f64| {
        let change = if before > 0.0 { (worth / before - 1.0) as f32 } else { 0.0 };
        before = *worth;
        change
    };
    samples.iter().map(of).collect()
}

/// Runs the case on both and gives the books.
fn compare(gpu: &Gpu, walk: &Walk, case: &Case) -> Vec<CrossBook> {
    let market = walk.market(case.samples, case.unlisted);
    let (rows, stride) = (market.close.len(), market.sample_rows.len() + 1);
    let (mut found, mut expected) = (books(case), books(case));
    let mut samples = vec![CASH; case.books * stride];
    let mut found_returns = vec![Vec::new(); case.books];
    let mut keep = |book: usize, returns: &[f32]| found_returns[book] = returns.to_vec();
    let pass = walk.pass(&market, case, &mut found, &mut []);
    assert!(run_crosses_on(gpu, pass, case.stretch_bytes, &|| false, &mut keep).unwrap());
    run_crosses(walk.pass(&market, case, &mut expected, &mut samples), Instructions::widest());
    for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let case = Case { exits: case.exits.get(number..=number).unwrap_or_default(), ..*case };
        let what = format!("book {number} of {rows} rows, {case:?}:\n{found:?}\n{expected:?}");
        assert_eq!(bits(found), bits(expected), "{what}");
        let samples = &samples[number * stride..][..stride - 1];
        let bits = |returns: &[f32]| returns.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found_returns[number]), bits(&returns(samples)), "returns of {what}");
    }
    found
}

#[test]
fn books_of_any_number_and_length_have_the_bits_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let mut fills = 0;
    for (rows, books) in [(1, 31), (2, 1), (31, 33), (33, 130), (1023, 31), (1024, 33), (1025, 1), (5000, 33)]
    {
        for (number, at_open) in [true, false].into_iter().enumerate() {
            for first_row in [0, 1, 70] {
                let walk = Walk::new(rows, first_row, 0.0, (rows + number) as u64);
                let case = Case { books, at_open, short: number == 1, ..PLAIN };
                fills += compare(&gpu, &walk, &case).iter().map(|book| book.book.fills).sum::<usize>();
            }
        }
    }
    assert!(fills > 10_000, "only {fills} fills");
}

#[test]
fn sizes_costs_and_sides_have_the_bits_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let rows = 2100;
    for (number, size) in [Size::Share(1.0), Size::Share(0.3), Size::Units(40.0)].into_iter().enumerate() {
        for costs in [FREE, COSTLY, CostParameters { fee_rate: 0.03, slippage_rate: 0.015 }] {
            for (short, at_open) in [(false, true), (true, true), (true, false)] {
                let rules = BookRules { costs, resting: costs, size };
                let case = Case { at_open, short, rules, ..PLAIN };
                compare(&gpu, &Walk::new(rows, 5, 1e-4, number as u64), &case);
            }
        }
    }
}

/// A price that rises for ever brings new highs bar after bar, and one that falls and then jumps ruins whoever is short.
#[test]
fn new_highs_and_lost_books_have_the_bits_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let (mut bankrupt, mut gains) = (0, 0);
    for at_open in [true, false] {
        for size in [Size::Share(1.0), Size::Units(150.0)] {
            let rules = BookRules { size, ..ALL_IN };
            let case = Case { at_open, short: true, rules, samples: 200, ..PLAIN };
            let books = compare(&gpu, &Walk::new(2500, 3, 0.003, 5), &case);
            gains += books.iter().filter(|book| book.book.equity() > 5.0 * CASH).count();
            for jump in [1023, 1024, 1025, 1500] {
                let books = compare(&gpu, &Walk::new(2500, 3, -0.001, 6).with_jump(jump), &case);
                bankrupt += books.iter().filter(|book| book.book.bankrupt).count();
            }
        }
    }
    assert!(bankrupt > 20, "only {bankrupt} books lost everything");
    assert!(gains > 10, "only {gains} books gained");
}

#[test]
fn gaps_samples_and_stretches_have_the_bits_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (samples, unlisted) in [(0, 0), (1, 0), (37, 3), (3000, 2)] {
        for stretch_bytes in [0, 400_000, STRETCH_BYTES] {
            let walk = Walk::new(4000, 50, 0.0, 11).with_gaps();
            compare(&gpu, &walk, &Case { short: true, samples, unlisted, stretch_bytes, ..PLAIN });
        }
    }
}

/// Every book with other exits, one of them with none.
fn exits(books: usize, at_open: bool, worst_first: bool) -> Vec<ExitParameters> {
    let none = ExitParameters { worst_first, fills_at_open: at_open, ..ExitParameters::NONE };
    let kinds = [
        none,
        ExitParameters { stop_loss: 0.02, ..none },
        ExitParameters { take_profit: 0.015, ..none },
        ExitParameters { trailing_stop: 0.03, ..none },
        ExitParameters { trailing_stop: 0.004, ..none },
        ExitParameters { max_bars: 7, ..none },
        ExitParameters { stop_loss: 0.01, take_profit: 0.01, ..none },
        ExitParameters { stop_loss: 0.04, take_profit: 0.06, trailing_stop: 0.05, max_bars: 40, ..none },
    ];
    kinds.into_iter().cycle().take(books).collect()
}

#[test]
fn exits_and_payments_have_the_bits_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let mut fills = 0;
    for (number, (funding, borrow)) in
        [(false, false), (true, false), (false, true), (true, true)].iter().enumerate()
    {
        for at_open in [true, false] {
            for (rows, short, size) in [
                (1, true, Size::Share(1.0)),
                (1025, true, Size::Units(40.0)),
                (2100, number % 2 == 0, Size::Share(0.9)),
            ] {
                let resting = CostParameters { fee_rate: 2e-4, slippage_rate: 0.0 };
                let exits = exits(33, at_open, number < 2);
                let rules = BookRules { resting, size, ..ALL_IN };
                let case = Case { at_open, short, rules, exits: &exits, stretch_bytes: 400_000, ..PLAIN };
                let walk = Walk::new(rows, 70, 0.0, number as u64).with_payments(*funding, *borrow);
                fills += compare(&gpu, &walk, &case).iter().map(|book| book.book.fills).sum::<usize>();
            }
        }
    }
    assert!(fills > 30_000, "only {fills} fills");
}

#[test]
fn lost_books_with_exits_have_the_bits_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let mut bankrupt = 0;
    for at_open in [true, false] {
        for jump in [1023, 1024, 1500] {
            let exits = exits(33, at_open, true);
            let rules = BookRules { size: Size::Units(150.0), ..ALL_IN };
            let case = Case { at_open, short: true, rules, exits: &exits, ..PLAIN };
            let walk = Walk::new(2500, 3, -0.001, 6).with_jump(jump).with_payments(true, false);
            let books = compare(&gpu, &walk, &case);
            bankrupt += books.iter().filter(|book| book.book.bankrupt).count();
        }
    }
    assert!(bankrupt > 5, "only {bankrupt} books lost everything");
}

/// What the rest of the program relies on where a device is busy or has no room.
#[test]
fn a_run_that_stops_leaves_the_books() {
    let Some(gpu) = gpu() else { return };
    let walk = Walk::new(3000, 0, 0.0, 1);
    let (market, mut books) = (walk.market(5, 0), books(&PLAIN));
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() == 2
    };
    let mut keep = |_: usize, _: &[f32]| panic!("there is nothing to keep");
    let pass = walk.pass(&market, &PLAIN, &mut books, &mut []);
    assert!(!run_crosses_on(&gpu, pass, 0, &stop, &mut keep).unwrap());
    assert_eq!(asked.get(), 2);
    assert!(books.iter().all(|book| book.book.fills == 0 && book.book.marked == 0));
}

/// A few books without and with exits, small enough for a device whose every thread is one of the system.
pub(super) fn a_few_books(gpu: &Gpu) {
    let exits = exits(33, true, true);
    for exits in [&[], &exits[..]] {
        compare(gpu, &Walk::new(130, 70, 0.0, 3), &Case { short: true, exits, ..PLAIN });
    }
}
