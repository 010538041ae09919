//! Tables of tokens, built from their parts so that they can be read here.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

use super::*;
use DefectKind::*;

const RS256: &str = r#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#;
const CLAIMS: &str = r#"{"iss":"https://id.example","aud":"api","exp":1700000000}"#;

fn token(header: &str, claims: &str, signature: &[u8]) -> String {
    [header.as_bytes(), claims.as_bytes(), signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

fn kinds(token: &str) -> Vec<DefectKind> {
    parse_jwt(token.as_bytes()).defects.into_iter().map(|defect| defect.kind).collect()
}

#[test]
fn a_sound_token_is_read() {
    let jwt = parse_jwt(token(RS256, CLAIMS, &[7; 256]).as_bytes());
    assert_eq!(jwt.defects, []);
    assert_eq!((jwt.parts, jwt.encrypted), (3, false));
    assert_eq!((jwt.header.alg.as_deref(), jwt.header.kid.as_deref()), (Some("RS256"), Some("k1")));
    assert_eq!(jwt.signature, Signature::Present { bytes: 256 });
    assert_eq!(jwt.signature_length_fits(), Some(true));
    let claims = jwt.claims.unwrap();
    assert_eq!((claims.iss.as_deref(), claims.aud), (Some("https://id.example"), vec!["api".to_owned()]));
}

#[test]
fn broken_tokens_say_where() {
    let good = token(RS256, CLAIMS, &[7; 256]);
    let header_end = good.find('.').unwrap();
    let payload = header_end + 1;
    let signature = good.rfind('.').unwrap() + 1;
    for (text, expected) in [
        (good[..signature - 1].to_owned(), vec![(JwtPartCount, signature - 1)]),
        (format!("{good}.x"), vec![(JwtPartCount, good.len() + 2)]),
        (good.replacen('.', "*.", 1), vec![(JwtHeaderNotBase64, header_end)]),
        (format!("{}*{}", &good[..payload], &good[payload..]), vec![(JwtPayloadNotBase64, payload)]),
        (format!("{good}*"), vec![(JwtSignatureNotBase64, good.len())]),
        (token("{\"alg\"", CLAIMS, b"x"), vec![(JwtHeaderNotJson, 0)]),
        (token("[]", CLAIMS, b"x"), vec![(JwtHeaderNotObject, 0)]),
        (token(RS256, "{\"exp\"", b"x"), vec![(JwtPayloadNotJson, payload)]),
        (token(RS256, "[1]", b"x"), vec![(JwtPayloadNotObject, payload)]),
        (token(r#"{"typ":"JWT"}"#, CLAIMS, b"x"), vec![(JwtAlgorithmMissing, 0)]),
        (token(RS256, r#"{"exp":"1"}"#, b"x"), vec![(JwtTimeNotNumber, payload)]),
        (token(RS256, r#"{"exp":1700000000000}"#, b"x"), vec![(JwtTimeInMilliseconds, payload)]),
        (good[..signature].to_owned(), vec![(JwtSignatureEmpty, signature)]),
        (format!("{}SIGNATURE_REMOVED_BY_GOOGLE", &good[..signature]), vec![(JwtSignatureRemoved, signature)]),
        (format!("{}=", good), vec![(JwtPadding, good.len())]),
    ] {
        let found: Vec<_> = parse_jwt(text.as_bytes()).defects.iter().map(|defect| (defect.kind, defect.at)).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn the_other_alphabet_and_padding_are_read_through() {
    let claims = r#"{"iss":"???>>>~~~"}"#;
    let parts = [RS256, claims].map(|part| STANDARD.encode(part));
    assert!(parts[1].contains('/'));
    let text = format!("{}.{}.{}", parts[0], parts[1], URL_SAFE.encode([7; 64]));
    let jwt = parse_jwt(text.as_bytes());
    assert_eq!(jwt.claims.unwrap().iss.as_deref(), Some("???>>>~~~"));
    let mut found = kinds(&text);
    found.sort();
    assert_eq!(found, [JwtStandardAlphabet, JwtPadding]);
}

#[test]
fn unsecured_and_encrypted_tokens_are_sound() {
    assert_eq!(kinds(&token(r#"{"alg":"none"}"#, CLAIMS, b"")), []);
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#);
    let jwt = parse_jwt(format!("{header}.AAAA.AAAA.AAAA.AAAA").as_bytes());
    assert_eq!(jwt.defects, []);
    assert!(jwt.encrypted && jwt.claims.is_none());
    assert_eq!((jwt.signature, jwt.header.enc.as_deref()), (Signature::Absent, Some("A256GCM")));
    assert_eq!(kinds(&format!("{header}..AAAA.AAAA.A*AA")), [JwtPartNotBase64]);
}

#[test]
fn lengths_of_signatures() {
    for (alg, bytes, expected) in [
        ("RS256", 256, Some(true)),
        ("RS256", 255, Some(false)),
        ("PS512", 264, None),
        ("ES256", 64, Some(true)),
        ("ES256", 70, Some(false)),
        ("HS256", 32, Some(true)),
        ("HS512", 63, Some(false)),
        ("EdDSA", 64, Some(true)),
        ("X999", 10, None),
    ] {
        let jwt = parse_jwt(token(&format!(r#"{{"alg":"{alg}"}}"#), CLAIMS, &vec![0; bytes]).as_bytes());
        assert_eq!(jwt.signature_length_fits(), expected, "{alg} {bytes}");
    }
}

#[test]
fn what_looks_like_a_token() {
    let good = token(RS256, CLAIMS, b"x");
    let cookie = token(r#"{"user":1}"#, "x", b"y");
    for (text, expected) in [
        (good.as_str(), true),
        (&good[..good.find('.').unwrap()], true),
        ("eyJ*.abc", true),
        ("eyJhbGciOiJSUzI1", false),
        (cookie.as_str(), false),
        ("eyJrIjoiT0tTcG1pUlY2RnVKZTFVaDFsNFZXdE9ZWmNrMkZYbk", false),
        ("v2.local.abc", false),
        ("", false),
    ] {
        assert_eq!(looks_like_jwt(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn deep_json_is_refused_not_followed() {
    let deep = "[".repeat(20_000);
    assert_eq!(kinds(&token(RS256, &deep, b"x")), [JwtPayloadNotJson]);
}
