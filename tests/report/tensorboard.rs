//! Event files for TensorBoard, read again by a decoder of their own: framing, checksums, fields.

use super::synthetic::Synthetic;
use super::synthetic_sweep::{LAYERS, RATE, SyntheticSweep};
use crate::wire::{Field, bytes_of, fields};
use candlewick::report::export_tensorboard;
use candlewick::rundir::{Column, TableFile};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// CRC-32C by long division of the message's bits, the lowest first (RFC 3720, appendix B.4).
fn checksum(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for byte in bytes {
        for bit in 0..8 {
            let carry = (register ^ u32::from(byte >> bit)) & 1;
            register >>= 1;
            if carry == 1 {
                register ^= 0x82F6_3B78;
            }
        }
    }
    !register
}

fn masked(bytes: &[u8]) -> u32 {
    let crc = checksum(bytes);
    crc.rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// The records of a file, each with both of its checksums right.
fn records(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let mut rest = &bytes[..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        assert_eq!(u32::from_le_bytes(rest[8..12].try_into().unwrap()), masked(&rest[..8]));
        let record = &rest[12..12 + length];
        assert_eq!(u32::from_le_bytes(rest[12 + length..16 + length].try_into().unwrap()), masked(record));
        found.push(record.to_vec());
        rest = &rest[16 + length..];
    }
    assert_eq!(bytes_of(&found[0], 3), b"brain.Event:2");
    found
}

/// The entries of all summaries of a file with their steps.
fn entries(file: &Path) -> Vec<(u64, String, Vec<u8>)> {
    let summaries = records(file).into_iter().skip(1);
    summaries
        .map(|event| {
            let step = match fields(&event).into_iter().find(|(field, _)| *field == 2) {
                Some((_, Field::Whole(step))) => step,
                other => panic!("the step is {other:?}"),
            };
            let entry = bytes_of(&bytes_of(&event, 5), 1);
            (step, String::from_utf8(bytes_of(&entry, 1)).unwrap(), entry)
        })
        .collect()
}

/// Points of each curve of a file.
fn curves(file: &Path) -> BTreeMap<String, Vec<(u64, f32)>> {
    let mut found: BTreeMap<String, Vec<(u64, f32)>> = BTreeMap::new();
    for (step, tag, entry) in entries(file) {
        if let Some((_, Field::Float(value))) = fields(&entry).into_iter().find(|(field, _)| *field == 2) {
            found.entry(tag).or_default().push((step, value));
        }
    }
    found
}

const FILE: &str = "events.out.tfevents.candlewick";

#[test]
fn the_checksum_is_the_published_one() {
    // RFC 3720, appendix B.4: 32 bytes of zeros, 32 bytes of ones, and 0 to 31.
    assert_eq!(checksum(&[0; 32]), 0x8A91_36AA);
    assert_eq!(checksum(&[0xFF; 32]), 0x62A8_AB43);
    assert_eq!(checksum(&(0..32).collect::<Vec<u8>>()), 0x46DD_794E);
}

#[test]
fn the_curves_of_a_run_are_those_of_its_table() {
    let root = tempfile::tempdir().unwrap();
    let (run, out) = (root.path().join("run"), root.path().join("out"));
    Synthetic { bars: 600, ..Synthetic::default() }.write(&run);
    let table = TableFile::read(&run.join("training.parquet")).unwrap();
    let files = export_tensorboard(&run, &out).unwrap();
    assert_eq!(files.len(), 1 + 2 * 4, "the configuration, and two models in four folds");
    let models = table.text("model").unwrap();
    for column in ["training_loss", "validation_loss", "learning_rate"] {
        for fold in 0..4 {
            let name = models[0].to_string();
            let found = &curves(&out.join(&name).join(format!("fold_{fold}")).join(FILE))[column];
            let expected: Vec<(u64, f32)> = (0..models.len())
                .filter(|row| *models[*row] == *name && table.integer("fold").unwrap()[*row] == fold)
                .map(|row| {
                    (table.integer("epoch").unwrap()[row] as u64, table.float(column).unwrap()[row] as f32)
                })
                .collect();
            assert_eq!(*found, expected, "{column} of fold {fold}");
            assert_eq!(found.len(), 20);
        }
    }
    let (_, tag, entry) = entries(&out.join(FILE)).remove(0);
    assert_eq!(tag, "resolved.yaml");
    let text = String::from_utf8(bytes_of(&bytes_of(&entry, 8), 8)).unwrap();
    let plain: Vec<&str> = text.lines().map(|line| line.strip_prefix("    ").unwrap()).collect();
    let resolved = fs::read_to_string(run.join("resolved.yaml")).unwrap();
    assert_eq!(plain, resolved.lines().collect::<Vec<_>>());
    // A second export replaces the first.
    assert_eq!(export_tensorboard(&run, &out).unwrap(), files);
}

#[test]
fn seeds_have_their_own_folders_and_holes_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    let (run, out) = (root.path().join("run"), root.path().join("out"));
    Synthetic { bars: 600, ..Synthetic::default() }.write(&run);
    TableFile::default()
        .with("model", Column::Text(vec!["odd/../name".into(); 4]))
        .with("fold", Column::Integer(vec![1; 4]))
        .with("seed", Column::Integer(vec![0, 0, 1, 1]))
        .with("epoch", Column::Integer(vec![1, 2, 1, 2]))
        .with("training_loss", Column::Float(vec![0.5, 0.4, 0.6, f64::NAN]))
        .with("validation_loss", Column::Float(vec![0.7, 0.65, 0.8, 0.75]))
        .write(&run.join("training.parquet"))
        .unwrap();
    export_tensorboard(&run, &out).unwrap();
    let second = curves(&out.join("odd____name/fold_1/seed_1").join(FILE));
    assert_eq!(second["training_loss"], [(1, 0.6)]);
    assert_eq!(second["validation_loss"], [(1, 0.8), (2, 0.75)]);
    assert!(!second.contains_key("learning_rate"));
}

#[test]
fn the_trials_of_a_sweep_carry_their_settings() {
    let root = tempfile::tempdir().unwrap();
    let summary = SyntheticSweep::default().summary();
    fs::write(root.path().join("sweep.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    let out = root.path().join("tensorboard");
    assert_eq!(export_tensorboard(root.path(), &out).unwrap().len(), 64);
    for trial in &summary.trials {
        let file = out.join(format!("trial_{:02}", trial.number)).join(FILE);
        let curves = curves(&file);
        let expected: Vec<(u64, f32)> =
            trial.curve.iter().map(|(epoch, loss)| (*epoch, *loss as f32)).collect();
        assert_eq!(curves.get("validation_loss").cloned().unwrap_or_default(), expected);
        assert_eq!(
            curves.get("validation.loss").map(|points| points[0].1),
            trial.value.map(|value| value as f32)
        );
        let entries = entries(&file);
        let (_, tag, entry) = &entries[0];
        assert_eq!(tag, "_hparams_/session_start_info");
        let plugin = bytes_of(&bytes_of(entry, 9), 1);
        assert_eq!(bytes_of(&plugin, 1), b"hparams");
        let session = bytes_of(&bytes_of(&plugin, 2), 3);
        let mut settings = BTreeMap::new();
        for (_, field) in fields(&session).into_iter().filter(|(number, _)| *number == 1) {
            let Field::Bytes(entry) = field else { panic!("{field:?}") };
            let name = String::from_utf8(bytes_of(&entry, 1)).unwrap();
            settings.insert(name, fields(&bytes_of(&entry, 2)).remove(0));
        }
        assert_eq!(settings.len(), trial.settings.len());
        assert_eq!(settings[RATE], (2, Field::Double(trial.settings[RATE].as_f64().unwrap())));
        assert_eq!(settings[LAYERS], (3, Field::Bytes(trial.settings[LAYERS].to_string().into_bytes())));
    }
}

#[test]
fn a_folder_without_results_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let error = export_tensorboard(root.path(), &root.path().join("out")).unwrap_err().to_string();
    assert!(error.contains("has no results yet"), "{error}");
}

/// Reads the files with TensorBoard itself, 2.21.0 when this was written: `pip install tensorboard`, and its Python in the
/// variable `TENSORBOARD_PYTHON`.
#[test]
#[ignore = "needs the Python package tensorboard"]
fn tensorboard_reads_the_same_values() {
    let Ok(python) = std::env::var("TENSORBOARD_PYTHON") else {
        println!("skipped: TENSORBOARD_PYTHON is not set");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let summary = SyntheticSweep::default().summary();
    fs::write(root.path().join("sweep.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    export_tensorboard(root.path(), &root.path().join("tensorboard")).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/tensorboard_events.py");
    let done = std::process::Command::new(python).arg(script).arg(root.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("64 trials agree"), "{said}");
    println!("{said}");
}
