//! The header parameters and claims of a token that rules ask for (RFC 7515 4.1, RFC 7519 4.1 and others).

use bytes::Bytes;
use serde_json::{Map, Value};

use super::defect::{DefectKind, Defects};
use super::secret::Secret;

/// The header of a token (RFC 7515 4.1). What is there but not text counts as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwtHeader {
    /// The algorithm (RFC 7515 4.1.1).
    pub alg: Option<String>,
    /// The type of the token (RFC 7519 5.1), such as `JWT`, `at+jwt` (RFC 9068 2.1) or `dpop+jwt` (RFC 9449 4.2).
    pub typ: Option<String>,
    /// The id of the key (RFC 7515 4.1.4).
    pub kid: Option<String>,
    /// The type of the content (RFC 7515 4.1.10).
    pub cty: Option<String>,
    /// The encryption of the content (RFC 7516 4.1.2).
    pub enc: Option<String>,
    /// Whether the public key itself is there (RFC 7515 4.1.3), as in a DPoP proof.
    pub has_key: bool,
}

impl JwtHeader {
    pub(super) fn read(object: &Map<String, Value>) -> Self {
        Self {
            alg: text(object, "alg"),
            typ: text(object, "typ"),
            kid: text(object, "kid"),
            cty: text(object, "cty"),
            enc: text(object, "enc"),
            has_key: object.contains_key("jwk"),
        }
    }
}

/// A time in seconds since 1970 in UTC (RFC 7519 2). Fractions are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumericDate(pub i64);

impl NumericDate {
    /// The time as others of this program count it; `None` for years beyond 9999.
    pub fn timestamp(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_second(self.0).ok()
    }
}

/// The claims of a token. It has no `Debug`: some of them tell who the user is.
#[derive(Clone, Default)]
pub struct Claims {
    /// Who made the token (RFC 7519 4.1.1).
    pub iss: Option<String>,
    /// Whom it is about (RFC 7519 4.1.2). To be compared, not to be shown.
    pub sub: Option<Secret>,
    /// For whom it is meant (RFC 7519 4.1.3).
    pub aud: Vec<String>,
    /// When it ends (RFC 7519 4.1.4), as sent, be it in the wrong unit.
    pub exp: Option<NumericDate>,
    /// When it starts (RFC 7519 4.1.5).
    pub nbf: Option<NumericDate>,
    /// When it was made (RFC 7519 4.1.6).
    pub iat: Option<NumericDate>,
    /// Its id (RFC 7519 4.1.7). To be compared, not to be shown.
    pub jti: Option<Secret>,
    /// What it allows (RFC 8693 4.2), out of `scope` or `scp`, parted by spaces.
    pub scope: Option<String>,
    /// Whether rights are in other claims as well: `roles`, `permissions`, `groups`, `authorities`, `realm_access`.
    pub has_other_rights: bool,
    /// The client to which it was issued: `client_id` (RFC 8693 4.3) or `azp` (OpenID Connect Core 2).
    pub client: Option<String>,
    /// Whether it is bound to a key (RFC 7800 3.1).
    pub has_confirmation: bool,
    /// The thumbprint of the key to which DPoP binds it (RFC 9449 6.1).
    pub confirmed_key: Option<String>,
    /// The thumbprint of the certificate to which mutual TLS binds it (RFC 8705 3.1).
    pub confirmed_certificate: Option<String>,
    /// Whether there is a `nonce`, which ID tokens have (OpenID Connect Core 2), and DPoP proofs.
    pub has_nonce: bool,
    /// Whether there is an `at_hash`, which only ID tokens have (OpenID Connect Core 3.1.3.6).
    pub has_access_token_hash: bool,
    /// What the token says that it is for: `token_use` (Cognito), `typ` (Keycloak), `token_type` or `type` (Django, Flask).
    pub kind: Option<String>,
    /// The method that a DPoP proof is for (RFC 9449 4.2).
    pub htm: Option<String>,
    /// The URI that a DPoP proof is for (RFC 9449 4.2).
    pub htu: Option<String>,
    /// The hash of the token that a DPoP proof goes with (RFC 9449 4.2).
    pub ath: Option<String>,
}

/// Times above this are taken for milliseconds; as seconds they are in the year 5138.
const MOST_SECONDS: i64 = 100_000_000_000;

impl Claims {
    /// Picks the claims out. `at` is where defects are said to be: the start of the part, since the position of a
    /// claim inside base64 helps nobody.
    pub(super) fn read(object: Map<String, Value>, at: usize, defects: &mut Defects) -> Self {
        let object = &object;
        let secret = |name: &str| text(object, name).map(|text| Secret::new(Bytes::from(text.into_bytes())));
        let has = |name: &str| object.contains_key(name);
        let confirmation = object.get("cnf").and_then(Value::as_object);
        Self {
            iss: text(object, "iss"),
            sub: secret("sub"),
            aud: texts(object.get("aud")),
            exp: time(object, "exp", at, defects),
            nbf: time(object, "nbf", at, defects),
            iat: time(object, "iat", at, defects),
            jti: secret("jti"),
            scope: ["scope", "scp"]
                .iter()
                .map(|name| texts(object.get(*name)).join(" "))
                .find(|scope| !scope.is_empty()),
            has_other_rights: ["roles", "permissions", "groups", "authorities", "realm_access"]
                .iter()
                .any(|name| has(name)),
            client: text(object, "client_id").or_else(|| text(object, "azp")),
            has_confirmation: has("cnf"),
            confirmed_key: confirmation.and_then(|cnf| text(cnf, "jkt")),
            confirmed_certificate: confirmation.and_then(|cnf| text(cnf, "x5t#S256")),
            has_nonce: has("nonce"),
            has_access_token_hash: has("at_hash"),
            kind: ["token_use", "typ", "token_type", "type"].iter().find_map(|name| text(object, name)),
            htm: text(object, "htm"),
            htu: text(object, "htu"),
            ath: text(object, "ath"),
        }
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// One text or a list of them, as `aud` and `scp` can be.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn time(object: &Map<String, Value>, name: &str, at: usize, defects: &mut Defects) -> Option<NumericDate> {
    let seconds = match object.get(name)? {
        // A conversion of floating point to integer that is out of range gives the nearest integer.
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds.floor() as i64))?,
        _ => {
            defects.push_once(DefectKind::JwtTimeNotNumber, at);
            return None;
        }
    };
    if seconds > MOST_SECONDS {
        defects.push_once(DefectKind::JwtTimeInMilliseconds, at);
    }
    Some(NumericDate(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (Claims, Vec<DefectKind>) {
        let mut defects = Defects::default();
        let claims = Claims::read(serde_json::from_str(json).unwrap(), 0, &mut defects);
        (claims, defects.finish().into_iter().map(|defect| defect.kind).collect())
    }

    #[test]
    fn times() {
        for (json, exp, defects) in [
            (r#"{"exp":1700000000}"#, Some(1_700_000_000), &[][..]),
            (r#"{"exp":1700000000.9}"#, Some(1_700_000_000), &[]),
            (r#"{"exp":1700000000000}"#, Some(1_700_000_000_000), &[DefectKind::JwtTimeInMilliseconds]),
            (r#"{"exp":"1700000000"}"#, None, &[DefectKind::JwtTimeNotNumber]),
            (r#"{"exp":null}"#, None, &[DefectKind::JwtTimeNotNumber]),
            (r#"{"exp":1e300}"#, Some(i64::MAX), &[DefectKind::JwtTimeInMilliseconds]),
            (r#"{"exp":-1}"#, Some(-1), &[]),
            ("{}", None, &[]),
        ] {
            let (claims, found) = read(json);
            assert_eq!((claims.exp, found.as_slice()), (exp.map(NumericDate), defects), "{json}");
        }
        assert_eq!(NumericDate(0).timestamp(), Some(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(NumericDate(i64::MAX).timestamp(), None);
    }

    #[test]
    fn lists_and_texts() {
        let (claims, _) = read(r#"{"aud":["a","b"],"scp":["x","y"],"azp":"c","cnf":{"jkt":"k"},"roles":[],"sub":"s"}"#);
        assert_eq!(claims.aud, ["a", "b"]);
        assert_eq!(claims.scope.as_deref(), Some("x y"));
        assert_eq!(claims.client.as_deref(), Some("c"));
        assert_eq!((claims.has_confirmation, claims.confirmed_key.as_deref()), (true, Some("k")));
        assert!(claims.has_other_rights && !claims.has_nonce && claims.confirmed_certificate.is_none());
        assert_eq!(claims.sub.unwrap().expose(), b"s");

        let (claims, _) = read(r#"{"aud":"a","scope":"x y","iss":7}"#);
        assert_eq!((claims.aud, claims.iss), (vec!["a".to_owned()], None));
        assert_eq!(claims.scope.as_deref(), Some("x y"));
    }
}
