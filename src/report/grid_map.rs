//! The books of a grid over its first two parameters, a cell a book. The page's script fills the cells from numbers: ten
//! thousand books are a small table in the page, not ten thousand elements.

use super::books::{BookAxis, GridBooks};
use super::markup::{escape, escape_json};
use super::number::{SPACE, count, decimal, percent, signed_percent};
use super::svg::{scale, share};

/// Cells of all slices together; beyond, values are left out.
const LIMIT: usize = 20_000;
/// Pixels of the cells.
const HEIGHT: f64 = 380.0;
/// Letters of a value on an axis.
const LABEL: usize = 12;

/// What can be looked at: the column, its title and the steps of 1 in which the page holds it.
pub(super) const FIGURES: [(&str, &str, f64); 4] = [
    ("sharpe", "Sharpe ratio", 1000.0),
    ("total_return", "Return", 10_000.0),
    ("max_drawdown", "Max drawdown", 10_000.0),
    ("trades", "Trades", 1.0),
];

/// The map of a grid with two axes or more; `best` is the book that is marked, whose slice is shown first.
pub(super) fn map(id: &str, all: &GridBooks, best: usize) -> String {
    let parameters = all.parameters(best);
    let books = all.thinned(LIMIT, best);
    let best = (0..books.len()).find(|book| books.parameters(*book) == parameters).unwrap_or(0);
    let mut html = format!("<figure class=\"grid-map\" data-map=\"{id}\">\n{}", controls(&books, best));
    html += &format!("<p class=\"readout\" aria-live=\"polite\">{}</p>\n", escape(&described(&books, best)));
    html += &drawing(&books, best);
    html += "<div class=\"ramp\" aria-hidden=\"true\"><span class=\"low\"></span><span class=\"strip\"><canvas width=\"200\" \
             height=\"1\"></canvas><span class=\"middle\"></span></span><span class=\"high\"></span></div>\n";
    html += &format!("<figcaption>{}</figcaption>\n", caption(all, &books));
    html += "<noscript><p>The cells are filled by the script of this page; the table below names the best books.</p></noscript>\n";
    html + &format!(
        "<script type=\"application/json\" id=\"{id}\">{}</script>\n</figure>\n",
        escape_json(&island(&books))
    )
}

fn controls(books: &GridBooks, best: usize) -> String {
    let mut html = String::from("<p class=\"chooser\"><label>Show <select data-figure>\n");
    for (column, title, _) in FIGURES {
        html += &format!("<option value=\"{column}\">{title}</option>\n");
    }
    html += "</select></label>\n";
    for (axis, places) in books.axes.iter().zip(&books.places).skip(2) {
        html += &format!("<label>{} <select data-slice>\n", escape(&axis.name));
        for (place, label) in axis.labels.iter().enumerate() {
            let selected = if place == places[best] { " selected" } else { "" };
            html += &format!("<option value=\"{place}\"{selected}>{}</option>\n", escape(label));
        }
        html += "</select></label>\n";
    }
    html + "</p>\n"
}

/// A book in a line, as the script writes it for the cell under the pointer.
fn described(books: &GridBooks, book: usize) -> String {
    let value = |column: &str| books.figure(column)[book];
    format!(
        "{}: Sharpe{SPACE}{}, return{SPACE}{}, max{SPACE}drawdown{SPACE}{}, trades{SPACE}{}",
        books.parameters(book),
        decimal(value("sharpe"), 3),
        signed_percent(value("total_return"), 2),
        percent(Some(value("max_drawdown")), 2),
        decimal(value("trades"), 0)
    )
}

fn drawing(books: &GridBooks, best: usize) -> String {
    let (across, up) = (&books.axes[0], &books.axes[1]);
    let size = |axis: &BookAxis| axis.labels.len() as f64;
    let middle = |place: usize, axis: &BookAxis| (place as f64 + 0.5) / size(axis);
    let down = |place: usize| HEIGHT * (1.0 - middle(place, up));
    let labels: Vec<(f64, String)> =
        up.ticks(8).into_iter().map(|place| (down(place), short(&up.labels[place]))).collect();
    let longest = labels.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(1);
    let labels = labels.into_iter().map(|(y, label)| (y, escape(&label)));
    let mut html = format!("<div class=\"plot\">{}", scale(7 * longest as u32 + 10, HEIGHT + 24.0, labels));
    html += &format!(
        "<div class=\"cells\" tabindex=\"0\" role=\"img\" aria-label=\"{}\">\n<canvas width=\"{}\" height=\"{}\"></canvas>\n",
        escape(&spoken(books, best)),
        across.labels.len(),
        up.labels.len()
    );
    html += &format!("<svg width=\"100%\" height=\"{}\" aria-hidden=\"true\">\n", HEIGHT + 24.0);
    for (index, place) in across.ticks(7).into_iter().enumerate() {
        let minor = if index % 2 == 1 { " minor" } else { "" };
        html += &format!(
            "<text class=\"tick{minor}\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            share(middle(place, across)),
            HEIGHT + 17.0,
            escape(&short(&across.labels[place]))
        );
    }
    let slice: Vec<String> = books.places.iter().skip(2).map(|places| places[best].to_string()).collect();
    let (x, y) = (share(middle(books.places[0][best], across)), down(books.places[1][best]));
    html += &format!(
        "<g class=\"best-book\" data-slice=\"{}\"><circle class=\"halo\" cx=\"{x}\" cy=\"{y:.1}\" r=\"7\"/><circle cx=\"{x}\" \
         cy=\"{y:.1}\" r=\"7\"/></g>\n",
        slice.join(",")
    );
    html += &format!(
        "<rect class=\"cursor\" x=\"0\" y=\"0\" width=\"{}\" height=\"{:.2}\"/>\n</svg>\n</div></div>\n",
        share(1.0 / size(across)),
        HEIGHT / size(up)
    );
    html
}

fn short(label: &str) -> String {
    if label.chars().count() <= LABEL {
        return label.to_owned();
    }
    label.chars().take(LABEL - 1).collect::<String>() + "\u{2026}"
}

/// The map for those who do not see it.
fn spoken(books: &GridBooks, best: usize) -> String {
    format!(
        "Map of {} books over {} to the right and {} upwards. The best: {}. Arrow keys move from book to book.",
        count(books.len()),
        books.axes[0].name,
        books.axes[1].name,
        described(books, best)
    )
}

fn caption(all: &GridBooks, books: &GridBooks) -> String {
    let mut text = format!(
        "A cell a book: <b>{}</b> to the right, <b>{}</b> upwards. The ring is the book with the best Sharpe ratio.",
        escape(&books.axes[0].name),
        escape(&books.axes[1].name)
    );
    if books.axes.len() > 2 {
        text += " Of the other parameters one slice is shown, first that of the best book; all slices share their colours.";
    }
    if books.len() < books.cells() {
        text += " Hatched cells have no book, or no such figure.";
    }
    for (whole, drawn) in all.axes.iter().zip(&books.axes) {
        let (whole, drawn) = (whole.labels.len(), (&drawn.name, drawn.labels.len()));
        if drawn.1 < whole {
            text +=
                &format!(" Of {} values of {} {} are drawn.", count(whole), escape(drawn.0), count(drawn.1));
        }
    }
    text
}

/// `{"axes": [{"name", "values"}], "cell": [steps], "sharpe": [thousandths], ...}`: the books in the order of their cells,
/// the first axis running fastest; each cell as its distance from the one before.
fn island(books: &GridBooks) -> String {
    let cell = |book: usize| {
        let axes = books.axes.iter().zip(&books.places).rev();
        axes.fold(0, |cell, (axis, places)| cell * axis.labels.len() + places[book])
    };
    let mut order: Vec<usize> = (0..books.len()).collect();
    order.sort_by_key(|book| cell(*book));
    let mut last = 0;
    let steps: Vec<String> = order
        .iter()
        .map(|book| {
            let step = cell(*book) - last;
            last += step;
            step.to_string()
        })
        .collect();
    let axes: Vec<serde_json::Value> =
        books.axes.iter().map(|axis| serde_json::json!({"name": axis.name, "values": axis.labels})).collect();
    let mut json = format!("{{\"axes\":{},\"cell\":[{}]", serde_json::Value::Array(axes), steps.join(","));
    for (column, _, steps) in FIGURES {
        let values = books.figure(column);
        let texts: Vec<String> = order.iter().map(|book| whole(steps * values[*book])).collect();
        json += &format!(",\"{column}\":[{}]", texts.join(","));
    }
    json + "}"
}

fn whole(value: f64) -> String {
    if value.is_finite() { format!("{:.0}", value.round() + 0.0) } else { "null".to_owned() }
}
