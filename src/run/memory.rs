//! How much memory a run needs, told before it is taken.

use super::RunError;
use crate::config::Plan;
use crate::table::Bars;
use std::ops::Range;

/// A rough upper estimate in bytes: bars, labels and features, the networks that train at the same time, the books that
/// are kept, the tables that are written.
pub(super) fn needed(plan: &Plan, bars: &Bars, span: &Range<usize>, threads: usize) -> usize {
    let experiment = &plan.experiment;
    let rows = bars.rows();
    let outputs = experiment.target.as_ref().map_or(0, |target| target.build().horizons().len());
    let features: usize = experiment.features.iter().map(|feature| feature.build().names().len()).sum();
    // Features in f64, and in f32 once a task and once for all its windows.
    let tables = rows.saturating_mul(8 * (12 + outputs + features) + 4 * features * threads);
    let networks = experiment.models.values().map(|model| {
        let model = model.build();
        let parameters = model.parameters(features, outputs, &experiment.train);
        // Weights, gradient, two moments, best weights, and the checkpoint while it is written.
        let weights = parameters.saturating_mul(4 * 7);
        // A batch passes through tens of tensors of its size.
        let train = &experiment.train;
        let rows = train.micro_batch.unwrap_or(train.batch_size).min(train.batch_size);
        let batch = rows.saturating_mul(model.window()).saturating_mul(features.max(1));
        weights.saturating_add(batch.saturating_mul(4 * 40))
    });
    let training = networks.max().unwrap_or(0).saturating_mul(threads);
    let singles = experiment.strategies.values().filter(|strategy| strategy.build().books() == 1).count();
    // Of a book of a grid: its figures, twice while they are gathered, and its returns by stretches, four bytes each.
    let grids = experiment.strategies.values().filter(|strategy| strategy.is_grid());
    let grids =
        grids.map(|grid| grid.len() * (256 + 2 * 4 * super::grids::stretches(grid.len()))).sum::<usize>();
    // Positions a row; equity, cash, exposure and time a step, kept and once more in the table that is written.
    let books = (singles + 1).saturating_mul(rows * 8 + span.len() * 2 * 40);
    let in_flight = threads.saturating_mul(rows * 3 * 8 + span.len() * 32);
    tables.saturating_add(training).saturating_add(books).saturating_add(grids).saturating_add(in_flight)
}

/// Refuses a run that cannot fit into the memory that is free now, before it takes any.
pub(super) fn check(plan: &Plan, bars: &Bars, span: &Range<usize>, threads: usize) -> Result<(), RunError> {
    let needed = needed(plan, bars, span, threads);
    match available() {
        Some(available) if needed > available => Err(RunError::Memory { needed, available }),
        _ => Ok(()),
    }
}

/// Bytes that the system can hand out without swapping, where it says so.
fn available() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.saturating_mul(1024))
}
