//! How far probabilities lie from what came.

use crate::metrics::finite;
use crate::table::ModelPredictions;

/// Brier score: the mean squared distance of the probability from the outcome, 0 or 1 (Brier 1950). `None` without a row.
pub fn brier_score(risk: &[f64], happens: &[bool]) -> Option<f64> {
    mean(risk, happens, |risk, outcome| (risk - outcome) * (risk - outcome))
}

/// Mean of the negative logarithm of the probability that was given to what came. Probabilities are kept away from 0 and 1
/// by the distance of 1 to the next number, as in scikit-learn: a certain forecast that is wrong costs 36, not infinitely
/// much. `None` without a row.
pub fn log_loss(risk: &[f64], happens: &[bool]) -> Option<f64> {
    mean(risk, happens, |risk, outcome| {
        let risk = risk.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        -(outcome * risk.ln() + (1.0 - outcome) * (1.0 - risk).ln())
    })
}

fn mean(risk: &[f64], happens: &[bool], loss: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let losses = risk.iter().zip(happens).map(|(risk, happens)| loss(*risk, f64::from(u8::from(*happens))));
    finite(losses.sum::<f64>() / risk.len() as f64)
}

/// Share of rows in which a longer horizon has a lower risk than a shorter one, although what comes within the one comes
/// within the other. Differences below a millionth are rounding. `None` with one horizon, or without a row.
pub fn order_violations(predictions: &ModelPredictions) -> Option<f64> {
    let mut outputs: Vec<usize> = (0..predictions.horizons.len()).collect();
    outputs.sort_by_key(|output| predictions.horizons[*output]);
    if outputs.len() < 2 {
        return None;
    }
    let rows = predictions.values.chunks_exact(outputs.len());
    let count = rows.len() as f64;
    let violated = |row: &&[f64]| outputs.windows(2).any(|pair| row[pair[1]] < row[pair[0]] - 1e-6);
    finite(rows.filter(violated).count() as f64 / count)
}
