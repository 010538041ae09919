//! How far two machines' clocks are apart, from the times of requests that both have seen.

use jiff::{SignedDuration, Timestamp};

use crate::exchange::record::read::Read;
use crate::hops::from_record::milliseconds;

/// How far the inner clock is ahead of the outer one.
pub(crate) struct Clocks {
    /// By so much.
    pub(crate) ahead: SignedDuration,
    /// Give or take this.
    pub(crate) within: SignedDuration,
    /// How many requests say so.
    pub(crate) requests: usize,
}

impl Clocks {
    /// What pairs of records of one request each tell.
    ///
    /// An inner exchange begins after the outer one and ends before it. Each pair thus bounds the difference from both
    /// sides, and all of them together bound it best. A gateway that closes late breaks the rule now and then: where
    /// bounds contradict each other, the middle ones are taken.
    pub(crate) fn estimate(pairs: &[(&Read, &Read)]) -> Option<Self> {
        let mut least = Vec::new();
        let mut most = Vec::new();
        for (outer, inner) in pairs {
            let (Some(outer), Some(inner)) = (span(outer), span(inner)) else { continue };
            most.push(inner.0.duration_since(outer.0));
            least.push(inner.1.duration_since(outer.1));
        }
        least.sort_unstable();
        most.sort_unstable();
        let (mut low, mut high) = (*least.last()?, *most.first()?);
        if low > high {
            (low, high) = (*least.get(least.len() / 2)?, *most.get(most.len() / 2)?);
        }
        if low > high {
            (low, high) = (high, low);
        }
        let width = high - low;
        Some(Clocks { ahead: low + width / 2, within: width / 2, requests: most.len() })
    }

    /// In words: what a reader of both recordings has to know.
    pub(crate) fn text(&self, from: &str, to: &str) -> String {
        let ahead = self.ahead.abs();
        let within = format!("within {}, from {} requests", shown(self.within), self.requests);
        if ahead <= self.within || ahead < SignedDuration::from_millis(2) {
            return format!("the clocks of {from} and {to} agree ({within})");
        }
        let side = if self.ahead.is_positive() { "ahead of" } else { "behind" };
        format!("the clock of {to} is {} {side} that of {from} ({within})", shown(ahead))
    }
}

fn span(read: &Read) -> Option<(Timestamp, Timestamp)> {
    let began: Timestamp = read.time.parse().ok()?;
    let total = milliseconds(read.timing.total_ms?);
    Some((began, began.checked_add(total).ok()?))
}

fn shown(time: SignedDuration) -> String {
    let millis = time.as_millis();
    match millis {
        0..10_000 => format!("{millis}ms"),
        10_000..120_000 => format!("{:.1}s", time.as_secs_f64()),
        _ => {
            let seconds = (millis + 500) / 1000;
            format!("{}m{:02}s", seconds / 60, seconds % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(time: &str, total: f64) -> Read {
        let line = format!(
            "{{\"schema\":\"authtap/1\",\"id\":\"1\",\"time\":\"{time}\",\"request\":{{\"method\":\"GET\",\"target\":\"/\"}},\
             \"timing\":{{\"total_ms\":{total}}}}}"
        );
        Read::of_line(&line).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_difference_lies_where_all_requests_allow_it() {
        let one = (read("2026-11-24T12:00:00.000Z", 20.0), read("2026-11-24T12:00:05.004Z", 10.0));
        let two = (read("2026-11-24T12:00:01.000Z", 6.0), read("2026-11-24T12:00:06.002Z", 3.0));
        let clocks = Clocks::estimate(&[(&one.0, &one.1), (&two.0, &two.1)]).unwrap();
        assert!((4_999..=5_002).contains(&clocks.ahead.as_millis()), "{:?}", clocks.ahead);
        assert!(clocks.within <= SignedDuration::from_millis(2));
        assert!(clocks.text("edge", "app").contains("5000ms ahead of"), "{}", clocks.text("edge", "app"));
    }

    #[test]
    fn clocks_that_agree_are_said_to() {
        let pair = (read("2026-11-24T12:00:00.000Z", 20.0), read("2026-11-24T12:00:00.005Z", 10.0));
        let clocks = Clocks::estimate(&[(&pair.0, &pair.1)]).unwrap();
        assert!(clocks.text("edge", "app").starts_with("the clocks of edge and app agree"));
        assert!(Clocks::estimate(&[]).is_none());
    }
}
