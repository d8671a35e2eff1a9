//! Catches the panic of a target without printing it.

use crate::target::Outcome;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `run` over `input`.
///
/// # Errors
/// Message and place of the panic.
pub fn catch(run: fn(&[u8]) -> Outcome, input: &[u8]) -> Result<Outcome, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if QUIET.get() {
                MESSAGE.set(info.to_string().replace('\n', " "));
            } else {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    // A target owns nothing that outlives it, so nothing half-changed is seen afterwards.
    let result = catch_unwind(AssertUnwindSafe(|| run(input)));
    QUIET.set(false);
    result.map_err(|_| MESSAGE.take())
}
