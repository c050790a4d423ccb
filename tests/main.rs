//! The one test program: every suite is a module, so that the engine is linked once.

mod causality;
mod cli;
mod config;
mod house;
mod indicators;
mod labels;
mod program;
mod real_data;
mod resume;
mod verdict;
