//! Resizing as torchvision does it for tensors, which transformers' processor calls.

use super::RgbPicture;
use tch::{Kind, Tensor};

/// How pixels are interpolated; both with antialiasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// `resample: 2`.
    Bilinear,
    /// `resample: 3`.
    Bicubic,
}

/// `picture` as [3, height, width] u8.
pub(super) fn resized(picture: &RgbPicture, height: i64, width: i64, filter: Filter) -> Tensor {
    let size = [1, picture.height as i64, picture.width as i64, 3];
    let pixels = Tensor::from_data_size(&picture.pixels, &size, Kind::Uint8).permute([0, 3, 1, 2]);
    if (size[1], size[2]) == (height, width) {
        return pixels.squeeze_dim(0);
    }
    let resized = match filter {
        Filter::Bicubic => {
            pixels.internal_upsample_bicubic2d_aa([height, width], false, None, None)
        }
        Filter::Bilinear if has_u8_kernel() => {
            pixels.internal_upsample_bilinear2d_aa([height, width], false, None, None)
        }
        Filter::Bilinear => pixels
            .to_kind(Kind::Float)
            .internal_upsample_bilinear2d_aa([height, width], false, None, None)
            .round()
            .to_kind(Kind::Uint8),
    };
    resized.squeeze_dim(0)
}

/// Where torchvision resizes bytes as bytes: with the vector kernel of AVX2. Elsewhere it goes
/// through f32, which may round a pixel differently.
fn has_u8_kernel() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}
