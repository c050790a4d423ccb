//! `train.stride_bars` thins the training windows once, no more and no less.

use crate::program::{SMALL, Scratch};

/// Training windows of the small experiment's LSTM on fold 0, windows it was trained with, and epochs.
fn lstm_fit(stride: usize) -> (u64, u64, u64) {
    let scratch = Scratch::new();
    scratch.market(1600, 0.1);
    scratch.write("small.yaml", SMALL);
    let set = format!("train.stride_bars={stride}");
    scratch.candlewick(&["run", "small.yaml", "--no-report", "--set", &set]).exits(0);
    let file = scratch.runs()[0].join("models/fold-0/lstm/fit.json");
    let fit: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let epochs = fit["report"]["epochs"].as_array().unwrap().len() as u64;
    (fit["windows"][0].as_u64().unwrap(), fit["report"]["samples"].as_u64().unwrap(), epochs)
}

#[test]
fn every_epoch_sees_every_training_window_once_at_any_stride() {
    let (all, samples, epochs) = lstm_fit(1);
    // 700 bars of two symbols, less those whose label is not known before the validation part begins.
    assert!((2 * 680..=2 * 700).contains(&all), "{all}");
    assert_eq!(samples, epochs * all);

    let (third, samples, epochs) = lstm_fit(3);
    assert_eq!(third, 2 * (all / 2).div_ceil(3), "each symbol has every third window of {all}");
    assert!(epochs >= 1);
    assert_eq!(samples, epochs * third, "{epochs} epochs of {third} windows");
}
