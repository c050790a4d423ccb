//! The real laboratory: trials are experiments, carried out by the workshop of `run`.

use super::executor::{Laboratory, Leg, PartFinding, Resolved, Task, Worked};
use super::facts::{Ending, Finding};
use crate::config::SweepPlan;
use crate::kernels::arena::Arena;
use crate::kernels::gpu::GpuError;
use crate::model::FitError;
use crate::run::{Before, Course, Figures, Network, RunError, Trial, Workshop};
use crate::search::Settings;
use std::sync::Arc;

/// Carries out the trials of a plan.
pub(super) struct Experiments<'a> {
    pub plan: &'a SweepPlan,
    pub workshop: Workshop<'a>,
    /// Whether a trial may take over the state of another.
    pub copies: bool,
}

impl<'a> Laboratory for Experiments<'a> {
    type Trial = Trial;
    type State = Network<'a>;

    fn resolve(&self, settings: &Settings) -> Result<Resolved<Trial>, String> {
        let plan = self.plan.plan_of(settings).map_err(|error| messages(&error))?;
        let trial = self.workshop.trial(plan)?;
        Ok(Resolved { id: trial.id.clone(), shape: trial.shape.clone(), trial })
    }

    fn parts(&self) -> usize {
        self.workshop.judging().folds * self.workshop.judging().seeds
    }

    fn work(
        &self,
        legs: &[Leg<Trial>],
        part: usize,
        state: Option<Arc<Network<'a>>>,
        arena: &Arena,
    ) -> Worked<Network<'a>> {
        let before = state.map(|state| self.before(state));
        let borrowed: Vec<(&Trial, u64)> = legs.iter().map(|leg| (&*leg.trial, leg.epochs)).collect();
        let done = self.workshop.train(&borrowed, part, before, arena).and_then(|network| {
            // There is at least one leg, or nothing could have been trained.
            let (trial, _) = borrowed[borrowed.len() - 1];
            Ok((self.workshop.judge(trial, part, &network, arena)?, network))
        });
        worked(done)
    }

    fn work_together(&self, tasks: Vec<Task<'_, Self>>, device: usize) -> Vec<Worked<Network<'a>>> {
        let last: Vec<(Option<Arc<Trial>>, usize)> =
            tasks.iter().map(|task| (task.legs.last().map(|leg| leg.trial.clone()), task.part)).collect();
        let courses = tasks.into_iter().map(|task| Course {
            legs: task.legs.iter().map(|leg| (&*leg.trial, leg.epochs)).collect(),
            part: task.part,
            before: task.state.map(|state| self.before(state)),
        });
        let trained = self.workshop.train_together(courses.collect(), device);
        let judge = |(trial, part, network): (Option<Arc<Trial>>, usize, Result<Network<'a>, RunError>)| {
            let judged = network.and_then(|network| match &trial {
                Some(trial) => Ok((self.workshop.judge(trial, part, &network, &Arena::default())?, network)),
                // Without a leg nothing was trained.
                None => unreachable!("every job has a leg"),
            });
            worked(judged)
        };
        let jobs = last.into_iter().zip(trained).map(|((trial, part), network)| (trial, part, network));
        self.workshop.in_parallel(jobs.collect(), judge)
    }

    fn join(&self, found: &[&PartFinding]) -> Finding {
        join(found)
    }
}

impl<'a> Experiments<'a> {
    fn before(&self, state: Arc<Network<'a>>) -> Before<'a> {
        match Arc::try_unwrap(state) {
            Ok(network) if !self.copies => Before::Own(network),
            Ok(network) => Before::Shared(Arc::new(network)),
            Err(shared) => Before::Shared(shared),
        }
    }
}

fn worked<'a>(done: Result<(Figures, Network<'a>), RunError>) -> Worked<Network<'a>> {
    match done {
        Ok((figures, network)) => Worked {
            found: Ok(PartFinding {
                value: Some(figures.value),
                parameters: figures.parameters,
                windows: figures.windows,
                shape: figures.shape,
                curve: figures.curve,
                sharpe: figures.sharpe,
                returns: figures.returns,
            }),
            state: Some(network),
            interrupted: false,
        },
        Err(error) => failed(&error),
    }
}

fn failed<S>(error: &RunError) -> Worked<S> {
    let interrupted = matches!(error, RunError::Fit { source: FitError::Interrupted, .. });
    let ending = match error {
        RunError::Fit { source: FitError::Diverged { .. }, .. } => Ending::Diverged,
        // What a device has no room for is the trial's own fault; what a device cannot do any more is not.
        RunError::Fit { source: FitError::Gpu(GpuError::Driver { .. }), .. } => Ending::Broken,
        _ => Ending::Failed,
    };
    Worked { found: Err((ending, error.to_string())), state: None, interrupted }
}

/// What is wrong with settings, in a line.
fn messages(error: &crate::config::ConfigError) -> String {
    let each: Vec<&str> = error.diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    each.join("; ")
}

/// Means over the networks of a trial, always in the order of folds and seeds.
pub fn join(found: &[&PartFinding]) -> Finding {
    let values: Vec<f64> = found.iter().filter_map(|part| part.value).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let longest = found.iter().map(|part| part.curve.len()).max().unwrap_or(0);
    let at = |row: usize| {
        let rows: Vec<(u64, f64)> = found.iter().filter_map(|part| part.curve.get(row).copied()).collect();
        let losses: Vec<f64> = rows.iter().map(|(_, loss)| *loss).collect();
        (rows[0].0, mean(&losses))
    };
    let sharpes: Vec<f64> = found.iter().filter_map(|part| part.sharpe).collect();
    let traded: Vec<&[f32]> =
        found.iter().map(|part| &part.returns[..]).filter(|returns| !returns.is_empty()).collect();
    let periods = traded.iter().map(|returns| returns.len()).min().unwrap_or(0);
    let summed = |period: usize| traded.iter().map(|returns| returns[period]).sum::<f32>();
    Finding {
        value: (!values.is_empty()).then(|| mean(&values)).filter(|value| value.is_finite()),
        values,
        parameters: found.first().map_or(0, |part| part.parameters),
        shape: found.first().map(|part| part.shape.clone()).unwrap_or_default(),
        windows: found.iter().map(|part| part.windows).collect(),
        curve: (0..longest).map(at).collect(),
        sharpe: (!sharpes.is_empty()).then(|| mean(&sharpes)),
        returns: (0..periods).map(|period| summed(period) / traded.len() as f32).collect(),
    }
}
