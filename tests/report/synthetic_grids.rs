//! Seeded grids: ten thousand books over two parameters, some over three of which two are words, some over one.

use candlewick::metrics::TradingMetrics;
use candlewick::rundir::{
    AuditCheck, AuditSummary, Column, CostScenario, GridAxisSummary, GridSummary, HeadlineIntervals,
    SelectionSummary, StrategySummary, TableFile,
};
use candlewick::seed::Seed;
use serde_json::{Value, json};
use std::path::Path;

/// A grid with the Sharpe ratio of every book.
pub(super) struct SyntheticGrid {
    pub(super) name: &'static str,
    strategy: &'static str,
    pub(super) axes: Vec<GridAxisSummary>,
    /// Values in the order of the axes, and the Sharpe ratio.
    pub(super) books: Vec<(Vec<Value>, f64)>,
    cells: usize,
    selection: SelectionSummary,
}

fn axis(parameter: &str, values: impl IntoIterator<Item = Value>) -> GridAxisSummary {
    GridAxisSummary { parameter: parameter.into(), values: values.into_iter().collect() }
}

/// All combinations, the last axis running fastest, with a Sharpe ratio where there is a book.
fn grid(
    (name, strategy): (&'static str, &'static str),
    axes: Vec<GridAxisSummary>,
    selection: SelectionSummary,
    sharpe: impl Fn(&[Value]) -> Option<f64>,
) -> SyntheticGrid {
    let mut combinations: Vec<Vec<Value>> = vec![Vec::new()];
    for axis in &axes {
        let longer = |start: &Vec<Value>, value: &Value| [start.clone(), vec![value.clone()]].concat();
        combinations = combinations
            .iter()
            .flat_map(|start| axis.values.iter().map(move |value| longer(start, value)))
            .collect();
    }
    let cells = combinations.len();
    let mut noise = Seed(11).stream(name, 0);
    let books = combinations.into_iter().filter_map(|values| {
        let found = sharpe(&values)? + 0.12 * noise.normal();
        Some((values, found))
    });
    let mut grid = SyntheticGrid { name, strategy, axes, books: books.collect(), cells, selection };
    // A gap to the second best, so that rounding of its curve does not change which one is the best.
    let best = grid.best();
    grid.books[best].1 += 0.1;
    grid
}

pub(super) fn all() -> Vec<SyntheticGrid> {
    let hill = |at: f64, middle: f64, width: f64| (-((at - middle) / width).powi(2)).exp();
    let number = |value: &Value| value.as_f64().unwrap();
    let selection = |luck, deflated, overfitting, reality, superior| SelectionSummary {
        trials: 10_190,
        luck_sharpe: Some(luck),
        deflated_sharpe: Some(deflated),
        overfitting,
        reality_check: Some(reality),
        superior_ability: Some(superior),
        superior_to_holding: (reality < 0.04).then_some(0.02),
    };
    vec![
        grid(
            ("sma_grid", "sma_cross"),
            vec![
                axis("fast", (2..102).map(|value| json!(value))),
                axis("slow", (0..100).map(|step| json!(110 + 5 * step))),
            ],
            selection(1.71, 0.622, Some(0.413), 0.231, 0.194),
            |values| {
                let (fast, slow) = (number(&values[0]), number(&values[1]));
                let valley = hill(fast, 88.0, 24.0) * hill(slow, 520.0, 170.0);
                Some(0.12 + 1.35 * hill(fast, 30.0, 20.0) * hill(slow, 270.0, 120.0) - 1.1 * valley)
            },
        ),
        grid(
            ("breakout_grid", "breakout"),
            vec![
                axis("channel", [20, 40, 60, 80, 120, 160, 200, 240].map(|value| json!(value))),
                axis("exits.stop_loss_percent", [json!("none"), json!(1), json!(2.5), json!(5)]),
                axis("entry", ["close", "high", "low"].map(|value| json!(value))),
            ],
            selection(1.02, 0.214, None, 0.61, 0.55),
            |values| {
                let senseless = values[2] == "high" && number(&values[0]) < 50.0;
                let stop = values[1].as_f64().unwrap_or(0.0);
                (!senseless).then(|| 0.004 * number(&values[0]) - 0.5 + 0.05 * stop)
            },
        ),
        grid(
            ("momentum_grid", "momentum"),
            vec![axis("lookback", (1..=40).map(|step| json!(10 * step)))],
            selection(1.1, 0.963, Some(0.12), 0.031, 0.022),
            |values| Some(-0.4 + 1.9 * hill(number(&values[0]), 230.0, 90.0)),
        ),
    ]
}

impl SyntheticGrid {
    pub(super) fn best(&self) -> usize {
        (0..self.books.len())
            .max_by(|left, right| self.books[*left].1.total_cmp(&self.books[*right].1))
            .unwrap()
    }

    /// `sma_grid[fast=30,slow=270]`.
    pub(super) fn best_name(&self) -> String {
        let values = &self.books[self.best()].0;
        let named = self.axes.iter().zip(values).map(|(axis, value)| {
            format!("{}={}", axis.parameter, value.as_str().map_or(value.to_string(), str::to_owned))
        });
        format!("{}[{}]", self.name, named.collect::<Vec<_>>().join(","))
    }

    pub(super) fn summary(&self) -> GridSummary {
        let mut sorted: Vec<f64> = self.books.iter().map(|book| book.1).collect();
        sorted.sort_by(f64::total_cmp);
        GridSummary {
            name: self.name.into(),
            strategy: self.strategy.into(),
            axes: self.axes.clone(),
            books: self.books.len(),
            skipped: self.cells - self.books.len(),
            engine: "batch".into(),
            sharpe_quantiles: [5, 25, 50, 75, 95].map(|part| sorted[part * (sorted.len() - 1) / 100]),
            best: Some(self.best_name()),
            selection: self.selection.clone(),
        }
    }

    /// The best book of the grid as a strategy with these metrics.
    pub(super) fn strategy(&self) -> (String, Option<String>) {
        (self.strategy.into(), Some(self.name.into()))
    }
}

/// Writes the rows of all grids; the best book of each has the figures of its curve, `metrics` in the order of the grids.
pub(super) fn write_books(folder: &Path, grids: &[SyntheticGrid], metrics: &[TradingMetrics]) {
    let (mut names, mut books) = (vec![], vec![]);
    let mut figures: Vec<(&str, Vec<f64>)> = FIGURES.iter().map(|name| (*name, vec![])).collect();
    let (mut trades, mut fills) = (vec![], vec![]);
    for (grid, best) in grids.iter().zip(metrics) {
        for (index, (_, sharpe)) in grid.books.iter().enumerate() {
            names.push(grid.name.into());
            books.push(index as i64);
            let found = if index == grid.best() { best.clone() } else { imagined(*sharpe, index as f64) };
            trades.push(found.trades as i64);
            fills.push(2 * found.trades as i64);
            let row = [
                found.total_return,
                found.cagr,
                found.volatility,
                found.sharpe,
                found.max_drawdown,
                found.win_rate,
                Some(found.fees),
                Some(found.slippage_cost),
                found.exposure,
                found.total_return.map(|gain| 1e5 * (1.0 + gain)),
            ];
            figures.iter_mut().zip(row).for_each(|(column, value)| column.1.push(value.unwrap_or(f64::NAN)));
        }
    }
    let mut table = TableFile::default()
        .with("grid", Column::Text(names))
        .with("book", Column::Integer(books))
        .with("trades", Column::Integer(trades))
        .with("fills", Column::Integer(fills));
    for axis in grids.iter().flat_map(|grid| &grid.axes) {
        table = table.with(&axis.parameter, parameter(grids, axis));
    }
    for (name, values) in figures {
        table = table.with(name, Column::Float(values));
    }
    table.write(&folder.join("books.parquet")).unwrap();
}

pub(super) const FIGURES: [&str; 10] = [
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "max_drawdown",
    "win_rate",
    "fees",
    "slippage_cost",
    "exposure",
    "final_equity",
];

/// The column of a parameter: numbers where all its values are, else text; empty in the rows of other grids.
fn parameter(grids: &[SyntheticGrid], axis: &GridAxisSummary) -> Column {
    let place = |grid: &SyntheticGrid| grid.axes.iter().position(|other| other.parameter == axis.parameter);
    let values = grids.iter().flat_map(|grid| {
        let place = place(grid);
        grid.books.iter().map(move |book| place.map(|place| book.0[place].clone()))
    });
    if axis.values.iter().all(Value::is_number) {
        return Column::Float(
            values.map(|value| value.and_then(|value| value.as_f64()).unwrap_or(f64::NAN)).collect(),
        );
    }
    let text = |value: Value| value.as_str().map_or(value.to_string(), str::to_owned);
    Column::Text(values.map(|value| value.map(text).unwrap_or_default().into()).collect())
}

fn imagined(sharpe: f64, index: f64) -> TradingMetrics {
    let gain = (0.35 * sharpe - 0.06).exp() - 1.0;
    TradingMetrics {
        total_return: Some(gain),
        cagr: Some(gain),
        volatility: Some(0.35),
        sharpe: Some(sharpe),
        max_drawdown: Some(-0.62 / (1.0 + (0.9 * sharpe).exp())),
        trades: 20 + (4000.0 / (1.0 + index / 60.0)) as usize,
        win_rate: Some(0.45),
        exposure: Some(0.5),
        fees: 4000.0 / (1.0 + index / 60.0),
        slippage_cost: 800.0,
        ..TradingMetrics::default()
    }
}

/// Gives a book its intervals, probabilities and scenarios.
pub(super) fn complete(book: &mut StrategySummary) {
    let around = |value: Option<f64>, room: f64| value.map(|value| [value - room, value + 1.2 * room]);
    let metrics = book.metrics.clone();
    book.intervals = Some(HeadlineIntervals {
        total_return: around(metrics.total_return, 0.41),
        cagr: around(metrics.cagr, 0.41),
        volatility: around(metrics.volatility, 0.02),
        sortino: around(metrics.sortino, 2.7),
        max_drawdown: metrics.max_drawdown.map(|depth| [1.5 * depth, 0.6 * depth]),
    });
    let Some((gain, sharpe)) = metrics.total_return.zip(metrics.sharpe) else { return };
    book.metrics.probabilistic_sharpe = Some(1.0 / (1.0 + (-1.6 * sharpe).exp()));
    book.deflated_sharpe = Some(1.0 / (1.0 + (-1.6 * (sharpe - 1.5)).exp()));
    let cost = (metrics.fees + metrics.slippage_cost) / 1e5 * (1.0 + book.name.len() as f64 / 4.0);
    book.cost_scenarios = [0.0, 1.0, 2.0, 4.0]
        .map(|multiple| CostScenario {
            multiple,
            total_return: Some((gain + cost * (1.0 - multiple)).max(-0.98)),
            sharpe: Some(sharpe + 3.0 * cost * (1.0 - multiple)),
            max_drawdown: metrics.max_drawdown.map(|depth| (depth - 0.1 * cost * multiple).max(-1.0)),
        })
        .to_vec();
    let free = gain + cost;
    book.break_even_cost_multiple = (free > 0.0 && cost > 0.0 && free / cost < 100.0).then(|| free / cost);
}

pub(super) fn audit(passed: bool) -> AuditSummary {
    let parts = [
        ("features", "12 columns keep their bits up to the moment"),
        ("labels", "labels enter training only after their outcome is known"),
        ("scaler", "means and deviations come from the train part alone"),
        ("split", "no window of a train part reaches into a test part"),
        ("model inputs", "all windows keep their bits"),
        ("decisions", "all orders keep their bits"),
        ("fills", "all fills keep their bits"),
        ("warm-up", "dropping the first 500 bars changes nothing after warm-up"),
        ("streaming", "bar by bar gives the same orders as all at once"),
    ];
    let checks = parts.map(|(part, finding)| {
        let leak = !passed && part == "scaler";
        let finding =
            if leak { "the mean of `volume` at 2023-02-01 00:00 depends on later bars" } else { finding };
        AuditCheck { part: part.into(), passed: !leak, compared: 1_204_811, finding: finding.into() }
    });
    AuditSummary { passed, depth: "short".into(), moments: 24, checks: checks.to_vec(), cpu_seconds: 1.34 }
}
