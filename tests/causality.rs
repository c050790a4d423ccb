//! No look-ahead, for everything that joins the registries of indicators and labels: cut the future off, or replace it
//! by noise, and the past keeps its bits.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use candlewick::domains::market::indicators::{Indicator, IndicatorConfig};
use candlewick::domains::market::labels::{Label, LabelConfig};
use candlewick::seed::{Seed, Stream};
use candlewick::table::{BarColumns, Bars, LabelKind, Labels, SymbolBars};
use candlewick::units::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HOUR: i64 = 3_600_000_000_000;

/// Hourly bars of three symbols: one complete, one with gaps, one that is listed late. Some bars do not move and some
/// trade nothing, so that ties and zero denominators occur.
pub(crate) fn random_bars(seed: u64, hours: usize) -> Bars {
    let late = hours / 3;
    let listings = [("ALPHA", 0, 0.0), ("BETA", 0, 0.15), ("GAMMA", late, 0.05)];
    let symbols = listings.iter().enumerate().map(|(index, (name, listed, gaps))| {
        let mut stream = Seed(seed).stream("test bars", index as u64);
        let mut columns = BarColumns::default();
        let mut price = 50.0 + 100.0 * stream.uniform();
        for hour in *listed..hours {
            if hour > *listed && stream.uniform() < *gaps {
                continue;
            }
            columns.time.push(Time(hour as i64 * HOUR));
            price = push_bar(&mut columns, &mut stream, price);
        }
        let extras = random_extras(seed, index as u64, columns.time.len());
        SymbolBars::new(*name, columns).unwrap().with_extras(extras).unwrap()
    });
    Bars::new(symbols.collect()).unwrap()
}

/// A ratio of depth with some nulls and some values that have no logarithm.
fn random_extras(seed: u64, symbol: u64, rows: usize) -> BTreeMap<String, Vec<f64>> {
    let mut stream = Seed(seed).stream("extra columns", symbol);
    let ratio = |_| match stream.uniform() {
        draw if draw < 0.05 => f64::NAN,
        draw if draw < 0.1 => 0.0,
        _ => (0.5 * stream.normal()).exp(),
    };
    BTreeMap::from([("blr".to_owned(), (0..rows).map(ratio).collect())])
}

/// Appends a random bar that opens at `price`; returns its close.
fn push_bar(columns: &mut BarColumns, stream: &mut Stream, price: f64) -> f64 {
    let still = stream.uniform() < 0.2;
    let mut step = |scale: f64| if still { 0.0 } else { scale * stream.normal() };
    let close = price * step(0.02).exp();
    columns.open.push(price);
    columns.high.push(price.max(close) * step(0.01).abs().exp());
    columns.low.push(price.min(close) * (-step(0.01).abs()).exp());
    columns.close.push(close);
    columns.volume.push(if still { 0.0 } else { 1000.0 * stream.uniform() });
    close
}

/// The same bars, with noise in place of every bar that satisfies `poisoned(start of the bar)`.
pub(crate) fn poison(bars: &Bars, seed: u64, poisoned: impl Fn(Time) -> bool) -> Bars {
    poison_to(bars, (1.0, 1001.0), seed, poisoned)
}

/// The same with prices that open within a range.
fn poison_to(bars: &Bars, (low, high): (f64, f64), seed: u64, poisoned: impl Fn(Time) -> bool) -> Bars {
    let symbols = bars.symbols().iter().enumerate().map(|(index, symbol)| {
        let mut stream = Seed(seed).stream("poison", index as u64);
        let mut columns = BarColumns { time: symbol.time().to_vec(), ..BarColumns::default() };
        for row in 0..symbol.len() {
            if poisoned(symbol.time()[row]) {
                let price = (high - low) * stream.uniform() + low;
                push_bar(&mut columns, &mut stream, price);
                continue;
            }
            columns.open.push(symbol.open()[row]);
            columns.high.push(symbol.high()[row]);
            columns.low.push(symbol.low()[row]);
            columns.close.push(symbol.close()[row]);
            columns.volume.push(symbol.volume()[row]);
        }
        let mut extras = symbol.extras().clone();
        for (row, value) in extras.values_mut().flat_map(|values| values.iter_mut().enumerate()) {
            if poisoned(symbol.time()[row]) {
                *value = 10.0 * stream.uniform();
            }
        }
        SymbolBars::new(symbol.symbol(), columns).unwrap().with_extras(extras).unwrap()
    });
    Bars::new(symbols.collect()).unwrap()
}

/// A copy of a configuration with some of its settings changed; `None` where it does not have them.
pub(crate) fn with_settings<C>(config: &C, settings: &Value) -> Option<C>
where
    C: serde::Serialize + serde::de::DeserializeOwned,
{
    let mut written = serde_json::to_value(config).unwrap();
    let all = written.as_object_mut().unwrap().values_mut().next().unwrap().as_object_mut().unwrap();
    for (name, value) in settings.as_object().unwrap() {
        *all.get_mut(name)? = value.clone();
    }
    Some(serde_json::from_value(written).unwrap())
}

/// Every indicator with its defaults and, where it has such settings, in other forms.
pub(crate) fn indicators() -> Vec<IndicatorConfig> {
    let forms = [
        json!({"relative": true}),
        json!({"period": 2}),
        json!({"period": 33, "relative": true}),
        json!({"lags": [3, 1, 7]}),
        json!({"form": "log"}),
        json!({"form": "log_change"}),
    ];
    with_forms(IndicatorConfig::examples(), &forms)
}

/// Every label with its defaults and, where it has such settings, in other forms.
pub(crate) fn labels() -> Vec<LabelConfig> {
    let forms = [json!({"horizons_bars": [5, 1, 12]}), json!({"limit_bars": 4, "upper": 1.0, "lower": 0.7})];
    with_forms(LabelConfig::examples(), &forms)
}

fn with_forms<C>(examples: Vec<C>, forms: &[Value]) -> Vec<C>
where
    C: serde::Serialize + serde::de::DeserializeOwned,
{
    let others: Vec<C> = forms
        .iter()
        .flat_map(|form| examples.iter().filter_map(move |one| with_settings(one, form)))
        .collect();
    examples.into_iter().chain(others).collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The first place where the past does not keep its bits, when the future of any step is cut off or replaced by noise.
fn look_ahead(indicator: &dyn Indicator, bars: &Bars, steps: impl Iterator<Item = usize>) -> Option<String> {
    let full = indicator.compute(bars);
    for step in steps {
        let end = bars.timeline().times()[step];
        for (how, changed) in
            [("cut", bars.known_at(step).unwrap()), ("noise", poison(bars, step as u64, |time| time > end))]
        {
            let again = indicator.compute(&changed);
            for (index, symbol) in changed.symbols().iter().enumerate() {
                let original = bars.names().iter().position(|name| *name == symbol.symbol()).unwrap();
                let rows = symbol.time().partition_point(|time| *time <= end);
                for (name, (now, before)) in
                    indicator.names().iter().zip(again[index].iter().zip(&full[original]))
                {
                    if bits(&now[..rows]) != bits(&before[..rows]) {
                        return Some(format!("{name} of {} before {end}, future {how}", symbol.symbol()));
                    }
                }
            }
        }
    }
    None
}

#[test]
fn no_indicator_sees_the_future() {
    for seed in 0..4 {
        let bars = random_bars(seed, 150);
        let steps = bars.timeline().times().len();
        for config in indicators() {
            assert_eq!(look_ahead(config.build(), &bars, 0..steps), None, "{config:?}, seed {seed}");
        }
    }
}

/// The close of the next bar: what the test above must find.
struct Cheat;

impl Indicator for Cheat {
    fn names(&self) -> Vec<String> {
        vec!["cheat".into()]
    }

    fn warm_up(&self) -> usize {
        0
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let next = |close: &[f64]| (0..close.len()).map(|t| close[(t + 1).min(close.len() - 1)]).collect();
        bars.symbols().iter().map(|symbol| vec![next(symbol.close())]).collect()
    }
}

#[test]
fn an_indicator_that_sees_one_bar_ahead_is_found_at_every_step() {
    let bars = random_bars(0, 60);
    for step in 10..50 {
        assert!(look_ahead(&Cheat, &bars, step..step + 1).is_some(), "step {step}");
    }
}

#[test]
fn warm_up_and_names_are_as_announced() {
    // A complete panel that moves in every bar: here the warm-up is all that is null.
    let symbols = (0..3).map(|index| {
        let mut columns = BarColumns::default();
        let mut stream = Seed(5).stream("lively", index);
        let mut price = 100.0;
        for hour in 0..150 {
            columns.time.push(Time(hour * HOUR));
            price *= (0.02 * stream.normal()).exp();
            columns.open.push(price);
            columns.close.push(price);
            columns.high.push(price * 1.05 * (1.0 + stream.uniform()));
            columns.low.push(price * 0.9 * (1.0 - 0.5 * stream.uniform()));
            columns.volume.push(1.0 + stream.uniform());
        }
        let ratios = (0..150).map(|_| stream.normal().exp()).collect();
        let extras = BTreeMap::from([("blr".to_owned(), ratios)]);
        SymbolBars::new(format!("S{index}"), columns).unwrap().with_extras(extras).unwrap()
    });
    let bars = Bars::new(symbols.collect()).unwrap();
    for config in indicators() {
        let indicator = config.build();
        indicator.check().unwrap();
        for columns in indicator.compute(&bars) {
            assert_eq!(columns.len(), indicator.names().len(), "{config:?}");
            assert!(columns.iter().all(|column| column.len() == 150), "{config:?}");
            let incomplete: Vec<usize> =
                (0..150).filter(|row| columns.iter().any(|column| column[*row].is_nan())).collect();
            assert_eq!(incomplete, (0..indicator.warm_up()).collect::<Vec<_>>(), "{config:?}");
            assert!(columns.iter().flatten().all(|value| !value.is_infinite()), "{config:?}");
        }
    }
}

#[test]
fn names_are_unique_and_without_spaces() {
    for config in indicators() {
        let names = config.build().names();
        for (index, name) in names.iter().enumerate() {
            assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name:?}");
            assert!(!names[..index].contains(name), "{name} twice in {config:?}");
        }
    }
    let names: Vec<String> = IndicatorConfig::examples().iter().flat_map(|one| one.build().names()).collect();
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
}

#[test]
fn forms_that_differ_have_other_names() {
    let all = indicators();
    for (index, left) in all.iter().enumerate() {
        for right in all[..index].iter().filter(|right| *right != left) {
            // The level of the on-balance volume has no period, so its settings may differ without effect.
            if left.name() == "obv" && left.build().names() == ["obv"] {
                continue;
            }
            let shared = left.build().names().iter().any(|name| right.build().names().contains(name));
            // Lists of lags may overlap; their columns are then the same numbers.
            assert!(!shared || left.name().ends_with("_return"), "{left:?} and {right:?}");
        }
    }
}

#[test]
fn every_entry_can_be_written_read_and_described() {
    fn entry<C>(config: &C, name: &str)
    where
        C: serde::Serialize
            + serde::de::DeserializeOwned
            + schemars::JsonSchema
            + PartialEq
            + std::fmt::Debug,
    {
        let written = serde_json::to_string(config).unwrap();
        assert_eq!(&serde_json::from_str::<C>(&written).unwrap(), config);
        assert!(serde_json::from_value::<C>(json!({ name: {} })).is_ok(), "{name} needs settings");
        assert!(serde_json::from_value::<C>(json!({ name: {"no_such_setting": 1} })).is_err(), "{name}");
        let schema = serde_json::to_value(schemars::schema_for!(C)).unwrap();
        let variant =
            schema["oneOf"].as_array().unwrap().iter().find(|one| one["properties"].get(name).is_some());
        assert!(variant.unwrap()["description"].is_string(), "{name} has no description");
        let settings = written_settings(config);
        let definition = variant.unwrap()["properties"][name]["$ref"].as_str().unwrap();
        let properties = &schema["$defs"][definition.rsplit('/').next().unwrap()]["properties"];
        for setting in settings {
            assert!(properties[&setting]["description"].is_string(), "{name}.{setting} has no manual");
        }
    }
    fn written_settings<C: serde::Serialize>(config: &C) -> Vec<String> {
        let written = serde_json::to_value(config).unwrap();
        let all = written.as_object().unwrap().values().next().unwrap().as_object().unwrap().clone();
        all.keys().cloned().collect()
    }
    for config in IndicatorConfig::examples() {
        entry(&config, config.name());
    }
    for config in LabelConfig::examples() {
        entry(&config, config.name());
    }
}

/// The first row whose label changes, or is known at another time, when all bars after its `known_at` become noise.
fn late_label(label: &dyn Label, bars: &Bars) -> Option<String> {
    let full = label.compute(bars).unwrap();
    for (symbol, one) in bars.symbols().iter().enumerate() {
        for row in 0..one.len() {
            let Some(known) = full.known_at(symbol, row) else { continue };
            let poisoned = poison(bars, row as u64, |time| time.0 + bars.interval() > known.0);
            let again = label.compute(&poisoned).unwrap();
            let same = (0..full.horizons().len()).all(|horizon| {
                again.column(symbol, horizon)[row].to_bits() == full.column(symbol, horizon)[row].to_bits()
            });
            if !same || again.known_at(symbol, row) != Some(known) {
                return Some(format!("{} row {row}", one.symbol()));
            }
        }
    }
    None
}

#[test]
fn no_label_uses_bars_after_it_is_known() {
    for seed in 0..2 {
        let bars = random_bars(seed, 120);
        for config in labels() {
            assert_eq!(late_label(config.build(), &bars), None, "{config:?}, seed {seed}");
        }
    }
}

#[test]
fn labels_known_later_do_change_and_labels_are_not_known_before_their_last_bar() {
    let bars = random_bars(3, 120);
    for config in labels() {
        // A fall so deep that these bars have not seen it before the last bar, so that the last bar decides.
        let fall = with_settings(&config, &json!({"fall_percent": 90.0}));
        let (config, falls) = fall.map_or((config, false), |fall| (fall, true));
        let full = config.build().compute(&bars).unwrap();
        let (mut known, mut changed) = (0, 0);
        for row in 0..bars.symbols()[0].len() {
            let Some(at) = full.known_at(0, row) else { continue };
            known += 1;
            // The last bar that the label uses, and all after it: a moderate price, and of a fall also next to nothing.
            let last = |time: Time| time.0 + bars.interval() >= at.0;
            let differs = |poisoned: Bars| {
                let again = config.build().compute(&poisoned).unwrap();
                let same = (0..full.horizons().len()).all(|horizon| {
                    again.column(0, horizon)[row].to_bits() == full.column(0, horizon)[row].to_bits()
                });
                !same || again.known_at(0, row) != Some(at)
            };
            let moderate = differs(poison(&bars, row as u64, last));
            let nothing = || differs(poison_to(&bars, (0.001, 0.001), row as u64, last));
            changed += usize::from(moderate || (falls && nothing()));
        }
        assert!(known > 50, "{config:?}: only {known} labels");
        assert!(5 * changed > known, "{config:?}: {changed} of {known} labels changed");
    }
}

/// The return over two bars that claims to be known after one: what the test above must find.
struct Hasty;

impl Label for Hasty {
    fn kind(&self) -> LabelKind {
        LabelKind::Return
    }

    fn horizons(&self) -> Vec<u32> {
        vec![2]
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        let (mut values, mut known) = (Vec::new(), Vec::new());
        for symbol in bars.symbols() {
            let close = symbol.close();
            values.push(vec![
                (0..close.len())
                    .map(|t| close.get(t + 2).map_or(f64::NAN, |later| later / close[t]))
                    .collect(),
            ]);
            let after = |t: usize| symbol.time().get(t + 1).map(|time| Time(time.0 + bars.interval()));
            known.push((0..close.len()).map(after).collect());
        }
        Labels::new(self.kind(), self.horizons(), values, known)
    }
}

#[test]
fn a_label_that_is_known_too_early_is_found() {
    assert!(late_label(&Hasty, &random_bars(0, 60)).is_some());
}
