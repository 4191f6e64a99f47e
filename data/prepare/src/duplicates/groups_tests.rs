//! Against comparing all pairs, on hashes that cluster.

use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Every pair compared, until nothing changes.
fn all_pairs(hashes: &[Option<u64>], keys: &[Option<&str>], max_distance: u32) -> Vec<u32> {
    let mut first: Vec<u32> = (0..).take(hashes.len()).collect();
    loop {
        let before = first.clone();
        for a in 0..hashes.len() {
            for b in 0..hashes.len() {
                let near = matches!((hashes[a], hashes[b]), (Some(a), Some(b))
                    if (a ^ b).count_ones() <= max_distance);
                if near || (keys[a].is_some() && keys[a] == keys[b]) {
                    first[a] = first[a].min(first[b]);
                }
            }
        }
        if first == before {
            return first;
        }
    }
}

/// A stream of numbers from a seed: splitmix64.
fn numbers(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// `count` hashes around `centres` random ones, each with up to `most` bits of `varied` changed.
fn clustered(count: usize, centres: u64, most: u64, varied: u64, seed: u64) -> Vec<Option<u64>> {
    let mut next = numbers(seed);
    let centre = |index: u64| numbers(seed ^ index.rotate_left(32))() & varied;
    let bits: Vec<u32> = (0..64).filter(|bit| varied >> bit & 1 == 1).collect();
    let hash = |_| {
        let mut hash = centre(next() % centres);
        for _ in 0..next() % (most + 1) {
            hash ^= 1 << bits[(next() % bits.len() as u64) as usize];
        }
        Some(hash)
    };
    (0..count).map(hash).collect()
}

const NO_KEYS: &[Option<&str>] = &[None; 10];

#[test]
fn near_hashes_and_equal_keys_join_and_chains_do() {
    let hashes = [0b1111_0000, 0b1111_0011, 0b1111_1111, 1 << 63, 0b1111_0001].map(Some);
    assert_eq!(groups(&hashes, &NO_KEYS[..5], 0), [0, 1, 2, 3, 4]);
    assert_eq!(groups(&hashes, &NO_KEYS[..5], 1), [0, 0, 2, 3, 0]);
    // The first and the third differ in four bits: the second is between.
    assert_eq!(groups(&hashes, &NO_KEYS[..5], 2), [0, 0, 0, 3, 0]);
    assert_eq!(groups(&hashes, &NO_KEYS[..5], 64), [0; 5]);
    assert_eq!(groups(&hashes, &NO_KEYS[..5], u32::MAX), [0; 5]);
    let keys = [None, Some("b"), None, Some("a"), Some("a")];
    assert_eq!(groups(&hashes, &keys, 0), [0, 1, 2, 3, 3]);
    assert_eq!(groups(&hashes, &keys, 1), [0, 0, 2, 0, 0]);
    assert!(groups::<&str>(&[], &[], 4).is_empty());
}

#[test]
fn without_a_hash_only_the_key_counts() {
    let hashes = [None, Some(7), None, Some(7), None];
    assert_eq!(groups(&hashes, &NO_KEYS[..5], 31), [0, 1, 2, 1, 4]);
    let keys = [Some("x"), None, Some("x"), Some("x"), None];
    assert_eq!(groups(&hashes, &keys, 0), [0, 0, 0, 0, 4]);
}

#[test]
fn the_lowest_bits_are_taken() {
    assert_eq!(lowest(0b1011_0100, 0), 0);
    assert_eq!(lowest(0b1011_0100, 2), 0b0001_0100);
    assert_eq!(lowest(0b1011_0100, 9), 0b1011_0100);
    assert_eq!(lowest(u64::MAX, 64), u64::MAX);
}

#[test]
fn splitting_again_and_again_loses_no_pair() {
    let no_keys = vec![None::<&str>; 20_000];
    for (seed, varied, max_distance) in
        [(1, u64::MAX, 1), (2, 0xffff_ffff, 0), (3, 0x00ff_00ff_0000_00ff, 2), (4, 0xffff_ffff, 4)]
    {
        let hashes = clustered(20_000, 9_000, 5, varied, seed);
        let mut items: Vec<Item> = (0..)
            .zip(&hashes)
            .map(|(product, hash)| Item { hash: hash.unwrap(), product })
            .collect();
        let mut sets = Sets::new(20_000);
        compare_all(&mut items, max_distance, &mut sets);
        let expected: Vec<u32> = (0..20_000).map(|product| sets.first(product)).collect();
        assert!(groups(&hashes, &no_keys, max_distance) == expected, "{varied:x} {max_distance}");
    }
}

#[test]
fn equal_hashes_and_one_great_cluster_take_one_pass() {
    let start = Instant::now();
    let equal = vec![Some(0x1234_5678_9abc_def0); 100_000];
    assert!(groups(&equal, &vec![None::<&str>; 100_000], 4).iter().all(|&group| group == 0));
    // Distinct, and each within 31 bits of most others.
    let many = clustered(100_000, u64::MAX, 0, u64::MAX, 1);
    assert!(groups(&many, &vec![None::<&str>; 100_000], 31).iter().all(|&group| group == 0));
    // Only the lowest 17 bits vary: 100,000 that agree in most bands.
    let skewed = clustered(100_000, u64::MAX, 0, (1 << 17) - 1, 2);
    assert!(groups(&skewed, &vec![None::<&str>; 100_000], 4).iter().all(|&group| group == 0));
    // All pairs would be 5 thousand million, thrice.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Enough hashes that runs are split again, with few varied bits and many.
    #[test]
    fn groups_are_those_of_all_pairs(
        seed: u64,
        count in 0_usize..1000,
        centres in 1_u64..300,
        most in 0_u64..8,
        varied in prop_oneof![
            Just(u64::MAX), Just(0xffff_ffff), Just(0x00ff_00ff_0000_000f), Just(0xfff)
        ],
        max_distance in prop_oneof![0_u32..9, 0_u32..32],
        key_every in 1_u64..60,
    ) {
        let mut next = numbers(!seed);
        let mut hashes = clustered(count, centres, most, varied, seed);
        hashes.iter_mut().filter(|_| next().is_multiple_of(20)).for_each(|hash| *hash = None);
        let names: Vec<String> = (0..40).map(|index| format!("g{index}")).collect();
        let keys: Vec<Option<&str>> = (0..count)
            .map(|_| {
                let name = &names[(next() % 40) as usize];
                next().is_multiple_of(key_every * 10).then_some(name.as_str())
            })
            .collect();
        prop_assert_eq!(
            groups(&hashes, &keys, max_distance),
            all_pairs(&hashes, &keys, max_distance)
        );
    }
}

/// `cargo test --release -p prepare a_million -- --ignored --nocapture` prints the times.
#[test]
#[ignore = "measures: it takes minutes"]
fn a_million_hashes() {
    let no_keys = vec![None::<&str>; 1_000_000];
    for (name, hashes) in [
        ("random", clustered(1_000_000, u64::MAX, 0, u64::MAX, 3)),
        ("300,000 clusters", clustered(1_000_000, 300_000, 6, u64::MAX, 4)),
        ("1,000 clusters", clustered(1_000_000, 1000, 12, u64::MAX, 5)),
        ("40 bits vary", clustered(1_000_000, u64::MAX, 0, 0x00ff_ffff_ffff << 10, 6)),
    ] {
        for max_distance in [0, 4, 6] {
            let start = Instant::now();
            let found = groups(&hashes, &no_keys, max_distance);
            let elapsed = start.elapsed();
            let num_groups = (0..).zip(&found).filter(|&(index, &group)| index == group).count();
            println!("{name}, distance {max_distance}: {num_groups} groups in {elapsed:?}");
        }
    }
}
