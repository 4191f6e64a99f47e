//! What customers would look for in the catalogue, and which products answer it: a few words of
//! their own, judged by the attributes they name.

use std::fmt::Write as _;
use std::path::Path;

use super::lexicon::{Colour, Material, Pattern};
use super::product::{Catalogue, Product};
use super::rng::Rng;
use super::{QRELS, QUERIES};
use crate::PrepareError;

const TAG_QUERY: u64 = 9;
/// One query for so many products.
const PRODUCTS_PER_QUERY: u64 = 20;
const MAX_QUERIES: u64 = 1000;

/// A query: a product type, and what else is asked of it.
struct Query {
    text: String,
    kind: &'static str,
    colour: Option<&'static str>,
    pattern: Option<Pattern>,
    material: Option<Material>,
}

impl Query {
    /// What somebody might look for who has `product` in mind.
    fn draw(product: &Product, rng: &mut Rng) -> Self {
        let colour = rng.chance(0.85).then_some(product.colour);
        let patterned = product.pattern != Pattern::Solid;
        let pattern = (patterned && rng.chance(0.6)).then_some(product.pattern);
        // Something more than the type is always asked for.
        let bare = colour.is_none() && pattern.is_none();
        let material = (bare || rng.chance(0.5)).then_some(product.material);
        let kind = usual(rng, product.kind.name, product.kind.synonyms);
        let colour_word =
            colour.map_or("", |Colour { name, synonyms, .. }| usual(rng, name, synonyms));
        let words =
            |words: &'static [&'static str], rng: &mut Rng| usual(rng, words[0], &words[1..]);
        let material_word = material.map_or("", |material| words(material.adjectives(), rng));
        let pattern_word = pattern.map_or("", |pattern| words(pattern.adjectives(), rng));
        let order = match rng.below(3) {
            0 => [colour_word, material_word, pattern_word, kind],
            1 => [pattern_word, colour_word, material_word, kind],
            _ => [material_word, kind, colour_word, pattern_word],
        };
        let named = order.into_iter().filter(|word| !word.is_empty());
        Self {
            text: named.collect::<Vec<_>>().join(" "),
            kind: product.kind.name,
            colour: colour.map(|colour| colour.name),
            pattern,
            material,
        }
    }

    /// 2 for a product that has all that is asked for, 1 for one of the type that lacks one of
    /// several things, 0 for any other.
    fn grade(&self, product: &Product) -> u32 {
        if product.kind.name != self.kind {
            return 0;
        }
        let asked = [
            self.colour.map(|name| name == product.colour.name),
            self.pattern.map(|pattern| pattern == product.pattern),
            self.material.map(|material| material == product.material),
        ];
        let (asked, met) = asked
            .iter()
            .flatten()
            .fold((0, 0), |(asked, met), fits| (asked + 1, met + u32::from(*fits)));
        match asked - met {
            0 => 2,
            1 if met > 0 => 1,
            _ => 0,
        }
    }
}

/// Writes the queries (`id`, `text`, `product_type`) and the judgements of all products.
pub(super) fn write(
    folder: &Path,
    catalogue: &Catalogue,
    seed: u64,
    products: u64,
) -> Result<(), PrepareError> {
    let all: Vec<Product> = (0..products).map(|number| catalogue.product(number)).collect();
    let (mut queries, mut qrels) = ("id\ttext\tproduct_type\n".to_owned(), String::new());
    for number in 0..(products / PRODUCTS_PER_QUERY).clamp(1, MAX_QUERIES) {
        let mut rng = Rng::keyed(seed, TAG_QUERY, number);
        let query = Query::draw(&all[rng.below(all.len())], &mut rng);
        // Writing to a string cannot fail.
        let _ = writeln!(queries, "query-{number:04}\t{}\t{}", query.text, query.kind);
        for product in &all {
            let grade = query.grade(product);
            if grade > 0 {
                let _ = writeln!(qrels, "query-{number:04} 0 {} {grade}", product.id);
            }
        }
    }
    for (name, text) in [(QUERIES, queries), (QRELS, qrels)] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(PrepareError::io("write", &path))?;
    }
    Ok(())
}

/// The usual word most of the time, one of the others otherwise.
fn usual(rng: &mut Rng, word: &'static str, others: &[&'static str]) -> &'static str {
    if others.is_empty() || rng.chance(0.7) { word } else { rng.pick(others) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_answers_what_was_drawn_for_it() {
        let catalogue = Catalogue::new(0);
        let all: Vec<Product> = (0..500).map(|number| catalogue.product(number)).collect();
        for (number, product) in (0..).zip(&all) {
            let query = Query::draw(product, &mut Rng::keyed(0, TAG_QUERY, number));
            assert_eq!(query.grade(product), 2, "{}", query.text);
            let words = |names: &[&str]| names.iter().any(|name| query.text.contains(name));
            assert!(words(&[product.kind.name]) || words(product.kind.synonyms), "{}", query.text);
            for other in &all {
                let grade = query.grade(other);
                assert!(grade == 0 || other.kind.name == product.kind.name);
                let same = other.colour.name == product.colour.name
                    && other.pattern == product.pattern
                    && other.material == product.material
                    && other.kind.name == product.kind.name;
                assert!(!same || grade == 2, "{}", query.text);
            }
        }
    }

    #[test]
    fn files_name_every_query_and_only_products_that_there_are() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &Catalogue::new(3), 3, 400).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let queries = read(QUERIES);
        assert_eq!(queries.lines().count(), 21);
        assert!(queries.lines().all(|line| line.split('\t').count() == 3));
        let qrels = read(QRELS);
        for line in qrels.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let number: u64 = fields[2].strip_prefix("vlclip-").unwrap().parse().unwrap();
            assert!(fields[0].starts_with("query-00") && number < 400, "{line}");
            assert!(["1", "2"].contains(&fields[3]), "{line}");
        }
        let judged: std::collections::BTreeSet<&str> =
            qrels.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(judged.len(), 20, "each query is answered at least by the product behind it");
    }
}
