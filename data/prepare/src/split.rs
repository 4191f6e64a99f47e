//! Which split a product belongs to: a function of its identity alone, so that adding or removing
//! other products never moves it.

use configs::prepare::Splits;
use serde::{Deserialize, Serialize};

/// The part of a data set a product is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Seen by the optimiser.
    Train,
    /// Measured while training.
    Val,
    /// Measured once, at the end.
    Test,
}

impl Split {
    /// All splits, in the order they are listed everywhere.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// The split of the product (or group of near-duplicate products) called `key`.
    pub fn of(key: &str, shares: &Splits) -> Split {
        Split::of_hash(stable_hash(key), shares)
    }

    /// The split of what has this hash.
    pub(crate) fn of_hash(hash: u64, shares: &Splits) -> Split {
        // 53 bits, as an f64 has.
        let at =
            (hash >> 11) as f64 / (1_u64 << 53) as f64 * (shares.train + shares.val + shares.test);
        match at {
            at if at < shares.train => Split::Train,
            at if at < shares.train + shares.val => Split::Val,
            _ => Split::Test,
        }
    }

    /// The folder name of the split: `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }
}

/// FNV-1a over the bytes, then MurmurHash3's finaliser so that the low digits are well mixed.
/// Written here, not borrowed from `std`, because splits must never change with a toolchain.
pub(crate) fn stable_hash(key: &str) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_about_80_10_10() {
        let mut counts = [0usize; 3];
        for i in 0..20_000 {
            counts[Split::of(&format!("sku-{i}"), &Splits::default()) as usize] += 1;
        }
        assert!((15_800..16_200).contains(&counts[0]), "{counts:?}");
        assert!((1_850..2_150).contains(&counts[1]), "{counts:?}");
        assert!((1_850..2_150).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn the_hash_never_changes() {
        // Golden values: if they move, every data set already split would mix train with test.
        assert_eq!(stable_hash(""), 0xefd0_1f60_ba99_2926);
        let splits = |shares| ["a", "b", "c", "d"].map(|key| Split::of(key, &shares));
        let [train, val, test] = Split::ALL;
        let only = |train, val, test| Splits { train, val, test };
        assert_eq!(splits(only(1.0, 0.0, 0.0)), [train; 4]);
        assert_eq!(splits(only(0.0, 1.0, 0.0)), [val; 4]);
        assert_eq!(splits(only(0.0, 0.0, 1.0)), [test; 4]);
        assert_eq!(Split::ALL.map(Split::name), ["train", "val", "test"]);
    }
}
