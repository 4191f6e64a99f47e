//! The walk over the similarity matrix, one tile at a time, and the sums that it feeds.

use super::rows::Rows;
use super::{LossGrad, Pair, Ranks};
use native::NativeError;
use std::ops::Range;
use tch::{Kind, Tensor};

/// Index of the pictures in arrays of both sides.
pub const IMAGE: usize = 0;
/// Index of the texts.
pub const TEXT: usize = 1;

/// Consecutive rows of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: i64,
    /// How many.
    pub len: i64,
}

impl Span {
    /// One after the last.
    pub fn end(self) -> i64 {
        self.start + self.len
    }

    /// These rows of `x`, as a view.
    pub fn of(self, x: &Tensor) -> Tensor {
        x.narrow(0, self.start, self.len)
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start as i64, len: range.len() as i64 }
    }
}

/// `total` rows in spans of at most `len`.
pub fn spans(total: i64, len: i64) -> impl Iterator<Item = Span> {
    let starts = std::iter::successors(Some(0), move |start| Some(start + len));
    starts
        .take_while(move |&start| start < total)
        .map(move |start| Span { start, len: len.min(total - start) })
}

/// The features of all ranks, and everything else that the tiles need.
pub struct Features<'a> {
    /// This rank's pictures and texts, each [B, D].
    own: [&'a Tensor; 2],
    /// Those of all ranks, each [N, D].
    all: [Tensor; 2],
    /// s, a scalar.
    pub scale: Tensor,
    pub rows: &'a Rows,
    tile: i64,
}

/// Some own rows of one side against some rows of the other.
pub struct Tile {
    /// The side of the rows: [`IMAGE`] or [`TEXT`].
    pub side: usize,
    /// The rows, among this rank's.
    pub own: Span,
    /// The rows, among those of all ranks.
    pub rows: Span,
    /// The columns, among those of all ranks.
    pub columns: Span,
    /// Whether the columns are own rows too, whose tiles nobody else visits: with one rank.
    pub both: bool,
}

impl<'a> Features<'a> {
    /// Gathers the features of all ranks.
    pub fn gather(
        pair: &'a Pair,
        logit_scale: &Tensor,
        rows: &'a Rows,
        tile: usize,
        ranks: &dyn Ranks,
    ) -> Result<Self, NativeError> {
        let own = [&pair.image_BD, &pair.text_BD];
        let all = [ranks.all_gather(own[IMAGE])?, ranks.all_gather(own[TEXT])?];
        let tile = i64::try_from(tile).unwrap_or(i64::MAX).clamp(1, rows.len.max(1));
        Ok(Self { own, all, scale: logit_scale.exp(), rows, tile })
    }

    /// Visits the tiles of logits of all own rows, of pictures and of texts; pairs without a term
    /// in the loss are −∞ ([`Rows::mask`]). With one rank the rows of texts are the columns of
    /// pictures, and one walk serves both.
    pub fn for_each_tile(&self, mut visit: impl FnMut(&Tile, Tensor)) {
        let both = self.rows.own.len == self.rows.len;
        let sides = if both { vec![IMAGE] } else { vec![IMAGE, TEXT] };
        for side in sides {
            for own in spans(self.rows.own.len, self.tile) {
                let scaled_rD = own.of(self.own[side]) * &self.scale;
                let rows = Span { start: self.rows.own.start + own.start, len: own.len };
                for columns in spans(self.rows.len, self.tile) {
                    let columns_cD = columns.of(&self.all[1 - side]);
                    let mut logits_rc = native::matrix_product(&scaled_rD, &columns_cD, None);
                    self.rows.mask(&mut logits_rc, rows, columns);
                    visit(&Tile { side, own, rows, columns, both }, logits_rc);
                }
            }
        }
    }

    /// s I_i·T_i of the own rows, [B].
    pub fn diagonal(&self) -> Tensor {
        self.dot(self.own[IMAGE], self.own[TEXT]) * &self.scale
    }

    /// The dot product of each row of `a` with that of `b`, both [B, D]: [B].
    pub fn dot(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let parts: Vec<Tensor> = spans(self.rows.own.len, self.tile)
            .map(|rows| {
                (rows.of(a) * rows.of(b)).sum_dim_intlist([1i64].as_slice(), false, None::<Kind>)
            })
            .collect();
        Tensor::cat(&parts, 0)
    }

    /// Sums over all rows that start with what the targets spread.
    pub fn sums(&self) -> Sums<'_> {
        let sums_BD = self.own.map(Tensor::zeros_like);
        if let Some(spread) = &self.rows.spread {
            spread.add(&sums_BD[IMAGE], &self.all[TEXT], self.rows);
            spread.add(&sums_BD[TEXT], &self.all[IMAGE], self.rows);
        }
        Sums { features: self, sums_BD }
    }

    /// Ones `[B]`, or the own rows' weights.
    pub fn own_weights(&self) -> Tensor {
        let ones =
            || Tensor::ones([self.rows.own.len], (self.own[IMAGE].kind(), self.scale.device()));
        self.rows.weights(self.rows.own).unwrap_or_else(ones)
    }
}

/// Σ_j c_ij T_j of the own pictures and Σ_j c_ji I_j of the own texts, where c_ij = 2N dL/dz_ij.
pub struct Sums<'a> {
    features: &'a Features<'a>,
    sums_BD: [Tensor; 2],
}

impl Sums<'_> {
    /// Σ_ij c_ij z_ij over the own pictures and what was added so far, a scalar.
    pub fn weighted_logits(&self) -> Tensor {
        let features = self.features;
        features.dot(features.own[IMAGE], &self.sums_BD[IMAGE]).sum(None::<Kind>) * &features.scale
    }

    /// Adds one tile of c_ij.
    pub fn add(&mut self, tile: &Tile, factors_rc: &Tensor) {
        let (features, other) = (self.features, 1 - tile.side);
        let columns_cD = tile.columns.of(&features.all[other]);
        let mut sum_rD = tile.own.of(&self.sums_BD[tile.side]);
        sum_rD += native::matrix_product(factors_rc, &columns_cD.transpose(0, 1), None);
        if tile.both {
            let rows_rD = tile.own.of(features.own[tile.side]);
            let mut sum_cD = tile.columns.of(&self.sums_BD[other]);
            let factors_cr = factors_rc.transpose(0, 1);
            sum_cD += native::matrix_product(&factors_cr, &rows_rD.transpose(0, 1), None);
        }
    }

    /// Adds c_ii, [B].
    pub fn add_diagonal(&mut self, factors_B: &Tensor) {
        let factors_B1 = factors_B.unsqueeze(1);
        for side in [IMAGE, TEXT] {
            let _ = self.sums_BD[side].addcmul_(self.features.own[1 - side], &factors_B1);
        }
    }

    /// The loss and its gradients, from this rank's shares of 2N L and 2N dL/d logit_bias.
    pub fn finish(
        self,
        loss: &Tensor,
        bias: Option<&Tensor>,
        ranks: &dyn Ranks,
    ) -> Result<LossGrad, NativeError> {
        let features = self.features;
        let half = 0.5 / features.rows.len as f64;
        let logit_scale = self.weighted_logits();
        let mut scalars = Tensor::stack(&[loss, &logit_scale, bias.unwrap_or(loss)], 0) * half;
        ranks.all_reduce(&mut scalars)?;
        let factor = &features.scale * half;
        let [image_BD, text_BD] = self.sums_BD.map(|mut sum_BD| sum_BD.g_mul_(&factor));
        Ok(LossGrad {
            loss: scalars.get(0),
            grad_BD: Pair { image_BD, text_BD },
            grad_logit_scale: scalars.get(1),
            grad_logit_bias: bias.map(|_| scalars.get(2)),
        })
    }
}
