//! Folds: which bars train, which validate, which test; and which samples of them may be used.
//!
//! A sample is the close of a bar. Its label covers the time from that close to `known_at`. A training sample whose label
//! shares time with a held-out part, or with the labels of that part, knows the answer beforehand; it is purged. The
//! embargo widens each held-out part further, because prices on both sides of its edge resemble each other
//! (Lopez de Prado, "Advances in Financial Machine Learning", 2018, chapter 7).

use crate::table::{Bars, Features, Labels, Sample, TrainSamples};
use crate::units::Time;
use crate::units::counted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How the data are cut. Bars are counted on the union of all symbols' times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SplitConfig {
    /// Train, validate, test, then move on by one test part and do it again. The test parts follow each other without a
    /// gap and end with the last bar.
    WalkForward(WalkForward),
    /// One cut into three parts in the order of time.
    Holdout(Holdout),
    /// Each part of the data is tested once, by models that learn from what is before and after it. It shows how a
    /// model does in many kinds of market; no one could have traded it.
    PurgedKFold(PurgedKFold),
}

/// Settings of a walk-forward split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WalkForward {
    /// Number of folds, at least 1.
    pub folds: usize,
    /// Bars to train on; with `anchored` those of the first fold.
    pub train_bars: usize,
    /// Bars that follow the training part, for early stopping and the choice of a model.
    pub validation_bars: usize,
    /// Bars of each test part, which follows the validation part.
    pub test_bars: usize,
    /// Bars between the validation part and the test part that neither uses: with a window and the longest horizon of them
    /// no forecast that judges looks at a bar that has chosen. Labels never reach across, also without.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub test_gap_bars: usize,
    /// Bars (times the length of a bar) by which a training label must be known before the validation part begins.
    #[serde(default)]
    pub embargo_bars: usize,
    /// Every fold trains from the first bar of the data on, instead of on a window that moves along.
    #[serde(default)]
    pub anchored: bool,
    /// Folds before this one, counted from 0, are left out. The best trial of a sweep is run from the fold on whose
    /// validation bars it was chosen, for those bars are test bars of the folds before.
    #[serde(default)]
    pub first_fold: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference to the field")]
fn is_zero(bars: &usize) -> bool {
    *bars == 0
}

/// Settings of a single cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holdout {
    /// Share of the bars to train on; the three shares add up to 1.
    pub train: f64,
    /// Share of the bars for validation.
    pub validation: f64,
    /// Share of the bars to test on.
    pub test: f64,
    /// Bars (times the length of a bar) by which a training label must be known before the validation part begins.
    #[serde(default)]
    pub embargo_bars: usize,
}

/// Settings of a purged k-fold split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgedKFold {
    /// Number of test parts of equal length (to one bar), at least 2.
    pub folds: usize,
    /// Share of all bars for validation. They lie directly before the test part, or directly after it where there is not
    /// enough before it.
    pub validation: f64,
    /// Bars (times the length of a bar) by which training labels keep away from held-out parts, on both sides.
    #[serde(default)]
    pub embargo_bars: usize,
}

/// One cut. Ranges are half-open, in starts of bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Its number, from 0.
    pub index: usize,
    /// Parts to learn from.
    pub train: Vec<Range<Time>>,
    /// The part that chooses.
    pub validation: Range<Time>,
    /// The part that judges.
    pub test: Range<Time>,
    /// Distance in nanoseconds that training labels keep from the other two.
    pub embargo: i64,
}

impl SplitConfig {
    /// The folds over `times`, the timeline of the bars; `interval` is the length of a bar in nanoseconds.
    ///
    /// # Errors
    /// A part that would be empty or does not fit, with the numbers.
    pub fn folds(&self, times: &[Time], interval: i64) -> Result<Vec<Fold>, String> {
        let cutter = Cutter { times, interval };
        match self {
            SplitConfig::WalkForward(settings) => settings.folds(&cutter),
            SplitConfig::Holdout(settings) => settings.folds(&cutter),
            SplitConfig::PurgedKFold(settings) => settings.folds(&cutter),
        }
    }
}

struct Cutter<'a> {
    times: &'a [Time],
    interval: i64,
}

impl Cutter<'_> {
    fn bars(&self) -> usize {
        self.times.len()
    }

    /// The range of times of a range of steps.
    fn range(&self, steps: Range<usize>) -> Range<Time> {
        let end = self.interval.max(1);
        let at = |step: usize| match self.times.get(step) {
            Some(time) => *time,
            None => Time(self.times.last().map_or(0, |last| last.0.saturating_add(end))),
        };
        at(steps.start)..at(steps.end)
    }

    fn embargo(&self, bars: usize) -> Result<i64, String> {
        i64::try_from(bars)
            .ok()
            .and_then(|bars| bars.checked_mul(self.interval))
            .ok_or_else(|| format!("split.embargo_bars: {bars} bars are longer than any data; write fewer"))
    }
}

fn positive(part: &str, value: usize) -> Result<(), String> {
    if value == 0 { Err(format!("{part} is 0; it must be at least 1")) } else { Ok(()) }
}

impl WalkForward {
    fn folds(&self, cutter: &Cutter<'_>) -> Result<Vec<Fold>, String> {
        for (part, value) in [
            ("folds", self.folds),
            ("train_bars", self.train_bars),
            ("validation_bars", self.validation_bars),
            ("test_bars", self.test_bars),
        ] {
            positive(&format!("split.walk_forward.{part}"), value)?;
        }
        let needed = self
            .folds
            .checked_mul(self.test_bars)
            .and_then(|tests| tests.checked_add(self.train_bars)?.checked_add(self.validation_bars))
            .and_then(|parts| parts.checked_add(self.test_gap_bars))
            .filter(|needed| *needed <= cutter.bars())
            .ok_or_else(|| {
                let WalkForward { folds, train_bars, validation_bars, test_bars, .. } = self;
                let gap = match self.test_gap_bars {
                    0 => String::new(),
                    bars => format!("test_gap_bars {bars} + "),
                };
                format!(
                    "split.walk_forward needs train_bars {train_bars} + validation_bars {validation_bars} + {gap}folds {folds} x \
                     test_bars {test_bars} bars, but the data have {}; lower one of them or load more data",
                    counted(cutter.bars(), "bar")
                )
            })?;
        if self.first_fold >= self.folds {
            return Err(format!(
                "split.walk_forward.first_fold is {}, but the folds are 0 to {}; lower it",
                self.first_fold,
                self.folds - 1
            ));
        }
        let first = cutter.bars() - needed;
        let embargo = cutter.embargo(self.embargo_bars)?;
        Ok((self.first_fold..self.folds)
            .map(|index| {
                let start = first + index * self.test_bars;
                let validation = start + self.train_bars;
                let chosen = validation + self.validation_bars;
                let test = chosen + self.test_gap_bars;
                let train = if self.anchored { 0 } else { start };
                Fold {
                    index,
                    train: vec![cutter.range(train..validation)],
                    validation: cutter.range(validation..chosen),
                    test: cutter.range(test..test + self.test_bars),
                    embargo,
                }
            })
            .collect())
    }
}

impl Holdout {
    fn folds(&self, cutter: &Cutter<'_>) -> Result<Vec<Fold>, String> {
        let shares = [("train", self.train), ("validation", self.validation), ("test", self.test)];
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        if shares.iter().any(|(_, share)| share.is_nan() || *share <= 0.0) || (sum - 1.0).abs() > 1e-9 {
            return Err(format!(
                "split.holdout: train {}, validation {} and test {} must be positive and add up to 1, not {sum}",
                self.train, self.validation, self.test
            ));
        }
        let bars = cutter.bars();
        let validation = (bars as f64 * self.train).round() as usize;
        let test = ((bars as f64 * (self.train + self.validation)).round() as usize).min(bars);
        for (part, length) in
            [("train", validation), ("validation", test.saturating_sub(validation)), ("test", bars - test)]
        {
            if length == 0 {
                return Err(format!(
                    "split.holdout.{part} leaves no bar: the data have {bars}; enlarge its share or load more data"
                ));
            }
        }
        Ok(vec![Fold {
            index: 0,
            train: vec![cutter.range(0..validation)],
            validation: cutter.range(validation..test),
            test: cutter.range(test..bars),
            embargo: cutter.embargo(self.embargo_bars)?,
        }])
    }
}

impl PurgedKFold {
    fn folds(&self, cutter: &Cutter<'_>) -> Result<Vec<Fold>, String> {
        let bars = cutter.bars();
        if self.folds < 2 || self.folds > bars {
            return Err(format!(
                "split.purged_k_fold.folds is {}; it must be at least 2 and at most the number of bars, {bars}",
                self.folds
            ));
        }
        if !(self.validation > 0.0 && self.validation < 1.0) {
            let found = self.validation;
            return Err(format!(
                "split.purged_k_fold.validation is {found}; it must lie between 0 and 1, for example 0.1"
            ));
        }
        let length = ((bars as f64 * self.validation).round() as usize).max(1);
        let embargo = cutter.embargo(self.embargo_bars)?;
        (0..self.folds)
            .map(|index| {
                let test = index * bars / self.folds..(index + 1) * bars / self.folds;
                let (before, after) = (test.start, bars - test.end);
                let validation = if before >= length {
                    test.start - length..test.start
                } else if after >= length {
                    test.end..test.end + length
                } else {
                    return Err(format!(
                        "split.purged_k_fold.validation of {} fits neither before test part {index} ({}) nor after it \
                         ({}); lower it",
                        counted(length, "bar"),
                        counted(before, "bar"),
                        counted(after, "bar")
                    ));
                };
                let outer = test.start.min(validation.start)..test.end.max(validation.end);
                let train: Vec<Range<Time>> = [0..outer.start, outer.end..bars]
                    .into_iter()
                    .filter(|steps| !steps.is_empty())
                    .map(|steps| cutter.range(steps))
                    .collect();
                if train.is_empty() {
                    return Err(format!(
                        "split.purged_k_fold: test part {index} and validation take all of {bars} and leave none to train \
                         on; lower validation or raise folds",
                        bars = counted(bars, "bar")
                    ));
                }
                Ok(Fold { index, train, validation: cutter.range(validation), test: cutter.range(test), embargo })
            })
            .collect()
    }
}

impl Fold {
    /// The samples to learn from, sorted: rows in the training part whose window of `window` rows is complete, whose label
    /// is known, and whose label lies, by the embargo, before each held-out part begins or after all labels of that part are
    /// known. Of each symbol every `stride`-th is taken. Windows may hold bars of a held-out part before it: those are
    /// prices of the past.
    ///
    /// # Errors
    /// No sample is left, with the numbers.
    pub fn train_samples(
        &self,
        bars: &Bars,
        features: &Features,
        labels: &Labels,
        window: usize,
        stride: usize,
    ) -> Result<TrainSamples, String> {
        if stride == 0 {
            return Err("the stride of training windows is 0; it must be at least 1".into());
        }
        let held_out: Vec<Range<i64>> = [&self.validation, &self.test]
            .into_iter()
            .map(|part| self.reach(bars, labels, part, self.embargo))
            .collect();
        let mut samples = Vec::new();
        for symbol in 0..bars.symbols().len() {
            let rows = self.train.iter().flat_map(|part| complete_rows(bars, features, symbol, part, window));
            let allowed = rows.filter(|row| {
                label_span(bars, labels, symbol, *row).is_some_and(|span| apart(&span, &held_out))
            });
            samples.extend(allowed.step_by(stride).map(|row| sample(symbol, row)));
        }
        if samples.is_empty() {
            let parts: Vec<String> =
                self.train.iter().map(|part| format!("{} to {}", part.start, part.end)).collect();
            return Err(self.empty("training", &parts.join(" and "), bars, window));
        }
        Ok(TrainSamples::purged(samples))
    }

    /// Every row of the training part in which all features are known and whose bar, by the embargo, keeps clear of both
    /// held-out parts: what statistics of the whole part may see. Nothing of a row is later than its close.
    ///
    /// # Errors
    /// No row is left, with the numbers.
    pub fn train_rows(&self, bars: &Bars, features: &Features) -> Result<TrainSamples, String> {
        let margin = |part: &Range<Time>| {
            part.start.0.saturating_sub(self.embargo)..part.end.0.saturating_add(self.embargo)
        };
        let held_out = [margin(&self.validation), margin(&self.test)];
        let mut samples = Vec::new();
        for symbol in 0..bars.symbols().len() {
            let times = bars.symbols()[symbol].time();
            let rows = self.train.iter().flat_map(|part| complete_rows(bars, features, symbol, part, 1));
            let clear = |row: &usize| {
                let bar = times[*row].0..times[*row].0.saturating_add(bars.interval());
                apart(&bar, &held_out)
            };
            samples.extend(rows.filter(clear).map(|row| sample(symbol, row)));
        }
        if samples.is_empty() {
            return Err(self.empty("training", "the part whose rows fit the scaler", bars, 1));
        }
        Ok(TrainSamples::purged(samples))
    }

    /// The samples that choose, sorted: rows in the validation part with a complete window and a label that shares no time
    /// with the test part or its labels; where validation comes first, that is known before the test begins.
    ///
    /// # Errors
    /// No sample is left, with the numbers.
    pub fn validation_samples(
        &self,
        bars: &Bars,
        features: &Features,
        labels: &Labels,
        window: usize,
    ) -> Result<Vec<Sample>, String> {
        let test = [self.reach(bars, labels, &self.test, 0)];
        let mut samples = Vec::new();
        for symbol in 0..bars.symbols().len() {
            let rows = complete_rows(bars, features, symbol, &self.validation, window);
            let allowed = rows
                .filter(|row| label_span(bars, labels, symbol, *row).is_some_and(|span| apart(&span, &test)));
            samples.extend(allowed.map(|row| sample(symbol, row)));
        }
        if samples.is_empty() {
            let part = format!("{} to {}", self.validation.start, self.validation.end);
            return Err(self.empty("validation", &part, bars, window));
        }
        Ok(samples)
    }

    /// The samples to forecast, sorted: rows in the test part with a complete window. Their labels may be unknown: the last
    /// bars want a forecast, too.
    ///
    /// # Errors
    /// No sample is left, with the numbers.
    pub fn test_samples(
        &self,
        bars: &Bars,
        features: &Features,
        window: usize,
    ) -> Result<Vec<Sample>, String> {
        let samples: Vec<Sample> = (0..bars.symbols().len())
            .flat_map(|symbol| {
                complete_rows(bars, features, symbol, &self.test, window).map(move |row| sample(symbol, row))
            })
            .collect();
        if samples.is_empty() {
            return Err(self.empty(
                "test",
                &format!("{} to {}", self.test.start, self.test.end),
                bars,
                window,
            ));
        }
        Ok(samples)
    }

    /// The time that a held-out part and all its labels cover, widened by `margin` on both sides.
    fn reach(&self, bars: &Bars, labels: &Labels, part: &Range<Time>, margin: i64) -> Range<i64> {
        let mut end = part.end.0;
        for (symbol, symbol_bars) in bars.symbols().iter().enumerate() {
            for row in rows_in(symbol_bars.time(), part) {
                end = end.max(labels.known_at(symbol, row).map_or(i64::MIN, |time| time.0));
            }
        }
        part.start.0.saturating_sub(margin)..end.saturating_add(margin)
    }

    fn empty(&self, part: &str, span: &str, bars: &Bars, window: usize) -> String {
        let longest = bars.symbols().iter().map(|symbol| symbol.len()).max().unwrap_or(0);
        format!(
            "fold {} has no {part} sample from {span}: a sample needs {window} rows in which every feature is known (its \
             window) and a label that keeps clear of the other parts; the longest symbol has {}. Shorten the window, \
             the horizon or the embargo, or lengthen the part",
            self.index,
            counted(longest, "bar")
        )
    }
}

fn sample(symbol: usize, row: usize) -> Sample {
    Sample { symbol: symbol as u32, row: row as u32 }
}

fn rows_in(times: &[Time], part: &Range<Time>) -> Range<usize> {
    let at = |time: Time| times.partition_point(|candidate| *candidate < time);
    at(part.start)..at(part.end)
}

/// Rows of a part whose window is complete, ascending.
fn complete_rows(
    bars: &Bars,
    features: &Features,
    symbol: usize,
    part: &Range<Time>,
    window: usize,
) -> impl Iterator<Item = usize> {
    let rows = rows_in(bars.symbols()[symbol].time(), part);
    // A run of rows in which every feature is known is counted on, so that each row is looked at once.
    let start = (rows.start + 1).saturating_sub(window);
    let known = |row: usize| {
        (0..features.names().len()).all(|feature| !features.column(symbol, feature)[row].is_nan())
    };
    let mut run = 0;
    let mut complete = Vec::new();
    for row in start..rows.end {
        run = if known(row) { run + 1 } else { 0 };
        if row >= rows.start && run >= window {
            complete.push(row);
        }
    }
    complete.into_iter()
}

/// From the close of the row to the moment at which its label is known.
fn label_span(bars: &Bars, labels: &Labels, symbol: usize, row: usize) -> Option<Range<i64>> {
    let close = bars.symbols()[symbol].time()[row].0.saturating_add(bars.interval());
    labels.known_at(symbol, row).map(|known| close..known.0)
}

/// Whether the span shares no time with any of the others; they may touch.
fn apart(span: &Range<i64>, others: &[Range<i64>]) -> bool {
    others.iter().all(|other| span.end <= other.start || span.start >= other.end)
}
