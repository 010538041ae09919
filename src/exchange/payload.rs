//! The hash of its body that a signed request names, and that of the body that passed.

use sha2::{Digest, Sha256};

use crate::wire::RawHead;

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash that X-Amz-Content-Sha256 names, in a request that is signed with AWS signature version 4 in Authorization.
/// `None` where the field says that the body is not hashed, or not as one (`UNSIGNED-PAYLOAD`, `STREAMING-…`), and where
/// there are several, of which nobody knows which one counts.
pub fn named(head: &RawHead) -> Option<Hash> {
    const SCHEME: &[u8] = b"AWS4-HMAC-SHA256";
    let authorization = head.value("authorization")?.trim_ascii();
    let is_signed = authorization.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    let mut fields = head.values("x-amz-content-sha256");
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    if is_signed { read(field.trim_ascii()) } else { None }
}

/// 64 hexadecimal digits.
fn read(text: &[u8]) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}

/// The hash of a body that comes in pieces, none of which is kept.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes the next piece.
    pub fn passed(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all that passed.
    pub fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

/// The hash of a whole body.
pub fn of(body: &[u8]) -> Hash {
    Sha256::digest(body).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn named_in(fields: &[(&str, &str)]) -> Option<Hash> {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        named(&RawHead::from_fields("PUT /a HTTP/1.1", fields))
    }

    #[test]
    fn the_hash_is_read_where_the_request_is_signed() {
        let signed = ("Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request");
        assert_eq!(named_in(&[signed, ("x-amz-content-sha256", EMPTY)]), Some(of(b"")));
        assert_eq!(named_in(&[signed, ("X-Amz-Content-Sha256", &EMPTY.to_uppercase())]), Some(of(b"")));
        assert_eq!(named_in(&[("X-Amz-Content-Sha256", EMPTY)]), None);
        assert_eq!(named_in(&[("Authorization", "Bearer abc"), ("X-Amz-Content-Sha256", EMPTY)]), None);
        assert_eq!(
            named_in(&[signed, ("X-Amz-Content-Sha256", EMPTY), ("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")]),
            None
        );
    }

    #[test]
    fn what_is_no_hash_is_none() {
        let streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        let (short, long) = (&EMPTY[1..], format!("{EMPTY}0"));
        let (other, plus) = (EMPTY.replacen('e', "g", 1), EMPTY.replacen("e3", "+3", 1));
        for text in ["", "UNSIGNED-PAYLOAD", streaming, short, &long, &other, &plus, &"é".repeat(32)] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn pieces_make_one_hash() {
        let mut hasher = Hasher::default();
        for piece in [&b"on"[..], b"", b"e"] {
            hasher.passed(piece);
        }
        assert_eq!(hasher.finish(), of(b"one"));
    }
}
