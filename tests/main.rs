//! The one test program: every suite is a module, so that the engine is linked once.

mod cli;
mod config;
mod house;
mod program;
mod real_data;
mod resume;
mod verdict;
