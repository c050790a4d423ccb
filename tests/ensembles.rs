//! What a run makes of its members: ensembles of seeds, members that diverge, the figures of training, the benchmarks.

use crate::program::{SMALL, Scratch, results, weights};
use candlewick::config::{Text, load};
use candlewick::model::ModelConfig;
use candlewick::rundir::TableFile;
use std::path::Path;

/// The forecasts of a network of fold 0 for its test rows.
fn forecasts(run: &Path, network: &str) -> Vec<f64> {
    let file = run.join("models/fold-0").join(network).join("test.parquet");
    TableFile::read(&file).unwrap().float("output_0").unwrap().to_vec()
}

#[test]
fn an_ensemble_forecasts_the_mean_of_its_seeds() {
    let scratch = Scratch::new();
    scratch.market(1600, 0.1);
    scratch.write("small.yaml", SMALL);
    scratch.candlewick(&["run", "small.yaml", "--no-report"]).exits(0);
    let done = scratch.candlewick(&["run", "small.yaml", "--set", "train.seeds=2", "--json"]).exits(0);
    let runs = scratch.runs();
    let (single, both) = (&runs[0], &runs[1]);

    let weights_of = |run: &Path, network: &str| {
        std::fs::read(run.join("models/fold-0").join(network).join("model.safetensors")).unwrap()
    };
    assert_eq!(weights_of(single, "lstm"), weights_of(both, "lstm/seed-0"), "the first is the one alone");
    assert_ne!(weights_of(both, "lstm/seed-0"), weights_of(both, "lstm/seed-1"));
    assert_eq!(weights_of(single, "ridge"), weights_of(both, "ridge"), "a closed form has no seed");
    assert_eq!(
        weights(both).len(),
        2 * (2 * 2 + 1),
        "two networks with two seeds and a closed form on two folds"
    );

    let seeds = ["lstm/seed-0", "lstm/seed-1"].map(|network| forecasts(both, network));
    let mean: Vec<f64> = seeds[0].iter().zip(&seeds[1]).map(|(one, other)| (one + other) / 2.0).collect();
    let table = TableFile::read(&both.join("predictions.parquet")).unwrap();
    let (models, folds) = (table.text("model").unwrap(), table.integer("fold").unwrap());
    let all = table.float("prediction").unwrap();
    let rows = (0..all.len()).filter(|row| &*models[*row] == "lstm" && folds[*row] == 0);
    assert_eq!(rows.map(|row| all[row]).collect::<Vec<f64>>(), mean);

    let training = TableFile::read(&both.join("training.parquet")).unwrap();
    assert_eq!(training.integer("seed").unwrap().iter().max(), Some(&1));
    assert!(TableFile::read(&single.join("training.parquet")).unwrap().integer("seed").is_none());
    let summary = done.json();
    let of = |name: &str| {
        summary["models"].as_array().unwrap().iter().find(|model| model["name"] == name).unwrap().clone()
    };
    assert_eq!((of("lstm")["seeds"].as_u64(), of("ridge")["seeds"].as_u64()), (Some(2), Some(1)));
    assert_eq!(of("lstm")["precision"], "f32");
    assert_eq!(of("lstm")["precision_reason"], "asked for by the configuration");
    assert!(of("ridge")["precision"].is_null());
    assert!(summary["seconds_to_first_step"].as_f64().unwrap() > 0.0);

    // Each network is a model of its own that can be read.
    let text = std::fs::read_to_string(both.join("resolved.yaml")).unwrap();
    let plan = load(&Text { name: "resolved", yaml: &text, overrides: &[] }).unwrap();
    let model: &ModelConfig = &plan.experiment.models["lstm"];
    model.build().load(&both.join("models/fold-0/lstm/seed-1")).unwrap();

    // Made again in pieces, nothing changes.
    let before = results(both);
    std::fs::remove_file(both.join("manifest.json")).unwrap();
    std::fs::remove_file(both.join("models/fold-1/lstm/seed-1/fit.json")).unwrap();
    scratch.candlewick(&["run", "--resume", &both.to_string_lossy()]).exits(0);
    assert!(before == results(both), "an ensemble that was resumed differs");
}

#[test]
fn a_network_that_diverges_at_once_ends_the_run_after_the_others_are_kept() {
    let scratch = Scratch::new();
    scratch.market(1600, 0.1);
    scratch.write("small.yaml", SMALL);
    let ruin = "train.optimizer.adamw.learning_rate=1e30";
    let done = scratch.candlewick(&["run", "small.yaml", "--set", ruin, "--set", "train.gradient_clip=null"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("training fold 0") && done.stderr.contains("the loss became"),
        "{}",
        done.stderr
    );
    let run = &scratch.runs()[0];
    for fold in ["fold-0", "fold-1"] {
        // Smaller than the networks, hence at work after them.
        assert!(run.join("models").join(fold).join("ridge/fit.json").exists(), "{fold}");
        assert!(!run.join("models").join(fold).join("transformer/fit.json").exists(), "{fold}");
    }
    assert!(!run.join("manifest.json").exists());
}

#[test]
fn the_benchmarks_have_the_shapes_that_they_name() {
    let expected = [
        ("a", 6, 5, "lstm: {window: 60, layers: [100, 50], dropout: 0.2}", 32),
        ("b", 4, 1, "lstm: {window: 50, layers: [50], dropout: 0.2}", 32),
        ("c", 10, 4, "lstm: {window: 60, layers: [128, 64], dropout: 0.2}", 32),
        (
            "d",
            40,
            3,
            "transformer: {window: 25, width: 256, heads: 8, layers: 6, feed_forward: 1024, dropout: 0.1}",
            128,
        ),
    ];
    for (name, features, horizons, model, batch_size) in expected {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("configs/benchmarks/{name}.yaml"));
        let yaml = std::fs::read_to_string(&path).unwrap();
        assert!(
            yaml.contains(&format!("-- run configs/benchmarks/{name}.yaml")),
            "{name} says how to run it"
        );
        let overrides = ["train.precision=bf16".to_owned()];
        let plan = load(&Text { name, yaml: &yaml, overrides: &overrides }).unwrap();
        let experiment = &plan.experiment;
        let names: usize = experiment.features.iter().map(|feature| feature.build().names().len()).sum();
        assert_eq!(names, features, "{name}");
        assert_eq!(experiment.target.as_ref().unwrap().build().horizons().len(), horizons, "{name}");
        let models: Vec<&ModelConfig> = experiment.models.values().collect();
        assert_eq!(models, [&serde_saphyr::from_str::<ModelConfig>(model).unwrap()], "{name}");
        assert_eq!(experiment.train.batch_size, batch_size, "{name}");
        assert_eq!(experiment.train.gradient_clip, None, "{name}");
        assert!(experiment.strategies.is_empty(), "{name}");
    }
}
