//! How many members and windows a device has room for, and what to do when it has less than was thought.

use super::population::{Population, Recipe, STEPS, Until};
use super::resident::Resident;
use super::tables::Tables;
use super::task::FitError;
use super::training::Training;
use crate::kernels::gpu::{Gpu, GpuError};
use crate::nn::program::Machine;

/// Of the memory that is free, what a population may take: the driver needs some.
const SHARE: f64 = 0.9;

/// What a device can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    /// Most members at once.
    members: usize,
    /// Windows of a pass.
    windows: usize,
}

impl Room {
    /// How many of these members fit into so many bytes: the members are halved until they fit, and a lone member's
    /// micro-batches are. `None` where not even one window of one member fits.
    fn find(recipe: &Recipe, members: &[&Training], bytes: usize) -> Option<Room> {
        let mut room = Room { members: members.len(), windows: recipe.windows };
        while room.bytes(recipe, members) > bytes {
            room = room.halved()?;
        }
        Some(room)
    }

    /// Bytes of the largest of the turns.
    fn bytes(self, recipe: &Recipe, members: &[&Training]) -> usize {
        let passes = STEPS * recipe.batch.div_ceil(self.windows);
        let tables = Tables::bytes(self.members, (STEPS, passes), recipe.program.sites());
        let of_turn = |turn: &[&Training]| {
            let order = turn.iter().map(|training| training.task().train.len()).max().unwrap_or(0);
            let data = Resident::bytes(turn, |training| &training.task().train);
            4 * turn.len() * order + data + Resident::bytes(turn, |training| &training.task().validation)
        };
        let data = members.chunks(self.members).map(of_turn).max().unwrap_or(0);
        Machine::bytes(&recipe.program, self.members, self.windows)
            .saturating_add(tables)
            .saturating_add(data)
    }

    /// The next smaller one.
    fn halved(self) -> Option<Room> {
        match self {
            Room { members: 2.., .. } => Some(Room { members: self.members.div_ceil(2), ..self }),
            Room { windows: 2.., .. } => Some(Room { windows: self.windows.div_ceil(2), ..self }),
            _ => None,
        }
    }
}

/// Trains members of equal keys (see [`Recipe::key`]) on a device, each up to its epoch or its end; what became of each, in
/// order. Where the device has no room for all of them they take turns, in halves; where it has no room for a lone one its
/// micro-batch is halved, with the gradients added up to the same batch. What was done is told, and stands in their reports.
pub fn train_on(gpu: &Gpu, members: Vec<Until>) -> Vec<Result<(), FitError>> {
    let wanted = members.len();
    let trainings: Vec<&Training> = members.iter().map(|member| &*member.training).collect();
    let mut room = match first_room(gpu, &trainings) {
        Ok(room) => room,
        Err(error) => return members.iter().map(|_| Err(error.copied())).collect(),
    };
    let mut results = Vec::with_capacity(wanted);
    let mut waiting = members.into_iter().collect::<std::collections::VecDeque<_>>();
    while !waiting.is_empty() {
        let turn: Vec<Until> = waiting.drain(..room.members.min(waiting.len())).collect();
        match Population::new(gpu, turn, room.windows) {
            Ok(mut population) => {
                population.note(wanted);
                results.extend(population.train());
            }
            Err((turn, error)) => {
                let halved = if matches!(error, FitError::Gpu(GpuError::OutOfMemory { .. })) {
                    room.halved()
                } else {
                    None
                };
                match halved {
                    Some(halved) => room = halved,
                    None => {
                        results.extend(turn.iter().map(|_| Err(error.copied())));
                        continue;
                    }
                }
                turn.into_iter().rev().for_each(|member| waiting.push_front(member));
            }
        }
    }
    results
}

fn first_room(gpu: &Gpu, members: &[&Training]) -> Result<Room, FitError> {
    let Some(first) = members.first() else {
        return Ok(Room { members: 1, windows: 1 });
    };
    let recipe = Recipe::of(first)?;
    recipe.program.check(gpu).map_err(FitError::Settings)?;
    let bytes = (gpu.free_bytes()? as f64 * SHARE) as usize;
    let least = || Room { members: 1, windows: 1 }.bytes(&recipe, &members[..1]);
    Room::find(&recipe, members, bytes).ok_or_else(|| FitError::Gpu(GpuError::OutOfMemory { bytes: least() }))
}
