//! A model as a run saved it: read back with its scaler, to forecast as it did in the run.

use super::RunError;
use super::members::{Forecasts, folders, networks, restore_units};
use crate::config::Plan;
use crate::model::{FitError, Fitted, ModelConfig};
use crate::rundir::{Manifest, RunDirError, read_json, sha256_file, sha256_hex};
use crate::suggest::unknown;
use crate::table::{Features, Sample, Scaler, Windows};
use crate::units::counted;
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

/// Which networks of a run.
#[derive(Clone, Copy, Debug)]
pub struct SavedPlace<'a> {
    /// The user's name of the model.
    pub model: &'a str,
    /// Number of the fold.
    pub fold: usize,
    /// Number of one network of an ensemble; left out: all, whose mean is the forecast.
    pub seed: Option<usize>,
}

/// The model that the experiment names so.
///
/// # Errors
/// A name that it does not have.
pub fn named_model<'a>(plan: &'a Plan, name: &str) -> Result<(&'a str, &'a ModelConfig), RunError> {
    let models = &plan.experiment.models;
    let found = models.get_key_value(name).map(|(name, config)| (name.as_str(), config));
    found.ok_or_else(|| {
        let known: Vec<&str> = models.keys().map(String::as_str).collect();
        RunError::NoSuchModel(unknown(name, &known))
    })
}

/// The networks of one model and fold, whose mean is its forecast, with the scaler of the fold.
pub struct SavedModel {
    networks: Vec<Box<dyn Fitted>>,
    scaler: Scaler,
    window: usize,
    version: String,
}

impl SavedModel {
    /// Reads a model from a run directory, after its files were compared with the manifest of the run.
    ///
    /// # Errors
    /// A model or network that the plan does not have, or files that are missing, changed or damaged.
    pub fn open(
        (run, manifest): (&Path, &Manifest),
        plan: &Plan,
        place: SavedPlace,
    ) -> Result<SavedModel, RunError> {
        let SavedPlace { fold, seed, .. } = place;
        let (name, config) = named_model(plan, place.model)?;
        let mut inside = folders(Path::new(""), fold, name, networks(config, &plan.experiment.train));
        if let Some(seed) = seed {
            if seed >= inside.len() {
                return Err(RunError::Export(format!(
                    "there is no seed {seed}: this fold has {}, counted from 0",
                    counted(inside.len(), "network")
                )));
            }
            inside = vec![inside.swap_remove(seed)];
        }
        for folder in &inside {
            unchanged(run, manifest, folder)?;
        }
        let folders: Vec<PathBuf> = inside.iter().map(|folder| run.join(folder)).collect();
        let load = |folder: &PathBuf| {
            config.build().load(folder).map_err(|source| match source {
                FitError::Files(error) => RunError::RunDir(error),
                source => RunError::Fit { task: format!("fold {fold} {name}"), source },
            })
        };
        let networks = folders.iter().map(load).collect::<Result<Vec<_>, RunError>>()?;
        // All networks of a fold learned from the same rows.
        let scaler = read_json(&folders[0].join("scaler.json"))?;
        let window = config.build().window();
        Ok(SavedModel { networks, scaler, window, version: version(&folders)? })
    }

    /// The networks.
    pub fn networks(&self) -> &[Box<dyn Fitted>] {
        &self.networks
    }

    /// What their windows were scaled by, and in which units their targets are.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// What it is: the same as in the run's `predictions.parquet`, where it has all networks of its fold.
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
            let mut values = network.predict(&windows)?;
            let units = restore_units(&self.scaler, samples, &mut values);
            Ok(Forecasts { fold: 0, samples: samples.to_vec(), units, values })
        };
        let parts =
            self.networks.iter().map(|network| forecast(&**network)).collect::<Result<Vec<_>, FitError>>()?;
        Ok(Forecasts::mean(parts.iter()).values)
    }
}

/// The files of a network are those that the run wrote; `folder` is its folder in the run.
fn unchanged(run: &Path, manifest: &Manifest, folder: &Path) -> Result<(), RunDirError> {
    for name in FILES {
        let path = run.join(folder).join(name);
        let damaged = |reason: &str| RunDirError::Damaged {
            path: path.clone(),
            reason: reason.into(),
            remedy: "run the experiment again",
        };
        let Some(expected) = manifest.files.get(&folder.join(name).display().to_string()) else {
            // A forecast without learning has no weights.
            if path.exists() {
                return Err(damaged("the manifest does not list it"));
            }
            continue;
        };
        let found = sha256_file(&path).map_err(|source| RunDirError::Read { path: path.clone(), source })?;
        if found != *expected {
            return Err(damaged("its checksum is not that of the manifest"));
        }
    }
    Ok(())
}
