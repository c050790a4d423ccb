//! A circuit breaker: leaves the market, or stops trading, while a risk is high.

use super::forecasts::traded;
use super::guarded::unnamed_guarded;
use super::{BreakerState, Strategy, Watch, World, at_least};
use crate::table::{Basis, LabelKind, NULL, Positions, SymbolBars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Guards the positions of another strategy, each symbol for itself, by a risk with three states.
///
/// - Green: the risk is below `yellow`. The guarded positions are held.
/// - Yellow: it is at `yellow` or above. `yellow_exposure` of the guarded positions is held.
/// - Red: it has reached `red`. Everything is sold, or nothing is ordered any more (`in_red`). Red ends, in green, when the
///   risk has been below `yellow` for `cool_down_bars` bars in a row.
///
/// The risk is the forecast of a model whose target is an event (`model`), or a column of the data that measures health, such
/// as the ratio of bids to asks (`column`): the lower it is, the higher the risk, so `red` is reached at this value
/// or below, and `yellow` lies above `red`.
///
/// A bar without a forecast keeps the state as long as the last forecast is younger than its horizon (a column speaks of its
/// own bar alone). After that, and before the first forecast, the breaker is blind: missing numbers are no all-clear, so red
/// stays red and green turns yellow, where `yellow_exposure` says what a book may hold that nobody watches. Bars without
/// a forecast do not count for the cool-down. Where there are forecasts but validation chose no threshold for them, no
/// number can trip the breaker or release it: it is yellow from the first such bar on, also out of red.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreaker {
    /// The model's name in the section `models`. Either this or `column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Which horizon of the target is the risk, in bars. Default: the first. With `model` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub horizon_bars: Option<u32>,
    /// The extra column (`data.columns.extra`) that falls when the risk rises. Either this or `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The risk, or the value of the column, that trips the breaker. Default with `model`: the threshold that validation
    /// chose for the fold (section `alarms`); where it held too few events to choose one, the breaker is blind. Needed with
    /// `column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub red: Option<f64>,
    /// The risk, or the value of the column, from which on there is a warning, and on whose other side red ends. Default: half
    /// of `red` with `model` (whatever `warning_share` of the section `alarms` is), `red` itself with `column`. A model
    /// whose quiet risk lies above it never leaves red: then write a `yellow` nearer to `red`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yellow: Option<f64>,
    /// Bars in a row below `yellow` that end red, at least 1. Default: with `model` the horizon, as long as the last alarm
    /// speaks of; 1 with `column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cool_down_bars: Option<usize>,
    /// What happens in red. Default `flat`.
    #[serde(default)]
    pub in_red: InRed,
    /// Share of the guarded positions that is held in yellow, 0 to 1. Default 1: yellow only warns.
    #[serde(default = "all")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub yellow_exposure: f64,
    /// The strategy whose positions are guarded. Default: buy every symbol and hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<String>,
}

fn all() -> f64 {
    1.0
}

/// What a circuit breaker does in red.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InRed {
    /// Sells everything.
    #[default]
    Flat,
    /// Orders nothing and keeps what is held; after red the guarded positions are taken up as they are then.
    Pause,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        CircuitBreaker {
            model: Some("model".into()),
            horizon_bars: None,
            column: None,
            red: None,
            yellow: None,
            cool_down_bars: None,
            in_red: InRed::default(),
            yellow_exposure: all(),
            guards: None,
        }
    }
}

impl Strategy for CircuitBreaker {
    fn model(&self) -> Option<(&str, Option<u32>)> {
        self.model.as_deref().map(|model| (model, self.horizon_bars))
    }

    fn guards(&self) -> Option<&str> {
        self.guards.as_deref()
    }

    fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    fn fits(&self, kind: LabelKind) -> Result<(), String> {
        if kind == LabelKind::Event {
            return Ok(());
        }
        Err("the target is no risk of an event; write one such as `drawdown_within: {horizons_bars: [30], fall_percent: 5}`, \
             or use the strategy `model_signal`"
            .into())
    }

    fn check(&self) -> Result<(), String> {
        match (&self.model, &self.column) {
            (None, None) => {
                return Err("there is no risk: write `model`, a model of the section models, or `column`, an extra column of \
                            the data"
                    .into());
            }
            (Some(_), Some(_)) => return Err("model excludes column; remove one of them".into()),
            (None, Some(_)) => self.check_column()?,
            (Some(_), None) => self.check_risk()?,
        }
        at_least(1, "cool_down_bars", self.cool_down_bars.unwrap_or(1))?;
        if (0.0..=1.0).contains(&self.yellow_exposure) {
            return Ok(());
        }
        Err(format!("yellow_exposure is {}, expected 0 to 1", self.yellow_exposure))
    }

    fn watch(&self, world: &World) -> Option<Result<Vec<Watch>, String>> {
        Some(self.watches(world))
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        let watches = self.watches(world)?;
        let guarded = match (&self.guards, world.reference) {
            (Some(name), None) => {
                return Err(format!(
                    "guards: there are no positions of `{name}`; write the name of a strategy"
                ));
            }
            (_, Some(reference)) => reference.clone(),
            (None, None) => unnamed_guarded(world.bars)?,
        };
        let symbols = 0..world.bars.symbols().len();
        let targets = |symbol: usize| self.orders(&watches[symbol].state, guarded.targets(symbol));
        let targets: Vec<Vec<f64>> = symbols.clone().map(targets).collect();
        match guarded.basis() {
            Basis::Slot => Positions::orders(world.bars, targets),
            Basis::Book => {
                let gross = symbols.map(|symbol| last_gross(guarded.targets(symbol), guarded.gross(symbol)));
                Positions::allocated(world.bars, targets, gross.collect())
            }
        }
    }
}

impl CircuitBreaker {
    fn watches(&self, world: &World) -> Result<Vec<Watch>, String> {
        self.check()?;
        match (&self.model, &self.column, self.red) {
            (Some(model), _, _) => self.watch_forecasts(world, model),
            (None, Some(column), Some(red)) => self.watch_column(world, column, red),
            // Refused by the check.
            (None, ..) => Err("a circuit breaker needs `model`, or `column` and `red`".into()),
        }
    }

    fn watch_forecasts(&self, world: &World, model: &str) -> Result<Vec<Watch>, String> {
        let forecasts = traded(world, model, self.horizon_bars)?;
        self.fits(forecasts.kind)?;
        let watch = |(risk, chosen): (Vec<f64>, Vec<f64>)| {
            let red = self.red.map_or(chosen, |red| vec![red; risk.len()]);
            let state = self.states(&risk, &red, forecasts.horizon);
            Watch { risk, red, state }
        };
        Ok(forecasts.columns.into_iter().zip(forecasts.alarm_at).map(watch).collect())
    }

    /// `red` and below trip the breaker: the machine, whose risk rises, sees both with the other sign.
    fn watch_column(&self, world: &World, name: &str, red: f64) -> Result<Vec<Watch>, String> {
        let watch = |symbol: &SymbolBars| {
            let values = symbol.extra(name).ok_or_else(|| {
                format!(
                    "column: {} has no extra column `{name}`; add it to data.columns.extra",
                    symbol.symbol()
                )
            })?;
            let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
            let state = self.states(&mirrored, &vec![-red; values.len()], 1);
            Ok(Watch { risk: values.to_vec(), red: vec![red; values.len()], state })
        };
        world.bars.symbols().iter().map(watch).collect()
    }

    /// The state after each row of a risk that rises. `horizon`: how many rows a number speaks of.
    fn states(&self, risk: &[f64], red: &[f64], horizon: usize) -> Vec<BreakerState> {
        let needed = self.cool_down_bars.unwrap_or(horizon);
        // Before the first forecast the breaker is blind.
        let (mut state, mut age, mut calm) = (BreakerState::Yellow, horizon, 0);
        let mut follow = |(risk, red): (&f64, &f64)| {
            if red.is_nan() && !risk.is_nan() {
                (state, age, calm) = (BreakerState::Yellow, horizon, 0);
                return state;
            }
            if risk.is_nan() {
                age += 1;
                if age >= horizon && state == BreakerState::Green {
                    state = BreakerState::Yellow;
                }
                return state;
            }
            age = 0;
            let yellow = self.yellow_of(*red);
            calm = if *risk < yellow { calm + 1 } else { 0 };
            state = match state {
                _ if risk >= red => BreakerState::Red,
                BreakerState::Red if calm < needed => BreakerState::Red,
                _ if *risk >= yellow => BreakerState::Yellow,
                _ => BreakerState::Green,
            };
            state
        };
        risk.iter().zip(red).map(&mut follow).collect()
    }

    /// Where yellow begins, of a risk that rises and is red from `red` on.
    fn yellow_of(&self, red: f64) -> f64 {
        match (&self.column, self.yellow) {
            (Some(_), yellow) => yellow.map_or(red, |yellow| -yellow),
            // A threshold that validation chose may lie below a yellow that was written.
            (None, yellow) => yellow.unwrap_or(0.5 * red).min(red),
        }
    }

    /// The orders of one symbol. An order of the guarded strategy goes through with its share; a change of state is an order
    /// of its own where it changes what is wanted.
    fn orders(&self, states: &[BreakerState], guarded: &[f64]) -> Vec<f64> {
        let (mut wanted, mut sent) = (0.0, 0.0);
        let mut follow = |(state, order): (&BreakerState, &f64)| {
            let fresh = !order.is_nan();
            if fresh {
                wanted = *order;
            }
            let share = match (state, self.in_red) {
                (BreakerState::Green, _) => 1.0,
                (BreakerState::Yellow, _) => self.yellow_exposure,
                (BreakerState::Red, InRed::Flat) => 0.0,
                (BreakerState::Red, InRed::Pause) => return NULL,
            };
            let level = share * wanted;
            if level == sent && !(fresh && share > 0.0) {
                return NULL;
            }
            sent = level;
            level
        };
        states.iter().zip(guarded).map(&mut follow).collect()
    }

    fn check_column(&self) -> Result<(), String> {
        if self.horizon_bars.is_some() {
            return Err("horizon_bars needs a model; remove it".into());
        }
        let Some(red) = self.red.filter(|red| red.is_finite()) else {
            return Err("column needs `red`, the value at or below which the breaker trips".into());
        };
        match self.yellow {
            Some(yellow) if !(yellow.is_finite() && yellow >= red) => Err(format!(
                "yellow is {yellow}, expected {red} or more: the risk rises as the column falls to `red`"
            )),
            _ => Ok(()),
        }
    }

    fn check_risk(&self) -> Result<(), String> {
        for (name, value) in [("red", self.red), ("yellow", self.yellow)] {
            if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
                return Err(format!("{name} is {value}, expected a probability from 0 to 1"));
            }
        }
        match (self.red, self.yellow) {
            (Some(red), Some(yellow)) if yellow > red => {
                Err(format!("yellow is {yellow}, expected {red} or less, where red begins"))
            }
            _ => Ok(()),
        }
    }
}

/// The gross weight of the last allocation at every row: what an order between two allocations is a part of.
fn last_gross(targets: &[f64], gross: &[f64]) -> Vec<f64> {
    let mut last = 0.0;
    let mut follow = |(target, gross): (&f64, &f64)| {
        if !target.is_nan() {
            last = *gross;
        }
        last
    };
    targets.iter().zip(gross).map(&mut follow).collect()
}
