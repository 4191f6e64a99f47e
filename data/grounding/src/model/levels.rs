//! The feature maps of all levels in one row, and where in the picture each place lies.

use super::sine;
use tch::{Kind, Tensor};

/// Places of all levels, finest first (S places in all).
pub(super) struct Levels {
    /// Height and width of each level (L).
    pub shapes: Vec<(i64, i64)>,
    /// Features [B, S, D].
    pub features_bsd: Tensor,
    /// Position and level embeddings [B, S, D].
    pub positions_bsd: Tensor,
    /// [B, S] bool: places in the picture; `None` where no picture of the batch is padded.
    pub inside_bs: Option<Tensor>,
    /// Share of each level that a picture fills, width and height: [B, L, 2].
    pub filled_bl2: Tensor,
    /// Proposed boxes of all places before the sigmoid, [B, S, 4]: centre and size; infinite where
    /// there is none.
    pub proposals_bs4: Tensor,
}

impl Levels {
    /// Puts projected `maps` [B, D, h, w] in a row. `mask` [B, height, width] (f32) is 1 in the
    /// pictures; `padded` says whether it is 0 anywhere. `level_embed` is [L, D]. Geometry is
    /// computed in `exact`, which is at least f32: bfloat16 cannot count to 257.
    pub fn new(
        maps: &[Tensor],
        mask_bhw: &Tensor,
        padded: bool,
        level_embed_ld: &Tensor,
        temperature: f64,
        exact: Kind,
    ) -> Self {
        let (mut features, mut positions, mut inside) = (vec![], vec![], vec![]);
        let (mut filled, mut proposals, mut shapes) = (vec![], vec![], vec![]);
        for (level, map_bdhw) in (0i32..).zip(maps) {
            let (width_d, h, w) = (map_bdhw.size()[1], map_bdhw.size()[2], map_bdhw.size()[3]);
            let in_row = |x_bdhw: &Tensor| x_bdhw.flatten(2, 3).transpose(1, 2);
            let mask_bhw =
                mask_bhw.unsqueeze(0).upsample_nearest2d([h, w], None, None).squeeze_dim(0);
            let waves = sine::of_mask(&mask_bhw, width_d / 2, temperature);
            let position =
                in_row(&waves.to_kind(map_bdhw.kind())) + level_embed_ld.get(level.into());
            let extent = Extent::of(&mask_bhw, exact);
            let inside_bs = mask_bhw.flatten(1, 2).to_kind(Kind::Bool);
            filled.push(extent.filled_b2());
            proposals.push(extent.proposals(level, &inside_bs));
            features.push(in_row(map_bdhw));
            positions.push(position);
            inside.push(inside_bs);
            shapes.push((h, w));
        }
        Self {
            shapes,
            features_bsd: Tensor::cat(&features, 1),
            positions_bsd: Tensor::cat(&positions, 1),
            inside_bs: padded.then(|| Tensor::cat(&inside, 1)),
            filled_bl2: Tensor::stack(&filled, 1),
            proposals_bs4: Tensor::cat(&proposals, 1),
        }
    }

    /// The place in every level [B, S, L, 2] (x, y in 0..1 of the padded level) that each place of
    /// the row stands for.
    pub fn reference_points(&self) -> Tensor {
        let exact = (self.filled_bl2.kind(), self.filled_bl2.device());
        let levels: Vec<Tensor> = (0..)
            .zip(&self.shapes)
            .map(|(level, &(h, w))| {
                let filled_b12 = self.filled_bl2.narrow(1, level, 1);
                let centres = |n: i64| Tensor::linspace(0.5, n as f64 - 0.5, n, exact);
                let (y, x) = (centres(h).view([-1, 1]), centres(w).view([1, -1]));
                let relative = |at: &Tensor, axis: i64, length: i64| {
                    let at = at.expand([h, w], false).reshape([1, -1]);
                    at / (filled_b12.select(2, axis) * length)
                };
                Tensor::stack(&[relative(&x, 0, w), relative(&y, 1, h)], -1)
            })
            .collect();
        Tensor::cat(&levels, 1).unsqueeze(2) * self.filled_bl2.unsqueeze(1)
    }
}

/// How much of a level each picture of the batch fills.
struct Extent {
    h: i64,
    w: i64,
    /// [B]
    filled_h: Tensor,
    /// [B]
    filled_w: Tensor,
}

impl Extent {
    /// Of `mask` [B, h, w], which is 1 in a rectangle from the upper left corner on.
    fn of(mask_bhw: &Tensor, exact: Kind) -> Self {
        let count = |mask_bn: Tensor| mask_bn.sum_dim_intlist(1, false, exact);
        Self {
            h: mask_bhw.size()[1],
            w: mask_bhw.size()[2],
            filled_h: count(mask_bhw.select(2, 0)),
            filled_w: count(mask_bhw.select(1, 0)),
        }
    }

    /// Shares of width and height, [B, 2].
    fn filled_b2(&self) -> Tensor {
        Tensor::stack(&[&self.filled_w / self.w, &self.filled_h / self.h], -1)
    }

    /// A box around each place, of a size by the level, as numbers before the sigmoid. Boxes near
    /// the edge and in padding are none.
    fn proposals(&self, level: i32, inside_bs: &Tensor) -> Tensor {
        /// Side of the boxes of the finest level over that of the picture.
        const SIDE: f64 = 0.05;
        let exact = (self.filled_h.kind(), self.filled_h.device());
        let centres = |n: i64| Tensor::linspace(0.0, n as f64 - 1.0, n, exact) + 0.5;
        let rows = centres(self.h).view([-1, 1]).expand([self.h, self.w], false);
        let columns = centres(self.w).view([1, -1]).expand([self.h, self.w], false);
        let relative = |at: &Tensor, filled: &Tensor| at.reshape([1, -1]) / filled.view([-1, 1]);
        let (x, y) = (relative(&columns, &self.filled_w), relative(&rows, &self.filled_h));
        let side = Tensor::full_like(&x, SIDE * f64::from(level).exp2());
        let boxes_bs4 = Tensor::stack(&[&x, &y, &side, &side], -1);
        let central = boxes_bs4.gt(0.01).logical_and(&boxes_bs4.lt(0.99)).all_dim(-1, true);
        let none = central.logical_and(&inside_bs.unsqueeze(-1)).logical_not();
        let logits = boxes_bs4.special_logit(None::<f64>);
        logits.masked_fill(&none, f64::INFINITY)
    }
}
