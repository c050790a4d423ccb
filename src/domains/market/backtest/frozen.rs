//! Holdings whose symbol has no bars any more.

use crate::table::{Bars, BookResult, Side};
use crate::units::counted;

/// How many symbols a sentence names.
const NAMED: usize = 5;

/// A symbol that a book still holds after its last bar.
struct Frozen<'a> {
    name: &'a str,
    last_bar: String,
    /// Units at the last close, in quote currency, signed.
    worth: f64,
}

/// Says which symbols ended while the book held them: the ledger keeps them at their last close, at which nobody may be
/// able to sell. `None` where there is none. A symbol has ended where it has no bar any more, and none for longer
/// before the book's end than ever between two of its bars.
pub fn frozen_holdings(bars: &Bars, book: &BookResult) -> Option<String> {
    let (end, equity) = (book.equity.time.last()?, book.equity.equity.last()?);
    let end = bars.timeline().times().partition_point(|time| time < end);
    let frozen: Vec<Frozen> =
        (0..bars.symbols().len()).filter_map(|symbol| frozen_holding(bars, book, symbol, end)).collect();
    if frozen.is_empty() {
        return None;
    }
    let named = |one: &Frozen| format!("{} since {}", one.name, one.last_bar);
    let mut names: Vec<String> = frozen.iter().take(NAMED).map(named).collect();
    if frozen.len() > NAMED {
        names.push(counted(frozen.len() - NAMED, "other"));
    }
    let worth = frozen.iter().map(|one| one.worth.abs()).sum::<f64>();
    Some(format!(
        "{} holds at the end what has no bars any more, at the last close: {}; that is {:.1} % of its equity, and a \
         delisted asset may be worth nothing",
        book.strategy,
        names.join(", "),
        100.0 * worth / equity
    ))
}

fn frozen_holding<'a>(bars: &'a Bars, book: &BookResult, symbol: usize, end: usize) -> Option<Frozen<'a>> {
    let (steps, columns) = (bars.timeline().steps(symbol), &bars.symbols()[symbol]);
    let last = *steps.last()? as usize;
    let longest = steps.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0);
    if last >= end || end - last <= longest {
        return None;
    }
    // As the ledger adds them up, so that what was closed is exactly 0.
    let own = book.fills.iter().filter(|fill| fill.symbol as usize == symbol);
    let units = own.fold(0.0, |units, fill| match fill.side {
        Side::Buy => units + fill.quantity,
        Side::Sell => units - fill.quantity,
    });
    (units != 0.0).then(|| Frozen {
        name: columns.symbol(),
        last_bar: columns.time()[steps.len() - 1].to_string(),
        worth: units * columns.close()[steps.len() - 1],
    })
}
