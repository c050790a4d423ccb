//! The replay: bars of a run, or of another file, arrive one moment at a time at a chosen speed.

use super::StreamError;
use super::batch::Batch;
use super::clock::{Clock, Latencies, Speed};
use super::feed::{FeedForecast, FeedSummary, Latency, Opening};
use super::forecaster::{Forecaster, Moment};
use super::score::{Recurrences, Scores};
use crate::config::Plan;
use crate::data;
use crate::domains::market::indicators::Bar;
use crate::run::{SavedModel, SavedPlace, named_model};
use crate::rundir::{Manifest, RiskLevel, RunDir, RunDirError, TableFile};
use crate::table::{Bars, LabelKind, Labels};
use crate::units::Time;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What to replay.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The user's name of a model; left out: the first network, or the first model.
    pub model: Option<String>,
    /// The first tick is not before this time.
    pub from: Option<Time>,
    /// At most so many ticks.
    pub ticks: Option<usize>,
    /// Another Parquet of the same shape as that of the run: all of it is replayed.
    pub data: Option<String>,
}

/// A replay that is ready to begin.
pub struct Replay {
    model_name: String,
    plan: Plan,
    folder: PathBuf,
    /// What the files of the run must be.
    manifest: Manifest,
    bars: Bars,
    /// What came of every row. Only this judge knows the future; a forecast is scored when its outcome has arrived.
    judge: Labels,
    /// The number of each fold with its test part.
    tests: Vec<(usize, Range<Time>)>,
    /// Steps of the timeline that are ticks.
    ticks: Range<usize>,
    /// What the run forecast itself.
    batch: Batch,
    /// Whether the bars are those of the run.
    own: bool,
}

impl Replay {
    /// Reads the run and the bars.
    ///
    /// # Errors
    /// A run that is not finished, a model that it does not have, bars that are not its own, or a time outside of them.
    pub fn open(directory: &Path, plan: Plan, choice: &Choice) -> Result<Replay, StreamError> {
        let model_name = chosen_model(&plan, choice.model.as_deref())?;
        let target = plan.experiment.target.as_ref().ok_or(StreamError::NoModels)?;
        let mut config = plan.experiment.data.clone();
        if let Some(path) = &choice.data {
            config.path.clone_from(path);
            config.range = data::RangeConfig::default();
        }
        let loaded = data::load(&config)?;
        let bars = loaded.bars;
        let manifest =
            RunDir::manifest(directory)?.ok_or_else(|| StreamError::Unfinished(directory.into()))?;
        let own = manifest.data_sha256 == loaded.sha256;
        match choice.data {
            None if !own => return Err(StreamError::OtherBars { path: config.path }),
            Some(_) => same_symbols(&manifest.symbols, &bars)?,
            None => {}
        }
        let judge = target.build().compute(&bars).map_err(StreamError::Labels)?;
        let tests = test_parts(directory)?;
        let ticks = ticks(&bars, &tests, choice)?;
        let batch = Batch::read(directory, &model_name, (&bars.names(), judge.horizons()))?;
        let folder = directory.to_owned();
        Ok(Replay { model_name, plan, folder, manifest, bars, judge, tests, ticks, batch, own })
    }

    /// What will be replayed.
    pub fn opening(&self) -> Opening {
        let times = self.bars.timeline().times();
        Opening {
            model: self.model_name.clone(),
            symbols: self.bars.names().into_iter().map(str::to_owned).collect(),
            horizons: self.judge.horizons().to_vec(),
            kind: self.judge.kind(),
            ticks: self.ticks.len(),
            first: times[self.ticks.start].to_string(),
            last: times[self.ticks.end - 1].to_string(),
            interval_seconds: self.bars.interval() as f64 * 1e-9,
        }
    }

    /// Feeds the bars before the first tick, then tick after tick until all are through or `stop` is set; `on` hears every
    /// forecast as it is made.
    ///
    /// # Errors
    /// A model that cannot be read, or a device that fails.
    pub fn run(
        &self,
        speed: Speed,
        (clock, stop): (&dyn Clock, &AtomicBool),
        on: &mut dyn FnMut(&FeedForecast),
    ) -> Result<FeedSummary, StreamError> {
        let mut stream = Stream::new(self)?;
        for step in 0..self.ticks.start {
            let moment = stream.moment(step);
            stream.forecaster.feed(&moment)?;
        }
        let times = self.bars.timeline().times();
        let start = clock.now();
        for step in self.ticks.clone() {
            let due = start.saturating_add(speed.pause(times[step].0 - times[self.ticks.start].0));
            clock.wait_until(due);
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if speed != Speed::Max {
                stream.latest = stream.latest.max(clock.now().saturating_sub(due));
            }
            stream.tick(step, clock, on)?;
        }
        let interrupted = stream.ticks < self.ticks.len();
        Ok(stream.summary(speed, clock.now().saturating_sub(start), interrupted))
    }
}

fn chosen_model(plan: &Plan, wanted: Option<&str>) -> Result<String, StreamError> {
    let models = &plan.experiment.models;
    let Some(name) = wanted else {
        let network = models.iter().find(|(_, config)| !config.build().is_closed_form());
        return network.or(models.first()).map(|(name, _)| name.clone()).ok_or(StreamError::NoModels);
    };
    Ok(named_model(plan, name).map(|_| name.to_owned())?)
}

/// A model knows symbols by their numbers, so their names must be those of the run; one alone may have another.
fn same_symbols(expected: &[String], bars: &Bars) -> Result<(), StreamError> {
    let found = bars.names();
    if found == expected || (found.len() == 1 && expected.len() == 1) {
        return Ok(());
    }
    Err(StreamError::OtherSymbols { found: found.join(", "), expected: expected.join(", ") })
}

/// The number of each fold with its test part, as the run wrote them.
fn test_parts(directory: &Path) -> Result<Vec<(usize, Range<Time>)>, StreamError> {
    let path = directory.join("folds.parquet");
    let table = TableFile::read_columns(&path, &["fold", "test_start", "test_end"])?;
    let columns = table.integer("fold").zip(table.time("test_start")).zip(table.time("test_end"));
    let Some(((folds, starts), ends)) = columns.filter(|((folds, _), _)| !folds.is_empty()) else {
        let remedy = "run the experiment again";
        return Err(RunDirError::Damaged { path, reason: "it holds no fold".into(), remedy }.into());
    };
    let parts = folds.iter().zip(starts.iter().zip(ends));
    Ok(parts.map(|(fold, (start, end))| (*fold as usize, *start..*end)).collect())
}

/// The steps of the timeline that are ticks: the test parts of the run, or all bars of another file.
fn ticks(bars: &Bars, tests: &[(usize, Range<Time>)], choice: &Choice) -> Result<Range<usize>, StreamError> {
    let timeline = bars.timeline();
    let (first, end) = match choice.data {
        Some(_) => (0, timeline.times().len()),
        None => {
            let start = tests.iter().map(|(_, part)| part.start).min().unwrap_or_default();
            let end = tests.iter().map(|(_, part)| part.end).max().unwrap_or_default();
            (timeline.step_at(start), timeline.step_at(end))
        }
    };
    let start = choice.from.map_or(first, |from| timeline.step_at(from).max(first));
    let end = choice.ticks.map_or(end, |most| end.min(start.saturating_add(most)));
    if start >= end {
        let times = timeline.times();
        let last = times[first.max(end.max(1) - 1).min(times.len() - 1)];
        return Err(StreamError::NoTick { first: times[first.min(times.len() - 1)], last });
    }
    Ok(start..end)
}

/// One replay under way.
struct Stream<'a> {
    replay: &'a Replay,
    forecaster: Forecaster,
    /// The model of the fold that is on.
    model: Option<(usize, SavedModel)>,
    /// `[symbol]`: the row of the next bar.
    rows: Vec<usize>,
    scores: Scores,
    recurrences: Option<Recurrences>,
    latencies: Latencies,
    ticks: usize,
    forecasts: usize,
    identical: usize,
    compared: usize,
    /// How late the latest tick came.
    latest: Duration,
}

impl<'a> Stream<'a> {
    fn new(replay: &'a Replay) -> Result<Stream<'a>, StreamError> {
        let experiment = &replay.plan.experiment;
        let window = experiment.models[&replay.model_name].build().window();
        let (symbols, levels) = (replay.bars.symbols().len(), replay.judge.kind() == LabelKind::Value);
        Ok(Stream {
            replay,
            forecaster: Forecaster::new(&experiment.features, &replay.bars, window)?,
            model: None,
            rows: vec![0; symbols],
            scores: Scores::new(replay.judge.horizons(), symbols, levels),
            recurrences: levels.then(|| Recurrences::new(symbols)),
            latencies: Latencies::default(),
            ticks: 0,
            forecasts: 0,
            identical: 0,
            compared: 0,
            latest: Duration::ZERO,
        })
    }

    /// The bars of a step. Steps must come one after the other.
    fn moment(&mut self, step: usize) -> Moment {
        let time = self.replay.bars.timeline().times()[step];
        let symbols = self.replay.bars.symbols().iter().zip(&mut self.rows);
        let bars = symbols.map(|(bars, row)| {
            let has_bar = bars.time().get(*row) == Some(&time);
            *row += usize::from(has_bar);
            has_bar.then(|| Bar::of(bars, *row - 1))
        });
        Moment { time, bars: bars.collect() }
    }

    fn tick(
        &mut self,
        step: usize,
        clock: &dyn Clock,
        on: &mut dyn FnMut(&FeedForecast),
    ) -> Result<(), StreamError> {
        let moment = self.moment(step);
        self.score(&moment);
        let fold = self.replay.fold_at(moment.time);
        self.take_model(fold)?;
        let arrived = clock.now();
        let fed = self.forecaster.feed(&moment)?;
        let forecasts = match (&self.model, fold) {
            (Some((_, model)), Some(_)) => self.forecaster.forecast(model, &fed)?,
            _ => Vec::new(),
        };
        let latency = clock.now().saturating_sub(arrived);
        self.latencies.add(latency);
        self.ticks += 1;
        for (symbol, values) in forecasts {
            let told = self.tell((symbol, &values), &moment, (fold, &fed, latency));
            on(&told);
            self.scores.expect(symbol, self.rows[symbol] - 1, values);
        }
        Ok(())
    }

    /// Everything that was forecast for this moment has its outcome now.
    fn score(&mut self, moment: &Moment) {
        let judge = &self.replay.judge;
        for (symbol, bar) in moment.bars.iter().enumerate() {
            let Some(bar) = bar else { continue };
            let outcome = |row: usize, horizon: usize| judge.column(symbol, horizon)[row];
            self.scores.arrive(symbol, self.rows[symbol] - 1, outcome);
            if let Some(recurrences) = &mut self.recurrences {
                recurrences.arrive(symbol, moment.time.0, bar.close);
            }
        }
    }

    /// Reads the model of a fold when its test part begins.
    fn take_model(&mut self, fold: Option<usize>) -> Result<(), StreamError> {
        let Some(fold) = fold.filter(|fold| self.model.as_ref().is_none_or(|(on, _)| on != fold)) else {
            return Ok(());
        };
        let Replay { folder, manifest, plan, model_name, .. } = self.replay;
        let place = SavedPlace { model: model_name, fold, seed: None };
        self.model = Some((fold, SavedModel::open((folder, manifest), plan, place)?));
        Ok(())
    }

    /// Counts a forecast and says all there is to say about it.
    fn tell(
        &mut self,
        (symbol, values): (usize, &[f64]),
        moment: &Moment,
        (fold, fed, latency): (Option<usize>, &[Option<Vec<f64>>], Duration),
    ) -> FeedForecast {
        let replay = self.replay;
        let horizons = replay.judge.horizons();
        let identical = replay.batch.equals(symbol, moment.time, values).filter(|_| replay.own);
        self.forecasts += 1;
        self.compared += usize::from(identical.is_some());
        self.identical += usize::from(identical == Some(true));
        let close = moment.bars[symbol].as_ref().map_or(f64::NAN, |bar| bar.close);
        if let Some(recurrences) = &mut self.recurrences {
            let interval = replay.bars.interval();
            let ahead: Vec<i64> =
                horizons.iter().map(|bars| interval.saturating_mul(i64::from(*bars))).collect();
            recurrences.expect(symbol, (moment.time.0, close), values, &ahead);
        }
        let names = self.forecaster.names().iter().cloned();
        let features = names.zip(fed[symbol].iter().flatten().copied()).collect();
        let alarm_at = fold.and_then(|fold| replay.batch.alarms(fold, horizons.len()));
        let share = replay.plan.experiment.alarms.unwrap_or_default().warning_share;
        let levels = |alarms: &Vec<f64>| {
            values.iter().zip(alarms).map(|(risk, alarm)| RiskLevel::of(*risk, *alarm, share)).collect()
        };
        FeedForecast {
            tick: self.ticks,
            timestamp: moment.time,
            symbol: replay.bars.symbols()[symbol].symbol().to_owned(),
            close,
            features,
            model: replay.model_name.clone(),
            model_version: self
                .model
                .as_ref()
                .map(|(_, model)| model.version().to_owned())
                .unwrap_or_default(),
            fold,
            forecast: values.to_vec(),
            status: alarm_at.as_ref().map(levels),
            alarm_at,
            identical,
            scores: self.scores.figures(),
            recurrence: self.recurrences.as_ref().map(Recurrences::figures),
            latency_microseconds: latency.as_secs_f64() * 1e6,
        }
    }

    fn summary(&self, speed: Speed, wall: Duration, interrupted: bool) -> FeedSummary {
        let seconds = wall.as_secs_f64();
        FeedSummary {
            ticks: self.ticks,
            forecasts: self.forecasts,
            interrupted,
            scores: self.scores.figures(),
            recurrence: self.recurrences.as_ref().map(Recurrences::figures),
            latency: Latency {
                median_microseconds: self.latencies.quantile(0.5),
                p95_microseconds: self.latencies.quantile(0.95),
                p99_microseconds: self.latencies.quantile(0.99),
            },
            seconds,
            ticks_per_second: (seconds > 0.0).then(|| self.ticks as f64 / seconds),
            speed: speed.to_string(),
            latest_milliseconds: self.latest.as_secs_f64() * 1e3,
            compared: self.compared,
            identical: self.identical,
            bars_remembered: self.forecaster.remembered(),
        }
    }
}

impl Replay {
    /// The fold whose model forecasts at this time: the one whose test part it is; on another file, outside of all test
    /// parts, the last one.
    fn fold_at(&self, time: Time) -> Option<usize> {
        let own = self.tests.iter().find(|(_, part)| part.contains(&time));
        let last = || self.tests.last().filter(|_| !self.own);
        own.or_else(last).map(|(fold, _)| *fold)
    }
}
