//! Loss by epoch: a small chart a model and fold, all folds of a model on one scale.

use super::markup::escape;
use super::number::{counted, significant};
use super::run_files::{RunFiles, Training};
use super::svg::{self, Axis, path, scale, share};

/// Pixels of a chart, and of the part with the curves.
const HEIGHT: f64 = 132.0;
const CURVES: f64 = 110.0;

/// The charts of every model that was trained in epochs.
pub(super) fn training(files: &RunFiles) -> String {
    let mut html = String::new();
    for model in &files.summary.models {
        let folds: Vec<&Training> = files
            .trainings
            .iter()
            .filter(|training| training.model == model.name && training.epochs.len() > 1)
            .collect();
        if folds.is_empty() {
            continue;
        }
        let losses =
            folds.iter().flat_map(|fold| fold.training_loss.iter().chain(&fold.validation_loss)).copied();
        let axis = Axis::covering(losses, 3).padded(0.05);
        let mut facts = vec![escape(&model.kind), counted(model.parameters, "parameter")];
        if let Some(speed) = model.samples_per_second {
            facts.push(format!("{} windows a second", significant(speed)));
        }
        if let Some(precision) = &model.precision {
            let reason = model.precision_reason.as_deref().unwrap_or_default();
            facts.push(format!("products in {} ({})", escape(precision), escape(reason)));
        }
        html += &format!(
            "<h3>{} <small>{}</small></h3>\n<div class=\"multiples\">\n",
            escape(&model.name),
            facts.join(", ")
        );
        html += &folds.iter().map(|fold| chart(fold, &axis)).collect::<String>();
        html += "</div>\n";
    }
    if html.is_empty() {
        return html;
    }
    "<p class=\"parts\"><span class=\"swatch training\"></span>training <span class=\"swatch validation\"></span>validation \
     <span class=\"swatch best\"></span>best epoch</p>\n"
        .to_owned()
        + &html
}

fn chart(fold: &Training, axis: &Axis) -> String {
    let last = fold.epochs.len() - 1;
    let across = |index: usize| 0.02 + 0.96 * index as f64 / last.max(1) as f64;
    let down = |value: f64| CURVES * (1.0 - axis.share(value));
    let best = (0..=last)
        .filter(|index| fold.validation_loss[*index].is_finite())
        .min_by(|left, right| fold.validation_loss[*left].total_cmp(&fold.validation_loss[*right]));
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"Losses of fold {}\">\n",
        fold.fold
    );
    for tick in &axis.ticks {
        let y = down(*tick);
        svg += &format!("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
    }
    svg += &format!(
        "<svg width=\"100%\" height=\"{CURVES}\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\">\n",
        svg::WIDTH,
        svg::HEIGHT
    );
    for (class, values) in [("training", &fold.training_loss), ("validation", &fold.validation_loss)] {
        let finite = values.iter().enumerate().filter(|(_, value)| value.is_finite());
        let points = finite.map(|(index, value)| (svg::WIDTH * across(index), axis.down(*value)));
        svg += &format!("<path class=\"loss {class}\" d=\"{}\"/>\n", path(points));
    }
    svg += "</svg>\n";
    let mut caption = format!("Fold {}", fold.fold);
    if let Some(seed) = fold.seed {
        caption += &format!(", seed {seed}");
    }
    if let Some(best) = best {
        let value = fold.validation_loss[best];
        let (x, y) = (share(across(best)), down(value));
        svg += &format!("<circle class=\"best\" cx=\"{x}\" cy=\"{y:.1}\" r=\"4\"/>\n");
        caption += &format!(": best epoch {}, {}", fold.epochs[best], significant(value));
    }
    let y = HEIGHT - 6.0;
    svg += &format!("<text class=\"tick\" x=\"0\" y=\"{y}\">epoch {}</text>", fold.epochs[0]);
    svg += &format!(
        "<text class=\"tick\" x=\"100%\" y=\"{y}\" text-anchor=\"end\">{}</text>\n</svg>\n",
        fold.epochs[last]
    );
    let labels = axis.ticks.iter().map(|tick| (down(*tick), axis.label(*tick)));
    let scale = scale(axis.gutter(), HEIGHT, labels);
    format!("<figure>\n<div class=\"plot\">{scale}{svg}</div><figcaption>{caption}</figcaption>\n</figure>\n")
}
