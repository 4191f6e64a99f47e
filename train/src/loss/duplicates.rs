//! Rows that are duplicates of one another: of one product, with one caption, or either.
//!
//! "Either" is not transitive, so duplicates form no classes; but the duplicates of a row are those
//! of its product and those of its caption, less those of both, and each of the three forms
//! classes. So counts and sums over duplicates cost one visit per row, however many pairs there
//! are: a batch of one product has N² of them.

use super::tiles::Span;
use configs::Duplicates as Same;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use tch::{Device, Tensor};

/// Which rows are duplicates of which others.
#[derive(Debug)]
pub struct Duplicates {
    groupings: Vec<Grouping>,
}

impl Duplicates {
    /// Finds rows with equal keys; `None` where there are none.
    pub fn find(
        products_N: &[u64],
        captions_N: &[u64],
        same: Same,
        device: Device,
    ) -> Option<Self> {
        let product = || Grouping::find(products_N, 1.0, device);
        let caption = || Grouping::find(captions_N, 1.0, device);
        let groupings = match same {
            Same::Product => vec![product()],
            Same::Caption => vec![caption()],
            Same::ProductOrCaption => {
                let (product, caption) = (product(), caption());
                let both = product.is_some() && caption.is_some();
                let keys_N: Vec<(u64, u64)> =
                    products_N.iter().copied().zip(captions_N.iter().copied()).collect();
                let both = both.then(|| Grouping::find(&keys_N, -1.0, device)).flatten();
                vec![product, caption, both]
            }
        };
        let groupings: Vec<Grouping> = groupings.into_iter().flatten().collect();
        (!groupings.is_empty()).then_some(Self { groupings })
    }

    /// How many duplicates each of `len` rows has, itself not counted.
    pub fn others(&self, len: usize) -> Vec<i64> {
        let mut others_N = vec![0; len];
        for grouping in &self.groupings {
            for &(row, group) in &grouping.members {
                others_N[row] += grouping.sign as i64 * (grouping.sizes[group] - 1);
            }
        }
        others_N
    }

    /// Whether each row of a tile and each column are one row or duplicates, bool [r, c]; `None`
    /// where no two of them are, as far as is known without the [r, c] comparison.
    pub fn same(&self, rows: Span, columns: Span) -> Option<Tensor> {
        self.groupings
            .iter()
            .filter(|grouping| grouping.sign > 0.0 && grouping.meet(rows, columns))
            .map(|grouping| {
                let group_N = &grouping.group_N;
                rows.of(group_N).unsqueeze(1).eq_tensor(&columns.of(group_N).unsqueeze(0))
            })
            .reduce(|a, b| a.logical_or(&b))
    }

    /// Adds c_i Σ_j x_j + Σ_j c_j x_j to each own row i of `sum_BD`, j over its duplicates, itself
    /// left out; c is `factor_N1`.
    pub fn add(&self, sum_BD: &mut Tensor, factor_N1: &Tensor, x_ND: &Tensor, own: Span) {
        self.groupings.iter().for_each(|grouping| grouping.add(sum_BD, factor_N1, x_ND, own));
    }
}

/// Classes of rows with equal keys. Rows whose key no other has are in none.
#[derive(Debug)]
struct Grouping {
    /// 1, or −1 where two groupings count these rows twice.
    sign: f64,
    /// Row and group of each member, by row.
    members: Vec<(usize, usize)>,
    /// Members of each group.
    sizes: Vec<i64>,
    /// Group of each row, i64 `[N]`; a number of its own where it has none.
    group_N: Tensor,
    /// Rows of the members by group, i64 `[m]`, and where each group starts, i64 `[g]`.
    by_group_m: Tensor,
    starts_g: Tensor,
}

impl Grouping {
    fn find<K: Hash + Eq + Copy>(keys_N: &[K], sign: f64, device: Device) -> Option<Self> {
        let mut count: HashMap<K, usize> = HashMap::with_capacity(keys_N.len());
        keys_N.iter().for_each(|&key| *count.entry(key).or_default() += 1);
        if count.len() == keys_N.len() {
            return None;
        }
        let mut number: HashMap<K, usize> = HashMap::new();
        let mut groups: Vec<Vec<i64>> = Vec::new();
        let mut members = Vec::new();
        let mut group_N: Vec<i64> = (0..keys_N.len() as i64).map(|row| -1 - row).collect();
        for (row, key) in keys_N.iter().enumerate().filter(|&(_, key)| count[key] > 1) {
            let group = *number.entry(*key).or_insert(groups.len());
            if group == groups.len() {
                groups.push(Vec::new());
            }
            groups[group].push(row as i64);
            members.push((row, group));
            group_N[row] = group as i64;
        }
        let sizes: Vec<i64> = groups.iter().map(|rows| rows.len() as i64).collect();
        let starts: Vec<i64> = sizes
            .iter()
            .scan(0, |next, size| {
                let start = *next;
                *next += size;
                Some(start)
            })
            .collect();
        let tensor = |values: &[i64]| Tensor::from_slice(values).to_device(device);
        Some(Self {
            sign,
            members,
            sizes,
            group_N: tensor(&group_N),
            by_group_m: tensor(&groups.concat()),
            starts_g: tensor(&starts),
        })
    }

    /// The members among the rows of `span`.
    fn within(&self, span: Span) -> &[(usize, usize)] {
        let at = |row: i64| self.members.partition_point(|&(member, _)| (member as i64) < row);
        &self.members[at(span.start)..at(span.end())]
    }

    /// Whether some group has members in both spans.
    fn meet(&self, rows: Span, columns: Span) -> bool {
        let groups: HashSet<usize> = self.within(rows).iter().map(|&(_, group)| group).collect();
        self.within(columns).iter().any(|(_, group)| groups.contains(group))
    }

    fn add(&self, sum_BD: &mut Tensor, factor_N1: &Tensor, x_ND: &Tensor, own: Span) {
        let members = self.within(own);
        if members.is_empty() {
            return;
        }
        let index = |f: &dyn Fn(&(usize, usize)) -> i64| {
            let values: Vec<i64> = members.iter().map(f).collect();
            Tensor::from_slice(&values).to_device(x_ND.device())
        };
        let row_m = index(&|&(row, _)| row as i64);
        let group_m = index(&|&(_, group)| group as i64);
        // A bag per group: unlike a scattered addition, its order of summation is fixed on GPUs.
        let sums_gD = |factor_m: Option<Tensor>| {
            let (rows, starts) = (&self.by_group_m, &self.starts_g);
            Tensor::embedding_bag(x_ND, rows, starts, false, 0, false, factor_m, false).0
        };
        let factors_m = factor_N1.index_select(0, &self.by_group_m).squeeze_dim(1);
        let factor_m1 = factor_N1.index_select(0, &row_m);
        let itself_mD = x_ND.index_select(0, &row_m);
        let found_mD = (sums_gD(None).index_select(0, &group_m) - itself_mD * 2.0) * factor_m1
            + sums_gD(Some(factors_m)).index_select(0, &group_m);
        let _ = sum_BD.index_add_(0, &(row_m - own.start), &(found_mD * self.sign));
    }
}
