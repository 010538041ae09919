//! No input makes a parser panic, or point outside of the value, or take time that grows faster than the input.

use bytes::Bytes;
use proptest::prelude::*;

use super::challenge::tests as challenge_tables;
use super::credentials::tests as credentials_tables;
use super::*;

/// Runs everything that reads bytes of a peer, and checks what holds of all values.
fn run_all(value: &[u8]) {
    let challenges = parse_challenges(value);
    let of_challenges = challenges.challenges.iter().flat_map(|challenge| &challenge.defects);
    for defect in challenges.defects.iter().chain(of_challenges) {
        assert!(defect.at <= value.len(), "{defect:?} in {}", value.escape_ascii());
    }
    for challenge in &challenges.challenges {
        challenge.message();
        assert!(challenge.at < value.len());
        assert!(challenge.params.iter().all(|param| param.at < value.len()));
    }
    let bytes = Bytes::copy_from_slice(value);
    let credentials = parse_credentials(&bytes);
    for defect in &credentials.defects {
        assert!(defect.at <= value.len(), "{defect:?} in {}", value.escape_ascii());
    }
    let end = credentials.secret_at + credentials.secret.len();
    assert_eq!(value.get(credentials.secret_at..end), Some(credentials.secret.expose()));
    assert_eq!(credentials.scheme.is_none(), credentials.scheme_as_sent.is_empty());
    let jwt = parse_jwt(value);
    jwt.signature_length_fits();
    assert!(jwt.defects.iter().all(|defect| defect.at <= value.len()));
    looks_like_jwt(value);
    let proof = parse_dpop(value);
    assert!(proof.jwt.defects.iter().all(|defect| defect.at <= value.len()));
    match &credentials.detail {
        Detail::Digest(digest) => drop(digest.nonce_count()),
        Detail::SigV4(signature) => assert!(signature.signed_headers.len() <= value.len()),
        _ => {}
    }
    access_token_hash(value);
    negotiate::parse_message(value);
}

fn examples() -> Vec<String> {
    let challenges =
        challenge_tables::GOOD.iter().map(|row| row.0).chain(challenge_tables::BAD.iter().map(|row| row.0));
    let credentials =
        credentials_tables::GOOD.iter().map(|row| row.0).chain(credentials_tables::BAD.iter().map(|row| row.0));
    let token = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.AAAA";
    challenges.chain(credentials).chain([token]).map(str::to_owned).collect()
}

/// All bytes but those that no parser here treats differently from their neighbours, which would take a while.
fn bytes_of_every_class() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).filter(|byte| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => b"09AZaez".contains(byte),
        0x80.. => b"\x80\xa0\xad\xbf\xc2\xe2\xef\xff".contains(byte),
        _ => true,
    })
}

#[test]
fn every_prefix_of_every_example() {
    for example in examples() {
        for end in 0..=example.len() {
            run_all(&example.as_bytes()[..end]);
        }
    }
}

#[test]
fn every_change_of_one_byte_in_every_example() {
    for example in examples() {
        let mut bytes = example.into_bytes();
        for at in 0..bytes.len() {
            let original = bytes[at];
            for byte in bytes_of_every_class() {
                bytes[at] = byte;
                run_all(&bytes);
            }
            bytes[at] = original;
        }
    }
}

#[test]
fn long_values_of_every_kind_are_read_in_a_moment() {
    let started = std::time::Instant::now();
    for piece in [
        "a",
        ",",
        " ",
        "=",
        "\"",
        "'",
        "a='x,",
        "a=\"x\\",
        "Basic ",
        "Bearer Bearer ",
        ", Basic x",
        "a b ",
        "x=y z ",
        ";",
        "a=b;",
        "authorization:",
        "\u{feff}",
        "\u{200b} ",
        "eyJ.",
        "%3D",
        ", ",
        "a=\"",
        "Digest a=\"\",",
    ] {
        for prefix in ["", "Basic ", "Bearer ", "Digest ", "AWS4-HMAC-SHA256 ", "Bearer eyJ"] {
            run_all(format!("{prefix}{}", piece.repeat(100_000 / piece.len())).as_bytes());
        }
    }
    // Work that grows with the square of the length would take minutes even on a fast machine.
    assert!(started.elapsed() < std::time::Duration::from_secs(60));
}

proptest! {
    #[test]
    fn arbitrary_bytes(value in prop::collection::vec(any::<u8>(), 0..300)) {
        run_all(&value);
    }

    #[test]
    fn pieces_of_the_grammar(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30)) {
        run_all(pieces.concat().as_bytes());
    }

    /// Tokens whose header and claims are JSON, but with values of the wrong kind.
    #[test]
    fn tokens_of_odd_values(header in object(), claims in object(), signature in "[A-Za-z0-9_-]{0,8}|\\.\\.") {
        let token = [header, claims].map(|part| encoding::encode_url_safe(part.as_bytes())).join(".");
        let token = format!("{token}.{signature}");
        run_all(token.as_bytes());
        run_all(format!("DPoP {token}").as_bytes());
    }

    #[test]
    fn parameters_of_odd_values(
        scheme in prop::sample::select(&["Digest", "AWS4-HMAC-SHA256", "Signature"][..]),
        params in prop::collection::vec((prop::sample::select(PARAMS), "[ -~é]{0,12}", "[,; ]{0,2}"), 0..8),
    ) {
        let params: String = params.iter().map(|(name, value, comma)| format!("{name}={value}{comma}")).collect();
        run_all(format!("{scheme} {params}").as_bytes());
    }

    #[test]
    fn what_was_quoted_is_read_back(realm in "[ -~]{1,40}", title in "[ -~]{0,40}") {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let value = format!(r#"Basic realm="{}", title="{}", NTLM"#, quoted(&realm), quoted(&title));
        let parsed = parse_challenges(value.as_bytes());
        prop_assert_eq!(parsed.challenges.len(), 2);
        prop_assert_eq!(parsed.challenges[0].param("realm"), Some(realm.as_str()));
        prop_assert_eq!(parsed.challenges[0].param("title"), Some(title.as_str()));
        prop_assert!(parsed.challenges.iter().all(|challenge| challenge.defects.is_empty()));
    }
}

fn object() -> impl Strategy<Value = String> {
    let pair = (prop::sample::select(CLAIMS), prop::sample::select(VALUES));
    prop::collection::vec(pair, 0..6).prop_map(|pairs| {
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", pairs.join(","))
    })
}

const CLAIMS: &[&str] =
    &["alg", "kid", "typ", "jwk", "exp", "nbf", "iat", "aud", "iss", "cnf", "scope", "scp", "jti", "htm", "htu", "ath"];

const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1e300",
    "1795521600000",
    "99999999999999999999",
    "\"\"",
    "\"RS256\"",
    "\"\\u0000é\"",
    "[]",
    "[\"a\",1,null]",
    "{}",
    "{\"jkt\":1}",
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"a\",\"y\":\"b\",\"d\":\"c\"}",
];

const PARAMS: &[&str] = &[
    "username",
    "username*",
    "realm",
    "nonce",
    "uri",
    "response",
    "nc",
    "cnonce",
    "qop",
    "userhash",
    "Credential",
    "SignedHeaders",
    "Signature",
    "keyId",
];

const PIECES: &[&str] = &[
    "Basic",
    "Bearer",
    "Digest",
    "Negotiate",
    "NTLM",
    "Authorization:",
    "realm",
    "nonce",
    "=",
    "\"",
    "'",
    ",",
    ";",
    ":",
    " ",
    "\t",
    "\\",
    "x",
    "eyJ",
    ".",
    "%3D",
    "%20",
    "\u{a0}",
    "\u{feff}",
    "é",
    "\n",
    "==",
    "dTpw",
];
