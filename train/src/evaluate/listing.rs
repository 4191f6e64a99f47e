//! Ids and labels of the products: all that judgements need. Shards give them long before a model
//! has embedded anything.

use super::EvalSet;
use super::columns::label_columns;
use crate::model_dir::ModelDir;
use anyhow::{Result, ensure};
use configs::{MissingItems, Task};
use data::{Captions, Scan, ScanOptions};
use eval::Qrels;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

/// Products in the order of their set.
pub struct Listing {
    /// Product ids.
    pub ids: Vec<String>,
    /// Values of the label columns, by column.
    labels: BTreeMap<String, Vec<Option<String>>>,
}

/// More pairs of similar items are a sign of a column that says too little.
const MAX_RELEVANT_PAIRS: usize = 50_000_000;
/// Rows read at once.
const BATCH: usize = 4096;

impl Listing {
    /// No product, with the label columns `columns`.
    pub fn new(columns: &[String]) -> Self {
        let labels = columns.iter().map(|column| (column.clone(), vec![])).collect();
        Self { ids: vec![], labels }
    }

    /// The products of `set` with the labels that its tasks and slices need; pictures and captions are
    /// not read, so that a product may be among them whose picture or captions cannot be used.
    ///
    /// # Errors
    /// When the shards cannot be read, or lack a column.
    pub fn read(set: &EvalSet, model: &ModelDir) -> Result<Self> {
        let columns = label_columns(set);
        let options = ScanOptions {
            batch: BATCH,
            workers: set.workers,
            captions: Captions::None,
            pictures: false,
            distinct_products: true,
            labels: columns.clone(),
            max_bad_fraction: set.max_bad_fraction,
            ..ScanOptions::default()
        };
        let tokenizer = model.tokenizer.clone();
        let mut listing = Self::new(&columns);
        for batch in Scan::open(&set.items, &set.columns, tokenizer, &model.picture, &options)? {
            let batch = batch?;
            listing.extend(&batch.products, &columns, &batch.labels);
        }
        Ok(listing)
    }

    /// Adds products with their values of `columns`, column by column.
    pub fn extend(&mut self, ids: &[String], columns: &[String], labels: &[Vec<Option<String>>]) {
        self.ids.extend(ids.iter().cloned());
        for (column, values) in columns.iter().zip(labels) {
            if let Some(all) = self.labels.get_mut(column) {
                all.extend(values.iter().cloned());
            }
        }
    }

    /// Number of products.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no product.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Values of a label column, by product.
    pub fn label(&self, column: &str) -> &[Option<String>] {
        self.labels.get(column).map_or(&[], Vec::as_slice)
    }

    /// The distinct values of `column`, which are classes.
    ///
    /// # Errors
    /// Fewer than two.
    pub fn classes(&self, column: &str) -> Result<BTreeSet<&str>> {
        let classes: BTreeSet<&str> =
            self.label(column).iter().flatten().map(String::as_str).collect();
        ensure!(
            classes.len() >= 2,
            "column `{column}` has {} distinct values over {} products: classification needs at \
             least 2",
            classes.len(),
            self.len()
        );
        Ok(classes)
    }

    /// Products with equal values of `column`, where more than one has the value.
    ///
    /// # Errors
    /// When these are no pairs, or too many to rank.
    pub fn alike(&self, column: &str) -> Result<Vec<Vec<&str>>> {
        let mut groups: HashMap<&str, Vec<&str>> = HashMap::new();
        for (id, value) in self.ids.iter().zip(self.label(column)) {
            if let Some(value) = value {
                groups.entry(value).or_default().push(id);
            }
        }
        let pairs: usize = groups.values().map(|group| group.len() * (group.len() - 1)).sum();
        ensure!(
            pairs > 0,
            "no two of the {} products have an equal value of `{column}`: nothing is relevant",
            self.len()
        );
        ensure!(
            pairs <= MAX_RELEVANT_PAIRS,
            "equal values of `{column}` make {pairs} pairs relevant, more than {MAX_RELEVANT_PAIRS}: \
             choose a column that says more, or judge some of the products in `qrels`"
        );
        Ok(groups.into_values().filter(|group| group.len() > 1).collect())
    }

    /// Judgements of a file, less those of items that are not there, where the task says so; and what
    /// the report says of them.
    ///
    /// # Errors
    /// A file that cannot be read, or judges none of the products.
    pub fn judgements(&self, path: &Path, task: &Task) -> Result<(Qrels, String)> {
        let qrels = Qrels::read(path)?;
        let said = format!("judged in `{}`", path.display());
        if task.missing_items.unwrap_or_default() == MissingItems::Error {
            return Ok((qrels, said));
        }
        let known: HashSet<&str> = self.ids.iter().map(String::as_str).collect();
        let judged = qrels.queries().flat_map(|query| {
            let items = qrels.of(query).into_iter().flatten();
            items.map(move |(item, grade)| (query, item, grade))
        });
        let kept = Qrels::new(judged.filter(|(_, item, _)| known.contains(item)))?;
        ensure!(
            !kept.is_empty(),
            "none of the items that `{}` judges is among the {} products",
            path.display(),
            self.len()
        );
        let count = |qrels: &Qrels| -> usize {
            qrels.queries().filter_map(|query| qrels.of(query)).map(|items| items.len()).sum()
        };
        let left_out = count(&qrels) - count(&kept);
        Ok((kept, format!("{said}, less {left_out} judgements of items that are not in the pool")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` products; every `of`-th has the same value of `kind`.
    fn listing(count: usize, of: usize) -> Listing {
        let columns = ["kind".to_owned()];
        let ids: Vec<String> = (0..count).map(|at| format!("p{at}")).collect();
        let kinds = (0..count).map(|at| Some((at % of).to_string())).collect();
        let mut listing = Listing::new(&columns);
        listing.extend(&ids, &columns, &[kinds]);
        listing
    }

    #[test]
    fn products_with_equal_values_are_alike() {
        let listing = listing(5, 3);
        let mut groups = listing.alike("kind").expect("two pairs");
        groups.sort_unstable();
        assert_eq!(groups, [vec!["p0", "p3"], vec!["p1", "p4"]]);
        assert_eq!(listing.classes("kind").expect("three").len(), 3);
    }

    #[test]
    fn a_column_that_says_nothing_or_too_little_is_refused() {
        let message = |count, of| listing(count, of).alike("kind").expect_err("bad").to_string();
        assert_eq!(
            message(3, 3),
            "no two of the 3 products have an equal value of `kind`: nothing is relevant"
        );
        assert_eq!(
            message(8000, 1),
            "equal values of `kind` make 63992000 pairs relevant, more than 50000000: choose a column \
             that says more, or judge some of the products in `qrels`"
        );
        let classes = listing(3, 1).classes("kind").expect_err("one class").to_string();
        assert!(classes.starts_with("column `kind` has 1 distinct values over 3 products"));
    }
}
