//! The catalogue: which products exist.
//!
//! Shops do not sell random combinations: a product line fixes type, pattern and material, and is
//! sold in a few colours and sizes, some lines far better than others. So the catalogue is full
//! of near-duplicates that differ in one attribute. A product depends on the seed and its own
//! number only, so a longer catalogue begins with the shorter one.

use super::lexicon::{COLOURS, Colour, KINDS, Kind, Material, Pattern, Size};
use super::rng::Rng;

const NUM_LINES: usize = 120;
const TAG_LINE: u64 = 1;
const TAG_PRODUCT: u64 = 2;

/// One product of the catalogue.
pub(super) struct Product {
    pub(super) id: String,
    pub(super) kind: &'static Kind,
    pub(super) colour: &'static Colour,
    /// The pattern's second colour; also the colour of trims. Never equal to `colour`.
    pub(super) second: &'static Colour,
    pub(super) pattern: Pattern,
    pub(super) material: Material,
    pub(super) size: Size,
    /// Proportions in 0..=1, which the drawing functions interpret.
    pub(super) knobs: [f32; 3],
}

struct Line {
    kind: &'static Kind,
    pattern: Pattern,
    material: Material,
    /// (first, second) colours this line is sold in.
    ways: Vec<(usize, usize)>,
    knobs: [f32; 3],
}

/// The product lines of one seed.
pub(super) struct Catalogue {
    seed: u64,
    lines: Vec<Line>,
    popularity: Vec<u32>,
}

impl Catalogue {
    pub(super) fn new(seed: u64) -> Catalogue {
        let lines = (0..NUM_LINES).map(|index| Line::draw(seed, index)).collect();
        // A flattened Zipf law: the first line sells about eleven times as well as the last.
        let popularity = (0..NUM_LINES).map(|rank| 100_000 / (rank as u32 + 12)).collect();
        Catalogue { seed, lines, popularity }
    }

    /// The product with this number.
    pub(super) fn product(&self, number: u64) -> Product {
        let mut rng = Rng::keyed(self.seed, TAG_PRODUCT, number);
        let line = &self.lines[rng.weighted(&self.popularity)];
        let (first, second) = rng.pick(&line.ways);
        let size = Size::ALL[rng.weighted(&[3, 4, 3])];
        let knobs = line.knobs.map(|knob| (knob + rng.range(-0.15, 0.15)).clamp(0.0, 1.0));
        Product {
            id: format!("vlclip-{number:06}"),
            kind: line.kind,
            colour: &COLOURS[first],
            second: &COLOURS[second],
            pattern: line.pattern,
            material: line.material,
            size,
            knobs,
        }
    }
}

impl Line {
    fn draw(seed: u64, index: usize) -> Line {
        let mut rng = Rng::keyed(seed, TAG_LINE, index as u64);
        // Dealt in turn with a stride coprime to 36, so that every type has its share of lines.
        let kind = &KINDS[index * 7 % KINDS.len()];
        let pattern = Pattern::ALL[rng.weighted(&[5, 3, 3, 3, 3, 3, 3, 2])];
        let material = kind.range.materials()[rng.weighted(&[4, 3, 3, 2])];
        let knobs = [rng.unit(), rng.unit(), rng.unit()];
        let ways = (0..6).map(|_| two_colours(&mut rng)).collect();
        Line { kind, pattern, material, ways, knobs }
    }
}

/// Two colours a viewer can tell apart.
fn two_colours(rng: &mut Rng) -> (usize, usize) {
    loop {
        let (first, second) = (rng.below(COLOURS.len()), rng.below(COLOURS.len()));
        let (a, b) = (COLOURS[first].rgb, COLOURS[second].rgb);
        let apart: f32 = (0..3).map(|c| (a[c] - b[c]).abs()).sum();
        if apart > 200.0 {
            return (first, second);
        }
    }
}

impl Product {
    /// Names and values for the `attributes` column.
    pub(super) fn attributes(&self) -> Vec<(String, String)> {
        let mut pairs = vec![
            ("color", self.colour.name),
            ("pattern", self.pattern.name()),
            ("material", self.material.name()),
            ("size", self.size.name()),
        ];
        if self.pattern != Pattern::Solid {
            pairs.insert(1, ("secondary_color", self.second.name));
        }
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn products_do_not_depend_on_how_many_there_are() {
        let (a, b) = (Catalogue::new(3), Catalogue::new(3));
        b.product(5);
        assert_eq!(a.product(41).attributes(), b.product(41).attributes());
    }

    #[test]
    fn catalogue_is_full_of_near_duplicates_but_not_of_duplicates() {
        let catalogue = Catalogue::new(0);
        let mut same = BTreeMap::<String, u32>::new();
        let mut same_line = BTreeMap::<String, u32>::new();
        for number in 0..600 {
            let p = catalogue.product(number);
            let line = format!("{} {:?} {:?}", p.kind.name, p.pattern, p.material);
            *same.entry(format!("{line} {:?}", p.attributes())).or_default() += 1;
            *same_line.entry(line).or_default() += 1;
        }
        assert!(same.len() > 400, "{} distinct of 600", same.len());
        assert!(same_line.len() < 200, "{} lines of 600", same_line.len());
    }
}
