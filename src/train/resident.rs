//! Windows in a device's memory: the scaled series once, whoever reads them, and where each window begins.

use super::task::FitError;
use super::training::Training;
use crate::kernels::gpu::{Address, Gpu, GpuError, Memory};
use crate::kernels::population_gather::SeriesPlaces;
use crate::table::Windows;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The windows of all members of a population.
pub(super) struct Resident {
    /// Kept, since kernels read them by the places below.
    _sets: Vec<Set>,
    /// `[P, 4]`, see [`SeriesPlaces`].
    places: Memory<u64>,
}

/// One set of windows, with targets as one scaling makes them.
struct Set {
    series: Arc<Memory<f32>>,
    starts: Memory<u64>,
    targets: Memory<f32>,
}

impl Resident {
    /// Members that share windows and the scaling of targets share them on the device as well. `order` says where the order
    /// of each member's windows is.
    pub(super) fn new<'t>(
        gpu: &Gpu,
        trainings: &[&'t Training<'_>],
        windows: impl Fn(&'t Training<'_>) -> &'t Arc<Windows>,
        order: impl Fn(usize) -> Address,
    ) -> Result<Resident, FitError> {
        let mut sets: Vec<Set> = Vec::new();
        let mut known: Vec<(&Arc<Windows>, &Training)> = Vec::new();
        let mut places = Vec::new();
        for (member, training) in trainings.iter().enumerate() {
            let own = windows(training);
            let same = |(other, of): &(&Arc<Windows>, &Training)| {
                Arc::ptr_eq(own, other) && of.scaling() == training.scaling()
            };
            let place = match known.iter().position(same) {
                Some(place) => place,
                None => {
                    let shared =
                        known.iter().position(|(other, _)| Arc::ptr_eq(own.series(), other.series()));
                    let series = match shared {
                        Some(place) => sets[place].series.clone(),
                        None => Arc::new(upload_series(gpu, own)?),
                    };
                    sets.push(Set::new(gpu, training, own, series)?);
                    known.push((own, training));
                    sets.len() - 1
                }
            };
            let set = &sets[place];
            let own = SeriesPlaces {
                series: set.series.address(),
                starts: set.starts.address(),
                targets: set.targets.address(),
                order: order(member),
            };
            places.extend(own.numbers());
        }
        Ok(Resident { places: gpu.upload(&places)?, _sets: sets })
    }

    /// Bytes that the windows of these trainings take, those that are shared once.
    pub(super) fn bytes<'t>(
        trainings: &[&'t Training<'_>],
        windows: impl Fn(&'t Training<'_>) -> &'t Arc<Windows>,
    ) -> usize {
        let (mut series, mut sets) = (BTreeMap::new(), BTreeMap::new());
        for training in trainings {
            let own = windows(training);
            let numbers: usize = own.series().iter().map(Vec::len).sum();
            series.insert(Arc::as_ptr(own.series()) as usize, 4 * numbers);
            sets.insert(Arc::as_ptr(own) as usize, own.len() * (8 + 4 * own.outputs()));
        }
        series.values().chain(sets.values()).sum()
    }

    /// `[P, 4]`, see [`SeriesPlaces`].
    pub(super) fn places(&self) -> Address {
        self.places.address()
    }
}

/// All symbols one after the other.
fn upload_series(gpu: &Gpu, windows: &Windows) -> Result<Memory<f32>, GpuError> {
    gpu.upload(&windows.series().concat())
}

impl Set {
    fn new(
        gpu: &Gpu,
        training: &Training,
        windows: &Windows,
        series: Arc<Memory<f32>>,
    ) -> Result<Set, GpuError> {
        let mut before = Vec::with_capacity(windows.series().len());
        let mut count = 0;
        for series in windows.series().iter() {
            before.push(count);
            count += series.len();
        }
        let starts: Vec<u64> = (0..windows.len())
            .map(|index| {
                let (symbol, start) = windows.start(index);
                (before[symbol] + start) as u64
            })
            .collect();
        let targets = training.scaling().values(windows, 0..windows.len());
        Ok(Set { series, starts: gpu.upload(&starts)?, targets: gpu.upload(&targets)? })
    }
}
