//! What a sweep asks of one experiment: the networks of its folds and seeds, trained to some epoch, and their figures on
//! validation rows. Nothing here looks at a test row.

use super::RunError;
use super::books::{self, Market};
use super::events::Thresholds;
use super::fit::{self, Fitted, metrics_by_horizon, prepare};
use super::members::{NetworkName, restore_units};
use super::shelf::Shelf;
use crate::audit::{Prepared, Tables};
use crate::config::{JudgedFigure, Plan};
use crate::data::{self, Fold, Loaded};
use crate::device::ChosenDevice;
use crate::kernels::arena::Arena;
use crate::kernels::instructions::Instructions;
use crate::metrics::{returns, sharpe, stretch_returns};
use crate::model::{Divergence, Fit, FitError, FitTask, Member, ModelConfig, Started};
use crate::progress::Silent;
use crate::rundir::sha256_hex;
use crate::seed::Seed;
use crate::table::{Bars, BookResult, Features, Labels, ModelPredictions, Predictions};
use crate::train::TrainConfig;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// By what a trial is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judging {
    /// The model that is judged; the others are not trained.
    pub model: String,
    /// The strategy whose book is run on the validation bars, if any.
    pub strategy: Option<String>,
    /// The figure.
    pub metric: JudgedFigure,
    /// The first so many folds judge.
    pub folds: usize,
    /// Networks a fold.
    pub seeds: usize,
}

/// Stretches of the first fold's validation bars over which a book's returns are kept.
const STRETCHES: usize = 128;

/// A trial that can be trained: its plan, and by which keys its data are shared.
pub struct Trial {
    plan: Plan,
    train: Arc<TrainConfig>,
    loaded: Arc<Loaded>,
    tables_key: String,
    windows_key: String,
    /// Hash of all that its figures depend on.
    pub id: String,
    /// Equal for trials of equal tensor shapes.
    pub shape: String,
}

/// One network of a trial.
pub enum Network<'a> {
    /// A closed form, which is done at once.
    Closed(Box<Fit>),
    /// A network that may be trained on.
    Trained(Box<Member<'a>>),
}

/// A network of an earlier job, from which one goes on.
pub enum Before<'a> {
    /// Nobody else needs it: it is trained on itself.
    Own(Network<'a>),
    /// Others may need it: its state is taken over.
    Shared(Arc<Network<'a>>),
}

/// The figures of one network on validation rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The figure that judges.
    pub value: f64,
    /// Numbers that were fitted.
    pub parameters: usize,
    /// Validation windows on which it was judged.
    pub windows: usize,
    /// The network's shape in words.
    pub shape: String,
    /// Epoch and validation loss.
    pub curve: Vec<(u64, f64)>,
    /// Sharpe ratio a year of the strategy's book; on the first fold only.
    pub sharpe: Option<f64>,
    /// Returns of that book over equal stretches.
    pub returns: Vec<f32>,
}

/// Trains trials; what several of them need is made once.
pub struct Workshop<'a> {
    judging: Judging,
    pub(super) device: &'a ChosenDevice,
    pub(super) threads: usize,
    stop: &'a AtomicBool,
    loaded: Shelf<Loaded>,
    tables: Shelf<(Features, Labels)>,
    windows: Shelf<Prepared>,
    /// What devices had no room for.
    notes: Mutex<BTreeSet<String>>,
}

/// Data sets that are kept although no trial is at work on them.
const KEPT: usize = 8;

impl<'a> Workshop<'a> {
    /// With `shared: false` every network gets data of its own, which changes no bit.
    pub fn new(
        judging: Judging,
        (device, threads): (&'a ChosenDevice, usize),
        stop: &'a AtomicBool,
        shared: bool,
    ) -> Self {
        let most = if shared { KEPT } else { 0 };
        // Bars are read once in any case: they are the experiment, not a part of a trial.
        Workshop {
            judging,
            device,
            threads,
            stop,
            loaded: Shelf::new(KEPT),
            tables: Shelf::new(most),
            windows: Shelf::new(most),
            notes: Mutex::default(),
        }
    }

    /// By what trials are judged.
    pub fn judging(&self) -> &Judging {
        &self.judging
    }

    /// What devices had no room for, each once.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Remembers what the network's device had no room for.
    pub(super) fn note(&self, member: &Member) {
        if let Some(note) = member.population().and_then(|record| record.note.clone()) {
            self.notes.lock().unwrap_or_else(PoisonError::into_inner).insert(note);
        }
    }

    /// Puts bars on the shelf that were loaded already.
    pub fn bring(&self, plan: &Plan, loaded: Loaded) -> Arc<Loaded> {
        self.loaded.put(&json(&plan.experiment.data), loaded)
    }

    /// A trial of these settings.
    ///
    /// # Errors
    /// Bars that cannot be loaded.
    pub fn trial(&self, plan: Plan) -> Result<Trial, String> {
        let experiment = &plan.experiment;
        let judging = &self.judging;
        let data_key = json(&experiment.data);
        let loaded =
            self.loaded.get(&data_key, || data::load(&experiment.data).map_err(|error| error.to_string()))?;
        let config = experiment.models.get(&judging.model).ok_or("the judged model is not there")?;
        let tables_key = [data_key, json(&experiment.features), json(&experiment.target)].join("\n");
        let windows_key = [
            tables_key.clone(),
            json(&experiment.split),
            json(&experiment.scaler),
            format!("{} {}", config.build().window(), experiment.train.stride_bars),
        ]
        .join("\n");
        let strategy = judging
            .strategy
            .as_ref()
            .map(|name| (name, experiment.strategies.get(name), &experiment.backtest));
        let facts = [
            env!("CARGO_PKG_VERSION").to_owned(),
            format!("{} {}", self.device.name, Instructions::fingerprint()),
            loaded.sha256.clone(),
            windows_key.clone(),
            json(&experiment.seed),
            json(&(&judging.model, config)),
            json(&experiment.train),
            json(&(&strategy, &experiment.alarms)),
            format!("{} {} {}", judging.metric.name(), judging.folds, judging.seeds),
        ];
        let mut id = sha256_hex(facts.join("\n").as_bytes());
        id.truncate(24);
        let shape = shape_key(config, experiment.train.batch_size, &json(&experiment.features));
        let train = Arc::new(experiment.train.clone());
        Ok(Trial { train, loaded, tables_key, windows_key, id, shape, plan })
    }

    /// Makes what all networks of a trial need, for whoever wants it later.
    ///
    /// # Errors
    /// As [`Workshop::train`].
    pub fn prepare(&self, trial: &Trial) -> Result<(), RunError> {
        self.ground(trial, 0).map(|_| ())
    }

    /// Trains network number `part` along the legs, each a trial's settings and the epoch to which they are used. With a
    /// network from before only the last leg is left to do.
    ///
    /// # Errors
    /// Data on which the trial cannot be trained, a loss that is no number, or the wish to stop.
    pub fn train(
        &self,
        legs: &[(&Trial, u64)],
        part: usize,
        before: Option<Before<'a>>,
        arena: &Arena,
    ) -> Result<Network<'a>, RunError> {
        let Some(((last, epochs), earlier)) = legs.split_last() else {
            return Err(self.failed(part, FitError::Settings("there is nothing to train".into())));
        };
        let mut network = match before {
            Some(Before::Own(network)) => network,
            Some(Before::Shared(other)) => self.fork(last, part, &other)?,
            None => {
                let mut network: Option<Network> = None;
                for (trial, epochs) in earlier {
                    let mut next = self.next(trial, part, network.as_ref())?;
                    self.advance(&mut next, part, *epochs, arena)?;
                    network = Some(next);
                }
                self.next(last, part, network.as_ref())?
            }
        };
        self.advance(&mut network, part, *epochs, arena)?;
        Ok(network)
    }

    pub(super) fn next(
        &self,
        trial: &Trial,
        part: usize,
        before: Option<&Network>,
    ) -> Result<Network<'a>, RunError> {
        match before {
            Some(before) => self.fork(trial, part, before),
            None => self.start(trial, part),
        }
    }

    /// A network of a trial with the state of another one.
    pub(super) fn fork(&self, trial: &Trial, part: usize, other: &Network) -> Result<Network<'a>, RunError> {
        let mut network = self.start(trial, part)?;
        if let (Network::Trained(member), Network::Trained(other)) = (&mut network, other) {
            member.adopt(other).map_err(|error| self.failed(part, error))?;
        }
        Ok(network)
    }

    fn start(&self, trial: &Trial, part: usize) -> Result<Network<'a>, RunError> {
        let ground = self.ground(trial, part)?;
        // The very network of an ordinary run of this experiment.
        let name = NetworkName { fold: ground.fold.index, ..self.name(part) };
        let task = FitTask {
            label: name.label(),
            train: ground.prepared.train.clone(),
            validation: ground.prepared.validation.clone(),
            kind: ground.tables.1.kind(),
            horizons: ground.tables.1.horizons().into(),
            config: trial.train.clone(),
            seed: name.seed(Seed(trial.plan.experiment.seed)),
            cuda: !self.device.gpus.is_empty(),
            checkpoint: None,
            stop: self.stop,
            progress: &Silent,
        };
        let config = self.config(trial)?;
        match config.build().start(task).map_err(|error| self.failed(part, error))? {
            Started::Done(fit) => Ok(Network::Closed(Box::new(fit))),
            Started::Member(member) => Ok(Network::Trained(Box::new(member))),
        }
    }

    fn advance(
        &self,
        network: &mut Network,
        part: usize,
        epochs: u64,
        arena: &Arena,
    ) -> Result<(), RunError> {
        let Network::Trained(member) = network else { return Ok(()) };
        member.to_epoch(epochs, arena).map_err(|error| self.failed(part, error))?;
        self.check(member, part)
    }

    /// Whether a network that was trained may be judged.
    pub(super) fn check(&self, member: &Member, part: usize) -> Result<(), RunError> {
        match member.divergence() {
            None => Ok(()),
            // It has forecasts of its best epoch before; but settings that diverge are not to be trained longer.
            Some(Divergence { epoch, step, loss }) => {
                let task = self.name(part).label();
                Err(self.failed(part, FitError::Diverged { task, epoch, step, loss }))
            }
        }
    }

    /// The figures of a network on the validation rows of its fold, with the weights that it would keep if it ended now.
    ///
    /// # Errors
    /// A figure that is no number, or a strategy that cannot decide.
    pub fn judge(
        &self,
        trial: &Trial,
        part: usize,
        network: &Network,
        arena: &Arena,
    ) -> Result<Figures, RunError> {
        let ground = self.ground(trial, part)?;
        let mut figures = match network {
            Network::Closed(fit) => Figures {
                parameters: fit.report.parameters,
                shape: "closed form".into(),
                ..Figures::default()
            },
            Network::Trained(member) => Figures {
                parameters: member.parameters(),
                shape: member.shape(),
                curve: member.curve().iter().map(|row| (row.epoch, row.validation_loss)).collect(),
                ..Figures::default()
            },
        };
        figures.windows = ground.prepared.validation.len();
        let metric = self.judging.metric;
        let first = part < self.judging.seeds;
        let trades = self.judging.strategy.is_some() && (first || metric == JudgedFigure::SharpeRatio);
        let predictions = if trades || metric != JudgedFigure::Loss {
            Some(self.forecast(trial, &ground, part, network, arena)?)
        } else {
            None
        };
        let mut ratio = None;
        if let Some(predictions) = predictions.as_ref().filter(|_| trades) {
            let books = self.trade(trial, &ground, predictions.clone())?;
            ratio = Some(mean_sharpe(&trial.plan, &books));
            if first {
                (figures.sharpe, figures.returns) = (ratio, mean_returns(&books));
            }
        }
        let value = match (metric, &predictions) {
            (JudgedFigure::Loss, _) => loss(&trial.train, &figures.curve),
            (JudgedFigure::SharpeRatio, _) => ratio,
            (_, Some(predictions)) => metric.of(&metrics_by_horizon(&ground.loaded.bars, predictions).0),
            (_, None) => None,
        };
        let none = || FitError::Settings(format!("{} is not defined for it", metric.name()));
        figures.value = value.filter(|value| value.is_finite()).ok_or_else(|| self.failed(part, none()))?;
        Ok(figures)
    }

    fn forecast(
        &self,
        trial: &Trial,
        ground: &Ground,
        part: usize,
        network: &Network,
        arena: &Arena,
    ) -> Result<ModelPredictions, RunError> {
        let validation = &ground.prepared.validation;
        let values = match network {
            Network::Closed(fit) => fit.model.predict(validation),
            Network::Trained(member) => member.forecast(validation, arena),
        };
        let mut values = values.map_err(|error| self.failed(part, error))?;
        let units = restore_units(&ground.prepared.scaler, validation.samples(), &mut values);
        let labels = &ground.tables.1;
        let mut actual = Vec::with_capacity(validation.len() * labels.horizons().len());
        for sample in validation.samples() {
            let of = |horizon: usize| labels.column(sample.symbol as usize, horizon)[sample.row as usize];
            actual.extend((0..labels.horizons().len()).map(of));
        }
        let mut predictions = ModelPredictions {
            model: self.judging.model.clone(),
            kind: labels.kind(),
            horizons: labels.horizons().to_vec(),
            samples: validation.samples().to_vec(),
            fold: vec![ground.fold.index as u32; validation.len()],
            values,
            actual,
            alarm_at: Vec::new(),
            units,
        };
        if let Some(alarms) = &trial.plan.experiment.alarms {
            Thresholds::choose(alarms, &predictions, &ground.loaded.bars).set(&mut predictions);
        }
        Ok(predictions)
    }

    /// The books of the judged strategy on the validation bars of a fold.
    fn trade(
        &self,
        trial: &Trial,
        ground: &Ground,
        predictions: ModelPredictions,
    ) -> Result<Vec<BookResult>, RunError> {
        let Some(strategy) = &self.judging.strategy else { return Ok(Vec::new()) };
        let (bars, fold) = (&ground.loaded.bars, &ground.fold);
        let timeline = bars.timeline();
        let span = timeline.step_at(fold.validation.start)..timeline.step_at(fold.validation.end);
        let mut fitted = Fitted::none(&trial.plan, bars)?;
        fitted.first_validation = Predictions(vec![predictions]);
        let seed = Seed(trial.plan.experiment.seed);
        // Trials have the devices for themselves, and few books.
        let market = Market { plan: &trial.plan, bars, fitted: &fitted, progress: &Silent, seed, gpus: &[] };
        books::on_validation(&market, strategy, &span)
    }

    /// What a network of a trial stands on.
    fn ground(&self, trial: &Trial, part: usize) -> Result<Ground, RunError> {
        let fail = |reason| self.failed(part, FitError::Settings(reason));
        let bars: &Bars = &trial.loaded.bars;
        let number = part / self.judging.seeds;
        let fold = fit::folds(&trial.plan, bars)?.into_iter().nth(number);
        let fold = fold.ok_or_else(|| fail(format!("the split has no fold {number}")))?;
        let make = || fit::tables(&trial.plan, bars).map_err(|error| error.to_string());
        let tables = self.tables.get(&trial.tables_key, make).map_err(fail)?;
        let make = || {
            let (features, labels) = &*tables;
            let model = (self.judging.model.as_str(), self.config(trial).map_err(|error| error.to_string())?);
            prepare(&trial.plan, &Tables { bars, features, labels }, &fold, model)
                .map_err(|error| error.to_string())
        };
        let prepared = self.windows.get(&format!("{}\n{number}", trial.windows_key), make).map_err(fail)?;
        Ok(Ground { loaded: trial.loaded.clone(), tables, prepared, fold })
    }

    fn config<'b>(&self, trial: &'b Trial) -> Result<&'b ModelConfig, RunError> {
        let missing = || self.failed(0, FitError::Settings("the judged model is not there".into()));
        trial.plan.experiment.models.get(&self.judging.model).ok_or_else(missing)
    }

    pub(super) fn name(&self, part: usize) -> NetworkName<'_> {
        let Judging { model, seeds, .. } = &self.judging;
        NetworkName { model, fold: part / seeds, number: part % seeds, seeds: *seeds }
    }

    pub(super) fn failed(&self, part: usize, source: FitError) -> RunError {
        RunError::Fit { task: self.name(part).label(), source }
    }
}

/// Bars, features, labels and windows of one fold.
struct Ground {
    loaded: Arc<Loaded>,
    tables: Arc<(Features, Labels)>,
    prepared: Arc<Prepared>,
    fold: Fold,
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // Settings that were read from YAML can always be written.
    serde_json::to_string(value).unwrap_or_default()
}

/// What decides the shapes of a network's tensors, and what does not hurt to be equal as well.
fn shape_key(config: &ModelConfig, batch_size: usize, features: &str) -> String {
    let mut model = serde_json::to_value(config).unwrap_or_default();
    let settings = model.as_object_mut().and_then(|model| model.values_mut().next());
    if let Some(settings) = settings.and_then(serde_json::Value::as_object_mut) {
        settings.remove("dropout");
    }
    format!("{model} {batch_size} {features}")
}

/// The validation loss with the weights that are kept: the lowest where training stops early, else the last.
fn loss(train: &TrainConfig, curve: &[(u64, f64)]) -> Option<f64> {
    let mut losses = curve.iter().map(|(_, loss)| *loss);
    match train.early_stopping {
        Some(_) => losses.min_by(f64::total_cmp),
        None => losses.next_back(),
    }
}

/// The mean Sharpe ratio of the books of one strategy: one, or one a symbol. A book that never traded counts as 0.
fn mean_sharpe(plan: &Plan, books: &[BookResult]) -> f64 {
    let settings = &plan.experiment.backtest;
    let ratio =
        |book: &BookResult| sharpe(&returns(book), settings.annual_periods(&book.equity.time)).unwrap_or(0.0);
    books.iter().map(ratio).sum::<f64>() / books.len().max(1) as f64
}

/// Their mean returns over equal stretches.
fn mean_returns(books: &[BookResult]) -> Vec<f32> {
    let stretches = books.iter().map(|book| book.equity.time.len()).min().unwrap_or(0).min(STRETCHES);
    let mut sums = vec![0.0_f32; stretches];
    for book in books {
        for (sum, value) in sums.iter_mut().zip(stretch_returns(book, stretches)) {
            *sum += value / books.len() as f32;
        }
    }
    sums
}
