//! Multi-scale deformable attention (arXiv 2010.04159): every query looks at a few points of each
//! level, which it chooses itself.

use super::layers::Linear;
use crate::weights::Weights;
use tch::{Kind, Tensor};

pub(super) struct Deformable {
    sampling_offsets: Linear,
    attention_weights: Linear,
    value_proj: Linear,
    output_proj: Linear,
    heads: i64,
    levels: i64,
    points: i64,
}

/// What is sampled: [`Deformable::values`] of it are computed once.
pub(super) struct Values {
    /// [B, S, H, D / H], at least f32: places must not be rounded to bfloat16.
    bshd: Tensor,
}

impl Deformable {
    pub fn new(
        w: &mut Weights,
        name: &str,
        width: i64,
        heads: i64,
        levels: i64,
        points: i64,
    ) -> Self {
        let samples = heads * levels * points;
        let mut linear =
            |part: &str, output| Linear::new(w, &format!("{name}.{part}"), width, output);
        Self {
            sampling_offsets: linear("sampling_offsets", samples * 2),
            attention_weights: linear("attention_weights", samples),
            value_proj: linear("value_proj", width),
            output_proj: linear("output_proj", width),
            heads,
            levels,
            points,
        }
    }

    /// The values of `features` [B, S, D]; those outside of the pictures are 0.
    pub fn values(&self, features_bsd: &Tensor, inside_bs: Option<&Tensor>) -> Values {
        let mut value_bsd = self.value_proj.forward(features_bsd);
        if let Some(inside_bs) = inside_bs {
            value_bsd = value_bsd.masked_fill(&inside_bs.logical_not().unsqueeze(-1), 0.0);
        }
        let size = value_bsd.size();
        let heads = [size[0], size[1], self.heads, size[2] / self.heads];
        Values { bshd: exact(&value_bsd).view(heads) }
    }

    /// What `query` [B, Q, D] sees around `reference` [B, Q, L, 2 or 4]: points (x, y), or boxes
    /// (centre, size), in 0..1 of each level of `shapes`.
    pub fn forward(
        &self,
        query_bqd: &Tensor,
        values: &Values,
        reference: &Tensor,
        shapes: &[(i64, i64)],
    ) -> Tensor {
        let size = query_bqd.size();
        let (b, q) = (size[0], size[1]);
        let offsets = exact(&self.sampling_offsets.forward(query_bqd)).view([
            b,
            q,
            self.heads,
            self.levels,
            self.points,
            2,
        ]);
        let weights = exact(&self.attention_weights.forward(query_bqd))
            .view([b, q, self.heads, self.levels * self.points])
            .softmax(-1, None::<Kind>)
            .view([b, q, self.heads, self.levels, self.points]);
        let around = reference.view([b, q, 1, self.levels, 1, -1]);
        let centre = around.narrow(-1, 0, 2);
        let places = if reference.size()[3] == 2 {
            let sides: Vec<f64> = shapes.iter().flat_map(|&(h, w)| [w as f64, h as f64]).collect();
            let sides =
                Tensor::from_slice(&sides).to_kind(offsets.kind()).to_device(offsets.device());
            centre + offsets / sides.view([1, 1, 1, self.levels, 1, 2])
        } else {
            centre + offsets / self.points * around.narrow(-1, 2, 2) * 0.5
        };
        let seen_bqd = sample(&values.bshd, &places, &weights, shapes);
        self.output_proj.forward(&seen_bqd.to_kind(query_bqd.kind()))
    }
}

/// At least f32.
fn exact(x: &Tensor) -> Tensor {
    if x.kind() == Kind::Double { x.shallow_clone() } else { x.to_kind(Kind::Float) }
}

/// The weighted sum [B, Q, D] of `values` [B, S, H, D / H], interpolated at `places`
/// [B, Q, H, L, P, 2] (x, y in 0..1 of the level; 0 outside).
fn sample(
    values_bshd: &Tensor,
    places: &Tensor,
    weights_bqhlp: &Tensor,
    shapes: &[(i64, i64)],
) -> Tensor {
    let size = values_bshd.size();
    let (b, heads, each) = (size[0], size[2], size[3]);
    let (q, points) = (places.size()[1], places.size()[4]);
    let grid = places * 2.0 - 1.0;
    let mut sum = Tensor::zeros([b * heads, each, q], (values_bshd.kind(), values_bshd.device()));
    let mut start = 0;
    for (level, &(h, w)) in (0..).zip(shapes) {
        let map = values_bshd.narrow(1, start, h * w).permute([0, 2, 3, 1]).reshape([
            b * heads,
            each,
            h,
            w,
        ]);
        let by_head = |x: Tensor, shape: [i64; 4]| x.transpose(1, 2).reshape(shape);
        let grid = by_head(grid.select(3, level), [b * heads, q, points, 2]);
        let weights = by_head(weights_bqhlp.select(3, level), [b * heads, 1, q, points]);
        let sampled = map.grid_sampler(&grid, 0, 0, false);
        sum += (sampled * weights).sum_dim_intlist(-1, false, None::<Kind>);
        start += h * w;
    }
    sum.view([b, heads * each, q]).transpose(1, 2)
}
