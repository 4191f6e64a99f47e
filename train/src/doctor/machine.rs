//! The machine and this build, without a configuration.

use super::{Findings, size};
use crate::memory::available_memory;
use std::thread::available_parallelism;

/// libtorch, GPUs and what goes between them, memory, pictures.
pub fn machine(all: &mut Findings) {
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(0);
    let cores = available_parallelism().map_or(threads, usize::from);
    all.ok("libtorch", format!("{}, {threads} threads", native::libtorch_version()));
    if threads > cores {
        let advice = "threads that wait for one another; set OMP_NUM_THREADS to at most";
        all.warn("libtorch", format!("{threads} threads on {cores} cores: {advice} {cores}"));
    }
    match (native::device_count(), driver()) {
        (0, Some(driver)) => all.warn(
            "gpu",
            format!(
                "libtorch sees none, but the machine has the driver `{driver}`: look at `nvidia-smi` \
                 and CUDA_VISIBLE_DEVICES; the driver must support CUDA 13"
            ),
        ),
        (0, None) => all.ok("gpu", "none, and no NVIDIA driver: runs are on the CPU"),
        (gpus, _) => all.ok("gpu", format!("libtorch sees {gpus}")),
    }
    all.ok("exchange", "NCCL between GPUs and Gloo between CPUs are in this build");
    if let Some(bytes) = all.expect("memory", available_memory()) {
        all.ok("memory", format!("{} available to new processes", size(bytes)));
    }
    let decoder = data::jpeg_decoder();
    if data::jpeg_is_exact() {
        all.ok("jpeg", decoder);
    } else {
        all.warn(
            "jpeg",
            format!(
                "{decoder}. It is slower, and pictures differ a little from Pillow's, in evaluation \
                 too: run `make libjpeg`, or install libjpeg-turbo 3"
            ),
        );
    }
}

/// The NVIDIA driver that the system runs, if there is one.
fn driver() -> Option<String> {
    let text = std::fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    let line = text.lines().next()?;
    Some(line.trim_start_matches("NVRM version:").split_whitespace().collect::<Vec<_>>().join(" "))
}
