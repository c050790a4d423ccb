//! The walls: floors, heads, sizes and registries, kept by a test because one crate has no compiler walls.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room with its floor. A room imports only from lower floors, or from itself.
const FLOORS: &[(&str, u8)] = &[
    ("units", 0),
    ("seed", 0),
    ("suggest", 0),
    ("ruled_table", 0),
    ("registry", 0),
    ("progress", 0),
    ("protobuf", 0),
    ("table", 1),
    ("kernels", 1),
    ("onnx", 1),
    ("device", 2),
    ("metrics", 2),
    ("nn", 2),
    ("search", 2),
    ("rundir", 3),
    ("data", 4),
    ("train", 4),
    ("report", 4),
    ("model", 5),
    ("domains", 5),
    ("config", 6),
    ("audit", 7),
    ("run", 8),
    ("sweep", 9),
    ("query", 9),
    ("stream", 9),
    ("cli", 10),
];

fn floor_of(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The files of the house, each with the room it stands in.
fn house() -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for path in rust_files(&root().join("src")) {
        let first = path.strip_prefix(root().join("src")).unwrap().components().next().unwrap();
        let room = first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        if room != "lib" && room != "main" {
            files.push((room, path));
        }
    }
    let kernels = rust_files(&root().join("kernels"));
    // The build script talks to cargo by printing.
    let kernels = kernels.into_iter().filter(|path| !path.ends_with("kernels/build.rs"));
    files.extend(kernels.map(|path| ("kernels".to_owned(), path)));
    files
}

/// The rooms that a text names by `crate::room`, brace groups over several lines included.
fn imports(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut rooms = Vec::new();
    for (position, name) in code.match_indices("crate::") {
        // `$crate::` in a macro is read where the macro is used.
        if code[..position].ends_with('$') {
            continue;
        }
        let rest = &code[position + name.len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(group_members(group)),
            None => rooms.push(first_name(rest)),
        }
    }
    rooms
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// The first names of a brace group, up to its closing brace; what stands in groups within it belongs to its room.
fn group_members(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut members) = (1, 0, Vec::new());
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && character == ',') {
            members.push(first_name(&group[start..position]));
            start = position + 1;
        }
        if depth == 0 {
            break;
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

/// Each function of a formatted text with its number of lines, signature included. A body ends with the first brace that
/// stands alone under the `fn`.
fn function_lengths(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indentation = line.len() - line.trim_start().len();
        let Some(name) = function_name(line) else { continue };
        let ends = |line: &&str| {
            let level = line.len() - line.trim_start().len() == indentation;
            level && (line.ends_with('}') || (line.ends_with(';') && !line.trim_start().starts_with("let")))
        };
        let rest = lines[start..].iter().position(ends).unwrap_or(lines.len() - start - 1);
        found.push((name, rest + 1));
    }
    found
}

/// The name in the line that begins a function.
fn function_name(line: &str) -> Option<String> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "unsafe", "extern", "\"C\""];
    let name = first_name(after);
    (before.split_whitespace().all(|word| qualifiers.contains(&word)) && !name.is_empty()).then_some(name)
}

#[test]
fn every_import_looks_down() {
    let mut upward = Vec::new();
    for (room, path) in house() {
        let floor =
            floor_of(&room).unwrap_or_else(|| panic!("{} stands in a room without a floor", path.display()));
        for wanted in imports(&fs::read_to_string(&path).unwrap()) {
            // A macro of the registry and names inside a group that are no room have no floor.
            let Some(other) = floor_of(&wanted) else { continue };
            if wanted != room && other >= floor {
                upward.push(format!(
                    "{} ({room}, floor {floor}) imports {wanted} (floor {other})",
                    path.display()
                ));
            }
        }
    }
    assert!(upward.is_empty(), "upward imports:\n{}", upward.join("\n"));
}

#[test]
fn the_wall_sees_an_upward_import() {
    assert_eq!(
        imports("use crate::{run, table::Bars};\nlet x = crate::cli::main();"),
        ["run", "table", "cli"]
    );
    assert_eq!(
        imports("use crate::{\n    table::{Bars, run},\n    cli,\n};\nuse crate::report::{page, run};"),
        ["table", "cli", "report"]
    );
    assert!(imports("//! crate::run").is_empty());
}

#[test]
fn every_file_has_a_head_and_fits_on_a_few_screens() {
    for (_, path) in house() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} does not say what it is for", path.display());
        let lines = text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines, more than 500", path.display());
    }
}

#[test]
fn every_function_fits_on_a_screen() {
    let mut long = Vec::new();
    let mut count = 0;
    for (_, path) in house() {
        for (name, lines) in function_lengths(&fs::read_to_string(&path).unwrap()) {
            count += 1;
            if lines > 75 {
                long.push(format!("{} fn {name}: {lines} lines", path.display()));
            }
        }
    }
    assert!(count > 500, "only {count} functions were seen");
    assert!(long.is_empty(), "functions of more than 75 lines:\n{}", long.join("\n"));
}

#[test]
fn the_wall_sees_how_long_a_function_is() {
    let text = "\
pub fn one() -> u8 { 1 }
trait Room {
    fn declared(&self);
    fn wide(
        &self,
    ) -> u8;
    pub(crate) const fn long(
        &self,
    ) -> u8
    where
        Self: Sized,
    {
        if true {
        }
        2
    }
}
// fn in a comment
";
    let expected = [("one", 1), ("declared", 1), ("wide", 3), ("long", 10)];
    assert_eq!(function_lengths(text), expected.map(|(name, lines)| (name.to_owned(), lines)));
}

#[test]
fn every_file_of_a_registry_folder_is_registered() {
    let market =
        ["indicators", "labels", "strategies", "backtest/costs"].map(|room| format!("domains/market/{room}"));
    for folder in market.into_iter().chain(["model".to_owned()]) {
        let folder = root().join("src").join(folder);
        let registry = fs::read_to_string(folder.join("mod.rs")).unwrap();
        for path in rust_files(&folder) {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            // Files that hold no entry of the registry hold what several entries share.
            let is_entry = text.contains("JsonSchema") && name != "mod" && text.contains("Default");
            let registered = registry.lines().any(|line| line.trim_start().starts_with(&format!("{name}: ")));
            assert!(!is_entry || registered, "{} is not in the registry", path.display());
        }
    }
}

#[test]
fn only_the_ground_knows_cuda() {
    for (room, path) in house() {
        if room != "device" && room != "kernels" {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("feature = \"cuda\""), "{} knows of CUDA", path.display());
        }
    }
}

#[test]
fn nothing_below_the_roof_prints_or_exits() {
    for (room, path) in house() {
        let text = fs::read_to_string(&path).unwrap();
        for word in ["println!", "print!(", "process::exit", "todo!(", "unimplemented!("] {
            assert!(!text.contains(word) || room == "cli", "{} uses {word}", path.display());
        }
    }
}
