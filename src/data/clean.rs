//! From rows that nobody trusts to [`Bars`]: selected, checked, sorted, unique. Selection and sorting are Polars';
//! columns are handed over and back as they are.

use super::bad_rows::BadRowCount;
use super::config::{DataConfig, Duplicates, Gaps, RangeConfig, Unsorted};
use super::rows::{NO_SYMBOL, NO_TIME, NUMBERS, Rows};
use super::{DataError, Loaded, doubts, fingerprint, resample};
use crate::suggest::closest;
use crate::table::{BarColumns, Bars, SymbolBars};
use crate::units::Time;
use crate::units::counted;
use polars::error::PolarsResult;
use polars::prelude::{
    BooleanChunked, ChunkedArray, DataFrame, Float64Type, Int64Type, IntoColumn, PlSmallStr,
    SortMultipleOptions, UInt32Type, UInt64Type,
};
use std::collections::BTreeMap;

/// The position of a symbol that is not wanted.
const NOT_WANTED: u32 = u32::MAX;

/// Makes bars of the rows that the configuration selects.
pub(super) fn clean(mut rows: Rows, config: &DataConfig) -> Result<Loaded, DataError> {
    let mut report = Report::default();
    let (names, positions) = wanted(&rows, config)?;
    default_volume(&mut rows, &mut report);
    let chosen = choose(&rows, config, &positions, &mut report)?;
    if !chosen.keep.contains(&true) {
        return Err(no_rows(&rows, config));
    }
    let frame = ordered(&mut rows, chosen).map_err(|error| DataError::Bars {
        subject: "the table of bars".into(),
        found: error.to_string(),
        remedy: "this is a fault of the program; please report it".into(),
    })?;
    let symbols = split(&rows, &frame, &names, config, &mut report)?;
    let bars = Bars::new(symbols).map_err(|error| bar_error(&error))?;
    check_gaps(&bars, config.quality.gaps)?;
    report.warnings.extend(doubts::jumps(&bars));
    report.warnings.extend(doubts::holes(&bars));
    let sha256 = fingerprint(&bars);
    Ok(Loaded { bars, repairs: report.repairs, warnings: report.warnings, sha256 })
}

#[derive(Default)]
struct Report {
    repairs: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    fn count(&mut self, count: usize, thing: &str, what: &str) {
        if count > 0 {
            self.repairs.push(format!("{} {what}", counted(count, thing)));
        }
    }
}

fn bar_error(error: &crate::table::BarError) -> DataError {
    DataError::Bars {
        subject: format!("symbol {}, bar {} ({})", error.symbol, error.row, error.time),
        found: format!("{}; expected {}", error.found, error.expected),
        remedy: "mend the source".into(),
    }
}

/// Names in the order of the bars, and for each code its position among them.
fn wanted(rows: &Rows, config: &DataConfig) -> Result<(Vec<String>, Vec<u32>), DataError> {
    let there = rows.names.all();
    let names = match &config.symbols {
        None => {
            let mut names = there.to_vec();
            names.sort();
            names
        }
        Some(names) => names.clone(),
    };
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            let remedy = "name each symbol once";
            return Err(DataError::setting("data.symbols", format!("`{name}` stands twice"), remedy));
        }
        if !there.contains(name) {
            let mut sorted: Vec<&str> = there.iter().map(String::as_str).collect();
            sorted.sort_unstable();
            let remedy = match closest(name, sorted.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("choose among {}", list(&sorted)),
            };
            return Err(DataError::setting(
                "data.symbols",
                format!("`{name}` is not in {}", config.path),
                remedy,
            ));
        }
    }
    if names.is_empty() && rows.len() > 0 && config.symbols.is_some() {
        return Err(DataError::setting(
            "data.symbols",
            "the list is empty",
            "leave it out to load all symbols",
        ));
    }
    let position =
        |name: &String| names.iter().position(|other| other == name).map_or(NOT_WANTED, |at| at as u32);
    let positions = there.iter().map(position).collect();
    Ok((names, positions))
}

fn list(names: &[&str]) -> String {
    let more = if names.len() > 12 { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(12)].join(", "))
}

fn default_volume(rows: &mut Rows, report: &mut Report) {
    if rows.series {
        return;
    }
    if rows.closes_only {
        report.warnings.push(
            "the data have closes only: open, high and low are set to the close, so orders fill at the next close and \
             ranges are 0"
                .into(),
        );
    }
    let empty = rows.has_volume && rows.len() > 0 && rows.numbers[4].iter().all(|volume| volume.is_nan());
    if empty {
        rows.numbers[4].fill(0.0);
    }
    if empty || !rows.has_volume {
        report.warnings.push(
            "the data have no volume: it is set to 0, so indicators and costs of volume are void".into(),
        );
    }
}

struct Chosen {
    keep: Vec<bool>,
    position: Vec<u32>,
    sorted: bool,
}

/// Marks the rows that are wanted and sound.
fn choose(
    rows: &Rows,
    config: &DataConfig,
    positions: &[u32],
    report: &mut Report,
) -> Result<Chosen, DataError> {
    let mut chosen = Chosen { keep: vec![false; rows.len()], position: vec![0; rows.len()], sorted: true };
    let mut bad = BadRowCount::default();
    let mut unsorted = 0;
    // Of each symbol the file and the time of its latest row.
    let mut latest = vec![(u32::MAX, i64::MIN); positions.len()];
    let mut before = (0, i64::MIN);
    for index in 0..rows.len() {
        let (code, time) = (rows.symbol[index], rows.time[index]);
        let position = if code == NO_SYMBOL { 0 } else { positions[code as usize] };
        if position == NOT_WANTED || (time != NO_TIME && !inside(config.range, time)) {
            continue;
        }
        if !bad.take(rows, index) {
            continue;
        }
        let last = &mut latest[code as usize];
        if last.0 == rows.file[index] && time < last.1 {
            if config.quality.unsorted == Unsorted::Error {
                let name = &rows.names.all()[code as usize];
                let found = format!("{} of {name} follows {}", Time(time), Time(last.1));
                let remedy = "sort the source, or set data.quality: {unsorted: sort}";
                bad.check(rows, config)?;
                return Err(rows.error(index, "timestamp", found, remedy));
            }
            unsorted += 1;
        }
        *last = (rows.file[index], time);
        chosen.sorted &= before <= (position, time);
        before = (position, time);
        chosen.keep[index] = true;
        chosen.position[index] = position;
    }
    bad.check(rows, config)?;
    report.count(bad.bad, "bad row", "dropped");
    report.count(unsorted, "bar", "sorted into place");
    Ok(chosen)
}

fn inside(range: RangeConfig, time: i64) -> bool {
    range.start.is_none_or(|start| time >= start.0) && range.end.is_none_or(|end| time < end.0)
}

fn no_rows(rows: &Rows, config: &DataConfig) -> DataError {
    let path = std::path::Path::new(&config.path);
    if rows.len() == 0 {
        return DataError::file(path, "there are no rows", "export it again");
    }
    let times = || rows.time.iter().filter(|time| **time != NO_TIME);
    let span = match (times().min(), times().max()) {
        (Some(first), Some(last)) => format!("; the data reach from {} to {}", Time(*first), Time(*last)),
        _ => String::new(),
    };
    let rows = match rows.len() {
        1 => "the only row is not".to_owned(),
        count => format!("none of the {count} rows is"),
    };
    let found = format!("{rows} left by data.range and data.symbols{span}");
    DataError::file(path, found, "change data.range or data.symbols (data.range.end itself is not taken)")
}

/// The kept rows by symbol, then time; rows of equal time keep the order in which they were read. The vectors of `rows`
/// that hold bars move into the frame.
fn ordered(rows: &mut Rows, chosen: Chosen) -> PolarsResult<DataFrame> {
    let height = rows.len();
    let name = |text: &'static str| PlSmallStr::from_static(text);
    let origin: Vec<u64> = (0..height as u64).collect();
    let mut columns = vec![
        ChunkedArray::<UInt32Type>::from_vec(name("position"), chosen.position).into_column(),
        ChunkedArray::<Int64Type>::from_vec(name("time"), std::mem::take(&mut rows.time)).into_column(),
        ChunkedArray::<UInt64Type>::from_vec(name("origin"), origin).into_column(),
    ];
    for (text, values) in NUMBERS.iter().zip(&mut rows.numbers) {
        columns.push(ChunkedArray::<Float64Type>::from_vec(name(text), std::mem::take(values)).into_column());
    }
    for (number, values) in rows.extras.iter_mut().enumerate() {
        let name = extra_name(number).into();
        columns.push(ChunkedArray::<Float64Type>::from_vec(name, std::mem::take(values)).into_column());
    }
    let mut frame = DataFrame::new(height, columns)?;
    if chosen.keep.contains(&false) {
        frame = frame.filter(&chosen.keep.iter().copied().collect::<BooleanChunked>())?;
    }
    if !chosen.sorted {
        frame = frame.sort(["position", "time"], SortMultipleOptions::default().with_maintain_order(true))?;
    }
    frame.rechunk_mut();
    Ok(frame)
}

/// The name of an extra column in the frame, where its own could be that of another column.
fn extra_name(number: usize) -> String {
    format!("extra {number}")
}

struct Ordered<'a> {
    position: &'a [u32],
    time: &'a [i64],
    origin: &'a [u64],
    numbers: [&'a [f64]; 5],
    extras: Vec<&'a [f64]>,
}

fn slices(frame: &DataFrame, extras: usize) -> PolarsResult<Ordered<'_>> {
    let number = |name: &str| frame.column(name)?.f64()?.cont_slice();
    Ok(Ordered {
        position: frame.column("position")?.u32()?.cont_slice()?,
        time: frame.column("time")?.i64()?.cont_slice()?,
        origin: frame.column("origin")?.u64()?.cont_slice()?,
        numbers: [number("open")?, number("high")?, number("low")?, number("close")?, number("volume")?],
        extras: (0..extras).map(|index| number(&extra_name(index))).collect::<PolarsResult<_>>()?,
    })
}

/// Each symbol's bars, without duplicates, resampled if so configured.
fn split(
    rows: &Rows,
    frame: &DataFrame,
    names: &[String],
    config: &DataConfig,
    report: &mut Report,
) -> Result<Vec<SymbolBars>, DataError> {
    let ordered = slices(frame, rows.extras.len()).map_err(|error| DataError::Bars {
        subject: "the table of bars".into(),
        found: error.to_string(),
        remedy: "this is a fault of the program; please report it".into(),
    })?;
    let (mut symbols, mut duplicates, mut partial) = (Vec::new(), 0, 0);
    let mut start = 0;
    for (position, name) in names.iter().enumerate() {
        let end = start + ordered.position[start..].partition_point(|other| *other as usize <= position);
        if start == end {
            if config.symbols.is_some() {
                let remedy = "change data.range, or leave the symbol out";
                return Err(DataError::Bars {
                    subject: format!("symbol {name}"),
                    found: "no bar is left".into(),
                    remedy: remedy.into(),
                });
            }
            report.warnings.push(format!("{name} has no bar in the chosen range and is left out"));
            continue;
        }
        let chosen = unique(rows, &ordered, start..end, name, config.quality.duplicates)?;
        duplicates += end - start - chosen.len();
        let mut columns = gather(&ordered, &chosen);
        let mut extras = gather_extras(&ordered, &chosen, config);
        if let Some(width) = config.resample {
            let rules = config.columns.extra.values().map(|extra| extra.resample);
            let with_rules = extras.values_mut().zip(rules).collect();
            partial += resample::resample(name, &mut columns, with_rules, width)?;
        }
        let bars = match rows.series {
            true => SymbolBars::untraded(name.clone(), columns),
            false => SymbolBars::new(name.clone(), columns),
        };
        let bars = bars.and_then(|bars| bars.with_extras(extras));
        symbols.push(bars.map_err(|error| bar_error(&error))?);
        start = end;
    }
    let kept = if config.quality.duplicates == Duplicates::KeepLast { "last" } else { "first" };
    report.count(duplicates, "duplicate bar", &format!("dropped (the {kept} of each kept)"));
    report.count(partial, "partial bar", "at the edges dropped in resampling");
    Ok(symbols)
}

/// Indices of the rows of one symbol that stay.
fn unique(
    rows: &Rows,
    ordered: &Ordered<'_>,
    range: std::ops::Range<usize>,
    name: &str,
    rule: Duplicates,
) -> Result<Vec<usize>, DataError> {
    let mut chosen: Vec<usize> = Vec::with_capacity(range.len());
    for index in range {
        match chosen.last_mut() {
            Some(last) if ordered.time[*last] == ordered.time[index] => match rule {
                Duplicates::KeepFirst => {}
                Duplicates::KeepLast => *last = index,
                Duplicates::Error => {
                    let (first, second) = (ordered.origin[*last] as usize, ordered.origin[index] as usize);
                    let file = rows.files[rows.file[first] as usize].display();
                    let found = format!(
                        "{} of {name} is there twice, first in {file}, {}",
                        Time(ordered.time[index]),
                        rows.place(first)
                    );
                    let remedy = format!("mend the source, or {}", rows.origin.keep_one_duplicate());
                    return Err(rows.error(second, "timestamp", found, &remedy));
                }
            },
            _ => chosen.push(index),
        }
    }
    Ok(chosen)
}

fn gather(ordered: &Ordered<'_>, chosen: &[usize]) -> BarColumns {
    let column = |number: usize| chosen.iter().map(|index| ordered.numbers[number][*index]).collect();
    BarColumns {
        time: chosen.iter().map(|index| Time(ordered.time[*index])).collect(),
        open: column(0),
        high: column(1),
        low: column(2),
        close: column(3),
        volume: column(4),
    }
}

fn gather_extras(ordered: &Ordered<'_>, chosen: &[usize], config: &DataConfig) -> BTreeMap<String, Vec<f64>> {
    let gathered = ordered.extras.iter().map(|values| chosen.iter().map(|index| values[*index]).collect());
    config.columns.extra.keys().cloned().zip(gathered).collect()
}

fn check_gaps(bars: &Bars, rule: Gaps) -> Result<(), DataError> {
    if rule == Gaps::Keep {
        return Ok(());
    }
    for symbol in bars.symbols() {
        if let Some(pair) = symbol.time().windows(2).find(|pair| pair[1].0 - pair[0].0 > bars.interval()) {
            return Err(DataError::Bars {
                subject: format!("symbol {}", symbol.symbol()),
                found: format!(
                    "no bar between {} and {}, but bars come every {}",
                    pair[0],
                    pair[1],
                    super::duration::duration_text(bars.interval())
                ),
                remedy: "fill the source, or set data.quality: {gaps: keep}".into(),
            });
        }
    }
    Ok(())
}
