//! JSON web tokens, read by hand (RFC 7515 3, 7.1; RFC 7516 7.1; RFC 7519).
//!
//! Libraries refuse a broken token without saying much; here the broken ones are the interesting ones. So each part is
//! read on its own, and what is wrong with one does not keep the next from being read. No signature is verified.
//!
//! Deviations from RFC 7515, each with its defect: padding and the standard alphabet of base64 are accepted.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::defect::{Defect, DefectKind, Defects};
use super::encoding::decode_url_safe;
use super::jwt_claims::{Claims, JwtHeader};
use super::token::is_token68_char;

/// A JSON web token, as far as it could be read.
pub struct Jwt {
    /// The header (RFC 7515 4); empty where it could not be read.
    pub header: JwtHeader,
    /// The claims (RFC 7519 4); `None` where they could not be read, as in an encrypted token.
    pub claims: Option<Claims>,
    /// How many parts there are between the dots; 3 is right, or 5 if it is encrypted.
    pub parts: usize,
    /// What stands in the place of the signature.
    pub signature: Signature,
    /// Whether the token is encrypted (RFC 7516), so that nobody but its audience can read the claims.
    pub encrypted: bool,
    /// What is wrong, with offsets counted from the start of the token.
    pub defects: Vec<Defect>,
}

/// What stands in the place of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signature {
    /// A signature of that many bytes.
    Present {
        /// Its length after decoding.
        bytes: usize,
    },
    /// Nothing, which is right for `alg` `none` only.
    Empty,
    /// The text that Google's services put there before they pass a token on.
    RemovedByGoogle,
    /// Text that is not base64url.
    Unreadable,
    /// The token ends before it, or is encrypted and has none.
    Absent,
}

const REMOVED_BY_GOOGLE: &[u8] = b"SIGNATURE_REMOVED_BY_GOOGLE";

impl Jwt {
    /// Whether the signature has a length that its algorithm can give (RFC 7518 3, RFC 8037 3.1). `None` where that
    /// cannot be told: the algorithm is not known, there is no signature, or an RSA key has an odd but possible size.
    pub fn signature_length_fits(&self) -> Option<bool> {
        let Signature::Present { bytes } = self.signature else { return None };
        let fits = match self.header.alg.as_deref()? {
            "HS256" => bytes == 32,
            "HS384" => bytes == 48,
            "HS512" => bytes == 64,
            "ES256" | "ES256K" => bytes == 64,
            "ES384" => bytes == 96,
            "ES512" => bytes == 132,
            "EdDSA" => bytes == 64 || bytes == 114,
            "Ed25519" => bytes == 64,
            "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => match bytes {
                128 | 256 | 384 | 512 | 1024 => true,
                // Keys of 2056 or 3000 bits exist; their signatures are whole bytes of no particular number.
                129..=1024 if bytes % 8 == 0 => return None,
                _ => false,
            },
            _ => return None,
        };
        Some(fits)
    }
}

/// Whether this is meant to be a JSON web token: a dotted text that begins like one, unless its first part is JSON
/// that is no header. Signed cookies and some API keys begin with `eyJ` as well, which is just `{"` in base64.
pub fn looks_like_jwt(token: &[u8]) -> bool {
    if !token.starts_with(b"eyJ") {
        return false;
    }
    let first = token.split(|&byte| byte == b'.').next().unwrap_or_default();
    let header = decode_url_safe(first).and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
    match header {
        Some(header) => ["alg", "typ", "kid", "enc"].iter().any(|name| header.contains_key(*name)),
        None => first.len() < token.len(),
    }
}

/// Reads a token (RFC 7519 7.2, without its cryptography).
pub fn parse_jwt(token: &[u8]) -> Jwt {
    let mut defects = Defects::default();
    let parts = token.split(|&byte| byte == b'.').count();
    let mut rest = Parts { token, next: Some(0) };
    let header = rest.next().map(|part| read_header(part, &mut defects)).unwrap_or_default();
    let encrypted = parts == 5;
    let mut claims = None;
    let mut signature = Signature::Absent;
    if encrypted {
        for part in rest {
            decode(part, DefectKind::JwtPartNotBase64, &mut defects);
        }
    } else {
        if let Some(part) = rest.next() {
            claims = read_object(part, PAYLOAD, &mut defects).map(|claims| Claims::read(claims, part.at, &mut defects));
        }
        if let Some(part) = rest.next() {
            signature = read_signature(part, header.alg.as_deref(), &mut defects);
        }
        if parts != 3 {
            defects.push(DefectKind::JwtPartCount, token.len());
        }
    }
    Jwt { header, claims, parts, signature, encrypted, defects: defects.finish() }
}

/// The defects of a part that should be a JSON object: not base64url, not JSON, not an object.
type PartKinds = [DefectKind; 3];
const HEADER: PartKinds =
    [DefectKind::JwtHeaderNotBase64, DefectKind::JwtHeaderNotJson, DefectKind::JwtHeaderNotObject];
const PAYLOAD: PartKinds =
    [DefectKind::JwtPayloadNotBase64, DefectKind::JwtPayloadNotJson, DefectKind::JwtPayloadNotObject];

#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a [u8],
    at: usize,
}

/// The parts between the dots, with their offsets.
struct Parts<'a> {
    token: &'a [u8],
    next: Option<usize>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let at = self.next?;
        let rest = self.token.get(at..)?;
        let length = memchr::memchr(b'.', rest);
        self.next = length.map(|length| at + length + 1);
        Some(Part { text: rest.get(..length.unwrap_or(rest.len()))?, at })
    }
}

fn read_header(part: Part<'_>, defects: &mut Defects) -> JwtHeader {
    let Some(object) = read_object(part, HEADER, defects) else { return JwtHeader::default() };
    let header = JwtHeader::read(&object);
    if header.alg.is_none() {
        defects.push(DefectKind::JwtAlgorithmMissing, part.at);
    }
    header
}

fn read_object(
    part: Part<'_>,
    [not_base64, not_json, not_object]: PartKinds,
    defects: &mut Defects,
) -> Option<Map<String, Value>> {
    let json = decode(part, not_base64, defects)?;
    match serde_json::from_slice(&json) {
        Ok(Value::Object(object)) => return Some(object),
        Ok(_) => defects.push(not_object, part.at),
        Err(_) => defects.push(not_json, part.at),
    }
    None
}

fn read_signature(part: Part<'_>, alg: Option<&str>, defects: &mut Defects) -> Signature {
    if part.text == REMOVED_BY_GOOGLE {
        defects.push(DefectKind::JwtSignatureRemoved, part.at);
        return Signature::RemovedByGoogle;
    }
    if part.text.is_empty() {
        if alg.is_some_and(|alg| !alg.eq_ignore_ascii_case("none")) {
            defects.push(DefectKind::JwtSignatureEmpty, part.at);
        }
        return Signature::Empty;
    }
    match decode(part, DefectKind::JwtSignatureNotBase64, defects) {
        Some(signature) => Signature::Present { bytes: signature.len() },
        None => Signature::Unreadable,
    }
}

fn decode(part: Part<'_>, not_base64: DefectKind, defects: &mut Defects) -> Option<Vec<u8>> {
    let body = part.text.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let mut text = Cow::Borrowed(part.text.get(..body).unwrap_or_default());
    if let Some(offset) = text.iter().position(|byte| matches!(byte, b'+' | b'/')) {
        defects.push_once(DefectKind::JwtStandardAlphabet, part.at + offset);
        for byte in text.to_mut() {
            *byte = match *byte {
                b'+' => b'-',
                b'/' => b'_',
                other => other,
            };
        }
    }
    let decoded = decode_url_safe(&text);
    if decoded.is_none() {
        let is_wanted = |byte: u8| is_token68_char(byte) && byte != b'~';
        let offset = text.iter().position(|&byte| !is_wanted(byte)).unwrap_or(text.len());
        defects.push(not_base64, part.at + offset);
    } else if body < part.text.len() {
        defects.push_once(DefectKind::JwtPadding, part.at + body);
    }
    decoded
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
