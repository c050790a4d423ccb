//! The `candlewick` program: parse, call, print the error, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    one_thread_in_each_matrix_product();
    candlewick::cli::main()
}

/// Models train in parallel, each on one thread: a matrix product that spreads over threads of its own would fight with
/// them, and its result could depend on their number. The libraries below read these variables once, at first use.
#[expect(unsafe_code, reason = "changing the environment is sound while this is the only thread")]
fn one_thread_in_each_matrix_product() {
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS", "POLARS_MAX_THREADS"] {
        // SAFETY: the first statement of `main`; no other thread exists yet.
        unsafe { std::env::set_var(variable, "1") };
    }
}
