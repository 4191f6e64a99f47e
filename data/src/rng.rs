//! The one source of randomness: a fixed 64-bit mix, keyed by what a draw is for.
//!
//! Nothing here may ever change: the order of every past run follows from it. It is
//! SplitMix64 (Steele, Lea, Flood 2014) in counter form, started from a key that is mixed from
//! the numbers naming the draw. No crate is involved, so no update can alter results.

/// SplitMix64's increment: the golden ratio in 64 bits.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a sequence of draws is for. Different purposes never share a sequence.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// The permutation of an epoch's row groups.
    Groups = 1,
    /// Where an epoch's row sequence starts.
    Rotation = 2,
    /// Where a stream's first window ends.
    Stagger = 3,
    /// The permutation within a window.
    Window = 4,
    /// Crop and flip of a sample, and which text of a caption column it has.
    Sample = 5,
    /// The patches of a picture that the image tower sees.
    Patches = 6,
    /// Which alternative a sample's caption is made of, with what, and what is left out of it.
    Caption = 7,
    /// Where a stream begins in the pattern of a mixture.
    Mixture = 8,
}

/// A keyed sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

/// SplitMix64's finaliser: a bijection of 64 bits in which every input bit moves every output bit.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// The sequence that `purpose` and `key` name.
    pub fn new(purpose: Purpose, key: &[u64]) -> Self {
        let start = mix((purpose as u64).wrapping_mul(GAMMA));
        let state = key.iter().fold(start, |state, &part| {
            mix(state.wrapping_add(GAMMA) ^ mix(part.wrapping_add(GAMMA)))
        });
        Self { state }
    }

    /// 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in `0..bound` without bias (Lemire's rejection). `bound` 0 gives 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let reject_under = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.bits()) * u128::from(bound);
            // The low half decides on rejection, the high half is the draw.
            if (wide & u128::from(u64::MAX)) as u64 >= reject_under {
                return (wide >> 64) as u64;
            }
        }
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A uniform permutation of `0..len` (Fisher-Yates).
    pub fn permutation(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for i in (1..len).rev() {
            let j = self.below(i as u64 + 1) as usize;
            order.swap(i, j);
        }
        order
    }
}

/// A stable 64-bit hash of a text: FNV-1a, finished by SplitMix64's mix.
pub(crate) fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

/// A stable 64-bit hash of numbers.
pub(crate) fn fingerprint(parts: impl IntoIterator<Item = u64>) -> u64 {
    parts.into_iter().fold(0, |state, part| mix(state.wrapping_add(GAMMA) ^ mix(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_ones_of_every_past_run() {
        // SplitMix64 from state 0 gives these in every published implementation.
        let mut rng = Rng { state: 0 };
        assert_eq!(rng.bits(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(rng.bits(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(rng.bits(), 0x06c4_5d18_8009_454f);
    }

    #[test]
    fn keys_and_purposes_are_separate() {
        let first = |purpose, key: &[u64]| Rng::new(purpose, key).bits();
        let a = first(Purpose::Groups, &[1, 2]);
        assert_ne!(a, first(Purpose::Groups, &[2, 1]));
        assert_ne!(a, first(Purpose::Window, &[1, 2]));
        assert_ne!(a, first(Purpose::Groups, &[1, 2, 0]));
        assert_eq!(a, first(Purpose::Groups, &[1, 2]));
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut rng = Rng::new(Purpose::Sample, &[7]);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[rng.below(6) as usize] += 1;
        }
        // 10,000 expected; six standard deviations are 548.
        assert!(counts.iter().all(|c| (9_452..10_548).contains(c)), "{counts:?}");
        assert_eq!(rng.below(1), 0);
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn permutation_holds_every_index_once() {
        let mut order = Rng::new(Purpose::Window, &[3]).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
