//! From a path, a folder or a glob to Parquet files in the order of their names.

use super::DataError;
use std::path::{Path, PathBuf};

/// The Parquet files that a configured path means, sorted by name.
pub(super) fn parquet_files(path: &str) -> Result<Vec<PathBuf>, DataError> {
    let direct = Path::new(path);
    if direct.is_file() {
        return Ok(vec![direct.to_owned()]);
    }
    let mut files = Vec::new();
    if direct.is_dir() {
        collect(direct, &mut files)?;
        files.retain(|file| file.extension().is_some_and(|ending| ending == "parquet"));
    } else if path.contains(['*', '?']) {
        let fixed: PathBuf =
            direct.components().take_while(|part| !is_pattern(&part.as_os_str().to_string_lossy())).collect();
        let folder = if fixed.as_os_str().is_empty() { Path::new(".") } else { &fixed };
        if folder.is_dir() {
            collect(folder, &mut files)?;
        }
        let pattern = parts(direct);
        files.retain(|file| matches(&pattern, &parts(file)));
    } else {
        return Err(missing(direct));
    }
    if files.is_empty() {
        let remedy = "check the path; it is relative to the folder in which the program was started";
        return Err(DataError::file(direct, "there is no Parquet file here", remedy));
    }
    files.sort();
    Ok(files)
}

/// The files that several paths mean together, each once.
pub(super) fn all_parquet_files(paths: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(parquet_files(path)?);
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn missing(path: &Path) -> DataError {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut neighbours: Vec<String> = folder
        .read_dir()
        .map(|entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    neighbours.sort();
    let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let remedy = match crate::suggest::closest(&wanted, neighbours.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {}?", folder.join(near).display()),
        None => "check the path; it is relative to the folder in which the program was started".into(),
    };
    DataError::file(path, "there is no such file or folder", remedy)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let fail = |error: std::io::Error| {
        DataError::file(folder, format!("the folder cannot be read: {error}"), "check its permissions")
    };
    for entry in folder.read_dir().map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a folder is not followed: it could lead in circles.
        if entry.file_type().map_err(fail)?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?'])
}

fn parts(path: &Path) -> Vec<String> {
    let parts = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    parts.filter(|part| part != ".").collect()
}

/// `**` stands for any folders, also none.
fn matches(pattern: &[String], path: &[String]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((first, rest)) if first == "**" => (0..=path.len()).any(|skip| matches(rest, &path[skip..])),
        Some((first, rest)) => path.split_first().is_some_and(|(name, below)| {
            name_matches(first.as_bytes(), name.as_bytes()) && matches(rest, below)
        }),
    }
}

/// `*` stands for any letters, `?` for one.
fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skip| name_matches(rest, &name[skip..])),
        Some((letter, rest)) => name
            .split_first()
            .is_some_and(|(found, below)| (*letter == b'?' || letter == found) && name_matches(rest, below)),
    }
}
