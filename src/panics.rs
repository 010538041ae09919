//! Faults of the program itself: what is said of them, and how they are kept from doing more harm.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many were caught so far.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// Has a panic tell its place alone, since its message can hold what a peer sent.
pub fn say_only_where() {
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("authtap: a fault in the program at {place}; please report it");
    }));
}

/// What `act` gives; nothing where it breaks, and that is counted. Whoever calls has to leave alone, or make anew, what
/// `act` may have left half done.
pub fn guarded<T>(act: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(act));
    if result.is_err() {
        CAUGHT.fetch_add(1, Ordering::Relaxed);
    }
    result.ok()
}

/// How many faults were caught in this process so far.
pub fn caught() -> u64 {
    CAUGHT.load(Ordering::Relaxed)
}
