//! The messages of Negotiate and NTLM, as far as the handshake has to be followed (RFC 4559 4, MS-NLMP 2.2.1).
//!
//! Only the type of a message is read. SPNEGO is DER, but neither it nor Kerberos is parsed: the mark with which an
//! NTLM message begins, and the object identifiers of the mechanisms, are long enough to be found by search.

use super::encoding::decode_standard;

/// A step of an NTLM handshake (MS-NLMP 2.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NtlmStep {
    /// Type 1, from the client: which features it has.
    Negotiate,
    /// Type 2, from the server: the challenge proper.
    Challenge,
    /// Type 3, from the client: the response. Only a refusal of this one is a refusal.
    Authenticate,
    /// No type that is defined, or cut before it.
    Unknown,
}

/// What a token68 of Negotiate or NTLM carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message {
    /// NTLM, bare or wrapped in SPNEGO.
    Ntlm {
        /// Which message it is.
        step: NtlmStep,
        /// Whether it is inside of SPNEGO.
        wrapped: bool,
    },
    /// Kerberos, bare or as the mechanism of SPNEGO.
    Kerberos,
    /// SPNEGO without a mechanism that is known here, as in its later legs (RFC 4178 4.2).
    Spnego,
    /// Base64 of something else.
    Other,
    /// Not base64.
    NotBase64,
}

impl Message {
    /// The name of the message, in kebab case, for evidence.
    pub fn id(self) -> &'static str {
        match self {
            Self::Ntlm { step: NtlmStep::Negotiate, .. } => "ntlm-type-1",
            Self::Ntlm { step: NtlmStep::Challenge, .. } => "ntlm-type-2",
            Self::Ntlm { step: NtlmStep::Authenticate, .. } => "ntlm-type-3",
            Self::Ntlm { step: NtlmStep::Unknown, .. } => "ntlm-unknown",
            Self::Kerberos => "kerberos",
            Self::Spnego => "spnego",
            Self::Other => "other",
            Self::NotBase64 => "not-base64",
        }
    }
}

const NTLM_MARK: &[u8] = b"NTLMSSP\0";
/// 1.2.840.113554.1.2.2 in DER (RFC 4121 4.1).
const KERBEROS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// 1.2.840.48018.1.2.2 in DER, the same with one bit lost long ago (MS-SPNG 3.1.5.2).
const KERBEROS_OF_WINDOWS: &[u8] = b"\x06\x09\x2a\x86\x48\x82\xf7\x12\x01\x02\x02";
/// 1.3.6.1.5.5.2 in DER (RFC 4178 3.2).
const SPNEGO: &[u8] = b"\x06\x06\x2b\x06\x01\x05\x05\x02";

/// Tells what a token68 after `Negotiate` or `NTLM` is (RFC 4559 4.1, 4.2).
pub fn parse_message(token68: &[u8]) -> Message {
    let Some(bytes) = decode_standard(token68) else { return Message::NotBase64 };
    let find = |needle: &[u8]| memchr::memmem::find(&bytes, needle);
    if let Some(at) = find(NTLM_MARK) {
        let step = match bytes.get(at + NTLM_MARK.len()..at + NTLM_MARK.len() + 4) {
            Some([1, 0, 0, 0]) => NtlmStep::Negotiate,
            Some([2, 0, 0, 0]) => NtlmStep::Challenge,
            Some([3, 0, 0, 0]) => NtlmStep::Authenticate,
            _ => NtlmStep::Unknown,
        };
        Message::Ntlm { step, wrapped: at > 0 }
    } else if find(KERBEROS).is_some() || find(KERBEROS_OF_WINDOWS).is_some() {
        Message::Kerberos
    } else if find(SPNEGO).is_some() || bytes.first() == Some(&0xa1) {
        // 0xa1 is the tag of NegTokenResp, which later legs consist of.
        Message::Spnego
    } else {
        Message::Other
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn messages_are_told_apart() {
        for (bytes, expected) in [
            (&b"NTLMSSP\0\x01\0\0\0rest"[..], "ntlm-type-1"),
            (b"NTLMSSP\0\x02\0\0\0rest", "ntlm-type-2"),
            (b"NTLMSSP\0\x03\0\0\0rest", "ntlm-type-3"),
            (b"NTLMSSP\0\x04\0\0\0", "ntlm-unknown"),
            (b"NTLMSSP\0\x01", "ntlm-unknown"),
            (b"\x60\x20\x06\x06\x2b\x06\x01\x05\x05\x02NTLMSSP\0\x01\0\0\0", "ntlm-type-1"),
            (b"\x60\x20\x06\x06\x2b\x06\x01\x05\x05\x02\x06\x09\x2a\x86\x48\x82\xf7\x12\x01\x02\x02", "kerberos"),
            (b"\x60\x20\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02", "kerberos"),
            (b"\x60\x20\x06\x06\x2b\x06\x01\x05\x05\x02", "spnego"),
            (b"\xa1\x07\x30\x05", "spnego"),
            (b"hello", "other"),
        ] {
            assert_eq!(parse_message(STANDARD.encode(bytes).as_bytes()).id(), expected);
        }
        assert_eq!(parse_message(b"a-b"), Message::NotBase64);
    }

    #[test]
    fn wrapping_is_seen() {
        let bare = parse_message(b"TlRMTVNTUAABAAAA");
        assert_eq!(bare, Message::Ntlm { step: NtlmStep::Negotiate, wrapped: false });
        let wrapped = parse_message(STANDARD.encode(b"\xa1\x10NTLMSSP\0\x03\0\0\0").as_bytes());
        assert_eq!(wrapped, Message::Ntlm { step: NtlmStep::Authenticate, wrapped: true });
    }
}
