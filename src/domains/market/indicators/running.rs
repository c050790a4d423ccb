//! Features bar by bar, as bars arrive: the same bits as [`super::compute`] over all bars so far, in bounded memory where
//! the indicators allow it.
//!
//! A row is never computed from anything but bars that have arrived. Three ways lead to it. A recursion (an exponential
//! mean, a running total) carries its state. A window is computed by the indicator itself on the few last bars; since
//! windows are put together from blocks ([`crate::domains::market::rolling`]), their sums keep their bits only if the first
//! of those bars is the first of a block. Whatever tells nothing about itself is computed on its whole history.

use super::IndicatorConfig;
use crate::table::{BarColumns, Bars, NULL, SymbolBars};
use crate::units::Time;
use std::collections::BTreeMap;

/// One bar of one symbol. Prices in quote currency, `time` its start.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the parts of a bar are what their names say")]
pub struct Bar {
    pub time: Time,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
    /// Extra columns by name; NaN where there is no value.
    pub extras: BTreeMap<String, f64>,
}

impl Bar {
    /// Bar number `row` of a symbol.
    pub fn of(bars: &SymbolBars, row: usize) -> Bar {
        Bar {
            time: bars.time()[row],
            open: bars.open()[row],
            high: bars.high()[row],
            low: bars.low()[row],
            close: bars.close()[row],
            volume: bars.volume()[row],
            extras: bars.extras().iter().map(|(name, values)| (name.clone(), values[row])).collect(),
        }
    }
}

/// What an indicator must remember of the past to go on from bar to bar.
pub enum Memory {
    /// All bars.
    Whole,
    /// The last `rows` bars, and those before them back to a row (counted from the symbol's first) that is a multiple of
    /// `block`.
    Rows {
        /// At least 1.
        rows: usize,
        /// At least 1.
        block: usize,
    },
    /// The state of a recursion over the bars of one symbol, at its start.
    Recursion(Box<dyn Recursion>),
}

impl Memory {
    pub(super) fn rows(rows: usize) -> Memory {
        Memory::Rows { rows: rows.max(1), block: 1 }
    }

    /// The same with a moving window of this period, whose blocks begin with the symbol's first or second row.
    pub(super) fn in_blocks_of(self, period: usize) -> Memory {
        match self {
            Memory::Rows { rows, block } => {
                Memory::Rows { rows, block: least_common_multiple(block, period.max(1)) }
            }
            other => other,
        }
    }

    pub(super) fn recursion(state: impl Recursion + 'static) -> Memory {
        Memory::Recursion(Box::new(state))
    }
}

fn least_common_multiple(one: usize, other: usize) -> usize {
    let (mut divisor, mut rest) = (one, other);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (one / divisor).saturating_mul(other)
}

/// A feature that follows from its bar and from what it carries from the bars before.
pub trait Recursion: Send {
    /// The values of the indicator's columns in the row of this bar, the next of the symbol; null in the warm-up.
    fn next(&mut self, bar: &Bar) -> Vec<f64>;
}

/// The features of an experiment, moment by moment.
pub struct RunningFeatures {
    names: Vec<String>,
    indicators: Vec<IndicatorConfig>,
    /// `[symbol][indicator]`
    memories: Vec<Vec<Memory>>,
    /// `[symbol]`
    histories: Vec<History>,
    /// The names and kinds of the symbols and the length of a bar; of each symbol one bar.
    world: Bars,
    /// Bars of a symbol that any indicator may still ask for; none: all.
    most: Option<usize>,
}

/// The bars of a symbol that are still remembered.
struct History {
    /// Bars that were forgotten.
    forgotten: usize,
    bars: Vec<Bar>,
}

impl RunningFeatures {
    /// Begins before the first bar. Of `world` only the names and kinds of the symbols and the length of a bar are taken.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub fn new(indicators: &[IndicatorConfig], world: &Bars) -> Result<RunningFeatures, String> {
        let mut most = Some(1);
        for config in indicators {
            let indicator = config.build();
            indicator.check().map_err(|problem| format!("feature `{}`: {problem}", config.name()))?;
            most = match (most, indicator.memory()) {
                (_, Memory::Whole) => None,
                (most, Memory::Recursion(_)) => most,
                (most, Memory::Rows { rows, block }) => most.map(|most| most.max(rows.saturating_add(block))),
            };
        }
        let memories = || indicators.iter().map(|config| config.build().memory()).collect();
        let history = |_| History { forgotten: 0, bars: Vec::new() };
        Ok(RunningFeatures {
            names: indicators.iter().flat_map(|config| config.build().names()).collect(),
            indicators: indicators.to_vec(),
            memories: world.symbols().iter().map(|_| memories()).collect(),
            histories: world.symbols().iter().map(history).collect(),
            world: world.with_symbols(world.symbols().iter().map(|symbol| symbol.head(1)).collect()),
            most,
        })
    }

    /// Names of the features, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Bars that are remembered, of all symbols together.
    pub fn remembered(&self) -> usize {
        self.histories.iter().map(|history| history.bars.len()).sum()
    }

    /// Takes the bars of the next moment, `[symbol]` with `None` where a symbol has none, and gives the features of that
    /// moment in the same form, null where one is not known.
    ///
    /// # Errors
    /// A bar that breaks the promise of [`SymbolBars`], such as one that is not later than the one before.
    pub fn next(&mut self, moment: &[Option<Bar>]) -> Result<Vec<Option<Vec<f64>>>, String> {
        let present: Vec<usize> = (0..moment.len()).filter(|symbol| moment[*symbol].is_some()).collect();
        for (history, bar) in self.histories.iter_mut().zip(moment) {
            history.bars.extend(bar.clone());
        }
        let mut rows: Vec<Option<Vec<f64>>> =
            moment.iter().map(|bar| bar.as_ref().map(|_| Vec::with_capacity(self.names.len()))).collect();
        for index in 0..self.indicators.len() {
            for (symbol, values) in present.iter().zip(self.values(index, &present, moment)?) {
                // Infinities become nulls, as in every table of features.
                let known = values.into_iter().map(|value| if value.is_infinite() { NULL } else { value });
                rows[*symbol].get_or_insert_default().extend(known);
            }
        }
        if let Some(most) = self.most {
            self.histories.iter_mut().for_each(|history| history.forget(most));
        }
        Ok(rows)
    }

    /// The columns of one indicator in the row of this moment, for each of the symbols that have one.
    fn values(
        &mut self,
        index: usize,
        present: &[usize],
        moment: &[Option<Bar>],
    ) -> Result<Vec<Vec<f64>>, String> {
        let mut values = Vec::with_capacity(present.len());
        for symbol in present {
            if let (Memory::Recursion(state), Some(bar)) =
                (&mut self.memories[*symbol][index], &moment[*symbol])
            {
                values.push(state.next(bar));
            }
        }
        if values.len() == present.len() {
            return Ok(values);
        }
        let last = |columns: Vec<Vec<f64>>| -> Vec<f64> {
            columns.iter().filter_map(|column| column.last().copied()).collect()
        };
        let bars = present.iter().map(|symbol| self.recent(*symbol, index)).collect::<Result<_, String>>()?;
        let bars = self.world.with_symbols(bars);
        Ok(self.indicators[index].build().compute(&bars).into_iter().map(last).collect())
    }

    /// The last bars of a symbol, as many as the indicator needs.
    fn recent(&self, symbol: usize, index: usize) -> Result<SymbolBars, String> {
        let history = &self.histories[symbol];
        let count = history.forgotten + history.bars.len();
        let start = match &self.memories[symbol][index] {
            Memory::Rows { rows, block } => count.saturating_sub(*rows) / block * block,
            _ => 0,
        };
        let bars = &history.bars[start - history.forgotten..];
        let column = |of: fn(&Bar) -> f64| bars.iter().map(of).collect();
        let columns = BarColumns {
            time: bars.iter().map(|bar| bar.time).collect(),
            open: column(|bar| bar.open),
            high: column(|bar| bar.high),
            low: column(|bar| bar.low),
            close: column(|bar| bar.close),
            volume: column(|bar| bar.volume),
        };
        let template = &self.world.symbols()[symbol];
        let extra = |name: &String| {
            let value = |bar: &Bar| bar.extras.get(name).copied().unwrap_or(NULL);
            (name.clone(), bars.iter().map(value).collect())
        };
        let extras = template.extras().keys().map(extra).collect();
        let recent = template.with_columns(columns).and_then(|bars| bars.with_extras(extras));
        recent.map_err(|error| error.to_string())
    }
}

impl History {
    /// Forgets what is older than the last `most` bars, once that is at least half of what is kept.
    fn forget(&mut self, most: usize) {
        let count = self.bars.len().saturating_sub(most);
        if count >= most {
            self.bars.drain(..count);
            self.forgotten += count;
        }
    }
}
