//! A group of one process: every exchange that a run of several makes, checked and timed. On a GPU
//! it goes through NCCL, so it shows on a machine with one GPU that NCCL loads, starts and computes.
//! A group of one moves no byte between GPUs: the times are those of calls and copies.

use crate::{MIB, median, synchronize};
use anyhow::{Result, ensure};
use native::{ProcessGroup, Reducer, Store, backward, clear_grads};
use serde_json::json;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

const TIMEOUT: Duration = Duration::from_secs(60);
/// Values of the tensors exchanged: 64 MiB in f32.
const NUM_VALUES: i64 = 16 << 20;
/// Parameters of the backward pass whose gradients are reduced, each of [WIDTH, WIDTH].
const NUM_PARAMS: usize = 8;
const WIDTH: i64 = 1024;

/// Joins a group of one and goes through its exchanges, `repeat` times each.
pub fn check(device: Device, repeat: usize) -> Result<()> {
    let nccl = device.is_cuda();
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let start = Instant::now();
    let store = Store::connect("127.0.0.1", port, true, Some(1), TIMEOUT, "bench")?;
    let group = ProcessGroup::join(&store, 0, 1, TIMEOUT, Some("127.0.0.1"), nccl)?;
    // NCCL starts with the first exchange.
    group.all_reduce(&Tensor::ones([1], (Kind::Float, device)))?;
    synchronize(device);
    let backend = if nccl { "nccl" } else { "gloo" };
    println!(
        "{}",
        json!({"exchange": "start", "backend": backend, "seconds": start.elapsed().as_secs_f64()})
    );

    let time = |name: &str, bytes: f64, body: &dyn Fn() -> Result<()>| -> Result<()> {
        let mut seconds = Vec::new();
        for _ in 0..repeat {
            synchronize(device);
            let start = Instant::now();
            body()?;
            synchronize(device);
            seconds.push(start.elapsed().as_secs_f64());
        }
        let line = json!({"exchange": name, "backend": backend, "mib": bytes / MIB,
                          "seconds": median(&mut seconds)});
        println!("{line}");
        Ok(())
    };
    for kind in [Kind::Float, Kind::BFloat16] {
        let values = Tensor::arange(NUM_VALUES, (Kind::Float, device)).sin().to_kind(kind);
        let bytes = (values.numel() * kind.elt_size_in_bytes()) as f64;
        let same = |found: &Tensor, what: &str| -> Result<()> {
            ensure!(
                found.equal(&values),
                "{what} of {kind:?} in a group of one changed its values: the {backend} of this \
                 machine does not work"
            );
            Ok(())
        };
        let sum = values.copy();
        time(&format!("all_reduce {kind:?}"), bytes, &|| Ok(group.all_reduce(&sum)?))?;
        same(&sum, "all_reduce")?;
        time(&format!("all_gather {kind:?}"), bytes, &|| {
            Ok(group.all_gather(&values).map(|_| ())?)
        })?;
        same(&group.all_gather(&values)?, "all_gather")?;
        let word = values.copy();
        time(&format!("broadcast {kind:?}"), bytes, &|| Ok(group.broadcast(&word, 0, TIMEOUT)?))?;
        same(&word, "broadcast")?;
    }
    for bf16 in [false, true] {
        reduce_gradients(&group, device, bf16, repeat)?;
    }
    // A run agrees on its steps by host tensors, also where NCCL carries the others.
    let host = Tensor::from_slice(&[5i64]);
    group.all_reduce(&host)?;
    group.all_reduce_min(&host)?;
    let all = group.gather(&host, 0)?;
    ensure!(
        all.len() == 1 && all[0].int64_value(&[0]) == 5,
        "exchanges of host tensors in a group of one changed their values"
    );
    println!("{}", json!({"exchange": "done", "backend": backend}));
    Ok(())
}

/// A backward pass with the gradients summed on the way, against one without.
fn reduce_gradients(group: &ProcessGroup, device: Device, bf16: bool, repeat: usize) -> Result<()> {
    let leaf = || {
        // Of a length that keeps activations near 1 through the layers.
        let values = Tensor::randn([WIDTH, WIDTH], (Kind::Float, device));
        (values / (WIDTH as f64).sqrt()).set_requires_grad(true)
    };
    let mut params: Vec<Tensor> = (0..NUM_PARAMS).map(|_| leaf()).collect();
    let input = Tensor::randn([256, WIDTH], (Kind::Float, device));
    let pass = |params: &[Tensor]| -> Result<()> {
        let output = params.iter().fold(input.shallow_clone(), |x, weight| x.matmul(weight));
        let ones = output.ones_like();
        Ok(backward(&[output], &[ones])?)
    };
    pass(&params)?;
    let alone: Vec<Tensor> = params.iter().map(|p| p.grad().copy()).collect();
    clear_grads(&mut params);

    let mut reducer = Reducer::new(group, &params, bf16)?;
    reducer.prepare()?;
    pass(&params)?;
    reducer.settle()?;
    let mut seconds = Vec::new();
    for _ in 0..repeat.max(1) {
        clear_grads(&mut params);
        synchronize(device);
        let start = Instant::now();
        reducer.prepare()?;
        pass(&params)?;
        synchronize(device);
        seconds.push(start.elapsed().as_secs_f64());
    }
    // A sum in bfloat16 rounds to 8 bits; in f32 one term is its own sum, but for the kernel that
    // the address of a gradient may choose.
    let tolerance = if bf16 { 1.0 / 256.0 } else { 1e-5 };
    let mut worst = 0f64;
    for (param, alone) in params.iter().zip(&alone) {
        let largest = f64::try_from(alone.abs().max())?;
        let difference = f64::try_from((param.grad() - alone).abs().max())? / largest;
        ensure!(
            difference <= tolerance, // false for NaN too
            "a gradient reduced in a group of one differs from the local one by {difference:e} of \
             the largest: expected at most {tolerance:e}"
        );
        worst = worst.max(difference);
    }
    let bytes = (NUM_PARAMS as i64 * WIDTH * WIDTH * if bf16 { 2 } else { 4 }) as f64;
    println!(
        "{}",
        json!({"exchange": if bf16 { "reducer BFloat16" } else { "reducer Float" },
               "mib": bytes / MIB, "seconds": median(&mut seconds), "difference": worst})
    );
    Ok(())
}
