//! What a run found: scored, written as tables, summed up, sealed.

use super::breakers::{breakers_table, guarded_table};
use super::doubts;
use super::event_doubts::event_doubts;
use super::events::alarms_table;
use super::fit::{Fitted, ModelRecord, metrics_by_horizon};
use super::grids::GridRun;
use super::score::Scored;
use super::selection::Tried;
use super::tables::{
    books_table, equity_table, fills_table, folds_table, forecast_metrics_table, history_table,
    metrics_table, positions_table, predictions_table, shown_horizons, training_table,
};
use super::{Context, RunError};
use crate::config::Plan;
use crate::data::Loaded;
use crate::domains::market::backtest::{frozen_holdings, most_optimistic, optimistic};
use crate::domains::market::indicators;
use crate::metrics::{ForecastMetrics, NoiseFloor, order_violations};
use crate::progress::{Event, Progress};
use crate::rundir::{
    AuditSummary, BacktestSummary, DataSummary, GridSummary, Manifest, ModelSummary, RunDir, Stage, Summary,
    Verdict, read_json,
};
use crate::table::{Bars, ModelPredictions};
use serde::{Deserialize, Serialize};

/// What is found so far.
pub(super) struct Outcome<'a> {
    pub plan: &'a Plan,
    pub directory: &'a RunDir,
    context: &'a Context<'a>,
    pub data_sha256: String,
    /// Books of this run.
    pub own: Tried,
    /// Books of this run and of all others on these bars.
    pub tried: Tried,
    /// Why there is no verdict, if there is none.
    pub why_no_verdict: Option<&'static str>,
    pub books: Option<Scored>,
    pub grids: Vec<GridSummary>,
    pub verdict: Option<Verdict>,
    /// The look-ahead proof, where it was asked for.
    pub audit: Option<AuditSummary>,
    /// Of each model.
    pub forecasts: Vec<ForecastFigures>,
}

/// How well the forecasts of one model matched what came.
pub(super) struct ForecastFigures {
    /// Means over the horizons, all folds together.
    pub mean: ForecastMetrics,
    /// `[horizon]`, all folds together.
    pub all: Vec<ForecastMetrics>,
    /// `[fold][horizon]`
    pub by_fold: Vec<Vec<ForecastMetrics>>,
}

/// The figures of every model over all folds together and over each, the former beside the noise floor, where it is known.
pub(super) fn judge_forecasts(
    bars: &Bars,
    fitted: &Fitted,
    floor: Option<&NoiseFloor>,
) -> Vec<ForecastFigures> {
    let of = |predictions: &ModelPredictions| {
        let (mut mean, mut all) = metrics_by_horizon(bars, predictions);
        for metrics in all.iter_mut().chain([&mut mean]) {
            metrics.above_floor = floor.map(|floor| floor.beside(metrics));
        }
        let by_fold = match fitted.folds.len() {
            1 => vec![all.clone()],
            _ => {
                let of_fold = |fold: usize| predictions.of_fold(fold as u32);
                let folds = fitted.folds.iter().map(|(fold, _)| of_fold(fold.index));
                folds.map(|part| metrics_by_horizon(bars, &part).1).collect()
            }
        };
        ForecastFigures { mean, all, by_fold }
    };
    fitted.predictions.0.iter().map(of).collect()
}

/// `began.json`: what the run began with, so that a resume cannot mix two data sets, plans, programs or devices.
#[derive(Serialize, Deserialize)]
struct Beginning {
    data_sha256: String,
    plan_sha256: String,
    version: String,
    device: String,
}

/// Remembers what a run begins with at its first start, and refuses anything else when it is resumed.
pub(super) fn same_as_it_began(outcome: &Outcome, loaded: &Loaded) -> Result<(), RunError> {
    let now = Beginning {
        data_sha256: loaded.sha256.clone(),
        plan_sha256: outcome.plan.sha256.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        device: outcome.context.device.name.clone(),
    };
    let file = outcome.directory.file("began.json");
    if !file.exists() {
        return Ok(outcome.directory.write_json("began.json", &now)?);
    }
    let before: Beginning = read_json(&file)?;
    for (what, found, expected) in [
        ("data", now.data_sha256, before.data_sha256),
        ("plan", now.plan_sha256, before.plan_sha256),
        ("version of the program", now.version, before.version),
        ("device", now.device, before.device),
    ] {
        if found != expected {
            return Err(RunError::Changed { what, found, expected });
        }
    }
    Ok(())
}

/// Tells people what was repaired and what is doubtful.
pub(super) fn warn_all(progress: &dyn Progress, loaded: &Loaded) {
    for text in loaded.repairs.iter().chain(&loaded.warnings) {
        progress.on(&Event::Warning { text: text.clone() });
    }
}

impl<'a> Outcome<'a> {
    pub(super) fn new(plan: &'a Plan, directory: &'a RunDir, context: &'a Context<'a>) -> Outcome<'a> {
        Outcome {
            plan,
            directory,
            context,
            data_sha256: String::new(),
            own: Tried::default(),
            tried: Tried::default(),
            grids: Vec::new(),
            why_no_verdict: None,
            books: None,
            verdict: None,
            audit: None,
            forecasts: Vec::new(),
        }
    }

    /// Tells people what knows the future.
    pub(super) fn warn_of_look_ahead(&self) {
        for text in super::audited::warnings(self.audit.as_ref()) {
            self.context.progress.on(&Event::Warning { text });
        }
    }

    /// Tells people which models know what nobody can.
    pub(super) fn warn_of_leaks(&self, fitted: &Fitted) {
        for text in self.leaks(fitted) {
            self.context.progress.on(&Event::Warning { text });
        }
    }

    fn leaks(&self, fitted: &Fitted) -> impl Iterator<Item = String> {
        let models = fitted.predictions.0.iter().zip(&self.forecasts);
        models.filter_map(|(predictions, figures)| doubts::below_noise_floor(predictions, figures))
    }

    /// Writes every result table.
    pub(super) fn write(&self, loaded: &Loaded, fitted: &Fitted) -> Result<(), RunError> {
        let bars = &loaded.bars;
        if !fitted.models.is_empty() {
            predictions_table(bars, fitted).write(&self.directory.file("predictions.parquet"))?;
            folds_table(fitted).write(&self.directory.file("folds.parquet"))?;
            training_table(fitted).write(&self.directory.file("training.parquet"))?;
            forecast_metrics_table(fitted, &self.forecasts)
                .write(&self.directory.file("forecast_metrics.parquet"))?;
        }
        if self.plan.experiment.keep_history {
            let features =
                indicators::compute(&self.plan.experiment.features, bars).map_err(RunError::Features)?;
            history_table(bars, &features).write(&self.directory.file("history.parquet"))?;
        }
        if let Some(truth) = &fitted.truth {
            truth.events_table(bars, fitted).write(&self.directory.file("events.parquet"))?;
            alarms_table(bars, fitted).write(&self.directory.file("alarms.parquet"))?;
        }
        if let Some(scored) = &self.books {
            let times = &bars.timeline().times()[fitted.span.clone()];
            equity_table(times, &scored.shown).write(&self.directory.file("equity.parquet"))?;
            fills_table(bars, &scored.shown).write(&self.directory.file("fills.parquet"))?;
            positions_table(bars, scored).write(&self.directory.file("positions.parquet"))?;
            metrics_table(&scored.strategies).write(&self.directory.file("metrics.parquet"))?;
            if !scored.breakers.is_empty() {
                breakers_table(bars, &scored.breakers).write(&self.directory.file("breakers.parquet"))?;
                guarded_table(&scored.breakers).write(&self.directory.file("guarded.parquet"))?;
            }
        }
        Ok(())
    }

    /// Writes a row a book of all grids.
    pub(super) fn write_grids(&self, grids: &[GridRun]) -> Result<(), RunError> {
        if !grids.is_empty() {
            books_table(grids).write(&self.directory.file("books.parquet"))?;
        }
        Ok(())
    }

    /// The document that `--json` prints.
    pub(super) fn summary(
        &self,
        loaded: &Loaded,
        fitted: &Fitted,
        stages: Vec<Stage>,
    ) -> Result<Summary, RunError> {
        let (bars, experiment) = (&loaded.bars, &self.plan.experiment);
        let times = bars.timeline().times();
        let moment = |step: usize| times.get(step).map(ToString::to_string).unwrap_or_default();
        let settings = &experiment.backtest;
        let look_ahead = super::audited::warnings(self.audit.as_ref());
        let of_books = self.books.iter().flat_map(|scored| doubts::doubts(scored, bars));
        let of_events = fitted.truth.iter().flat_map(|_| event_doubts(fitted));
        let of_data = loaded.warnings.iter().cloned();
        let of_devices = fitted.device_notes().into_iter();
        let warnings = look_ahead
            .into_iter()
            .chain(of_devices)
            .chain(self.leaks(fitted))
            .chain(of_data)
            .chain(self.doubts(bars))
            .chain(of_events)
            .chain(of_books)
            .collect();
        let mut summary = Summary {
            run_dir: self.directory.path().display().to_string(),
            name: experiment.name.clone(),
            seed: experiment.seed,
            version: env!("CARGO_PKG_VERSION").into(),
            plan_sha256: self.plan.sha256.clone(),
            device: self.context.device.name.clone(),
            device_reason: self.device_reason(fitted),
            threads: self.context.threads,
            data: DataSummary {
                path: experiment.data.path.clone(),
                rows: bars.rows(),
                symbols: bars.names().into_iter().map(str::to_owned).collect(),
                start: moment(0),
                end: moment(times.len() - 1),
                sha256: loaded.sha256.clone(),
                interval_seconds: bars.interval() as f64 * 1e-9,
                repairs: loaded.repairs.clone(),
            },
            stages,
            seconds_to_first_step: fitted
                .models
                .iter()
                .flat_map(|record| &record.fits)
                .filter_map(|(_, fit)| fit.seconds_to_first_step)
                .reduce(f64::min),
            target: experiment.target.as_ref().map(|target| target.build().kind()),
            noise_floor: experiment.noise_floor,
            models: self.models(fitted),
            status: fitted.truth.as_ref().map(|truth| truth.status(bars, fitted)).unwrap_or_default(),
            strategies: self.books.as_ref().map(|scored| scored.strategies.clone()).unwrap_or_default(),
            grids: self.grids.clone(),
            audit: self.audit.clone(),
            verdict: self.verdict.clone(),
            backtest: self.books.as_ref().map(|scored| BacktestSummary {
                start: moment(fitted.span.start),
                end: moment(fitted.span.end - 1),
                bars: fitted.span.len(),
                cash: settings.cash,
                fill: settings.fill.name().into(),
                costs: settings.costs.iter().map(ToString::to_string).collect(),
                sizing: settings.sizing.to_string(),
                exits: settings.exits.to_string(),
                margin: settings.margin.to_string(),
                periods_per_year: scored.periods_per_year,
            }),
            warnings,
        };
        summary.keep_finite();
        Ok(summary)
    }

    /// Settings and holdings that flatter.
    fn doubts(&self, bars: &Bars) -> Vec<String> {
        let mut doubts: Vec<String> = self.why_no_verdict.map(str::to_owned).into_iter().collect();
        let Some(scored) = &self.books else { return doubts };
        doubts.extend(scored.shown.iter().filter_map(|book| frozen_holdings(bars, book)));
        let (experiment, common) = (&self.plan.experiment, optimistic(&self.plan.experiment.backtest));
        doubts.extend(common.iter().cloned());
        for (name, entry) in &experiment.strategies {
            let books = entry.variations().map(|book| book.settings(&experiment.backtest));
            let own = most_optimistic(books).map(|settings| optimistic(&settings)).unwrap_or_default();
            let own = own.into_iter().filter(|doubt| !common.contains(doubt));
            doubts.extend(own.map(|doubt| format!("{name}: {doubt}")));
        }
        doubts.extend(doubt_of_shorts(&scored.unguarded_shorts));
        doubts
    }

    /// Why it is this device, and how many networks trained there at once.
    fn device_reason(&self, fitted: &Fitted) -> String {
        let reason = &self.context.device.reason;
        fitted.company().map_or_else(|| reason.clone(), |company| format!("{reason}; {company}"))
    }

    fn models(&self, fitted: &Fitted) -> Vec<ModelSummary> {
        let of = |((record, predictions), figures): ((&ModelRecord, &ModelPredictions), &ForecastFigures)| {
            let fits = || record.fits.iter().map(|(_, fit)| fit);
            let samples: u64 = fits().map(|fit| fit.samples).sum();
            let chosen = fits().find_map(|fit| fit.precision.as_ref());
            let rate = |seconds: f64| (samples > 0 && seconds > 0.0).then(|| samples as f64 / seconds);
            let shown = shown_horizons(figures.all.len());
            ModelSummary {
                name: record.name.clone(),
                kind: record.kind.into(),
                parameters: fits().next().map_or(0, |fit| fit.parameters),
                samples_per_second: rate(fits().map(|fit| fit.step_seconds).sum()),
                // On a device a processor only waits.
                samples_per_cpu_second: rate(fits().map(|fit| fit.step_cpu_seconds).sum())
                    .filter(|_| fits().all(|fit| fit.population.is_none())),
                seeds: fits().count().checked_div(fitted.folds.len()).unwrap_or(1),
                precision: chosen.map(|chosen| chosen.name.clone()),
                precision_reason: chosen.map(|chosen| chosen.reason.clone()),
                training_windows: record.training_windows,
                metrics: figures.mean.clone(),
                by_horizon: shown.iter().map(|place| figures.all[*place].clone()).collect(),
                horizons: shown.iter().map(|place| predictions.horizons[*place]).collect(),
                validation_metrics: record.validation.clone(),
                events: record.events.clone(),
                risk_order_violations: fitted.truth.as_ref().and_then(|_| order_violations(predictions)),
            }
        };
        fitted.models.iter().zip(&fitted.predictions.0).zip(&self.forecasts).map(of).collect()
    }

    /// Closes the run for good.
    pub(super) fn seal(&self, loaded: &Loaded) -> Result<(), RunError> {
        let (experiment, times) = (&self.plan.experiment, loaded.bars.timeline().times());
        Ok(self.directory.seal(Manifest {
            version: env!("CARGO_PKG_VERSION").into(),
            name: experiment.name.clone(),
            seed: experiment.seed,
            plan_sha256: self.plan.sha256.clone(),
            data_sha256: loaded.sha256.clone(),
            device: self.context.device.name.clone(),
            device_reason: self.context.device.reason.clone(),
            trials: self.own.on_models,
            books: self.own.books,
            sharpe_variance: self.own.variance,
            symbols: loaded.bars.names().into_iter().map(str::to_owned).collect(),
            bars: [0, times.len() - 1].map(|step| times[step].to_string()),
            stop_reason: "completed".into(),
            files: std::collections::BTreeMap::new(),
        })?)
    }
}

/// What a short position may lose that a book without leverage does not see before the bar is over.
fn doubt_of_shorts(books: &[String]) -> Option<String> {
    let names = books[..books.len().min(3)].join(", ");
    let more = if books.len() > 3 { " and others" } else { "" };
    (!books.is_empty()).then(|| {
        format!(
            "{names}{more} sold short without leverage, where there is no margin call: a short that doubles within a bar \
             is not liquidated within it"
        )
    })
}
