//! What runs and sweeps found, for people: an HTML page of each, one page that compares runs, tables in the terminal, and
//! event files for TensorBoard.
//!
//! Reports read run directories only, never live objects, so that any old run can be drawn again. A page is one file
//! that makes no request: our own SVG, our own small script, system fonts. The same directory gives the same bytes.

mod audit;
mod books;
mod compare;
mod costs;
mod drawdown_table;
mod equity_plot;
mod folds;
mod forecast_panels;
mod forecast_plot;
mod forecast_steps;
mod frame;
mod grid_line;
mod grid_map;
mod grids;
mod heat_map;
mod histogram;
mod line_chart;
mod markup;
mod number;
mod overview;
mod page;
mod provenance;
mod rolling_plot;
mod run_files;
mod scenarios;
mod selection;
mod strategy_table;
mod svg;
mod sweep;
mod tensorboard;
mod terminal;
mod terminal_text;
mod text_difference;
mod training_plot;
mod verdict;

pub use compare::compare;
pub use sweep::{render_sweep, sweep_terminal};
pub use tensorboard::export_tensorboard;
pub use terminal::terminal;
pub use terminal_text::{fixed, readable};

use crate::rundir::{RunDirError, write_atomic};
use run_files::RunFiles;
use std::path::{Path, PathBuf};

/// A report could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the run cannot be read, or the page cannot be written.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// A table lacks a column, or has it with another type.
    #[error("{path} has no {kind} column `{column}`; another version wrote it: run the experiment again")]
    Column {
        /// The table.
        path: PathBuf,
        /// The column that the report needs.
        column: &'static str,
        /// `text`, `time`, `integer` or `float`.
        kind: &'static str,
    },
    /// A table holds rows that do not fit together.
    #[error("{path}: {found}, expected {expected}; the run is damaged: run the experiment again")]
    Rows {
        /// The table.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// The run was interrupted, or still works.
    #[error(
        "{} has no results yet: the run was interrupted, or it still works; to finish it: `candlewick run --resume {}`",
        run.display(),
        markup::quoted(&run.display().to_string())
    )]
    NoResults {
        /// The run directory.
        run: PathBuf,
    },
    /// A comparison of nothing.
    #[error("found no run to compare; name at least one run directory")]
    NoRuns,
}

/// Draws `report.html` of the run directory `run` and returns its path. Sections whose files are absent are left out.
///
/// # Errors
/// A run directory without `summary.json`, a damaged file, or a page that cannot be written.
pub fn render(run: &Path) -> Result<PathBuf, ReportError> {
    let files = RunFiles::read(run)?;
    let path = run.join("report.html");
    write_atomic(&path, page::run_page(&files).as_bytes())?;
    Ok(path)
}
