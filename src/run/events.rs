//! Forecasts of rare events: the alarms that validation chooses, the figures, the status at the last row, and the tables.

use super::RunError;
use super::fit::{Fitted, Work};
use super::tables::{shared_names, shown_horizons};
use crate::config::ExperimentConfig;
use crate::data::Fold;
use crate::metrics::{
    AlarmConfig, Beside, EventFigures, EventRows, Reached, RiskRows, alarm_threshold, event_figures,
};
use crate::rundir::{Column, EventSummary, RiskLevel, RiskStatus, TableFile};
use crate::table::{Bars, ModelPredictions, NULL, Sample};
use crate::units::{DAY_NANOSECONDS, Time};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nanoseconds of an hour, within which a forecast is one of 24 hours ago.
const HOUR: i64 = DAY_NANOSECONDS / 24;

/// The risk from which on a model raises an alarm, by fold; of each horizon, null where its validation rows hold no event or
/// already their highest risk raises too many false alarms.
pub(super) struct Thresholds(BTreeMap<u32, Vec<f64>>);

impl Thresholds {
    /// Chosen on the validation rows of each fold, for that fold alone.
    pub(super) fn choose(alarms: &AlarmConfig, validation: &ModelPredictions, bars: &Bars) -> Thresholds {
        let of_fold = |fold: u32| {
            let of_horizon = |output: usize| {
                let rows = EventRows::new(&RiskRows::of(validation, output), Some(fold), bars);
                alarm_threshold(&rows, alarms.false_alarms_per_day).unwrap_or(NULL)
            };
            (fold, (0..validation.horizons.len()).into_par_iter().map(of_horizon).collect())
        };
        let mut folds = validation.fold.clone();
        folds.dedup();
        Thresholds(folds.into_iter().map(of_fold).collect())
    }

    /// Writes them beside the forecasts of the same folds.
    pub(super) fn set(&self, predictions: &mut ModelPredictions) {
        let none = vec![NULL; predictions.horizons.len()];
        let of = |fold: &u32| self.0.get(fold).unwrap_or(&none).iter().copied();
        predictions.alarm_at = predictions.fold.iter().flat_map(of).collect();
    }
}

/// What is true of the events, whoever forecasts them.
pub(super) struct Truth {
    alarms: AlarmConfig,
    /// `[symbol][row]`: bars to the one that completes the event; null where none comes.
    bars_to_event: Vec<Vec<f64>>,
    /// Of each fold the share of training rows with an event, by horizon.
    training_base_rates: BTreeMap<u32, Vec<f64>>,
}

impl Truth {
    /// `None` where the target is no event.
    pub(super) fn of(work: &Work, folds: &[Fold]) -> Result<Option<Truth>, RunError> {
        let Some(truth) = Truth::of_bars(&work.plan.experiment, work.bars) else { return Ok(None) };
        let rates = |fold: &Fold| {
            let rows = fold.train_samples(work.bars, work.features, work.labels, 1, 1);
            let rows = rows.map_err(RunError::Labels)?;
            let rate = |horizon: usize| {
                let label = |sample: &Sample| {
                    work.labels.column(sample.symbol as usize, horizon)[sample.row as usize]
                };
                rows.samples().iter().map(label).sum::<f64>() / rows.samples().len() as f64
            };
            Ok((fold.index as u32, (0..work.labels.horizons().len()).map(rate).collect()))
        };
        let training_base_rates = folds.iter().map(rates).collect::<Result<_, RunError>>()?;
        Ok(Some(Truth { training_base_rates, ..truth }))
    }

    /// The same without folds, and so without the share of training rows with an event.
    pub(super) fn of_bars(experiment: &ExperimentConfig, bars: &Bars) -> Option<Truth> {
        let (alarms, target) = experiment.alarms.zip(experiment.target.as_ref())?;
        let bars_to_event = target.build().bars_to_event(bars);
        Some(Truth { alarms, bars_to_event, training_base_rates: BTreeMap::new() })
    }

    fn bars_to_event(&self, sample: Sample) -> f64 {
        let column = self.bars_to_event.get(sample.symbol as usize);
        column.and_then(|column| column.get(sample.row as usize)).copied().unwrap_or(NULL)
    }

    /// The figures of every shown horizon, of test and validation rows; both have their thresholds.
    pub(super) fn summaries(
        &self,
        bars: &Bars,
        test: &ModelPredictions,
        validation: &ModelPredictions,
    ) -> Vec<EventSummary> {
        let of_horizon = |output: &usize| EventSummary {
            horizon: test.horizons[*output],
            thresholds: thresholds(test, *output),
            test: self.figures(bars, test, *output),
            validation: self.figures(bars, validation, *output),
        };
        shown_horizons(test.horizons.len()).par_iter().map(of_horizon).collect()
    }

    fn figures(&self, bars: &Bars, predictions: &ModelPredictions, output: usize) -> EventFigures {
        let rate = |fold: u32| self.training_base_rates.get(&fold).map_or(NULL, |rates| rates[output]);
        let outputs = predictions.horizons.len();
        let alarm_at = |place: usize| predictions.alarm_at[place * outputs + output];
        self.figures_of(bars, &RiskRows::of(predictions, output), rate, alarm_at)
    }

    /// The figures of any risk: `rate` is the share of training rows with an event of a fold, `alarm_at` the threshold of
    /// the place of a sample; both may be null.
    pub(super) fn figures_of(
        &self,
        bars: &Bars,
        risks: &RiskRows,
        rate: impl Fn(u32) -> f64,
        alarm_at: impl Fn(usize) -> f64,
    ) -> EventFigures {
        let rows = EventRows::new(risks, None, bars);
        let of_places = |value: &dyn Fn(usize) -> f64| -> Vec<f64> {
            rows.places().iter().map(|place| value(*place)).collect()
        };
        let times: Vec<Time> = rows.places().iter().map(|place| time(bars, risks.samples[*place])).collect();
        let beside = Beside {
            times: &times,
            training_base_rate: &of_places(&|place| rate(risks.fold[place])),
            alarm_at: &of_places(&alarm_at),
        };
        let events = rows.events(|place| self.bars_to_event(risks.samples[place]));
        event_figures(&rows, &events, &beside)
    }

    /// The newest forecast of every model, symbol and shown horizon.
    pub(super) fn status(&self, bars: &Bars, fitted: &Fitted) -> Vec<RiskStatus> {
        let of_model = |predictions: &ModelPredictions| {
            (0..bars.symbols().len())
                .flat_map(|symbol| {
                    let places: Vec<usize> = (0..predictions.samples.len())
                        .filter(|place| predictions.samples[*place].symbol as usize == symbol)
                        .collect();
                    shown_horizons(predictions.horizons.len())
                        .into_iter()
                        .filter_map(|output| self.newest(bars, predictions, &places, output))
                        .collect::<Vec<RiskStatus>>()
                })
                .collect::<Vec<RiskStatus>>()
        };
        fitted.predictions.0.iter().flat_map(of_model).collect()
    }

    /// The newest of the forecasts at these places, which are of one symbol.
    fn newest(
        &self,
        bars: &Bars,
        predictions: &ModelPredictions,
        places: &[usize],
        output: usize,
    ) -> Option<RiskStatus> {
        let outputs = predictions.horizons.len();
        let moment = |place: &usize| time(bars, predictions.samples[*place]);
        let last = *places.iter().max_by_key(|place| moment(place))?;
        let risk_at = |place: usize| predictions.values[place * outputs + output];
        let (now, risk) = (moment(&last), risk_at(last));
        let alarm_at = Some(predictions.alarm_at[last * outputs + output]).filter(|risk| !risk.is_nan());
        let before = places
            .iter()
            .filter(|place| moment(place).0 <= now.0.saturating_sub(DAY_NANOSECONDS))
            .max_by_key(|place| moment(place))
            .filter(|place| moment(place).0 >= now.0.saturating_sub(DAY_NANOSECONDS + HOUR))
            .map(|place| risk_at(*place));
        let sample = predictions.samples[last];
        let symbol = &bars.symbols()[sample.symbol as usize];
        let extra = symbol.extras().iter().map(|(name, column)| (name.clone(), column[sample.row as usize]));
        Some(RiskStatus {
            timestamp: now.to_string(),
            symbol: symbol.symbol().to_owned(),
            model: predictions.model.clone(),
            horizon: predictions.horizons[output],
            risk,
            alarm_at,
            status: alarm_at.and_then(|alarm_at| RiskLevel::of(risk, alarm_at, self.alarms.warning_share)),
            change_24h: before.map(|before| risk - before),
            change_24h_percent: before
                .map(|before| 100.0 * (risk / before - 1.0))
                .filter(|change| change.is_finite()),
            columns: extra.filter(|(_, value)| value.is_finite()).collect(),
        })
    }

    /// `events.parquet`: a row an event of the test rows, model and shown horizon.
    pub(super) fn events_table(&self, bars: &Bars, fitted: &Fitted) -> TableFile {
        let mut table = Origins::new(bars);
        let (mut first, mut strike) = (Vec::new(), Vec::new());
        let (mut caught, mut lead) = (Vec::new(), Vec::new());
        for (predictions, output) in forecasts(fitted) {
            let rows = EventRows::new(&RiskRows::of(predictions, output), None, bars);
            let reached = reached(&rows, predictions, output);
            for event in rows.events(|place| self.bars_to_event(predictions.samples[place])) {
                let sample = predictions.samples[rows.places()[event.rows.start]];
                let bars_to_strike = event.bars_to_strike as u32;
                table.push(predictions, output, rows.places()[event.rows.start]);
                first.push(time(bars, sample));
                strike.push(time(bars, Sample { row: sample.row + bars_to_strike, ..sample }));
                let bars_before = rows.lead(&event, &reached);
                caught.push(i64::from(bars_before.is_some()));
                lead.push(bars_before.map_or(NULL, |bars| bars as f64));
            }
        }
        table
            .into_table()
            .with("first_row", Column::Time(first))
            .with("strike", Column::Time(strike))
            .with("caught", Column::Integer(caught))
            .with("lead_bars", Column::Float(lead))
    }
}

/// `alarms.parquet`: a row an alarm of the test rows, model and shown horizon.
pub(super) fn alarms_table(bars: &Bars, fitted: &Fitted) -> TableFile {
    let mut table = Origins::new(bars);
    let (mut first, mut last, mut is_false) = (Vec::new(), Vec::new(), Vec::new());
    for (predictions, output) in forecasts(fitted) {
        let rows = EventRows::new(&RiskRows::of(predictions, output), None, bars);
        for alarm in rows.alarms(&reached(&rows, predictions, output)) {
            let moment = |row: usize| time(bars, predictions.samples[rows.places()[row]]);
            table.push(predictions, output, rows.places()[alarm.rows.start]);
            first.push(moment(alarm.rows.start));
            last.push(moment(alarm.rows.end - 1));
            is_false.push(i64::from(alarm.is_false));
        }
    }
    table
        .into_table()
        .with("raised", Column::Time(first))
        .with("last_row", Column::Time(last))
        .with("false_alarm", Column::Integer(is_false))
}

/// The columns that say whose row it is.
struct Origins {
    symbols: Vec<Arc<str>>,
    model: Vec<Arc<str>>,
    fold: Vec<i64>,
    symbol: Vec<Arc<str>>,
    horizon: Vec<i64>,
}

impl Origins {
    fn new(bars: &Bars) -> Origins {
        let (model, fold, symbol, horizon) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Origins { symbols: shared_names(bars), model, fold, symbol, horizon }
    }

    fn push(&mut self, predictions: &ModelPredictions, output: usize, place: usize) {
        self.model.push(predictions.model.as_str().into());
        self.fold.push(i64::from(predictions.fold[place]));
        self.symbol.push(self.symbols[predictions.samples[place].symbol as usize].clone());
        self.horizon.push(i64::from(predictions.horizons[output]));
    }

    fn into_table(self) -> TableFile {
        TableFile::default()
            .with("model", Column::Text(self.model))
            .with("fold", Column::Integer(self.fold))
            .with("symbol", Column::Text(self.symbol))
            .with("horizon", Column::Integer(self.horizon))
    }
}

/// Every model with every shown horizon.
fn forecasts(fitted: &Fitted) -> impl Iterator<Item = (&ModelPredictions, usize)> {
    fitted.predictions.0.iter().flat_map(|predictions| {
        let shown = shown_horizons(predictions.horizons.len()).into_iter();
        shown.map(move |output| (predictions, output))
    })
}

/// The rows at or above their thresholds.
fn reached(rows: &EventRows, predictions: &ModelPredictions, output: usize) -> Reached {
    let outputs = predictions.horizons.len();
    rows.reaching(|row| predictions.alarm_at[rows.places()[row] * outputs + output])
}

/// The threshold of each fold, in the order of the folds.
fn thresholds(predictions: &ModelPredictions, output: usize) -> Vec<Option<f64>> {
    let outputs = predictions.horizons.len();
    let mut folds: Vec<(u32, f64)> = predictions
        .fold
        .iter()
        .copied()
        .zip(predictions.alarm_at.iter().copied().skip(output).step_by(outputs))
        .collect();
    folds.dedup_by_key(|(fold, _)| *fold);
    folds.into_iter().map(|(_, threshold)| Some(threshold).filter(|risk| !risk.is_nan())).collect()
}

/// The start of a sample's bar.
fn time(bars: &Bars, sample: Sample) -> Time {
    bars.symbols()[sample.symbol as usize].time()[sample.row as usize]
}
