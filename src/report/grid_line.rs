//! The books of a grid with one parameter: a line over its values.

use super::books::GridBooks;
use super::grid_map::FIGURES;
use super::markup::escape;
use super::svg::{Axis, HEIGHT, WIDTH, path, scale, share};

/// Pixels of a chart, and of the part with the line.
const TALL: f64 = 250.0;
const LINE: f64 = 222.0;
/// Values up to which each has a dot.
const DOTS: usize = 120;

/// A chart a figure, one shown at a time. `luck` is the Sharpe ratio that luck would show.
pub(super) fn line(id: &str, books: &GridBooks, best: usize, luck: Option<f64>) -> String {
    let mut order: Vec<usize> = (0..books.len()).collect();
    order.sort_by_key(|book| books.places[0][*book]);
    let (mut options, mut charts) = (String::new(), String::new());
    for (index, (column, title, _)) in FIGURES.iter().enumerate() {
        let luck = luck.filter(|_| *column == "sharpe");
        let hidden = if index == 0 { "" } else { " hidden" };
        options += &format!("<option value=\"{index}\">{title}</option>\n");
        charts += &format!(
            "<div class=\"choice\" data-choice=\"{index}\"{hidden}>\n{}</div>\n",
            chart(books, &order, (*column, *title), best, luck)
        );
    }
    let parameter = escape(&books.axes[0].name);
    let dashes = if luck.is_some() { " The dashed line is what luck would show." } else { "" };
    format!(
        "<figure>\n<p class=\"chooser\"><label>Show <select data-chooser=\"{id}\">\n{options}</select></label></p>\n\
         <div id=\"{id}\">\n{charts}</div>\n<figcaption>A dot a book over <b>{parameter}</b>. The ring is the book with the \
         best Sharpe ratio.{dashes}</figcaption>\n</figure>\n"
    )
}

fn chart(
    books: &GridBooks,
    order: &[usize],
    (column, title): (&str, &str),
    best: usize,
    luck: Option<f64>,
) -> String {
    let values = books.figure(column);
    let parameter = &books.axes[0];
    let axis = Axis::covering(values.iter().copied().chain(luck).chain([0.0]), 5).padded(0.05);
    let last = parameter.labels.len().saturating_sub(1).max(1) as f64;
    let across = |place: usize| 0.02 + 0.96 * place as f64 / last;
    let down = |value: f64| LINE * (1.0 - axis.share(value));
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{TALL}\" role=\"img\" aria-label=\"{title} over {}; the best book has {}\">\n",
        escape(&parameter.name),
        escape(&books.parameters(best))
    );
    for tick in &axis.ticks {
        let (y, class) = (down(*tick), if *tick == 0.0 { "zero" } else { "grid" });
        svg += &format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
    }
    if let Some(y) = luck.map(down) {
        svg += &format!("<line class=\"luck\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
    }
    let drawn: Vec<usize> = order.iter().copied().filter(|book| values[*book].is_finite()).collect();
    let points = drawn.iter().map(|book| (WIDTH * across(books.places[0][*book]), axis.down(values[*book])));
    svg += &format!(
        "<svg width=\"100%\" height=\"{LINE}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\"><path class=\"line \
         grid-line\" d=\"{}\"/></svg>\n",
        path(points)
    );
    for book in drawn.iter().filter(|book| drawn.len() <= DOTS || **book == best) {
        let (class, radius) = if *book == best { ("best", 5.5) } else { ("book", 3.0) };
        svg += &format!(
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{:.1}\" r=\"{radius}\"/>",
            share(across(books.places[0][*book])),
            down(values[*book])
        );
    }
    for (index, place) in parameter.ticks(8).into_iter().enumerate() {
        let minor = if index % 2 == 1 { " minor" } else { "" };
        svg += &format!(
            "<text class=\"tick{minor}\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            share(across(place)),
            TALL - 8.0,
            escape(&parameter.labels[place])
        );
    }
    let ratio = matches!(column, "total_return" | "max_drawdown");
    let label = |tick: &f64| if ratio { axis.percent_label(*tick) } else { axis.label(*tick) };
    let labels: Vec<(f64, String)> = axis.ticks.iter().map(|tick| (down(*tick), label(tick))).collect();
    let longest = labels.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(1);
    format!(
        "<div class=\"plot\">{}{svg}</svg></div>\n",
        scale(7 * longest as u32 + 8, TALL, labels.into_iter())
    )
}
