//! Features of many series on a device against their twins on the CPU: every number to the bit.

use super::emulator::gpu;
use candlewick::domains::market::indicators::ema::exponential_mean;
use candlewick::domains::market::rolling;
use candlewick::kernels::ema_scan::EmaScan;
use candlewick::kernels::rolling_moments::RollingMoments;
use candlewick::seed::Seed;

const SIZES: [(usize, usize); 8] =
    [(1, 1), (1, 33), (31, 3), (32, 31), (33, 130), (200, 1), (257, 65), (1000, 5)];
const PERIODS: [usize; 10] = [1, 2, 3, 20, 31, 32, 33, 100, 256, 5000];

/// `[series][row]`: levels of very different size, some rows equal, and one null in every third series.
fn panel(rows: usize, series: usize) -> Vec<Vec<f64>> {
    let mut stream = Seed(7).stream("panel", rows as u64);
    let column = |number: usize| {
        let level = 10.0_f64.powi(number as i32 % 7);
        let mut values: Vec<f64> = (0..rows).map(|_| level * (1.0 + 0.01 * stream.normal())).collect();
        for row in (5..rows).step_by(9) {
            values[row] = values[row - 1];
        }
        if number % 3 == 2 {
            values[rows / 2] = f64::NAN;
        }
        values
    };
    (0..series).map(column).collect()
}

/// `[row][series]`
fn turned(panel: &[Vec<f64>]) -> Vec<f64> {
    (0..panel[0].len()).flat_map(|row| panel.iter().map(move |series| series[row])).collect()
}

/// Every NaN is the null.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| if value.is_nan() { u64::MAX } else { value.to_bits() }).collect()
}

#[test]
fn moments_of_windows_have_the_bits_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (rows, series) in SIZES {
        let panel = panel(rows, series);
        let values = gpu.upload(&turned(&panel)).unwrap();
        let [means, deviations] = [0, 1].map(|_| gpu.zeros::<f64>(rows * series).unwrap());
        let scratch = gpu.zeros::<f64>(RollingMoments::scratch(rows, series)).unwrap();
        for period in PERIODS {
            for sample in [false, true] {
                let places = [&values, &scratch, &means, &deviations].map(|memory| memory.address());
                let [values, scratch, mean_places, deviation_places] = places;
                RollingMoments {
                    rows,
                    series,
                    period,
                    sample,
                    values,
                    scratch,
                    means: mean_places,
                    deviations: deviation_places,
                }
                .launch(&gpu)
                .unwrap();
                let column = |values: &[f64], of: fn(rolling::Moments) -> f64| {
                    rolling::padded(rows, rolling::moments(values, period).into_iter().map(of))
                };
                let deviation = if sample {
                    rolling::Moments::sample_deviation
                } else {
                    rolling::Moments::population_deviation
                };
                for (found, of) in [(&means, rolling::Moments::mean as fn(_) -> _), (&deviations, deviation)]
                {
                    let found = gpu.read(found, 0, rows * series).unwrap();
                    let expected: Vec<Vec<f64>> = panel.iter().map(|series| column(series, of)).collect();
                    assert_eq!(
                        bits(&found),
                        bits(&turned(&expected)),
                        "{rows} rows, {series} series, period {period}, sample {sample}"
                    );
                }
            }
        }
    }
}

#[test]
fn exponential_means_have_the_bits_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (rows, series) in SIZES {
        let panel = panel(rows, series);
        let values = gpu.upload(&turned(&panel)).unwrap();
        let means = gpu.zeros::<f64>(rows * series).unwrap();
        for period in PERIODS {
            let (values, places) = (values.address(), means.address());
            EmaScan { rows, series, period, values, means: places }.launch(&gpu).unwrap();
            let found = gpu.read(&means, 0, rows * series).unwrap();
            let column = |values: &Vec<f64>| rolling::padded(rows, exponential_mean(values, period));
            let expected: Vec<Vec<f64>> = panel.iter().map(column).collect();
            assert_eq!(
                bits(&found),
                bits(&turned(&expected)),
                "{rows} rows, {series} series, period {period}"
            );
        }
    }
}

#[test]
fn no_series_and_no_rows_do_nothing() {
    let Some(gpu) = gpu() else { return };
    let memory = gpu.upload(&[1.5_f64; 4]).unwrap();
    let place = memory.address();
    for (rows, series) in [(0, 3), (3, 0)] {
        EmaScan { rows, series, period: 2, values: place, means: place }.launch(&gpu).unwrap();
        RollingMoments {
            rows,
            series,
            period: 2,
            sample: true,
            values: place,
            scratch: place,
            means: place,
            deviations: place,
        }
        .launch(&gpu)
        .unwrap();
    }
    assert_eq!(gpu.read(&memory, 0, 4).unwrap(), [1.5; 4]);
}
