//! What a cookie and an Authorization of one client did alone, and what they did together.

use jiff::{SignedDuration, Timestamp};

use super::hashes::Hashes;
use super::table::{Bounded, Table};
use super::{Fingerprint, fingerprint};
use crate::auth::Scheme;
use crate::exchange::View;

/// Entries of the table.
const ENTRIES: usize = 4096;
/// In so short a time a credential that was good is still.
const RECENT: SignedDuration = SignedDuration::from_secs(60);

/// Which of the two was accepted without the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alone {
    /// Whether it was the cookie; the Authorization otherwise.
    pub is_cookie: bool,
    /// When the request came.
    pub time: Timestamp,
    /// Whether both together had been refused before that.
    pub is_between: bool,
}

#[derive(Clone, Copy, Default)]
struct Known {
    /// When it was last accepted alone.
    alone: Option<Timestamp>,
    /// Whether that was after a refusal of both.
    is_between: bool,
    /// When both together were last refused, and accepted.
    refused: Option<Timestamp>,
    accepted: Option<Timestamp>,
}

/// All of them: bounded like all that is remembered.
pub(super) struct Conflicts {
    known: Table<u64, Known>,
    hashes: Hashes,
}

impl Default for Conflicts {
    fn default() -> Self {
        Conflicts { known: Table::new(ENTRIES), hashes: Hashes::default() }
    }
}

/// The two as they are in a request.
struct Sent {
    cookie: Option<Fingerprint>,
    authorization: Option<Fingerprint>,
}

impl Conflicts {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.known]
    }

    /// Whether one of the two in this exchange was accepted alone of late, while both were not.
    pub(super) fn alone(&self, view: &View<'_>) -> Option<Alone> {
        let sent = sent(view)?;
        let both = [(true, sent.cookie?), (false, sent.authorization?)];
        let now = view.exchange().time;
        let is_recent = |time: &Timestamp| now.duration_since(*time) <= RECENT;
        let known = both.map(|(is_cookie, part)| (is_cookie, self.known.get(&self.key(view, is_cookie, part))));
        // Where both were accepted as well, it is not that they are together.
        if known.iter().any(|(_, known)| known.and_then(|known| known.accepted).filter(is_recent).is_some()) {
            return None;
        }
        known.into_iter().find_map(|(is_cookie, known)| {
            let known = known?;
            let time = known.alone.filter(is_recent)?;
            Some(Alone { is_cookie, time, is_between: known.is_between })
        })
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        let is_refused = matches!(view.status(), 401 | 403);
        if !is_refused && !view.is_success() {
            return;
        }
        let Some(sent) = sent(view) else { return };
        let time = view.exchange().time;
        match (sent.cookie, sent.authorization) {
            (Some(cookie), Some(authorization)) => {
                for (is_cookie, part) in [(true, cookie), (false, authorization)] {
                    let key = self.key(view, is_cookie, part);
                    // Of what was never seen alone nothing has to be known, but that it was refused.
                    if is_refused || self.known.get(&key).is_some() {
                        let known = self.known.entry(key);
                        let last = if is_refused { &mut known.refused } else { &mut known.accepted };
                        *last = Some(time);
                    }
                }
            }
            (Some(part), None) | (None, Some(part)) => {
                let key = self.key(view, sent.cookie.is_some(), part);
                let known = self.known.entry(key);
                known.alone = (!is_refused).then_some(time);
                known.is_between = !is_refused && known.refused.is_some();
            }
            (None, None) => {}
        }
    }

    fn key(&self, view: &View<'_>, is_cookie: bool, part: Fingerprint) -> u64 {
        self.hashes.of((view.route(), view.method(), view.client(), is_cookie, part))
    }
}

/// The two in a request; `None` where there may be more of them, or where they are made for one request.
fn sent(view: &View<'_>) -> Option<Sent> {
    let request = view.request();
    let is_one_off = view.authorization().is_some_and(|offered| {
        use Scheme::{Aws4HmacSha256, Digest, Dpop, Negotiate, Ntlm, Signature};
        matches!(offered.credentials.scheme, Some(Digest | Negotiate | Ntlm | Dpop | Aws4HmacSha256 | Signature))
    });
    let has_others = view.offered().len() > usize::from(view.authorization().is_some());
    if request.is_cut() || is_one_off || has_others {
        return None;
    }
    let mut cookies = Vec::new();
    for value in request.values("cookie") {
        cookies.extend_from_slice(value);
        cookies.push(0);
    }
    Some(Sent {
        cookie: (!cookies.is_empty()).then(|| fingerprint(view, &cookies)),
        authorization: view.authorization().map(|offered| offered.fingerprint),
    })
}
