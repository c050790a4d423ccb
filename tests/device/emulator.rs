//! Brings the emulated device into this process where there is no real one: the kernels' own sources, compiled by the
//! machine's C++ compiler behind the interface of the CUDA driver.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// How the emulated device is compiled: as it is; or, for a process that was started with the library of a sanitizer, so that
/// missing barriers are found (`threads`: every thread of a block is a thread of the system) or accesses outside of what was
/// taken (`addresses`).
const KINDS: &[(&str, &[&str])] = &[
    ("plain", &["-O2"]),
    ("threads", &["-O1", "-g", "-DHOST_THREADS", "-fsanitize=thread"]),
    ("addresses", &["-O1", "-g", "-fsanitize=address"]),
];

/// The device that the tests run on: a real one if there is one, else the emulated one. `None` where there is neither, since
/// the machine has no C++ compiler; the test then is a skip, and says so.
pub(crate) fn gpu() -> Option<candlewick::kernels::gpu::Gpu> {
    static BROUGHT: OnceLock<bool> = OnceLock::new();
    let there = *BROUGHT.get_or_init(bring);
    if !there {
        println!("SKIPPED: no CUDA device, and no C++ compiler for the emulated one");
        return None;
    }
    Some(candlewick::kernels::gpu::Gpu::open(0).unwrap())
}

/// Whether the tests run on the machine's own device.
pub(crate) fn real() -> bool {
    env::var("CANDLEWICK_DEVICE").is_ok_and(|kind| kind == "real")
}

/// Loads the emulated driver under the name by which the program looks for the real one. `CANDLEWICK_DEVICE` says which kind
/// of [`KINDS`] it is; `real` leaves it out.
fn bring() -> bool {
    if real() {
        return true;
    }
    let kind = env::var("CANDLEWICK_DEVICE").unwrap_or_else(|_| "plain".into());
    let Some(folder) = build(&kind) else { return false };
    let library = folder.join("libcuda.so.1");
    // SAFETY: our own library, which has no initialisers that could go wrong. It stays loaded, so that the program finds it
    // by its name.
    let library = unsafe { libloading::os::unix::Library::open(Some(&library), RTLD_NOW | RTLD_GLOBAL) };
    std::mem::forget(library.unwrap());
    true
}

/// Of `dlfcn.h`.
const RTLD_NOW: i32 = 2;
const RTLD_GLOBAL: i32 = 0x100;

/// The folder of a `libcuda.so.1` that is the emulated device; compiled when a source has changed. `None` without a C++
/// compiler.
pub(crate) fn build(kind: &str) -> Option<PathBuf> {
    let (name, options) = KINDS.iter().find(|(name, _)| *name == kind).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulated-device").join(name);
    let library = folder.join("libcuda.so.1");
    Command::new("c++").arg("--version").output().ok()?;
    fs::create_dir_all(&folder).unwrap();
    let list = kernel_list(&root.join("kernels"));
    let sources = sources(root);
    let wanted = format!("{options:?}\n{list}\n{}", sources.join("\n"));
    let stamp = folder.join("built-from");
    if library.exists() && fs::read_to_string(&stamp).is_ok_and(|built| built == wanted) {
        return Some(folder);
    }
    fs::write(folder.join("kernels.inc"), list).unwrap();
    let made = folder.join(format!("new-{}.so", std::process::id()));
    let output = Command::new("c++")
        .args([
            "-std=c++20",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
            "-ffp-contract=off",
            "-Wl,-soname,libcuda.so.1",
        ])
        // A kernel unrolls its loops for the device by pragmas that the host's compiler does not know.
        .args(["-Wall", "-Wno-unknown-pragmas", "-Wno-unused-function", "-pthread"])
        .args(*options)
        .arg("-I")
        .arg(&folder)
        .arg("-I")
        .arg(root)
        .arg("-o")
        .arg(&made)
        .arg(root.join("tests/device/driver.cpp"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::rename(&made, &library).unwrap();
    fs::write(stamp, wanted).unwrap();
    Some(folder)
}

/// All texts that the emulated device is made of.
fn sources(root: &Path) -> Vec<String> {
    let mut paths: Vec<PathBuf> = ["kernels", "tests/device"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            ["cu", "cuh", "hpp", "cpp"].iter().any(|kind| path.extension().is_some_and(|e| e == *kind))
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The kernels of a text: what stands in `KERNEL(name, threads)`.
pub(crate) fn kernel_names(text: &str) -> Vec<&str> {
    let declared = text.lines().filter_map(|line| line.strip_prefix("KERNEL("));
    declared.filter_map(|rest| rest.split_once(',')).map(|(name, _)| name.trim()).collect()
}

/// `kernels.inc`: every kernel file, and the list of all kernels.
fn kernel_list(folder: &Path) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
        .collect();
    files.sort();
    let (mut includes, mut entries) = (String::new(), String::new());
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy();
        includes.push_str(&format!("#include \"kernels/{name}\"\n"));
        for kernel in kernel_names(&fs::read_to_string(file).unwrap()) {
            entries.push_str(&format!(
                "        Registered{{binder({kernel}), most_threads_{kernel}, 48 << 10, \"{kernel}\"}},\n"
            ));
        }
    }
    format!(
        "{includes}\nstd::vector<Registered>& kernels() {{\n    static std::vector<Registered> list{{\n{entries}    }};\n    return list;\n}}\n"
    )
}
