//! A token that is meant for somebody else.

use super::refused::{Refused, expected, refused, shown, variant};
use crate::exchange::View;
use crate::memory::{Memory, TokenKind};
use crate::rules::evidence::clock;
use crate::rules::words::Meaning;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A token whose `aud` is not the server.
pub static RULE: Rule = Rule {
    name: "jwt-audience-mismatch",
    family: Family::Token,
    severity: Severity::Error,
    title: "The token is meant for another audience",
    why: "A token names in `aud` for whom it was made, and whoever is not named there has to refuse it: otherwise one service \
          could use what it was given against another one. The client asked the login server for a token for something \
          else, often for itself, or the server expects another name than the one under which it is registered.",
    fix: "Ask the login server for a token for this API (its `audience`, `resource` or scope, by the login server's kind). \
          If the token is the right one, add its `aud` to the audiences that the server accepts.",
    spec: &[Spec::rfc(7519, "4.1.3"), Spec::rfc(8707, "2"), Spec::rfc(9068, "4")],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "grpc-auth-status",
        "known-error-text",
        "scheme-case",
        "scheme-not-offered",
    ],
    examples: &[
        Example::fires("the server says so", TEXT),
        Example::fires("the server says what it expects", EXPECTED),
        Example::fires("tokens for another audience are accepted", HISTORY),
        Example::fires("another audience than the one that was given", GIVEN),
        Example::quiet("one of two audiences is the server", TWO),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(refused) = refused(view) else { return Vec::new() };
    let found = by_text(view, &refused).or_else(|| by_word(view, memory, &refused));
    found.or_else(|| by_history(view, memory, &refused)).into_iter().collect()
}

fn by_text(view: &View<'_>, refused: &Refused<'_>) -> Option<Finding> {
    let said = refused.says(Meaning::Audience)?;
    let summary = match audience(view, refused) {
        Some(aud) => format!("the server is not the audience of the token, which is for {aud}"),
        None => "the token names no audience, and the server wants to be named".to_owned(),
    };
    let found = RULE.found(Certainty::Certain, summary).at(At::Unknown);
    let found = refused.show(found, view, &claims(view, refused));
    Some(match expected(view, said.phrase) {
        Some(wanted) => found.because(format!("the server expects: {}", shown(view, &wanted))),
        None => found,
    })
}

/// The operator said by which names the server is meant, and the token has none of them.
fn by_word(view: &View<'_>, memory: &Memory, refused: &Refused<'_>) -> Option<Finding> {
    let given = refused.given(view, memory, Meaning::Audience)?;
    let aud = &refused.jwt.claims.as_ref()?.aud;
    let has_worked = |kind: &TokenKind| kind.aud.iter().any(|other| aud.iter().any(|aud| **aud == **other));
    if given.is_meant(aud)? || refused.is_accepted(view, memory, has_worked) {
        return None;
    }
    let pairs = aud.iter().flat_map(|aud| given.audiences.iter().map(move |other| (aud, other)));
    let near = pairs.into_iter().find_map(|(aud, other)| Some((variant(aud, other)?, other)));
    let wanted = near.map(|(_, other)| other).or(given.audiences.first())?;
    let summary = match (audience(view, refused), near) {
        (Some(aud), Some((what, _))) => {
            format!("the token is for {aud}, which differs from the audience that is expected {what}")
        }
        (Some(aud), None) => format!("the token is for {aud}, which is not the audience that is expected"),
        (None, _) => "the token names no audience, and one is expected".to_owned(),
    };
    let found = RULE.found(Certainty::Certain, summary).at(At::Unknown);
    let found = refused.show(found, view, &claims(view, refused));
    Some(found.because(format!("expected, by --audience: {}", shown(view, wanted))))
}

/// Tokens that differ in nothing but the audience are accepted here.
fn by_history(view: &View<'_>, memory: &Memory, refused: &Refused<'_>) -> Option<Finding> {
    let claims = refused.jwt.claims.as_ref().filter(|claims| !claims.aud.is_empty())?;
    let mut accepted = refused.accepted_instead(view, memory);
    accepted.retain(|kind| kind.iss.as_deref() == claims.iss.as_deref());
    accepted.retain(|kind| kind.alg.as_deref() == refused.jwt.header.alg.as_deref());
    let is_for = |kind: &&TokenKind| claims.aud.iter().any(|aud| kind.aud.iter().any(|other| **other == **aud));
    if accepted.is_empty() || accepted.iter().any(|kind| kind.aud.is_empty() || is_for(kind)) {
        return None;
    }
    let other = accepted.into_iter().max_by_key(|kind| kind.time)?;
    let theirs = shown(view, &other.aud.join(", "));
    let own = audience(view, refused)?;
    let summary = format!("the token is for {own}, and those that are accepted here are for {theirs}");
    let found = RULE.found(Certainty::Likely, summary).at(At::Client);
    let found = refused.show(found, view, &self::claims(view, refused));
    Some(found.because(format!("accepted at {}: a token with aud={theirs}", clock(other.time))))
}

/// For whom the token is, as it may be shown.
fn audience(view: &View<'_>, refused: &Refused<'_>) -> Option<String> {
    let aud = &refused.jwt.claims.as_ref()?.aud;
    (!aud.is_empty()).then(|| shown(view, &aud.join(", ")))
}

fn claims(view: &View<'_>, refused: &Refused<'_>) -> Vec<(&'static str, String)> {
    let aud = audience(view, refused).unwrap_or_else(|| "(none)".to_owned());
    let iss = refused.iss(view).map(|iss| ("iss", iss));
    std::iter::once(("aud", aud)).chain(iss).collect()
}

const TEXT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","aud":"web-shop","exp":1795530000}}
< HTTP/1.1 403 Forbidden
< Content-Type: text/plain
< Server: istio-envoy
<
< Audiences in Jwt are not allowed
"#;

const EXPECTED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","aud":["web-shop","account"],"exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
< WWW-Authenticate: Bearer realm="orders"
<
< {"message":"jwt audience invalid. expected: orders-api"}
"#;

const HISTORY: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","aud":"web-shop","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const TWO: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","aud":["account","orders-api"],"exp":1795530000}}
< HTTP/1.1 200 OK
"#;

const GIVEN: &str = r#"* given issuer https://login.example/
* given audience https://api.example/orders
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","aud":["https://api.example/orders/","account"],"exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;
