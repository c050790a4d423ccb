//! Tables in and out: loading with distrust, describing, importing, generating, and cutting into folds.

mod bad_rows;
mod clean;
mod config;
mod depth;
mod describe;
mod describe_table;
mod doubts;
mod duration;
mod epoch;
mod error;
mod files;
mod foreign;
mod generate;
mod import;
mod layout;
mod load;
mod parquet_file;
mod read;
mod resample;
mod rows;
mod split;
mod text_table;
mod text_time;
mod time_zone;
mod write;

pub use config::{
    BadRows, ColumnsConfig, DataConfig, Duplicates, ExtraColumn, Gaps, PriceColumn, QualityConfig,
    RangeConfig, Resampling, TimeUnit, TimestampColumn, Unsorted,
};
pub use depth::{DepthOptions, IngestedDepth, depth_columns, ingest_depth};
pub use describe::{Description, FileDescription, SymbolDescription, describe};
pub use duration::BarDuration;
pub use error::DataError;
pub use generate::{
    CrashInjection, DepthCrashesGenerator, DepthProcess, GeneratedMetadata, MarketGenerator, PlantedCrash,
    PlantedFalseStart, PlantedSignal, SineTicksGenerator,
};
pub use import::{ImportOptions, Imported, import};
pub use load::{Loaded, fingerprint, load};
pub use split::{Fold, Holdout, PurgedKFold, SplitConfig, WalkForward};
pub use write::write_bars;
