//! Which next steps challenges named, so that a client can be told from one that does not take them.

use jiff::{SignedDuration, Timestamp};

use super::hashes::Hashes;
use super::table::{Bounded, Table};
use crate::auth::{Detail, Fingerprint, Scheme, Secret, parse_dpop};
use crate::exchange::View;

/// Entries of the table.
const ENTRIES: usize = 4096;
/// What was named longer ago may have been forgotten with good reason.
const RECENT: SignedDuration = SignedDuration::from_mins(10);

/// What a challenge says that the client has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Answer the new Digest nonce (RFC 7616 3.3).
    DigestNonce,
    /// Put the server's nonce into the DPoP proof (RFC 9449 8, 9).
    DpopNonce,
    /// Get a token with the claims that the challenge has.
    Claims,
    /// Have the user log in anew, or more strongly (RFC 9470 3).
    UserAuthentication,
    /// Get a token with a larger scope (RFC 6750 3.1).
    Scope,
}

const STEPS: [Step; 5] = [Step::DigestNonce, Step::DpopNonce, Step::Claims, Step::UserAuthentication, Step::Scope];

/// That a step was named to a client, and how often since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// When the request came that was first answered so.
    pub first: Timestamp,
    /// When the last answer that named it was over.
    pub ended: Timestamp,
    /// The client's connection on which that answer was.
    pub connection: u64,
    /// How often it was named.
    pub times: u32,
}

/// All of them: bounded like all that is remembered.
pub(super) struct Steps {
    named: Table<u64, Option<Named>>,
    hashes: Hashes,
}

impl Default for Steps {
    fn default() -> Self {
        Steps { named: Table::new(ENTRIES), hashes: Hashes::default() }
    }
}

impl Steps {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.named]
    }

    /// The step that this exchange's answer names, and when it was named before to the same client for the same nonce, key
    /// or token: had it been taken, that would be another one.
    pub(super) fn before(&self, view: &View<'_>) -> Option<(Step, Named)> {
        let step = named(view)?;
        let subject = subject(view, step)?;
        let known = self.named.get(&self.key(view, step, subject)).copied().flatten()?;
        (view.exchange().time.duration_since(known.ended) <= RECENT).then_some((step, known))
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        let exchange = view.exchange();
        if let Some(step) = named(view) {
            let Some(subject) = subject(view, step) else { return };
            let key = self.key(view, step, subject);
            let ended = exchange.time.checked_add(exchange.timing.total).unwrap_or(exchange.time);
            let entry = self.named.entry(key);
            let known = entry.filter(|known| exchange.time.duration_since(known.ended) <= RECENT);
            *entry = Some(Named {
                first: known.map_or(exchange.time, |known| known.first),
                ended: known.map_or(ended, |known| known.ended.max(ended)),
                connection: exchange.client.connection,
                times: known.map_or(1, |known| known.times.saturating_add(1)),
            });
        } else if view.is_success() && !self.named.is_empty() {
            // What is accepted after all was not what had to change.
            for step in STEPS {
                let Some(subject) = subject(view, step) else { continue };
                let key = self.key(view, step, subject);
                if self.named.get(&key).is_some() {
                    self.named.set(key, None);
                }
            }
        }
    }

    fn key(&self, view: &View<'_>, step: Step, subject: Fingerprint) -> u64 {
        self.hashes.of((view.route(), view.client(), step, subject))
    }
}

/// The step that an answer names.
fn named(view: &View<'_>) -> Option<Step> {
    if !matches!(view.status(), 400 | 401 | 403) {
        return None;
    }
    let errors: Vec<&str> = view.challenges(false).filter_map(|challenge| challenge.param("error")).collect();
    let has = |error: &str| errors.contains(&error);
    if has("insufficient_claims") && view.challenges(false).any(|challenge| challenge.param("claims").is_some()) {
        return Some(Step::Claims);
    }
    if has("insufficient_user_authentication") {
        return Some(Step::UserAuthentication);
    }
    if has("insufficient_scope") {
        return Some(Step::Scope);
    }
    let wants_nonce = has("use_dpop_nonce") || view.error_text().is_some_and(|text| text.contains("use_dpop_nonce"));
    if wants_nonce && view.response()?.head.has("dpop-nonce") {
        return Some(Step::DpopNonce);
    }
    let offered = view.challenge(&Scheme::Digest)?.param("nonce")?;
    let sent = nonce_sent(view)?;
    let is_new =
        sent != Secret::new(bytes::Bytes::copy_from_slice(offered.as_bytes())).fingerprint(view.redactor().key());
    (view.status() == 401 && is_new).then_some(Step::DigestNonce)
}

/// What a client changes when it takes the step. `None` where it can't be seen, or where
/// the step is taken already.
fn subject(view: &View<'_>, step: Step) -> Option<Fingerprint> {
    match step {
        Step::DigestNonce => nonce_sent(view),
        Step::DpopNonce => {
            let proof = parse_dpop(view.request().value("dpop")?);
            // A proof with a nonce has taken the step, be it with one that is too old by now.
            let thumbprint = proof.thumbprint.filter(|_| proof.jwt.claims.is_some_and(|claims| !claims.has_nonce))?;
            let secret = Secret::new(bytes::Bytes::copy_from_slice(thumbprint.as_bytes()));
            Some(secret.fingerprint(view.redactor().key()))
        }
        Step::Claims | Step::UserAuthentication | Step::Scope => {
            view.authorization().map(|offered| offered.fingerprint)
        }
    }
}

/// The fingerprint of the nonce that Digest credentials were made with.
fn nonce_sent(view: &View<'_>) -> Option<Fingerprint> {
    match &view.authorization()?.credentials.detail {
        Detail::Digest(digest) => digest.nonce.as_ref().map(|nonce| nonce.fingerprint(view.redactor().key())),
        _ => None,
    }
}
