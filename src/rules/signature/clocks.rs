//! The time of a signature against the clocks of an exchange.

use jiff::Timestamp;

use crate::exchange::View;
use crate::rules::evidence::with_named;
use crate::rules::{Finding, Message};

/// By how much two clocks may differ, in seconds, before it is worth a word.
const AGREE: i64 = 60;

/// The clocks that a signature can be held against.
pub(super) struct Clocks {
    /// The server's: the Date of an answer that was made for this request.
    pub(super) server: Option<Timestamp>,
    tap: Timestamp,
}

impl Clocks {
    pub(super) fn of(view: &View<'_>) -> Self {
        let age = view.response().and_then(|response| response.head.value("age"));
        let is_cached = age.is_some_and(|age| age.trim_ascii() != b"0");
        Clocks { server: view.response_date().filter(|_| !is_cached), tap: view.exchange().time }
    }

    /// The clock by which the server decides, as far as it is known.
    pub(super) fn deciding(&self) -> Timestamp {
        self.server.unwrap_or(self.tap)
    }

    /// Whether the signature's time agrees with the tap's clock, so that it is the server's that is wrong.
    pub(super) fn tap_agrees(&self, time: Timestamp) -> bool {
        let by_server = self.server.is_some_and(|server| (server.as_second() - self.tap.as_second()).abs() > AGREE);
        by_server && (time.as_second() - self.tap.as_second()).abs() <= AGREE
    }

    /// Adds what the clocks say.
    pub(super) fn show(&self, found: Finding, view: &View<'_>) -> Finding {
        let found = match self.server {
            Some(_) => with_named(found, view, Message::Response, "date"),
            None => found.because("response: no Date that tells the server's clock"),
        };
        found.because(format!("tap's clock: {}", seconds(self.tap)))
    }
}

/// A time to the second.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// A number of seconds in a unit that fits.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
