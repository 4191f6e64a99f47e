//! Patch dropout: the image tower sees the kept patches at their places, and nothing else.

use crate::tiny;
use tch::{Device, Kind, Tensor};
use train::patches;
use train::step::Inputs;

const NUM_PATCHES: usize = 16;

fn kept() -> Tensor {
    let numbers: Vec<u64> = (0..tiny::ROWS as u64).collect();
    patches::draw(1, 0, &numbers, NUM_PATCHES, 0.5, Device::Cpu).unwrap()
}

fn diff(a: &Tensor, b: &Tensor) -> f64 {
    f64::try_from((a - b).abs().max()).unwrap()
}

/// The batch's pictures with other pixels in the patches where `changed` [B, P] is 1.
fn with_changed(pixels_bhwc: &Tensor, changed_bp: &Tensor) -> Tensor {
    let mask = changed_bp.view([-1, 4, 4, 1]).repeat_interleave_self_int(4, 1, None);
    let mask = mask.repeat_interleave_self_int(4, 2, None);
    let other = pixels_bhwc.bitwise_xor(255);
    other.where_self(&mask.to_kind(Kind::Bool), pixels_bhwc)
}

#[test]
fn patches_in_another_order_are_the_same_picture() {
    let (model, inputs) = (tiny::clip(Kind::Double), tiny::inputs());
    let order = Tensor::arange(16, (Kind::Int64, Device::Cpu)).flip([0]);
    let all = order.unsqueeze(0).expand([tiny::ROWS as i64, -1], false);
    let expected = model.encode_image(&inputs.pixels_BHWC, None);
    assert!(diff(&model.encode_image(&inputs.pixels_BHWC, Some(&all)), &expected) < 1e-12);
}

#[test]
fn only_kept_patches_count() {
    let (model, pixels, kept) = (tiny::clip(Kind::Double), tiny::inputs().pixels_BHWC, kept());
    assert_eq!(kept.size(), [tiny::ROWS as i64, 8]);
    let zeros = Tensor::zeros([tiny::ROWS as i64, 16], (Kind::Int64, Device::Cpu));
    let is_kept = zeros.scatter_value(1, &kept, 1);
    let embed = |pixels: &Tensor| model.encode_image(pixels, Some(&kept));
    let expected = embed(&pixels);
    assert!(embed(&with_changed(&pixels, &(1 - &is_kept))).equal(&expected));
    let rows = (embed(&with_changed(&pixels, &is_kept)) - &expected).abs().amax([1], false);
    assert!(f64::try_from(rows.min()).unwrap() > 1e-3);
}

#[test]
fn gradients_do_not_depend_on_micro_batches() {
    let gradients = |micro| {
        let model = tiny::clip(Kind::Double);
        let inputs = Inputs { patches_BK: Some(kept()), ..tiny::inputs() };
        let (rows, cfg) = (tiny::rows(Kind::Double), configs::Loss::default());
        tiny::accumulate(&model, &inputs, &rows, micro, &cfg);
        model.params().iter().map(|p| p.value.grad()).collect::<Vec<_>>()
    };
    let expected = gradients(tiny::ROWS);
    for (expected, found) in expected.iter().zip(gradients(5)) {
        assert!(diff(expected, &found) < 1e-12);
    }
}
