//! Forecasts of a series that repeats itself, without learning more than its period: what was one period ago, or what
//! usually is at this place of the period.

use super::{CARD_FILE, ClosedForm, FitError, FitTask, Fitted, Model, Started};
use super::{bounded, check_windows, damaged, save_card};
use crate::rundir::{RunDirError, read_json};
use crate::table::{LabelKind, Sample, Windows};
use crate::train::TrainConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The feature that `last` goes by.
const CLOSE: &str = "close";

/// What repeats itself after a fixed number of bars.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Seasonal {
    /// Bars after which the series repeats itself. Bars are counted row by row, so in a series with missing bars the places
    /// of the period move on.
    #[schemars(range(min = 1))]
    pub period: usize,
    /// Which one: last or mean.
    pub forecast: SeasonalForecast,
}

/// What a seasonal model forecasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeasonalForecast {
    /// The value one period before the forecast time (two or more periods for a horizon beyond one), the seasonal naive
    /// forecast: that of the feature `close`, which must be among the features. For targets that are values or changes.
    Last,
    /// The mean of the symbol's training targets at the same place of the period, each horizon its own; of all training
    /// targets where none of them has that place.
    #[default]
    Mean,
}

impl Default for Seasonal {
    fn default() -> Self {
        Seasonal { period: 24, forecast: SeasonalForecast::Mean }
    }
}

impl Model for Seasonal {
    fn window(&self) -> usize {
        match self.forecast {
            SeasonalForecast::Last => self.period,
            SeasonalForecast::Mean => 1,
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.period == 0 {
            return Err("seasonal.period must be at least 1".into());
        }
        Ok(())
    }

    fn fits(&self, kind: LabelKind) -> Result<(), String> {
        if self.forecast == SeasonalForecast::Mean || matches!(kind, LabelKind::Value | LabelKind::Change) {
            return Ok(());
        }
        Err("seasonal.forecast last repeats a value of the series, and this target is neither a value nor a change of it; \
             use `forecast: mean`, or the target `forward_value` or `forward_change`"
            .into())
    }

    fn wanted_features(&self) -> Vec<&str> {
        match self.forecast {
            SeasonalForecast::Last => vec![CLOSE],
            SeasonalForecast::Mean => Vec::new(),
        }
    }

    /// Of one symbol.
    fn parameters(&self, _: usize, outputs: usize, _: &TrainConfig) -> usize {
        match self.forecast {
            SeasonalForecast::Last => 0,
            SeasonalForecast::Mean => self.period * outputs,
        }
    }

    fn is_closed_form(&self) -> bool {
        true
    }

    fn start<'a>(&self, task: FitTask<'a>) -> Result<Started<'a>, FitError> {
        let clock = ClosedForm::start(self, &task)?;
        let means = match self.forecast {
            SeasonalForecast::Last => Means::default(),
            SeasonalForecast::Mean => Means::of(&task.train, self.period),
        };
        let parameters = means.places.iter().flat_map(BTreeMap::values).map(Vec::len).sum();
        let fitted = FittedSeasonal {
            settings: *self,
            kind: task.kind,
            features: task.train.features(),
            horizons: task.horizons.to_vec(),
            means,
        };
        Ok(clock.done(Box::new(fitted), parameters, &task))
    }

    fn load(&self, folder: &Path) -> Result<Box<dyn Fitted>, FitError> {
        let path = folder.join(CARD_FILE);
        let fitted: FittedSeasonal = read_json(&path)?;
        if fitted.settings != *self {
            return Err(damaged(&path, "it holds a model of other settings").into());
        }
        Ok(Box::new(fitted))
    }
}

/// Mean training targets.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Means {
    /// `[symbol]`: the means `[H]` of each place that has training targets.
    places: Vec<BTreeMap<usize, Vec<f64>>>,
    /// `[H]` of all.
    overall: Vec<f64>,
}

/// How many targets, and their sums `[H]`.
type Sums = (f64, Vec<f64>);

impl Means {
    fn of(windows: &Windows, period: usize) -> Means {
        let none: Sums = (0.0, vec![0.0; windows.outputs()]);
        let mut places: Vec<BTreeMap<usize, Sums>> = Vec::new();
        let mut overall = none.clone();
        for (index, sample) in windows.samples().iter().enumerate() {
            let symbol = sample.symbol as usize;
            if places.len() <= symbol {
                places.resize_with(symbol + 1, BTreeMap::new);
            }
            let sums = places[symbol].entry(place(sample, period)).or_insert_with(|| none.clone());
            for (count, sums) in [sums, &mut overall] {
                *count += 1.0;
                for (sum, target) in sums.iter_mut().zip(windows.target(index)) {
                    *sum += f64::from(*target);
                }
            }
        }
        let mean = |(count, sums): Sums| sums.into_iter().map(|sum| sum / count).collect::<Vec<f64>>();
        let means = |places: BTreeMap<usize, Sums>| {
            places.into_iter().map(|(place, sums)| (place, mean(sums))).collect()
        };
        Means { places: places.into_iter().map(means).collect(), overall: mean(overall) }
    }

    /// The means `[H]` for a row.
    fn at(&self, sample: &Sample, period: usize) -> &[f64] {
        let of_symbol = self.places.get(sample.symbol as usize);
        of_symbol.and_then(|places| places.get(&place(sample, period))).unwrap_or(&self.overall)
    }
}

/// Where a row lies in its symbol's period.
fn place(sample: &Sample, period: usize) -> usize {
    sample.row as usize % period.max(1)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FittedSeasonal {
    settings: Seasonal,
    kind: LabelKind,
    features: usize,
    /// `[H]` in bars.
    horizons: Vec<u32>,
    means: Means,
}

impl FittedSeasonal {
    /// The values one period before each forecast time, or their distances from the current one.
    fn repeated(&self, windows: &Windows, index: usize, close: usize) -> impl Iterator<Item = f64> {
        let period = self.settings.period;
        let of = move |bar: usize| windows.unscaled(index, bar, close);
        let subtracted = if self.kind == LabelKind::Change { of(period - 1) } else { 0.0 };
        let unit = windows.target_unit(index);
        self.horizons.iter().map(move |horizon| {
            // From the window's first bar, which lies `period - 1` before its last.
            let bar = (*horizon as usize + period - 1) % period;
            (of(bar) - subtracted) / unit
        })
    }
}

impl Fitted for FittedSeasonal {
    fn predict(&self, windows: &Windows) -> Result<Vec<f64>, FitError> {
        check_windows(windows, self.settings.window(), self.features)?;
        let mut forecasts = Vec::with_capacity(windows.len() * self.horizons.len());
        if self.settings.forecast == SeasonalForecast::Mean {
            for sample in windows.samples() {
                let means = self.means.at(sample, self.settings.period);
                forecasts.extend(means.iter().map(|mean| bounded(self.kind, *mean)));
            }
            return Ok(forecasts);
        }
        let close = super::feature(windows, CLOSE)?;
        for index in 0..windows.len() {
            forecasts.extend(self.repeated(windows, index, close));
        }
        Ok(forecasts)
    }

    fn save(&self, folder: &Path) -> Result<(), RunDirError> {
        save_card(folder, self)
    }
}
