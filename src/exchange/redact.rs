//! What may be shown of an exchange, decided when a record is made and not when it is printed.
//!
//! A value is shown only where its field is on the list of safe ones; of any other there is a fingerprint and a length.
//! Equal values have equal fingerprints under one key.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;

use super::looks::{has_escapes, is_id, is_no_word, is_of_word, is_plain, looks_made};
use super::names;
use super::recalled::Recalled;
use crate::auth::token::is_token;
use crate::auth::{
    AuthParam, Challenge, Credentials, FingerprintKey, Scheme, Secret, looks_like_jwt, parse_challenges,
    parse_credentials,
};

/// Decides what is shown.
pub struct Redactor {
    /// What was made of what came before.
    pub(super) recalled: RefCell<Recalled>,
    /// Of this run alone.
    hashes: RandomState,
    key: FingerprintKey,
    key_id: String,
    shown: HashSet<String>,
    masked: HashSet<String>,
    all: bool,
}

/// The spaces and quotes between a scheme and its secret, and the quote behind it: nothing of them is secret, and a server
/// may mind them.
fn around_secret(value: &[u8], secret_at: usize) -> (&str, &str) {
    const MOST: usize = 8;
    let before = value.get(..secret_at).unwrap_or_default();
    let is_mark = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'');
    let length = before.iter().rev().take(MOST).take_while(is_mark).count();
    let marks = before.len().checked_sub(length).and_then(|at| before.get(at..));
    let marks = marks.and_then(|marks| std::str::from_utf8(marks).ok()).filter(|marks| !marks.is_empty());
    let behind = match value.last() {
        Some(b'"') => "\"",
        Some(b'\'') => "'",
        _ => "",
    };
    (marks.unwrap_or(" "), if before.ends_with(behind.as_bytes()) { behind } else { "" })
}

impl Redactor {
    /// Lengths below this are not told: they would help to guess.
    pub const SHORT: usize = 16;

    /// Shows what is safe, and the fields called one of `shown`.
    pub fn new(key: FingerprintKey, shown: impl IntoIterator<Item = String>) -> Self {
        let shown = shown.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        Redactor {
            recalled: RefCell::default(),
            hashes: RandomState::new(),
            key_id: key.id(),
            key,
            shown,
            masked: HashSet::new(),
            all: false,
        }
    }

    /// Masks fields, query parameters and parameters of challenges that are called so, whatever else is said of them.
    pub fn masking(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.masked = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        self
    }

    /// Whether the operator asked to mask what is called so.
    pub fn masks(&self, name: &[u8]) -> bool {
        !self.masked.is_empty() && self.masked.contains(&String::from_utf8_lossy(name).to_ascii_lowercase())
    }

    /// Whether the operator asked to mask anything.
    pub fn masks_any(&self) -> bool {
        !self.masked.is_empty()
    }

    /// Shows everything, secrets too.
    pub fn show_everything(mut self) -> Self {
        self.all = true;
        self
    }

    /// Masks again what is not on the safe list.
    pub fn show_no_more(&mut self) {
        self.all = false;
        // What is kept of earlier lines has secrets in it.
        self.forget();
    }

    /// A hash of 64 bits, for what is only compared within this run and never shown: wide enough that no two of the many
    /// things that are remembered look like one, and not to be chosen by whoever sends them.
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        self.hashes.hash_one(bytes)
    }

    /// The key of all fingerprints.
    pub fn key(&self) -> &FingerprintKey {
        &self.key
    }

    /// What names the key: fingerprints of one key can be compared.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The value of a field as it may be shown, in the form of records: `Bearer <redacted fp=3fa9c1d2 len=812>`.
    pub fn field(&self, name: &[u8], value: &[u8]) -> String {
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        if self.shows(&lower) {
            return String::from_utf8_lossy(value).into_owned();
        }
        if self.masked.contains(&lower) {
            return self.secret(value);
        }
        if names::is_safe_field(name) {
            return self.safe_value(value);
        }
        if names::is_id_field(name) && is_id(value) {
            return String::from_utf8_lossy(value).into_owned();
        }
        match lower.as_str() {
            // A gateway that takes the challenge's name away mostly puts something before it.
            "www-authenticate" | "proxy-authenticate" => self.challenges(value, &parse_challenges(value).challenges),
            name if name.ends_with("-www-authenticate") => self.challenges(value, &parse_challenges(value).challenges),
            "authorization" | "proxy-authorization" => {
                let value = Bytes::copy_from_slice(value);
                self.credentials(&value, &parse_credentials(&value))
            }
            "location" | "content-location" | "referer" => self.target(value),
            _ => self.secret(value),
        }
    }

    /// The value of a field whose credentials were read already, as [`Self::field`] shows it.
    pub fn field_with(&self, name: &[u8], value: &[u8], parsed: &Credentials) -> String {
        match self.shows(&String::from_utf8_lossy(name).to_ascii_lowercase()) {
            true => String::from_utf8_lossy(value).into_owned(),
            false if self.masks(name) => self.secret(value),
            false => self.credentials(value, parsed),
        }
    }

    fn shows(&self, lower_name: &str) -> bool {
        self.all || (self.shown.contains(lower_name) && !self.masked.contains(lower_name))
    }

    /// The value of a field that is known to hold no secret, unless somebody put one there: in its user information, in
    /// a line that was folded into it, as a word that was made at random.
    fn safe_value(&self, value: &[u8]) -> String {
        let folded = memchr::memchr2(b'\r', b'\n', value).unwrap_or(value.len());
        let (value, rest) = value.split_at(folded);
        let text = String::from_utf8_lossy(value);
        let mut shown = match text.rsplit_once('@') {
            Some((before, host)) if !before.contains(' ') => self.userinfo(before) + "@" + host,
            _ => text.into_owned(),
        };
        if shown.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()).any(looks_made) {
            shown =
                self.words(&shown, |word| !word.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()).any(looks_made));
        }
        if !rest.is_empty() {
            shown.push_str(&self.secret(rest));
        }
        shown
    }

    /// The authority of a request, without its user information.
    pub fn authority(&self, authority: &str) -> String {
        match self.all {
            true => authority.to_owned(),
            false if self.masks(b"host") => self.secret(authority.as_bytes()),
            false => self.safe_value(authority.as_bytes()),
        }
    }

    /// What stands before the host in a URL or an authority, with its scheme if there is one.
    fn userinfo(&self, before: &str) -> String {
        match before.split_once("://") {
            Some((scheme, userinfo)) => format!("{scheme}://{}", self.secret(userinfo.as_bytes())),
            None => self.secret(before.as_bytes()),
        }
    }

    /// A field's name, a method or a scheme: shown where it is a plain token. Of anything else there is its first word,
    /// where that is a name that is known to carry credentials.
    pub fn name<'a>(&self, name: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(name);
        if self.all || (is_token(name) && is_plain(&text, 64)) { text } else { Cow::Owned(self.line(name)) }
    }

    /// A line that has no colon, so that nobody can tell its name from its value: its first word, where that is a name
    /// that is known.
    pub fn line(&self, line: &[u8]) -> String {
        let end = line.iter().position(|byte| !is_token(&[*byte])).unwrap_or(line.len());
        let (first, rest) = line.split_at(end);
        if self.all {
            String::from_utf8_lossy(line).into_owned()
        } else if names::is_known_field(first) {
            String::from_utf8_lossy(first).into_owned() + &self.secret(rest)
        } else {
            self.secret(line)
        }
    }

    /// Scheme and fingerprint of the value of Authorization.
    fn credentials(&self, value: &[u8], parsed: &Credentials) -> String {
        let scheme = parsed.scheme_as_sent.as_str();
        let rest = value.get(parsed.secret_at.min(value.len())..).unwrap_or_default();
        match (scheme, rest.is_empty()) {
            ("", true) => String::new(),
            ("", false) => self.secret(value),
            (scheme, true) => scheme.to_owned(),
            (scheme, false) => {
                let (before, behind) = around_secret(value, parsed.secret_at);
                format!("{scheme}{before}{}{behind}", self.mask(&parsed.secret))
            }
        }
    }

    /// The value of a field whose challenges were read already, as [`Self::field`] shows it.
    pub fn field_with_challenges(&self, name: &[u8], value: &[u8], parsed: &[Challenge]) -> String {
        match self.shows(&String::from_utf8_lossy(name).to_ascii_lowercase()) {
            true => String::from_utf8_lossy(value).into_owned(),
            false if self.masks(name) => self.secret(value),
            false => self.challenges(value, parsed),
        }
    }

    /// Challenges without their nonces and other one-time values.
    fn challenges(&self, value: &[u8], parsed: &[Challenge]) -> String {
        if parsed.is_empty() {
            return if value.is_empty() { String::new() } else { self.secret(value) };
        }
        let mut text = String::with_capacity(value.len());
        for (number, challenge) in parsed.iter().enumerate() {
            text.push_str(if number == 0 { "" } else { ", " });
            text.push_str(&self.name(challenge.scheme_as_sent.as_bytes()));
            if let Some(token68) = &challenge.token68 {
                text.push(' ');
                text.push_str(&self.secret(token68.as_bytes()));
            }
            for (number, param) in challenge.params.iter().enumerate() {
                text.push_str(if number == 0 { " " } else { ", " });
                text.push_str(&self.name(param.name_as_sent.as_bytes()));
                text.push('=');
                let value = self.param(param);
                match param.quoted {
                    true if has_escapes(&value) => text.push_str(&format!("{value:?}")),
                    true => text.extend(["\"", &value, "\""]),
                    false => text.push_str(&value),
                }
            }
        }
        text
    }

    /// The value of a challenge's parameter: what is meant for everybody, without what looks like a token in it.
    pub fn param(&self, param: &AuthParam) -> String {
        if self.all {
            param.value.clone()
        } else if !param.is_safe_to_show() || self.masks(param.name.as_bytes()) {
            self.secret(param.value.as_bytes())
        } else if param.value.contains("://") && !param.value.contains(' ') {
            self.target(param.value.as_bytes())
        } else {
            self.text(&param.value)
        }
    }

    /// The text without the secrets, in whichever place they stand.
    pub fn without<'s>(&self, mut text: String, secrets: impl Iterator<Item = &'s Secret>) -> String {
        if self.all {
            return text;
        }
        for secret in secrets {
            if let Some(spelled) = spelled_in(&text, secret) {
                text = text.replace(spelled, &self.mask(secret));
            }
        }
        text
    }

    /// Whether one of the secrets stands in the text, and may not be shown there.
    pub fn has_any<'s>(&self, text: &str, mut secrets: impl Iterator<Item = &'s Secret>) -> bool {
        !self.all && secrets.any(|secret| spelled_in(text, secret).is_some())
    }

    /// The text without these values, which are too short to look for where they have less than three bytes.
    pub fn without_values<'v>(&self, mut text: String, values: impl Iterator<Item = &'v [u8]>) -> String {
        for value in values {
            if let Ok(spelled) = std::str::from_utf8(value)
                && spelled.len() >= 3
                && !self.all
                && text.contains(spelled)
            {
                text = text.replace(spelled, &self.secret(value));
            }
        }
        text
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
            Some((before, host)) => self.userinfo(before) + "@" + host,
            None => origin.to_owned(),
        };
        let mut shown = origin;
        shown.reserve(path.len());
        for (number, segment) in path.split('/').enumerate() {
            if number > 0 {
                shown.push('/');
            }
            match is_plain(segment, 40) {
                true => shown.push_str(segment),
                false => shown.push_str(&self.secret(segment.as_bytes())),
            }
        }
        shown
    }

    fn query(&self, query: &str) -> String {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) => {
                let harmless =
                    names::is_safe_parameter(name.as_bytes()) && is_plain(value, 32) && !self.masks(name.as_bytes());
                let name = if is_plain(name, 40) { name.to_owned() } else { self.secret(name.as_bytes()) };
                let value = if harmless || value.is_empty() { value.to_owned() } else { self.secret(value.as_bytes()) };
                format!("{name}={value}")
            }
            // `?wsdl` and the like.
            None if pair.len() <= 16 && pair.bytes().all(|byte| byte.is_ascii_alphabetic()) => pair.to_owned(),
            None => self.secret(pair.as_bytes()),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// A text with all that looks like a token masked; words and error codes stay.
    pub fn text(&self, text: &str) -> String {
        if self.all { text.to_owned() } else { self.words(text, |word| is_plain(word, 64)) }
    }

    /// The text with each word masked that may not be shown.
    fn words(&self, text: &str, is_shown: impl Fn(&str) -> bool) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(mark) = mark_at(rest) {
                shown.push_str(mark);
                rest = &rest[mark.len()..];
                continue;
            }
            let (word, after) = rest.split_at(rest.find(|char| !is_of_word(char)).unwrap_or(rest.len()));
            if is_shown(word) {
                shown.push_str(word);
            } else {
                shown.push_str(&self.secret(word.as_bytes()));
            }
            let next_word = after.find(is_of_word).unwrap_or(after.len());
            let before_mark =
                next_word.checked_sub(1).filter(|at| after.get(*at..).is_some_and(|rest| mark_at(rest).is_some()));
            let (between, next) = after.split_at(before_mark.unwrap_or(next_word));
            shown.push_str(between);
            rest = next;
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
}

/// The mark at the start of a text that stands for a secret already: nothing but what [`Redactor`] itself writes.
fn mark_at(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("<redacted fp=")?;
    let (fingerprint, length) = inside.split_at_checked(8)?;
    let length = length.strip_prefix(" len=").or_else(|| length.strip_prefix(" len<"))?;
    let (digits, _) = length.split_once('>')?;
    let is_mark = fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (1..=7).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_mark.then(|| &text[..text.len() - length.len() + digits.len() + 1])
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

/// How the secret is spelled in the text, if it is there and is not a word that it would have anyway.
fn spelled_in<'s>(text: &str, secret: &'s Secret) -> Option<&'s str> {
    // A text that is too short has nothing to look for, and a long token is not looked at again for each.
    if secret.len() > text.len() {
        return None;
    }
    let spelled = std::str::from_utf8(secret.expose()).ok().filter(|spelled| is_no_word(spelled))?;
    text.contains(spelled).then_some(spelled)
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
    fn safe_values_stay_as_they_are_unless_a_secret_was_put_there() {
        let redactor = redactor();
        for (name, value) in [
            ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"),
            ("Accept", "application/vnd.github.v3+json, text/html;q=0.9, */*;q=0.8"),
            ("Date", "Tue, 24 Nov 2026 12:01:07 GMT"),
            ("Host", "orders.default.svc.cluster.local:8080"),
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
            ("Access-Control-Allow-Headers", "authorization, x-requested-with, x-b3-traceid"),
            ("Content-Type", "multipart/form-data; boundary=12345678"),
            ("Via", "1.1 varnish (Varnish/7.4), 2.0 proxy"),
        ] {
            assert_eq!(redactor.field(name.as_bytes(), value.as_bytes()), value);
        }
        for (name, value, shown) in [
            ("Accept", "*/*\r\n Authorization: Bearer hunter2", "*/*<redacted"),
            ("Host", "alice:hunter2@a.example", "<redacted"),
            ("Origin", "https://alice:hunter2@a.example", "https://<redacted"),
            ("Server", "app hunter2hunter2Hunter2", "app <redacted"),
        ] {
            let got = redactor.field(name.as_bytes(), value.as_bytes());
            assert!(got.starts_with(shown) && !got.contains("hunter2"), "{got}");
        }
    }

    #[test]
    fn of_a_line_without_a_colon_only_a_known_name_is_shown() {
        let redactor = redactor();
        for (line, shown) in [
            ("Authorization Bearer hunter2", "Authorization<redacted"),
            ("x-api-key=hunter2", "x-api-key<redacted"),
            ("hunter2", "<redacted"),
            ("Bearer hunter2", "<redacted"),
        ] {
            let got = redactor.line(line.as_bytes());
            assert!(got.starts_with(shown) && !got.contains("hunter2"), "{got}");
        }
    }

    #[test]
    fn challenges_keep_their_words() {
        let redactor = redactor();
        for value in [
            "Bearer realm=\"orders API\", error=\"invalid_token\", error_description=\"The token has expired\"",
            "Bearer resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\"",
            "Basic realm=\"a b\", charset=\"UTF-8\"",
            "AzureApiManagementKey realm=\"https://acme.example/orders\"",
            "Bearer scope=\"openid profile https://www.googleapis.com/auth/cloud-platform\"",
        ] {
            assert_eq!(redactor.field(b"WWW-Authenticate", value.as_bytes()), value);
        }
        let token = "k3JqX9vB2mN7pL5tR8wY";
        for value in [
            format!("Bearer error_description=\"the token {token} has expired\""),
            format!("Bearer authorization_uri=\"https://idp.example/?code={token}#{token}\""),
            format!("{token} realm=\"a\""),
            format!("Bearer {token}=\"a\""),
        ] {
            let shown = redactor.field(b"WWW-Authenticate", value.as_bytes());
            assert!(!shown.contains(token), "{shown}");
        }
    }

    #[test]
    fn what_was_sent_is_taken_out_of_what_comes_back() {
        let secrets = ["hunter2-blue", "ab", "password"].map(|secret| Secret::new(secret.into()));
        let shown = redactor().without("no hunter2-blue, no ab, wrong password".to_owned(), secrets.iter());
        assert!(shown.starts_with("no <redacted fp=") && shown.ends_with(", no ab, wrong password"), "{shown}");
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
    fn what_is_masked_already_stays() {
        let redactor = redactor();
        let mark = redactor.secret(b"sk-abc123DEF456ghi789");
        assert_eq!(redactor.text(&format!("key: {mark}!")), format!("key: {mark}!"));
        let forged = redactor.text("<redacted fp=sk-abc12 len=3DEF456ghi789>");
        assert!(!forged.contains("3DEF456ghi789"), "{forged}");
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
