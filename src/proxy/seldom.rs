//! Warnings that a peer can cause as often as it likes, said seldom enough that they fill no disk.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a warning of one kind keeps others of it back.
const QUIET: Duration = Duration::from_secs(1);

/// One kind of warning.
#[derive(Default)]
pub(super) struct Seldom(Mutex<State>);

#[derive(Default)]
struct State {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// Whether the warning may be said now, and how many were kept back since the last one. Otherwise it is counted.
    pub(super) fn may_say(&self) -> Option<u64> {
        let mut state = self.0.lock().ok()?;
        if state.said.is_some_and(|said| said.elapsed() < QUIET) {
            state.unsaid += 1;
            return None;
        }
        state.said = Some(Instant::now());
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_the_others_are_counted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.may_say(), Some(0));
        assert_eq!(seldom.may_say(), None);
        assert_eq!(seldom.may_say(), None);
        let before = Instant::now().checked_sub(2 * QUIET);
        seldom.0.lock().unwrap().said = before;
        assert_eq!(seldom.may_say(), Some(2));
    }
}
