//! Everything a report draws from, read from one run directory and checked once.

use super::ReportError;
use super::books::{GridBooks, read_books};
use super::forecast_panels;
use super::strategy_table::ranked;
use crate::rundir::{RunDirError, StrategySummary, Summary, TableFile, read_json};
use crate::units::Time;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a run directory. What a run does not have is empty.
pub(super) struct RunFiles {
    pub(super) folder: PathBuf,
    pub(super) summary: Summary,
    /// `config.yaml`, verbatim.
    pub(super) config: String,
    /// `resolved.yaml`.
    pub(super) resolved: String,
    /// The bars of the books.
    pub(super) times: Vec<Time>,
    /// A curve a strategy, in the order of the table; `times.len()` values each.
    pub(super) curves: Vec<Curve>,
    /// By strategy.
    pub(super) fills: BTreeMap<String, FillTotals>,
    /// In the order of the table.
    pub(super) forecasts: Vec<Forecasts>,
    pub(super) folds: Vec<Fold>,
    /// In the order of the table.
    pub(super) trainings: Vec<Training>,
    /// In the order of the summary; empty without the file of the books.
    pub(super) grids: Vec<GridBooks>,
}

/// One book over time.
pub(super) struct Curve {
    pub(super) strategy: String,
    /// In quote currency.
    pub(super) equity: Vec<f64>,
    /// 0 or negative.
    pub(super) drawdown: Vec<f64>,
}

/// What a book traded, in quote currency.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FillTotals {
    pub(super) fills: usize,
    pub(super) notional: f64,
}

/// The forecasts of one model for one horizon whose outcome is known.
pub(super) struct Forecasts {
    pub(super) model: String,
    pub(super) horizon: i64,
    /// (forecast, outcome)
    pub(super) pairs: Vec<(f64, f64)>,
    /// How many of the first pairs are of rows of the first symbol that follow each other, of which no more than can be
    /// drawn count; 0 where none are drawn.
    pub(super) leading: usize,
}

/// One cut of the walk-forward split: `[train, validation, test]`.
pub(super) struct Fold {
    pub(super) number: i64,
    pub(super) start: [Time; 3],
    pub(super) end: [Time; 3],
    pub(super) windows: [i64; 3],
}

/// The epochs of one network of a model in one fold.
pub(super) struct Training {
    pub(super) model: String,
    pub(super) fold: i64,
    /// Which of the networks that differ in their seed, from 0.
    pub(super) seed: i64,
    pub(super) epochs: Vec<i64>,
    pub(super) training_loss: Vec<f64>,
    pub(super) validation_loss: Vec<f64>,
    /// Empty in runs of older versions.
    pub(super) learning_rate: Vec<f64>,
}

impl RunFiles {
    /// Reads the directory.
    pub(super) fn read(folder: &Path) -> Result<RunFiles, ReportError> {
        if folder.join("config.yaml").exists() && !folder.join("summary.json").exists() {
            return Err(ReportError::NoResults { run: folder.into() });
        }
        let summary: Summary = read_json(&folder.join("summary.json"))?;
        let drawn = if forecast_panels::drawable(summary.target) { forecast_panels::ROWS } else { 0 };
        let (books, (forecasts, (folds, trainings))) = rayon::join(
            || rayon::join(|| read_equity(folder), || read_fills(folder)),
            || rayon::join(|| read_forecasts(folder, drawn), || (read_folds(folder), read_trainings(folder))),
        );
        let grids = read_books(folder, &summary.grids)?;
        let (times, curves) = books.0?;
        Ok(RunFiles {
            folder: folder.to_owned(),
            summary,
            config: read_text(&folder.join("config.yaml"))?,
            resolved: read_text(&folder.join("resolved.yaml"))?,
            times,
            curves,
            fills: books.1?,
            forecasts: forecasts?,
            folds: folds?,
            trainings: trainings?,
            grids,
        })
    }

    /// The curve of a strategy.
    pub(super) fn curve(&self, strategy: &str) -> Option<&Curve> {
        self.curves.iter().find(|curve| curve.strategy == strategy)
    }

    /// Cash at the start of every book; without a backtest summary the first equity.
    pub(super) fn cash(&self) -> f64 {
        let first = || self.curves.first().and_then(|curve| curve.equity.first().copied());
        self.summary.backtest.as_ref().map(|backtest| backtest.cash).or_else(first).unwrap_or(1.0)
    }

    /// The name of the book on a model that the verdict is about.
    pub(super) fn best_model(&self) -> Option<&str> {
        self.summary.verdict.as_ref().map(|verdict| verdict.best_model.as_str())
    }

    /// The name of the baseline that it is measured against.
    pub(super) fn best_baseline(&self) -> Option<&str> {
        self.summary.verdict.as_ref().map(|verdict| verdict.best_baseline.as_str())
    }

    /// How a strategy is drawn, as a class of the style sheet: `model` and `baseline` before the grey `other`; without a
    /// verdict the best books by [`ranked`] have a hue each.
    pub(super) fn role(&self, strategy: &str) -> &'static str {
        const HUES: [&str; 8] = ["hue0", "hue1", "hue2", "hue3", "hue4", "hue5", "hue6", "hue7"];
        let known = self.best_model().zip(self.best_baseline());
        match known {
            Some((model, _)) if model == strategy => "model",
            Some((_, baseline)) if baseline == strategy => "baseline",
            Some(_) => "other",
            None => {
                let rank = ranked(&self.summary).iter().position(|book| book.name == strategy);
                rank.and_then(|rank| HUES.get(rank)).copied().unwrap_or("other")
            }
        }
    }

    /// The indices of the curves: the two of the verdict, then the other books by [`ranked`].
    pub(super) fn order(&self) -> Vec<usize> {
        let ranked = ranked(&self.summary);
        let mut order: Vec<usize> = (0..self.curves.len()).collect();
        order.sort_by_key(|index| {
            let name = &self.curves[*index].strategy;
            let role = ["model", "baseline"].iter().position(|role| *role == self.role(name)).unwrap_or(2);
            (role, ranked.iter().position(|book| book.name == *name).unwrap_or(usize::MAX))
        });
        order
    }
}

/// The strategy of that name.
pub(super) fn strategy<'a>(summary: &'a Summary, name: &str) -> Option<&'a StrategySummary> {
    summary.strategies.iter().find(|strategy| strategy.name == name)
}

/// A file's text, empty where there is no such file.
pub(super) fn read_text(path: &Path) -> Result<String, RunDirError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(RunDirError::Read { path: path.into(), source }),
    }
}

/// A table and where it came from.
struct Source {
    path: PathBuf,
    table: TableFile,
}

impl Source {
    /// The columns that the report needs; other columns are not read.
    fn read(folder: &Path, name: &str, columns: &[&str]) -> Result<Option<Source>, ReportError> {
        let path = folder.join(name);
        if !path.exists() {
            return Ok(None);
        }
        let table = TableFile::read_columns(&path, columns)?;
        Ok(Some(Source { path, table }))
    }

    fn missing(&self, column: &'static str, kind: &'static str) -> ReportError {
        ReportError::Column { path: self.path.clone(), column, kind }
    }

    fn text(&self, column: &'static str) -> Result<&[Arc<str>], ReportError> {
        self.table.text(column).ok_or_else(|| self.missing(column, "text"))
    }

    fn float(&self, column: &'static str) -> Result<&[f64], ReportError> {
        self.table.float(column).ok_or_else(|| self.missing(column, "float"))
    }

    fn integer(&self, column: &'static str) -> Result<&[i64], ReportError> {
        self.table.integer(column).ok_or_else(|| self.missing(column, "integer"))
    }

    fn time(&self, column: &'static str) -> Result<&[Time], ReportError> {
        self.table.time(column).ok_or_else(|| self.missing(column, "time"))
    }
}

fn read_equity(folder: &Path) -> Result<(Vec<Time>, Vec<Curve>), ReportError> {
    let Some(source) =
        Source::read(folder, "equity.parquet", &["strategy", "timestamp", "equity", "drawdown"])?
    else {
        return Ok(Default::default());
    };
    let (names, rows) = (source.text("strategy")?, source.time("timestamp")?);
    let (equity, drawdown) = (source.float("equity")?, source.float("drawdown")?);
    let mut curves: Vec<(Vec<Time>, Curve)> = Vec::new();
    let mut row = 0;
    for part in names.chunk_by(|left, right| left == right) {
        let range = row..row + part.len();
        row += part.len();
        let place = curves.iter().position(|(_, curve)| *curve.strategy == *part[0]).unwrap_or_else(|| {
            let curve = Curve { strategy: part[0].to_string(), equity: Vec::new(), drawdown: Vec::new() };
            curves.push((Vec::new(), curve));
            curves.len() - 1
        });
        let (times, curve) = &mut curves[place];
        times.extend_from_slice(&rows[range.clone()]);
        curve.equity.extend_from_slice(&equity[range.clone()]);
        curve.drawdown.extend_from_slice(&drawdown[range]);
    }
    let times = curves.first().map(|(times, _)| times.clone()).unwrap_or_default();
    if let Some((other, curve)) = curves.iter().find(|(other, _)| *other != times) {
        return Err(ReportError::Rows {
            path: source.path.clone(),
            found: format!("{} bars of strategy {}", other.len(), curve.strategy),
            expected: format!("the {} timestamps of the first strategy", times.len()),
        });
    }
    Ok((times, curves.into_iter().map(|(_, curve)| curve).collect()))
}

fn read_fills(folder: &Path) -> Result<BTreeMap<String, FillTotals>, ReportError> {
    let mut totals: BTreeMap<String, FillTotals> = BTreeMap::new();
    let Some(source) = Source::read(folder, "fills.parquet", &["strategy", "quantity", "price"])? else {
        return Ok(totals);
    };
    let (quantity, price) = (source.float("quantity")?, source.float("price")?);
    let mut row = 0;
    for part in source.text("strategy")?.chunk_by(|left, right| left == right) {
        let total = totals.entry(part[0].to_string()).or_default();
        total.fills += part.len();
        for _ in part {
            total.notional += (quantity[row] * price[row]).abs();
            row += 1;
        }
    }
    Ok(totals)
}

/// The forecasts of every model and horizon; the first `drawn` of each are counted as leading.
fn read_forecasts(folder: &Path, drawn: usize) -> Result<Vec<Forecasts>, ReportError> {
    let columns = ["model", "horizon", "prediction", "actual", "symbol"];
    let wanted = if drawn > 0 { &columns[..] } else { &columns[..4] };
    let Some(source) = Source::read(folder, "predictions.parquet", wanted)? else {
        return Ok(Vec::new());
    };
    let (models, horizons) = (source.text("model")?, source.integer("horizon")?);
    let (predicted, actual) = (source.float("prediction")?, source.float("actual")?);
    let symbols = if drawn > 0 { source.text("symbol")? } else { &[] };
    let mut groups: Vec<Forecasts> = Vec::new();
    let mut row = 0;
    for part in models.chunk_by(|left, right| left == right) {
        // Horizons alternate from row to row, so only those of this model are searched.
        let mut known: Vec<(i64, usize)> = Vec::new();
        // Places among the rows of the horizon count those without an outcome, too: after one nothing is leading.
        let mut seen: Vec<usize> = Vec::new();
        for index in row..row + part.len() {
            let horizon = horizons[index];
            let place = known.iter().position(|(other, _)| *other == horizon).unwrap_or_else(|| {
                known.push((horizon, find_or_add(&mut groups, &part[0], horizon)));
                seen.push(0);
                known.len() - 1
            });
            let group = &mut groups[known[place].1];
            if predicted[index].is_finite() && actual[index].is_finite() {
                let follows = group.leading == seen[place] && seen[place] < drawn;
                if follows && symbols[index] == symbols[row] {
                    group.leading += 1;
                }
                group.pairs.push((predicted[index], actual[index]));
            }
            seen[place] += 1;
        }
        row += part.len();
    }
    Ok(groups)
}

fn find_or_add(groups: &mut Vec<Forecasts>, model: &str, horizon: i64) -> usize {
    let found = groups.iter().position(|group| group.model == model && group.horizon == horizon);
    found.unwrap_or_else(|| {
        groups.push(Forecasts { model: model.to_owned(), horizon, pairs: Vec::new(), leading: 0 });
        groups.len() - 1
    })
}

const FOLD_COLUMNS: [&str; 10] = [
    "fold",
    "train_start",
    "train_end",
    "validation_start",
    "validation_end",
    "test_start",
    "test_end",
    "train_windows",
    "validation_windows",
    "test_windows",
];

fn read_folds(folder: &Path) -> Result<Vec<Fold>, ReportError> {
    let Some(source) = Source::read(folder, "folds.parquet", &FOLD_COLUMNS)? else { return Ok(Vec::new()) };
    let number = source.integer("fold")?;
    let start = [source.time("train_start")?, source.time("validation_start")?, source.time("test_start")?];
    let end = [source.time("train_end")?, source.time("validation_end")?, source.time("test_end")?];
    let windows = [
        source.integer("train_windows")?,
        source.integer("validation_windows")?,
        source.integer("test_windows")?,
    ];
    Ok((0..number.len())
        .map(|row| Fold {
            number: number[row],
            start: start.map(|column| column[row]),
            end: end.map(|column| column[row]),
            windows: windows.map(|column| column[row]),
        })
        .collect())
}

pub(super) fn read_trainings(folder: &Path) -> Result<Vec<Training>, ReportError> {
    let Some(source) = Source::read(
        folder,
        "training.parquet",
        &["model", "fold", "seed", "epoch", "training_loss", "validation_loss", "learning_rate"],
    )?
    else {
        return Ok(Vec::new());
    };
    let (models, folds) = (source.text("model")?, source.integer("fold")?);
    let epochs = source.integer("epoch")?;
    let (training, validation) = (source.float("training_loss")?, source.float("validation_loss")?);
    // Runs of older versions have one network a fold, and may not have the rate.
    let (seeds, rates) = (source.integer("seed").ok(), source.float("learning_rate").ok());
    let mut found: Vec<Training> = Vec::new();
    for row in 0..models.len() {
        let seed = seeds.map_or(0, |seeds| seeds[row]);
        let same =
            |other: &Training| *other.model == *models[row] && other.fold == folds[row] && other.seed == seed;
        let place = found.iter().position(same).unwrap_or_else(|| {
            found.push(Training {
                model: models[row].to_string(),
                fold: folds[row],
                seed,
                epochs: vec![],
                training_loss: vec![],
                validation_loss: vec![],
                learning_rate: vec![],
            });
            found.len() - 1
        });
        found[place].epochs.push(epochs[row]);
        found[place].training_loss.push(training[row]);
        found[place].validation_loss.push(validation[row]);
        found[place].learning_rate.extend(rates.map(|rates| rates[row]));
    }
    Ok(found)
}
