//! Fields in a hop header: names and fingerprints in place of values.

use std::fmt::Write;

use crate::auth::token::is_token;
use crate::auth::{Fingerprint, FingerprintKey, Scheme, Secret, parse_credentials};
use crate::exchange::names;
use crate::exchange::redact::Redactor;
use crate::wire::RawHead;
use crate::wire::head::Field;

/// A field of which a hop header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestField {
    /// The name as spelled; of a query parameter with `?` before it; `:target` for the path of the request.
    pub name: String,
    /// The fingerprint of the value.
    pub fingerprint: Fingerprint,
    /// The length of the value in bytes; 0 where it is too short to be told.
    pub length: usize,
    /// Of credentials: the scheme as sent, and the fingerprint of what stands behind it.
    pub scheme: Option<(String, Fingerprint)>,
}

/// The longest name and the longest scheme that are told.
const NAME: usize = 48;
const SCHEME: usize = 24;

/// Fields that are told beside those with keys of their own, in the order in which they get room.
const TOLD: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "www-authenticate",
    "proxy-authenticate",
    "authentication-info",
    "host",
    "dpop",
    "dpop-nonce",
    "cookie",
    "set-cookie",
    "origin",
    "signature",
    "signature-input",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "access-control-request-method",
    "access-control-request-headers",
    "access-control-allow-origin",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "access-control-expose-headers",
    "location",
    "forwarded",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-for",
    "date",
];

/// Whether a digest tells of fields of that name.
pub fn tells_of(name: &str) -> bool {
    rank(name.as_bytes()).is_some()
}

/// How far the room of a digest went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room(Option<usize>);

impl Room {
    /// That of a digest with these fields.
    pub fn of(fields: &[DigestField], is_whole: bool) -> Self {
        match is_whole {
            true => Room(None),
            // Fields are told by rank; of the last one's there may be more that had no room.
            false => Room(Some(fields.iter().filter_map(|field| rank(field.name.as_bytes())).max().unwrap_or(0))),
        }
    }

    /// Whether a field of that name would be told if it had been there.
    pub fn has(self, name: &str) -> bool {
        rank(name.as_bytes()).is_some_and(|rank| self.0.is_none_or(|last| rank < last))
    }
}

/// What room a field gets: a lower number comes first.
fn rank(name: &[u8]) -> Option<usize> {
    const CHALLENGE: &[u8] = b"www-authenticate";
    // A challenge that was renamed is told where it would be under its own name.
    let end = name.get(name.len().saturating_sub(CHALLENGE.len())..).unwrap_or_default();
    let name = if end.eq_ignore_ascii_case(CHALLENGE) { CHALLENGE } else { name };
    let at = TOLD.iter().position(|told| name.eq_ignore_ascii_case(told.as_bytes()));
    // Keys of their own come right behind Authorization.
    at.or_else(|| names::is_key_field(name).then_some(1))
}

/// The fields of a request that are told, the most important first, and the path of its target. `host` is the host that it
/// asks for where that is not what its Host field says, or there is none, as in HTTP/2.
pub fn of_request(head: &RawHead, host: Option<&str>, key: &FingerprintKey) -> Vec<DigestField> {
    let mut fields = of_fields(head, host, key);
    if let Some(host) = host.filter(|_| !head.has("host")) {
        let at = fields.iter().position(|field| rank(field.name.as_bytes()) > rank(b"host")).unwrap_or(fields.len());
        fields.insert(at, plain("host".to_owned(), host.as_bytes(), key));
    }
    let target = head.request_line().target;
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..).unwrap_or_default()),
        None => (target, &b""[..]),
    };
    let parameters = query.split(|byte| *byte == b'&').filter_map(|pair| {
        let at = memchr::memchr(b'=', pair)?;
        let (name, value) = (pair.get(..at)?, pair.get(at + 1..)?);
        names::is_key_parameter(name).then(|| {
            let decoded: Vec<u8> = percent_encoding::percent_decode(value).collect();
            plain(format!("?{}", String::from_utf8_lossy(name)), &decoded, key)
        })
    });
    let at = fields.iter().position(|field| field.name.eq_ignore_ascii_case("host")).unwrap_or(fields.len());
    fields.splice(at..at, std::iter::once(plain(":target".to_owned(), path, key)).chain(parameters));
    fields
}

/// The fields of an answer that are told.
pub fn of_answer(head: &RawHead, key: &FingerprintKey) -> Vec<DigestField> {
    of_fields(head, None, key)
}

fn of_fields(head: &RawHead, host: Option<&str>, key: &FingerprintKey) -> Vec<DigestField> {
    let mut found: Vec<(usize, DigestField)> = head
        .fields()
        .filter(|field| field.name.len() <= NAME && is_token(field.name))
        .filter_map(|field| Some((rank(field.name)?, of_field(head, &field, host, key))))
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, field)| field).collect()
}

fn of_field(head: &RawHead, field: &Field<'_>, host: Option<&str>, key: &FingerprintKey) -> DigestField {
    let name = String::from_utf8_lossy(field.name).into_owned();
    if let Some(host) = host.filter(|_| field.is("host")) {
        return plain(name, host.as_bytes(), key);
    }
    let mut told = plain(name, field.value, key);
    let is_credentials =
        field.is("authorization") || field.is("proxy-authorization") || told.name.ends_with("uthorization");
    if is_credentials {
        let credentials = parse_credentials(&head.shared_value(field.index));
        let scheme = &credentials.scheme_as_sent;
        if scheme.len() <= SCHEME && (scheme.is_empty() || is_token(scheme.as_bytes())) {
            told.scheme = Some((scheme.clone(), credentials.secret.fingerprint(key)));
        }
    } else if names::is_key_field(field.name) {
        told.scheme = Some((String::new(), told.fingerprint));
    }
    told
}

fn plain(name: String, value: &[u8], key: &FingerprintKey) -> DigestField {
    let length = if value.len() < Redactor::SHORT { 0 } else { value.len() };
    let fingerprint = Secret::new(bytes::Bytes::copy_from_slice(value)).fingerprint(key);
    DigestField { name, fingerprint, length, scheme: None }
}

/// Writes fields as long as they have room, and `+` where not all had.
pub(super) fn write(text: &mut String, fields: &[DigestField], is_whole: bool, room: usize) {
    let start = text.len();
    let mut is_whole = is_whole;
    for field in fields {
        let before = text.len();
        if before > start {
            text.push(',');
        }
        // Writing to a String can't fail.
        let _ = write!(text, "{}:{}:{}", field.name, field.fingerprint, field.length);
        if let Some((scheme, secret)) = &field.scheme {
            let _ = write!(text, ":{scheme}:{secret}");
        }
        if text.len() - start > room {
            text.truncate(before);
            is_whole = false;
            break;
        }
    }
    if text.len() == start {
        text.push('-');
    }
    if !is_whole {
        text.push_str(",+");
    }
}

/// Reads what [`write()`] wrote; the second value is whether all fields had room.
pub(super) fn read(text: &str) -> Option<(Vec<DigestField>, bool)> {
    let (text, is_whole) = match text.strip_suffix(",+") {
        Some(text) => (text, false),
        None => (text, true),
    };
    if text == "-" {
        return Some((Vec::new(), is_whole));
    }
    let fields = text.split(',').map(|field| {
        // A pseudo-name begins with a colon, which parts nothing.
        let (mark, rest) = if field.starts_with(':') { field.split_at(1) } else { ("", field) };
        let mut parts = rest.split(':');
        let name = format!("{mark}{}", parts.next()?);
        let fingerprint = Fingerprint::parse(parts.next()?)?;
        let length = parts.next()?.parse().ok()?;
        let scheme = match (parts.next(), parts.next()) {
            (Some(scheme), Some(secret)) => Some((scheme.to_owned(), Fingerprint::parse(secret)?)),
            (None, _) => None,
            _ => return None,
        };
        parts.next().is_none().then_some(DigestField { name, fingerprint, length, scheme })
    });
    Some((fields.collect::<Option<_>>()?, is_whole))
}

/// What kind of credentials a scheme as sent stands for.
pub(super) fn scheme_of(as_sent: &str) -> Option<Scheme> {
    (!as_sent.is_empty()).then(|| Scheme::parse(as_sent.as_bytes()))
}
