//! The Digest challenges that were sent, by the fingerprints of their nonces, and what was made of them.

use crate::auth::{Detail, Fingerprint, Scheme, Secret};
use crate::exchange::View;

use super::table::{Bounded, Table};

/// Entries of the table.
const NONCES: usize = 4096;
/// Algorithms that one nonce is offered with, and counts that are kept of it.
const FEW: usize = 6;
const COUNTS: usize = 16;
/// Bytes of a name.
const NAME: usize = 24;

/// What a nonce was offered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestOffer {
    /// The fingerprint of the realm.
    pub realm: Option<Fingerprint>,
    /// The fingerprint of `opaque`.
    pub opaque: Option<Fingerprint>,
    /// The algorithms, in lower case; MD5 where the challenge names none (RFC 7616 3.3).
    pub algorithms: Vec<Box<str>>,
    /// The protections that can be chosen, in lower case; none in the older form.
    pub qops: Vec<Box<str>>,
    /// The counts that were sent with it and got an answer, the last ones.
    pub counts: Vec<u32>,
}

/// The challenges: bounded like all that is remembered.
pub(super) struct Digests(Table<Fingerprint, Option<DigestOffer>>);

impl Default for Digests {
    fn default() -> Self {
        Digests(Table::new(NONCES))
    }
}

impl Digests {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.0]
    }

    /// What the nonce of this exchange's Digest credentials was offered with.
    pub(super) fn offered(&self, view: &View<'_>) -> Option<&DigestOffer> {
        self.0.get(&nonce_sent(view)?.0)?.as_ref()
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        // What was sent first, since the answer may give the same nonce out again.
        if let Some((nonce, Some(count))) = nonce_sent(view)
            && let Some(Some(known)) = self.0.get(&nonce)
            && (100..500).contains(&view.status())
        {
            let mut known = known.clone();
            if known.counts.len() >= COUNTS {
                known.counts.remove(0);
            }
            known.counts.push(count);
            self.0.set(nonce, Some(known));
        }
        for challenge in view.challenges(false).filter(|challenge| challenge.scheme == Scheme::Digest).take(FEW) {
            let Some(nonce) = challenge.param("nonce") else { continue };
            let nonce = fingerprint(view, nonce);
            let algorithm = name(challenge.param("algorithm").unwrap_or("MD5"));
            let qops = challenge.param("qop").unwrap_or_default().split(',').map(name);
            let offer = self.0.entry(nonce).get_or_insert_default();
            // Who gives out the same nonce again lets its count begin anew.
            offer.counts.clear();
            offer.realm = challenge.param("realm").map(|realm| fingerprint(view, realm));
            offer.opaque = challenge.param("opaque").map(|opaque| fingerprint(view, opaque));
            offer.qops = qops.filter(|qop| !qop.is_empty()).take(FEW).collect();
            if !offer.algorithms.contains(&algorithm) && offer.algorithms.len() < FEW {
                offer.algorithms.push(algorithm);
            }
        }
    }
}

fn name(text: &str) -> Box<str> {
    text.trim().chars().take(NAME).collect::<String>().to_ascii_lowercase().into()
}

fn fingerprint(view: &View<'_>, text: &str) -> Fingerprint {
    Secret::new(bytes::Bytes::copy_from_slice(text.as_bytes())).fingerprint(view.redactor().key())
}

/// The fingerprint of the nonce that Digest credentials were made with, and their count.
fn nonce_sent(view: &View<'_>) -> Option<(Fingerprint, Option<u32>)> {
    let Detail::Digest(digest) = &view.authorization()?.credentials.detail else { return None };
    Some((digest.nonce.as_ref()?.fingerprint(view.redactor().key()), digest.nonce_count()))
}
