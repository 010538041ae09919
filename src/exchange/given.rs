//! What the operator said of the service behind the taps: who makes its tokens, for whom, and with which keys.

use jiff::Timestamp;

use crate::auth::{Checked, Jwt, KeySet, check_signature};

/// What was given, and what was fetched from where it was said to be. Nothing of it is needed; a rule that has nothing to
/// go by stays silent.
#[derive(Clone, Default)]
pub struct Given {
    /// The issuers that the service trusts (RFC 7519 4.1.1), as they stand in tokens.
    pub issuers: Vec<String>,
    /// The names under which the service is meant (RFC 7519 4.1.3).
    pub audiences: Vec<String>,
    /// The URL under which clients reach the service, without a slash at its end.
    pub public_url: Option<String>,
    /// The keys.
    pub keys: Vec<GivenKeys>,
}

/// Keys from one place.
#[derive(Clone)]
pub struct GivenKeys {
    /// Where they come from: a URL, or the name of a file.
    pub from: String,
    /// The keys; `None` where they could not be had.
    pub set: Option<KeySet>,
    /// When they were fetched; `None` where they came with the command line.
    pub fetched: Option<Timestamp>,
    /// Whether it is a secret that signer and server share, which has no name.
    pub is_secret: bool,
}

impl Given {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty() && self.audiences.is_empty() && self.public_url.is_none() && self.keys.is_empty()
    }

    /// Holds the signature of a token against all keys. `None` where that tells nothing.
    pub fn check_signature(&self, token: &[u8], jwt: &Jwt) -> Option<Checked> {
        let sets: Vec<&KeySet> = self.keys.iter().filter_map(|keys| keys.set.as_ref()).collect();
        check_signature(token, jwt, &sets)
    }

    /// The place whose set has a key of that name.
    pub fn source_of(&self, kid: &str) -> Option<&GivenKeys> {
        self.keys.iter().find(|keys| keys.set.as_ref().is_some_and(|set| set.has(kid)))
    }

    /// Whether the whole of the keys is known: a set that could not be had may hold the one that is looked for.
    pub fn has_all_keys(&self) -> bool {
        !self.keys.is_empty() && self.keys.iter().all(|keys| keys.set.is_some())
    }

    /// Whether tokens of that issuer are expected; `None` where nothing was said.
    pub fn trusts(&self, iss: Option<&str>) -> Option<bool> {
        (!self.issuers.is_empty()).then(|| iss.is_some_and(|iss| self.issuers.iter().any(|other| other == iss)))
    }

    /// Whether one of these is the service; `None` where nothing was said.
    pub fn is_meant(&self, aud: &[String]) -> Option<bool> {
        (!self.audiences.is_empty()).then(|| aud.iter().any(|aud| self.audiences.contains(aud)))
    }
}
