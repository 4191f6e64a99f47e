//! Where tensors live.

use anyhow::{Result, ensure};
use tch::{Cuda, Device};

/// The device that the configuration asks for; of several GPUs the one at `local_rank`.
///
/// # Errors
/// When it asks for a GPU and libtorch sees none, or fewer than this machine has processes.
pub fn pick(wanted: configs::Device, local_rank: usize) -> Result<Device> {
    let gpu = Cuda::is_available();
    let ours = || {
        let seen = Cuda::device_count();
        ensure!(
            i64::try_from(local_rank).is_ok_and(|rank| rank < seen),
            "the process of local rank {local_rank} has no GPU: libtorch sees {seen} (GPUs 0 to {}); \
             start one process per GPU, or set device: cpu",
            seen - 1
        );
        Ok(Device::Cuda(local_rank))
    };
    match wanted {
        configs::Device::Auto if gpu => ours(),
        configs::Device::Auto | configs::Device::Cpu => Ok(Device::Cpu),
        configs::Device::Cuda => {
            ensure!(
                gpu,
                "device: cuda, but libtorch sees no GPU: check `nvidia-smi` and that the driver \
                 supports CUDA 13, or set device: cpu"
            );
            ours()
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
