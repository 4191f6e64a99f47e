//! Sines and cosines of positions.

use std::f64::consts::TAU;
use tch::{Device, Kind, Tensor};

/// Periods of `count` features, [count] f32: each sine shares its period with the next cosine.
pub(super) fn periods(count: i64, temperature: f64, device: Device) -> Tensor {
    let pair = Tensor::arange(count, (Kind::Float, device)).floor_divide_scalar(2);
    Tensor::pow_scalar(temperature, &(pair * 2.0 / count))
}

/// Sine of every even and cosine of every odd one of the angles [.., F].
pub(super) fn waves(angles: &Tensor) -> Tensor {
    let every_other = |first: i64| angles.slice(-1, first, None, 2);
    Tensor::stack(&[every_other(0).sin(), every_other(1).cos()], -1).flatten(-2, -1)
}

/// `count` features of each coordinate of `points` [.., C], in turns: [.., C · count]. The first
/// two coordinates change places, so that y comes first, as in DETR.
pub(super) fn of_points(points: &Tensor, count: i64) -> Tensor {
    let periods = periods(count, 10_000.0, points.device());
    let mut parts: Vec<Tensor> = points
        .unbind(-1)
        .iter()
        .map(|coordinate| waves(&(coordinate.unsqueeze(-1) * TAU / &periods)))
        .collect();
    if parts.len() >= 2 {
        parts.swap(0, 1);
    }
    Tensor::cat(&parts, -1)
}

/// Features [B, 2 · count, h, w] of the places of `mask` [B, h, w] (f32; 1 in the picture, 0 in
/// padding), y first. Positions are relative to the picture, without its padding.
pub(super) fn of_mask(mask_bhw: &Tensor, count: i64, temperature: f64) -> Tensor {
    const EPS: f64 = 1e-6;
    let periods = periods(count, temperature, mask_bhw.device());
    let features = |axis: i64| {
        let position = mask_bhw.cumsum(axis, Kind::Float);
        let last = position.narrow(axis, position.size()[axis as usize] - 1, 1);
        let relative = position / (last + EPS) * TAU;
        waves(&(relative.unsqueeze(-1) / &periods))
    };
    Tensor::cat(&[features(1), features(2)], 3).permute([0, 3, 1, 2])
}
