//! The figures of every model at every horizon, the best first, above what the base rate reaches.

use crate::metrics::EventFigures;
use crate::report::markup::{escape, number_cell, number_heading, scrolling};
use crate::report::number::{NONE, count, maybe, percent};
use crate::rundir::{ModelSummary, Summary};

/// The sentences above the table.
pub(super) const NOTE: &str = "Test rows only, the best average precision first. AUC: how often a row with an event has the higher risk \
    (0.5 is luck). Average precision: luck is the base rate. Both compare rows of one fold, for each fold has a model of its own \
    (of the average precision it is the mean over folds, weighted by rows with an event). Brier skill: above 0 the probability is better than the share of \
    events among the training rows. Calibration error: mean distance of forecast and observed share. Recall, false alarms and \
    lead are those of the threshold that validation chose; days are those of the calendar, with all symbols together. An alarm \
    is right where one of its rows has an event ahead, in time or not. The hindsight recall is that of the best threshold for these very rows \
    at one false alarm a day, which nobody could have known. 95\u{a0}% intervals take account of overlapping labels, not of \
    events in clusters.";

/// The table, a group of rows a horizon.
pub(super) fn table(summary: &Summary) -> String {
    let mut table = String::from("<table class=\"events\">\n<thead><tr><th scope=\"col\">Model</th>");
    for title in [
        "AUC",
        "Average precision",
        "Brier skill",
        "Calibration error",
        "Recall",
        "False alarms a day",
        "Right alarms",
        "Median lead",
        "Hindsight recall",
    ] {
        table += &number_heading(title);
    }
    table += "</tr></thead>\n";
    for (place, horizon) in super::horizons(summary).iter().enumerate() {
        let ranked = super::ranked(summary, place);
        let Some((_, any)) = ranked.first() else { continue };
        table += &format!(
            "<tbody>\n<tr class=\"first\"><th scope=\"rowgroup\" colspan=\"10\">within {horizon} bars <small>base rate {}, {} events \
             in {} days</small></th></tr>\n",
            percent(any.test.base_rate, 2),
            count(any.test.events),
            maybe(Some(any.test.days), 1)
        );
        for (model, events) in &ranked {
            table += &row(model, &events.test);
        }
        table += &base_rate(&any.test);
        table += "</tbody>\n";
    }
    scrolling("Figures of forecasts of events", &(table + "</table>\n"))
}

fn row(model: &ModelSummary, figures: &EventFigures) -> String {
    let between = |ends: Option<[f64; 2]>, digits| match ends {
        Some(ends) => {
            format!("<small class=\"ends\">{}</small>", ends.map(|end| maybe(Some(end), digits)).join(" to "))
        }
        None => String::new(),
    };
    let alarms = figures.alarms.as_ref();
    let of = |figure: Option<String>| figure.unwrap_or_else(|| NONE.to_owned());
    let recall = alarms.map(|alarms| {
        let ends = alarms.recall_interval.map(|ends| ends.map(|end| percent(Some(end), 0)).join(" to "));
        let ends = ends.map(|ends| format!("<small class=\"ends\">{ends}</small>")).unwrap_or_default();
        format!("{} of {}{ends}", count(alarms.caught), count(figures.events))
    });
    let lead =
        alarms.and_then(|alarms| alarms.median_lead).map(|lead| format!("{} bars", maybe(Some(lead), 0)));
    let hindsight = figures.hindsight.iter().find(|point| point.false_alarms_per_day == 1.0);
    let cells = [
        maybe(figures.auc, 3) + &between(figures.auc_interval, 2),
        maybe(figures.average_precision, 3),
        percent(figures.brier_skill, 1),
        maybe(figures.calibration_error, 3),
        of(recall),
        of(alarms.map(|alarms| maybe(alarms.false_alarms_per_day, 2))),
        of(alarms.map(|alarms| percent(alarms.precision, 0))),
        of(lead),
        percent(hindsight.and_then(|point| point.recall), 0),
    ];
    let cells = cells.map(|cell| number_cell(&cell)).concat();
    format!(
        "<tr><th scope=\"row\">{} <small>{}</small></th>{cells}</tr>\n",
        escape(&model.name),
        escape(&model.kind)
    )
}

/// What a forecast that is always the base rate reaches; it never raises an alarm.
fn base_rate(figures: &EventFigures) -> String {
    let mut cells =
        vec!["0.500".to_owned(), maybe(figures.average_precision_of_luck, 3), percent(Some(0.0), 1)];
    let distance = figures.training_base_rate.zip(figures.base_rate).map(|(one, other)| (one - other).abs());
    cells.push(maybe(distance, 3));
    cells.resize(9, NONE.to_owned());
    let cells: String = cells.iter().map(|cell| number_cell(cell)).collect();
    format!(
        "<tr class=\"yardstick\"><th scope=\"row\">always the base rate <small>of training rows</small></th>{cells}</tr>\n"
    )
}
