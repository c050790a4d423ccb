//! The file by which a killed fit continues with the same bits: one safetensors file, whole or absent.
//!
//! Its metadata holds the state as JSON, the fingerprint of the fit it belongs to, and a checksum over all of it.

use super::config::AdamWConfig;
use super::task::EpochRecord;
use crate::nn::Parameters;
use crate::rundir::{RunDirError, sha256_hex, write_atomic};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Everything of a fit that is not a tensor, after a whole epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Epochs that are done.
    pub(super) epoch: u64,
    pub(super) step: u64,
    pub(super) curves: Vec<EpochRecord>,
    pub(super) best_loss: Option<f64>,
    /// The last loss that was a gain of at least `min_delta`.
    pub(super) patience_loss: Option<f64>,
    pub(super) best_epoch: Option<u64>,
    /// Epochs since the best one, for early stopping.
    pub(super) waited: u64,
    pub(super) plateau_best: Option<f64>,
    pub(super) plateau_waited: u64,
    pub(super) reductions: u32,
    /// As it is now; a population that is trained may change it.
    pub(super) optimizer: AdamWConfig,
    /// Windows of a pass, where a device had no room for as many as were asked for: a fit goes on as it began.
    pub(super) micro_batch: Option<usize>,
    /// What the fit has cost.
    pub(super) cost: Cost,
}

/// What a fit has cost over all its sittings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cost {
    /// Windows that passed forward and backward.
    pub(super) samples: u64,
    /// Wall seconds of everything.
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    /// Wall seconds of the optimiser steps alone.
    pub(super) step_seconds: f64,
    pub(super) step_cpu_seconds: f64,
    /// Age of the process when its first step was done.
    pub(super) first_step: Option<f64>,
}

impl Cost {
    /// Wall and CPU seconds of steps.
    pub(super) fn add_steps(&mut self, time: (f64, f64)) {
        self.step_seconds += time.0;
        self.step_cpu_seconds += time.1;
        self.add(time);
    }

    /// Wall and CPU seconds of anything.
    pub(super) fn add(&mut self, time: (f64, f64)) {
        self.seconds += time.0;
        self.cpu_seconds += time.1;
    }
}

/// A fit after a whole epoch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checkpoint {
    pub(super) state: State,
    /// `[2, n]`
    pub(super) moments: Vec<f32>,
    pub(super) weights: Vec<Vec<f32>>,
    /// Those of the best epoch.
    pub(super) best_weights: Vec<Vec<f32>>,
}

const MOMENTS: &str = "moments";
const WEIGHTS: &str = "weights";
const BEST: &str = "best";

/// The names of all tensors of a checkpoint with their sizes, in order.
fn names(parameters: &Parameters) -> Vec<(String, usize)> {
    let of = |group: &'static str| {
        let weights = parameters.weights().iter();
        weights.map(move |weight| (format!("{group}.{}", weight.name), weight.var.elem_count()))
    };
    let moments = (MOMENTS.to_owned(), 2 * parameters.count());
    std::iter::once(moments).chain(of(WEIGHTS)).chain(of(BEST)).collect()
}

impl Checkpoint {
    /// Writes it, whole or not at all.
    pub(super) fn save(
        &self,
        path: &Path,
        parameters: &Parameters,
        fingerprint: &str,
    ) -> Result<(), RunDirError> {
        let damaged = |reason: String| RunDirError::Damaged {
            path: path.into(),
            reason,
            remedy: "this is a fault of the program; please report it",
        };
        let values = std::iter::once(&self.moments).chain(&self.weights).chain(&self.best_weights);
        let tensors: Vec<(String, Vec<u8>)> = names(parameters)
            .into_iter()
            .zip(values)
            .map(|((name, _), values)| (name, bytes(values)))
            .collect();
        let state = serde_json::to_string(&self.state).map_err(|error| damaged(error.to_string()))?;
        let sha256 =
            checksum(&state, fingerprint, tensors.iter().map(|(name, data)| (name.as_str(), &data[..])));
        let metadata = HashMap::from([
            ("state".to_owned(), state),
            ("fingerprint".to_owned(), fingerprint.to_owned()),
            ("sha256".to_owned(), sha256),
        ]);
        let mut views = Vec::with_capacity(tensors.len());
        for (name, data) in &tensors {
            let view = TensorView::new(Dtype::F32, vec![data.len() / 4], data)
                .map_err(|error| damaged(error.to_string()))?;
            views.push((name, view));
        }
        let file =
            safetensors::serialize(views, Some(metadata)).map_err(|error| damaged(error.to_string()))?;
        write_atomic(path, &file)
    }

    /// Reads it; `Ok(None)` where there is none.
    ///
    /// # Errors
    /// Why the file cannot be used: unreadable, damaged, or of another fit.
    pub(super) fn load(
        path: &Path,
        parameters: &Parameters,
        fingerprint: &str,
    ) -> Result<Option<Self>, String> {
        let file = match std::fs::read(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("it cannot be read: {error}")),
        };
        let damaged = |error: safetensors::SafeTensorError| format!("it is damaged: {error}");
        let (_, header) = SafeTensors::read_metadata(&file).map_err(damaged)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let field = |name: &str| metadata.get(name).ok_or_else(|| format!("it is damaged: it has no {name}"));
        let tensors = SafeTensors::deserialize(&file).map_err(damaged)?;
        let names = names(parameters);
        let named: Vec<(&str, &[u8])> = names
            .iter()
            .filter_map(|(name, count)| {
                let data = tensors.tensor(name).ok()?.data();
                (data.len() == 4 * count).then_some((name.as_str(), data))
            })
            .collect();
        if field("fingerprint")? != fingerprint {
            return Err("it belongs to another plan or other data".into());
        }
        let state = field("state")?;
        let sha256 = checksum(state, fingerprint, named.iter().copied());
        if *field("sha256")? != sha256 || named.len() != names.len() {
            return Err("it is damaged: its checksum does not fit its content".into());
        }
        let state = serde_json::from_str(state).map_err(|error| format!("it is damaged: {error}"))?;
        let mut values = named.iter().map(|(_, data)| floats(data));
        let moments = values.next().unwrap_or_default();
        let weights = values.by_ref().take(parameters.weights().len()).collect();
        Ok(Some(Checkpoint { state, moments, weights, best_weights: values.collect() }))
    }
}

fn checksum<'a>(
    state: &str,
    fingerprint: &str,
    tensors: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> String {
    let mut text = format!("{fingerprint}\n{state}\n");
    for (name, data) in tensors {
        text.push_str(&format!("{name} {} {}\n", data.len(), sha256_hex(data)));
    }
    sha256_hex(text.as_bytes())
}

/// Little-endian, as safetensors wants it.
pub(crate) fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The numbers of little-endian bytes.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}
