//! Curves for TensorBoard: a folder with an event file for each model, fold and seed of a run, or for each trial of a sweep.

mod events;

use super::ReportError;
use super::run_files::{read_text, read_trainings};
use crate::rundir::{RunDirError, SweepSummary, TrialStatus, TrialSummary, read_json, write_atomic};
use events::{Ending, EventFile, Setting};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// TensorBoard takes every file with `tfevents` in its name.
const FILE: &str = "events.out.tfevents.candlewick";

/// Writes event files of the run or sweep in `directory` below `output` and returns their paths; files of an earlier export
/// are replaced. Curves: `training_loss`, `validation_loss` and `learning_rate` by epoch for each model, fold and seed of a
/// run; `validation_loss` and the sweep's metric for each trial, with its settings as hyperparameters. Times are those at
/// which the results were written; what is no number is left out.
///
/// # Errors
/// A directory that is neither, a damaged file, or a file that cannot be written.
pub fn export_tensorboard(directory: &Path, output: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let sweep = directory.join("sweep.json");
    if sweep.exists() {
        return export_sweep(&read_json(&sweep)?, written_at(&sweep)?, output);
    }
    if !directory.join("summary.json").exists() {
        return Err(ReportError::NoResults { run: directory.into() });
    }
    export_run(directory, output)
}

fn export_run(run: &Path, output: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let time = written_at(&run.join("summary.json"))?;
    let mut written = Vec::new();
    let config = read_text(&run.join("resolved.yaml"))?;
    if !config.is_empty() {
        let mut file = EventFile::new(time);
        // Indented by four, Markdown shows text as it is.
        let code: Vec<String> = config.lines().map(|line| format!("    {line}")).collect();
        file.text("resolved.yaml", &code.join("\n"));
        written.push(write(output, file)?);
    }
    let trainings = read_trainings(run)?;
    for training in &trainings {
        let alone = trainings
            .iter()
            .filter(|other| other.model == training.model && other.fold == training.fold)
            .count()
            == 1;
        let mut folder = output.join(folder_name(&training.model)).join(format!("fold_{}", training.fold));
        if !alone {
            folder.push(format!("seed_{}", training.seed));
        }
        let mut file = EventFile::new(time);
        for (tag, values) in [
            ("training_loss", &training.training_loss),
            ("validation_loss", &training.validation_loss),
            ("learning_rate", &training.learning_rate),
        ] {
            for (epoch, value) in training.epochs.iter().zip(values).filter(|(_, value)| value.is_finite()) {
                file.scalar(tag, *epoch, *value);
            }
        }
        written.push(write(&folder, file)?);
    }
    Ok(written)
}

fn export_sweep(summary: &SweepSummary, time: f64, output: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let digits = summary.trials.len().saturating_sub(1).to_string().len();
    summary
        .trials
        .iter()
        .map(|trial| {
            let name = format!("trial_{:0digits$}", trial.number);
            let mut file = EventFile::new(time);
            let ending = match trial.status {
                TrialStatus::Complete | TrialStatus::Pruned => Ending::Success,
                TrialStatus::Diverged | TrialStatus::Failed | TrialStatus::Unfinished => Ending::Failure,
            };
            file.session(&name, &settings(trial), ending);
            for (epoch, loss) in trial.curve.iter().filter(|(_, loss)| loss.is_finite()) {
                file.scalar("validation_loss", *epoch as i64, *loss);
            }
            if let Some(value) = trial.value.filter(|value| value.is_finite()) {
                file.scalar(&summary.metric, trial.epochs as i64, value);
            }
            write(&output.join(name), file)
        })
        .collect()
}

/// The settings of a trial as the plugin knows them; lists as text.
fn settings(trial: &TrialSummary) -> Vec<(String, Setting)> {
    let setting = |value: &Value| match value {
        Value::Bool(truth) => Setting::Truth(*truth),
        Value::Number(number) => Setting::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Setting::Text(text.clone()),
        other => Setting::Text(other.to_string()),
    };
    trial.settings.iter().map(|(path, value)| (path.clone(), setting(value))).collect()
}

fn write(folder: &Path, file: EventFile) -> Result<PathBuf, ReportError> {
    let path = folder.join(FILE);
    write_atomic(&path, &file.finish())?;
    Ok(path)
}

/// Seconds since 1970 at which a file was written.
fn written_at(path: &Path) -> Result<f64, ReportError> {
    let modified = path.metadata().and_then(|data| data.modified());
    let modified = modified.map_err(|source| RunDirError::Read { path: path.into(), source })?;
    Ok(modified.duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64()))
}

/// A model's name as a folder: every letter that some file system or the shell dislikes is an underscore.
fn folder_name(name: &str) -> String {
    let plain =
        |letter: char| if letter.is_ascii_alphanumeric() || "_-".contains(letter) { letter } else { '_' };
    name.chars().map(plain).collect()
}
