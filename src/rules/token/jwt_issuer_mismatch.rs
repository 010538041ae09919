//! A token that was made by somebody whom the server does not trust.

use super::refused::{Refused, expected, refused, shown, variant};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::clock;
use crate::rules::words::Meaning;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A token whose `iss` is not one that the server knows.
pub static RULE: Rule = Rule {
    name: "jwt-issuer-mismatch",
    family: Family::Token,
    severity: Severity::Error,
    title: "The token was made by an issuer that the server does not trust",
    why: "The issuer in `iss` is compared letter by letter with the one in the server's settings. A slash at the end, http for \
          https, or the name under which the login server is reached from within is another issuer. So is the login \
          server of another environment.",
    fix: "Put the token's `iss` into the server's settings exactly as it stands in the token, if that issuer is to be trusted. \
          Otherwise let the client get its token from the issuer that the server knows.",
    spec: &[
        Spec::rfc(7519, "4.1.1"),
        Spec::Document(
            "OpenID Connect Core 3.1.3.7",
            "https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation",
        ),
    ],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "grpc-auth-status",
        "jwt-audience-mismatch",
        "known-error-text",
        "scheme-case",
        "scheme-not-offered",
    ],
    examples: &[
        Example::fires("the server says so", TEXT),
        Example::fires("the server expects a slash at the end", SLASH),
        Example::fires("tokens of another issuer are accepted", HISTORY),
        Example::fires("another issuer than the one that was given", GIVEN),
        Example::quiet("the issuer that was given", EXPECTED),
        Example::quiet("tokens of two issuers are accepted", TWO),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(refused) = refused(view) else { return Vec::new() };
    let found = by_text(view, memory, &refused).or_else(|| by_word(view, memory, &refused));
    found.or_else(|| by_history(view, memory, &refused)).into_iter().collect()
}

fn by_text(view: &View<'_>, memory: &Memory, refused: &Refused<'_>) -> Option<Finding> {
    let said = refused.says(Meaning::Issuer)?;
    let iss = refused.jwt.claims.as_ref().and_then(|claims| claims.iss.as_deref());
    let wanted = expected(view, said.phrase);
    let accepted = memory.tokens_accepted(view).into_iter().filter_map(|kind| kind.iss.as_deref().map(str::to_owned));
    // What the server names, or else what it takes, may differ from the token's in one letter.
    let near = iss.and_then(|iss| {
        let others = wanted.iter().cloned().chain(accepted);
        others.into_iter().find_map(|other| variant(iss, &other).map(|what| (what, other)))
    });
    let summary = match (iss, &near) {
        (Some(iss), Some((what, _))) => {
            format!("the token's issuer, {}, differs from the server's {what}", shown(view, iss))
        }
        (Some(iss), None) => format!("the server does not know the token's issuer, {}", shown(view, iss)),
        (None, _) => "the token names no issuer, and the server wants to know it".to_owned(),
    };
    let found = refused.show(RULE.found(Certainty::Certain, summary).at(At::Unknown), view, &claims(view, refused));
    Some(match wanted.or(near.map(|(_, other)| other)) {
        Some(wanted) => found.because(format!("the server knows: {}", shown(view, &wanted))),
        None => found,
    })
}

/// The operator said whose tokens the server takes, and this is none of them.
fn by_word(view: &View<'_>, memory: &Memory, refused: &Refused<'_>) -> Option<Finding> {
    let given = refused.given(view, memory, Meaning::Issuer)?;
    let iss = refused.jwt.claims.as_ref()?.iss.as_deref();
    if given.trusts(iss)? || refused.is_accepted(view, memory, |_| true) {
        return None;
    }
    let near = iss.and_then(|iss| given.issuers.iter().find_map(|other| Some((variant(iss, other)?, other))));
    let wanted = near.map(|(_, other)| other).or(given.issuers.first())?;
    let summary = match (iss, near) {
        (Some(iss), Some((what, _))) => {
            format!("the token's issuer, {}, differs from the one that is expected {what}", shown(view, iss))
        }
        (Some(iss), None) => format!("the token's issuer, {}, is not one that is expected", shown(view, iss)),
        (None, _) => "the token names no issuer, and one is expected".to_owned(),
    };
    let found = RULE.found(Certainty::Certain, summary).at(At::Unknown);
    let found = refused.show(found, view, &claims(view, refused));
    Some(found.because(format!("expected, by --issuer: {}", shown(view, wanted))))
}

/// All tokens that are accepted here come from elsewhere.
fn by_history(view: &View<'_>, memory: &Memory, refused: &Refused<'_>) -> Option<Finding> {
    let iss = refused.jwt.claims.as_ref()?.iss.as_deref()?;
    let accepted = refused.accepted_instead(view, memory);
    if accepted.iter().any(|kind| kind.iss.as_deref().is_none_or(|other| other == iss)) {
        return None;
    }
    let other = accepted.into_iter().max_by_key(|kind| kind.time)?;
    let theirs = other.iss.as_deref()?;
    let summary = match variant(iss, theirs) {
        Some(what) => format!("the token's issuer, {}, differs from the one accepted here {what}", shown(view, iss)),
        None => {
            format!("the token is from {}, and those accepted here are from {}", shown(view, iss), shown(view, theirs))
        }
    };
    let found = refused.show(RULE.found(Certainty::Likely, summary).at(At::Unknown), view, &claims(view, refused));
    Some(found.because(format!("accepted at {}: a token with iss={}", clock(other.time), shown(view, theirs))))
}

fn claims(view: &View<'_>, refused: &Refused<'_>) -> Vec<(&'static str, String)> {
    vec![("iss", refused.iss(view).unwrap_or_else(|| "(none)".to_owned()))]
}

const TEXT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.staging.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< Content-Type: text/plain
< Server: istio-envoy
<
< Jwt issuer is not configured
"#;

const SLASH: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
< WWW-Authenticate: Bearer realm="orders"
<
< {"message":"jwt issuer invalid. expected: https://login.example/"}
"#;

const HISTORY: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/realms/shop","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"http://keycloak:8080/realms/shop","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const TWO: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://one.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"b1"} {"iss":"https://two.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 200 OK
"#;

const GIVEN: &str = r#"* given issuer https://login.example
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const EXPECTED: &str = r#"* given issuer https://login.example/
* given issuer https://login.partner.example/
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 200 OK
"#;
