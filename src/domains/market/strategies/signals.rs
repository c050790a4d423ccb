//! The indicator columns that strategies trade on, `[symbol][column][row]`, null in the warm-up.

use crate::table::{Bars, NULL};

fn of(bars: &Bars, columns: impl Fn(&[f64]) -> Vec<Vec<f64>>) -> Vec<Vec<Vec<f64>>> {
    bars.symbols().iter().map(|symbol| columns(symbol.close())).collect()
}

/// Simple mean of the last `period` closes.
pub(super) fn sma(bars: &Bars, period: usize) -> Vec<Vec<Vec<f64>>> {
    of(bars, |close| vec![mean(close, period)])
}

/// Exponential mean of the closes with weight 2 / (period + 1), started at the mean of the first `period`.
pub(super) fn ema(bars: &Bars, period: usize) -> Vec<Vec<Vec<f64>>> {
    of(bars, |close| vec![exponential_mean(close, period)])
}

/// The MACD line and its signal line.
pub(super) fn macd(bars: &Bars, fast: usize, slow: usize, signal: usize) -> Vec<Vec<Vec<f64>>> {
    of(bars, |close| {
        // The fast mean starts at the same row as the slow one.
        let skipped = (slow - fast).min(close.len());
        let mut quick = vec![NULL; skipped];
        quick.extend(exponential_mean(&close[skipped..], fast));
        let line: Vec<f64> =
            quick.iter().zip(exponential_mean(close, slow)).map(|(fast, slow)| fast - slow).collect();
        let first = (slow - 1).min(line.len());
        let mut average = vec![NULL; first];
        average.extend(exponential_mean(&line[first..], signal));
        vec![line, average]
    })
}

/// Wilder's relative strength index, 0 to 100.
pub(super) fn rsi(bars: &Bars, period: usize) -> Vec<Vec<Vec<f64>>> {
    of(bars, |close| {
        let (mut gain, mut loss) = (0.0, 0.0);
        let mut column = vec![NULL; close.len()];
        for t in 1..close.len() {
            let change = close[t] - close[t - 1];
            let (rise, fall) = (change.max(0.0), (-change).max(0.0));
            if t <= period {
                gain += rise / period as f64;
                loss += fall / period as f64;
            } else {
                gain += (rise - gain) / period as f64;
                loss += (fall - loss) / period as f64;
            }
            if t >= period && gain + loss > 0.0 {
                column[t] = 100.0 * gain / (gain + loss);
            }
        }
        vec![column]
    })
}

/// Upper, middle and lower Bollinger band: the mean plus and minus `width` population standard deviations.
pub(super) fn bollinger(bars: &Bars, period: usize, width: f64) -> Vec<Vec<Vec<f64>>> {
    of(bars, |close| {
        let middle = mean(close, period);
        let reach = |t: usize| {
            let window = &close[(t + 1).saturating_sub(period)..=t];
            let squares: f64 = window.iter().map(|value| (value - middle[t]) * (value - middle[t])).sum();
            width * (squares / period as f64).sqrt()
        };
        let upper = (0..close.len()).map(|t| middle[t] + reach(t)).collect();
        let lower = (0..close.len()).map(|t| middle[t] - reach(t)).collect();
        vec![upper, middle, lower]
    })
}

/// Running sums with the rounding error carried along (Knuth's two-sum), so that equal windows have equal means and a
/// tie of two means is a tie.
fn mean(values: &[f64], period: usize) -> Vec<f64> {
    let (mut sum, mut error) = (0.0_f64, 0.0_f64);
    let mut add = |value: f64| {
        let total = sum + value;
        let part = total - sum;
        error += (sum - (total - part)) + (value - part);
        sum = total;
        sum + error
    };
    (0..values.len())
        .map(|t| {
            let mut total = add(values[t]);
            if t >= period {
                total = add(-values[t - period]);
            }
            if t + 1 >= period { total / period as f64 } else { NULL }
        })
        .collect()
}

fn exponential_mean(values: &[f64], period: usize) -> Vec<f64> {
    let mut column = vec![NULL; values.len()];
    if values.len() < period {
        return column;
    }
    let weight = 2.0 / (period as f64 + 1.0);
    let mut mean = values[..period].iter().sum::<f64>() / period as f64;
    column[period - 1] = mean;
    for t in period..values.len() {
        mean += weight * (values[t] - mean);
        column[t] = mean;
    }
    column
}
