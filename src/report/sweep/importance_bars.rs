//! How much of the spread of the metric each setting explains by itself.

use super::super::markup::{escape, scrolling};
use super::super::number::{NONE, counted, percent};
use super::super::svg::share;
use super::Sweep;

/// How to read the bars.
const NOTE: &str = "that each setting explains by itself. What no setting explains comes from settings acting together and \
     from chance. The shares may add up to more than 100\u{a0}% where settings changed together, as under an adaptive search. A search that has settled on good values \
     tries few others, so a setting can look small because it was soon settled.";

/// [`NOTE`] where there is a bar.
pub(super) fn note(sweep: &Sweep<'_>) -> String {
    let known = sweep.dimensions.iter().any(|dimension| dimension.summary.importance.is_some());
    let finished = counted(sweep.ranked.len(), "finished trial");
    if known { format!("Share of the variance of the metric over {finished} {NOTE}") } else { String::new() }
}

/// A bar a setting, the most important first; a sentence where nothing is known.
pub(super) fn importance(sweep: &Sweep<'_>) -> String {
    if sweep.dimensions.is_empty() {
        return String::new();
    }
    let mut rows: Vec<_> =
        sweep.dimensions.iter().map(|dimension| (dimension, dimension.summary.importance)).collect();
    if rows.iter().all(|(_, importance)| importance.is_none()) {
        return "<p>Not known: that takes at least ten finished trials with different values.</p>\n"
            .to_owned();
    }
    rows.sort_by(|left, right| right.1.unwrap_or(-1.0).total_cmp(&left.1.unwrap_or(-1.0)));
    let mut table = String::from("<table class=\"shares\">\n<tbody>\n");
    for (dimension, importance) in rows {
        let (title, size) = (escape(&dimension.summary.path), importance.unwrap_or(0.0).clamp(0.0, 1.0));
        let text = if importance.is_some() { percent(importance, 0) } else { NONE.to_owned() };
        table += &format!(
            "<tr><th scope=\"row\" title=\"{title}\">{}</th><td class=\"n\">{text}</td><td class=\"bars\"><svg width=\"100%\" \
             height=\"14\" aria-hidden=\"true\"><rect class=\"bar model\" x=\"0\" y=\"1\" width=\"{}\" height=\"12\" \
             rx=\"2\"/></svg></td></tr>\n",
            escape(&dimension.name),
            share(size)
        );
    }
    scrolling("Importance", &(table + "</tbody>\n</table>\n"))
}
