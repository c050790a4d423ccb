//! The recurrence of an LSTM layer on a device against the layer on the CPU, output and all gradients; its paths against each
//! other, and bits that depend on no neighbour.

use super::emulator::gpu;
use super::lstm_layer::{
    Case, INPUTS, Left, Member, Numbers, completed, expected, inputs, member, run, run_inputs,
};
use candlewick::kernels::gpu::Gpu;
use candlewick::kernels::population_lstm::{LstmPath, Outputs};
use candlewick::kernels::precision::Precision;

/// All values, and all together, relative to the largest one.
fn assert_close(name: &str, found: &[f32], expected: &[f32], (most, mean): (f32, f64)) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let size = expected.iter().fold(1e-3_f32, |size, value| size.max(value.abs()));
    let mut squares = 0.0;
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / size;
        // Not a number is not close.
        assert!(error <= most, "{name}[{index}]: {found} instead of {expected}, of at most {size}");
        squares += f64::from(error).powi(2);
    }
    let error = (squares / found.len() as f64).sqrt();
    assert!(error <= mean, "{name}: off by {error} in the mean");
}

fn assert_same_as_cpu(gpu: &Gpu, case: Case, population: usize, paths: &[LstmPath]) {
    let members: Vec<Member> = (0..population).map(|number| member(case, number)).collect();
    let expected: Vec<Numbers> = members.iter().map(|member| expected(case, member)).collect();
    // In f32 sums differ by their order. In bf16 such a difference moves a factor over the edge between two bf16 numbers now
    // and then, by 2^-8 of it; where a path forgot to round, all would be off and the mean far larger.
    let tolerance = if case.precision == Precision::Bf16 { (4e-3, 1.5e-4) } else { (1e-5, 2e-6) };
    for path in paths {
        let left = run(gpu, case, &members, *path, true);
        for (member, expected) in members.iter().zip(&expected) {
            let found = completed(case, member, &left.of(population, member.number));
            let name = |part: &str| format!("{case:?} {path:?}, member {}: {part}", member.number);
            assert_close(&name("output"), &found.output, &expected.output, tolerance);
            assert_close(&name("of x"), &found.of_x, &expected.of_x, tolerance);
            assert_close(&name("of weight"), &found.of_weight, &expected.of_weight, tolerance);
        }
    }
}

/// All weights on the multiprocessor, none of them, and a part, whatever the hidden size.
const PATHS: [LstmPath; 7] = [
    LstmPath::Chosen,
    LstmPath::Stepwise,
    LstmPath::Persistent { tile: 8, weight_bytes: usize::MAX },
    LstmPath::Persistent { tile: 8, weight_bytes: 0 },
    LstmPath::Persistent { tile: 16, weight_bytes: 9_000 },
    LstmPath::Persistent { tile: 32, weight_bytes: usize::MAX },
    LstmPath::Persistent { tile: 32, weight_bytes: 9_000 },
];

/// Every hidden size with every number of windows; the rest takes turns.
fn for_all_sizes(precision: Precision) {
    let Some(gpu) = gpu() else { return };
    let mut turn = 0;
    for hidden in [1, 7, 8, 33, 50] {
        for windows in [1, 5, 31, 33, 40] {
            for outputs in [Outputs::Every, Outputs::Last] {
                for dropout in [false, true] {
                    turn += 1;
                    let (steps, population) = ([1, 2, 9, 2, 9][turn % 5], [1, 3, 1][turn % 3]);
                    let case = Case { windows, steps, hidden, outputs, precision, dropout };
                    assert_same_as_cpu(&gpu, case, population, &[PATHS[turn % PATHS.len()]]);
                }
            }
        }
    }
}

#[test]
fn f32_layers_are_those_of_the_cpu() {
    for_all_sizes(Precision::F32);
}

#[test]
fn bf16_layers_are_those_of_the_cpu() {
    for_all_sizes(Precision::Bf16);
}

#[test]
fn every_path_is_that_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for precision in [Precision::F32, Precision::Bf16] {
        let case =
            Case { windows: 33, steps: 5, hidden: 50, outputs: Outputs::Every, precision, dropout: true };
        assert_same_as_cpu(&gpu, case, 2, &PATHS);
    }
}

/// Hidden sizes of which a part, and then nothing, stays on the multiprocessor; warps with more than 8 units.
#[test]
fn large_layers_are_those_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (precision, hidden, windows) in [
        (Precision::F32, 130, 17),
        (Precision::F32, 290, 3),
        (Precision::Bf16, 170, 9),
        (Precision::Bf16, 290, 9),
    ] {
        let case = Case { windows, steps: 3, hidden, outputs: Outputs::Every, precision, dropout: false };
        assert_same_as_cpu(&gpu, case, 1, &[LstmPath::Chosen, LstmPath::Stepwise]);
    }
    let case = Case {
        windows: 3,
        steps: 2,
        hidden: 300,
        outputs: Outputs::Last,
        precision: Precision::Bf16,
        dropout: true,
    };
    assert_same_as_cpu(&gpu, case, 1, &[LstmPath::Persistent { tile: 8, weight_bytes: usize::MAX }]);
}

fn small(outputs: Outputs, precision: Precision) -> Case {
    Case { windows: 35, steps: 4, hidden: 19, outputs, precision, dropout: true }
}

/// Neither on the other members nor on how windows are cut into tiles, nor on where weights are read.
#[test]
fn bits_depend_on_the_member_alone() {
    let Some(gpu) = gpu() else { return };
    for precision in [Precision::F32, Precision::Bf16] {
        let case = small(Outputs::Every, precision);
        let mut members: Vec<Member> = (0..3).map(|number| member(case, number)).collect();
        members[0].weight.fill(f32::NAN);
        let persistent: Vec<Left> = PATHS.iter().map(|path| run(&gpu, case, &members, *path, true)).collect();
        for (path, left) in PATHS.iter().zip(&persistent) {
            for number in [1, 2] {
                let alone = run(&gpu, case, &members[number..=number], *path, true);
                assert_eq!(left.of(3, number).bits(), alone.bits(), "{precision:?} {path:?}");
            }
            if *path != LstmPath::Stepwise {
                assert_eq!(left.of(3, 1).bits(), persistent[0].of(3, 1).bits(), "{precision:?} {path:?}");
            }
        }
        assert!(persistent[0].of(3, 0).output.iter().all(|value| value.is_nan() || *value == 0.0));
    }
}

#[test]
fn without_keeping_only_the_output_is_written() {
    let Some(gpu) = gpu() else { return };
    for precision in [Precision::F32, Precision::Bf16] {
        for outputs in [Outputs::Every, Outputs::Last] {
            let case = small(outputs, precision);
            let members: Vec<Member> = (0..2).map(|number| member(case, number)).collect();
            for path in PATHS {
                let (kept, left) =
                    (run(&gpu, case, &members, path, true), run(&gpu, case, &members, path, false));
                assert_eq!(left.output, kept.output, "{case:?} {path:?}");
                assert!(
                    left.cells.iter().chain(&left.before).all(|value| *value == 7.0),
                    "{case:?} {path:?}"
                );
                assert!(
                    kept.cells.iter().chain(&kept.before).all(|value| *value != 7.0),
                    "{case:?} {path:?}"
                );
            }
        }
    }
}

/// From the step on in which it comes, and in no other window.
#[test]
fn what_is_not_a_number_stays_in_its_window() {
    let Some(gpu) = gpu() else { return };
    for precision in [Precision::F32, Precision::Bf16] {
        let case = Case { dropout: false, ..small(Outputs::Every, precision) };
        let Case { windows, steps, hidden, .. } = case;
        let members = [member(case, 0), member(case, 1)];
        let plain: Vec<f32> = members.iter().flat_map(|member| inputs(case, member)).collect();
        let (window, step) = (windows + 9, 2);
        let mut marked = plain.clone();
        marked[(window * steps + step) * case.columns() + 5] = f32::NAN;
        for path in PATHS {
            let run = |inputs: &[f32]| run_inputs(&gpu, case, &members, path, true, inputs);
            let (left, other) = (run(&marked), run(&plain));
            let rows = left.output.chunks(hidden).zip(other.output.chunks(hidden));
            for (row, (found, plain)) in rows.enumerate() {
                let (own, t) = (row / steps == window, row % steps);
                let expected = |unit: usize| own && (t > step || t == step && unit == 5);
                for (unit, (found, plain)) in found.iter().zip(plain).enumerate() {
                    assert!(
                        found.to_bits() == plain.to_bits() || found.is_nan() && expected(unit),
                        "{path:?}"
                    );
                    assert_eq!(found.is_nan(), expected(unit), "{path:?} row {row} unit {unit}");
                }
            }
            let size = steps * case.columns();
            for (number, (found, plain)) in
                left.of_gates.chunks(size).zip(other.of_gates.chunks(size)).enumerate()
            {
                assert!(number == window || found == plain, "{precision:?} {path:?} window {number}");
                assert_eq!(found.iter().all(|value| value.is_nan()), number == window, "{path:?}");
            }
        }
    }
}

/// Nothing comes before the first step, nor behind the last: not zero times the weight.
#[test]
fn one_step_asks_for_no_recurrent_weight() {
    let Some(gpu) = gpu() else { return };
    for precision in [Precision::F32, Precision::Bf16] {
        let case = Case { steps: 1, ..small(Outputs::Every, precision) };
        let plain = member(case, 0);
        let mut infinite = plain.clone();
        infinite.weight[(1 + INPUTS) * case.columns()..].fill(f32::INFINITY);
        for path in PATHS {
            let [left, other] =
                [&plain, &infinite].map(|member| run(&gpu, case, std::slice::from_ref(member), path, true));
            assert_eq!(left.bits(), other.bits(), "{precision:?} {path:?}");
            assert!(left.of_gates.iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn nothing_is_done_where_there_is_nothing() {
    let Some(gpu) = gpu() else { return };
    for path in PATHS {
        let case = small(Outputs::Every, Precision::F32);
        assert!(run(&gpu, case, &[], path, true).output.is_empty());
        let case = Case { windows: 0, ..case };
        assert!(run(&gpu, case, &[member(case, 0)], path, true).output.is_empty());
    }
}
