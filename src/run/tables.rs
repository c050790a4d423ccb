//! The result tables of a run directory.

use super::fit::{Fitted, ModelRecord};
use super::grids::GridRun;
use super::results::ForecastFigures;
use super::score::Scored;
use crate::metrics::{ForecastMetrics, annual_growth};
use crate::rundir::{Column, StrategySummary, TableFile};
use crate::table::{Bars, BookFigures, BookResult, Features, Fill, FillReason, NULL, Side, SymbolBars};
use crate::units::Time;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// With more horizons than this only some are shown: a report of hundreds of tables is read by nobody.
const MOST_HORIZONS: usize = 12;

/// How many are shown then, the first and the last among them.
const SHOWN_HORIZONS: usize = 6;

/// Places of the horizons that tables and reports show: all, or of many some at equal distances. The forecasts of every
/// horizon stay in `models/fold-k`, and the figures over all horizons take in every one.
pub(super) fn shown_horizons(count: usize) -> Vec<usize> {
    if count <= MOST_HORIZONS {
        return (0..count).collect();
    }
    let parts = SHOWN_HORIZONS - 1;
    (0..=parts).map(|part| (part * (count - 1) + parts / 2) / parts).collect()
}

pub(super) fn predictions_table(bars: &Bars, fitted: &Fitted) -> TableFile {
    let (mut model, mut symbol) = (Vec::new(), Vec::new());
    let (mut fold, mut horizon, mut time) = (Vec::new(), Vec::new(), Vec::new());
    let (mut prediction, mut actual, mut version) = (Vec::new(), Vec::new(), Vec::new());
    let (mut alarm_at, mut close) = (Vec::new(), Vec::new());
    let symbols = shared_names(bars);
    for (record, predictions) in fitted.models.iter().zip(&fitted.predictions.0) {
        let versions = versions_by_fold(fitted, record);
        let name: Arc<str> = predictions.model.as_str().into();
        let shown = shown_horizons(predictions.horizons.len());
        for (index, sample) in predictions.samples.iter().enumerate() {
            let source = &bars.symbols()[sample.symbol as usize];
            for output in &shown {
                let place = index * predictions.horizons.len() + output;
                model.push(name.clone());
                symbol.push(symbols[sample.symbol as usize].clone());
                fold.push(i64::from(predictions.fold[index]));
                horizon.push(i64::from(predictions.horizons[*output]));
                time.push(source.time()[sample.row as usize]);
                prediction.push(predictions.values[place]);
                actual.push(predictions.actual[place]);
                version.push(versions[&predictions.fold[index]].clone());
                if let Some(threshold) = predictions.alarm_at.get(place) {
                    alarm_at.push(*threshold);
                    close.push(source.close()[sample.row as usize]);
                }
            }
        }
    }
    let table = TableFile::default()
        .with("model", Column::Text(model))
        .with("fold", Column::Integer(fold))
        .with("symbol", Column::Text(symbol))
        .with("timestamp", Column::Time(time))
        .with("horizon", Column::Integer(horizon))
        .with("prediction", Column::Float(prediction))
        .with("actual", Column::Float(actual))
        .with("model_version", Column::Text(version));
    if alarm_at.is_empty() {
        return table;
    }
    table.with("alarm_at", Column::Float(alarm_at)).with("close", Column::Float(close))
}

/// The version of a model by the number of the fold.
fn versions_by_fold(fitted: &Fitted, record: &ModelRecord) -> BTreeMap<u32, Arc<str>> {
    let folds = fitted.folds.iter().map(|(fold, _)| fold.index as u32);
    folds.zip(record.versions.iter().map(|version| Arc::from(version.as_str()))).collect()
}

/// A row a figure of a model, fold and horizon; a figure that is not defined has none. Figures of all folds together stand
/// under the fold `all`, with the version `all` unless there is but one.
pub(super) fn forecast_metrics_table(fitted: &Fitted, figures: &[ForecastFigures]) -> TableFile {
    let (mut model, mut version, mut fold) = (Vec::new(), Vec::new(), Vec::new());
    let (mut horizon, mut metric, mut value) = (Vec::new(), Vec::new(), Vec::new());
    for ((record, predictions), figures) in fitted.models.iter().zip(&fitted.predictions.0).zip(figures) {
        let of_fold = |index: usize| (fitted.folds[index].0.index.to_string(), &*record.versions[index]);
        let whole = match &record.versions[..] {
            [one] => ("all".to_owned(), one.as_str()),
            _ => ("all".to_owned(), "all"),
        };
        let each = figures.by_fold.iter().enumerate().map(|(index, part)| (of_fold(index), part));
        for ((fold_name, fold_version), part) in std::iter::once((whole, &figures.all)).chain(each) {
            let shared = [record.name.as_str(), fold_version, &fold_name].map(Arc::<str>::from);
            for (bars, metrics) in predictions.horizons.iter().zip(part) {
                for (name, figure) in figures_of(metrics) {
                    model.push(shared[0].clone());
                    version.push(shared[1].clone());
                    fold.push(shared[2].clone());
                    horizon.push(i64::from(*bars));
                    metric.push(Arc::from(name));
                    value.push(figure);
                }
            }
        }
    }
    TableFile::default()
        .with("model", Column::Text(model))
        .with("model_version", Column::Text(version))
        .with("fold", Column::Text(fold))
        .with("horizon", Column::Integer(horizon))
        .with("metric", Column::Text(metric))
        .with("value", Column::Float(value))
}

/// The defined figures by their own names, so that a new figure needs no line here; a list becomes one figure an item,
/// and a group of figures one each: `ic_interval_0`.
fn figures_of(metrics: &ForecastMetrics) -> Vec<(String, f64)> {
    fn add(name: &str, value: &Value, found: &mut Vec<(String, f64)>) {
        let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}_{key}") };
        match value {
            Value::Number(number) => found.extend(number.as_f64().map(|number| (name.to_owned(), number))),
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, item)| add(&below(&index.to_string()), item, found));
            }
            Value::Object(group) => group.iter().for_each(|(key, item)| add(&below(key), item, found)),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    add("", &serde_json::to_value(metrics).unwrap_or_default(), &mut found);
    found
}

/// The name in `history.parquet` of a feature that is called like another column there.
pub fn renamed_feature(name: &str) -> String {
    format!("feature_{name}")
}

/// Every bar with its extra columns and its features, null in their warm-up. A feature with the name of a column that is
/// there already is renamed: see [`renamed_feature`].
pub(super) fn history_table(bars: &Bars, features: &Features) -> TableFile {
    let symbols = bars.symbols();
    let rows = |of: &dyn Fn(&SymbolBars) -> Vec<f64>| Column::Float(symbols.iter().flat_map(of).collect());
    let names = shared_names(bars);
    let names =
        symbols.iter().zip(&names).flat_map(|(bars, name)| std::iter::repeat_n(name.clone(), bars.len()));
    let mut table = TableFile::default()
        .with("symbol", Column::Text(names.collect()))
        .with("timestamp", Column::Time(symbols.iter().flat_map(|bars| bars.time()).copied().collect()))
        .with("open", rows(&|bars| bars.open().to_vec()))
        .with("high", rows(&|bars| bars.high().to_vec()))
        .with("low", rows(&|bars| bars.low().to_vec()))
        .with("close", rows(&|bars| bars.close().to_vec()))
        .with("volume", rows(&|bars| bars.volume().to_vec()));
    let extras: BTreeSet<&str> =
        symbols.iter().flat_map(|bars| bars.extras().keys()).map(String::as_str).collect();
    for extra in extras {
        let column = |bars: &SymbolBars| bars.extra(extra).map_or(vec![NULL; bars.len()], <[f64]>::to_vec);
        table = table.with(extra, rows(&column));
    }
    for (feature, name) in features.names().iter().enumerate() {
        let values = (0..symbols.len()).flat_map(|symbol| features.column(symbol, feature)).copied();
        let taken = table.columns().any(|(other, _)| other == name);
        let name = if taken { renamed_feature(name) } else { name.clone() };
        table = table.with(&name, Column::Float(values.collect()));
    }
    table
}

pub(super) fn folds_table(fitted: &Fitted) -> TableFile {
    let folds = &fitted.folds;
    let time = |of: fn(&crate::data::Fold) -> crate::units::Time| {
        Column::Time(folds.iter().map(|(fold, _)| of(fold)).collect())
    };
    let count =
        |part: usize| Column::Integer(folds.iter().map(|(_, windows)| windows[part] as i64).collect());
    TableFile::default()
        .with("fold", Column::Integer(folds.iter().map(|(fold, _)| fold.index as i64).collect()))
        .with("train_start", time(|fold| fold.train.first().map_or(fold.test.start, |range| range.start)))
        .with("train_end", time(|fold| fold.train.last().map_or(fold.test.start, |range| range.end)))
        .with("validation_start", time(|fold| fold.validation.start))
        .with("validation_end", time(|fold| fold.validation.end))
        .with("test_start", time(|fold| fold.test.start))
        .with("test_end", time(|fold| fold.test.end))
        .with("train_windows", count(0))
        .with("validation_windows", count(1))
        .with("test_windows", count(2))
}

pub(super) fn training_table(fitted: &Fitted) -> TableFile {
    let (mut model, mut fold, mut seed, mut epoch) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut training, mut validation, mut rate) = (Vec::new(), Vec::new(), Vec::new());
    for record in &fitted.models {
        let name: Arc<str> = record.name.as_str().into();
        for (place, fit) in &record.fits {
            for row in &fit.epochs {
                model.push(name.clone());
                fold.push(fitted.folds[place.fold].0.index as i64);
                seed.push(place.seed as i64);
                epoch.push(row.epoch as i64);
                training.push(row.training_loss);
                validation.push(row.validation_loss);
                rate.push(row.learning_rate);
            }
        }
    }
    let mut table =
        TableFile::default().with("model", Column::Text(model)).with("fold", Column::Integer(fold));
    if seed.iter().any(|seed| *seed > 0) {
        table = table.with("seed", Column::Integer(seed));
    }
    table
        .with("epoch", Column::Integer(epoch))
        .with("training_loss", Column::Float(training))
        .with("validation_loss", Column::Float(validation))
        .with("learning_rate", Column::Float(rate))
}

/// A row a book and step of the span. A book of one symbol that is listed later, or not to the end, waits in cash.
pub(super) fn equity_table(times: &[Time], books: &[BookResult]) -> TableFile {
    let (mut name, mut time) = (Vec::new(), Vec::new());
    let (mut equity, mut cash, mut exposure, mut drawdown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for book in books {
        let book_name: Arc<str> = book.strategy.as_str().into();
        let own = &book.equity;
        let first = own.time.first().map_or(times.len(), |first| times.partition_point(|time| time < first));
        let rest = times.len() - first - own.time.len();
        let last = |values: &[f64], none: f64| values.last().copied().unwrap_or(none);
        let padded = |all: &mut Vec<f64>, values: &[f64], before: f64| {
            all.extend(std::iter::repeat_n(before, first));
            all.extend(values);
            all.extend(std::iter::repeat_n(last(values, before), rest));
        };
        name.extend(std::iter::repeat_n(book_name, times.len()));
        time.extend_from_slice(times);
        padded(&mut equity, &own.equity, book.starting_cash);
        padded(&mut cash, &own.cash, book.starting_cash);
        padded(&mut exposure, &own.exposure, 0.0);
        padded(&mut drawdown, &own.drawdown(book.starting_cash), 0.0);
    }
    TableFile::default()
        .with("strategy", Column::Text(name))
        .with("timestamp", Column::Time(time))
        .with("equity", Column::Float(equity))
        .with("cash", Column::Float(cash))
        .with("exposure", Column::Float(exposure))
        .with("drawdown", Column::Float(drawdown))
}

pub(super) fn fills_table(bars: &Bars, books: &[BookResult]) -> TableFile {
    let symbols = shared_names(bars);
    let sides = [Side::Buy, Side::Sell].map(|side| Arc::<str>::from(side.name()));
    let reasons = FillReason::ALL.map(|reason| Arc::<str>::from(reason.name()));
    let fills: Vec<&Fill> = books.iter().flat_map(|book| &book.fills).collect();
    let names = books
        .iter()
        .flat_map(|book| std::iter::repeat_n(Arc::<str>::from(book.strategy.as_str()), book.fills.len()));
    let float = |of: fn(&Fill) -> f64| Column::Float(fills.iter().map(|fill| of(fill)).collect());
    let text = |of: &dyn Fn(&Fill) -> Arc<str>| Column::Text(fills.iter().map(|fill| of(fill)).collect());
    TableFile::default()
        .with("strategy", Column::Text(names.collect()))
        .with("symbol", text(&|fill| symbols[fill.symbol as usize].clone()))
        .with("timestamp", Column::Time(fills.iter().map(|fill| fill.time).collect()))
        .with("side", text(&|fill| sides[usize::from(fill.side == Side::Sell)].clone()))
        .with("quantity", float(|fill| fill.quantity))
        .with("price", float(|fill| fill.price))
        .with("reference_price", float(|fill| fill.reference_price))
        .with("fee", float(|fill| fill.fee))
        .with("gas", float(|fill| fill.gas))
        .with("spread", float(|fill| fill.spread))
        .with("slippage", float(|fill| fill.slippage))
        .with("impact", float(|fill| fill.impact))
        .with("reason", text(&|fill| reasons[fill.reason as usize].clone()))
}

/// The names of the symbols, to be shared by the rows of a table.
pub(super) fn shared_names(bars: &Bars) -> Vec<Arc<str>> {
    bars.names().into_iter().map(Arc::from).collect()
}

pub(super) fn positions_table(bars: &Bars, scored: &Scored) -> TableFile {
    let (mut strategy, mut symbol, mut time, mut target) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let symbols = shared_names(bars);
    for (name, positions) in &scored.decided {
        let name: Arc<str> = name.as_str().into();
        for (index, source) in bars.symbols().iter().enumerate() {
            for (row, value) in
                positions.targets(index).iter().enumerate().filter(|(_, value)| !value.is_nan())
            {
                strategy.push(name.clone());
                symbol.push(symbols[index].clone());
                time.push(source.time()[row]);
                target.push(*value);
            }
        }
    }
    TableFile::default()
        .with("strategy", Column::Text(strategy))
        .with("symbol", Column::Text(symbol))
        .with("timestamp", Column::Time(time))
        .with("target", Column::Float(target))
}

pub(super) fn metrics_table(strategies: &[StrategySummary]) -> TableFile {
    let (mut name, mut metric, mut value) = (Vec::new(), Vec::new(), Vec::new());
    for strategy in strategies {
        // The figures' own names, so that a new figure needs no line here.
        let figures = serde_json::to_value(&strategy.metrics).unwrap_or_default();
        for (key, figure) in figures.as_object().into_iter().flatten() {
            name.push(Arc::from(strategy.name.as_str()));
            metric.push(Arc::from(key.as_str()));
            value.push(figure.as_f64().unwrap_or(f64::NAN));
        }
    }
    TableFile::default()
        .with("strategy", Column::Text(name))
        .with("metric", Column::Text(metric))
        .with("value", Column::Float(value))
}

/// A row a book of all grids, with a column for every parameter that varies in one of them; null where it does not.
pub(super) fn books_table(grids: &[GridRun]) -> TableFile {
    let (mut grid_name, mut number) = (Vec::new(), Vec::new());
    for grid in grids {
        let name: Arc<str> = grid.name.as_str().into();
        grid_name.extend(std::iter::repeat_n(name, grid.figures.len()));
        number.extend(0..grid.figures.len() as i64);
    }
    let mut table =
        TableFile::default().with("grid", Column::Text(grid_name)).with("book", Column::Integer(number));
    let mut parameters: Vec<&str> = Vec::new();
    for axis in grids.iter().flat_map(|grid| grid.entry.axes()) {
        if !parameters.contains(&axis.parameter.as_str()) {
            parameters.push(&axis.parameter);
        }
    }
    for parameter in parameters {
        table = table.with(parameter, parameter_column(grids, parameter));
    }
    let float = |of: &dyn Fn(&BookFigures, f64) -> f64| {
        let books =
            grids.iter().flat_map(|grid| grid.figures.iter().map(|book| of(book, grid.periods_per_year)));
        Column::Float(books.collect())
    };
    let count = |of: fn(&BookFigures) -> usize| {
        Column::Integer(
            grids.iter().flat_map(|grid| grid.figures.iter().map(|book| of(book) as i64)).collect(),
        )
    };
    let known = |figure: Option<f64>| figure.unwrap_or(f64::NAN);
    table
        .with("total_return", float(&|book, _| book.total_return()))
        .with(
            "cagr",
            float(&|book, periods| known(annual_growth(1.0 + book.total_return(), book.bars, periods))),
        )
        .with("volatility", float(&|book, periods| book.return_deviation * periods.sqrt()))
        .with("sharpe", float(&|book, periods| known(book.sharpe(periods))))
        .with("max_drawdown", float(&|book, _| book.max_drawdown))
        .with("trades", count(|book| book.trades))
        .with("fills", count(|book| book.fills))
        .with("win_rate", float(&|book, _| book.winning_trades as f64 / book.trades as f64))
        .with("fees", float(&|book, _| book.fees))
        .with("slippage_cost", float(&|book, _| book.slippage_cost))
        .with("exposure", float(&|book, _| book.held_bars as f64 / book.bars as f64))
        .with("final_equity", float(&|book, _| book.final_equity))
}

/// The values of a parameter: numbers where all are numbers, else text.
fn parameter_column(grids: &[GridRun], parameter: &str) -> Column {
    let axis = |grid: &GridRun| grid.entry.axes().iter().position(|axis| axis.parameter == parameter);
    let values: Vec<Option<&Value>> = grids
        .iter()
        .flat_map(|grid| {
            let axis = axis(grid);
            (0..grid.figures.len()).map(move |book| axis.map(|axis| grid.entry.coordinates(book)[axis]))
        })
        .collect();
    if values.iter().flatten().all(|value| value.is_number()) {
        return Column::Float(
            values.iter().map(|value| value.and_then(Value::as_f64).unwrap_or(f64::NAN)).collect(),
        );
    }
    let spoken = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Column::Text(values.iter().map(|value| Arc::from(value.map(spoken).unwrap_or_default())).collect())
}
