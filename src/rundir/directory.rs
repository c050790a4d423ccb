//! One run's folder: made, claimed, resumed, sealed.

use super::atomic::{RunDirError, remove_leftovers, write_atomic, write_error};
use super::manifest::{Manifest, sha256_file};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// A run directory that this process owns until the value is dropped; the operating system frees the claim of a process
/// that dies.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
}

const LOCK: &str = "LOCK";
const MANIFEST: &str = "manifest.json";

impl RunDir {
    /// Makes `<runs>/<date>_<name>_<hash8>`, or the same with `-2`, `-3`, ... where that exists: a run is never
    /// overwritten.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn create(runs: &Path, date: &str, name: &str, plan_sha256: &str) -> Result<RunDir, RunDirError> {
        let stem = format!("{date}_{name}_{}", &plan_sha256[..8.min(plan_sha256.len())]);
        fs::create_dir_all(runs).map_err(|source| write_error(runs, 0, source))?;
        for attempt in 1.. {
            let path = runs.join(if attempt == 1 { stem.clone() } else { format!("{stem}-{attempt}") });
            match fs::create_dir(&path) {
                Ok(()) => return RunDir::claim(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(write_error(&path, 0, source)),
            }
        }
        unreachable!("the loop above ends only by returning")
    }

    /// Claims an existing run to continue it, and removes what a killed process left half-written.
    ///
    /// # Errors
    /// A folder that is no run, or that another process owns.
    pub fn open(path: &Path) -> Result<RunDir, RunDirError> {
        for name in ["config.yaml", "resolved.yaml"] {
            if !path.join(name).is_file() {
                return Err(RunDirError::NotARun { path: path.into(), reason: format!("it has no {name}") });
            }
        }
        let directory = RunDir::claim(path.to_owned())?;
        remove_leftovers(path).map_err(|source| RunDirError::Read { path: path.into(), source })?;
        Ok(directory)
    }

    fn claim(path: PathBuf) -> Result<RunDir, RunDirError> {
        let lock =
            File::create(path.join(LOCK)).map_err(|source| write_error(&path.join(LOCK), 0, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(RunDir { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(RunDirError::Locked { path }),
            Err(TryLockError::Error(source)) => Err(RunDirError::Write { path, source }),
        }
    }

    /// Removes the whole directory: for a run that failed before it could do any work that is worth continuing.
    ///
    /// # Errors
    /// A folder that cannot be removed.
    pub fn discard(self) -> Result<(), RunDirError> {
        fs::remove_dir_all(&self.path)
            .map_err(|source| RunDirError::Write { path: self.path.clone(), source })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file below the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The log of events, opened for appending.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn events(&self) -> Result<File, RunDirError> {
        let path = self.file("events.jsonl");
        File::options().create(true).append(true).open(&path).map_err(|source| write_error(&path, 0, source))
    }

    /// Writes text, whole or not at all.
    ///
    /// # Errors
    /// As [`write_atomic`].
    pub fn write(&self, name: &str, text: &str) -> Result<(), RunDirError> {
        write_atomic(&self.file(name), text.as_bytes())
    }

    /// Writes a value as JSON, whole or not at all.
    ///
    /// # Errors
    /// As [`write_atomic`].
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RunDirError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| RunDirError::Damaged {
            path: self.file(name),
            reason: error.to_string(),
            remedy: "this is a fault of the program; please report it",
        })?;
        self.write(name, &(text + "\n"))
    }

    /// Writes the manifest with the checksum of every file: from now on the run is complete.
    ///
    /// # Errors
    /// A file that cannot be read, or the manifest that cannot be written.
    pub fn seal(&self, mut manifest: Manifest) -> Result<(), RunDirError> {
        manifest.files = self.checksums()?;
        self.write_json(MANIFEST, &manifest)
    }

    fn checksums(&self) -> Result<BTreeMap<String, String>, RunDirError> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            let read = |source| RunDirError::Read { path: folder.clone(), source };
            for entry in fs::read_dir(&folder).map_err(read)? {
                let path = entry.map_err(read)?.path();
                let name = path.strip_prefix(&self.path).unwrap_or(&path).to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if name != LOCK && name != MANIFEST {
                    files.insert(
                        name,
                        sha256_file(&path).map_err(|source| RunDirError::Read { path, source })?,
                    );
                }
            }
        }
        Ok(files)
    }

    /// Takes the manifest away: the run is to be continued.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn unseal(&self) -> Result<(), RunDirError> {
        let path = self.file(MANIFEST);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(RunDirError::Write { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Whether a process works in the directory now.
    pub fn is_claimed(path: &Path) -> bool {
        let lock = File::open(path.join(LOCK));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The manifest of a run; `None` while it is not sealed.
    ///
    /// # Errors
    /// A manifest that is there and cannot be read.
    pub fn manifest(path: &Path) -> Result<Option<Manifest>, RunDirError> {
        let file = path.join(MANIFEST);
        if file.exists() { read_json(&file).map(Some) } else { Ok(None) }
    }
}

/// Reads a JSON file that this program wrote.
///
/// # Errors
/// A file that is missing or damaged.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, RunDirError> {
    let text = fs::read_to_string(path).map_err(|source| RunDirError::Read { path: path.into(), source })?;
    serde_json::from_str(&text).map_err(|error| RunDirError::Damaged {
        path: path.into(),
        reason: error.to_string(),
        remedy: "run the experiment again",
    })
}

/// Every run below `runs`, sealed or not, oldest first by the time at which its configuration was written.
///
/// # Errors
/// A folder that cannot be read; a missing one has no runs.
pub fn list_runs(runs: &Path) -> Result<Vec<PathBuf>, RunDirError> {
    if !runs.exists() {
        return Ok(Vec::new());
    }
    let read = |source| RunDirError::Read { path: runs.into(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(runs).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if let Ok(config) = path.join("config.yaml").metadata() {
            found.push((config.modified().map_err(read)?, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The run that the user means: a path, or a name (or its unique beginning) below `runs`, or `latest`.
///
/// # Errors
/// No such run, or several.
pub fn find_run(runs: &Path, wanted: &str) -> Result<PathBuf, RunDirError> {
    find(runs, wanted, "run", |path, reason| RunDirError::NotARun { path, reason })
}

/// The sweep that the user means, as [`find_run`] finds a run.
///
/// # Errors
/// No such sweep, or several.
pub fn find_sweep(sweeps: &Path, wanted: &str) -> Result<PathBuf, RunDirError> {
    find(sweeps, wanted, "sweep", |path, reason| RunDirError::NotASweep { path, reason })
}

fn find(
    runs: &Path,
    wanted: &str,
    noun: &str,
    none: impl Fn(PathBuf, String) -> RunDirError,
) -> Result<PathBuf, RunDirError> {
    let direct = PathBuf::from(wanted);
    if direct.join("config.yaml").is_file() {
        return Ok(direct);
    }
    let all = list_runs(runs)?;
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(wanted));
    let matching: Vec<&PathBuf> = match wanted {
        "latest" => all.last().into_iter().collect(),
        _ => all.iter().filter(|path| named(path)).collect(),
    };
    match matching[..] {
        [one] => Ok(one.clone()),
        [] => Err(none(direct, not_found(runs, &all, noun))),
        _ => Err(none(direct, format!("{} {noun}s begin so; write more of the name", matching.len()))),
    }
}

fn not_found(runs: &Path, all: &[PathBuf], noun: &str) -> String {
    match all.last() {
        Some(last) if noun == "run" => {
            format!("the latest run is {}; `candlewick runs ls` lists them all", last.display())
        }
        Some(last) => format!("the latest {noun} is {}", last.display()),
        None => format!("there is no {noun} in {}; name the folder with --{noun}s", runs.display()),
    }
}
