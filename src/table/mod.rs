//! The nouns that flow through the house. Each constructor checks its promise once; later rooms trust it.

mod bars;
mod book_figures;
mod equity;
mod features;
mod labels;
mod positions;
mod predictions;
mod return_matrix;
mod samples;
mod windows;

pub use bars::{BarColumns, BarError, Bars, SymbolBars, Timeline};
pub use book_figures::BookFigures;
pub use equity::{Balance, BookResult, Carried, CompactBook, Equity, Fill, FillReason, Side};
pub use features::{Features, NULL};
pub use labels::{LabelKind, Labels};
pub use positions::{Basis, Positions};
pub use predictions::{ModelPredictions, Predictions};
pub use return_matrix::ReturnMatrix;
pub use samples::{Sample, TrainSamples};
pub use windows::{Scaler, ScalerConfig, ScalerKind, ScalerRows, Windows};
