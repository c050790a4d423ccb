//! `manifest.json`: what produced a run, and the checksum of every file in it. Written last, it seals the run.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What a sealed run vouches for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this program.
    pub version: String,
    /// The experiment's name.
    pub name: String,
    /// The experiment's seed.
    pub seed: u64,
    /// Fingerprint of the resolved plan.
    pub plan_sha256: String,
    /// Fingerprint of the loaded bars.
    pub data_sha256: String,
    /// Where tensors lived.
    pub device: String,
    /// Why it was that device.
    pub device_reason: String,
    /// Books on models that this run tried.
    pub trials: usize,
    /// Books that this run tried, those of grids included, random ones not.
    #[serde(default)]
    pub books: usize,
    /// How far their annualised Sharpe ratios spread, as a variance; absent for fewer than two books.
    #[serde(default)]
    pub sharpe_variance: Option<f64>,
    /// The symbols.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// First and last bar, RFC 3339; empty in runs of older versions.
    #[serde(default)]
    pub bars: [String; 2],
    /// How the run ended: "completed".
    pub stop_reason: String,
    /// Checksum of every other file, by its path below the run directory.
    pub files: BTreeMap<String, String>,
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of a file, read in pieces.
///
/// # Errors
/// A file that cannot be read.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut std::fs::File::open(path)?, &mut HashWriter(&mut hasher))?;
    Ok(hexadecimal(&hasher.finalize()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes as lower-case hexadecimal, the form in which every fingerprint is written.
pub fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
