//! `Authorization` and `Proxy-Authorization`: one field value to a scheme and a secret (RFC 9110 11.4, 11.6.2, 11.7.2).
//!
//! Deviations from RFC 9110, each with its defect: see `credentials_split` for what is read as a scheme although the
//! grammar would not have it.

use bytes::Bytes;

use super::basic::{Basic, parse_basic};
use super::credentials_split::{Span, Split, find_joined, is_parameter_list, split};
use super::defect::{Defect, DefectKind, Defects};
use super::digest::{DigestResponse, parse_digest};
use super::jwt::{Jwt, looks_like_jwt, parse_jwt};
use super::negotiate::{Message, parse_message};
use super::parameter::parse_parameters;
use super::placeholder::Placeholder;
use super::scheme::Scheme;
use super::secret::Secret;
use super::sigv4::{SigV4, parse_sigv4};
use super::token::is_b64token;

/// How much of a value is analysed; no server takes a header section of this size.
const LONGEST: usize = 64 * 1024;

/// What one field value offers. It has no `Debug`, because it holds the secret.
pub struct Credentials {
    /// The scheme; `None` where none can be recognised, so that the whole value is the secret.
    pub scheme: Option<Scheme>,
    /// The scheme as it was sent; empty where there is none. Never a part of the secret: a word that may be a token
    /// is not taken for a scheme.
    pub scheme_as_sent: String,
    /// What follows the scheme, without the quotes and marks that the defects tell of, up to the next of several
    /// joined credentials. Equal secrets in differently broken fields thus have one fingerprint.
    pub secret: Secret,
    /// Offset of the secret in the field value.
    pub secret_at: usize,
    /// What the scheme makes of it.
    pub detail: Detail,
    /// The placeholder that was sent in place of the secret, if one was.
    pub placeholder: Option<Placeholder>,
    /// Further credentials in the same value, behind a comma.
    pub joined: Vec<Joined>,
    /// What is wrong, including the defects inside of a token.
    pub defects: Vec<Defect>,
}

/// Credentials that follow others in one value, which allows for one only (RFC 9110 11.6.2).
pub struct Joined {
    /// The scheme.
    pub scheme: Scheme,
    /// Offset of the scheme in the field value.
    pub at: usize,
    /// What follows it.
    pub secret: Secret,
}

/// The data of the scheme, read.
pub enum Detail {
    /// Nothing there, or nothing readable, or a placeholder.
    None,
    /// User and password.
    Basic(Basic),
    /// A JSON web token, in whatever scheme.
    Jwt(Box<Jwt>),
    /// A token or key without structure.
    Opaque,
    /// A Digest response.
    Digest(Box<DigestResponse>),
    /// A message of Negotiate or NTLM.
    Negotiate(Message),
    /// A signature of AWS.
    SigV4(Box<SigV4>),
    /// Parameters of another scheme, by their names alone, in lower case.
    Params(Vec<String>),
}

impl Credentials {
    /// Whether there is a defect of that kind.
    pub fn has(&self, kind: DefectKind) -> bool {
        self.defects.iter().any(|defect| defect.kind == kind)
    }
}

/// Reads the value of one `Authorization` or `Proxy-Authorization` field (RFC 9110 11.6.2, 11.7.2).
pub fn parse_credentials(value: &Bytes) -> Credentials {
    let mut defects = Defects::default();
    let text = value.get(..LONGEST).unwrap_or(value);
    if value.len() > LONGEST {
        defects.push(DefectKind::CredentialsTooLong, LONGEST);
    }
    let Split { scheme, scheme_at, scheme_as_sent, mut data } = split(text, &mut defects);
    if let Some(scheme) = &scheme {
        let differs = scheme.registered_spelling().is_some_and(|spelling| spelling != scheme_as_sent);
        if differs {
            defects.push(DefectKind::SchemeSpelling, scheme_at);
        }
    }
    let joined = read_joined(value, text, &scheme, &mut data, &mut defects);
    let is_list = scheme.as_ref().is_some_and(|scheme| is_parameter_list(scheme, data.of(text)));
    if !is_list {
        take_quotes_off(text, &mut data, &mut defects);
    }
    let bytes = data.of(text);
    let mut placeholder = Placeholder::recognise(bytes);
    if placeholder.is_some() {
        defects.push(DefectKind::TokenPlaceholder, data.start);
    } else if !is_list {
        check_characters(bytes, data.start, scheme.as_ref(), &mut defects);
    }
    let detail = match placeholder {
        None if !bytes.is_empty() => read_detail(bytes, data.start, scheme.as_ref(), is_list, &mut defects),
        _ => Detail::None,
    };
    if let Detail::Basic(basic) = &detail {
        placeholder = placeholder.or(basic.placeholder);
    }
    // The secret is whole even where the analysis was cut, so that its length and fingerprint are the true ones.
    let end = if value.len() > LONGEST && data.end == text.len() { value.len() } else { data.end };
    Credentials {
        scheme,
        scheme_as_sent,
        secret: Secret::new(value.slice(data.start..end)),
        secret_at: data.start,
        detail,
        placeholder,
        joined,
        defects: defects.finish(),
    }
}

/// Cuts further credentials off the data and returns them.
fn read_joined(
    value: &Bytes,
    text: &[u8],
    scheme: &Option<Scheme>,
    data: &mut Span,
    defects: &mut Defects,
) -> Vec<Joined> {
    let found = find_joined(text, *data, scheme.as_ref());
    if let Some(first) = found.first() {
        data.end = first.before_end;
        defects.push(DefectKind::CredentialsJoined, first.at);
    }
    let one = |(scheme, at, secret): (Scheme, usize, Span)| Joined {
        scheme,
        at,
        secret: Secret::new(value.slice(secret.start..secret.end)),
    };
    found.into_iter().map(|next| one((next.scheme, next.at, next.data))).collect()
}

fn take_quotes_off(text: &[u8], data: &mut Span, defects: &mut Defects) {
    let is_quote = |byte: Option<&u8>| matches!(byte, Some(b'"' | b'\''));
    let start = data.start;
    if is_quote(data.of(text).first()) {
        defects.push_once(DefectKind::TokenQuoted, start);
        data.start += 1;
    }
    if is_quote(data.of(text).last()) {
        data.end -= 1;
        defects.push_once(DefectKind::TokenQuoted, data.end);
    }
}

fn read_detail(data: &[u8], at: usize, scheme: Option<&Scheme>, is_list: bool, defects: &mut Defects) -> Detail {
    match scheme {
        Some(Scheme::Basic) => parse_basic(data, at, defects).map_or(Detail::None, Detail::Basic),
        Some(Scheme::Digest) => Detail::Digest(Box::new(parse_digest(data, at, defects))),
        Some(Scheme::Aws4HmacSha256) => Detail::SigV4(Box::new(parse_sigv4(data, at, defects))),
        Some(Scheme::Negotiate | Scheme::Ntlm) => {
            let message = parse_message(data);
            if message == Message::NotBase64 {
                defects.push(DefectKind::NegotiateNotBase64, at);
            }
            Detail::Negotiate(message)
        }
        _ if is_list => {
            // These schemes are not bound to the common grammar, or are drafts; only their names are of use.
            let params = parse_parameters(data, at, &mut Defects::default());
            let is_name = |name: &String| name.len() <= 32 && !name.bytes().any(|byte| byte == b'%');
            Detail::Params(params.into_iter().map(|param| param.name).filter(is_name).collect())
        }
        _ if looks_like_jwt(data) => {
            let jwt = parse_jwt(data);
            for defect in &jwt.defects {
                defects.push(defect.kind, at + defect.at);
            }
            Detail::Jwt(Box::new(jwt))
        }
        _ => Detail::Opaque,
    }
}

/// Says which characters of a token cannot have been meant, one defect a kind (RFC 6750 2.1).
fn check_characters(data: &[u8], base: usize, scheme: Option<&Scheme>, defects: &mut Defects) {
    let is_b64 = matches!(scheme, Some(Scheme::Bearer | Scheme::Dpop | Scheme::Gnap));
    if is_b64 || scheme == Some(&Scheme::Basic) {
        let tail = data.get(data.len().saturating_sub(3)..).unwrap_or_default();
        if tail.eq_ignore_ascii_case(b"%3d") && scheme != Some(&Scheme::Basic) {
            defects.push_once(DefectKind::CredentialsPercentEncoded, base + data.len() - 3);
        }
    }
    if data.len() > 3 && data.ends_with(b"...") {
        defects.push(DefectKind::TokenEllipsis, base + data.len() - 3);
    }
    // The common case: nothing to say, found out in one pass.
    if is_b64token(data) {
        return;
    }
    let padding_at = base + data.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let mut at = base;
    for chunk in data.utf8_chunks() {
        for character in chunk.valid().chars() {
            let kind = match character {
                '\r' | '\n' => Some(DefectKind::TokenLineBreak).filter(|_| scheme != Some(&Scheme::Basic)),
                ' ' | '\t' => Some(DefectKind::TokenInnerSpace).filter(|_| is_b64),
                '"' if is_b64 => Some(DefectKind::TokenQuoted),
                '\u{a0}' => Some(DefectKind::TokenNoBreakSpace),
                '\u{feff}' => Some(DefectKind::TokenByteOrderMark),
                '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{ad}' => Some(DefectKind::TokenZeroWidth),
                '\u{2026}' => Some(DefectKind::TokenEllipsis),
                '\u{2018}'..='\u{201f}' => Some(DefectKind::TokenQuoted),
                other if other.is_control() => Some(DefectKind::TokenControlCharacter),
                other if !other.is_ascii() => Some(DefectKind::TokenNotAscii),
                // An equals sign is padding, which only the end may have.
                '=' if at >= padding_at => None,
                other if is_b64 && !is_b64token(&[other as u8]) => Some(DefectKind::TokenReservedCharacter),
                _ => None,
            };
            if let Some(kind) = kind {
                defects.push_once(kind, at);
            }
            at += character.len_utf8();
        }
        for byte in chunk.invalid() {
            // A no-break space of Latin-1; anything else of an 8-bit charset has no name here.
            let kind = if *byte == 0xa0 { DefectKind::TokenNoBreakSpace } else { DefectKind::TokenNotAscii };
            defects.push_once(kind, at);
            at += 1;
        }
    }
}

/// A value that has no scheme by design: that of a key's own field, or of a parameter.
pub fn bare(value: &Bytes) -> Credentials {
    let text = value.get(..LONGEST).unwrap_or(value);
    let detail = match looks_like_jwt(text) {
        true => Detail::Jwt(Box::new(parse_jwt(text))),
        false if text.is_empty() => Detail::None,
        false => Detail::Opaque,
    };
    Credentials {
        scheme: None,
        scheme_as_sent: String::new(),
        secret: Secret::new(value.clone()),
        secret_at: 0,
        detail,
        placeholder: Placeholder::recognise(text),
        joined: Vec::new(),
        defects: Vec::new(),
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
pub(crate) mod tests;
