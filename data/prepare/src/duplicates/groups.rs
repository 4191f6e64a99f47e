//! Groups of near-duplicate products: of all pairs whose hashes differ in few bits, without looking
//! at all pairs.
//!
//! Two hashes at most d bits apart agree wholly in one of d + 1 bands of their bits (d bits cannot
//! spoil d + 1 bands). So for each band the hashes are sorted by it, and only those with the same
//! band are compared; where they are many, because pictures share what the band describes, they are
//! split in the same way by the bits that are left. The work is nearly linear for d up to about 6: a
//! million hashes, random or in clusters, take 2 to 5 s at d = 4, 5 to 11 s at 6 and 20 to 33 s at 8
//! on one busy core (where only 40 of the 64 bits vary, 4 s at 4 and 110 s at 6). Beyond, bands of a
//! few bits separate little, and it grows with the square of the number of distinct hashes, unless
//! they form few groups.

use std::collections::HashMap;

/// Runs of hashes at most this long for each band are compared directly: sorting by all bands costs
/// about as much.
const FEW_PER_BAND: usize = 50;

/// The group of each product, named by the index of its first-listed member.
///
/// Two products are in one group if their hashes (`None` is near nothing) differ in at most
/// `max_distance` bits, or if they have the same key: the group that the catalogue gives, whatever
/// their pictures. **Chains join**: where a is near b and b near c, all three are one group, though
/// a and c may be further apart; the more so, the greater `max_distance`. A product with neither is
/// a group of its own.
///
/// # Panics
/// Where `hashes` and `keys` differ in length, or there are more than 2^32 products.
pub fn groups<Key: AsRef<str>>(
    hashes: &[Option<u64>],
    keys: &[Option<Key>],
    max_distance: u32,
) -> Vec<u32> {
    assert_eq!(hashes.len(), keys.len(), "a hash and a key, or none, for each product");
    let num_products = u32::try_from(hashes.len()).expect("at most 2^32 products");
    let mut sets = Sets::new(num_products);
    let mut first_of = HashMap::new();
    for (product, key) in (0..).zip(keys) {
        if let Some(key) = key {
            sets.join(*first_of.entry(key.as_ref()).or_insert(product), product);
        }
    }
    let mut items: Vec<Item> = (0..num_products)
        .zip(hashes)
        .filter_map(|(product, hash)| hash.map(|hash| Item { hash, product }))
        .collect();
    items.sort_unstable_by_key(|item| (item.hash, item.product));
    // Of equal hashes the first stands for all.
    items.dedup_by(|later, first| {
        let equal = later.hash == first.hash;
        if equal {
            sets.join(first.product, later.product);
        }
        equal
    });
    join_near(&mut items, max_distance, &mut sets);
    (0..num_products).map(|product| sets.first(product)).collect()
}

/// A hash, and the first product that has it.
#[derive(Clone, Copy)]
struct Item {
    hash: u64,
    product: u32,
}

/// Joins the products of `items` whose hashes are near each other. The hashes are distinct.
fn join_near(items: &mut [Item], max_distance: u32, sets: &mut Sets) {
    let Some(&Item { hash, product }) = items.first() else { return };
    // What all have in common separates nothing.
    let mut varied = items.iter().fold(0, |bits, item| bits | (item.hash ^ hash));
    let num_bands = max_distance.saturating_add(1);
    // Each band multiplies the work by the number of bands and divides it by that of its values.
    let values = 1_u128 << (varied.count_ones() / num_bands);
    let few = FEW_PER_BAND.saturating_mul(num_bands as usize);
    if items.len() <= few || values <= 2 * u128::from(num_bands) {
        return compare_all(items, max_distance, sets);
    }
    let first = sets.first(product);
    if items.iter().all(|item| sets.first(item.product) == first) {
        return;
    }
    for bands_left in (1..=num_bands).rev() {
        let band = lowest(varied, varied.count_ones() / bands_left);
        varied &= !band;
        items.sort_unstable_by_key(|item| item.hash & band);
        for run in items.chunk_by_mut(|a, b| (a.hash ^ b.hash) & band == 0) {
            if run.len() > 1 {
                join_near(run, max_distance, sets);
            }
        }
    }
}

/// The lowest `count` set bits of `bits`.
fn lowest(mut bits: u64, count: u32) -> u64 {
    let all = bits;
    for _ in 0..count {
        bits &= bits.wrapping_sub(1);
    }
    all & !bits
}

/// Joins what is near by comparing directly. What was reached from an earlier item is moved to the
/// front and not compared again, so that a run that is one group takes one pass.
fn compare_all(items: &mut [Item], max_distance: u32, sets: &mut Sets) {
    let mut num_reached = 0;
    for index in 0..items.len() {
        num_reached = num_reached.max(index + 1);
        let from = items[index];
        let mut other = num_reached;
        while other < items.len() {
            if (from.hash ^ items[other].hash).count_ones() <= max_distance {
                sets.join(from.product, items[other].product);
                items.swap(other, num_reached);
                num_reached += 1;
            }
            other += 1;
        }
    }
}

/// Disjoint sets of products (union-find), each named by its first member.
struct Sets {
    /// Of each product an earlier one of its set, or itself.
    earlier: Vec<u32>,
}

impl Sets {
    /// Each product alone.
    fn new(num_products: u32) -> Self {
        Self { earlier: (0..num_products).collect() }
    }

    /// The first member of a product's set.
    fn first(&mut self, mut product: u32) -> u32 {
        while self.earlier[product as usize] != product {
            let next = self.earlier[product as usize];
            // Halving the way each time keeps it short.
            self.earlier[product as usize] = self.earlier[next as usize];
            product = next;
        }
        product
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.first(a), self.first(b));
        self.earlier[a.max(b) as usize] = a.min(b);
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
