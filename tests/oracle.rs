//! Challenges as another program reads them: what both readers accept, they understand in the same way.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use authtap::auth::{Challenge, Challenges, DefectKind, parse_challenges};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// A scheme in lower case and its parameters, names in lower case.
type Understood = Vec<(String, Vec<(String, String)>)>;

/// What only somebody knows who knows the scheme, and what is reported though it can be read in one way only: the other
/// reader says nothing of either.
const UNTOLD: [DefectKind; 12] = [
    DefectKind::AlgorithmUnknown,
    DefectKind::BearerParametersMissing,
    DefectKind::CharsetNotUtf8,
    DefectKind::NegotiateNotBase64,
    DefectKind::NonceMissing,
    DefectKind::QopMissing,
    DefectKind::RealmEmpty,
    DefectKind::RealmMissing,
    DefectKind::RealmNotQuoted,
    DefectKind::ParameterDuplicate,
    DefectKind::Token68Unexpected,
    DefectKind::WhitespaceAroundEquals,
];

fn is_clean(read: &Challenges) -> bool {
    let of_challenges = read.challenges.iter().flat_map(|challenge| &challenge.defects);
    read.defects.iter().chain(of_challenges).all(|defect| UNTOLD.contains(&defect.kind))
}

fn ours(read: &Challenges) -> Understood {
    let params = |challenge: &Challenge| {
        challenge.params.iter().map(|param| (param.name.clone(), param.value.clone())).collect::<Vec<_>>()
    };
    read.challenges.iter().map(|challenge| (challenge.scheme_as_sent.to_ascii_lowercase(), params(challenge))).collect()
}

fn theirs(value: &str) -> Option<Understood> {
    let read = http_auth::parse_challenges(value).ok()?;
    let params = |challenge: &http_auth::ChallengeRef<'_>| {
        let pairs = challenge.params.iter();
        pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_unescaped())).collect::<Vec<_>>()
    };
    Some(read.iter().map(|challenge| (challenge.scheme.to_ascii_lowercase(), params(challenge))).collect())
}

/// Where the two differ with reason, though both accept. What the other reader refuses and ours does not: token68, several
/// spaces behind a scheme, white space at both ends, letters outside of ASCII.
fn is_known_difference(read: &Challenges) -> bool {
    // A token68 is no parameter; the other reader knows none, and where one ends in `=` it may take it for a name.
    read.challenges.iter().any(|challenge| challenge.token68.is_some())
}

/// Compares; `false` where one of the two does not accept, so that there is nothing to compare.
fn agree(value: &str) -> Result<bool, TestCaseError> {
    let read = parse_challenges(value.as_bytes());
    let Some(theirs) = theirs(value) else { return Ok(false) };
    if !is_clean(&read) || is_known_difference(&read) {
        return Ok(false);
    }
    prop_assert_eq!(ours(&read), theirs, "{}", value);
    Ok(true)
}

const SCHEMES: &[&str] =
    &["Basic", "Bearer", "Digest", "basic", "DPoP", "Negotiate", "NTLM", "X-Own", "AWS4-HMAC-SHA256"];
const NAMES: &[&str] =
    &["realm", "Realm", "nonce", "qop", "charset", "error", "scope", "algorithm", "x", "a-b", "title*"];
const SPACES: &[&str] = &["", " ", "  ", "\t"];
const COMMAS: &[&str] = &[",", ", ", " , ", ",,", ", ,\t"];

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

/// A parameter by the grammar of RFC 9110 11.2, with white space where it may be.
fn param() -> impl Strategy<Value = String> {
    let quoted = "[ !#-\\[\\]-~]{0,12}|(\\\\[ -~]|[a-z, =]){0,6}".prop_map(|text| format!("\"{text}\""));
    let value = prop_oneof!["[A-Za-z0-9!#$%&'*+.^_`|~-]{1,10}".boxed(), quoted.boxed()];
    (one_of(NAMES), one_of(&["=", " =", "= "]), value)
        .prop_map(|(name, equals, value)| format!("{name}{equals}{value}"))
}

fn challenge() -> impl Strategy<Value = String> {
    let params = prop::collection::vec((param(), one_of(COMMAS)), 0..4);
    (one_of(SCHEMES), one_of(&[" ", " ", " ", "  "]), params).prop_map(|(scheme, space, params)| {
        let mut text = scheme;
        for (number, (param, comma)) in params.iter().enumerate() {
            text.push_str(if number == 0 { &space } else { comma });
            text.push_str(param);
        }
        text
    })
}

fn list() -> impl Strategy<Value = String> {
    let more = prop::collection::vec((one_of(COMMAS), challenge()), 0..3);
    (one_of(&["", "", "", " "]), challenge(), more, one_of(&["", "", ",", " "])).prop_map(
        |(before, first, more, after)| {
            let more: String = more.into_iter().map(|(comma, challenge)| comma + &challenge).collect();
            format!("{before}{first}{more}{after}")
        },
    )
}

/// Pieces in any order: mostly what no grammar allows.
fn jumble() -> impl Strategy<Value = String> {
    let pieces: Vec<&'static str> =
        [SCHEMES, NAMES, SPACES, COMMAS, &["=", "\"", "\\", "x", ";", ":", "é", "'"]].concat();
    prop::collection::vec(prop::sample::select(pieces), 0..16).prop_map(|pieces| pieces.concat())
}

#[test]
fn both_understand_the_same() {
    let mut runner = TestRunner::new(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() });
    let compared = std::cell::Cell::new(0);
    let result = runner.run(&list(), |value| {
        compared.set(compared.get() + i32::from(agree(&value)?));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(compared.get() > 1000, "only {} of 4000 could be compared", compared.get());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_both_accept_of_a_jumble_is_the_same(value in jumble()) {
        agree(&value)?;
    }
}

#[test]
fn the_usual_challenges_are_read_alike() {
    for value in [
        "Basic realm=\"a\"",
        "Basic realm=\"say \\\"hi\\\"\", charset=\"UTF-8\"",
        "Digest realm=\"a\", qop=\"auth,auth-int\", nonce=\"n\", algorithm=SHA-256, Basic realm=\"b, c\"",
        "Bearer realm=\"https://auth.example/token\",service=\"r\",scope=\"repository:a/b:pull,push\"",
        "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"",
        "Negotiate, NTLM",
        ", Basic realm=\"a\",",
    ] {
        assert!(agree(value).unwrap_or_else(|error| panic!("{error}")), "{value} could not be compared");
    }
}
