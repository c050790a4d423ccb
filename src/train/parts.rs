//! What a population takes on its device, taken at once: a device without room says so before anything has changed.

use super::population::{Recipe, STEPS, Until};
use super::resident::Resident;
use super::tables::Tables;
use super::task::FitError;
use super::training::Training;
use crate::kernels::gpu::{Gpu, Memory};
use crate::kernels::population_loss::loss_table;
use crate::nn::program::{Machine, Sites};

/// What a population takes on the device.
pub(super) struct Parts {
    pub(super) recipe: Recipe,
    pub(super) sites: Vec<Sites>,
    pub(super) machine: Machine,
    pub(super) train: Resident,
    pub(super) validation: Resident,
    pub(super) order: Memory<u32>,
    pub(super) order_length: usize,
    /// Numbers from 0 on: the order of validation windows, which kernels read.
    _straight: Memory<u32>,
    pub(super) loss_table: Memory<f32>,
    pub(super) targets: Memory<f32>,
    pub(super) tables: Tables,
}

impl Parts {
    pub(super) fn new(gpu: &Gpu, members: &[Until], windows: usize) -> Result<Parts, FitError> {
        let recipes: Vec<Recipe> =
            members.iter().map(|member| Recipe::of(member.training)).collect::<Result<_, _>>()?;
        let sites = recipes.iter().map(|recipe| recipe.sites.clone()).collect();
        let Some(recipe) = recipes.into_iter().next() else {
            return Err(FitError::Settings("a population has at least one member".into()));
        };
        let population = members.len();
        let mut machine = Machine::new(gpu, recipe.program.clone(), population, windows)?;
        let mut table = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let (weights, moments) = member.training.flat()?;
            machine.set(index, &weights, &moments)?;
            let parts = member.training.task().config.loss.parts()?;
            table.extend(loss_table(&parts, &member.training.scaling().zero()));
        }
        let trainings: Vec<&Training> = members.iter().map(|member| &*member.training).collect();
        let order_length = trainings.iter().map(|training| training.task().train.len()).max().unwrap_or(0);
        let most = machine.evaluation_layout().windows().max(windows);
        let passes = recipe.batch.div_ceil(windows);
        let order = gpu.zeros::<u32>(population * order_length)?;
        let longest = trainings.iter().map(|training| training.task().validation.len()).max().unwrap_or(0);
        let straight = gpu.upload(&(0..longest as u32).collect::<Vec<u32>>())?;
        let in_order = |member: usize| order.address().floats(member * order_length);
        Ok(Parts {
            sites,
            train: Resident::new(gpu, &trainings, |training| &training.task().train, in_order)?,
            validation: Resident::new(
                gpu,
                &trainings,
                |training| &training.task().validation,
                |_| straight.address(),
            )?,
            order,
            order_length,
            _straight: straight,
            loss_table: gpu.upload(&table)?,
            targets: gpu.zeros(population * most * recipe.horizons)?,
            tables: Tables::new(gpu, population, (STEPS, STEPS * passes), recipe.program.sites())?,
            machine,
            recipe,
        })
    }
}
