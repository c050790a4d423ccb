//! The run directory: the only room that writes experiment files. Every file is whole or absent, one process owns the
//! directory, and the manifest, written last, seals it.

mod atomic;
mod directory;
mod event_summary;
mod ledger;
mod manifest;
mod summary;
mod sweep_summary;
mod table_file;

pub use atomic::{RunDirError, remove_leftovers, write_atomic};
pub use directory::{RunDir, find_run, find_sweep, list_runs, read_json};
pub use event_summary::{EventSummary, RiskLevel, RiskStatus};
pub use ledger::Ledger;
pub use manifest::{Manifest, hexadecimal, sha256_file, sha256_hex};
pub use summary::{
    AuditCheck, AuditSummary, BacktestSummary, BreakerSummary, Conclusion, CostScenario, DataSummary,
    GridAxisSummary, GridSummary, HeadlineIntervals, ModelSummary, SelectionSummary, SpreadSummary, Stage,
    StrategyKind, StrategySummary, Summary, Verdict,
};
pub use sweep_summary::{
    DimensionSummary, PopulationSummary, SweepSummary, TrialSpan, TrialStatus, TrialSummary, WinnerSummary,
};
pub use table_file::{Column, TableFile};
