//! `candlewick stream`.

use super::experiment::{read_plan, stop_on_interrupt};
use super::failure::Failure;
use super::output::Output;
use crate::rundir::find_run;
use crate::stream::{Choice, FeedForecast, FeedLine, Lines, Opening, Replay, Speed, WallClock};
use crate::units::Time;
use clap::Args;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Arguments of `candlewick stream`.
#[derive(Args)]
#[command(after_help = "Example: candlewick stream latest --model lstm --speed 1000x")]
pub(super) struct Arguments {
    /// A directory, a name or its unique beginning, or `latest`
    run: String,
    /// The model, by the name that the experiment gave it (default: the first network)
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// How many times faster than in reality ticks come: 1x, 1000x, or max
    #[arg(long, value_name = "SPEED", default_value = "max")]
    speed: Speed,
    /// Stop after so many ticks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    ticks: Option<u32>,
    /// Begin at this time: 2024-01-01 or 2024-01-01T00:10:00
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    from: Option<Time>,
    /// Replay another Parquet of the same shape instead of the run's test bars, all of it
    #[arg(long, value_name = "FILE")]
    data: Option<String>,
    /// Print every K-th forecast (default: all of them where they come slowly or as JSON; else one line that is drawn again
    /// and again, or about twenty where stdout is no terminal)
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    every: Option<u32>,
    /// The folder that holds the run directories
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Print one JSON document a line: the start, every forecast, the summary
    #[arg(long)]
    pub(super) json: bool,
}

/// From this pause between two ticks on, people can read every line.
const SLOW: Duration = Duration::from_millis(500);

/// The line that is drawn again changes at most so often.
const REDRAW: Duration = Duration::from_millis(100);

/// Lines of a stream that nobody watches.
const LINES: usize = 20;

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let directory = find_run(&arguments.runs, &arguments.run)?;
    let plan = read_plan(&directory.join("resolved.yaml"), &[])?;
    let choice = Choice {
        model: arguments.model.clone(),
        from: arguments.from,
        ticks: arguments.ticks.map(|ticks| ticks as usize),
        data: arguments.data.clone(),
    };
    let replay = Replay::open(&directory, plan, &choice)?;
    let opening = replay.opening();
    output.say(&format!(
        "{:>12} {} of {} over {} ticks, {} to {}, at speed {}",
        "Streaming",
        opening.model,
        directory.display(),
        opening.ticks,
        opening.first,
        opening.last,
        arguments.speed
    ));
    let stop = stop_on_interrupt();
    let mut view = View::new(arguments, &opening, output);
    view.document(&FeedLine::Start(&opening));
    let clock = WallClock::start(stop.clone());
    let mut on = |forecast: &FeedForecast| {
        view.show(forecast);
        if view.failed.is_some() {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let summary = replay.run(arguments.speed, (&clock, &stop), &mut on)?;
    view.end_line();
    view.document(&FeedLine::Summary(&summary));
    if !output.json() {
        let text = view.lines.summary(&summary, output.terminal_width());
        view.keep(output.print(&text));
    }
    match view.failed {
        Some(failure) => Err(failure),
        None if summary.identical < summary.compared => {
            let (same, all) = (summary.identical, summary.compared);
            let message = format!(
                "only {same} of {all} forecasts have the bits of the run's own; the program, the machine or the run's tables \
                 changed: run the experiment again"
            );
            Err(Failure::new(1, message).already_documented())
        }
        None if summary.interrupted => {
            let message = format!("stopped after {} of {} ticks", summary.ticks, opening.ticks);
            Err(Failure::new(130, message).already_documented())
        }
        None => Ok(()),
    }
}

/// How forecasts are shown.
enum Manner {
    /// Every K-th on a line of its own.
    Every(usize),
    /// The latest on the last line of the terminal.
    Redrawn(Option<Instant>),
}

/// Prints a stream.
struct View<'a> {
    output: &'a Output,
    lines: Lines,
    manner: Manner,
    seen: usize,
    /// Why nothing can be printed any more.
    failed: Option<Failure>,
}

impl<'a> View<'a> {
    fn new(arguments: &Arguments, opening: &Opening, output: &'a Output) -> View<'a> {
        let pause = arguments.speed.pause((opening.interval_seconds * 1e9) as i64);
        let forecasts = opening.ticks * opening.symbols.len();
        let manner = match arguments.every {
            Some(every) => Manner::Every(every as usize),
            None if output.json() || pause >= SLOW => Manner::Every(1),
            None if output.terminal_width().is_some() => Manner::Redrawn(None),
            None => Manner::Every(forecasts.div_ceil(LINES).max(1)),
        };
        View { output, lines: Lines::new(opening), manner, seen: 0, failed: None }
    }

    fn show(&mut self, forecast: &FeedForecast) {
        self.seen += 1;
        if self.seen == 1 && !self.output.json() {
            let head = self.lines.head(forecast);
            self.keep(self.output.print(&head));
        }
        match &mut self.manner {
            Manner::Every(every) if !(self.seen - 1).is_multiple_of(*every) => {}
            Manner::Every(_) if self.output.json() => self.document(&FeedLine::Forecast(forecast)),
            Manner::Every(_) => {
                let line = self.lines.line(forecast);
                self.keep(self.output.print(&line));
            }
            Manner::Redrawn(last) if last.is_some_and(|last| last.elapsed() < REDRAW) => {}
            Manner::Redrawn(last) => {
                *last = Some(Instant::now());
                let line = self.lines.line(forecast);
                self.keep(self.output.redraw(&line));
            }
        }
    }

    /// Leaves the line that is drawn again as it is.
    fn end_line(&mut self) {
        if matches!(self.manner, Manner::Redrawn(Some(_))) {
            self.keep(self.output.print("\n"));
        }
    }

    /// One line of JSON, where that was asked for.
    fn document(&mut self, line: &FeedLine) {
        if self.output.json() {
            let text = serde_json::to_string(line).map_err(|error| Failure::new(1, error.to_string()));
            let printed = text.and_then(|text| self.output.print(&text));
            self.keep(printed);
        }
    }

    /// Remembers the first failure.
    fn keep(&mut self, printed: Result<(), Failure>) {
        if let (Err(failure), None) = (printed, &self.failed) {
            self.failed = Some(failure);
        }
    }
}
