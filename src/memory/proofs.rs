//! The DPoP proofs that were sent, by the fingerprints of their ids.

use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;

use super::table::{Bounded, Table};
use crate::auth::parse_dpop;
use crate::exchange::View;

/// Entries of the table.
const PROOFS: usize = 4096;

/// The ids of proofs: bounded like all that is remembered.
pub(super) struct Proofs {
    seen: Table<u64, Option<Timestamp>>,
    hashes: RandomState,
}

impl Default for Proofs {
    fn default() -> Self {
        Proofs { seen: Table::new(PROOFS), hashes: RandomState::new() }
    }
}

impl Proofs {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.seen]
    }

    /// When this exchange's proof was first sent with another request that got an answer.
    pub(super) fn sent_before(&self, view: &View<'_>) -> Option<Timestamp> {
        self.seen.get(&self.id(view)?).copied().flatten()
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        // Where the server gave no answer of its own, the same request may be sent once more.
        if view.status() == 0 || view.status() >= 500 {
            return;
        }
        if let Some(id) = self.id(view) {
            self.seen.entry(id).get_or_insert(view.exchange().time);
        }
    }

    /// A hash of the proof's id and of the tap: the taps on one path see the same request.
    fn id(&self, view: &View<'_>) -> Option<u64> {
        let proof = parse_dpop(view.request().value("dpop")?);
        let jti = proof.jwt.claims?.jti.filter(|jti| !jti.is_empty())?;
        let fingerprint = jti.fingerprint(view.redactor().key());
        Some(self.hashes.hash_one((fingerprint, jti.len(), proof.thumbprint, &view.exchange().tap.name)))
    }
}
