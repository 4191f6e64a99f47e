//! A matrix of unit-norm rows, each with an id. Owns the checks that make it searchable.

use crate::EvalError;
use std::collections::HashMap;
use std::sync::Arc;

/// How far a row's norm may be from 1: a row normalised in bf16 is within 0.004.
pub(crate) const NORM_TOLERANCE: f64 = 0.01;

/// Rows x width f32 values, row-major: finite, of unit norm, with distinct non-empty ids.
#[derive(Clone, Debug)]
pub struct Embeddings {
    ids: Arc<[String]>,
    width: usize,
    values: Vec<f32>,
}

impl Embeddings {
    /// Takes `ids.len()` rows of `width` values that are already of unit norm.
    ///
    /// # Errors
    /// Names the row when the number of values does not fit, an id is empty or appears twice, a
    /// value is NaN or infinite, or a norm is farther than 0.01 from 1.
    pub fn new(ids: Vec<String>, width: usize, values: Vec<f32>) -> Result<Self, EvalError> {
        let embeddings = Self::checked(ids, width, values)?;
        check_norms(&embeddings.ids, 0, width, &embeddings.values)?;
        Ok(embeddings)
    }

    /// Like [`Embeddings::new`], but divides every row by its norm (taken in f64) first.
    ///
    /// # Errors
    /// As [`Embeddings::new`], and for a row that is all zero.
    pub fn normalised(ids: Vec<String>, width: usize, values: Vec<f32>) -> Result<Self, EvalError> {
        let mut embeddings = Self::checked(ids, width, values)?;
        for (row, values) in embeddings.values.chunks_exact_mut(width).enumerate() {
            let norm = norm(values);
            if norm == 0.0 {
                return Err(EvalError::ZeroRow { id: embeddings.ids[row].clone(), row });
            }
            for value in values {
                *value = (f64::from(*value) / norm) as f32;
            }
        }
        Ok(embeddings)
    }

    fn checked(ids: Vec<String>, width: usize, values: Vec<f32>) -> Result<Self, EvalError> {
        if width == 0 {
            return Err(EvalError::ZeroWidth);
        }
        if ids.len().checked_mul(width) != Some(values.len()) {
            return Err(EvalError::Shape { ids: ids.len(), width, found: values.len() });
        }
        check_ids(&ids)?;
        check_finite(&ids, 0, width, &values)?;
        Ok(Self { ids: ids.into(), width, values })
    }

    /// The rows' ids, in order.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Components per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The rows in order, `width` values each.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    pub(crate) fn shared_ids(&self) -> Arc<[String]> {
        Arc::clone(&self.ids)
    }
}

/// The row of each id, which must be distinct and not empty.
pub(crate) fn check_ids(ids: &[String]) -> Result<HashMap<&str, u32>, EvalError> {
    if u32::try_from(ids.len()).is_err() {
        return Err(EvalError::TooManyRows { rows: ids.len() });
    }
    let mut places = HashMap::with_capacity(ids.len());
    for (id, row) in ids.iter().zip(0u32..) {
        if id.is_empty() {
            return Err(EvalError::EmptyId { row: row as usize });
        }
        if let Some(first) = places.insert(id.as_str(), row) {
            let (first, second) = (first as usize, row as usize);
            return Err(EvalError::DuplicateId { id: id.clone(), first, second });
        }
    }
    Ok(places)
}

/// Refuses rows that are not finite or not of unit norm; `first` is the row of the first id.
pub(crate) fn check_rows(
    ids: &[String],
    first: usize,
    width: usize,
    values: &[f32],
) -> Result<(), EvalError> {
    check_finite(ids, first, width, values)?;
    check_norms(ids, first, width, values)
}

fn check_finite(
    ids: &[String],
    first: usize,
    width: usize,
    values: &[f32],
) -> Result<(), EvalError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(EvalError::NotFinite {
            id: ids[at / width].clone(),
            row: first + at / width,
            component: at % width,
            value: values[at],
        }),
    }
}

fn check_norms(
    ids: &[String],
    first: usize,
    width: usize,
    values: &[f32],
) -> Result<(), EvalError> {
    for ((id, values), row) in ids.iter().zip(values.chunks_exact(width)).zip(first..) {
        let norm = norm(values);
        if (norm - 1.0).abs() > NORM_TOLERANCE {
            return Err(EvalError::NotUnit { id: id.clone(), row, norm });
        }
    }
    Ok(())
}

pub(crate) fn norm(row: &[f32]) -> f64 {
    row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(ids: &[&str], width: usize, values: &[f32]) -> String {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Embeddings::new(ids, width, values.to_vec()).expect_err("must be refused").to_string()
    }

    #[test]
    fn refuses_what_cannot_be_searched_and_says_where() {
        assert_eq!(
            message(&["a", "b"], 2, &[1.0, 0.0, 1.0]),
            "embeddings of 2 ids with width 2 need 4 values, but 3 were given"
        );
        assert_eq!(
            message(&["a"], 0, &[]),
            "embeddings have width 0: every row needs at least one component"
        );
        assert_eq!(
            message(&["a", "b", "a"], 1, &[1.0, 1.0, 1.0]),
            "id `a` names rows 0 and 2: ids must be distinct, keep one row of each"
        );
        assert_eq!(
            message(&["a", ""], 1, &[1.0, 1.0]),
            "row 1 has an empty id: every embedding needs a name of its own"
        );
        assert_eq!(
            message(&["a", "b"], 2, &[1.0, 0.0, 0.0, f32::NAN]),
            "embedding `b` (row 1) has NaN at component 1: expected a finite number; did the model \
             diverge?"
        );
        assert!(message(&["a"], 1, &[f32::NEG_INFINITY]).contains("`a` (row 0) has -inf"));
        assert_eq!(
            message(&["a"], 2, &[3.0, 4.0]),
            "embedding `a` (row 0) has norm 5: expected 1 within 0.01; normalise the rows first"
        );
    }

    #[test]
    fn normalises_and_refuses_rows_without_direction() {
        let rows = Embeddings::normalised(vec!["a".into()], 2, vec![3.0, 4.0]).expect("valid");
        assert_eq!(rows.row(0), [0.6, 0.8]);
        let zero = Embeddings::normalised(vec!["a".into()], 2, vec![0.0, 0.0]);
        assert_eq!(
            zero.expect_err("no direction").to_string(),
            "embedding `a` (row 0) is all zero: it has no direction to normalise"
        );
    }
}
