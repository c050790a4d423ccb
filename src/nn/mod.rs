//! Layers that models share. Shapes stand in every documentation; weights live in [`Parameters`], by name.

mod attention;
mod linear;
mod loss;
mod lstm;
mod norm;
mod normalisation;
mod parameters;
mod pass;
mod position;
pub mod program;

pub use crate::kernels::encoder::{EncoderShape, NormPlace};
pub use crate::kernels::row_steps::Activation;
pub use attention::{EncoderKind, EncoderLayer};
pub use linear::Linear;
pub use loss::{Head, LossConfig, PositiveWeight};
pub use lstm::LstmStack;
pub use norm::LayerNorm;
pub use normalisation::{Normalisation, NormalisedGraph, NormalisedWindows};
pub use parameters::{Parameters, Weight};
pub use pass::Pass;
pub use position::sinusoidal_positions;
