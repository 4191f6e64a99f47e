//! Random draws that are the same on every machine and for every number of threads: SplitMix64
//! (Steele, Lea, Flood 2014), a stream of its own for each piece of work.

/// A stream of random bits.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream of piece `index` of the work that `seed` drives.
    pub(crate) fn keyed(seed: u64, index: u64) -> Self {
        let start = Self::new(seed).bits().wrapping_add(index);
        Self(Self::new(start).bits())
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; its bias is below `bound` / 2^64.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A number in `[0, 1)`.
    #[cfg(test)]
    pub(crate) fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_first_output() {
        assert_eq!(Random::new(0).bits(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn streams_of_neighbouring_keys_differ() {
        let first = |seed, index| Random::keyed(seed, index).bits();
        let mut seen: Vec<u64> =
            (0..50).flat_map(|seed| (0..50).map(move |index| first(seed, index))).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2500);
    }
}
