//! The networks of a run as one work list: every model on every fold with every seed, kept as soon as it is done.

use super::fit::{Work, prepare};
use super::{RunError, populations};
use crate::audit::{Prepared, Tables};
use crate::data::Fold;
use crate::kernels::arena::Arena;
use crate::model::{Fit, FitError, FitReport, FitTask, ModelConfig, Started};
use crate::rundir::{Column, RunDirError, TableFile, read_json};
use crate::seed::Seed;
use crate::table::{Sample, Scaler, Windows};
use crate::train::TrainConfig;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Where a fit belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Number of the model in the configuration.
    pub model: usize,
    /// Number of the fold.
    pub fold: usize,
    /// Number of the network among those of its model and fold.
    pub seed: usize,
}

/// A network by its name: from it follow its label and its random numbers, the same in a run and in a trial of a sweep.
#[derive(Clone, Copy)]
pub(super) struct NetworkName<'a> {
    /// The user's name of its model.
    pub model: &'a str,
    /// Number of its fold in the split.
    pub fold: usize,
    /// Its number among those of its model and fold.
    pub number: usize,
    /// How many those are.
    pub seeds: usize,
}

impl NetworkName<'_> {
    /// "fold 2 lstm", "fold 2 lstm seed 3".
    pub(super) fn label(&self) -> String {
        let label = format!("fold {} {}", self.fold, self.model);
        if self.seeds == 1 { label } else { format!("{label} seed {}", self.number) }
    }

    /// From the experiment's seed. The first network of an ensemble is the one that would have been alone.
    pub(super) fn seed(&self, experiment: Seed) -> Seed {
        let seed = experiment.child(&format!("model {}", self.model), self.fold as u64);
        match self.number {
            0 => seed,
            number => seed.child("network of an ensemble", number as u64),
        }
    }
}

/// What one network learned on one fold.
pub(super) struct Part {
    pub record: Record,
    pub validation: Forecasts,
    pub test: Forecasts,
}

/// `fit.json`: written last, it says that the part is whole.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub report: FitReport,
    /// Training, validation and test windows.
    pub windows: [usize; 3],
}

/// Forecast rows of one fold.
pub(super) struct Forecasts {
    pub fold: u32,
    pub samples: Vec<Sample>,
    /// `[N]`, or empty: see [`crate::table::ModelPredictions::units`].
    pub units: Vec<f64>,
    /// `[N, H]` row-major.
    pub values: Vec<f64>,
}

/// Fits everything, in the order of models, folds and seeds.
///
/// A thread takes one member after the other, the largest first, so that no thread ends alone with a long one; it brings
/// its own arena, and windows are shared by the members that are at work on them and forgotten after the last. A network
/// that diverges before it has learned anything stops none of the others: they are fitted and kept, then the run ends.
pub(super) fn fit_all(work: &Work, folds: &[Fold]) -> Result<Vec<(Place, Part)>, RunError> {
    let train = Arc::new(work.plan.experiment.train.clone());
    let shelf = Shelf::new(work, folds);
    let list = work_list(work, &shelf, &train);
    if !work.context.device.gpus.is_empty() {
        return populations::fit_on_gpus(&work.context.device.gpus, &list);
    }
    let (next, halt, done) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(Vec::new()));
    rayon::broadcast(|_| {
        let arena = Arena::default();
        while let Some(job) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
            if halt.load(Ordering::Relaxed) {
                break;
            }
            let part = job.run(&arena);
            if part.as_ref().is_err_and(|error| !diverged(error)) {
                halt.store(true, Ordering::Relaxed);
            }
            done.lock().unwrap_or_else(PoisonError::into_inner).push((job.place, part));
        }
    });
    sorted(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// All parts in the order of models, folds and seeds, or what ended the run.
pub(super) fn sorted(
    mut parts: Vec<(Place, Result<Part, RunError>)>,
) -> Result<Vec<(Place, Part)>, RunError> {
    // What ended the run at once is told before what others were not stopped by.
    parts.sort_by_key(|(place, part)| (part.as_ref().err().is_none_or(diverged), *place));
    let mut parts =
        parts.into_iter().map(|(place, part)| Ok((place, part?))).collect::<Result<Vec<_>, RunError>>()?;
    parts.sort_by_key(|(place, _)| *place);
    Ok(parts)
}

pub(super) fn diverged(error: &RunError) -> bool {
    matches!(error, RunError::Fit { source: FitError::Diverged { .. }, .. })
}

/// Networks of a model on each fold; a closed form is the same for every seed.
pub(super) fn networks(model: &ModelConfig, train: &TrainConfig) -> usize {
    if model.build().is_closed_form() { 1 } else { train.seeds }
}

/// The folder of each network of a model and fold below a run directory.
pub(super) fn folders(directory: &Path, fold: usize, model: &str, networks: usize) -> Vec<PathBuf> {
    let folder = directory.join(format!("models/fold-{fold}/{model}"));
    match networks {
        1 => vec![folder],
        _ => (0..networks).map(|number| folder.join(format!("seed-{number}"))).collect(),
    }
}

/// All jobs, the largest networks first; the seeds of one network stand together, since they share their windows.
fn work_list<'a>(work: &'a Work, shelf: &'a Shelf, train: &'a Arc<TrainConfig>) -> Vec<Job<'a>> {
    let (features, outputs) = (work.features.names().len(), work.labels.horizons().len());
    let mut list = Vec::new();
    for (model, (name, config)) in work.plan.experiment.models.iter().enumerate() {
        let built = config.build();
        let size = built.parameters(features, outputs, train).saturating_mul(built.window());
        let seeds = networks(config, train);
        for fold in 0..shelf.folds.len() {
            for seed in 0..seeds {
                let place = Place { model, fold, seed };
                list.push((size, Job { work, shelf, train, place, name, config, seeds }));
            }
        }
    }
    list.sort_by_key(|(size, job)| (Reverse(*size), job.place.fold, job.place.model, job.place.seed));
    list.into_iter().map(|(_, job)| job).collect()
}

/// What members of equal fold and window share while any of them is at work.
struct Shelf<'a> {
    work: &'a Work<'a>,
    folds: &'a [Fold],
    /// Different windows of all models.
    windows: Vec<usize>,
    /// A slot a fold and window.
    slots: Vec<Mutex<Weak<Prepared>>>,
}

impl<'a> Shelf<'a> {
    fn new(work: &'a Work<'a>, folds: &'a [Fold]) -> Self {
        let mut windows: Vec<usize> =
            work.plan.experiment.models.values().map(|model| model.build().window()).collect();
        windows.sort_unstable();
        windows.dedup();
        let slots = (0..folds.len() * windows.len()).map(|_| Mutex::default()).collect();
        Shelf { work, folds, windows, slots }
    }

    fn take(&self, fold: usize, model: (&str, &ModelConfig)) -> Result<Arc<Prepared>, RunError> {
        let window = model.1.build().window();
        let index = self.windows.iter().position(|other| *other == window).unwrap_or_default();
        let slot = &self.slots[fold * self.windows.len() + index];
        // A poisoned lock only means that another thread panicked before it put its windows there.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = slot.upgrade() {
            return Ok(prepared);
        }
        let Work { plan, bars, features, labels, .. } = self.work;
        let prepared = Arc::new(prepare(plan, &Tables { bars, features, labels }, &self.folds[fold], model)?);
        *slot = Arc::downgrade(&prepared);
        Ok(prepared)
    }
}

/// One entry of the work list.
pub(super) struct Job<'a> {
    work: &'a Work<'a>,
    shelf: &'a Shelf<'a>,
    train: &'a Arc<TrainConfig>,
    pub(super) place: Place,
    name: &'a str,
    config: &'a ModelConfig,
    /// Networks of this model and fold.
    seeds: usize,
}

impl Job<'_> {
    fn fold(&self) -> &Fold {
        &self.shelf.folds[self.place.fold]
    }

    fn network(&self) -> NetworkName<'_> {
        let (fold, number) = (self.fold().index, self.place.seed);
        NetworkName { model: self.name, fold, number, seeds: self.seeds }
    }

    fn folder(&self) -> PathBuf {
        folders(self.work.directory.path(), self.fold().index, self.name, self.seeds)
            .swap_remove(self.place.seed)
    }

    pub(super) fn run(&self, arena: &Arena) -> Result<Part, RunError> {
        if let Some(part) = self.kept()? {
            return Ok(part);
        }
        let prepared = self.prepared()?;
        let fit = match self.start(&prepared).map_err(|source| self.failed(source))? {
            Started::Done(fit) => fit,
            Started::Member(member) => member.to_end(arena).map_err(|source| self.failed(source))?,
        };
        self.end(&prepared, fit)
    }

    /// What an earlier sitting finished.
    pub(super) fn kept(&self) -> Result<Option<Part>, RunError> {
        let (fold, folder) = (self.fold(), self.folder());
        let record_file = folder.join("fit.json");
        if !record_file.exists() {
            return Ok(None);
        }
        let scaler: Scaler = read_json(&folder.join("scaler.json"))?;
        Ok(Some(Part {
            record: read_json(&record_file)?,
            validation: Forecasts::read(&folder.join("validation.parquet"), fold.index, &scaler)?,
            test: Forecasts::read(&folder.join("test.parquet"), fold.index, &scaler)?,
        }))
    }

    pub(super) fn prepared(&self) -> Result<Arc<Prepared>, RunError> {
        self.shelf.take(self.place.fold, (self.name, self.config))
    }

    fn checkpoint(&self) -> PathBuf {
        self.folder().join("checkpoint.safetensors")
    }

    /// Keeps a fit that is done.
    pub(super) fn end(&self, prepared: &Prepared, fit: Fit) -> Result<Part, RunError> {
        if self.work.context.stop.load(Ordering::Relaxed) {
            return Err(self.failed(FitError::Interrupted));
        }
        let part = self.keep(&self.folder(), prepared, fit)?;
        // The part is whole now; what was needed to resume it is in the way.
        let _ = std::fs::remove_file(self.checkpoint());
        Ok(part)
    }

    /// Begins the fit, or continues it from its checkpoint.
    pub(super) fn start(&self, prepared: &Prepared) -> Result<Started<'_>, FitError> {
        let Work { labels, context, .. } = self.work;
        let task = FitTask {
            label: self.network().label(),
            train: prepared.train.clone(),
            validation: prepared.validation.clone(),
            kind: labels.kind(),
            horizons: labels.horizons().into(),
            config: self.train.clone(),
            seed: self.network().seed(self.work.seed),
            cuda: !context.device.gpus.is_empty(),
            checkpoint: Some(self.checkpoint()),
            stop: context.stop,
            progress: context.progress,
        };
        self.config.build().start(task)
    }

    pub(super) fn failed(&self, source: FitError) -> RunError {
        match source {
            FitError::Interrupted => {
                RunError::Interrupted { run_dir: self.work.directory.path().display().to_string() }
            }
            source => RunError::Fit { task: self.network().label(), source },
        }
    }

    /// Forecasts and saves; the record comes last.
    fn keep(&self, folder: &Path, prepared: &Prepared, fit: Fit) -> Result<Part, RunError> {
        let predict = |windows: &Windows| -> Result<Forecasts, RunError> {
            let mut values = fit.model.predict(windows).map_err(|source| self.failed(source))?;
            let samples = windows.samples().to_vec();
            let units = restore_units(&prepared.scaler, &samples, &mut values);
            Ok(Forecasts { fold: self.fold().index as u32, samples, units, values })
        };
        let (validation, test) = (predict(&prepared.validation)?, predict(&prepared.test)?);
        fit.model.save(folder)?;
        validation.write(&folder.join("validation.parquet"))?;
        test.write(&folder.join("test.parquet"))?;
        let write_json = |file: &str, json: serde_json::Result<String>| {
            let path = folder.join(file);
            let json = json.map_err(|error| damaged(&path, error.to_string()))?;
            crate::rundir::write_atomic(&path, json.as_bytes())
        };
        write_json("scaler.json", serde_json::to_string_pretty(&prepared.scaler))?;
        let windows = [prepared.train.len(), prepared.validation.len(), prepared.test.len()];
        let record = Record { report: fit.report, windows };
        write_json("fit.json", serde_json::to_string_pretty(&record))?;
        Ok(Part { record, validation, test })
    }
}

/// Brings forecasts `[N, H]` back to units of the label, and returns the unit of each sample's target; empty where
/// targets were learned in units of the label.
pub(super) fn restore_units(scaler: &Scaler, samples: &[Sample], values: &mut [f64]) -> Vec<f64> {
    let units = units_of(scaler, samples);
    let horizons = values.len().checked_div(samples.len()).unwrap_or(0).max(1);
    for (row, unit) in values.chunks_exact_mut(horizons).zip(&units) {
        row.iter_mut().for_each(|value| *value *= unit);
    }
    units
}

fn units_of(scaler: &Scaler, samples: &[Sample]) -> Vec<f64> {
    samples.iter().filter_map(|sample| scaler.target_unit(sample.symbol as usize)).collect()
}

fn damaged(path: &Path, reason: String) -> RunDirError {
    RunDirError::Damaged {
        path: path.into(),
        reason,
        remedy: "remove its folder and continue with `candlewick run --resume`",
    }
}

impl Forecasts {
    /// The mean of the forecasts of several networks for the same rows.
    pub(super) fn mean<'a>(parts: impl Iterator<Item = &'a Forecasts>) -> Forecasts {
        let parts: Vec<&Forecasts> = parts.collect();
        let mut values = parts[0].values.clone();
        for part in &parts[1..] {
            for (sum, value) in values.iter_mut().zip(&part.values) {
                *sum += value;
            }
        }
        let count = parts.len() as f64;
        values.iter_mut().for_each(|value| *value /= count);
        let Forecasts { fold, samples, units, .. } = parts[0];
        Forecasts { fold: *fold, samples: samples.clone(), units: units.clone(), values }
    }

    fn outputs(&self) -> usize {
        self.values.len().checked_div(self.samples.len()).unwrap_or(0)
    }

    fn write(&self, path: &Path) -> Result<(), RunDirError> {
        let outputs = self.outputs();
        let mut table = TableFile::default()
            .with(
                "symbol",
                Column::Integer(self.samples.iter().map(|sample| i64::from(sample.symbol)).collect()),
            )
            .with("row", Column::Integer(self.samples.iter().map(|sample| i64::from(sample.row)).collect()));
        for output in 0..outputs {
            let column = self.values.iter().skip(output).step_by(outputs).copied().collect();
            table = table.with(&format!("output_{output}"), Column::Float(column));
        }
        table.write(path)
    }

    fn read(path: &Path, fold: usize, scaler: &Scaler) -> Result<Forecasts, RunDirError> {
        let table = TableFile::read(path)?;
        let missing = || damaged(path, "it lacks a column".into());
        let symbols = table.integer("symbol").ok_or_else(missing)?;
        let rows = table.integer("row").ok_or_else(missing)?;
        let samples: Vec<Sample> = symbols
            .iter()
            .zip(rows)
            .map(|(symbol, row)| Sample { symbol: *symbol as u32, row: *row as u32 })
            .collect();
        let columns: Vec<&[f64]> =
            (0..).map_while(|output| table.float(&format!("output_{output}"))).collect();
        let values = (0..rows.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
        Ok(Forecasts { fold: fold as u32, units: units_of(scaler, &samples), samples, values })
    }
}
