//! Notices where the diagnosis hangs at an exchange. Traffic goes on then, and somebody has to say that its record does not.

use std::time::{Duration, Instant};

/// How long the diagnosis may be busy with one exchange. A slow rule takes milliseconds, keys that are fetched some seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// Watches a number that grows as long as the diagnosis goes on.
pub(super) struct Watchdog {
    beat: u64,
    since: Instant,
    has_barked: bool,
}

/// What there is to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bark {
    /// It hangs, and has for so long.
    Hangs(Duration),
    /// It goes on again, after so long.
    GoesOn(Duration),
}

impl Watchdog {
    pub(super) fn new(now: Instant) -> Self {
        Watchdog { beat: 0, since: now, has_barked: false }
    }

    /// Looks at the number. Says so once where it does not grow, and once where it does again.
    pub(super) fn look(&mut self, beat: u64, now: Instant) -> Option<Bark> {
        let still = now.saturating_duration_since(self.since);
        if beat != self.beat {
            (self.beat, self.since) = (beat, now);
            return std::mem::take(&mut self.has_barked).then_some(Bark::GoesOn(still));
        }
        if still < PATIENCE || self.has_barked {
            return None;
        }
        self.has_barked = true;
        Some(Bark::Hangs(still))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_barks_once_where_nothing_moves_and_once_when_it_does_again() {
        let start = Instant::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let mut dog = Watchdog::new(start);
        assert_eq!(dog.look(1, after(5)), None);
        assert_eq!(dog.look(2, after(10)), None);
        assert_eq!(dog.look(2, after(24)), None);
        assert_eq!(dog.look(2, after(25)), Some(Bark::Hangs(Duration::from_secs(15))));
        assert_eq!(dog.look(2, after(60)), None);
        assert_eq!(dog.look(3, after(70)), Some(Bark::GoesOn(Duration::from_secs(60))));
        assert_eq!(dog.look(3, after(71)), None);
    }
}
