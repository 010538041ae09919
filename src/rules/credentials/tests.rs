//! What must not be said of a refusal: an example can't show it, since another rule has to explain the refusal.

use super::*;
use crate::auth::FingerprintKey;
use crate::exchange::redact::Redactor;
use crate::exchange::transcript;
use crate::memory::Memory;

/// What one rule alone finds in the last exchange of a transcript.
pub(in crate::rules) fn found(rule: &Rule, text: &str) -> Vec<Finding> {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
    let exchanges = transcript::parse(text).unwrap();
    let mut memory = Memory::default();
    let (last, before) = exchanges.split_last().unwrap();
    for exchange in before {
        memory.learn(&View::new(exchange, &redactor));
    }
    rule.check.exchange().unwrap()(&View::new(last, &redactor), &memory)
}

/// A request with that value of Authorization, and an answer with that status and challenge.
fn asked(authorization: &str, status: &str, challenge: &str) -> String {
    let challenge = if challenge.is_empty() { String::new() } else { format!("< WWW-Authenticate: {challenge}\n") };
    format!("> GET / HTTP/1.1\n> Authorization: {authorization}\n< HTTP/1.1 {status} x\n{challenge}")
}

#[test]
fn refusals_of_well_written_credentials_are_left_to_others() {
    let good = [
        "Bearer tGzv3JOkF0XG5Qx2TlKWIA",
        "Basic {basic user:pass}",
        "Basic {basic user:}",
        "Basic {basic :pass}",
        "Basic {basic null:pass}",
        "Token token=\"abc, def\", nonce=\"x\"",
        "Digest username=\"a, Basic b\", realm=\"r\", nonce=\"n\", uri=\"/\", response=\"0\"",
        "OAuth realm=\"Photos\", oauth_signature=\"74KNZJ%3D\"",
        "Bearer nullable",
        "Bearer eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.BBBB.CCCC",
        "AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=f",
        "Negotiate YIIBAAYGKwYBBQUC",
    ];
    for value in good {
        for rule in crate::rules::RULES.iter().filter(|rule| rule.family == crate::rules::Family::Credentials) {
            for status in ["200", "401", "403", "404", "500"] {
                assert!(found(rule, &asked(value, status, "")).is_empty(), "{}: {value}", rule.name);
            }
        }
    }
}

#[test]
fn nothing_sent_is_no_fault_of_spelling() {
    for rule in crate::rules::RULES.iter().filter(|rule| rule.family == crate::rules::Family::Credentials) {
        let text = "> GET / HTTP/1.1\n< HTTP/1.1 401 x\n< WWW-Authenticate: Bearer realm=\"a\"\n";
        assert!(found(rule, text).is_empty(), "{}", rule.name);
    }
}

#[test]
fn a_bare_value_takes_a_refusal_and_a_challenge() {
    let rule = &scheme_malformed::RULE;
    for (status, challenge, certainty) in [
        ("200", "", None),
        ("404", "", None),
        ("401", "Token", Some(Certainty::Likely)),
        ("403", "", Some(Certainty::Possible)),
        ("400", "", Some(Certainty::Likely)),
    ] {
        let found = found(rule, &asked("9944b09199c62bcf9418ad846dd0e4bb", status, challenge));
        assert_eq!(found.first().map(|finding| finding.certainty), certainty, "{status} {challenge}");
    }
}

#[test]
fn schemes_that_clients_change_between_are_one() {
    let rule = &scheme_not_offered::RULE;
    for (value, status, challenge, fires) in [
        ("Bearer abc", "401", "Basic realm=\"a\"", true),
        ("Bearer abc", "403", "Basic realm=\"a\"", false),
        ("Bearer abc", "401", "", false),
        ("Bearer abc", "401", "DPoP algs=\"ES256\"", false),
        ("DPoP abc", "401", "Bearer realm=\"a\"", false),
        ("bearer abc", "401", "BEARER realm=\"a\"", false),
        ("NTLM {ntlm 3}", "401", "Negotiate", false),
        ("Basic {basic a:b}", "401", "Negotiate, Basic realm=\"a\"", false),
        ("Bearer abc", "401", "PrivateToken challenge=\"abc\"", false),
        ("9944b09199c62bcf9418ad846dd0e4bb", "401", "Token", false),
    ] {
        assert_eq!(!found(rule, &asked(value, status, challenge)).is_empty(), fires, "{value} {status} {challenge}");
    }
    // A challenge that lies: the same credentials were taken before.
    let worked = asked("Bearer abc", "200", "") + &asked("Bearer abc", "401", "Basic realm=\"a\"");
    assert!(found(rule, &worked).is_empty());
}

#[test]
fn hints_need_a_refusal() {
    for (rule, value) in [
        (&scheme_case::RULE, "bearer abc"),
        (&scheme_malformed::RULE, "Bearer  abc"),
        (&token_bad_character::RULE, "Bearer 1|abc"),
        (&basic_suspicious_value::RULE, "Basic {basic user:pass{hex 0a}}"),
    ] {
        assert!(found(rule, &asked(value, "404", "")).is_empty(), "{value}");
        let refused = found(rule, &asked(value, "401", ""));
        assert!(refused.iter().all(|finding| finding.certainty < Certainty::Certain), "{value}");
        assert_eq!(refused.len(), 1, "{value}");
    }
}

#[test]
fn how_bad_it_is_follows_from_the_answer() {
    let rule = &token_placeholder::RULE;
    for (status, severity) in [
        ("200", Severity::Info),
        ("304", Severity::Info),
        ("404", Severity::Warning),
        ("302", Severity::Warning),
        ("400", Severity::Error),
        ("401", Severity::Error),
        ("403", Severity::Error),
        ("500", Severity::Error),
        ("503", Severity::Warning),
    ] {
        assert_eq!(found(rule, &asked("Bearer undefined", status, ""))[0].severity, severity, "{status}");
    }
    let proxy = "> GET / HTTP/1.1\n> Proxy-Authorization: Bearer null\n< HTTP/1.1 401 x\n";
    assert_eq!(found(rule, proxy)[0].severity, Severity::Warning);
    let grpc = "> POST / HTTP/2\n> authorization: Bearer null\n< HTTP/2 200\n<+ grpc-status: 16\n";
    assert_eq!(found(rule, grpc)[0].severity, Severity::Error);
}

#[test]
fn a_form_may_have_any_text() {
    let form = "> POST /login HTTP/1.1\n> Content-Type: application/x-www-form-urlencoded\n>\n> token=null\n< HTTP/1.1 401 x\n";
    assert!(found(&token_placeholder::RULE, form).is_empty());
}

#[test]
fn evidence_points_at_the_byte() {
    let found = found(&token_bad_character::RULE, &asked("Bearer ab\u{e9}c", "401", "Bearer realm=\"a\""));
    let places: Vec<_> = found[0].evidence.iter().map(|evidence| evidence.place).collect();
    let place = |message, field, byte| Some(Place { message, field, byte });
    assert_eq!(
        places,
        [place(Message::Request, 0, None), place(Message::Request, 0, Some(9)), place(Message::Response, 0, None)]
    );
}
