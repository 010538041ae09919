//! Tables of field values: good ones, and one step away from good.

use super::*;
use DefectKind::*;

/// A token with a signature of the right length, header `{"alg":"none"}` and `{"alg":"HS256"}`.
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn parse(value: &str) -> Credentials {
    parse_credentials(&Bytes::copy_from_slice(value.as_bytes()))
}

fn found(credentials: &Credentials) -> Vec<(DefectKind, usize)> {
    credentials.defects.iter().map(|defect| (defect.kind, defect.at)).collect()
}

/// Values without a single defect: value, scheme, secret.
pub(crate) const GOOD: &[(&str, &str, &str)] = &[
    ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    ("Bearer mF_9.B5f-4.1JqM", "bearer", "mF_9.B5f-4.1JqM"),
    ("Bearer nullable", "bearer", "nullable"),
    ("Bearer token", "bearer", "token"),
    ("  Bearer abc\t", "bearer", "abc"),
    ("DPoP abc=", "dpop", "abc="),
    ("Token token=\"abc, def\", nonce=\"x\"", "token", "token=\"abc, def\", nonce=\"x\""),
    ("Token 9944b09199c62bcf9418ad846dd0e4bb", "token", "9944b09199c62bcf9418ad846dd0e4bb"),
    ("Negotiate TlRMTVNTUAABAAAA", "negotiate", "TlRMTVNTUAABAAAA"),
    ("SSWS 00abc", "ssws", "00abc"),
    (
        "Digest username=\"a, Basic b\", realm=\"r\", nonce=\"n\", uri=\"/\", response=\"0\"",
        "digest",
        "username=\"a, Basic b\", realm=\"r\", nonce=\"n\", uri=\"/\", response=\"0\"",
    ),
    (
        "AWS4-HMAC-SHA256 Credential=AKIA/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=f",
        "aws4-hmac-sha256",
        "Credential=AKIA/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=f",
    ),
    (
        "Signature keyId=\"k\",algorithm=\"hs2019\",signature=\"a%3D%3D\"",
        "signature",
        "keyId=\"k\",algorithm=\"hs2019\",signature=\"a%3D%3D\"",
    ),
    (
        "OAuth realm=\"Photos\", oauth_signature=\"74KNZJ%3D\"",
        "oauth",
        "realm=\"Photos\", oauth_signature=\"74KNZJ%3D\"",
    ),
    ("vapid t=eyJ0.eyJh.x, k=BA1H", "vapid", "t=eyJ0.eyJh.x, k=BA1H"),
];

/// Values with defects: value, scheme (empty for none), secret, what is wrong where.
type Bad = (&'static str, &'static str, &'static str, &'static [(DefectKind, usize)]);
pub(crate) const BAD: &[Bad] = &[
    ("", "", "", &[(CredentialsEmpty, 0)]),
    (" \t", "", "", &[(CredentialsEmpty, 0)]),
    ("Bearer", "bearer", "", &[(SchemeAlone, 6)]),
    ("Bearer ", "bearer", "", &[(SchemeAlone, 6)]),
    ("abc123", "", "abc123", &[(SchemeAbsent, 0)]),
    ("sk_live_4242 abc", "", "sk_live_4242 abc", &[(SchemeAbsent, 0)]),
    ("Bearer:abc", "bearer", "abc", &[(SchemeColon, 6)]),
    ("Bearer: abc", "bearer", "abc", &[(SchemeColon, 6)]),
    ("Bearer : abc", "bearer", "abc", &[(SchemeColon, 7)]),
    ("Bearer=abc", "bearer", "abc", &[(SchemeEquals, 6)]),
    ("Bearer, abc", "bearer", "abc", &[(SchemeComma, 6)]),
    ("Bearer\tabc", "bearer", "abc", &[(SchemeTab, 6)]),
    ("Bearer  abc", "bearer", "abc", &[(SchemeSeveralSpaces, 6)]),
    ("Bearer Bearer abc", "bearer", "abc", &[(SchemeRepeated, 7)]),
    ("Bearer bearer Bearer abc", "bearer", "abc", &[(SchemeRepeated, 7)]),
    ("Bearer Bearer", "bearer", "", &[(SchemeRepeated, 7), (SchemeAlone, 13)]),
    ("Basic Bearer dTpw", "basic", "dTpw", &[(SchemeRepeated, 6)]),
    ("Authorization: Bearer abc", "bearer", "abc", &[(FieldNameInValue, 0)]),
    ("Bearer Authorization: Bearer abc", "bearer", "abc", &[(FieldNameInValue, 7), (SchemeRepeated, 22)]),
    ("bearer abc", "bearer", "abc", &[(SchemeSpelling, 0)]),
    ("Bearer%20abc", "bearer", "abc", &[(CredentialsPercentEncoded, 6)]),
    ("Bearer abc%3D%3D", "bearer", "abc%3D%3D", &[(TokenReservedCharacter, 10), (CredentialsPercentEncoded, 13)]),
    ("Basic%20dTpw", "basic", "dTpw", &[(CredentialsPercentEncoded, 5)]),
    ("Basic dTpwYQ%3D%3D", "basic", "dTpwYQ%3D%3D", &[(CredentialsPercentEncoded, 12)]),
    ("Basic dTpw, Bearer abc", "basic", "dTpw", &[(CredentialsJoined, 12)]),
    ("Bearer abc,Bearer def", "bearer", "abc", &[(CredentialsJoined, 11)]),
    ("abc, Basic dTpw", "", "abc", &[(SchemeAbsent, 0), (CredentialsJoined, 5)]),
    ("Bearer ${TOKEN}", "bearer", "${TOKEN}", &[(TokenPlaceholder, 7)]),
    ("Bearer undefined", "bearer", "undefined", &[(TokenPlaceholder, 7)]),
    ("Basic <token>", "basic", "<token>", &[(TokenPlaceholder, 6)]),
    ("undefined", "", "undefined", &[(SchemeAbsent, 0), (TokenPlaceholder, 0)]),
    ("Basic bnVsbDpudWxs", "basic", "bnVsbDpudWxs", &[(TokenPlaceholder, 6)]),
    ("Bearer \"abc\"", "bearer", "abc", &[(TokenQuoted, 7)]),
    ("Bearer 'abc'", "bearer", "abc", &[(TokenQuoted, 7)]),
    ("\"Bearer abc\"", "bearer", "abc", &[(TokenQuoted, 0)]),
    ("Bearer \u{201c}abc\u{201d}", "bearer", "\u{201c}abc\u{201d}", &[(TokenQuoted, 7)]),
    ("Bearer ab\x01c", "bearer", "ab\x01c", &[(TokenControlCharacter, 9)]),
    ("Bearer ab\rc", "bearer", "ab\rc", &[(TokenLineBreak, 9)]),
    ("Bearer\u{a0}abc", "bearer", "abc", &[(TokenNoBreakSpace, 6)]),
    ("Bearer ab\u{a0}c", "bearer", "ab\u{a0}c", &[(TokenNoBreakSpace, 9)]),
    ("\u{feff}Bearer abc", "bearer", "abc", &[(TokenByteOrderMark, 0)]),
    ("Bearer abc\u{feff}", "bearer", "abc\u{feff}", &[(TokenByteOrderMark, 10)]),
    ("Bearer ab\u{200b}c", "bearer", "ab\u{200b}c", &[(TokenZeroWidth, 9)]),
    ("Bearer \u{200b}abc", "bearer", "abc", &[(TokenZeroWidth, 7)]),
    ("Bearer abc\u{2026}", "bearer", "abc\u{2026}", &[(TokenEllipsis, 10)]),
    ("Bearer abc...", "bearer", "abc...", &[(TokenEllipsis, 10)]),
    ("Bearer ab c", "bearer", "ab c", &[(TokenInnerSpace, 9)]),
    ("Bearer ab\u{e9}c", "bearer", "ab\u{e9}c", &[(TokenNotAscii, 9)]),
    ("Bearer 1|abc", "bearer", "1|abc", &[(TokenReservedCharacter, 8)]),
    ("Bearer ab=c", "bearer", "ab=c", &[(TokenReservedCharacter, 9)]),
    ("Basic user:password", "basic", "user:password", &[(BasicNotEncoded, 10)]),
    ("Negotiate a-b", "negotiate", "a-b", &[(NegotiateNotBase64, 10)]),
    (
        "Digest x",
        "digest",
        "x",
        &[
            (ElementUnreadable, 7),
            (DigestUsernameMissing, 7),
            (DigestRealmMissing, 7),
            (DigestNonceMissing, 7),
            (DigestUriMissing, 7),
            (DigestResponseMissing, 7),
        ],
    ),
];

#[test]
fn good_values_have_no_defects() {
    for (value, scheme, secret) in GOOD {
        let read = parse(value);
        assert_eq!(found(&read), [], "{value}");
        assert_eq!(read.scheme.as_ref().map_or("", Scheme::id), *scheme, "{value}");
        assert_eq!(read.secret.expose(), secret.as_bytes(), "{value}");
        assert_eq!(value.as_bytes()[read.secret_at..][..secret.len()], *secret.as_bytes());
        assert!(read.joined.is_empty() && read.placeholder.is_none(), "{value}");
    }
}

#[test]
fn bad_values_are_split_and_say_where() {
    for (value, scheme, secret, defects) in BAD {
        let read = parse(value);
        let mut expected = defects.to_vec();
        let mut got = found(&read);
        expected.sort();
        got.sort();
        assert_eq!(got, expected, "{value:?}");
        assert_eq!(read.scheme.as_ref().map_or("", Scheme::id), *scheme, "{value:?}");
        assert_eq!(read.secret.expose(), secret.as_bytes(), "{value:?}");
        assert_eq!(value.as_bytes()[read.secret_at..][..secret.len()], *secret.as_bytes());
    }
}

#[test]
fn a_secret_is_never_taken_for_a_scheme() {
    for value in ["abc123", JWT, "sk-proj-1234 x", "hunter2 x", "dXNlcjpwYXNz", "AKIA1234567890 abc", "a.b c"] {
        let read = parse(value);
        assert!(read.scheme.is_none() && read.scheme_as_sent.is_empty(), "{value}");
        assert!(read.has(SchemeAbsent));
    }
    let glued = format!("Bearer{JWT}");
    let read = parse(&glued);
    assert_eq!((read.scheme_as_sent.as_str(), found(&read)), ("Bearer", vec![(SchemeGlued, 6)]));
    assert_eq!(read.secret.expose(), JWT.as_bytes());
}

#[test]
fn joined_credentials_keep_their_secrets_apart() {
    let read = parse("Basic dTpw , Bearer abc,DPoP def");
    let joined: Vec<_> = read.joined.iter().map(|next| (next.scheme.id(), next.at, next.secret.expose())).collect();
    assert_eq!(joined, [("bearer", 13, &b"abc"[..]), ("dpop", 24, b"def")]);
    assert_eq!(read.secret.expose(), b"dTpw");
    let in_list = parse("Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"/\", response=\"0\", Bearer abc");
    assert_eq!(found(&in_list), [(CredentialsJoined, 66)]);
    // A comma and a word prove nothing.
    assert!(parse("Bearer abc, def ghi").joined.is_empty());
    assert!(parse("Bearer abc, Bearer").joined.is_empty());
}

#[test]
fn details_follow_the_scheme() {
    assert!(matches!(parse("Basic dTpw").detail, Detail::Basic(basic) if basic.user() == Some("u")));
    assert!(matches!(parse("Bearer abc").detail, Detail::Opaque));
    for value in [format!("Bearer {JWT}"), format!("DPoP {JWT}"), format!("Token {JWT}"), JWT.to_owned()] {
        let Detail::Jwt(jwt) = parse(&value).detail else { panic!("{value}") };
        assert_eq!(jwt.signature_length_fits(), Some(true), "{value}");
    }
    let ntlm = parse("NTLM TlRMTVNTUAADAAAA");
    assert!(matches!(ntlm.detail, Detail::Negotiate(message) if message.id() == "ntlm-type-3"));
    assert!(matches!(parse("Bearer null").detail, Detail::None));
    let Detail::Params(names) = parse("Hawk id=\"secret\", mac=\"x\"").detail else { panic!() };
    assert_eq!(names, ["id", "mac"]);
    let Detail::SigV4(read) = parse("AWS4-HMAC-SHA256 Credential=k/20130524/r/s/aws4_request").detail else { panic!() };
    assert_eq!(read.region.as_deref(), Some("r"));
}

#[test]
fn defects_inside_a_token_are_counted_from_the_start_of_the_value() {
    let cut = &JWT[..JWT.rfind('.').unwrap()];
    let read = parse(&format!("Bearer {cut}"));
    assert_eq!(found(&read), [(JwtPartCount, 7 + cut.len())]);
    let Detail::Jwt(jwt) = read.detail else { panic!() };
    assert_eq!(jwt.defects[0].at, cut.len());
}

#[test]
fn placeholders_are_classed() {
    assert_eq!(parse("Bearer ${TOKEN}").placeholder, Some(Placeholder::ShellVariable));
    assert_eq!(parse("Bearer \"null\"").placeholder, Some(Placeholder::MissingValue));
    assert_eq!(parse("Basic bnVsbDpudWxs").placeholder, Some(Placeholder::MissingValue));
    assert_eq!(parse("Basic <user:password>").placeholder, Some(Placeholder::Brackets));
}

#[test]
fn bytes_of_old_charsets_are_found() {
    let read = parse_credentials(&Bytes::from_static(b"Bearer ab\xa0c\xe9"));
    assert_eq!(found(&read), [(TokenNoBreakSpace, 9), (TokenNotAscii, 11)]);
    let read = parse_credentials(&Bytes::from_static(b"Bearer\xa0abc"));
    assert_eq!((found(&read), read.secret.expose()), (vec![(TokenNoBreakSpace, 6)], &b"abc"[..]));
}

#[test]
fn long_values_are_cut_for_analysis_but_kept_whole() {
    let value = format!("Bearer {}", "a".repeat(70_000));
    let read = parse(&value);
    assert_eq!(found(&read), [(CredentialsTooLong, LONGEST)]);
    assert_eq!(read.secret.len(), 70_000);
}

/// Each kind of defect fires in some table of this folder.
#[test]
fn every_kind_is_tested() {
    let tests = [
        include_str!("basic.rs"),
        include_str!("challenge_tests.rs"),
        include_str!("credentials_tests.rs"),
        include_str!("digest.rs"),
        include_str!("jwt_claims.rs"),
        include_str!("jwt_tests.rs"),
        include_str!("parameter.rs"),
        include_str!("sigv4.rs"),
    ];
    for kind in DefectKind::ALL {
        let name = format!("{kind:?}");
        let in_tests =
            tests.iter().any(|text| text.split("use DefectKind::*;").skip(1).any(|part| part.contains(&name)));
        assert!(in_tests, "{name} has no example");
    }
}
