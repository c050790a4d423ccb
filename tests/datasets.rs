//! The shipped Parquet files are what their commands make.

use crate::program::Scratch;
use candlewick::data::{ColumnsConfig, DataConfig, GeneratedMetadata, load};
use std::path::{Path, PathBuf};

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    files.sort();
    files
}

/// The `data` section with which a file loads, as its metadata say.
fn config(path: &Path, metadata: &GeneratedMetadata) -> DataConfig {
    let columns = metadata.columns.clone().unwrap_or_default();
    DataConfig { columns, ..DataConfig::of(path.display().to_string()) }
}

fn has_a_close_alone(columns: &ColumnsConfig) -> bool {
    let ranges = [&columns.open, &columns.high, &columns.low].iter().any(|column| column.is_some());
    columns.close.is_some() && !ranges && columns.volume.is_none()
}

fn metadata(path: &Path) -> GeneratedMetadata {
    serde_json::from_slice(&std::fs::read(path.with_extension("metadata.json")).unwrap()).unwrap()
}

#[test]
fn every_dataset_is_what_its_command_makes() {
    assert!(shipped().len() >= 4);
    let scratch = Scratch::new();
    for path in shipped() {
        let metadata = metadata(&path);
        let loaded = load(&config(&path, &metadata)).unwrap();
        assert_eq!(metadata.sha256, loaded.sha256, "{}", path.display());
        assert_eq!(metadata.rows, loaded.bars.rows());
        assert_eq!(metadata.symbols, loaded.bars.names());
        assert!(loaded.repairs.is_empty(), "{:?}", loaded.repairs);
        // A mid price has neither ranges nor a traded volume; bars have both.
        let expected: &[&str] = match metadata.columns.as_ref().is_some_and(has_a_close_alone) {
            true => &["the data have closes only", "the data have no volume", "a generator put 117 crashes"],
            false => &[],
        };
        assert_eq!(loaded.warnings.len(), expected.len(), "{:?}", loaded.warnings);
        for (warning, start) in loaded.warnings.iter().zip(expected) {
            assert!(warning.starts_with(start), "{:?}", loaded.warnings);
        }
        let words = metadata.command.strip_prefix("candlewick ").unwrap();
        let (words, output) = words.split_once("--output ").unwrap();
        assert_eq!(output, format!("datasets/{}", path.file_name().unwrap().to_string_lossy()));
        let words: Vec<&str> = words.split_whitespace().chain(["--output", "again.parquet"]).collect();
        scratch.candlewick(&words).exits(0);
        let made = load(&config(&scratch.path("again.parquet"), &metadata)).unwrap();
        assert_eq!(made.sha256, metadata.sha256, "{} is not what its command makes", path.display());
    }
}

#[test]
fn all_datasets_together_are_small() {
    let bytes: u64 = shipped().iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes <= 4_000_000, "{bytes} bytes");
}
