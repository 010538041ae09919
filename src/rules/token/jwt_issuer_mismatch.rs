//! A token that was made by somebody whom the server does not trust.

use super::refused::{Refused, expected, refused, shown};
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
        "known-error-text",
        "scheme-case",
        "scheme-not-offered",
    ],
    examples: &[
        Example::fires("the server says so", TEXT),
        Example::fires("the server expects a slash at the end", SLASH),
        Example::fires("tokens of another issuer are accepted", HISTORY),
        Example::quiet("tokens of two issuers are accepted", TWO),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(refused) = refused(view) else { return Vec::new() };
    by_text(view, memory, &refused).or_else(|| by_history(view, memory, &refused)).into_iter().collect()
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

/// In which small way two issuers differ, if they are meant to be one.
fn variant(one: &str, other: &str) -> Option<&'static str> {
    let bare = |text: &str| text.trim_end_matches('/').to_owned();
    let parts = |text: &str| {
        let (scheme, rest) = text.split_once("://")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Some((scheme.to_ascii_lowercase(), host.to_ascii_lowercase(), bare(path)))
    };
    if one == other {
        return None;
    }
    if bare(one) == bare(other) {
        return Some("by the slash at its end alone");
    }
    if one.eq_ignore_ascii_case(other) {
        return Some("by upper and lower case alone");
    }
    match (parts(one)?, parts(other)?) {
        ((scheme, host, path), (scheme2, host2, path2)) if host == host2 && path == path2 && scheme != scheme2 => {
            Some("by http in place of https")
        }
        // A path of its own, such as a realm's, shows that the same login server is meant.
        ((_, host, path), (_, host2, path2)) if host != host2 && path == path2 && path.len() > 1 => {
            Some("by its host alone")
        }
        _ => None,
    }
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
