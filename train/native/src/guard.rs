//! Where libtorch's refusals become errors. Model code uses tch's panicking form, which reads like
//! the formulas; the passes through it run under this guard.

use crate::NativeError;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// How tch's wrappers panic: `Result::unwrap` of a `TchError::Torch`.
const TORCH: &str = "Torch(\"";

/// Runs `body`; a panic in which libtorch refused something, such as memory, becomes an error that
/// names `operation`. Any other panic goes on.
///
/// # Errors
/// What libtorch refused, in the first line of its own words.
pub fn guarded<T>(operation: &'static str, body: impl FnOnce() -> T) -> Result<T, NativeError> {
    quiet_guarded_panics();
    let outer = GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(outer);
    result.or_else(|payload| {
        let payload = match payload.downcast::<NativeError>() {
            Ok(error) => return Err(*error),
            Err(other) => other,
        };
        match payload.downcast_ref::<String>().and_then(|t| refusal(t)) {
            Some(message) => Err(NativeError { operation, message }),
            None => panic::resume_unwind(payload),
        }
    })
}

/// Model code's way to pass on an error of `native` in tch's panicking form: [`guarded`] catches it.
pub fn or_panic<T>(result: Result<T, NativeError>) -> T {
    result.unwrap_or_else(|error| panic::panic_any(error))
}

/// The first line of what libtorch said.
fn refusal(panic: &str) -> Option<String> {
    let said = panic.split_once(TORCH)?.1;
    let line = said.split("\\n").next().unwrap_or(said).trim_end_matches("\")");
    Some(line.to_owned())
}

/// Whether libtorch's `message` says that memory could not be had.
pub fn is_out_of_memory(message: &str) -> bool {
    let lower = message.to_lowercase();
    lower.contains("out of memory") || lower.contains("can't allocate memory")
}

/// Keeps the panics that become errors from being printed.
fn quiet_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>();
            let ours = info.payload().is::<NativeError>();
            if !(GUARDED.get() && (ours || text.is_some_and(|text| text.contains(TORCH)))) {
                print(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn what_libtorch_refuses_is_an_error_in_one_line() {
        let multiply = || {
            let a = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
            a.matmul(&a)
        };
        let text = guarded("embed a batch", multiply).unwrap_err().to_string();
        assert!(text.starts_with("libtorch could not embed a batch: "), "{text}");
        assert!(text.contains("cannot be multiplied"), "{text}");
        assert!(!text.contains("frame #") && !text.contains('\n'), "{text}");
        assert_eq!(guarded("add", || 1 + 1).unwrap(), 2);
    }

    #[test]
    fn memory_that_cannot_be_had_is_known_as_such() {
        // 4 EiB: no machine has it.
        let ask = || Tensor::zeros([1 << 60], (Kind::Float, Device::Cpu));
        let text = guarded("embed a batch", ask).unwrap_err().to_string();
        assert!(is_out_of_memory(&text), "{text}");
    }

    #[test]
    fn errors_of_native_pass_as_they_are() {
        let fail = || -> Result<(), _> {
            crate::backward(&[Tensor::from(1.0f64)], &[Tensor::from(1.0f64)])
        };
        let text = guarded("embed a batch", || or_panic(fail())).unwrap_err().to_string();
        assert_eq!(text, fail().unwrap_err().to_string());
    }

    #[test]
    fn other_panics_go_on() {
        let ours = || guarded("embed a batch", || panic::panic_any(7));
        assert_eq!(panic::catch_unwind(ours).unwrap_err().downcast_ref(), Some(&7));
    }
}
