//! Basic credentials: base64 of user and password with a colon between them (RFC 7617 2).
//!
//! Deviations from RFC 7617, each with its defect: white space, the URL-safe alphabet, percent-encoding and absent
//! padding do not stop the reading, so that what is behind them is seen as well.

use bytes::Bytes;

use super::defect::{DefectKind, Defects};
use super::encoding::decode_standard;
use super::placeholder::Placeholder;
use super::secret::Secret;
use super::token::is_whitespace;

/// User and password (RFC 7617 2).
pub struct Basic {
    user: String,
    user_is_secret: bool,
    /// The password; where there was no colon, all that was decoded.
    pub password: Secret,
    /// The placeholder that stands in place of both user and password, if one does.
    pub placeholder: Option<Placeholder>,
}

impl Basic {
    /// The user name, if it may be shown: `None` where it is likely to be a key in the place of a name, as many APIs
    /// want it. It is as it was sent: control characters are escaped by whoever shows it.
    pub fn user(&self) -> Option<&str> {
        (!self.user_is_secret).then_some(self.user.as_str())
    }
}

/// Reads what follows the scheme. `base` is its offset in the field value.
pub(super) fn parse_basic(data: &[u8], base: usize, defects: &mut Defects) -> Option<Basic> {
    let text = clean(data, base, defects)?;
    let Some(decoded) = decode_standard(&text) else {
        defects.push(DefectKind::BasicNotBase64, base);
        return None;
    };
    if text.len() % 4 != 0 {
        defects.push(DefectKind::BasicPaddingMissing, base + data.len());
    }
    Some(split(decoded, base, defects))
}

/// The base64 without what does not belong there; `None` if it cannot be base64 at all.
fn clean(data: &[u8], base: usize, defects: &mut Defects) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(data.len());
    let mut bytes = data.iter().copied().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        let at = base + offset;
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => text.push(byte),
            b'-' | b'_' => {
                defects.push_once(DefectKind::BasicUrlSafe, at);
                text.push(if byte == b'-' { b'+' } else { b'/' });
            }
            b'\r' | b'\n' => defects.push_once(DefectKind::BasicLineWrapped, at),
            _ if is_whitespace(byte) => defects.push_once(DefectKind::BasicLineWrapped, at),
            b'%' if percent_decoded(data, offset).is_some() => {
                defects.push_once(DefectKind::CredentialsPercentEncoded, at);
                text.extend(percent_decoded(data, offset));
                bytes.next();
                bytes.next();
            }
            _ => {
                let is_plain = memchr::memchr(b':', data).is_some();
                let kind = if is_plain { DefectKind::BasicNotEncoded } else { DefectKind::BasicNotBase64 };
                defects.push(kind, at);
                return None;
            }
        }
    }
    Some(text)
}

/// What the percent-encoding at that offset stands for, if it is one of the bytes that base64 can have.
fn percent_decoded(data: &[u8], offset: usize) -> Option<u8> {
    let encoded = data.get(offset..offset.checked_add(3)?)?;
    percent_encoding::percent_decode(encoded).next().filter(|byte| matches!(byte, b'=' | b'+' | b'/'))
}

fn split(decoded: Vec<u8>, base: usize, defects: &mut Defects) -> Basic {
    check_bytes(&decoded, base, defects);
    let decoded = Bytes::from(decoded);
    let Some(colon) = memchr::memchr(b':', &decoded) else {
        let twice = decode_standard(&decoded).is_some_and(|inner| is_user_and_password(&inner));
        defects.push(if twice { DefectKind::BasicEncodedTwice } else { DefectKind::BasicColonMissing }, base);
        return Basic { user: String::new(), user_is_secret: true, password: Secret::new(decoded), placeholder: None };
    };
    let (user, password) = (decoded.slice(..colon), decoded.slice(colon + 1..));
    if user.is_empty() && password.is_empty() {
        defects.push(DefectKind::BasicBothEmpty, base);
    }
    let placeholder = Placeholder::recognise(&user).filter(|_| Placeholder::recognise(&password).is_some());
    if placeholder.is_some() {
        defects.push(DefectKind::TokenPlaceholder, base);
    }
    Basic {
        user_is_secret: is_likely_key(&user, &password),
        user: text_of(&user),
        password: Secret::new(password),
        placeholder,
    }
}

fn check_bytes(decoded: &[u8], base: usize, defects: &mut Defects) {
    let body = match decoded.split_last() {
        Some((b'\n', rest)) => {
            defects.push(DefectKind::BasicEndsInNewline, base);
            rest.strip_suffix(b"\r").unwrap_or(rest)
        }
        _ => decoded,
    };
    // RFC 7617 2 rules out control characters in both user and password.
    if body.iter().any(u8::is_ascii_control) {
        defects.push(DefectKind::BasicControlCharacter, base);
    }
    if !decoded.is_ascii() {
        let is_utf8 = std::str::from_utf8(decoded).is_ok();
        defects.push(if is_utf8 { DefectKind::BasicNotAsciiUtf8 } else { DefectKind::BasicNotAsciiLatin1 }, base);
    }
}

/// Bytes that are not UTF-8 are most likely Latin-1, which older clients send (RFC 7617 2, RFC 2617).
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

fn is_user_and_password(decoded: &[u8]) -> bool {
    let has_colon = memchr::memchr(b':', decoded).is_some();
    has_colon && std::str::from_utf8(decoded).is_ok_and(|text| !text.trim_end().chars().any(char::is_control))
}

/// Whether the user name looks like a key. Many APIs take one there, with an empty or a conventional password.
fn is_likely_key(user: &[u8], password: &[u8]) -> bool {
    const CONVENTIONAL: [&str; 7] = ["", "x", "x-oauth-basic", "x-token", "api_token", "unused", "blank"];
    let conventional = CONVENTIONAL.iter().any(|word| password.eq_ignore_ascii_case(word.as_bytes()));
    let is_name = memchr::memchr(b'@', user).is_some() || memchr::memchr(b'\\', user).is_some();
    let has_digit = user.iter().any(u8::is_ascii_digit);
    conventional || (!is_name && user.len() >= 20 && has_digit) || user.len() > 128
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use DefectKind::*;

    fn parse(text: &str) -> (Option<Basic>, Vec<DefectKind>) {
        let mut defects = Defects::default();
        let basic = parse_basic(text.as_bytes(), 6, &mut defects);
        (basic, defects.finish().into_iter().map(|defect| defect.kind).collect())
    }

    #[test]
    fn the_example_of_rfc_7617() {
        let (basic, defects) = parse("QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let basic = basic.unwrap();
        assert_eq!((basic.user(), basic.password.expose()), (Some("Aladdin"), &b"open sesame"[..]));
        assert!(defects.is_empty());
    }

    #[test]
    fn forms_of_base64() {
        for (text, user, expected) in [
            ("dXNlcjpwYQ==", Some("user"), &[][..]),
            ("dXNlcjpwYQ", Some("user"), &[BasicPaddingMissing][..]),
            ("dXNlcjpwYQ=", Some("user"), &[BasicPaddingMissing]),
            ("dXNlcjpwYQ%3D%3d", Some("user"), &[CredentialsPercentEncoded]),
            ("dXNl\r\n cjpwYQ==", Some("user"), &[BasicLineWrapped]),
            ("dXNl cjpwYQ==", Some("user"), &[BasicLineWrapped]),
            ("dXNlcjp_f34-", Some("user"), &[BasicUrlSafe, BasicControlCharacter]),
            ("user:password", None, &[BasicNotEncoded]),
            ("dXNl*cjpwYQ==", None, &[BasicNotBase64]),
            ("dXNlcjpwY", None, &[BasicNotBase64]),
            ("dX=lcjpw", None, &[BasicNotBase64]),
        ] {
            let (basic, mut defects) = parse(text);
            assert_eq!(basic.as_ref().and_then(Basic::user), user, "{text}");
            defects.sort();
            let mut expected = expected.to_vec();
            expected.sort();
            assert_eq!(defects, expected, "{text}");
        }
    }

    #[test]
    fn decoded_values() {
        for (decoded, user, expected) in [
            (&b"user:pass"[..], Some("user"), &[][..]),
            (b"user:pa:ss", Some("user"), &[]),
            (b"user:", None, &[]),
            (b":pass", Some(""), &[]),
            (b"ghp_0123456789abcdef0123:x-oauth-basic", None, &[]),
            (b"0123456789abcdef0123456789:secret", None, &[]),
            (b"somebody.with.long.name1@example.com:secret", Some("somebody.with.long.name1@example.com"), &[]),
            (b":", None, &[BasicBothEmpty]),
            (b"user", None, &[BasicColonMissing]),
            (b"user:pass\n", Some("user"), &[BasicEndsInNewline]),
            (b"user:pass\r\n", Some("user"), &[BasicEndsInNewline]),
            (b"us\x07er:pass", Some("us\x07er"), &[BasicControlCharacter]),
            (b"dXNlcjpwYXNz", None, &[BasicEncodedTwice]),
            ("üser:pass".as_bytes(), Some("üser"), &[BasicNotAsciiUtf8]),
            (b"\xfcser:pass", Some("üser"), &[BasicNotAsciiLatin1]),
            (b"undefined:undefined", Some("undefined"), &[TokenPlaceholder]),
            (b"null:pass", Some("null"), &[]),
        ] {
            let (basic, defects) = parse(&STANDARD.encode(decoded));
            assert_eq!(basic.unwrap().user(), user, "{}", decoded.escape_ascii());
            assert_eq!(defects, expected, "{}", decoded.escape_ascii());
        }
    }
}
