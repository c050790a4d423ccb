//! What `precision: auto` rests on: training with bf16 products ends as well as with f32, within the noise of the seeds.

use crate::markets::shared;
use crate::program::Scratch;
use candlewick::rundir::TableFile;
use std::path::Path;

const SEEDS: usize = 5;

fn shipped(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// The means of five seeds may differ by one standard deviation over seeds: by chance alone they differ by more in one of
/// nine cases (the difference of two means of five has 0.63 of that deviation), and what is worse by more is no noise.
fn assert_within_noise(name: &str, exact: &[f64], rounded: &[f64]) {
    println!(
        "{name}: f32 {:.5} ({:.5}), bf16 {:.5} ({:.5})",
        mean(exact),
        deviation(exact),
        mean(rounded),
        deviation(rounded)
    );
    assert_eq!((exact.len(), rounded.len()), (SEEDS, SEEDS), "{name}");
    assert!(exact != rounded, "{name}: the precision changes nothing, so nothing was compared");
    let noise = deviation(exact).max(deviation(rounded));
    assert!(mean(rounded) - mean(exact) <= noise, "{name}: {exact:?} in f32, {rounded:?} in bf16");
}

#[test]
fn an_lstm_learns_the_shipped_market_as_well_in_bf16() {
    let text = shipped("configs/quickstart.yaml");
    let market = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/market_1h.parquet");
    let text = text.replace("datasets/market_1h.parquet", &market.display().to_string());
    let [transformer, train] = ["  transformer:", "train:\n"].map(|section| text.find(section).unwrap());
    let strategies = text.find("strategies:").unwrap();
    let text = format!("{}{}", &text[..transformer], &text[train..strategies]);
    let losses = |precision: &str| -> Vec<f64> {
        let scratch = Scratch::new();
        scratch.write("experiment.yaml", &text);
        let (seeds, precision) = (format!("train.seeds={SEEDS}"), format!("train.precision={precision}"));
        let words =
            ["run", "experiment.yaml", "--no-audit", "--no-report", "--set", &seeds, "--set", &precision];
        scratch.candlewick(&[&words[..], &["--set", "split.walk_forward.folds=1"]].concat()).exits(0);
        let table = TableFile::read(&scratch.runs()[0].join("training.parquet")).unwrap();
        let (seed, loss) = (table.integer("seed").unwrap(), table.float("validation_loss").unwrap());
        let of = |wanted: i64| {
            let rows = seed.iter().zip(loss).filter(|(seed, _)| **seed == wanted);
            rows.map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min)
        };
        (0..SEEDS as i64).map(of).collect()
    };
    assert_within_noise("lstm, validation loss of the quick start", &losses("f32"), &losses("bf16"));
}

/// The long-forecast networks, each within what was asked of it, and as good in bf16.
#[test]
#[ignore = "eleven minutes of processor time, where the data are at hand"]
fn networks_forecast_etth1_within_their_goals_in_both_precisions() {
    let Some(path) = shared("datasets/etth1.parquet") else { return };
    let text = shipped("configs/experiments/etth1.yaml");
    let text = text.replace("datasets/etth1.parquet", &path.display().to_string());
    let errors = |precision: &str| -> Vec<[f64; 2]> {
        let run = |seed: usize| {
            let scratch = Scratch::new();
            scratch.write("etth1.yaml", &text);
            let (seed, precision) = (format!("seed={seed}"), format!("train.precision={precision}"));
            let words = ["run", "etth1.yaml", "--json", "--no-report", "--no-audit"];
            let settings = ["--set", &seed, "--set", &precision];
            let document = scratch.candlewick(&[&words[..], &settings[..]].concat()).exits(0).json();
            ["lstm", "patches"].map(|name| {
                let models = document["models"].as_array().unwrap();
                let model = models.iter().find(|model| model["name"] == name).unwrap();
                model["metrics"]["scaled_mse"].as_f64().unwrap()
            })
        };
        (1..=SEEDS).map(run).collect()
    };
    let (exact, rounded) = (errors("f32"), errors("bf16"));
    for (index, (name, goal)) in [("lstm", 0.44), ("patches", 0.39)].into_iter().enumerate() {
        let of = |errors: &[[f64; 2]]| errors.iter().map(|pair| pair[index]).collect::<Vec<f64>>();
        assert!(mean(&of(&exact)) <= goal, "{name}: {exact:?}");
        assert_within_noise(name, &of(&exact), &of(&rounded));
    }
}
