//! What exact places answered to whom, and which clients were logged in of late.

use jiff::{SignedDuration, Timestamp};

use super::hashes::Hashes;
use super::table::{Bounded, Table};
use crate::auth::Scheme;
use crate::exchange::View;

/// Entries of each table.
const ENTRIES: usize = 4096;
/// A page asks for all its parts at once, and again when it is looked at again.
const SESSION: SignedDuration = SignedDuration::from_mins(60);

/// All of them: bounded like all that is remembered.
pub(super) struct Visits {
    /// When a GET was answered 2xx, by the place and the credential.
    by_credential: Table<u64, Option<Timestamp>>,
    /// When a GET with credentials was answered 2xx, by the place.
    by_place: Table<u64, Option<Timestamp>>,
    /// When a client last got a 2xx for a request with a cookie or with credentials.
    logged_in: Table<u64, Option<Timestamp>>,
    hashes: Hashes,
}

impl Default for Visits {
    fn default() -> Self {
        Visits {
            by_credential: Table::new(ENTRIES),
            by_place: Table::new(ENTRIES),
            logged_in: Table::new(ENTRIES),
            hashes: Hashes::default(),
        }
    }
}

impl Visits {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.by_credential, &mut self.by_place, &mut self.logged_in]
    }

    /// When a GET for this exchange's very path was answered 2xx to its credential.
    pub(super) fn got(&self, view: &View<'_>) -> Option<Timestamp> {
        let credential = view.main_credentials()?.fingerprint;
        self.by_credential.get(&self.hashes.of((credential, view.place()))).copied().flatten()
    }

    /// When a GET for this exchange's very path was answered 2xx to anybody with credentials.
    pub(super) fn got_by_others(&self, view: &View<'_>) -> Option<Timestamp> {
        self.by_place.get(&view.place()).copied().flatten()
    }

    /// Whether this client was logged in of late, on this host.
    pub(super) fn is_logged_in(&self, view: &View<'_>) -> bool {
        let known = self.logged_in.get(&self.hashes.of((view.client(), view.host()))).copied().flatten();
        known.is_some_and(|time| view.exchange().time.duration_since(time) <= SESSION)
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        if !view.is_success() {
            return;
        }
        let time = Some(view.exchange().time);
        let offered = view.main_credentials();
        if offered.is_some() || view.request().has("cookie") {
            self.logged_in.set(self.hashes.of((view.client(), view.host())), time);
        }
        let Some(offered) = offered.filter(|_| view.method() == b"GET") else { return };
        self.by_place.set(view.place(), time);
        // What is made for one request fits no other.
        let is_made_for_one = matches!(
            offered.credentials.scheme,
            Some(Scheme::Digest | Scheme::Negotiate | Scheme::Ntlm | Scheme::Aws4HmacSha256 | Scheme::Signature)
        );
        if !is_made_for_one {
            self.by_credential.set(self.hashes.of((offered.fingerprint, view.place())), time);
        }
    }
}
