//! Returns by calendar month and year, a table a strategy.

use super::markup::{escape, scrolling};
use super::number::{decimal, signed_percent};
use super::run_files::{Curve, RunFiles};
use super::strategy_table::ranked;
use crate::metrics::quantile;
use crate::units::Time;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A month's return and those of the whole years around it.
struct Year {
    number: i16,
    months: [Option<f64>; 12],
    whole: f64,
}

/// The table of the chosen model, and a selector for the other strategies.
pub(super) fn monthly_returns(files: &RunFiles) -> String {
    if files.times.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = ranked(&files.summary).iter().map(|book| book.name.as_str()).collect();
    let mut curves: Vec<&Curve> = files.curves.iter().collect();
    curves.sort_by_key(|curve| names.iter().position(|name| *name == curve.strategy).unwrap_or(usize::MAX));
    let chosen = files.best_model().and_then(|name| curves.iter().position(|curve| curve.strategy == name));
    let chosen = chosen.unwrap_or(0);
    let (mut options, mut tables) = (String::new(), String::new());
    for (index, curve) in curves.iter().enumerate() {
        let name = escape(&curve.strategy);
        let (selected, hidden) = if index == chosen { (" selected", "") } else { ("", " hidden") };
        options += &format!("<option value=\"{index}\"{selected}>{name}</option>\n");
        let table = table(&years(&files.times, &curve.equity, files.cash()), &name);
        tables += &format!("<div class=\"choice\" data-choice=\"{index}\"{hidden}>\n{table}</div>\n");
    }
    format!(
        "<p class=\"chooser\"><label>Strategy <select data-chooser=\"months\">\n{options}</select></label></p>\n\
         <div id=\"months\">\n{tables}</div>\n"
    )
}

fn years(times: &[Time], equity: &[f64], cash: f64) -> Vec<Year> {
    let mut years: Vec<Year> = Vec::new();
    let (mut before_month, mut before_year) = (cash, cash);
    let mut row = 0;
    while row < times.len() {
        let civil = times[row].civil();
        let (year, month) = (civil.year(), civil.month());
        let next = i32::from(year) * 12 + i32::from(month);
        // A month that cannot be written as a time lies after every bar.
        let end = Time::parse(&format!("{:04}-{:02}-01", next / 12, next % 12 + 1)).unwrap_or(Time(i64::MAX));
        let stop = row + times[row..].partition_point(|time| *time < end).max(1);
        let last = equity[stop - 1];
        if years.last().is_none_or(|known| known.number != year) {
            before_year = before_month;
            years.push(Year { number: year, months: [None; 12], whole: 0.0 });
        }
        if let Some(known) = years.last_mut() {
            known.months[usize::from(month.unsigned_abs()) - 1] = Some(last / before_month - 1.0);
            known.whole = last / before_year - 1.0;
        }
        before_month = last;
        row = stop;
    }
    years
}

fn table(years: &[Year], name: &str) -> String {
    let months = years.iter().flat_map(|year| year.months).flatten();
    let mut sizes: Vec<f64> = months.filter(|value| value.is_finite()).map(f64::abs).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    // One month beyond all others must not take the colour from them.
    let large = quantile(&sizes, 0.9).unwrap_or(0.0);
    let mut html =
        format!("<table class=\"heat\">\n<caption>{name}</caption>\n<thead><tr><th scope=\"col\">Year</th>");
    for month in MONTHS {
        html += &format!("<th scope=\"col\">{month}</th>");
    }
    html += "<th scope=\"col\">All year</th></tr></thead>\n<tbody>\n";
    for year in years {
        html += &format!("<tr><th scope=\"row\">{}</th>", year.number);
        for value in year.months {
            html += &match value.filter(|value| value.is_finite()) {
                Some(value) => {
                    format!("<td class=\"{}\">{}</td>", tone(value, large), decimal(100.0 * value, 1))
                }
                None => "<td></td>".to_owned(),
            };
        }
        html += &format!("<td class=\"whole\">{}</td></tr>\n", signed_percent(year.whole, 1));
    }
    scrolling("Monthly returns", &(html + "</tbody>\n</table>\n"))
}

/// `g1` to `g4` for gains, `l1` to `l4` for losses, by size, `large` and above being the
/// darkest; the digits say it without colour.
fn tone(value: f64, large: f64) -> String {
    if value == 0.0 || large == 0.0 {
        return "even".to_owned();
    }
    let step = (4.0 * value.abs() / large).ceil().clamp(1.0, 4.0);
    format!("{}{step}", if value > 0.0 { 'g' } else { 'l' })
}
