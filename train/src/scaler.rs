//! The gradient scale of float16: large enough that small gradients do not vanish, lowered when one
//! overflows.

use configs::Precision;
use native::{NativeError, ScaleUpdate};
use tch::{Device, Kind, Tensor};

/// torch.amp.GradScaler with its default settings; the host never waits.
#[derive(Debug)]
pub struct GradScaler {
    /// f32 scalar.
    scale: Tensor,
    /// Finite steps since the scale last moved, i32 scalar.
    growth_tracker: Tensor,
    /// Steps of the run that changed nothing because a gradient overflowed, f32 scalar.
    skipped: Tensor,
}

const INITIAL: f32 = 65536.0;
const UPDATE: ScaleUpdate = ScaleUpdate { growth: 2.0, backoff: 0.5, interval: 2000 };

impl GradScaler {
    /// The scaler of a run, where its precision needs one.
    pub fn of(precision: Precision, device: Device) -> Option<Self> {
        (precision == Precision::Fp16).then(|| Self {
            scale: Tensor::from(INITIAL).to_device(device),
            growth_tracker: Tensor::zeros([], (Kind::Int, device)),
            skipped: Tensor::zeros([], (Kind::Float, device)),
        })
    }

    /// What gradients are multiplied by before they go through the towers.
    pub fn scale(&self) -> &Tensor {
        &self.scale
    }

    /// What undoes it.
    pub fn inverse(&self) -> Tensor {
        // In f64 as torch.amp does it: a scale near the ends of f32 has an inverse there.
        self.scale.to_kind(Kind::Double).reciprocal().to_kind(Kind::Float)
    }

    /// Moves the scale after a step that had to be skipped, where the f32 scalar `found_inf` is 1,
    /// or was done, where it is 0.
    ///
    /// # Errors
    /// When libtorch refuses, which a consistent state never makes it do.
    pub fn update(&mut self, found_inf: &Tensor) -> Result<(), NativeError> {
        self.skipped += found_inf;
        native::update_scale(&mut self.scale, &mut self.growth_tracker, found_inf, UPDATE)
    }

    /// Steps of the run that changed nothing because a gradient overflowed: an f32 scalar, not
    /// waited for.
    pub fn num_skipped(&self) -> &Tensor {
        &self.skipped
    }

    /// The state as named tensors.
    pub fn state(&self) -> [(&'static str, &Tensor); 3] {
        [
            ("scaler.scale", &self.scale),
            ("scaler.growth_tracker", &self.growth_tracker),
            ("scaler.skipped", &self.skipped),
        ]
    }

    /// Puts back a state: `find` gives the saved tensor of each name of [`GradScaler::state`].
    ///
    /// # Errors
    /// Whatever `find` ends in.
    pub fn restore<E>(&mut self, find: impl Fn(&str) -> Result<Tensor, E>) -> Result<(), E> {
        for (name, value) in self.state() {
            let saved = find(name)?;
            value.shallow_clone().copy_(&saved);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaler() -> GradScaler {
        GradScaler::of(Precision::Fp16, Device::Cpu).unwrap()
    }

    fn after(scaler: &mut GradScaler, steps: usize, found_inf: f32) -> f64 {
        (0..steps).for_each(|_| scaler.update(&Tensor::from(found_inf)).unwrap());
        f64::try_from(scaler.scale()).unwrap()
    }

    #[test]
    fn it_doubles_after_two_thousand_good_steps_and_halves_after_a_bad_one() {
        let mut scaler = scaler();
        assert_eq!(after(&mut scaler, 1999, 0.0), 65536.0);
        assert_eq!(after(&mut scaler, 1, 0.0), 131_072.0);
        assert_eq!(after(&mut scaler, 2, 1.0), 32768.0);
        assert_eq!(f64::try_from(scaler.inverse()).unwrap(), 1.0 / 32768.0);
    }

    #[test]
    fn a_restored_one_goes_on_as_the_first() {
        let (mut first, mut second) = (scaler(), scaler());
        after(&mut first, 1, 1.0);
        after(&mut first, 1500, 0.0);
        let saved = first.state().map(|(name, value)| (name, value.copy()));
        let find = |name: &str| {
            saved.iter().find(|(n, _)| *n == name).map(|(_, v)| v.shallow_clone()).ok_or(())
        };
        second.restore(find).unwrap();
        assert_eq!(after(&mut second, 499, 0.0), 32768.0);
        assert_eq!(after(&mut second, 1, 0.0), 65536.0);
        assert_eq!(f64::try_from(second.num_skipped()).unwrap(), 1.0);
    }

    #[test]
    fn only_float16_needs_one() {
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16, Precision::PureBf16] {
            assert!(GradScaler::of(precision, Device::Cpu).is_none());
        }
    }
}
