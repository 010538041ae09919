//! What must not be said of a token that was refused.

use super::*;
use crate::rules::credentials::tests::found;

const REFUSED: &str =
    "< HTTP/1.1 401 x\n< Date: Tue, 24 Nov 2026 12:00:01 GMT\n< WWW-Authenticate: Bearer error=\"invalid_token\"\n";
const FINE: &str = "< HTTP/1.1 200 OK\n";

fn sent(header: &str, claims: &str) -> String {
    format!("> GET /a HTTP/1.1\n> Host: a\n> Authorization: Bearer {{jwt {header} {claims}}}\n")
}

fn fires(rule: &Rule, text: &str) -> bool {
    !found(rule, text).is_empty()
}

#[test]
fn other_tokens_tell_only_of_what_alone_differs() {
    let rs = "{\"alg\":\"RS256\"}";
    let claims = |iss: &str, aud: &str| format!("{{\"iss\":\"{iss}\",\"aud\":\"{aud}\",\"exp\":1795530000}}");
    let accepted = sent(rs, &claims("one", "api")) + FINE;
    let audience = &jwt_audience_mismatch::RULE;
    let issuer = &jwt_issuer_mismatch::RULE;
    let alg = &jwt_alg_unexpected::RULE;
    for (name, before, header, own, answer, expected) in [
        ("audience", accepted.clone(), rs, claims("one", "web"), REFUSED, [true, false, false]),
        ("issuer and audience", accepted.clone(), rs, claims("two", "web"), REFUSED, [false, true, false]),
        ("algorithm", accepted.clone(), "{\"alg\":\"ES256\"}", claims("one", "api"), REFUSED, [false, false, true]),
        ("nothing", accepted.clone(), rs, claims("one", "api"), REFUSED, [false; 3]),
        ("nothing is known", String::new(), rs, claims("one", "web"), REFUSED, [false; 3]),
        (
            "both are accepted",
            accepted.clone() + &sent(rs, &claims("one", "web")) + FINE,
            rs,
            claims("one", "web"),
            REFUSED,
            [false; 3],
        ),
        ("403", accepted.clone(), rs, claims("one", "web"), "< HTTP/1.1 403 x\n", [false; 3]),
        (
            "no token is needed",
            accepted.clone() + "> GET /a HTTP/1.1\n> Host: a\n" + FINE,
            rs,
            claims("one", "web"),
            REFUSED,
            [false; 3],
        ),
        (
            "a cause is named",
            accepted.clone(),
            rs,
            claims("one", "web"),
            "< HTTP/1.1 401 x\n<\n< jwt expired\n",
            [false; 3],
        ),
        (
            "another route",
            sent(rs, &claims("one", "api")).replace("/a ", "/b ") + FINE,
            rs,
            claims("one", "web"),
            REFUSED,
            [false; 3],
        ),
        (
            "it has ended",
            accepted.clone(),
            rs,
            "{\"iss\":\"two\",\"aud\":\"web\",\"exp\":1795521000}".to_owned(),
            REFUSED,
            [false; 3],
        ),
    ] {
        let text = before + &sent(header, &own) + answer;
        assert_eq!([audience, issuer, alg].map(|rule| fires(rule, &text)), expected, "{name}");
    }
}

#[test]
fn a_route_of_many_issuers_expects_none() {
    let rs = "{\"alg\":\"RS256\"}";
    let of = |iss: usize| sent(rs, &format!("{{\"iss\":\"tenant{iss}\",\"exp\":1795530000}}"));
    let many: String = (0..6).map(|iss| of(iss) + FINE).collect();
    assert!(!fires(&jwt_issuer_mismatch::RULE, &(many + &of(9) + REFUSED)));
}

#[test]
fn id_tokens_are_wrong_only_where_they_are_refused_for_it() {
    let rs = "{\"alg\":\"RS256\"}";
    let rule = &wrong_token_kind::RULE;
    let id = sent(rs, "{\"iss\":\"one\",\"at_hash\":\"x\"}");
    let other_id = sent(rs, "{\"iss\":\"one\",\"at_hash\":\"y\"}");
    for (name, text, expected) in [
        ("refused", format!("{id}{REFUSED}"), true),
        ("not allowed", format!("{id}< HTTP/1.1 403 x\n"), false),
        ("not found", format!("{id}< HTTP/1.1 404 x\n"), false),
        ("others are accepted", format!("{other_id}{FINE}{id}{REFUSED}"), false),
        ("Google's", sent(rs, "{\"iss\":\"https://accounts.google.com\",\"at_hash\":\"x\"}") + REFUSED, false),
        ("a nonce in an access token", sent(rs, "{\"iss\":\"one\",\"nonce\":\"x\",\"scope\":\"a\"}") + REFUSED, false),
        (
            "an access token that says so",
            sent("{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}", "{\"nonce\":\"x\"}") + REFUSED,
            false,
        ),
    ] {
        assert_eq!(fires(rule, &text), expected, "{name}");
    }
}

#[test]
fn only_what_is_shorter_is_cut() {
    for (alg, bytes, expected) in [
        ("RS256", 256, false),
        ("RS256", 255, true),
        ("RS256", 248, false),
        ("PS512", 512, false),
        ("ES256", 72, false),
        ("ES256", 60, true),
        ("EdDSA", 114, false),
        ("HS256", 31, true),
        ("HS999", 3, false),
    ] {
        let text = format!(
            "> GET /a HTTP/1.1\n> Authorization: Bearer {{jwt {{\"alg\":\"{alg}\"}} {{\"sub\":\"1\"}} {bytes}}}\n{REFUSED}"
        );
        assert_eq!(fires(&jwt_truncated::RULE, &text), expected, "{alg} {bytes}");
    }
}

#[test]
fn a_token_from_the_future_takes_a_clock_and_a_refusal() {
    let rs = "{\"alg\":\"RS256\"}";
    let at = |iat: i64| sent(rs, &format!("{{\"iat\":{iat},\"exp\":1795530000}}"));
    for (text, expected) in [
        (at(1_795_521_700) + REFUSED, true),
        (at(1_795_521_620) + REFUSED, false),
        (at(1_795_521_700) + "< HTTP/1.1 401 x\n", false),
        (at(1_795_521_700) + "< HTTP/1.1 403 x\n< Date: Tue, 24 Nov 2026 12:00:01 GMT\n", false),
        (at(1_795_521_700) + &REFUSED.replace("< Date", "< Age: 100\n< Date"), false),
    ] {
        assert_eq!(fires(&clock_skew::RULE, &text), expected, "{text}");
    }
}
