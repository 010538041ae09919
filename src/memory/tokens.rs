//! What the tokens are like that a route accepts: who made them, for whom, and with which algorithm.
//!
//! None of that is secret. It is kept as text, within bounds, so that a token that is refused can be told from them.

use jiff::{SignedDuration, Timestamp};

use super::table::{Bounded, Table};
use crate::auth::{Checked, Claims, Detail, Jwt};
use crate::exchange::View;
use crate::exchange::given::Given;

/// Entries of the table.
const ROUTES: usize = 1024;
/// Kinds of tokens of one route. Where there are more, a route is shared by many, and nothing is expected of a token.
const KINDS: usize = 4;
/// Bytes of a text, and texts in a list.
const TEXT: usize = 120;
const TEXTS: usize = 3;
/// What was accepted longer ago may not be any more.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// What tokens have in common that a route accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKind {
    /// Who made them.
    pub iss: Option<Box<str>>,
    /// For whom they are.
    pub aud: Vec<Box<str>>,
    /// The algorithm of their signature.
    pub alg: Option<Box<str>>,
    /// The names of the keys that signed them; the latest of them, where there were many.
    pub kids: Vec<Box<str>>,
    /// Whether they are ID tokens by what they say.
    pub is_id_token: bool,
    /// Whether one of them has a signature that the keys which the operator gave did not make, so that the server goes
    /// by other keys.
    pub contradicts_keys: bool,
    /// When one of them was last accepted.
    pub time: Timestamp,
}

impl TokenKind {
    /// What kind a token is of; `None` where it is too large to be remembered.
    fn of(jwt: &Jwt, time: Timestamp) -> Option<Self> {
        let claims = jwt.claims.as_ref()?;
        let short = |text: &String| (text.len() <= TEXT).then(|| text.as_str().into());
        let keep = |text: &Option<String>| match text {
            Some(text) => short(text).map(Some),
            None => Some(None),
        };
        if claims.aud.len() > TEXTS {
            return None;
        }
        let mut aud: Vec<Box<str>> = claims.aud.iter().map(short).collect::<Option<_>>()?;
        aud.sort_unstable();
        Some(TokenKind {
            iss: keep(&claims.iss)?,
            aud,
            alg: keep(&jwt.header.alg)?,
            kids: jwt.header.kid.as_ref().and_then(short).into_iter().collect(),
            is_id_token: is_id_token(claims),
            contradicts_keys: false,
            time,
        })
    }

    /// Whether no token of this kind was signed with one of those keys before.
    fn lacks(&self, kids: &[Box<str>]) -> bool {
        kids.iter().any(|kid| !self.kids.contains(kid))
    }

    fn add(&mut self, other: Self) {
        for kid in other.kids {
            if !self.kids.contains(&kid) {
                if self.kids.len() >= TEXTS {
                    self.kids.remove(0);
                }
                self.kids.push(kid);
            }
        }
        self.contradicts_keys |= other.contradicts_keys;
        self.time = other.time;
    }

    fn is_like(&self, other: &Self) -> bool {
        (&self.iss, &self.aud, &self.alg, self.is_id_token) == (&other.iss, &other.aud, &other.alg, other.is_id_token)
    }
}

/// Whether the claims are those of an ID token: `at_hash` is in no other (OpenID Connect Core 3.1.3.6). A `nonce` is in
/// access tokens of some issuers as well, which then have a scope.
pub fn is_id_token(claims: &Claims) -> bool {
    let is_proof = claims.htm.is_some() || claims.htu.is_some();
    claims.has_access_token_hash || (claims.has_nonce && claims.scope.is_none() && !is_proof)
}

#[derive(Default)]
struct Kinds {
    kinds: Vec<TokenKind>,
    is_mixed: bool,
}

/// The kinds of tokens, by route: bounded like all that is remembered.
pub(super) struct Tokens {
    routes: Table<u64, Kinds>,
}

impl Default for Tokens {
    fn default() -> Self {
        Tokens { routes: Table::new(ROUTES) }
    }
}

impl Tokens {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.routes]
    }

    /// The kinds of tokens that this exchange's route accepted of late. None where it accepts too many to expect one.
    pub(super) fn accepted(&self, view: &View<'_>) -> Vec<&TokenKind> {
        let now = view.exchange().time;
        let Some(known) = self.routes.get(&view.route()).filter(|known| !known.is_mixed) else { return Vec::new() };
        known.kinds.iter().filter(|kind| is_recent(kind, now)).collect()
    }

    pub(super) fn learn(&mut self, view: &View<'_>, given: &Given) {
        let Some(offered) = view.main_credentials().filter(|_| view.is_success()) else { return };
        let Detail::Jwt(jwt) = &offered.credentials.detail else { return };
        let time = view.exchange().time;
        let route = view.route();
        let known = self.routes.entry(route);
        let Some(mut kind) = TokenKind::of(jwt, time) else {
            known.is_mixed = true;
            return;
        };
        let same = known.kinds.iter_mut().find(|same| same.is_like(&kind));
        // Once for each key is enough, and all that there is time for.
        if same.as_ref().is_none_or(|same| same.lacks(&kind.kids)) {
            let checked = view.check_signature(offered, jwt, given);
            kind.contradicts_keys = !matches!(checked, None | Some(Checked::Fits { .. } | Checked::KeyUnknown));
        }
        if let Some(same) = same {
            same.add(kind);
            return;
        }
        if known.kinds.len() >= KINDS {
            known.kinds.retain(|kind| is_recent(kind, time));
        }
        if known.kinds.len() >= KINDS {
            known.is_mixed = true;
        } else {
            known.kinds.push(kind);
        }
    }
}

fn is_recent(kind: &TokenKind, now: Timestamp) -> bool {
    now.duration_since(kind.time) <= RECENT
}
