//! Where a token's time is no explanation, and how sure it is where it is one.

use super::*;
use crate::rules::credentials::tests::found;

/// A request at 12:00:00 with a token that has these claims, and an answer.
fn asked(claims: &str, answer: &str) -> String {
    format!("> GET / HTTP/1.1\n> Authorization: Bearer {{jwt {{\"alg\":\"RS256\"}} {claims}}}\n{answer}")
}

/// 2026-11-24T12:00:00Z, when transcripts begin.
const NOON: i64 = 1_795_521_600;
const REFUSED: &str = "< HTTP/1.1 401 x\n< Date: Tue, 24 Nov 2026 12:00:00 GMT\n";
const INVALID: &str =
    "< HTTP/1.1 401 x\n< Date: Tue, 24 Nov 2026 12:00:00 GMT\n< WWW-Authenticate: Bearer error=\"invalid_token\"\n";
const SAYS_SO: &str = "< HTTP/1.1 401 x\n< Date: Tue, 24 Nov 2026 12:00:00 GMT\n<\n< Token has expired\n";

fn certainty(rule: &Rule, text: &str) -> Option<Certainty> {
    found(rule, text).first().map(|finding| finding.certainty)
}

#[test]
fn a_minute_is_left_to_the_leeway_unless_the_server_says_so() {
    for (late, answer, expected) in [
        (61, REFUSED, Some(Certainty::Certain)),
        (60, REFUSED, None),
        (1, REFUSED, None),
        (61, INVALID, Some(Certainty::Certain)),
        (60, INVALID, Some(Certainty::Likely)),
        (1, INVALID, Some(Certainty::Likely)),
        (0, INVALID, None),
        // By whose clock is not known.
        (1, "< HTTP/1.1 401 x\n< WWW-Authenticate: Bearer error=\"invalid_token\"\n", None),
        (1, SAYS_SO, Some(Certainty::Certain)),
        (0, SAYS_SO, None),
        (-3600, SAYS_SO, None),
    ] {
        let text = asked(&format!("{{\"exp\":{}}}", NOON - late), answer);
        assert_eq!(certainty(&token_expired::RULE, &text), expected, "{late}");
    }
    for (early, expected) in [(61, Some(Certainty::Certain)), (60, None), (-1, None)] {
        let text = asked(&format!("{{\"nbf\":{}}}", NOON + early), REFUSED);
        assert_eq!(certainty(&token_not_yet_valid::RULE, &text), expected, "{early}");
    }
}

#[test]
fn the_clock_that_decides_is_the_servers() {
    let at = |date: &str, late: i64| {
        let answer = format!("< HTTP/1.1 401 x\n< Date: Tue, 24 Nov 2026 {date} GMT\n");
        certainty(&token_expired::RULE, &asked(&format!("{{\"exp\":{}}}", NOON - late), &answer))
    };
    assert_eq!(at("12:00:29", 61), Some(Certainty::Certain));
    assert_eq!(at("12:05:00", -100), Some(Certainty::Likely));
    assert_eq!(at("12:05:00", 300), Some(Certainty::Certain));
    assert_eq!(at("11:55:00", 100), None);
    let no_date = asked(&format!("{{\"exp\":{}}}", NOON - 100), "< HTTP/1.1 401 x\n");
    assert_eq!(certainty(&token_expired::RULE, &no_date), Some(Certainty::Likely));
    // An answer out of a cache tells when it was made.
    let cached = asked(
        &format!("{{\"exp\":{}}}", NOON + 100),
        "< HTTP/1.1 401 x\n< Age: 9\n< Date: Tue, 24 Nov 2026 12:05:00 GMT\n",
    );
    assert_eq!(certainty(&token_expired::RULE, &cached), None);
}

#[test]
fn other_answers_and_other_places_say_nothing() {
    let old = "{\"exp\":1795500000}";
    for answer in [
        "< HTTP/1.1 200 OK\n",
        "< HTTP/1.1 404 x\n<\n< page expired\n",
        "< HTTP/1.1 302 x\n< Location: /login\n",
        "< HTTP/1.1 500 x\n",
        "< HTTP/1.1 400 x\n",
        "< HTTP/2 200\n< grpc-status: 0\n",
    ] {
        assert!(found(&token_expired::RULE, &asked(old, answer)).is_empty(), "{answer}");
    }
    assert_eq!(
        certainty(&token_expired::RULE, &asked(old, "< HTTP/1.1 400 x\n<\n< jwt expired\n")),
        Some(Certainty::Certain)
    );
    let token = "{jwt {\"alg\":\"RS256\"} {\"exp\":1795500000}}";
    for text in [
        format!("> GET /logout?id_token_hint={token} HTTP/1.1\n< HTTP/1.1 401 x\n"),
        format!(
            "> POST /token HTTP/1.1\n> Content-Type: application/x-www-form-urlencoded\n>\n> grant_type=x&token={token}\n< HTTP/1.1 401 x\n"
        ),
        format!(
            "> POST /introspect HTTP/1.1\n> Content-Type: application/x-www-form-urlencoded\n>\n> token={token}\n< HTTP/1.1 401 x\n"
        ),
    ] {
        assert!(found(&token_expired::RULE, &text).is_empty(), "{text}");
    }
}

#[test]
fn odd_times_are_no_limits() {
    for claims in [
        "{\"exp\":1795500000000}",
        "{\"exp\":\"1795500000\"}",
        "{\"exp\":0}",
        "{\"exp\":-9223372036854775808}",
        "{\"iat\":1795599999}",
        "{}",
    ] {
        assert!(found(&token_expired::RULE, &asked(claims, REFUSED)).is_empty(), "{claims}");
        assert!(found(&token_not_yet_valid::RULE, &asked(claims, REFUSED)).is_empty(), "{claims}");
    }
}

#[test]
fn an_old_token_beside_other_credentials_is_less_sure() {
    let text = format!(
        "> GET / HTTP/1.1\n> Authorization: Basic {{basic a:b}}\n> X-Access-Token: {{jwt {{\"alg\":\"RS256\"}} {{\"exp\":{}}}}}\n{REFUSED}",
        NOON - 100
    );
    assert_eq!(certainty(&token_expired::RULE, &text), Some(Certainty::Likely));
}

#[test]
fn what_is_no_token_is_not_called_a_broken_one() {
    for value in ["tGzv3JOkF0XG5Qx2TlKWIA", "eyJ1c2VyIjoxfQ", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.BBBB.CCCC"]
    {
        let text = format!("> GET / HTTP/1.1\n> Authorization: Bearer {value}\n{REFUSED}");
        assert!(found(&jwt_malformed::RULE, &text).is_empty(), "{value}");
        assert!(found(&jwt_signature_removed::RULE, &text).is_empty(), "{value}");
    }
}

#[test]
fn spans_have_two_units_at_most() {
    for (seconds, text) in [
        (0, "0 s"),
        (1, "1 s"),
        (60, "1 min"),
        (843, "14 min 3 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (86_400 * 400 + 5, "400 d"),
    ] {
        assert_eq!(span(seconds), text);
    }
}
