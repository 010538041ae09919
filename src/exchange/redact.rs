//! What may be shown of an exchange, decided when a record is made and not when it is printed.
//!
//! A value is shown only where its field is on the list of safe ones; of any other there is a fingerprint and a length.
//! Equal values have equal fingerprints under one key.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;

use super::names;
use crate::auth::token::is_token;
use crate::auth::{FingerprintKey, Scheme, Secret, looks_like_jwt, parse_challenges};

/// Decides what is shown.
pub struct Redactor {
    key: FingerprintKey,
    shown: HashSet<String>,
    all: bool,
}

impl Redactor {
    /// Lengths below this are not told: they would help to guess.
    pub const SHORT: usize = 16;

    /// Shows what is safe, and the fields called one of `shown`.
    pub fn new(key: FingerprintKey, shown: impl IntoIterator<Item = String>) -> Self {
        let shown = shown.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        Redactor { key, shown, all: false }
    }

    /// Shows everything, secrets too.
    pub fn show_everything(mut self) -> Self {
        self.all = true;
        self
    }

    /// The key of all fingerprints.
    pub fn key(&self) -> &FingerprintKey {
        &self.key
    }

    /// The value of a field as it may be shown, in the form of records: `Bearer <redacted fp=3fa9c1d2 len=812>`.
    pub fn field(&self, name: &[u8], value: &[u8]) -> String {
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        if self.all || self.shown.contains(&lower) || names::is_safe_field(name) {
            return String::from_utf8_lossy(value).into_owned();
        }
        match lower.as_str() {
            "www-authenticate" | "proxy-authenticate" => self.challenge(value),
            "authorization" | "proxy-authorization" => self.credentials(value),
            "location" | "content-location" | "referer" => self.target(value),
            _ => self.secret(value),
        }
    }

    /// A field's name, a method, or what a broken line has in their place: shown where it is a plain token.
    pub fn name<'a>(&self, name: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(name);
        if self.all || (is_token(name) && is_plain(&text, 64)) { text } else { Cow::Owned(self.text(&text)) }
    }

    /// Scheme and fingerprint of the value of Authorization.
    fn credentials(&self, value: &[u8]) -> String {
        let value = Bytes::copy_from_slice(value);
        let parsed = crate::auth::parse_credentials(&value);
        let scheme = parsed.scheme_as_sent.as_str();
        let rest = value.get(parsed.secret_at.min(value.len())..).unwrap_or_default();
        match (scheme, rest.is_empty()) {
            ("", true) => String::new(),
            ("", false) => self.secret(&value),
            (scheme, true) => scheme.to_owned(),
            (scheme, false) => format!("{scheme} {}", self.mask(&parsed.secret)),
        }
    }

    /// A challenge without its nonces and other one-time values.
    fn challenge(&self, value: &[u8]) -> String {
        let parsed = parse_challenges(value);
        if parsed.challenges.is_empty() {
            return if value.is_empty() { String::new() } else { self.secret(value) };
        }
        let shown = parsed.challenges.iter().map(|challenge| {
            let mut text = challenge.scheme_as_sent.clone();
            if let Some(token68) = &challenge.token68 {
                text.push(' ');
                text.push_str(&self.secret(token68.as_bytes()));
            }
            for (number, param) in challenge.params.iter().enumerate() {
                text.push_str(if number == 0 { " " } else { ", " });
                text.push_str(&param.name_as_sent);
                text.push('=');
                let value =
                    if param.is_safe_to_show() { param.value.clone() } else { self.secret(param.value.as_bytes()) };
                text.push_str(&if param.quoted { format!("{value:?}") } else { value });
            }
            text
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// A request target or a URL: long or token-like path segments and all but harmless query values are masked.
    pub fn target(&self, target: &[u8]) -> String {
        let text = String::from_utf8_lossy(target);
        if self.all {
            return text.into_owned();
        }
        let (text, fragment) = match text.split_once('#') {
            Some((text, fragment)) => (text, Some(fragment)),
            None => (text.as_ref(), None),
        };
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let mut shown = self.path(path);
        if let Some(query) = query {
            shown.push('?');
            shown.push_str(&self.query(query));
        }
        if let Some(fragment) = fragment {
            shown.push('#');
            shown.push_str(&self.secret(fragment.as_bytes()));
        }
        shown
    }

    fn path(&self, path: &str) -> String {
        let (origin, path) = match path.find("://") {
            Some(at) => {
                let end = path[at + 3..].find('/').map_or(path.len(), |slash| at + 3 + slash);
                path.split_at(end)
            }
            None => ("", path),
        };
        let origin = match origin.rsplit_once('@') {
            Some((before, host)) => {
                let (scheme, userinfo) = before.split_once("://").unwrap_or(("", before));
                format!("{scheme}://{}@{host}", self.secret(userinfo.as_bytes()))
            }
            None => origin.to_owned(),
        };
        let segments = path
            .split('/')
            .map(|segment| if is_plain(segment, 40) { segment.to_owned() } else { self.secret(segment.as_bytes()) });
        origin + &segments.collect::<Vec<_>>().join("/")
    }

    fn query(&self, query: &str) -> String {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) => {
                let harmless = names::is_safe_parameter(name.as_bytes()) && is_plain(value, 32);
                let name = if is_plain(name, 40) { name.to_owned() } else { self.secret(name.as_bytes()) };
                let value = if harmless || value.is_empty() { value.to_owned() } else { self.secret(value.as_bytes()) };
                format!("{name}={value}")
            }
            None if is_plain(pair, 24) => pair.to_owned(),
            None => self.secret(pair.as_bytes()),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// A text with all that looks like a token masked; words and error codes stay.
    pub fn text(&self, text: &str) -> String {
        if self.all {
            return text.to_owned();
        }
        let mut shown = String::with_capacity(text.len());
        let mut word = String::new();
        for char in text.chars().chain(std::iter::once('\0')) {
            if char.is_alphanumeric() || matches!(char, '-' | '_' | '.' | '+' | '/' | '=' | '~' | '%') {
                word.push(char);
                continue;
            }
            if is_plain(&word, 40) {
                shown.push_str(&word);
            } else {
                shown.push_str(&self.secret(word.as_bytes()));
            }
            word.clear();
            if char != '\0' {
                shown.push(char);
            }
        }
        shown
    }

    /// A value of which nothing is shown.
    pub fn secret(&self, value: &[u8]) -> String {
        self.mask(&Secret::new(Bytes::copy_from_slice(value)))
    }

    fn mask(&self, secret: &Secret) -> String {
        if self.all {
            return String::from_utf8_lossy(secret.expose()).into_owned();
        }
        if secret.is_empty() {
            return String::new();
        }
        let fingerprint = secret.fingerprint(&self.key);
        match secret.len() {
            length if length < Self::SHORT => format!("<redacted fp={fingerprint} len<{}>", Self::SHORT),
            length => format!("<redacted fp={fingerprint} len={length}>"),
        }
    }

    /// A secret as the screen names it: `jwt#7f3a`, `key#c41d`.
    pub fn label(&self, kind: &str, secret: &Secret) -> String {
        format!("{kind}#{}", secret.fingerprint(&self.key).short())
    }
}

/// What kind of secret it is, in a word, as the screen names it.
pub fn kind_of_secret(scheme: Option<&Scheme>, secret: &Secret) -> &'static str {
    match scheme {
        _ if looks_like_jwt(secret.expose()) => "jwt",
        Some(Scheme::Basic) => "password",
        Some(Scheme::Digest) => "digest",
        Some(Scheme::Negotiate | Scheme::Ntlm) => "message",
        Some(Scheme::Aws4HmacSha256 | Scheme::Signature) => "signature",
        Some(_) => "token",
        None => "key",
    }
}

/// Whether a word is short and has the look of a name or a number, not of something that was made at random.
///
/// Digits between letters, capitals in odd places and length all speak for a secret; a hyphenated name, a number, a
/// UUID and a version do not.
fn is_plain(word: &str, most: usize) -> bool {
    let looks_random = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
        let turns = part
            .as_bytes()
            .windows(2)
            .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit() || is_odd_capital(pair[0], pair[1]))
            .count();
        part.len() > 24 || (part.len() >= 8 && letters > 0 && (turns > 3 || (digits > 2 && turns > 2)))
    };
    word.len() <= most
        && !word.contains(['=', '%', '+'])
        && !word.split(['-', '_', '.', '/', '~', ':', ',']).any(looks_random)
}

fn is_odd_capital(before: u8, after: u8) -> bool {
    before.is_ascii_uppercase() && after.is_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(FingerprintKey::from_bytes(b"test"), ["X-Team".to_owned()])
    }

    #[test]
    fn an_unknown_field_is_masked_and_a_safe_one_is_not() {
        let redactor = redactor();
        assert_eq!(redactor.field(b"ACCEPT", b"text/html"), "text/html");
        assert_eq!(redactor.field(b"x-team", b"blue"), "blue");
        assert!(!redactor.field(b"X-Internal", b"open-sesame").contains("sesame"));
        assert!(redactor.field(b"X-Internal", b"open-sesame").ends_with(" len<16>"));
    }

    #[test]
    fn of_credentials_the_scheme_is_shown() {
        let redactor = redactor();
        let shown = redactor.field(b"Authorization", b"Bearer abcdefghijklmnopqrstuvwxyz");
        assert!(shown.starts_with("Bearer <redacted fp=") && shown.ends_with(" len=26>"), "{shown}");
        let raw = redactor.field(b"Authorization", b"eyJhbGciOiJIUzI1NiJ9.e30.c2ln");
        assert!(raw.starts_with("<redacted"), "{raw}");
        assert_eq!(redactor.field(b"Authorization", b""), "");
    }

    #[test]
    fn of_a_challenge_the_nonce_is_masked() {
        let shown =
            redactor().field(b"WWW-Authenticate", b"Digest realm=\"a b\", nonce=\"abcdefgh\", Basic realm=\"c\"");
        assert!(shown.starts_with("Digest realm=\"a b\", nonce=\"<redacted fp="), "{shown}");
        assert!(shown.ends_with("\", Basic realm=\"c\""), "{shown}");
    }

    #[test]
    fn targets_keep_what_is_plain() {
        let redactor = redactor();
        assert_eq!(redactor.target(b"/v1/orders?page=2&limit=10"), "/v1/orders?page=2&limit=10");
        assert_eq!(redactor.target(b"/.well-known/openid-configuration"), "/.well-known/openid-configuration");
        for hidden in [
            "/reset/eyJhbGciOiJIUzI1NiJ9",
            "/a?access_token=hunter2",
            "/a?q=Zm9vYmFyYmF6cXV4cXV1eA==",
            "https://u:hunter2@x/a#access_token=hunter2",
            "/a?hunter2hunter2hunter2hunter2",
        ] {
            let shown = redactor.target(hidden.as_bytes());
            assert!(!shown.contains("hunter2") && !shown.contains("eyJ") && !shown.contains("Zm9v"), "{shown}");
        }
    }

    #[test]
    fn a_text_keeps_words_and_loses_tokens() {
        let redactor = redactor();
        let text = "{\"error\":\"invalid_token\",\"message\":\"Token sk-abc123DEF456ghi789 has expired.\"}";
        let shown = redactor.text(text);
        assert!(shown.contains("invalid_token") && shown.contains("has expired."), "{shown}");
        assert!(!shown.contains("abc123DEF456"), "{shown}");
    }
}
