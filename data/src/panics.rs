//! Panics of the libraries that read what users bring: damaged bytes may lead a parser astray in ways
//! its authors did not foresee. Such a panic is an error of the file, and nothing else.

use crate::pipeline::panic_message;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; a panic in it is not printed but returned as what it said.
///
/// # Errors
/// When `work` panics.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                print(info);
            }
        }));
    });
    let outer = CAUGHT.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(outer);
    outcome.map_err(|panic| panic_message(panic.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_what_it_said_and_others_go_on() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| -> i32 { panic!("no {}", "such page") }), Err("no such page".into()));
        assert!(!CAUGHT.get());
        let nested = caught(|| {
            let inner = caught(|| -> i32 { panic!("inner") });
            assert!(CAUGHT.get());
            inner
        });
        assert_eq!(nested, Ok(Err("inner".into())));
    }
}
