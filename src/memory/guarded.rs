//! Places that ask for credentials, and what they gave to whom.

use jiff::{SignedDuration, Timestamp};

use super::hashes::Hashes;
use super::table::{Bounded, Table};
use crate::auth::Fingerprint;
use crate::exchange::View;

/// Entries of the table.
const ENTRIES: usize = 2048;
/// Answers that are kept of one place.
const ANSWERS: usize = 4;
/// What was refused longer ago may have been opened since.
const RECENT: SignedDuration = SignedDuration::from_mins(60);

/// A good answer of a place to a request with credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handed {
    /// When the request came.
    pub time: Timestamp,
    /// The credentials that it had.
    pub to: Fingerprint,
    /// A hash of the answer's entity tag, where it has one.
    pub etag: Option<u64>,
}

/// What is known of a place that refused who had no credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// When it last refused a request without credentials.
    pub refused: Option<Timestamp>,
    /// The last answers to requests with some, the newest first.
    pub given: Vec<Handed>,
}

/// All of them: bounded like all that is remembered.
pub(super) struct Places {
    places: Table<u64, Guarded>,
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

    /// What is known of the place of this exchange's GET, if it refused somebody without credentials of late.
    pub(super) fn here(&self, view: &View<'_>) -> Option<&Guarded> {
        let known = self.places.get(&self.place(view)?)?;
        let refused = known.refused?;
        (view.exchange().time.duration_since(refused) <= RECENT).then_some(known)
    }

    /// A hash of the entity tag of this exchange's answer.
    pub(super) fn etag(&self, view: &View<'_>) -> Option<u64> {
        let etag = view.response()?.head.value("etag").map(<[u8]>::trim_ascii).filter(|etag| etag.len() > 4)?;
        Some(self.hashes.of_text(etag))
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        let Some(place) = self.place(view) else { return };
        let time = view.exchange().time;
        let is_anonymous = view.offered().is_empty() && !view.request().has("cookie") && !view.request().is_cut();
        if matches!(view.status(), 401 | 403) && is_anonymous {
            self.places.entry(place).refused = Some(time);
            return;
        }
        let Some(offered) = view.main_credentials().filter(|_| view.is_success()) else { return };
        let given = Handed { time, to: offered.fingerprint, etag: self.etag(view) };
        let known = self.places.entry(place);
        known.given.retain(|other| other.to != given.to || other.etag != given.etag);
        known.given.insert(0, given);
        known.given.truncate(ANSWERS);
    }

    fn place(&self, view: &View<'_>) -> Option<u64> {
        let query = || memchr::memchr(b'?', view.target()).and_then(|at| view.target().get(at..));
        (view.method() == b"GET")
            .then(|| self.hashes.of((view.place(), query().map(|query| self.hashes.of_text(query)))))
    }
}
