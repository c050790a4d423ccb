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
        let mut folds: Vec<&Training> = files
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
        html += &format!(
            "<h3>{} <small>{}</small></h3>\n<div class=\"multiples\">\n",
            escape(&model.name),
            facts.join(", ")
        );
        // The networks of a fold that differ in their seed stand in one chart.
        folds.sort_by_key(|training| training.fold);
        let charts = folds.chunk_by(|left, right| left.fold == right.fold);
        html += &charts.map(|networks| chart(networks, &axis)).collect::<String>();
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

fn chart(networks: &[&Training], axis: &Axis) -> String {
    let longest = networks.iter().max_by_key(|network| network.epochs.len());
    let epochs: &[i64] = longest.map_or(&[], |network| &network.epochs);
    let last = epochs.len().saturating_sub(1);
    let across = |index: usize| 0.02 + 0.96 * index as f64 / last.max(1) as f64;
    let down = |value: f64| CURVES * (1.0 - axis.share(value));
    let fold = networks[0].fold;
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"Losses of fold {fold}\">\n"
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
    for network in networks {
        for (class, values) in
            [("training", &network.training_loss), ("validation", &network.validation_loss)]
        {
            let finite = values.iter().enumerate().filter(|(_, value)| value.is_finite());
            let points = finite.map(|(index, value)| (svg::WIDTH * across(index), axis.down(*value)));
            svg += &format!("<path class=\"loss {class}\" d=\"{}\"/>\n", path(points));
        }
    }
    svg += "</svg>\n";
    let best: Vec<(i64, f64)> = networks
        .iter()
        .filter_map(|network| {
            let index = best_epoch(network)?;
            let (x, y) = (share(across(index)), down(network.validation_loss[index]));
            svg += &format!("<circle class=\"best\" cx=\"{x}\" cy=\"{y:.1}\" r=\"4\"/>\n");
            Some((network.epochs[index], network.validation_loss[index]))
        })
        .collect();
    let y = HEIGHT - 6.0;
    let [first, last] = [0, last].map(|index| epochs.get(index).copied().unwrap_or_default());
    svg += &format!("<text class=\"tick\" x=\"0\" y=\"{y}\">epoch {first}</text>");
    svg += &format!("<text class=\"tick\" x=\"100%\" y=\"{y}\" text-anchor=\"end\">{last}</text>\n</svg>\n");
    let labels = axis.ticks.iter().map(|tick| (down(*tick), axis.label(*tick)));
    let scale = scale(axis.gutter(), HEIGHT, labels);
    let caption = caption(fold, &best);
    format!("<figure>\n<div class=\"plot\">{scale}{svg}</div><figcaption>{caption}</figcaption>\n</figure>\n")
}

/// The position of the epoch with the lowest validation loss.
fn best_epoch(network: &Training) -> Option<usize> {
    let losses = &network.validation_loss;
    let finite = (0..losses.len()).filter(|index| losses[*index].is_finite());
    finite.min_by(|left, right| losses[*left].total_cmp(&losses[*right]))
}

/// The best epoch and its loss; of several networks the range of their losses.
fn caption(fold: i64, best: &[(i64, f64)]) -> String {
    match best {
        [] => format!("Fold {fold}"),
        [(epoch, loss)] => format!("Fold {fold}: best epoch {epoch}, {}", significant(*loss)),
        several => {
            let losses = || several.iter().map(|(_, loss)| *loss);
            let [low, high] =
                [losses().fold(f64::INFINITY, f64::min), losses().fold(f64::NEG_INFINITY, f64::max)];
            format!(
                "Fold {fold}: {}, best losses {} to {}",
                counted(several.len(), "network"),
                significant(low),
                significant(high)
            )
        }
    }
}
