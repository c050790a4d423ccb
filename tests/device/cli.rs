//! The built program on devices, the way a user runs it: emulated ones, or the machine's own one where that is what is tested.

use super::emulator::{build, real};
use super::program::{Done, SMALL, Scratch, program};
use serde_json::Value;
use std::path::PathBuf;

/// The folder of the emulated driver; a skip where there is no C++ compiler.
fn driver() -> Option<PathBuf> {
    let folder = build("plain");
    if folder.is_none() {
        println!("SKIPPED: no C++ compiler for the emulated device");
    }
    folder
}

/// Runs the program with these emulated devices and so many bytes in each. A real device is one and has its own memory:
/// anything else is a skip there.
fn on_devices(scratch: &Scratch, arguments: &[&str], devices: usize, bytes: Option<usize>) -> Option<Done> {
    let bytes = bytes.map(|bytes| ("BYTES", bytes));
    emulated(
        scratch,
        arguments,
        &[Some(("DEVICES", devices)), bytes].into_iter().flatten().collect::<Vec<_>>(),
    )
}

/// Runs the program with emulated devices of these properties.
fn emulated(scratch: &Scratch, arguments: &[&str], properties: &[(&str, usize)]) -> Option<Done> {
    let mut command = scratch.command(arguments);
    if real() {
        if properties != [("DEVICES", 1)] {
            println!("SKIPPED: only emulated devices are many, small or broken");
            return None;
        }
    } else {
        command.env("LD_LIBRARY_PATH", driver()?);
    }
    for (name, value) in properties {
        command.env(format!("CANDLEWICK_EMULATED_{name}"), value.to_string());
    }
    let output = command.output().unwrap();
    Some(Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    })
}

/// Fewer models and epochs, since an emulated device takes its time.
fn small() -> String {
    SMALL
        .replace("train_bars: 700", "train_bars: 200")
        .replace("validation_bars: 200", "validation_bars: 100")
        .replace("test_bars: 250", "test_bars: 120")
        .replace("epochs: 4", "epochs: 2")
        .replace("layers: [12, 8]", "layers: [6, 5]")
        .replace("width: 16", "width: 8")
        .replace("random: {random_entry: {books: 20}}", "random: {random_entry: {books: 5}}")
}

fn prepared() -> Scratch {
    let scratch = Scratch::new();
    scratch.market(700, 0.1);
    scratch.write("small.yaml", &small());
    scratch
}

/// All of a model that training decides.
fn learned(summary: &Value, name: &str) -> Value {
    let models = summary["models"].as_array().unwrap();
    let model = models.iter().find(|model| model["name"] == name).unwrap();
    serde_json::json!([model["metrics"], model["validation_metrics"], model["by_horizon"]])
}

const NETWORKS: [&str; 2] = ["lstm", "transformer"];

#[test]
fn a_run_on_devices_gives_the_same_bits_on_one_on_three_and_with_little_memory() {
    let scratch = prepared();
    let run = |devices: usize, bytes: Option<usize>| {
        let arguments = ["run", "small.yaml", "--device", "cuda", "--json", "--no-report"];
        on_devices(&scratch, &arguments, devices, bytes).map(|done| done.exits(0).json())
    };
    let Some(one) = run(1, None) else { return };
    let no_notes = |summary: &Value| !summary["warnings"].to_string().contains("no room");
    assert!(no_notes(&one), "{}", one["warnings"]);

    if real() {
        let again = run(1, None).unwrap();
        for name in NETWORKS {
            assert_eq!(learned(&one, name), learned(&again, name), "{name} again");
        }
    } else {
        assert_eq!(one["device"], "cuda emulated device");
        assert_eq!(
            one["device_reason"],
            "asked for by the configuration: device 0; lstm 2 at once, transformer 2 at once"
        );
        let three = run(3, None).unwrap();
        let reason = three["device_reason"].as_str().unwrap();
        assert!(reason.starts_with("asked for by the configuration: devices 0, 1, 2; "), "{reason}");
        // Two networks of the LSTM do not fit at once, one does.
        let little = run(1, Some(600_000)).unwrap();
        assert!(!no_notes(&little), "{}", little["warnings"]);
        for name in NETWORKS {
            assert_eq!(learned(&one, name), learned(&three, name), "{name} on three devices");
            assert_eq!(learned(&one, name), learned(&little, name), "{name} with little memory");
        }
    }

    let cpu = scratch.candlewick(&["run", "small.yaml", "--device", "cpu", "--json", "--no-report"]);
    let cpu = cpu.exits(0).json();
    // Who continues or repeats it means that device.
    let resolved = scratch.path(cpu["run_dir"].as_str().unwrap()).join("resolved.yaml");
    assert!(std::fs::read_to_string(resolved).unwrap().contains("device: cpu"));
    for name in NETWORKS {
        let error = |summary: &Value| learned(summary, name)[0]["mse"].as_f64().unwrap();
        let (found, expected) = (error(&one), error(&cpu));
        assert!((found / expected - 1.0).abs() < 1e-3, "{name}: {found} is not {expected}");
    }
}

#[test]
fn a_device_without_room_for_a_batch_adds_up_smaller_ones_and_one_without_any_says_so() {
    let scratch = prepared();
    let arguments = ["run", "small.yaml", "--device", "cuda", "--json", "--no-report"];
    let Some(done) = on_devices(&scratch, &arguments, 1, Some(200_000)) else { return };
    let summary = done.exits(0).json();
    let warnings = summary["warnings"].to_string();
    assert!(
        warnings.contains("no room for 64 windows at once") && warnings.contains("added up"),
        "{warnings}"
    );

    let refused = on_devices(&scratch, &arguments, 1, Some(60_000)).unwrap().exits(5);
    assert!(refused.stderr.contains("no room for"), "{}", refused.stderr);
}

#[test]
fn a_device_that_is_not_there_is_told_and_auto_takes_the_cpu() {
    let scratch = prepared();
    let plain = |arguments: &[&str]| scratch.candlewick(arguments);
    let run = ["run", "small.yaml", "--json", "--no-report", "--device"];
    let Some(none) = on_devices(&scratch, &[&run[..], &["cuda"]].concat(), 0, None) else { return };
    assert!(none.exits(5).stderr.contains("the NVIDIA driver finds no device"));
    let fifth = on_devices(&scratch, &[&run[..], &["cuda:4"]].concat(), 2, None).unwrap().exits(5);
    assert!(fifth.stderr.contains("this machine has 2 CUDA devices"), "{}", fifth.stderr);
    let auto = on_devices(&scratch, &[&run[..], &["auto"]].concat(), 0, None).unwrap().exits(0).json();
    assert_eq!(auto["device"], "cpu");
    let reason = auto["device_reason"].as_str().unwrap();
    assert!(reason.starts_with("auto: the NVIDIA driver finds no device"), "{reason}");
    if std::path::Path::new("/dev/nvidia0").exists() {
        return;
    }
    let missing = plain(&[&run[..], &["cuda"]].concat()).exits(5);
    assert!(missing.stderr.contains("this machine has no NVIDIA driver"), "{}", missing.stderr);
    let auto = plain(&[&run[..], &["auto"]].concat()).exits(0).json();
    assert!(auto["device_reason"].as_str().unwrap().contains("this machine has no NVIDIA driver"));
    // What needs no device does not open one.
    let small = small();
    let kept = small.lines().filter(|line| !line.contains("lstm") && !line.contains("transformer"));
    scratch.write("plain.yaml", &kept.map(|line| format!("{line}\n")).collect::<String>());
    let auto = on_devices(&scratch, &["run", "plain.yaml", "--json", "--no-report"], 1, None).unwrap();
    assert_eq!(auto.exits(0).json()["device_reason"], "auto: nothing of this plan runs on CUDA devices");
}

const SWEEP: &str = "\
name: small-sweep
experiment: small.yaml
set: {train.epochs: 2, train.early_stopping: null}
seed: 5
method: random
metric: validation.loss
model: lstm
trials: 5
space:
  train.optimizer.adamw.learning_rate: {min: 1e-4, max: 1e-2, log: true}
  models.lstm.lstm.dropout: {min: 0.0, max: 0.4}
  models.lstm.lstm.layers: {values: [[6], [4, 3]]}
";

#[test]
fn a_sweep_on_devices_finds_the_same_on_one_and_on_two() {
    let scratch = prepared();
    scratch.write("sweep.yaml", SWEEP);
    let sweep = |devices: usize, output: &str| {
        let arguments =
            ["sweep", "sweep.yaml", "--device", "cuda", "--json", "--no-report", "--runs", output];
        on_devices(&scratch, &arguments, devices, None).map(|done| done.exits(0).json())
    };
    let Some(one) = sweep(1, "one") else { return };
    let values = |summary: &Value| -> Vec<Value> {
        let trials = summary["trials"].as_array().unwrap();
        trials.iter().map(|trial| serde_json::json!([trial["settings"], trial["value"]])).collect()
    };
    assert_eq!(values(&one).len(), 5);
    // On a real device: once more.
    let other = sweep(if real() { 1 } else { 2 }, "other").unwrap();
    assert_eq!(values(&one), values(&other));
    let cpu = ["sweep", "sweep.yaml", "--device", "cpu", "--json", "--no-report", "--runs", "cpu"];
    let cpu = scratch.candlewick(&cpu).exits(0).json();
    for (found, expected) in values(&one).iter().zip(values(&cpu)) {
        assert_eq!(found[0], expected[0]);
        let (found, expected) = (found[1].as_f64().unwrap(), expected[1].as_f64().unwrap());
        assert!((found / expected - 1.0).abs() < 1e-3, "{found} is not {expected}");
    }
}

/// A device that breaks in the middle loses nothing that was finished, and is no trial's fault.
#[test]
fn a_device_that_breaks_ends_a_run_and_a_sweep_which_go_on_with_the_same_bits() {
    let scratch = prepared();
    scratch.write("sweep.yaml", SWEEP);
    let arguments = ["run", "small.yaml", "--device", "cuda", "--json", "--no-report"];
    let Some(whole) = on_devices(&scratch, &arguments, 1, None) else { return };
    let whole = whole.exits(0).json();
    let broken = emulated(&scratch, &arguments, &[("FAILURE", 200)]).unwrap().exits(5);
    assert!(broken.stderr.contains("failed on the CUDA device"), "{}", broken.stderr);
    let directory = broken.stderr.split("--resume ").nth(1).unwrap().split('`').next().unwrap().trim();
    let resumed =
        on_devices(&scratch, &["run", "--resume", directory, "--device", "cuda", "--json"], 1, None);
    let resumed = resumed.unwrap().exits(0).json();
    for name in NETWORKS {
        assert_eq!(learned(&whole, name), learned(&resumed, name), "{name}");
    }

    let arguments = ["sweep", "sweep.yaml", "--device", "cuda", "--json", "--no-report"];
    let broken = emulated(&scratch, &arguments, &[("FAILURE", 200)]).unwrap().exits(5);
    assert!(broken.stderr.contains("failed on the CUDA device"), "{}", broken.stderr);
    assert!(broken.stderr.contains("candlewick sweep --resume sweeps/"), "{}", broken.stderr);
}

/// Devices before the H100 give a block less shared memory.
#[test]
fn devices_with_less_shared_memory_train_as_well() {
    let scratch = prepared();
    let arguments = ["run", "small.yaml", "--device", "cuda", "--json", "--no-report", "--no-audit"];
    if let Some(done) = emulated(&scratch, &arguments, &[("SHARED_BYTES", 99 << 10)]) {
        done.exits(0);
    }
}

/// The program must start where nothing of CUDA is installed: it may name no library of it.
#[test]
fn the_program_names_no_library_of_cuda() {
    let Ok(output) = std::process::Command::new("readelf").arg("-d").arg(program()).output() else {
        println!("SKIPPED: no readelf");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let needed: Vec<&str> = text.lines().filter(|line| line.contains("NEEDED")).collect();
    assert!(!needed.is_empty(), "{text}");
    assert!(!needed.iter().any(|line| line.contains("libcu") || line.contains("libnv")), "{needed:?}");
}
