//! Matrix products by the fastest kernel of the device.

use crate::autocast_is_on;
use tch::{Device, Kind, Tensor};

/// x Wᵀ + b over the last axis of `x` [.., input], by the fastest kernel of the device.
///
/// On CPUs libtorch hands f32 matrix products to MKL and convolutions to oneDNN, and oneDNN is
/// about twice as fast where MKL takes its AVX2 path (BENCHMARKS.md). A 1 x 1 convolution over rows
/// laid out as the pixels of one picture is the same product, and nothing is copied. Dilation changes
/// nothing in a kernel of one pixel; without it libtorch keeps 1 x 1 convolutions from oneDNN on one
/// thread.
pub fn matrix_product(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let f32_on_cpu = x.device() == Device::Cpu && x.kind() == Kind::Float;
    if !f32_on_cpu || weight.kind() != Kind::Float || autocast_is_on(Device::Cpu) {
        return x.linear(weight, bias);
    }
    let mut shape = x.size();
    let (output, input) = (weight.size()[0], weight.size()[1]);
    let rows_as_pixels = x.reshape([1, 1, -1, input]).permute([0, 3, 1, 2]);
    let kernel = weight.view([output, input, 1, 1]);
    let y = rows_as_pixels.conv2d(&kernel, bias, [1, 1], [0, 0], [2, 2], 1);
    if let Some(width) = shape.last_mut() {
        *width = output;
    }
    y.permute([0, 2, 3, 1]).reshape(shape)
}
