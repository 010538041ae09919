//! How the same request fared again and again, and what a route answers to whom.

use std::net::SocketAddr;

use jiff::Timestamp;

use super::hashes::Hashes;
use super::table::{Bounded, Table};
use crate::auth::{Detail, Fingerprint, Scheme, Secret};
use crate::exchange::{Endpoint, View};

/// Entries of each table.
const ENTRIES: usize = 4096;
/// Outcomes that are kept of one credential in one place.
const OUTCOMES: usize = 8;

/// One time that a credential was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When the request came.
    pub time: Timestamp,
    /// Whether it was answered with a 2xx; 401 otherwise.
    pub accepted: bool,
    /// Which backend answered, where its address is known.
    pub backend: Option<SocketAddr>,
}

/// A Digest nonce that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// When the request came to which it was the answer.
    pub time: Timestamp,
    /// Which backend gave it out, where its address is known.
    pub backend: Option<SocketAddr>,
}

/// What a route answered last that was no error of the server: a 2xx, 3xx, 401 or 404.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// To a request without credentials.
    pub without: Option<(Timestamp, u16)>,
    /// To one with some.
    pub with: Option<(Timestamp, u16)>,
}

/// What became of requests: bounded like all that is remembered.
pub(super) struct Outcomes {
    outcomes: Table<u64, Vec<Outcome>>,
    nonces: Table<Fingerprint, Option<Nonce>>,
    answers: Table<u64, Answers>,
    hashes: Hashes,
}

impl Default for Outcomes {
    fn default() -> Self {
        Outcomes {
            outcomes: Table::new(ENTRIES),
            nonces: Table::new(ENTRIES),
            answers: Table::new(ENTRIES),
            hashes: Hashes::default(),
        }
    }
}

impl Outcomes {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.outcomes, &mut self.nonces, &mut self.answers]
    }

    /// How this exchange's credential fared before with its method on its route, the oldest first.
    pub(super) fn here(&self, view: &View<'_>) -> &[Outcome] {
        let fingerprint = view.main_credentials().map(|offered| offered.fingerprint);
        let outcomes = fingerprint.and_then(|fingerprint| self.outcomes.get(&self.place(view, fingerprint)));
        outcomes.map(Vec::as_slice).unwrap_or_default()
    }

    /// Where the nonce of this exchange's Digest credentials came from.
    pub(super) fn nonce(&self, view: &View<'_>) -> Option<Nonce> {
        self.nonces.get(&nonce_sent(view)?).copied().flatten()
    }

    /// What this exchange's route answered before.
    pub(super) fn answers(&self, view: &View<'_>) -> Answers {
        self.answers.get(&self.route(view)).copied().unwrap_or_default()
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        let exchange = view.exchange();
        let (time, backend) = (exchange.time, exchange.upstream.addr.as_ref().and_then(Endpoint::tcp));
        if let Some(nonce) = view.challenge(&Scheme::Digest).and_then(|challenge| challenge.param("nonce")) {
            let fingerprint =
                Secret::new(bytes::Bytes::copy_from_slice(nonce.as_bytes())).fingerprint(view.redactor().key());
            self.nonces.set(fingerprint, Some(Nonce { time, backend }));
        }
        let status = view.status();
        if (200..400).contains(&status) || matches!(status, 401 | 404) {
            let route = self.route(view);
            let answers = self.answers.entry(route);
            let answer = if view.offered().is_empty() { &mut answers.without } else { &mut answers.with };
            *answer = Some((time, status));
        }
        let Some(offered) = view.main_credentials() else { return };
        // Messages of a handshake are made for one exchange.
        let is_handshake =
            matches!(offered.credentials.scheme, Some(Scheme::Digest | Scheme::Negotiate | Scheme::Ntlm));
        if is_handshake || !(view.is_success() || status == 401) {
            return;
        }
        let place = self.place(view, offered.fingerprint);
        let outcomes = self.outcomes.entry(place);
        if outcomes.len() >= OUTCOMES {
            outcomes.remove(0);
        }
        outcomes.push(Outcome { time, accepted: view.is_success(), backend });
    }

    fn route(&self, view: &View<'_>) -> u64 {
        self.hashes.of((view.route(), view.method()))
    }

    fn place(&self, view: &View<'_>, fingerprint: Fingerprint) -> u64 {
        self.hashes.of((fingerprint, view.route(), view.method()))
    }
}

/// The fingerprint of the nonce that Digest credentials were made with.
fn nonce_sent(view: &View<'_>) -> Option<Fingerprint> {
    match &view.main_credentials()?.credentials.detail {
        Detail::Digest(digest) => digest.nonce.as_ref().map(|nonce| nonce.fingerprint(view.redactor().key())),
        _ => None,
    }
}
