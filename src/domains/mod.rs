//! The worlds to which the engine can be put.

pub mod market;
