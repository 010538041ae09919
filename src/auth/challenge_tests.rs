//! Tables of field values: good ones, famous ones, and one step away from good.

use super::*;
use DefectKind::*;

/// The challenges as one line of text, in a form that is easy to compare.
fn summary(parsed: &Challenges) -> String {
    let one = |challenge: &Challenge| {
        let mut text = challenge.scheme_as_sent.clone();
        if let Some(token68) = &challenge.token68 {
            text.push_str(&format!(" <{token68}>"));
        }
        for param in &challenge.params {
            text.push_str(&format!(" {}=[{}]", param.name, param.value));
        }
        text
    };
    parsed.challenges.iter().map(one).collect::<Vec<_>>().join(" | ")
}

fn all_defects(parsed: &Challenges) -> Vec<(DefectKind, usize)> {
    let of_challenges = parsed.challenges.iter().flat_map(|challenge| &challenge.defects);
    parsed.defects.iter().chain(of_challenges).map(|defect| (defect.kind, defect.at)).collect()
}

/// Values without a single defect.
pub(crate) const GOOD: &[(&str, &str)] = &[
    (r#"Basic realm="simple""#, "Basic realm=[simple]"),
    (r#"Basic realm="foo, bar""#, "Basic realm=[foo, bar]"),
    (r#",Basic realm="x""#, "Basic realm=[x]"),
    (r#"Basic realm="x", "#, "Basic realm=[x]"),
    (r#"Basic , realm="x""#, "Basic realm=[x]"),
    (r#"BASIC REALM="x", CHARSET="utf-8""#, "BASIC realm=[x] charset=[utf-8]"),
    (r#"Basic realm="\"x\"\\""#, r#"Basic realm=["x"\]"#),
    (
        r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#,
        r#"Newauth realm=[apps] type=[1] title=[Login to "apps"] | Basic realm=[simple]"#,
    ),
    (
        r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#,
        r#"Basic realm=[simple] | Newauth realm=[apps] type=[1] title=[Login to "apps"]"#,
    ),
    ("Negotiate", "Negotiate"),
    ("Negotiate, NTLM", "Negotiate | NTLM"),
    ("NTLM TlRMTVNTUAACAAAA", "NTLM <TlRMTVNTUAACAAAA>"),
    (r#"Negotiate oYG1MA==, Basic realm="x""#, "Negotiate <oYG1MA==> | Basic realm=[x]"),
    ("Unknown a=, Unknown b==", "Unknown <a=> | Unknown <b==>"),
    (
        r#"Bearer realm="r", error="invalid_token", error_description="expired""#,
        "Bearer realm=[r] error=[invalid_token] error_description=[expired]",
    ),
    (
        r#"DPoP error="use_dpop_nonce", algs="ES256 PS256", Bearer scope="a b""#,
        "DPoP error=[use_dpop_nonce] algs=[ES256 PS256] | Bearer scope=[a b]",
    ),
    (
        r#"Digest realm="r", qop="auth, auth-int", algorithm=SHA-256, nonce="n", opaque="o", stale=true"#,
        "Digest realm=[r] qop=[auth, auth-int] algorithm=[SHA-256] nonce=[n] opaque=[o] stale=[true]",
    ),
    (r#"PrivateToken challenge="abc==", token-key="def=""#, "PrivateToken challenge=[abc==] token-key=[def=]"),
    ("PrivateToken challenge=abc==, token-key=def=", "PrivateToken challenge=[abc==] token-key=[def=]"),
    (r#"Other a="1" , b="2",, c=3"#, "Other a=[1] b=[2] c=[3]"),
];

/// Values with defects: the value, what is understood of it, what is wrong where.
type Bad = (&'static str, &'static str, &'static [(DefectKind, usize)]);
pub(crate) const BAD: &[Bad] = &[
    ("", "", &[(ChallengesEmpty, 0)]),
    (" , ,", "", &[(ChallengesEmpty, 0)]),
    (r#"realm="x""#, "", &[(SchemeMissing, 0), (ChallengesEmpty, 0)]),
    (r#"realm="x", Basic realm="y""#, "Basic realm=[y]", &[(SchemeMissing, 0)]),
    (r#""Basic" realm, Basic realm="y""#, "Basic realm=[y]", &[(ElementUnreadable, 0)]),
    (r#"Basic realm="x"#, "Basic realm=[x]", &[(QuoteUnterminated, 12)]),
    ("Basic realm='My Site'", "Basic realm=[My Site]", &[(SingleQuotes, 12)]),
    (r#"Basic realm="x" charset="UTF-8""#, "Basic realm=[x] charset=[UTF-8]", &[(CommaMissing, 16)]),
    (r#"Basic realm="x" Bearer realm="y""#, "Basic realm=[x] | Bearer realm=[y]", &[(CommaMissing, 16)]),
    ("Negotiate NTLM", "Negotiate | NTLM", &[(CommaMissing, 10)]),
    (r#"Basic, realm="x""#, "Basic realm=[x]", &[(CommaAfterScheme, 5)]),
    (r#"Basic: realm="x""#, "Basic realm=[x]", &[(SchemeColon, 5)]),
    ("Basic\trealm=\"x\"", "Basic realm=[x]", &[(SchemeTab, 5)]),
    (r#"Basic realm="x"; charset="UTF-8""#, "Basic realm=[x] charset=[UTF-8]", &[(SemicolonSeparator, 15)]),
    (r#"Basic realm "x""#, "Basic realm=[x]", &[(EqualsMissing, 12)]),
    (r#"Basic realm = "x""#, "Basic realm=[x]", &[(WhitespaceAroundEquals, 12)]),
    (r#"Basic realm="x", realm="y""#, "Basic realm=[x] realm=[y]", &[(ParameterDuplicate, 17)]),
    (r#"Bearer error="a", error="b""#, "Bearer error=[a] error=[b]", &[(ParameterDuplicate, 18)]),
    ("Basic realm=", "Basic realm=[]", &[(ParameterValueMissing, 12)]),
    ("Basic realm=My Site", "Basic realm=[My Site]", &[(ValueNotQuoted, 14)]),
    (
        "Bearer realm=https://a.example/token,service=x",
        "Bearer realm=[https://a.example/token] service=[x]",
        &[(ValueNotQuoted, 18)],
    ),
    (r#"Basic realm="a"b"#, "Basic realm=[a]", &[(TextAfterValue, 15)]),
    ("Basic realm=\"a\x01\"", "Basic realm=[a\u{1}]", &[(ValueControlCharacter, 14)]),
    ("Basic realm=\"é\"", "Basic realm=[é]", &[(ValueNotAscii, 13)]),
    ("Basic", "Basic", &[(RealmMissing, 0)]),
    (r#"Basic charset="UTF-8""#, "Basic charset=[UTF-8]", &[(RealmMissing, 0)]),
    (r#"Basic realm="""#, "Basic realm=[]", &[(RealmEmpty, 6)]),
    ("Basic realm=x", "Basic realm=[x]", &[(RealmNotQuoted, 6)]),
    (r#"Basic realm="x", charset="latin1""#, "Basic realm=[x] charset=[latin1]", &[(CharsetNotUtf8, 17)]),
    ("Basic realm", "Basic <realm>", &[(Token68Unexpected, 0), (RealmMissing, 0)]),
    (r#"Basic "x""#, "Basic", &[(RealmMissing, 0), (ElementUnreadable, 6)]),
    ("Digest", "Digest", &[(RealmMissing, 0), (NonceMissing, 0), (QopMissing, 0)]),
    (r#"Digest realm="r", nonce="n""#, "Digest realm=[r] nonce=[n]", &[(QopMissing, 0)]),
    (
        r#"Digest realm="r", nonce="n", qop="auth", algorithm=SHA3"#,
        "Digest realm=[r] nonce=[n] qop=[auth] algorithm=[SHA3]",
        &[(AlgorithmUnknown, 41)],
    ),
    ("Bearer", "Bearer", &[(BearerParametersMissing, 0)]),
    (r#"Negotiate abcd, realm="x""#, "Negotiate <abcd> realm=[x]", &[(Token68AndParameters, 16)]),
    ("Negotiate a-b", "Negotiate <a-b>", &[(NegotiateNotBase64, 0)]),
];

#[test]
fn good_values_have_no_defects() {
    for (value, expected) in GOOD {
        let parsed = parse_challenges(value.as_bytes());
        assert_eq!(summary(&parsed), *expected, "{value}");
        assert_eq!(all_defects(&parsed), [], "{value}");
    }
}

#[test]
fn bad_values_are_read_on_and_say_where() {
    for (value, expected, defects) in BAD {
        let parsed = parse_challenges(value.as_bytes());
        assert_eq!(summary(&parsed), *expected, "{value}");
        assert_eq!(all_defects(&parsed), *defects, "{value}");
    }
}

#[test]
fn places_and_parameters_can_be_asked_for() {
    let parsed = parse_challenges(br#"Negotiate, Basic Realm="x""#);
    let basic = &parsed.challenges[1];
    assert_eq!((basic.at, basic.param("realm"), basic.param("nonce")), (11, Some("x"), None));
    assert_eq!(basic.params[0].name_as_sent, "Realm");
    assert_eq!(basic.scheme, Scheme::Basic);
}

#[test]
fn long_fields_are_cut_and_many_challenges_counted() {
    let long = format!(r#"Basic realm="{}""#, "x".repeat(10_000));
    let parsed = parse_challenges(long.as_bytes());
    assert_eq!(all_defects(&parsed), [(ChallengesTooLong, LONGEST_FIELD)]);

    let many = vec!["Negotiate"; 150].join(",");
    let parsed = parse_challenges(many.as_bytes());
    assert_eq!(parsed.challenges.len(), MOST_CHALLENGES);
    assert_eq!(all_defects(&parsed), [(ChallengesTooMany, 1000)]);
}

#[test]
fn nonces_and_messages_stay_out_of_debug_text() {
    let parsed = parse_challenges(br#"Digest realm="r", nonce="n0nce", opaque="0paque", NTLM TlRMTVNTUAACAAAA"#);
    let text = format!("{parsed:?}");
    assert!(text.contains("realm"));
    for hidden in ["n0nce", "0paque", "TlRM"] {
        assert!(!text.contains(hidden), "{text}");
    }
}

#[test]
fn messages_of_bound_schemes_are_read() {
    let parsed = parse_challenges(b"NTLM TlRMTVNTUAACAAAA, Negotiate");
    let ntlm = parsed.challenges[0].message();
    assert_eq!(ntlm, Some(Message::Ntlm { step: negotiate::NtlmStep::Challenge, wrapped: false }));
    assert_eq!(parsed.challenges[1].message(), None);
}
