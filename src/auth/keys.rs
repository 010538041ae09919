//! Which of the keys that are known signed a token (RFC 7515 5.2, RFC 7517).

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

use super::jwt::Jwt;

/// Keys that signatures of tokens are held against. It has no `Debug`: a shared key is a secret.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    /// Its name (RFC 7517 4.5).
    kid: Option<String>,
    /// What it is, in a word: its type (RFC 7517 4.1), or that it is a shared secret.
    kind: String,
    /// The one algorithm that it is for (RFC 7517 4.4), if it says so.
    alg: Option<String>,
    /// The key itself; `None` where it is of a kind that can't be used here.
    key: Option<DecodingKey>,
}

/// Why a text is no set of keys (RFC 7517 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKeySet {
    /// It is not JSON.
    NotJson,
    /// It is JSON without the member `keys`, or that is not an array.
    NoKeys,
    /// It has no key for signatures.
    Empty,
}

impl std::fmt::Display for NoKeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotJson => "it is not JSON",
            Self::NoKeys => "it has no array called keys (RFC 7517 5.1)",
            Self::Empty => "it has no key for signatures",
        })
    }
}

/// What became of holding a token's signature against the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// A key made this signature: the one that the token names, or any where it names none.
    Fits {
        /// The key's name, if it has one.
        kid: Option<String>,
    },
    /// Another key made it than the one that the token names.
    FitsAnother {
        /// The other key's name, if it has one.
        kid: Option<String>,
    },
    /// No key made it, though the one that the token names is there, or keys for its algorithm are.
    Fails,
    /// No key has the name that the token gives, and none made the signature.
    KeyUnknown,
    /// The key is not for the token's algorithm.
    AlgorithmDiffers {
        /// What the keys are for: their algorithms where they have any, or else their types.
        keys: String,
    },
}

/// The largest set that is used, in keys.
const MOST_KEYS: usize = 100;

impl KeySet {
    /// Reads a set (RFC 7517 5). Keys for encryption are left out, and so are those beyond the hundredth.
    ///
    /// # Errors
    /// Where it is no set, or has no key for signatures.
    pub fn parse(json: &[u8]) -> Result<Self, NoKeySet> {
        let value: Value = serde_json::from_slice(json).map_err(|_| NoKeySet::NotJson)?;
        let keys = value.get("keys").and_then(Value::as_array).ok_or(NoKeySet::NoKeys)?;
        let keys: Vec<Key> = keys.iter().filter_map(Key::read).take(MOST_KEYS).collect();
        if keys.is_empty() { Err(NoKeySet::Empty) } else { Ok(KeySet { keys }) }
    }

    /// The one key that signer and server share (RFC 7518 3.2).
    pub fn shared_secret(secret: &[u8]) -> Self {
        let key = DecodingKey::from_secret(secret);
        let kind = "a shared secret".to_owned();
        KeySet { keys: vec![Key { kid: None, kind, alg: None, key: Some(key) }] }
    }

    /// Whether a key has that name.
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Key {
    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = text("kty")?;
        if text("use").is_some_and(|used_for| used_for != "sig") {
            return None;
        }
        let jwk: Option<Jwk> = serde_json::from_value(value.clone()).ok();
        let key = jwk.and_then(|jwk| DecodingKey::from_jwk(&jwk).ok());
        Some(Key { kid: text("kid"), kind, alg: text("alg"), key })
    }

    /// Whether a signature with that algorithm may come from this key.
    fn is_for(&self, alg: Algorithm) -> bool {
        let same = |own: &String| own.parse::<Algorithm>().is_ok_and(|own| own == alg);
        let family = self.key.as_ref().is_some_and(|key| key.family() == alg.family());
        family && self.alg.as_ref().is_none_or(same)
    }

    fn made(&self, signature: &str, message: &[u8], alg: Algorithm) -> bool {
        let verify = |key| jsonwebtoken::crypto::verify(signature, message, key, alg);
        self.key.as_ref().is_some_and(|key| verify(key).unwrap_or(false))
    }

    /// What a token for it would have as its algorithm.
    fn suits(&self) -> &str {
        self.alg.as_deref().unwrap_or(&self.kind)
    }
}

/// Holds the signature of a token against all keys of some sets. `None` where that can't tell anything: the token is
/// broken, encrypted or not signed, the algorithm is not known here, or there are no keys.
pub fn check_signature(token: &[u8], jwt: &Jwt, sets: &[&KeySet]) -> Option<Checked> {
    let is_whole = jwt.defects.is_empty() && !jwt.encrypted && jwt.signature_length_fits() != Some(false);
    let alg: Algorithm = jwt.header.alg.as_deref()?.parse().ok()?;
    let (message, signature) = std::str::from_utf8(token).ok()?.rsplit_once('.')?;
    let keys: Vec<&Key> = sets.iter().flat_map(|set| &set.keys).collect();
    if !is_whole || keys.is_empty() {
        return None;
    }
    let kid = jwt.header.kid.as_deref();
    // Whoever shares a secret has no name for it, or one of his own.
    let is_shared = |key: &&&Key| alg.family() == AlgorithmFamily::Hmac && key.kid.is_none();
    let is_named = |key: &&&Key| kid.is_none() || key.kid.as_deref() == kid || is_shared(key);
    let named: Vec<&Key> = keys.iter().filter(is_named).copied().collect();
    let made = |keys: &[&Key]| {
        let key = keys.iter().find(|key| key.is_for(alg) && key.made(signature, message.as_bytes(), alg))?;
        Some(key.kid.clone())
    };
    if let Some(kid) = made(&named) {
        return Some(Checked::Fits { kid });
    }
    if let Some(kid) = made(&keys) {
        return Some(Checked::FitsAnother { kid });
    }
    if named.iter().any(|key| key.is_for(alg)) {
        return Some(Checked::Fails);
    }
    // A key of a kind that can't be used here may well have made it.
    if named.iter().any(|key| key.key.is_none()) {
        return None;
    }
    let is_shared = |key: &&Key| key.key.as_ref().is_some_and(|key| key.family() == AlgorithmFamily::Hmac);
    // Nobody publishes a shared secret, and where one was given alone, no name of a key is known.
    let is_other_kind = !keys.iter().any(|key| key.is_for(alg))
        && (alg.family() == AlgorithmFamily::Hmac || keys.iter().all(is_shared));
    let meant = if named.is_empty() && is_other_kind { &keys } else { &named };
    if meant.is_empty() {
        return Some(Checked::KeyUnknown);
    }
    let mut suits: Vec<&str> = meant.iter().map(|key| key.suits()).collect();
    suits.sort_unstable();
    suits.dedup();
    Some(Checked::AlgorithmDiffers { keys: suits.join(", ") })
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
