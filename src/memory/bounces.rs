//! Places to which a client is sent back again and again, and from which it is sent away each time.

use jiff::{SignedDuration, Timestamp};

use super::hashes::Hashes;
use super::table::{Bounded, Table};
use crate::auth::{Fingerprint, Secret};
use crate::exchange::View;

/// Entries of the table.
const ENTRIES: usize = 4096;
/// What is further apart was a person's doing.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(60);
/// Names of cookies that are kept of one answer.
const COOKIES: usize = 8;

/// How often a client came to a place by a redirect and was sent away by another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounces {
    /// How often, in a row.
    pub count: u32,
    /// When the first request of the row came, the one before the first redirect back.
    pub first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// The fingerprints of the names of the cookies that were set when the client was last sent here.
    pub set: Vec<Fingerprint>,
}

/// All of them: bounded like all that is remembered.
pub(super) struct Places {
    places: Table<u64, Bounces>,
    hashes: Hashes,
}

impl Default for Places {
    fn default() -> Self {
        Places { places: Table::new(ENTRIES), hashes: Hashes::default() }
    }
}

impl Places {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.places]
    }

    /// What is known of the path of this exchange, and of its client there.
    pub(super) fn here(&self, view: &View<'_>) -> Option<&Bounces> {
        let bounces = self.places.get(&self.place(view, view.path()))?;
        is_at_once(view, bounces.last).then_some(bounces)
    }

    /// Learns from an exchange; `follows` says whether the last redirect of its client points to its path.
    pub(super) fn learn(&mut self, view: &View<'_>, follows: bool) {
        let Some(response) = view.response() else { return };
        let time = view.exchange().time;
        let is_redirect = matches!(response.status, 301 | 302 | 303 | 307 | 308);
        if !is_redirect && self.places.is_empty() {
            return;
        }
        let place = self.place(view, view.path());
        let known = self.places.get(&place).is_some();
        // Nothing is kept of the many places from which nobody is sent away.
        if !is_redirect && !known {
            return;
        }
        let bounces = self.places.entry(place);
        if !is_redirect {
            *bounces = Bounces::default();
            return;
        }
        let goes_on = follows && is_at_once(view, bounces.last);
        bounces.count = if goes_on { bounces.count.saturating_add(1) } else { 0 };
        bounces.first = bounces.first.filter(|_| goes_on).or(Some(time));
        bounces.last = Some(time);
        let Some(location) = response.head.value("location") else { return };
        let target = self.place(view, crate::exchange::view::path_of(location));
        let set = response
            .head
            .values("set-cookie")
            .filter(|value| !is_taken_back(value))
            .filter_map(cookie_name)
            .take(COOKIES);
        let set: Vec<Fingerprint> = set.map(|name| fingerprint(view, name)).collect();
        if self.places.get(&target).is_some() && target != place {
            self.places.entry(target).set = set;
        }
    }

    fn place(&self, view: &View<'_>, path: &[u8]) -> u64 {
        self.hashes.of((&view.exchange().tap.name, view.client(), self.hashes.of_text(path)))
    }
}

fn is_at_once(view: &View<'_>, last: Option<Timestamp>) -> bool {
    last.is_some_and(|last| view.exchange().time.duration_since(last) <= AT_ONCE)
}

impl Bounces {
    /// Whether the request of this exchange carries one of the cookies that were set when its client was sent here. `None`
    /// where none was set.
    pub fn cookies_came_back(&self, view: &View<'_>) -> Option<bool> {
        let mut sent = view.request().values("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
        let is_set = |pair: &[u8]| cookie_name(pair).is_some_and(|name| self.set.contains(&fingerprint(view, name)));
        (!self.set.is_empty()).then(|| sent.any(is_set))
    }
}

/// Whether a Set-Cookie line takes a cookie away (RFC 6265 3.1), as is done with the one that led through the login.
pub(super) fn is_taken_back(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line).to_ascii_lowercase();
    let mut parts = line.split(';').map(str::trim);
    let is_empty = parts.next().is_none_or(|pair| pair.ends_with('='));
    is_empty
        || parts.any(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            name == "max-age" && value.parse::<i64>().is_ok_and(|age| age <= 0)
                || name == "expires" && value.contains("1970")
        })
}

/// The name before the equals sign.
pub(super) fn cookie_name(pair: &[u8]) -> Option<&[u8]> {
    let name = pair.split(|byte| *byte == b'=').next()?.trim_ascii();
    (!name.is_empty()).then_some(name)
}

fn fingerprint(view: &View<'_>, name: &[u8]) -> Fingerprint {
    Secret::new(bytes::Bytes::copy_from_slice(name)).fingerprint(view.redactor().key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_is_taken_away_is_not_missed_later() {
        for (line, expected) in [
            ("session=abc; Secure; HttpOnly", false),
            ("session=abc; Max-Age=3600", false),
            ("session=abc; Expires=Wed, 25 Nov 2026 12:00:00 GMT", false),
            ("state=", true),
            ("state=; Path=/", true),
            ("state=gone; Max-Age=0", true),
            ("state=gone; max-age=-1; Path=/", true),
            ("state=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true),
        ] {
            assert_eq!(is_taken_back(line.as_bytes()), expected, "{line}");
        }
    }
}
