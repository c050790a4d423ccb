//! A model as a run saved it: read back with its scaler, to forecast as it did in the run.

use super::RunError;
use super::members::{Forecasts, folders, networks, restore_units};
use crate::config::Plan;
use crate::model::{FitError, Fitted};
use crate::rundir::{RunDirError, read_json, sha256_hex};
use crate::table::{Features, Sample, Scaler, Windows};
use candle_core::Device;
use std::path::{Path, PathBuf};

/// The files of a network that decide its forecasts.
const FILES: [&str; 3] = ["model.json", "model.safetensors", "scaler.json"];

/// Hexadecimal digits of a version.
const VERSION_DIGITS: usize = 12;

/// What the networks of a model and fold are: the beginning of the SHA-256 over the name, the length (u64, little-endian)
/// and the bytes of each of their files, network by network. Models of equal version forecast alike.
pub(super) fn version(folders: &[PathBuf]) -> Result<String, RunDirError> {
    let mut all = Vec::new();
    for folder in folders {
        for name in FILES {
            let path = folder.join(name);
            let bytes = match std::fs::read(&path) {
                // A forecast without learning has no weights.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.map_err(|source| RunDirError::Read { path, source })?,
            };
            all.extend(name.bytes());
            all.extend((bytes.len() as u64).to_le_bytes());
            all.extend(bytes);
        }
    }
    let mut version = sha256_hex(&all);
    version.truncate(VERSION_DIGITS);
    Ok(version)
}

/// The networks of one model and fold, whose mean is its forecast, with the scaler of the fold.
pub struct SavedModel {
    networks: Vec<Box<dyn Fitted>>,
    scaler: Scaler,
    window: usize,
    version: String,
    device: Device,
}

impl SavedModel {
    /// Reads the model that the plan names so from the run directory.
    ///
    /// # Errors
    /// A model that the plan does not have, or files that are missing or damaged.
    pub fn load(
        directory: &Path,
        plan: &Plan,
        (name, fold): (&str, usize),
        device: &Device,
    ) -> Result<SavedModel, RunError> {
        let fail = |reason: &str| RunError::Fold { fold, model: name.to_owned(), reason: reason.into() };
        let experiment = &plan.experiment;
        let config = experiment.models.get(name).ok_or_else(|| fail("the experiment has no such model"))?;
        let folders = folders(directory, fold, name, networks(config, &experiment.train));
        let load = |folder: &PathBuf| {
            config.build().load(folder, device).map_err(|source| failed((name, fold), source))
        };
        let networks = folders.iter().map(load).collect::<Result<Vec<_>, RunError>>()?;
        // All networks of a fold learned from the same rows.
        let scaler = read_json(&folders[0].join("scaler.json"))?;
        let window = config.build().window();
        Ok(SavedModel { networks, scaler, window, version: version(&folders)?, device: device.clone() })
    }

    /// What it is: the same as in the run's `predictions.parquet`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Forecasts in units of the label for the windows that end at each of `samples`, `[N, H]` row-major. The features are
    /// those of the experiment, not yet scaled, with all of its symbols in their order, and as
    /// [`Windows::of_recent`] wants them.
    ///
    /// # Errors
    /// Windows that are not complete, or a device that fails.
    pub fn forecast(&self, features: &Features, samples: Vec<Sample>) -> Result<Vec<f64>, FitError> {
        let windows =
            Windows::of_recent(features, &self.scaler, self.window, samples).map_err(FitError::Settings)?;
        let samples = windows.samples();
        let forecast = |network: &dyn Fitted| {
            let mut values = network.predict(&windows, &self.device)?;
            let units = restore_units(&self.scaler, samples, &mut values);
            Ok(Forecasts { fold: 0, samples: samples.to_vec(), units, values })
        };
        let parts =
            self.networks.iter().map(|network| forecast(&**network)).collect::<Result<Vec<_>, FitError>>()?;
        Ok(Forecasts::mean(parts.iter()).values)
    }
}

fn failed((name, fold): (&str, usize), source: FitError) -> RunError {
    match source {
        FitError::Files(error) => RunError::RunDir(error),
        source => RunError::Fit { task: format!("fold {fold} {name}"), source },
    }
}
