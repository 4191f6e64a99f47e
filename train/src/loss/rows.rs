//! What the loss knows of the rows of all ranks besides their features: which are duplicates of
//! one another, how much each counts, and which of them are this rank's.

use super::duplicates::Duplicates;
use super::spread::Spread;
use super::tiles::Span;
use configs::{Loss, Positives};
use std::ops::Range;
use tch::Tensor;

/// Identity and weight of the rows of all ranks.
#[derive(Debug)]
pub struct Rows {
    /// Rows of all ranks, N.
    pub(super) len: i64,
    /// This rank's rows among them.
    pub(super) own: Span,
    /// Weight of each row's terms `[N]`; `None` where all weigh 1.
    pub(super) weight_N: Option<Tensor>,
    /// The duplicates, where they have no terms with one another.
    masked: bool,
    /// Rows that are duplicates of others; `None` where there are none or they do not matter.
    pub(super) duplicates: Option<Duplicates>,
    /// What the targets hold besides each row's own pair.
    pub(super) spread: Option<Spread>,
}

impl Rows {
    /// From the product keys, caption keys and weights of the rows of all ranks, ordered by rank;
    /// `own` are this rank's. Tensors are made for features of the kind and on the device of
    /// `like`.
    pub fn new(
        products_N: &[u64],
        captions_N: &[u64],
        weights_N: &[f32],
        own: Range<usize>,
        cfg: &Loss,
        like: &Tensor,
    ) -> Self {
        let len = products_N.len();
        let duplicates = match cfg.positives {
            Positives::Ignore => None,
            Positives::Mask | Positives::Share => {
                Duplicates::find(products_N, captions_N, cfg.duplicates, like.device())
            }
        };
        let others_N = duplicates.as_ref().map_or_else(|| vec![0; len], |d| d.others(len));
        let weighted = weights_N.iter().any(|&w| w != 1.0);
        let tensor = |values: &[f32]| {
            Tensor::from_slice(values).to_kind(like.kind()).to_device(like.device())
        };
        Self {
            len: len as i64,
            own: Span::from(own),
            weight_N: weighted.then(|| tensor(weights_N)),
            masked: cfg.positives == Positives::Mask,
            spread: Spread::new(weights_N, &others_N, cfg, like.device()),
            duplicates,
        }
    }

    /// Weights of the rows of `span` among all, `[n]`; `None` where all weigh 1.
    pub(super) fn weights(&self, span: Span) -> Option<Tensor> {
        self.weight_N.as_ref().map(|weight_N| span.of(weight_N))
    }

    /// Sets to −∞ what has no term in a tile of logits: each row with itself, which the losses add
    /// by themselves, and masked duplicates. Spans are among the rows of all ranks.
    pub(super) fn mask(&self, logits_rc: &mut Tensor, rows: Span, columns: Span) {
        let same_rc = match &self.duplicates {
            Some(duplicates) if self.masked => duplicates.same(rows, columns),
            _ => None,
        };
        if let Some(same_rc) = same_rc {
            let _ = logits_rc.masked_fill_(&same_rc, f64::NEG_INFINITY);
        }
        if rows.start < columns.end() && columns.start < rows.end() {
            let offset = rows.start - columns.start;
            let _ = logits_rc.diagonal(offset, 0, 1).fill_(f64::NEG_INFINITY);
        }
    }
}
