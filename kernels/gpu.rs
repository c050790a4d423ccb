//! A CUDA device: memory, copies and the launching of kernels.
//!
//! The driver's library is looked for when the program runs, so one program starts everywhere; the kernels are in it as
//! images that the feature `cuda` compiles. All work of a device goes to one stream and is done in the order in which it
//! was asked for; a kernel that fails is told by the next call that waits for the device.

use crate::units::counted;
use cudarc::driver::sys::{
    CUdevice_attribute, CUfunction_attribute, CUgraphInstantiate_flags, CUstreamCaptureMode,
};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaModule, CudaSlice, CudaStream, DevicePtr, DeviceRepr,
    DriverError, LaunchConfig, PushKernelArg, ValidAsZeroBits,
};
use cudarc::nvrtc::Ptx;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// `(stem of the file, image)`, in the order of their names; empty without the feature `cuda`.
static IMAGES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/images.rs"));

/// What a device is given in place of an image that was not built; it refuses it.
const NO_IMAGE: &[u8] = &[0; 64];

/// Shared memory that a block may have without asking for it.
const DEFAULT_SHARED_BYTES: u32 = 48 << 10;

/// What went wrong on a device.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GpuError {
    /// No room for what was asked for.
    #[error(
        "the CUDA device has no room for {bytes} bytes more; use a smaller model, or `device: cpu`, or stop what else uses the device"
    )]
    OutOfMemory {
        /// How many bytes were asked for.
        bytes: usize,
    },
    /// The driver refused something.
    #[error("{what} failed on the CUDA device: {reason}")]
    Driver {
        /// What was tried.
        what: String,
        /// The driver's words.
        reason: String,
    },
}

fn failed(what: impl fmt::Display) -> impl FnOnce(DriverError) -> GpuError {
    move |error| GpuError::Driver { what: what.to_string(), reason: words(error) }
}

/// The driver's name of an error and what it says.
fn words(error: DriverError) -> String {
    let text =
        |text: Result<&std::ffi::CStr, DriverError>| text.map(|text| text.to_string_lossy().into_owned());
    match (text(error.error_name()), text(error.error_string())) {
        (Ok(name), Ok(text)) => format!("{name} ({text})"),
        _ => format!("{:?}", error.0),
    }
}

/// A place in a device's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(u64);

impl Address {
    /// No place.
    pub const NONE: Address = Address(0);

    /// So many f32 behind it.
    #[must_use]
    pub fn floats(self, count: usize) -> Address {
        Address(self.0 + 4 * count as u64)
    }

    /// So many bytes behind it.
    #[must_use]
    pub fn bytes(self, count: usize) -> Address {
        Address(self.0 + count as u64)
    }

    /// As a number, for tables of addresses that kernels read.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Numbers in a device's memory; freed when dropped.
pub struct Memory<T> {
    slice: CudaSlice<T>,
    address: Address,
    length: usize,
}

impl<T> Memory<T> {
    /// Where it begins.
    pub fn address(&self) -> Address {
        self.address
    }

    /// How many numbers it holds.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// One argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// `T*`
    Pointer(Address),
    /// `int`
    Int(i32),
    /// `unsigned long long`, `uint64_t`, `size_t`
    Long(u64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
}

impl From<Address> for Argument {
    fn from(value: Address) -> Argument {
        Argument::Pointer(value)
    }
}

impl From<usize> for Argument {
    /// As `int`: sizes and counts, which kernels take as 32 bits.
    ///
    /// # Panics
    /// Where it does not fit: a fault of the launching code, which has checked its sizes.
    fn from(value: usize) -> Argument {
        Argument::Int(i32::try_from(value).expect("the launching code keeps sizes below 2^31"))
    }
}

impl From<u64> for Argument {
    fn from(value: u64) -> Argument {
        Argument::Long(value)
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Argument {
        Argument::Float(value)
    }
}

impl From<f64> for Argument {
    fn from(value: f64) -> Argument {
        Argument::Double(value)
    }
}

/// How a kernel is started.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// The file's stem and the kernel's name.
    pub kernel: (&'static str, &'static str),
    /// Blocks along x, y and z; nothing is done where one of them is 0. y and z are at most 65,535.
    pub grid: [usize; 3],
    /// Threads of a block, a multiple of 32.
    pub threads: usize,
    /// Dynamic shared memory of a block.
    pub shared_bytes: usize,
}

struct Opened {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    index: usize,
    name: String,
    multiprocessors: usize,
    shared_bytes: usize,
    modules: Mutex<HashMap<&'static str, Arc<CudaModule>>>,
    functions: Mutex<HashMap<&'static str, CudaFunction>>,
}

/// A CUDA device. Clones share it.
#[derive(Clone)]
pub struct Gpu(Arc<Opened>);

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{} ({})", self.0.index, self.0.name)
    }
}

/// How many CUDA devices there are.
///
/// # Errors
/// Why there is none: no driver, or a driver that finds no device.
pub fn count() -> Result<usize, String> {
    #[expect(unsafe_code, reason = "looking for the driver's library runs its initialisers")]
    // SAFETY: the library is the system's NVIDIA driver, whose initialisers may run at any time.
    let present = unsafe { cudarc::driver::sys::is_culib_present() };
    if !present {
        return Err("this machine has no NVIDIA driver (libcuda.so.1 was not found)".into());
    }
    let init = cudarc::driver::result::init();
    let count = init.and_then(|()| CudaContext::device_count());
    let count = count.map_err(|error| format!("the NVIDIA driver finds no device: {}", words(error)))?;
    match usize::try_from(count) {
        Ok(0) | Err(_) => Err("the NVIDIA driver finds no device".into()),
        Ok(count) => Ok(count),
    }
}

impl Gpu {
    /// Opens device number `index`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn open(index: usize) -> Result<Gpu, String> {
        let count = count()?;
        if index >= count {
            return Err(format!("this machine has {}, numbered from 0", counted(count, "CUDA device")));
        }
        let refused = |error| format!("CUDA device {index} cannot be used: {}", words(error));
        let context = CudaContext::new(index).map_err(refused)?;
        #[expect(unsafe_code, reason = "events between streams are not needed")]
        // SAFETY: all work of this device goes to the one stream below.
        unsafe {
            context.disable_event_tracking();
        }
        let stream = context.new_stream().map_err(refused)?;
        let attribute = |attribute| context.attribute(attribute).map_err(refused);
        let multiprocessors = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        let shared = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        let gpu = Gpu(Arc::new(Opened {
            name: context.name().map_err(refused)?,
            context,
            stream,
            index,
            multiprocessors: usize::try_from(multiprocessors).unwrap_or(1),
            shared_bytes: usize::try_from(shared).unwrap_or(DEFAULT_SHARED_BYTES as usize),
            modules: Mutex::default(),
            functions: Mutex::default(),
        }));
        // One image is loaded now, so that a program without kernels, or a device that is too old for them, is told at once.
        gpu.module("population_adam").map_err(|error| match IMAGES.is_empty() {
            true => "this program was built without `--features cuda`, so it holds no kernels".to_owned(),
            false => format!("CUDA device {index} cannot run the kernels of this program: {}", words(error)),
        })?;
        Ok(gpu)
    }

    /// Its number.
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// As the driver calls it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its multiprocessors.
    pub fn multiprocessors(&self) -> usize {
        self.0.multiprocessors
    }

    /// Most shared memory of a block.
    pub fn shared_bytes(&self) -> usize {
        self.0.shared_bytes
    }

    /// Memory that is free once all work before is done, in bytes: what was given back before counts as free only then.
    ///
    /// # Errors
    /// A kernel that failed, or a driver that does not say.
    pub fn free_bytes(&self) -> Result<usize, GpuError> {
        self.wait()?;
        self.0.context.mem_get_info().map(|(free, _)| free).map_err(failed("asking for the free memory"))
    }

    /// Memory filled with zeros.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`] where there is no room.
    pub fn zeros<T: DeviceRepr + ValidAsZeroBits>(&self, length: usize) -> Result<Memory<T>, GpuError> {
        let bytes = length.saturating_mul(size_of::<T>());
        // A device gives no memory of size 0.
        let slice =
            self.0.stream.alloc_zeros::<T>(length.max(1)).map_err(|error| out_of_memory(error, bytes))?;
        let address = Address(slice.device_ptr(&self.0.stream).0);
        Ok(Memory { slice, address, length })
    }

    /// A copy of these numbers.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`] where there is no room.
    pub fn upload<T: DeviceRepr + ValidAsZeroBits>(&self, values: &[T]) -> Result<Memory<T>, GpuError> {
        let mut memory = self.zeros(values.len())?;
        self.write(&mut memory, 0, values)?;
        Ok(memory)
    }

    /// Overwrites the numbers from number `start` on.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When they do not fit: a fault of the caller.
    pub fn write<T: DeviceRepr>(
        &self,
        memory: &mut Memory<T>,
        start: usize,
        values: &[T],
    ) -> Result<(), GpuError> {
        if values.is_empty() {
            return Ok(());
        }
        let mut place = memory.slice.slice_mut(start..start + values.len());
        self.0.stream.memcpy_htod(values, &mut place).map_err(failed("copying to the device"))?;
        // The values are the caller's, who may change them as soon as this returns.
        self.wait()
    }

    /// The numbers from number `start` on, once all work before is done.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When there are fewer: a fault of the caller.
    pub fn read<T: DeviceRepr + Default + Clone>(
        &self,
        memory: &Memory<T>,
        start: usize,
        length: usize,
    ) -> Result<Vec<T>, GpuError> {
        let mut values = vec![T::default(); length];
        if length > 0 {
            let place = memory.slice.slice(start..start + length);
            self.0.stream.memcpy_dtoh(&place, &mut values).map_err(failed("copying from the device"))?;
            self.wait()?;
        }
        Ok(values)
    }

    /// Sets so many f32 from this place on to zero, behind all work before.
    ///
    /// # Errors
    /// A driver that refuses.
    pub(crate) fn clear(&self, place: Address, floats: usize) -> Result<(), GpuError> {
        if floats == 0 {
            return Ok(());
        }
        self.0.context.bind_to_thread().map_err(failed("clearing memory"))?;
        #[expect(unsafe_code, reason = "the driver is told a place as a number")]
        // SAFETY: the caller names a part of memory that it holds.
        let cleared = unsafe {
            cudarc::driver::result::memset_d8_async(place.0, 0, 4 * floats, self.0.stream.cu_stream())
        };
        cleared.map_err(failed("clearing memory"))
    }

    /// Waits until all work is done.
    ///
    /// # Errors
    /// A kernel that failed.
    pub fn wait(&self) -> Result<(), GpuError> {
        self.0.stream.synchronize().map_err(failed("waiting for a kernel"))
    }

    /// Starts a kernel behind all work before.
    ///
    /// The arguments must be those of the kernel, and its places must be large enough: only the files of this folder, each
    /// beside its kernels, launch.
    ///
    /// # Errors
    /// A launch that the driver refuses.
    pub(super) fn launch(&self, launch: Launch, arguments: &[Argument]) -> Result<(), GpuError> {
        let Launch { kernel: (file, name), grid, threads, shared_bytes } = launch;
        if grid.contains(&0) {
            return Ok(());
        }
        let function = self.function(file, name).map_err(failed(format!("loading the kernel {name}")))?;
        let [x, y, z] = grid.map(|size| size as u32);
        let config = LaunchConfig {
            grid_dim: (x, y, z),
            block_dim: (threads as u32, 1, 1),
            shared_mem_bytes: shared_bytes as u32,
        };
        let mut builder = self.0.stream.launch_builder(&function);
        for argument in arguments {
            match argument {
                Argument::Pointer(Address(value)) | Argument::Long(value) => builder.arg(value),
                Argument::Int(value) => builder.arg(value),
                Argument::Float(value) => builder.arg(value),
                Argument::Double(value) => builder.arg(value),
            };
        }
        #[expect(unsafe_code, reason = "a kernel is foreign code")]
        // SAFETY: the launching code stands beside the kernel, passes its arguments in their order and types, and has
        // checked that the places it names are as large as the kernel's description asks.
        let launched = unsafe { builder.launch(config) };
        launched.map(|_| ()).map_err(failed(format!("starting the kernel {name}")))
    }

    fn module(&self, file: &'static str) -> Result<Arc<CudaModule>, DriverError> {
        // A poisoned lock only means that another thread panicked between two whole changes of the map.
        let mut modules = self.0.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(file) {
            return Ok(module.clone());
        }
        let image = IMAGES.iter().find(|(stem, _)| *stem == file).map_or(NO_IMAGE, |(_, image)| image);
        let module = self.0.context.load_module(Ptx::from_binary(image.to_vec()))?;
        modules.insert(file, module.clone());
        Ok(module)
    }

    fn function(&self, file: &'static str, name: &'static str) -> Result<CudaFunction, DriverError> {
        let mut functions = self.0.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.get(name) {
            return Ok(function.clone());
        }
        let function = self.module(file)?.load_function(name)?;
        let most = i32::try_from(self.0.shared_bytes).unwrap_or(i32::MAX);
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(attribute, most)?;
        functions.insert(name, function.clone());
        Ok(function)
    }

    /// Records what `work` launches instead of doing it, to be done as often as wished by one call. `work` launches and
    /// clears, and asks for nothing else; all its kernels must have run before, since the driver loads none while it records.
    ///
    /// # Errors
    /// What `work` returns, or a driver that cannot record.
    pub fn record<E: From<GpuError>>(&self, work: impl FnOnce() -> Result<(), E>) -> Result<Recording, E> {
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        self.0.stream.begin_capture(mode).map_err(failed("recording"))?;
        // A stream that went on recording would be lost to all who come after.
        let done = catch_unwind(AssertUnwindSafe(work));
        let graph =
            self.0.stream.end_capture(CUgraphInstantiate_flags(0)).map_err(failed("ending a recording"));
        done.unwrap_or_else(|panic| resume_unwind(panic))?;
        let graph = graph?.ok_or_else(|| GpuError::Driver {
            what: "recording".into(),
            reason: "nothing was recorded".into(),
        })?;
        Ok(Recording(graph))
    }
}

fn out_of_memory(error: DriverError, bytes: usize) -> GpuError {
    match error.0 {
        cudarc::driver::sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => GpuError::OutOfMemory { bytes },
        _ => failed("taking memory")(error),
    }
}

/// Launches that were recorded.
pub struct Recording(CudaGraph);

impl Recording {
    /// Starts all of them, behind all work before.
    ///
    /// # Errors
    /// A driver that refuses.
    pub fn play(&self) -> Result<(), GpuError> {
        self.0.launch().map_err(failed("starting recorded kernels"))
    }
}
