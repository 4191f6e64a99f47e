#![doc = include_str!("../README.md")]
#![allow(unsafe_code)] // system calls

mod disk;
mod stop;
mod system;

pub use disk::free_disk;
pub use stop::{SAME_REQUEST, StopSignal};
pub use system::{cpu_time, die_with_parent, exit_now, keep_freed_memory, kill, kill_group};
