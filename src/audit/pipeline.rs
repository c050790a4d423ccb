//! What is put to the proof: the parts of an experiment as functions of bars.

use crate::data::Fold;
use crate::domains::market::backtest::FillTime;
use crate::seed::Seed;
use crate::table::{
    Bars, BookResult, Features, Labels, ModelPredictions, Positions, Predictions, Scaler, Windows,
};
use crate::units::Time;
use std::ops::Range;
use std::sync::Arc;

/// A part of an experiment: what it makes of bars, or why it cannot.
pub type Part<'a, T> = Box<dyn Fn(&Bars) -> Result<T, String> + Sync + 'a>;

/// Orders from bars, forecasts and the steps of the timeline on which books run.
pub type Decide<'a> = Box<dyn Fn(&Bars, &Predictions, Range<usize>) -> Result<Positions, String> + Sync + 'a>;

/// Books from bars, orders and the steps of the timeline on which books run.
pub type RunBooks<'a> = Box<dyn Fn(&Bars, &Positions, Range<usize>) -> Vec<BookResult> + Sync + 'a>;

/// What a model is given on a fold; the number is its place in [`Learning::models`].
pub type Prepare<'a> = Box<dyn Fn(&Tables, &Fold, usize) -> Result<Prepared, String> + Sync + 'a>;

/// Forecasts of models that are trained anew on a fold of these bars.
pub type Forecast<'a> = Box<dyn Fn(&Bars, &Fold) -> Result<Vec<ModelPredictions>, String> + Sync + 'a>;

/// An experiment under the proof. What it does not have is not checked.
pub struct Pipeline<'a> {
    /// What models see.
    pub features: Option<Part<'a, Features>>,
    /// What models forecast.
    pub labels: Option<Part<'a, Labels>>,
    /// How models learn; needs features and labels.
    pub learning: Option<Learning<'a>>,
    /// What decides.
    pub strategies: Vec<Decider<'a>>,
    /// What fills; a strategy's own [`Decider::execution`] goes before it.
    pub execution: Option<Execution<'a>>,
    /// First and last bar of the books; all bars where it is absent.
    pub span: Option<Range<Time>>,
    /// From which moments and poisons are drawn.
    pub seed: Seed,
}

/// How models learn.
pub struct Learning<'a> {
    /// The folds over bars.
    pub split: Part<'a, Vec<Fold>>,
    /// The users' names of the models.
    pub models: Vec<String>,
    /// What a model is given on a fold.
    pub prepare: Prepare<'a>,
    /// Whether folds train on bars after their test part by intention, as a k-fold split does. Then only the labels must
    /// keep apart, and nobody could have traded the forecasts.
    pub trains_on_later_bars: bool,
    /// The bars by which one model is chosen among all.
    pub choice: Option<Range<Time>>,
    /// Models that are quick enough to be trained anew.
    pub forecast: Option<Forecast<'a>>,
}

/// Bars with their features and labels.
pub struct Tables<'a> {
    /// The bars.
    pub bars: &'a Bars,
    /// Row for row beside the bars.
    pub features: &'a Features,
    /// Row for row beside the bars.
    pub labels: &'a Labels,
}

/// What a model is given on a fold.
pub struct Prepared {
    /// Fitted on the training rows.
    pub scaler: Scaler,
    /// Windows with targets to learn from.
    pub train: Arc<Windows>,
    /// Windows with targets that choose.
    pub validation: Arc<Windows>,
    /// Windows to forecast.
    pub test: Arc<Windows>,
}

/// A strategy.
pub struct Decider<'a> {
    /// The user's name.
    pub name: String,
    /// Its orders.
    pub decide: Decide<'a>,
    /// Why it is no strategy that could be traded, hence not under the proof.
    pub exempt: Option<String>,
    /// How its orders become fills, where that is not as for all.
    pub execution: Option<Execution<'a>>,
}

/// How orders become fills.
pub struct Execution<'a> {
    /// The books of one strategy's orders.
    pub run: RunBooks<'a>,
    /// When an order is filled.
    pub fill: FillTime,
    /// Whether positions may be left within a bar (stop, target). Without it a bar's high, low and close must not matter
    /// to what is filled at its open.
    pub resting_exits: bool,
}
