//! The one test program: every suite is a module, so that the engine is linked once.

mod gradients;
mod models;
mod planted;
mod training;
