//! The one test program: every suite is a module, so that the engine is linked once.

#![allow(clippy::unwrap_used, reason = "a test that fails to prepare has failed")]

mod bad_input;
mod data;
mod datasets;
mod generate;
mod split;
