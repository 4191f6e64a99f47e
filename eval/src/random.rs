//! Random draws that name what they are for: the same purpose, key and seed give the same numbers on
//! every machine, and no two purposes share a sequence. SplitMix64 (Steele, Lea, Flood 2014).

/// SplitMix64's increment: the golden ratio in 64 bits.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A keyed sequence of random numbers.
pub(crate) struct Random(u64);

impl Random {
    /// The sequence for `purpose`, for what is called `key` there.
    pub(crate) fn new(purpose: &str, key: &str, seed: u64) -> Self {
        // The zero byte, which no name has, keeps ("a", "b") from ("ab", "").
        let bytes = purpose.bytes().chain([0]).chain(key.bytes());
        Self(bytes.fold(mix(seed.wrapping_add(GAMMA)), |state, byte| {
            mix(state.wrapping_add(GAMMA) ^ u64::from(byte))
        }))
    }

    /// A number in `0..bound`, which must not be 0. Its bias is below `bound / 2^64`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(GAMMA);
        ((u128::from(mix(self.0)) * bound as u128) >> 64) as usize
    }
}

/// SplitMix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_their_names() {
        let draw = |purpose, key, seed| -> Vec<usize> {
            let mut random = Random::new(purpose, key, seed);
            (0..5).map(|_| random.below(1000)).collect()
        };
        assert_eq!(draw("a", "b", 1), draw("a", "b", 1));
        for (purpose, key, seed) in [("ab", "", 1), ("a", "c", 1), ("a", "b", 2)] {
            assert_ne!(draw("a", "b", 1), draw(purpose, key, seed));
        }
    }

    #[test]
    fn all_numbers_are_equally_likely() {
        let mut random = Random::new("test", "", 7);
        let mut counts = [0u32; 10];
        for _ in 0..100_000 {
            counts[random.below(10)] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 500), "{counts:?}");
    }
}
