//! Times each stage and tells the progress sinks of it.

use super::RunError;
use crate::progress::{Event, Progress};
use crate::rundir::Stage;
use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// The stages of a run so far.
pub(super) struct Stages<'a> {
    progress: &'a dyn Progress,
    done: Vec<Stage>,
}

impl<'a> Stages<'a> {
    pub(super) fn new(progress: &'a dyn Progress) -> Stages<'a> {
        Stages { progress, done: Vec::new() }
    }

    /// Runs one stage; `detail` is the line that people read when it is done.
    pub(super) fn time<T>(
        &mut self,
        name: &'static str,
        verb: &'static str,
        work: impl FnOnce() -> Result<T, RunError>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, RunError> {
        self.progress.on(&Event::StageStarted { name });
        let (clock, processor) = (Instant::now(), process_seconds());
        let result = work()?;
        let seconds = clock.elapsed().as_secs_f64();
        self.progress.on(&Event::StageDone { name, verb, detail: detail(&result), seconds });
        self.done.push(Stage { name: name.into(), seconds, cpu_seconds: process_seconds() - processor });
        Ok(result)
    }

    pub(super) fn done(self) -> Vec<Stage> {
        self.done
    }
}

/// Processor time of all threads of this process, in seconds.
pub(super) fn process_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
