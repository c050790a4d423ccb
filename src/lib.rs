//! Candlewick: trains forecasting models, backtests them beside ordinary strategies, and says what they are worth.
//!
//! The rooms, from the ground to the roof; a room imports only from lower floors (`tests/house.rs` is the wall).
//!
//! | floor | rooms |
//! |---|---|
//! | 0 | [`units`], [`seed`], [`suggest`], [`ruled_table`], [`mod@registry`], [`progress`], [`protobuf`] |
//! | 1 | [`table`]: the nouns that flow; [`kernels`]: device math; [`onnx`]: graphs for other programs |
//! | 2 | [`metrics`]: numbers to figures; [`nn`]: layers that models share; [`search`]: where to look next; [`device`]: which device trains |
//! | 3 | [`rundir`]: the only room that writes experiment files |
//! | 4 | [`data`]: tables in and out; [`train`]: the gradient loop; [`report`]: reads run directories |
//! | 5 | [`model`]: one file a model; [`domains`]: one folder a world |
//! | 6 | [`config`]: from YAML to a plan |
//! | 7 | [`audit`]: the look-ahead proof |
//! | 8 | [`mod@run`]: the story of one experiment |
//! | 9 | [`sweep`]: one experiment becomes hundreds; [`query`]: rows of a run's tables; [`stream`]: a run's model live |
//! | 10 | [`cli`]: one verb a file |
//!
//! Letters in shapes: `N` rows, `B` batch, `T` time steps of a window, `F` features, `H` hidden units or horizons,
//! `A` assets, `P` population.

pub mod audit;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod domains;
#[path = "../kernels/mod.rs"]
pub mod kernels;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod onnx;
pub mod progress;
pub mod protobuf;
pub mod query;
pub mod registry;
pub mod report;
pub mod ruled_table;
pub mod run;
pub mod rundir;
pub mod search;
pub mod seed;
pub mod stream;
pub mod suggest;
pub mod sweep;
pub mod table;
pub mod train;
pub mod units;
