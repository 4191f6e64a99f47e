//! [`native::guarded`] with what a training run can do about it.

use native::NativeError;

/// Runs `body`; a panic in which libtorch refused something becomes an error that names
/// `operation`, with advice where memory was short. Any other panic goes on.
///
/// # Errors
/// What libtorch refused, in the first line of its own words.
pub fn guarded<T>(operation: &'static str, body: impl FnOnce() -> T) -> Result<T, NativeError> {
    native::guarded(operation, body).map_err(|mut error| {
        // A recomputed block's refusal passes through two guards.
        if native::is_out_of_memory(&error.message) && !error.message.ends_with(ADVICE) {
            error.message.push_str(ADVICE);
        }
        error
    })
}

const ADVICE: &str = "; lower batch.micro, or eval.batch if it evaluates";

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn memory_that_cannot_be_had_comes_with_advice_once() {
        // 4 EiB: no machine has it.
        let ask = || Tensor::zeros([1 << 60], (Kind::Float, Device::Cpu));
        let inner = || native::or_panic(guarded("run a transformer block", ask));
        let text = guarded("embed a batch", inner).unwrap_err().to_string();
        assert_eq!(text.matches("lower batch.micro").count(), 1, "{text}");
        assert!(native::is_out_of_memory(&text), "{text}");
    }
}
