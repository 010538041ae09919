//! Authentication schemes by name.

/// An auth-scheme (RFC 9110 11.1): those that the rules have something to say about, and all others by their name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// User name and password (RFC 7617).
    Basic,
    /// Whoever has the token is let in (RFC 6750).
    Bearer,
    /// A key proves itself to the origin, unprompted (RFC 9729).
    Concealed,
    /// Challenge and response over a shared password (RFC 7616).
    Digest,
    /// A token bound to a key, proved in a header of its own (RFC 9449).
    Dpop,
    /// SPNEGO, which carries Kerberos or NTLM (RFC 4559).
    Negotiate,
    /// NTLM without SPNEGO; widely used, never registered (MS-NTHT).
    Ntlm,
    /// A signature by a key of the user agent (RFC 7486).
    Hoba,
    /// Password authentication in both directions (RFC 8120).
    Mutual,
    /// Identification of a push application server (RFC 8292).
    Vapid,
    /// SCRAM over HTTP with SHA-1 (RFC 7804).
    ScramSha1,
    /// SCRAM over HTTP with SHA-256 (RFC 7804).
    ScramSha256,
    /// Privacy Pass tokens (RFC 9577).
    PrivateToken,
    /// Grant Negotiation and Authorization Protocol (RFC 9635).
    Gnap,
    /// Signature version 4 of AWS; not registered.
    Aws4HmacSha256,
    /// The drafts that preceded HTTP message signatures; not registered.
    Signature,
    /// Hawk message authentication; not registered.
    Hawk,
    /// An API key after its name; not registered.
    ApiKey,
    /// As used by Django REST framework, Rails, GitHub and others; not registered.
    Token,
    /// OAuth 1.0 (RFC 5849).
    OAuth,
    /// Any other, in lower case.
    Other(String),
}

/// One line a scheme: the value, its usual spelling, and whether IANA's registry has it in that spelling.
static KNOWN: [(Scheme, &str, &str, bool); 20] = [
    (Scheme::Basic, "basic", "Basic", true),
    (Scheme::Bearer, "bearer", "Bearer", true),
    (Scheme::Concealed, "concealed", "Concealed", true),
    (Scheme::Digest, "digest", "Digest", true),
    (Scheme::Dpop, "dpop", "DPoP", true),
    (Scheme::Negotiate, "negotiate", "Negotiate", true),
    (Scheme::Ntlm, "ntlm", "NTLM", false),
    (Scheme::Hoba, "hoba", "HOBA", true),
    (Scheme::Mutual, "mutual", "Mutual", true),
    (Scheme::Vapid, "vapid", "vapid", true),
    (Scheme::ScramSha1, "scram-sha-1", "SCRAM-SHA-1", true),
    (Scheme::ScramSha256, "scram-sha-256", "SCRAM-SHA-256", true),
    (Scheme::PrivateToken, "privatetoken", "PrivateToken", true),
    (Scheme::Gnap, "gnap", "GNAP", true),
    (Scheme::Aws4HmacSha256, "aws4-hmac-sha256", "AWS4-HMAC-SHA256", false),
    (Scheme::Signature, "signature", "Signature", false),
    (Scheme::Hawk, "hawk", "Hawk", false),
    (Scheme::ApiKey, "apikey", "ApiKey", false),
    (Scheme::Token, "token", "Token", false),
    (Scheme::OAuth, "oauth", "OAuth", true),
];

impl Scheme {
    /// The scheme of that name, whatever its case (RFC 9110 11.1).
    pub fn parse(name: &[u8]) -> Self {
        Self::known(name).unwrap_or_else(|| Self::Other(String::from_utf8_lossy(name).to_ascii_lowercase()))
    }

    /// The scheme of that name, if it is one of those that have a variant of their own.
    pub fn known(name: &[u8]) -> Option<Self> {
        KNOWN.iter().find(|(_, id, ..)| name.eq_ignore_ascii_case(id.as_bytes())).map(|(scheme, ..)| scheme.clone())
    }

    /// Whether the name is that of this scheme, whatever its case.
    pub fn is_named(&self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.id().as_bytes())
    }

    /// The name in lower case, as records carry it.
    pub fn id(&self) -> &str {
        match self {
            Self::Other(name) => name,
            _ => self.row().map_or("", |(_, id, ..)| id),
        }
    }

    /// The spelling in IANA's registry of authentication schemes (RFC 9110 16.4.1); `None` for what is not in it,
    /// such as NTLM, AWS4-HMAC-SHA256, Signature, Hawk, ApiKey and Token.
    pub fn registered_spelling(&self) -> Option<&'static str> {
        self.row().filter(|(.., registered)| *registered).map(|(_, _, spelling, _)| *spelling)
    }

    /// The spelling that documentation of the scheme uses, registered or not; `None` for [`Scheme::Other`].
    pub fn usual_spelling(&self) -> Option<&'static str> {
        self.row().map(|(_, _, spelling, _)| *spelling)
    }

    /// Whether the data of this scheme is a list of auth-params, in which commas and spaces mean nothing by themselves.
    pub fn takes_parameters(&self) -> bool {
        matches!(
            self,
            Self::Concealed
                | Self::Digest
                | Self::Hoba
                | Self::Mutual
                | Self::Vapid
                | Self::ScramSha1
                | Self::ScramSha256
                | Self::PrivateToken
                | Self::Aws4HmacSha256
                | Self::Signature
                | Self::Hawk
                | Self::OAuth
        )
    }

    fn row(&self) -> Option<&'static (Scheme, &'static str, &'static str, bool)> {
        KNOWN.iter().find(|(scheme, ..)| scheme == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_scheme_is_found_by_its_names() {
        for (scheme, id, spelling, registered) in &KNOWN {
            assert_eq!(Scheme::parse(id.as_bytes()), *scheme);
            assert_eq!(Scheme::parse(spelling.to_ascii_uppercase().as_bytes()), *scheme);
            assert_eq!(scheme.id(), *id);
            assert_eq!(spelling.to_ascii_lowercase(), *id);
            assert_eq!(scheme.usual_spelling(), Some(*spelling));
            assert_eq!(scheme.registered_spelling().is_some(), *registered);
            assert!(scheme.is_named(spelling.as_bytes()));
        }
    }

    #[test]
    fn others_keep_their_name_in_lower_case() {
        let scheme = Scheme::parse(b"SSWS");
        assert_eq!(scheme, Scheme::Other("ssws".to_owned()));
        assert_eq!(scheme.id(), "ssws");
        assert_eq!(scheme.registered_spelling(), None);
        assert_eq!(scheme.usual_spelling(), None);
        assert!(!scheme.takes_parameters());
        assert_eq!(Scheme::known(b"Basi"), None);
    }
}
