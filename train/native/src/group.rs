//! Processes that exchange tensors: libtorch's c10d.

use crate::NativeError;
use crate::error::check;
use crate::ffi;
use std::ffi::CString;
use std::ptr::NonNull;
use std::time::Duration;
use tch::Tensor;

/// A key-value store that all processes of a run reach, served by one of them.
#[derive(Debug)]
pub struct Store(NonNull<ffi::Store>);

impl Store {
    /// Connects to the store at `host:port` within `timeout`; with `serve` this process serves it
    /// first. With `world` the call returns once so many processes have come. Keys live under
    /// `prefix`, so that several rounds can share one server.
    ///
    /// # Errors
    /// When the port is taken, or the server or the others do not come in time.
    pub fn connect(
        host: &str,
        port: u16,
        serve: bool,
        world: Option<usize>,
        timeout: Duration,
        prefix: &str,
    ) -> Result<Self, NativeError> {
        let (host, prefix) = (text(host), text(prefix));
        let mut out = std::ptr::null_mut();
        // SAFETY: NUL-terminated strings; on success `out` is a store that we own.
        let ok = unsafe {
            ffi::shim_store_connect(
                host.as_ptr(),
                port,
                serve,
                world.unwrap_or(0),
                millis(timeout),
                prefix.as_ptr(),
                &mut out,
            )
        };
        check(ok, "meet the other processes")?;
        Ok(Self(NonNull::new(out).expect("a store on success")))
    }

    /// Stores `value` under `key`.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn set(&self, key: &str, value: &str) -> Result<(), NativeError> {
        let (key, value) = (text(key), text(value));
        // SAFETY: a live store and NUL-terminated strings.
        let ok = unsafe { ffi::shim_store_set(self.0.as_ptr(), key.as_ptr(), value.as_ptr()) };
        check(ok, "tell the other processes a value")
    }

    /// The value under `key`, waited for up to the timeout.
    ///
    /// # Errors
    /// When it does not come in time, or the server is gone.
    pub fn get(&self, key: &str) -> Result<String, NativeError> {
        let key = text(key);
        let mut value = vec![0u8; 4096];
        // SAFETY: a live store, a NUL-terminated string, and a buffer of the length given.
        let ok = unsafe {
            ffi::shim_store_get(
                self.0.as_ptr(),
                key.as_ptr(),
                value.as_mut_ptr().cast(),
                value.len(),
            )
        };
        check(ok, "hear a value from the other processes")?;
        let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
        Ok(String::from_utf8_lossy(&value[..end]).into_owned())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: ours, freed once.
        unsafe { ffi::shim_store_free(self.0.as_ptr()) }
    }
}

/// The processes of a run. CPU tensors travel by Gloo; CUDA tensors by NCCL where it was asked for.
///
/// Every rank has to make the same calls in the same order. With CUDA tensors a call returns once
/// the exchange is queued on the current stream.
#[derive(Debug)]
pub struct ProcessGroup {
    group: NonNull<ffi::Group>,
    rank: usize,
    world: usize,
}

impl ProcessGroup {
    /// Joins as `rank` of `world`. `host` is an address of the network interface that Gloo uses;
    /// `None` lets Gloo look the host's name up. `timeout` bounds every exchange.
    ///
    /// # Errors
    /// When the others cannot be reached.
    pub fn join(
        store: &Store,
        rank: usize,
        world: usize,
        timeout: Duration,
        host: Option<&str>,
        nccl: bool,
    ) -> Result<Self, NativeError> {
        let host = host.map(text);
        let host = host.as_ref().map_or(std::ptr::null(), |host| host.as_ptr());
        let mut out = std::ptr::null_mut();
        // SAFETY: a live store, null or a NUL-terminated string; on success `out` is ours.
        let ok = unsafe {
            ffi::shim_group_new(
                store.0.as_ptr(),
                rank as i32,
                world as i32,
                millis(timeout),
                host,
                nccl,
                &mut out,
            )
        };
        check(ok, "join the process group")?;
        Ok(Self { group: NonNull::new(out).expect("a group on success"), rank, world })
    }

    /// This process, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of processes.
    pub fn world(&self) -> usize {
        self.world
    }

    /// Sums `sum` over all ranks, in place.
    ///
    /// # Errors
    /// When a rank is gone, late or holds another shape.
    pub fn all_reduce(&self, sum: &Tensor) -> Result<(), NativeError> {
        // SAFETY: a live group and tensor.
        let ok = unsafe { ffi::shim_group_all_reduce(self.group.as_ptr(), sum.as_ptr()) };
        check(ok, "sum a tensor over all ranks")
    }

    /// The elementwise minimum of `least` over all ranks, in place.
    ///
    /// # Errors
    /// As [`ProcessGroup::all_reduce`].
    pub fn all_reduce_min(&self, least: &Tensor) -> Result<(), NativeError> {
        // SAFETY: a live group and tensor.
        let ok = unsafe { ffi::shim_group_all_reduce_min(self.group.as_ptr(), least.as_ptr()) };
        check(ok, "take a minimum over all ranks")
    }

    /// The rows [B, ..] of all ranks, one below the other in the order of ranks: [B x world, ..].
    ///
    /// # Errors
    /// As [`ProcessGroup::all_reduce`].
    pub fn all_gather(&self, rows: &Tensor) -> Result<Tensor, NativeError> {
        let rows = rows.detach().contiguous();
        let mut shape = rows.size();
        if let Some(first) = shape.first_mut() {
            *first *= self.world as i64;
        }
        let all = Tensor::empty(&shape, (rows.kind(), rows.device()));
        // SAFETY: a live group and two tensors.
        let ok =
            unsafe { ffi::shim_group_all_gather(self.group.as_ptr(), rows.as_ptr(), all.as_ptr()) };
        check(ok, "gather rows from all ranks")?;
        Ok(all)
    }

    /// The tensors of all ranks, which are of one shape, on `root`; nothing elsewhere.
    ///
    /// # Errors
    /// As [`ProcessGroup::all_reduce`].
    pub fn gather(&self, tensor: &Tensor, root: usize) -> Result<Vec<Tensor>, NativeError> {
        let parts: Vec<Tensor> = if self.rank == root {
            (0..self.world).map(|_| tensor.empty_like()).collect()
        } else {
            Vec::new()
        };
        // SAFETY: a live group, a tensor, and an array of live tensors.
        let ok = unsafe {
            ffi::shim_group_gather(
                self.group.as_ptr(),
                tensor.as_ptr(),
                root as i32,
                ffi::pointers(&parts).as_ptr(),
                parts.len(),
            )
        };
        check(ok, "gather tensors on one rank")?;
        Ok(parts)
    }

    /// Overwrites `tensor` on every rank with that of `root`, waited for up to `timeout`.
    ///
    /// # Errors
    /// As [`ProcessGroup::all_reduce`].
    pub fn broadcast(
        &self,
        tensor: &Tensor,
        root: usize,
        timeout: Duration,
    ) -> Result<(), NativeError> {
        // SAFETY: a live group and tensor.
        let ok = unsafe {
            ffi::shim_group_broadcast(
                self.group.as_ptr(),
                tensor.as_ptr(),
                root as i32,
                millis(timeout),
            )
        };
        check(ok, "hand a tensor from one rank to the others")
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // SAFETY: ours, freed once.
        unsafe { ffi::shim_group_free(self.group.as_ptr()) }
    }
}

/// Sums gradients over all ranks while the backward pass goes on: the Reducer of PyTorch's
/// DistributedDataParallel (arXiv 2006.15704), with sums in place of its means.
#[derive(Debug)]
pub struct Reducer(NonNull<ffi::Reducer>);

impl Reducer {
    /// Over leaf tensors in the order of the forward pass, which must be the same on every rank;
    /// `bf16` sums in bfloat16. The gradients become views of the reducer's buckets.
    ///
    /// # Errors
    /// When a parameter does not require a gradient, or the ranks' parameters differ.
    pub fn new(group: &ProcessGroup, params: &[Tensor], bf16: bool) -> Result<Self, NativeError> {
        let mut out = std::ptr::null_mut();
        // SAFETY: a live group and an array of live tensors; on success `out` is ours.
        let ok = unsafe {
            ffi::shim_reducer_new(
                group.group.as_ptr(),
                ffi::pointers(params).as_ptr(),
                params.len(),
                bf16,
                &mut out,
            )
        };
        check(ok, "set up the exchange of gradients")?;
        Ok(Self(NonNull::new(out).expect("a reducer on success")))
    }

    /// The backward pass that follows sums every gradient over all ranks, what accumulated before
    /// included. It has to reach every parameter. Passes without this call stay local.
    ///
    /// # Errors
    /// When the last backward pass did not reach every parameter.
    pub fn prepare(&mut self) -> Result<(), NativeError> {
        // SAFETY: a live reducer.
        let ok = unsafe { ffi::shim_reducer_prepare(self.0.as_ptr()) };
        check(ok, "prepare the exchange of gradients")
    }

    /// Puts the buckets into the order in which the first backward pass gave gradients.
    ///
    /// # Errors
    /// When there was no complete backward pass.
    pub fn settle(&mut self) -> Result<(), NativeError> {
        // SAFETY: a live reducer.
        let ok = unsafe { ffi::shim_reducer_settle(self.0.as_ptr()) };
        check(ok, "order the exchange of gradients")
    }
}

impl Drop for Reducer {
    fn drop(&mut self) {
        // SAFETY: ours, freed once.
        unsafe { ffi::shim_reducer_free(self.0.as_ptr()) }
    }
}

fn text(of: &str) -> CString {
    CString::new(of.replace('\0', "")).expect("no NUL is left")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
