//! Ground: which device trains. The only place, with `kernels/`, that knows CPU from CUDA.

use candle_core::Device;
use std::fmt;

/// What the user asked for: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA where it is built in and present, else the CPU; the choice and its reason are recorded.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// This CUDA device, or an error.
    Cuda(usize),
}

/// The device of a run, with the reason that goes into the manifest.
#[derive(Clone, Debug)]
pub struct ChosenDevice {
    /// Where tensors live.
    pub device: Device,
    /// `cpu` or `cuda:0`.
    pub name: String,
    /// Why it is this one.
    pub reason: String,
}

/// A device was asked for that is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "device {asked} is not available: {reason}. Use `device: cpu` or `device: auto`, or run on a machine with an NVIDIA GPU and a build with `--features cuda`"
)]
pub struct DeviceError {
    /// What was asked for.
    pub asked: DeviceChoice,
    /// Why it cannot be had.
    pub reason: String,
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// `cuda` where no CUDA device can be used; `auto` and `cpu` never fail.
    pub fn open(self) -> Result<ChosenDevice, DeviceError> {
        match self {
            DeviceChoice::Cpu => Ok(cpu("asked for by the configuration")),
            DeviceChoice::Cuda(index) => match cuda(index) {
                Ok(device) => Ok(ChosenDevice {
                    device,
                    name: format!("cuda:{index}"),
                    reason: "asked for by the configuration".into(),
                }),
                Err(reason) => Err(DeviceError { asked: self, reason }),
            },
            DeviceChoice::Auto => Ok(match cuda(0) {
                Ok(device) => ChosenDevice {
                    device,
                    name: "cuda:0".into(),
                    reason: "auto: a CUDA device is present".into(),
                },
                Err(reason) => cpu(&format!("auto: {reason}")),
            }),
        }
    }
}

fn cpu(reason: &str) -> ChosenDevice {
    ChosenDevice { device: Device::Cpu, name: "cpu".into(), reason: reason.into() }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> Result<Device, String> {
    Err("this program was built without the `cuda` feature".into())
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device, String> {
    let count = cudarc::driver::CudaContext::device_count()
        .map_err(|error| format!("the CUDA driver does not say which devices there are ({error})"))?;
    if usize::try_from(count).unwrap_or(0) <= index {
        return Err(format!("this machine has {count} CUDA device(s)"));
    }
    // One shared stream: tensors made on one host thread and used on another stay ordered.
    // candle prints a back trace behind the first line of its errors.
    Device::new_cuda_with_stream(index).map_err(|error| {
        error.to_string().lines().next().unwrap_or("the CUDA driver gave no reason").to_owned()
    })
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("`{text}` is not a device; write auto, cpu, cuda or cuda:0")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl serde::Serialize for DeviceChoice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for DeviceChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for DeviceChoice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeviceChoice".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^(auto|cpu|cuda(:[0-9]+)?)$"})
    }
}
