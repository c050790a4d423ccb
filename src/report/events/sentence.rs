//! What a model's alarms are worth, in one line.

use crate::report::markup::escape;
use crate::report::number::{SPACE, counted, decimal, maybe, percent};
use crate::rundir::{EventSummary, ModelSummary, Summary};

/// The horizon with the most events, which says most; of equals the shortest.
fn told(model: &ModelSummary) -> Option<&EventSummary> {
    model.events.iter().max_by_key(|events| (events.test.events, std::cmp::Reverse(events.horizon)))
}

/// `AUC 0.91, catches 62 % of 48 events with 1.0 false alarms a day, median lead 14 bars; base rate 6.2 %`, of the horizon
/// with the most events; of several horizons it is named. Nothing for a model that forecasts no event.
pub(in crate::report) fn sentence(model: &ModelSummary) -> Option<String> {
    let events = told(model)?;
    let test = &events.test;
    let mut text = match model.events.len() {
        1 => String::new(),
        _ => format!("within {}: ", counted(events.horizon as usize, "bar")),
    };
    text += &format!("AUC {}", maybe(test.auc, 2));
    text += &match &test.alarms {
        _ if test.events == 0 => ", no event in the test rows".to_owned(),
        None => ", no alarm: validation chose no threshold".to_owned(),
        Some(alarms) => {
            let lead = alarms.median_lead.map_or(String::new(), |lead| {
                let digits = usize::from(lead.fract() != 0.0);
                format!(", median lead {}{SPACE}bars", decimal(lead, digits))
            });
            format!(
                ", catches {} of {} with {} false alarms a day{lead}",
                percent(alarms.recall, 0),
                counted(test.events, "event"),
                maybe(alarms.false_alarms_per_day, 1)
            )
        }
    };
    Some(format!("{text}; base rate {}", percent(test.base_rate, 1)))
}

/// The top of a page without strategies: the model whose average precision was best on the validation rows.
pub(in crate::report) fn headline(summary: &Summary) -> String {
    let precision = |model: &&ModelSummary| {
        told(model).and_then(|events| events.validation.average_precision).unwrap_or(-1.0)
    };
    // Of equals the first.
    let best = summary.models.iter().rev().max_by(|one, other| precision(one).total_cmp(&precision(other)));
    let Some((model, events)) = best.and_then(|model| Some((model, told(model)?))) else {
        return String::new();
    };
    let test = &events.test;
    let claim = match &test.alarms {
        Some(alarms) if test.events > 0 => format!(
            "catches {} of {} with {} false alarms a day",
            alarms.caught,
            counted(test.events, "event"),
            maybe(alarms.false_alarms_per_day, 1)
        ),
        Some(_) => "met no event in the test rows".to_owned(),
        None => "raises no alarm".to_owned(),
    };
    let mut html = format!("<h1><b class=\"model\">{}</b> {claim}.</h1>\n", escape(&model.name));
    html += &format!(
        "<p class=\"lead\">{}. Of the models it has the best average precision on the validation rows.</p>\n",
        escape(&sentence(model).unwrap_or_default())
    );
    html
}
