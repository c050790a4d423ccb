//! The one test program: every suite is a module, so that the engine is linked once.

mod bad_input;
mod data;
mod datasets;
mod generate;
mod split;
