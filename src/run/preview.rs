//! What a run would do, without doing it: the resolved plan on the real bars.

use super::fit::{folds, tables, test_span};
use super::{RunError, memory};
use crate::config::Plan;
use crate::data::{self, Loaded};
use crate::domains::market::backtest::check_columns;
use crate::table::Bars;
use crate::units::Time;
use serde::Serialize;

/// A plan on its bars.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The experiment's name.
    pub name: String,
    /// Fingerprint of the resolved plan.
    pub plan_sha256: String,
    /// Bars of all symbols.
    pub bars: usize,
    /// Names of the symbols.
    pub symbols: Vec<String>,
    /// First bar.
    pub start: String,
    /// Last bar.
    pub end: String,
    /// Repairs and doubts of the data.
    pub notes: Vec<String>,
    /// Columns that models see.
    pub features: Vec<String>,
    /// The folds.
    pub folds: Vec<FoldPreview>,
    /// The models.
    pub models: Vec<ModelPreview>,
    /// Names of the strategies.
    pub strategies: Vec<String>,
    /// Those of them that are grids of parameters.
    pub grids: Vec<GridPreview>,
    /// First and last bar of the books.
    pub backtest: [String; 2],
    /// Bars a year by which ratios are annualised.
    pub periods_per_year: f64,
    /// A rough upper estimate of the memory that the run needs, in bytes.
    pub memory_bytes: usize,
}

/// One fold, with the windows of each model.
#[derive(Clone, Debug, Serialize)]
pub struct FoldPreview {
    /// From 0.
    pub fold: usize,
    /// Start and end of each training range.
    pub train: Vec<[String; 2]>,
    /// Start and end.
    pub validation: [String; 2],
    /// Start and end.
    pub test: [String; 2],
    /// For each model: training, validation and test windows.
    pub windows: Vec<[usize; 3]>,
}

/// One model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelPreview {
    /// The user's name.
    pub name: String,
    /// The registry's name.
    pub kind: String,
    /// Bars that it looks back.
    pub window: usize,
    /// Trained numbers.
    pub parameters: usize,
}

/// One grid of parameters.
#[derive(Clone, Debug, Serialize)]
pub struct GridPreview {
    /// The user's name.
    pub name: String,
    /// Each parameter that varies, with the number of its values.
    pub axes: Vec<(String, usize)>,
    /// Books that would be run.
    pub books: usize,
    /// Combinations that make no sense and would be left out.
    pub skipped: usize,
    /// The first of those in words, with the reason.
    pub skipped_example: Option<(String, String)>,
}

/// Loads the bars and works out what a run on so many threads would do.
///
/// # Errors
/// What would stop the run before it trains: the data, a feature, a fold without windows.
pub fn preview(plan: &Plan, threads: usize) -> Result<Preview, RunError> {
    let experiment = &plan.experiment;
    let loaded = data::load(&experiment.data)?;
    let bars = &loaded.bars;
    let times = bars.timeline().times();
    check_columns(&experiment.backtest.costs, bars).map_err(RunError::Costs)?;
    check_symbols(plan, bars)?;
    let folds = folds(plan, bars)?;
    let span = test_span(&folds, bars);
    let mut preview = Preview {
        name: experiment.name.clone(),
        plan_sha256: plan.sha256.clone(),
        bars: bars.rows(),
        symbols: bars.names().into_iter().map(str::to_owned).collect(),
        start: times[0].to_string(),
        end: times[times.len() - 1].to_string(),
        notes: notes(&loaded),
        features: Vec::new(),
        folds: Vec::new(),
        models: Vec::new(),
        strategies: experiment.strategies.keys().cloned().collect(),
        grids: grids(plan),
        backtest: [times[span.start].to_string(), times[span.end - 1].to_string()],
        periods_per_year: experiment.backtest.annual_periods(&times[span.clone()]),
        memory_bytes: memory::needed(plan, bars, &span, threads),
    };
    if experiment.models.is_empty() {
        return Ok(preview);
    }
    let (features, labels) = tables(plan, bars)?;
    preview.features = features.names().to_vec();
    let outputs = labels.horizons().len();
    for (name, config) in &experiment.models {
        let model = config.build();
        preview.models.push(ModelPreview {
            name: name.clone(),
            kind: config.name().into(),
            window: model.window(),
            parameters: model.parameters(features.names().len(), outputs, &experiment.train),
        });
    }
    let pair = |start: Time, end: Time| [start.to_string(), end.to_string()];
    for fold in &folds {
        let mut windows = Vec::new();
        for model in &preview.models {
            let (window, stride) = (model.window, experiment.train.stride_bars);
            let fail = |reason| RunError::Fold { fold: fold.index, model: model.name.clone(), reason };
            windows.push([
                fold.train_samples(bars, &features, &labels, window, stride).map_err(fail)?.samples().len(),
                fold.validation_samples(bars, &features, &labels, window).map_err(fail)?.len(),
                fold.test_samples(bars, &features, window).map_err(fail)?.len(),
            ]);
        }
        preview.folds.push(FoldPreview {
            fold: fold.index,
            train: fold.train.iter().map(|range| pair(range.start, range.end)).collect(),
            validation: pair(fold.validation.start, fold.validation.end),
            test: pair(fold.test.start, fold.test.end),
            windows,
        });
    }
    Ok(preview)
}

/// Every symbol that a strategy names must be there, and as many as it ranks.
pub(super) fn check_symbols(plan: &Plan, bars: &Bars) -> Result<(), RunError> {
    let names = bars.names();
    for (strategy, entry) in &plan.experiment.strategies {
        for book in entry.variations() {
            let fail = |reason| RunError::Strategy { strategy: strategy.clone(), reason };
            book.strategy.build().fits_symbols(&names).map_err(fail)?;
        }
    }
    Ok(())
}

fn grids(plan: &Plan) -> Vec<GridPreview> {
    let entries = plan.experiment.strategies.iter().filter(|(_, entry)| entry.is_grid());
    let described = entries.map(|(name, entry)| GridPreview {
        name: name.clone(),
        axes: entry.axes().iter().map(|axis| (axis.parameter.clone(), axis.values.len())).collect(),
        books: entry.len(),
        skipped: entry.skipped_count(),
        skipped_example: entry.skipped().next(),
    });
    described.collect()
}

fn notes(loaded: &Loaded) -> Vec<String> {
    loaded.repairs.iter().chain(&loaded.warnings).cloned().collect()
}
