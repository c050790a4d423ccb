//! The books of the grids, read from `books.parquet`, each in its place on the axes.

use super::ReportError;
use super::svg::Axis;
use crate::rundir::{GridAxisSummary, GridSummary, TableFile};
use std::path::{Path, PathBuf};

/// Figures of every book, as columns of the table.
const FIGURES: [&str; 8] =
    ["sharpe", "total_return", "cagr", "max_drawdown", "trades", "win_rate", "exposure", "fees"];

/// The books of one grid. All vectors have a value a book; NaN where a figure is not defined.
#[derive(Clone)]
pub(super) struct GridBooks {
    pub(super) axes: Vec<BookAxis>,
    /// `[axis][book]`: the index of the book's value on the axis.
    pub(super) places: Vec<Vec<usize>>,
    /// In the order of [`FIGURES`].
    figures: Vec<Vec<f64>>,
}

/// A parameter that varies. Numbers rise, whatever the order in which they were written.
#[derive(Clone)]
pub(super) struct BookAxis {
    pub(super) name: String,
    /// The values as people wrote them.
    pub(super) labels: Vec<String>,
    /// The values where all are numbers, rising.
    pub(super) numbers: Option<Vec<f64>>,
}

/// Reads the books of every grid, in their order; nothing where the run has no such file.
pub(super) fn read_books(folder: &Path, grids: &[GridSummary]) -> Result<Vec<GridBooks>, ReportError> {
    let path = folder.join("books.parquet");
    if grids.is_empty() || !path.exists() {
        return Ok(Vec::new());
    }
    let parameters = grids.iter().flat_map(|grid| &grid.axes).map(|axis| axis.parameter.as_str());
    let names: Vec<&str> = ["grid"].into_iter().chain(FIGURES).chain(parameters).collect();
    let file = BookFile { table: TableFile::read_columns(&path, &names)?, path };
    grids.iter().map(|grid| file.books(grid)).collect()
}

struct BookFile {
    path: PathBuf,
    table: TableFile,
}

impl BookFile {
    fn books(&self, grid: &GridSummary) -> Result<GridBooks, ReportError> {
        let missing = |column, kind| ReportError::Column { path: self.path.clone(), column, kind };
        let names = self.table.text("grid").ok_or_else(|| missing("grid", "text"))?;
        let rows: Vec<usize> = (0..names.len()).filter(|row| *names[*row] == *grid.name).collect();
        let mut figures = Vec::new();
        for name in FIGURES {
            let values = match (self.table.float(name), self.table.integer(name)) {
                (Some(values), _) => rows.iter().map(|row| values[*row]).collect(),
                (_, Some(values)) => rows.iter().map(|row| values[*row] as f64).collect(),
                _ => return Err(missing(name, "float")),
            };
            figures.push(values);
        }
        let axes: Vec<BookAxis> = grid.axes.iter().map(BookAxis::new).collect();
        let places = axes.iter().map(|axis| self.places(grid, axis, &rows)).collect::<Result<Vec<_>, _>>()?;
        Ok(GridBooks { axes, places, figures })
    }

    /// The place of every book of the grid on one axis.
    fn places(&self, grid: &GridSummary, axis: &BookAxis, rows: &[usize]) -> Result<Vec<usize>, ReportError> {
        let wrong = |found: String| ReportError::Rows {
            path: self.path.clone(),
            found: format!("in grid {} {found}", grid.name),
            expected: format!("a column `{}` with the values of that axis in summary.json", axis.name),
        };
        let numbers = self.table.float(&axis.name).map(<[f64]>::to_vec).or_else(|| {
            self.table.integer(&axis.name).map(|whole| whole.iter().map(|value| *value as f64).collect())
        });
        let place = |row: usize| match (&numbers, self.table.text(&axis.name)) {
            (Some(numbers), _) => axis.place_of_number(numbers[row]).ok_or_else(|| numbers[row].to_string()),
            (_, Some(texts)) => axis.place_of_text(&texts[row]).ok_or_else(|| texts[row].to_string()),
            _ => Err("nothing".to_owned()),
        };
        let wrong_value = |value| wrong(format!("a book has {} = {value}", axis.name));
        rows.iter().map(|row| place(*row).map_err(wrong_value)).collect()
    }
}

impl BookAxis {
    fn new(axis: &GridAxisSummary) -> BookAxis {
        let text = |value: &serde_json::Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let mut values: Vec<(Option<f64>, String)> =
            axis.values.iter().map(|value| (value.as_f64(), text(value))).collect();
        let numeric = values.iter().all(|(number, _)| number.is_some());
        if numeric {
            values.sort_by(|left, right| left.0.partial_cmp(&right.0).unwrap_or(std::cmp::Ordering::Equal));
        }
        BookAxis {
            name: axis.parameter.clone(),
            numbers: numeric.then(|| values.iter().filter_map(|(number, _)| *number).collect()),
            labels: values.into_iter().map(|(_, label)| label).collect(),
        }
    }

    fn place_of_number(&self, number: f64) -> Option<usize> {
        let numbers = self.numbers.as_ref()?;
        let place = numbers.partition_point(|other| *other < number);
        (numbers.get(place) == Some(&number)).then_some(place)
    }

    fn place_of_text(&self, text: &str) -> Option<usize> {
        let named = self.labels.iter().position(|label| label == text);
        named.or_else(|| self.place_of_number(text.parse().ok()?))
    }

    /// Places at which the axis is marked, about `wanted`: round numbers where the axis has them.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<usize> {
        if let Some(numbers) = &self.numbers {
            let round = Axis::covering(numbers.iter().copied(), wanted).ticks;
            let near = |tick: &f64| {
                let reach = 1e-9 * tick.abs().max(1e-9);
                numbers.iter().position(|number| (number - tick).abs() <= reach)
            };
            let places: Vec<usize> = round.iter().filter_map(near).collect();
            if places.len() > 2 {
                return places;
            }
        }
        (0..self.labels.len()).step_by(self.labels.len().div_ceil(wanted).max(1)).collect()
    }
}

impl GridBooks {
    /// How many books there are.
    pub(super) fn len(&self) -> usize {
        self.figures[0].len()
    }

    /// A figure of every book by its column.
    pub(super) fn figure(&self, column: &str) -> &[f64] {
        FIGURES.iter().position(|name| *name == column).map_or(&[], |index| self.figures[index].as_slice())
    }

    /// Books by falling Sharpe ratio; equal ones keep the order of the file, those without one are left out.
    pub(super) fn ranked(&self) -> Vec<usize> {
        let sharpe = self.figure("sharpe");
        let mut books: Vec<usize> = (0..self.len()).filter(|book| sharpe[*book].is_finite()).collect();
        books.sort_by(|left, right| sharpe[*right].total_cmp(&sharpe[*left]));
        books
    }

    /// The book's parameters as people write them: `fast 10, slow 60`.
    pub(super) fn parameters(&self, book: usize) -> String {
        let named = self.axes.iter().zip(&self.places);
        let texts: Vec<String> =
            named.map(|(axis, places)| format!("{} {}", axis.name, axis.labels[places[book]])).collect();
        texts.join(", ")
    }

    /// Books that differ from `book` by at most one step of every parameter that is a number, and in no other.
    pub(super) fn neighbours(&self, book: usize) -> Vec<usize> {
        let near = |other: usize| {
            self.axes.iter().zip(&self.places).all(|(axis, places)| {
                places[other].abs_diff(places[book]) <= usize::from(axis.numbers.is_some())
            })
        };
        (0..self.len()).filter(|other| *other != book && near(*other)).collect()
    }

    /// Combinations of all values, those without a book included.
    pub(super) fn cells(&self) -> usize {
        self.axes.iter().map(|axis| axis.labels.len()).product()
    }

    /// At most `limit` cells: every second, fourth, ... value of the longest axes, those of `kept` among them.
    pub(super) fn thinned(&self, limit: usize, kept: usize) -> GridBooks {
        let mut steps = vec![1; self.axes.len()];
        let length = |axis: usize, step: usize| self.axes[axis].labels.len().div_ceil(step);
        while (0..steps.len()).map(|axis| length(axis, steps[axis])).product::<usize>() > limit {
            let longest = (0..steps.len()).max_by_key(|axis| length(*axis, steps[*axis])).unwrap_or(0);
            steps[longest] *= 2;
        }
        let first: Vec<usize> =
            self.places.iter().zip(&steps).map(|(places, step)| places[kept] % step).collect();
        let stays =
            |book: &usize| (0..steps.len()).all(|axis| self.places[axis][*book] % steps[axis] == first[axis]);
        let books: Vec<usize> = (0..self.len()).filter(stays).collect();
        let axes = self.axes.iter().enumerate().map(|(index, axis)| BookAxis {
            name: axis.name.clone(),
            labels: axis.labels.iter().skip(first[index]).step_by(steps[index]).cloned().collect(),
            numbers: axis
                .numbers
                .as_ref()
                .map(|numbers| numbers.iter().skip(first[index]).step_by(steps[index]).copied().collect()),
        });
        let places = self.places.iter().zip(&steps);
        GridBooks {
            axes: axes.collect(),
            places: places
                .map(|(places, step)| books.iter().map(|book| places[*book] / step).collect())
                .collect(),
            figures: self
                .figures
                .iter()
                .map(|values| books.iter().map(|book| values[*book]).collect())
                .collect(),
        }
    }
}
