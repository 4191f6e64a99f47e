//! Real processes over loopback: this test starts itself once per rank.

#![allow(clippy::unwrap_used)]

use native::{ProcessGroup, Reducer, Store, backward, clear_grads};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;
use tch::{Device, Kind, Tensor};

const RANK: &str = "GROUP_TEST_RANK";
const PORT: &str = "GROUP_TEST_PORT";
const WORLD: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn ranks_exchange_tensors_and_gradients() {
    if let Ok(rank) = std::env::var(RANK) {
        return as_rank(rank.parse().unwrap(), std::env::var(PORT).unwrap().parse().unwrap());
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let children: Vec<_> = (0..WORLD)
        .map(|rank| {
            Command::new(std::env::current_exe().unwrap())
                .args(["ranks_exchange_tensors_and_gradients", "--exact", "--nocapture"])
                .env(RANK, rank.to_string())
                .env(PORT, port.to_string())
                .env("OMP_NUM_THREADS", "1")
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

fn as_rank(rank: usize, port: u16) {
    let store =
        Store::connect("127.0.0.1", port, rank == 0, Some(WORLD), TIMEOUT, "round-0").unwrap();
    if rank == 1 {
        store.set("word", "hello").unwrap();
    }
    assert_eq!(store.get("word").unwrap(), "hello");
    let group = ProcessGroup::join(&store, rank, WORLD, TIMEOUT, Some("127.0.0.1"), false).unwrap();
    assert_eq!((group.rank(), group.world()), (rank, WORLD));
    let mine = rank as f64;

    let sum = Tensor::from_slice(&[mine, 1.0]);
    group.all_reduce(&sum).unwrap();
    assert_eq!(Vec::<f64>::try_from(&sum).unwrap(), [3.0, 3.0]);
    let least = Tensor::from_slice(&[5 - rank as i64]);
    group.all_reduce_min(&least).unwrap();
    assert_eq!(Vec::<i64>::try_from(&least).unwrap(), [3]);

    let keys = Tensor::from_slice(&[rank as i64, -1]).view([1, 2]);
    let all = group.all_gather(&keys).unwrap();
    assert_eq!(all.size(), [3, 2]);
    assert_eq!(Vec::<i64>::try_from(&all.flatten(0, -1)).unwrap(), [0, -1, 1, -1, 2, -1]);

    let parts = group.gather(&Tensor::from_slice(&[mine]), 1).unwrap();
    let parts: Vec<f64> = parts.iter().map(|part| part.double_value(&[0])).collect();
    assert_eq!(parts, if rank == 1 { vec![0.0, 1.0, 2.0] } else { vec![] });

    let word = Tensor::from_slice(&[mine]);
    group.broadcast(&word, 2, TIMEOUT).unwrap();
    assert_eq!(Vec::<f64>::try_from(&word).unwrap(), [2.0]);

    for bf16 in [false, true] {
        gradients_are_sums(&group, mine, bf16);
    }
}

/// y = (x a) b with integers, which bfloat16 represents: dL/da and dL/db are sums over the ranks.
fn gradients_are_sums(group: &ProcessGroup, mine: f64, bf16: bool) {
    let leaf = |value: f64| {
        Tensor::full([2, 2], value, (Kind::Float, Device::Cpu)).set_requires_grad(true)
    };
    let (a, b) = (leaf(1.0), leaf(2.0));
    let mut params = [a.shallow_clone(), b.shallow_clone()];
    let mut reducer = Reducer::new(group, &params, bf16).unwrap();
    let pass = || {
        let x = Tensor::full([1, 2], mine + 1.0, (Kind::Float, Device::Cpu));
        let y = x.matmul(&a).matmul(&b);
        backward(&[y.shallow_clone()], &[y.ones_like()]).unwrap();
    };
    reducer.prepare().unwrap();
    pass();
    reducer.settle().unwrap();
    for passes in [1.0, 2.0, 3.0] {
        clear_grads(&mut params);
        for _ in 1..passes as usize {
            pass(); // local only
        }
        reducer.prepare().unwrap();
        pass();
        // Over the ranks x sums to 1 + 2 + 3 = 6; dL/da = x' (1 b') = 4 x, dL/db = (x a)' 1 = 2 x.
        for (param, expected) in [(&a, 24.0 * passes), (&b, 12.0 * passes)] {
            let grad = Vec::<f32>::try_from(&param.grad().flatten(0, -1)).unwrap();
            assert!(grad.iter().all(|&g| f64::from(g) == expected), "{grad:?} {expected} {bf16}");
        }
    }
}

#[test]
fn a_rank_that_does_not_come_is_an_error_in_time() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let wait = Duration::from_secs(2);
    let started = std::time::Instant::now();
    let error = Store::connect("127.0.0.1", port, true, Some(2), wait, "").unwrap_err().to_string();
    assert!(error.starts_with("libtorch could not meet the other processes: "), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
}
