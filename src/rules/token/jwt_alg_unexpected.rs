//! A token that is signed in a way that the server does not take.

use super::is_called_invalid;
use super::refused::{Refused, refused, shown};
use crate::auth::Checked;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::clock;
use crate::rules::words::Meaning;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A token with another algorithm than the server allows.
pub static RULE: Rule = Rule {
    name: "jwt-alg-unexpected",
    family: Family::Token,
    severity: Severity::Error,
    title: "The token is signed with an algorithm that the server does not take",
    why: "A server takes the algorithms that it was told to, and no other, whatever the token's header says: otherwise anybody \
          could choose a weak one, or none. A login server that was switched to another algorithm, or a client of its with \
          a setting of its own, makes tokens that look right and are refused.",
    fix: "Compare the token's `alg` with the algorithms in the server's settings, and the setting of this client at the login \
          server. Allow the one that is meant; never `none`, and no HS256 where the key is a public one.",
    spec: &[Spec::rfc(8725, "3.1"), Spec::rfc(8725, "3.2"), Spec::rfc(7515, "4.1.1")],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "grpc-auth-status",
        "known-error-text",
        "scheme-case",
    ],
    examples: &[
        Example::fires("the server says so", TEXT),
        Example::fires("a token that is not signed", NONE),
        Example::fires("the issuer's other tokens have another algorithm", HISTORY),
        Example::fires("a shared secret where keys are published", SHARED),
        Example::fires("a private key where a secret is shared", PRIVATE),
        Example::quiet("both algorithms are accepted", BOTH),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(refused) = refused(view) else { return Vec::new() };
    let found = by_text(view, &refused).or_else(|| unsigned(view, &refused));
    let found = found.or_else(|| by_keys(view, memory, &refused));
    found.or_else(|| by_history(view, memory, &refused)).into_iter().collect()
}

fn by_text(view: &View<'_>, refused: &Refused<'_>) -> Option<Finding> {
    refused.says(Meaning::Algorithm)?;
    let alg = refused.jwt.header.alg.as_deref()?;
    let summary = format!("the server does not take tokens that are signed with {}", shown(view, alg));
    Some(show(RULE.found(Certainty::Certain, summary), view, refused))
}

fn unsigned(view: &View<'_>, refused: &Refused<'_>) -> Option<Finding> {
    let is_none = refused.jwt.header.alg.as_deref().is_some_and(|alg| alg.eq_ignore_ascii_case("none"));
    // Of a 403 it is not known that it is about the signature.
    if !is_none || refused.said.is_some() || !(view.status() == 401 || is_called_invalid(view)) {
        return None;
    }
    let certainty = if is_called_invalid(view) { Certainty::Certain } else { Certainty::Likely };
    let found = RULE.found(certainty, "the token is not signed at all, and servers refuse such tokens");
    Some(show(found, view, refused).at(At::Client))
}

/// The keys that were given are for other algorithms.
fn by_keys(view: &View<'_>, memory: &Memory, refused: &Refused<'_>) -> Option<Finding> {
    let alg = refused.jwt.header.alg.as_deref()?;
    let Checked::AlgorithmDiffers { keys } = refused.by_keys(view, memory, Meaning::Algorithm)? else { return None };
    if refused.is_accepted(view, memory, |kind| kind.alg.as_deref() == Some(alg)) {
        return None;
    }
    let summary = match alg.starts_with("HS") {
        true => format!("the token is signed with a shared secret ({alg}), and the server's keys are public ones"),
        false if keys == "a shared secret" => {
            format!("the token is signed with a private key ({}), and the server has a shared secret", shown(view, alg))
        }
        false => {
            format!("the token is signed with {}, and the server's key is for another algorithm", shown(view, alg))
        }
    };
    let found = show(RULE.found(Certainty::Certain, summary), view, refused);
    Some(found.because(format!("the keys that were given: {}", shown(view, &keys))))
}

/// The same issuer's tokens are accepted here with another algorithm.
fn by_history(view: &View<'_>, memory: &Memory, refused: &Refused<'_>) -> Option<Finding> {
    let alg = refused.jwt.header.alg.as_deref()?;
    let iss = refused.jwt.claims.as_ref()?.iss.as_deref();
    let mut accepted = refused.accepted_instead(view, memory);
    accepted.retain(|kind| kind.iss.as_deref() == iss);
    if accepted.iter().any(|kind| kind.alg.as_deref() == Some(alg)) {
        return None;
    }
    let other = accepted.into_iter().max_by_key(|kind| kind.time)?;
    let theirs = shown(view, other.alg.as_deref()?);
    let summary = format!("the token is signed with {}, and those accepted here with {theirs}", shown(view, alg));
    let found = show(RULE.found(Certainty::Likely, summary), view, refused);
    Some(found.because(format!("accepted at {}: a token of that issuer with alg={theirs}", clock(other.time))))
}

fn show(found: Finding, view: &View<'_>, refused: &Refused<'_>) -> Finding {
    let alg = refused.jwt.header.alg.as_deref().map(|alg| ("alg", shown(view, alg)));
    let iss = refused.iss(view).map(|iss| ("iss", iss));
    let claims: Vec<_> = alg.into_iter().chain(iss).collect();
    refused.show(found.at(At::Unknown), view, &claims)
}

const TEXT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"HS256"} {"iss":"https://login.example/","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
< WWW-Authenticate: Bearer realm="orders"
<
< {"error":"The specified alg value is not allowed"}
"#;

const NONE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"none"} {"iss":"https://login.example/","exp":1795530000} ""}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const HISTORY: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","exp":1795530000}}
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"ES256","kid":"b1"} {"iss":"https://login.example/","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const BOTH: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","exp":1795530000}}
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"ES256","kid":"b1"} {"iss":"https://login.example/","exp":1795530000}}
< HTTP/1.1 200 OK
"#;

const SHARED: &str = r#"* given keys {"keys":[{"kty":"RSA","kid":"2024","use":"sig","alg":"RS256","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"HS256","typ":"JWT"} {"iss":"https://login.example/","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const PRIVATE: &str = r#"* given secret a secret of the example's own
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"2024"} {"iss":"https://login.example/","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;
