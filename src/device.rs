//! Which device trains. The only place, with `kernels/`, that knows CPU from CUDA.

use crate::kernels::gpu::{self, Gpu};
use std::fmt;

/// What the user asked for: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA where it is built in and present, else the CPU; the choice and its reason are recorded.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// All CUDA devices, or this one, or an error.
    Cuda(Option<usize>),
}

/// The device of a run, with the reason that goes into the manifest.
#[derive(Clone, Debug)]
pub struct ChosenDevice {
    /// CUDA devices, over which the work is spread; empty on the CPU.
    pub gpus: Vec<Gpu>,
    /// `cpu`, or `cuda` and what the driver calls the device: results have the same bits on devices of one name.
    pub name: String,
    /// Why it is this one.
    pub reason: String,
}

/// A device was asked for that is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "device {asked} is not available: {reason}. Use `device: cpu` or `device: auto`, or a device that is there"
)]
pub struct DeviceError {
    /// What was asked for.
    pub asked: DeviceChoice,
    /// Why it cannot be had.
    pub reason: String,
}

impl DeviceChoice {
    /// Opens the device; `useful` says whether anything could run on a CUDA device, without which `auto` looks for none.
    ///
    /// # Errors
    /// `cuda` where no CUDA device can be used; `auto` and `cpu` never fail.
    pub fn open(self, useful: bool) -> Result<ChosenDevice, DeviceError> {
        match self {
            DeviceChoice::Auto if !useful => Ok(cpu("auto: nothing of this plan runs on CUDA devices")),
            DeviceChoice::Cpu => Ok(cpu("asked for by the configuration")),
            DeviceChoice::Cuda(index) => match open_gpus(index) {
                Ok(gpus) => Ok(cuda(gpus, "asked for by the configuration")),
                Err(reason) => Err(DeviceError { asked: self, reason }),
            },
            DeviceChoice::Auto => Ok(match open_gpus(None) {
                Ok(gpus) => cuda(gpus, "auto"),
                Err(reason) => cpu(&format!("auto: {reason}")),
            }),
        }
    }
}

fn cpu(reason: &str) -> ChosenDevice {
    ChosenDevice { gpus: Vec::new(), name: "cpu".into(), reason: reason.into() }
}

fn cuda(gpus: Vec<Gpu>, reason: &str) -> ChosenDevice {
    let name = format!("cuda {}", gpus[0].name());
    let devices = match &gpus[..] {
        [one] => format!("device {}", one.index()),
        several => {
            let numbers: Vec<String> = several.iter().map(|gpu| gpu.index().to_string()).collect();
            format!("devices {}", numbers.join(", "))
        }
    };
    ChosenDevice { gpus, name, reason: format!("{reason}: {devices}") }
}

/// One device by its number, or the first with all that are like it: a run whose members trained on devices of two kinds
/// could not be repeated. Others, and such as cannot be opened, are left alone.
fn open_gpus(index: Option<usize>) -> Result<Vec<Gpu>, String> {
    if let Some(index) = index {
        return Ok(vec![Gpu::open(index)?]);
    }
    let first = Gpu::open(0)?;
    let name = first.name().to_owned();
    let others = (1..gpu::count()?).filter_map(|index| Gpu::open(index).ok());
    Ok(std::iter::once(first).chain(others.filter(|gpu| gpu.name() == name)).collect())
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(None)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(|index| Self::Cuda(Some(index)))
                .ok_or_else(|| format!("`{text}` is not a device; write auto, cpu, cuda or cuda:0")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(None) => write!(f, "cuda"),
            Self::Cuda(Some(index)) => write!(f, "cuda:{index}"),
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
