//! From the backbone's feature maps to the levels that encoder and decoder see.

use super::layers::DEFAULT_EPS;
use crate::Config;
use crate::weights::Weights;
use tch::Tensor;

/// A convolution and a GroupNorm for each level: of one pixel for the backbone's maps; for further
/// levels of 3 x 3, which halves the last one.
pub(super) struct Projection {
    levels: Vec<Level>,
    /// Maps of the backbone.
    maps: usize,
}

struct Level {
    weight: Tensor,
    bias: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    stride: i64,
}

/// Groups of the GroupNorm, in every GroundingDINO.
const GROUPS: i64 = 32;

impl Projection {
    /// `widths` are those of the backbone's maps.
    pub fn new(w: &mut Weights, name: &str, c: &Config, widths: &[i64]) -> Self {
        let mut input = 0;
        let levels = (0..usize::try_from(c.num_feature_levels).unwrap_or(0)).map(|i| {
            let (kernel, stride) = if i < widths.len() { (1, 1) } else { (3, 2) };
            // The first further level sees the backbone's last map, the next one its result.
            input = match widths.get(i) {
                Some(&width) => width,
                None if i == widths.len() => input,
                None => c.d_model,
            };
            let at = |part: &str| format!("{name}.{i}.{part}");
            Level {
                weight: w.take(&at("0.weight"), &[c.d_model, input, kernel, kernel]),
                bias: w.take(&at("0.bias"), &[c.d_model]),
                norm_weight: w.take(&at("1.weight"), &[c.d_model]),
                norm_bias: w.take(&at("1.bias"), &[c.d_model]),
                stride,
            }
        });
        Self { levels: levels.collect(), maps: widths.len() }
    }

    /// Levels [B, D, h, w] from the backbone's `maps`, finest first.
    pub fn forward(&self, maps: &[Tensor]) -> Vec<Tensor> {
        let mut levels: Vec<Tensor> = Vec::with_capacity(self.levels.len());
        for (i, level) in self.levels.iter().enumerate() {
            let input = match maps.get(i) {
                Some(map) => Some(map),
                None if i == self.maps => maps.last(),
                None => levels.last(),
            };
            levels.extend(input.map(|input| level.forward(input)));
        }
        levels
    }
}

impl Level {
    fn forward(&self, x_bchw: &Tensor) -> Tensor {
        let padding = self.stride - 1;
        let (stride, padding) = ([self.stride; 2], [padding; 2]);
        x_bchw.conv2d(&self.weight, Some(&self.bias), stride, padding, [1, 1], 1).group_norm(
            GROUPS,
            Some(&self.norm_weight),
            Some(&self.norm_bias),
            DEFAULT_EPS,
            true,
        )
    }
}
