//! Patch dropout (FLIP, arXiv 2212.00794): which patches of each picture the image tower sees.

use data::{Purpose, Rng};
use tch::{Device, Tensor};

/// K: how many of `num_patches` are kept, at least one. Rounded down, as in open_clip.
pub fn num_kept(num_patches: usize, dropout: f64) -> usize {
    ((num_patches as f64 * (1.0 - dropout)) as usize).clamp(1, num_patches.max(1))
}

/// The patches to keep, i64 [B, K], rising in each row; `None` where none are dropped. A row follows
/// from seed, epoch and the sample's number alone: not from its place in a batch, the number of
/// processes, or how often the towers run over it.
pub fn draw(
    seed: u64,
    epoch: u64,
    numbers: &[u64],
    num_patches: usize,
    dropout: f64,
    device: Device,
) -> Option<Tensor> {
    let kept = num_kept(num_patches, dropout);
    if kept == num_patches {
        return None;
    }
    let mut all = Vec::with_capacity(numbers.len() * kept);
    for &number in numbers {
        let mut rng = Rng::new(Purpose::Patches, &[seed, epoch, number]);
        let mut row = rng.permutation(num_patches);
        row.truncate(kept);
        row.sort_unstable();
        all.extend(row.into_iter().map(|patch| patch as i64));
    }
    Some(Tensor::from_slice(&all).view([-1, kept as i64]).to_device(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(numbers: &[u64], epoch: u64) -> Vec<Vec<i64>> {
        Vec::try_from(draw(7, epoch, numbers, 49, 0.5, Device::Cpu).unwrap()).unwrap()
    }

    #[test]
    fn as_many_are_kept_as_in_open_clip() {
        // max(1, int(num_tokens * (1 - prob)))
        let expected = [(49, 0.5, 24), (196, 0.5, 98), (196, 0.75, 49), (16, 0.99, 1), (4, 0.0, 4)];
        for (patches, dropout, kept) in expected {
            assert_eq!(num_kept(patches, dropout), kept);
        }
        assert!(draw(7, 0, &[1, 2], 49, 0.0, Device::Cpu).is_none());
    }

    #[test]
    fn a_row_follows_from_its_own_number() {
        let all = rows(&[0, 1, 2, 3, 4, 5], 1);
        assert_eq!(rows(&[4, 2], 1), [all[4].clone(), all[2].clone()]);
        assert_ne!(rows(&[4], 2)[0], all[4]);
        for row in &all {
            assert!(row.len() == 24 && row.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(row.iter().all(|patch| (0..49).contains(patch)));
        }
    }

    #[test]
    fn every_patch_is_kept_equally_often() {
        let numbers: Vec<u64> = (0..4000).collect();
        let mut counts = [0u32; 49];
        rows(&numbers, 0).iter().flatten().for_each(|&patch| counts[patch as usize] += 1);
        // 1,959 expected; six standard deviations are 190.
        assert!(counts.iter().all(|count| (1_769..2_149).contains(count)), "{counts:?}");
    }
}
