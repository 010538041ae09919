//! The type that cannot print itself, and fingerprints, which stand for a secret wherever it has to be named.

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroize;

/// Bytes that let somebody log in.
///
/// There is deliberately no `Debug`, `Display`, `Serialize`, `Deref` or comparison: a secret gets into text only
/// through [`Secret::expose`], so that one search of the code finds every place where that could happen. Secrets are
/// compared by [`Secret::fingerprint`].
#[derive(Clone)]
pub struct Secret(Bytes);

impl Secret {
    /// Takes the bytes in; slices of what was received are shared, not copied.
    pub fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. This is the only way out: use it to compute with the secret, and to show it where the
    /// user has asked for secrets in so many words, never to build a message.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes the secret has; the length is not held to be secret.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What may be shown in place of the secret: equal for equal secrets under one key.
    pub fn fingerprint(&self, key: &FingerprintKey) -> Fingerprint {
        let hash = blake3::keyed_hash(&key.0, &self.0);
        let [a, b, c, d, ..] = *hash.as_bytes();
        Fingerprint(u32::from_be_bytes([a, b, c, d]))
    }
}

/// The key under which fingerprints are made.
///
/// Without it a fingerprint of a weak password could be found by trying passwords. Hence it is as secret as they are:
/// it has no `Debug` and is wiped when dropped.
#[derive(Clone)]
pub struct FingerprintKey([u8; 32]);

impl Drop for FingerprintKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl FingerprintKey {
    /// A fresh key, so that fingerprints of one run say nothing about those of another.
    ///
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    /// What names the key and tells nothing of it: fingerprints of one key can be compared.
    pub fn id(&self) -> String {
        Secret::new(Bytes::from_static(b"the id of the key of these fingerprints")).fingerprint(self).to_string()
    }

    /// A key made of what an operator has put into a file, of any length: the same input gives the same fingerprints.
    pub fn from_bytes(material: &[u8]) -> Self {
        Self(blake3::derive_key("authtap 2026 fingerprints of credentials", material))
    }
}

/// The first 32 bits of the keyed hash of a secret.
///
/// Enough to tell apart the credentials of one incident, and too few to recognise a secret outside of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u32);

impl Fingerprint {
    /// What [`Fingerprint`]'s eight digits stand for.
    pub fn parse(digits: &str) -> Option<Self> {
        let is_plain = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten().map(Self)
    }

    /// The first four digits, where a line is short of room.
    pub fn short(self) -> impl fmt::Display {
        ShortFingerprint(self.0 >> 16)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct ShortFingerprint(u32);

impl fmt::Display for ShortFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &'static str) -> Secret {
        Secret::new(Bytes::from_static(text.as_bytes()))
    }

    /// Fails to compile as soon as the type gets the trait: the call would then fit both implementations.
    macro_rules! assert_lacks {
        ($type:ty, $($bound:tt)+) => {{
            trait Ambiguous<Marker> {
                fn check() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct HasIt;
            impl<T: ?Sized + $($bound)+> Ambiguous<HasIt> for T {}
            <$type as Ambiguous<_>>::check();
        }};
    }

    #[test]
    fn secrets_have_no_way_into_text() {
        assert_lacks!(Secret, fmt::Debug);
        assert_lacks!(Secret, fmt::Display);
        assert_lacks!(Secret, serde::Serialize);
        assert_lacks!(Secret, std::ops::Deref);
        assert_lacks!(Secret, AsRef<[u8]>);
        assert_lacks!(FingerprintKey, fmt::Debug);
        assert_lacks!(crate::auth::Credentials, fmt::Debug);
        assert_lacks!(crate::auth::Basic, fmt::Debug);
        assert_lacks!(crate::auth::Jwt, fmt::Debug);
        assert_lacks!(crate::auth::DigestResponse, fmt::Debug);
        assert_lacks!(crate::auth::SigV4, fmt::Debug);
    }

    #[test]
    fn fingerprints_compare_secrets_under_one_key() {
        let key = FingerprintKey::from_bytes(b"a key file");
        assert_eq!(secret("a").fingerprint(&key), secret("a").fingerprint(&key.clone()));
        assert_ne!(secret("a").fingerprint(&key), secret("b").fingerprint(&key));
        let other = FingerprintKey::from_bytes(b"another key file");
        assert_ne!(secret("a").fingerprint(&key), secret("a").fingerprint(&other));
        let fresh = FingerprintKey::random().unwrap();
        assert_ne!(secret("a").fingerprint(&key), secret("a").fingerprint(&fresh));
    }

    #[test]
    fn fingerprints_keep_their_leading_zeros() {
        let fingerprint = Fingerprint(0x000a_00ff);
        assert_eq!(fingerprint.to_string(), "000a00ff");
        assert_eq!(format!("{fingerprint:?}"), "000a00ff");
        assert_eq!(fingerprint.short().to_string(), "000a");
        assert_eq!(Fingerprint::parse("000a00ff"), Some(fingerprint));
        for wrong in ["", "000a00f", "+00a00ff", "000a00fg", "000a00ff0"] {
            assert_eq!(Fingerprint::parse(wrong), None);
        }
    }

    #[test]
    fn length_is_no_secret() {
        assert_eq!(secret("abc").len(), 3);
        assert!(secret("").is_empty());
        assert_eq!(secret("abc").expose(), b"abc");
    }
}
