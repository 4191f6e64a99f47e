//! Where tensors live.

use anyhow::{Result, ensure};
use tch::{Cuda, Device};

/// The device that the configuration asks for.
///
/// # Errors
/// When it asks for a GPU and libtorch sees none.
pub fn pick(wanted: configs::Device) -> Result<Device> {
    let gpu = Cuda::is_available();
    match wanted {
        configs::Device::Auto if gpu => Ok(Device::Cuda(0)),
        configs::Device::Auto | configs::Device::Cpu => Ok(Device::Cpu),
        configs::Device::Cuda => {
            ensure!(
                gpu,
                "device: cuda, but libtorch sees no GPU: check `nvidia-smi` and that the driver \
                 supports CUDA 13, or set device: cpu"
            );
            Ok(Device::Cuda(0))
        }
    }
}

/// A device in words.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("GPU {index}"),
        _ => format!("CPU, {} threads", tch::get_num_threads()),
    }
}
