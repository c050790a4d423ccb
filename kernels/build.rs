//! Compiles every `.cu` of this folder with nvcc, into one image each that holds PTX for later devices (compute_80) and
//! machine code for the H100 and H200 (sm_90); only with the feature `cuda`. `images.rs` lists them by their stems.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo:rerun-if-changed=kernels");
    for variable in ["NVCC", "CUDA_HOME", "PATH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let images = if env::var_os("CARGO_FEATURE_CUDA").is_some() { compile_all(&out) } else { Vec::new() };
    let entries = images
        .iter()
        .map(|stem| format!("({stem:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{stem}.fatbin\"))),"));
    let list = format!("&[{}]", entries.collect::<String>());
    fs::write(out.join("images.rs"), list).expect("OUT_DIR can be written");
}

/// The stems of all images, in the order of their names.
fn compile_all(out: &Path) -> Vec<String> {
    let folder = fs::read_dir("kernels").expect("cargo runs this in the package's folder");
    let mut sources: Vec<PathBuf> = folder
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
        .collect();
    sources.sort();
    // Two at a time: each needs about a core.
    for pair in sources.chunks(2) {
        std::thread::scope(|scope| {
            for source in pair {
                scope.spawn(|| compile(source, out));
            }
        });
    }
    sources.iter().map(|path| stem(path)).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("it has an extension").to_string_lossy().into_owned()
}

fn compile(source: &Path, out: &Path) {
    let text = fs::read_to_string(source).expect("the file was just listed");
    let mut command = Command::new(nvcc());
    command.args(["-O3", "-std=c++17", "-fatbin", "-Xptxas", "-warn-spills", "-Werror", "all-warnings"]);
    command.args(["-gencode", "arch=compute_80,code=compute_80", "-gencode", "arch=compute_90,code=sm_90"]);
    // A file's first line may ask for more: `// nvcc: --fmad=false`.
    if let Some(more) = text.lines().next().and_then(|line| line.strip_prefix("// nvcc: ")) {
        command.args(more.split_whitespace());
    }
    command.arg("-o").arg(out.join(format!("{}.fatbin", stem(source)))).arg(source);
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => {
            panic!("nvcc could not compile {} ({status}); its messages are above", source.display())
        }
        Err(error) => panic!(
            "the feature `cuda` needs nvcc, which could not be started as {:?} ({error}); install a CUDA toolkit 12.8 or later and put nvcc on the PATH, or set CUDA_HOME or NVCC",
            command.get_program()
        ),
    }
}

fn nvcc() -> PathBuf {
    if let Some(path) = env::var_os("NVCC") {
        return path.into();
    }
    match env::var_os("CUDA_HOME") {
        Some(home) => Path::new(&home).join("bin/nvcc"),
        None => "nvcc".into(),
    }
}
