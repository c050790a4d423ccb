//! How many members and windows a device has room for, and what to do when it has less than was thought.

use super::population::{Plan, Population, Until};
use super::task::FitError;
use crate::kernels::gpu::{Gpu, GpuError};
use crate::nn::program::Machine;

/// Of the memory that is free, what a population may take: the driver and the tables need some.
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
    /// How many of `wanted` members of a plan fit into so many bytes: the members are halved until they fit, and a lone
    /// member's micro-batches are. `None` where not even one window of one member fits.
    fn find(plan: &Plan, wanted: usize, bytes: usize) -> Option<Room> {
        let mut room = Room { members: wanted, windows: plan.windows };
        while Machine::bytes(&plan.program, room.members, room.windows) > bytes {
            room = room.halved()?;
        }
        Some(room)
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

/// Trains members of equal keys (see [`Plan::key`]) on a device, each up to its epoch or its end; what became of each, in
/// order. Where the device has no room for all of them they take turns, in halves; where it has no room for a lone one its
/// micro-batch is halved, with the gradients added up to the same batch. What was done is told, and stands in their reports.
pub fn train_on(gpu: &Gpu, members: Vec<Until>) -> Vec<Result<(), FitError>> {
    let wanted = members.len();
    let room = match members.first().map(|first| first_room(gpu, first, wanted)) {
        None => return Vec::new(),
        Some(Ok(room)) => room,
        Some(Err(error)) => return members.iter().map(|_| Err(error.copied())).collect(),
    };
    let mut room = room;
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

fn first_room(gpu: &Gpu, first: &Until, wanted: usize) -> Result<Room, FitError> {
    let plan = Plan::of(first.training)?;
    let free = gpu.free_bytes()?;
    let bytes = (free as f64 * SHARE) as usize;
    Room::find(&plan, wanted, bytes)
        .ok_or(FitError::Gpu(GpuError::OutOfMemory { bytes: Machine::bytes(&plan.program, 1, 1) }))
}
