//! DPoP proofs: a token that a client signs for one request, with its public key inside (RFC 9449 4.2).
//!
//! The signature is not verified; all else that a server checks can be seen without a key.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::encoding::{decode_url_safe, encode_url_safe};
use super::jwt::{Jwt, parse_jwt};

/// A proof, as far as it could be read.
pub struct DpopProof {
    /// The token that it is; its claims have what it is for.
    pub jwt: Jwt,
    /// The thumbprint of the public key (RFC 7638 3), to which a token can be bound; `None` where there is no such key.
    pub thumbprint: Option<String>,
    /// Whether the private key was sent along, which nobody may see.
    pub has_private_key: bool,
}

/// No proof is longer.
const LONGEST: usize = 16 * 1024;

/// Reads the value of a DPoP field.
pub fn parse_dpop(value: &[u8]) -> DpopProof {
    let text = value.trim_ascii();
    let text = text.get(..LONGEST).unwrap_or(text);
    let header = text.split(|byte| *byte == b'.').next().and_then(decode_url_safe);
    let header = header.and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
    let key = header.as_ref().and_then(|header| header.get("jwk")).and_then(Value::as_object);
    DpopProof {
        jwt: parse_jwt(text),
        thumbprint: key.and_then(thumbprint),
        has_private_key: key.is_some_and(|key| key.contains_key("d") || key.contains_key("k")),
    }
}

/// What `ath` has to be for a token (RFC 9449 4.2).
pub fn access_token_hash(token: &[u8]) -> String {
    encode_url_safe(&Sha256::digest(token))
}

/// The thumbprint of a public key: the hash of its required members, by name, without white space (RFC 7638 3.2).
fn thumbprint(key: &Map<String, Value>) -> Option<String> {
    let names: &[&str] = match key.get("kty").and_then(Value::as_str)? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let member = |name: &&str| {
        let value = key.get(*name)?.as_str()?;
        Some(format!("\"{name}\":{}", serde_json::to_string(value).ok()?))
    };
    let members: Vec<String> = names.iter().map(member).collect::<Option<_>>()?;
    Some(access_token_hash(format!("{{{}}}", members.join(",")).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7638_has_its_thumbprint() {
        let key = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        let key: Map<String, Value> = serde_json::from_str(key).unwrap();
        assert_eq!(thumbprint(&key).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    }

    #[test]
    fn the_example_of_rfc_9449_is_understood() {
        let header = r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}}"#;
        let claims = r#"{"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://resource.example.org/protectedresource","iat":1562262618,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}"#;
        let text = [header, claims].map(|part| encode_url_safe(part.as_bytes())).join(".") + ".c2ln";
        let proof = parse_dpop(text.as_bytes());
        assert_eq!(proof.thumbprint.as_deref(), Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"));
        assert!(!proof.has_private_key);
        let token = b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        assert_eq!(proof.jwt.claims.unwrap().ath, Some(access_token_hash(token)));
    }

    #[test]
    fn what_is_no_proof_has_no_key() {
        for value in ["", "a.b.c", "eyJ9.e30.x"] {
            let proof = parse_dpop(value.as_bytes());
            assert!(proof.thumbprint.is_none() && !proof.has_private_key, "{value}");
        }
    }
}
