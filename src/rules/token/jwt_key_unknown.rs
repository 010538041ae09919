//! A token that is signed with a key that the server does not have.

use super::refused::{Refused, refused, shown};
use crate::auth::{Checked, KeySet};
use crate::exchange::View;
use crate::exchange::given::GivenKeys;
use crate::memory::{Memory, TokenKind};
use crate::rules::evidence::{clip, clock};
use crate::rules::words::Meaning;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A token whose `kid` is in no key set of the server.
pub static RULE: Rule = Rule {
    name: "jwt-key-unknown",
    family: Family::Token,
    severity: Severity::Error,
    title: "The server does not have the key that signed the token",
    why: "A token says in `kid` with which key it was signed, and the server looks for it in the issuer's key set. It is not \
          there where the token comes from another issuer or another environment, where the issuer has changed its keys \
          and the server still has the old set, or where the server fetches the set from the wrong place.",
    fix: "Fetch the `jwks_uri` of the token's issuer and look for the `kid`. If it is there, the server's copy is old or from \
          somewhere else: let it fetch the set anew when it meets an unknown `kid`. If it is not, the token is of another \
          issuer, or of one that was signed before the keys were changed.",
    spec: &[
        Spec::rfc(7517, "4.5"),
        Spec::rfc(7515, "4.1.4"),
        Spec::Document(
            "OpenID Connect Core 10.1.1",
            "https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys",
        ),
    ],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "grpc-auth-status",
        "known-error-text",
        "scheme-case",
    ],
    examples: &[
        Example::fires("ASP.NET Core says so", TEXT),
        Example::fires("the token names no key", NO_KID),
        Example::fires("the key is in no set that was given", GIVEN),
        Example::quiet("a key that is known", KNOWN),
        Example::quiet("tokens with that key are accepted all the same", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(refused) = refused(view) else { return Vec::new() };
    by_text(view, memory, &refused).or_else(|| by_keys(view, memory, &refused)).into_iter().collect()
}

/// The key is in none of the sets that were given or fetched.
fn by_keys(view: &View<'_>, memory: &Memory, refused: &Refused<'_>) -> Option<Finding> {
    let kid = refused.jwt.header.kid.as_deref()?;
    let is_unknown = refused.by_keys(view, memory, Meaning::KeyUnknown)? == Checked::KeyUnknown;
    let given = memory.given();
    let has_worked = |kind: &TokenKind| kind.kids.iter().any(|other| **other == *kid);
    if !is_unknown || !given.has_all_keys() || refused.is_accepted(view, memory, has_worked) {
        return None;
    }
    let kid = shown(view, kid);
    let summary = format!("the token says that it is signed with the key {kid}, which is in no key set that was given");
    let iss = refused.iss(view).map(|iss| ("iss", iss));
    let claims: Vec<_> = std::iter::once(("kid", kid)).chain(iss).collect();
    let found = refused.show(RULE.found(Certainty::Certain, summary).at(At::Unknown), view, &claims);
    Some(given.keys.iter().filter(|keys| !keys.is_secret).fold(found, |found, keys| found.because(source(view, keys))))
}

/// Where keys come from, and how many there are.
fn source(view: &View<'_>, keys: &GivenKeys) -> String {
    let number = keys.set.as_ref().map_or(0, KeySet::len);
    let number = if number == 1 { "1 key".to_owned() } else { format!("{number} keys") };
    match keys.fetched {
        Some(time) => clip(format!("{number} at {}, fetched at {}", view.redactor().text(&keys.from), clock(time))),
        None => clip(format!("{number} in {}", view.redactor().text(&keys.from))),
    }
}

fn by_text(view: &View<'_>, memory: &Memory, refused: &Refused<'_>) -> Option<Finding> {
    refused.says(Meaning::KeyUnknown)?;
    let kid = refused.jwt.header.kid.as_deref().map(|kid| shown(view, kid));
    let summary = match &kid {
        Some(kid) => format!("the server has no key called {kid}, with which the token says it is signed"),
        None => "the token does not say which key signed it, and the server finds none that fits".to_owned(),
    };
    let alg = refused.jwt.header.alg.as_deref().map(|alg| ("alg", shown(view, alg)));
    let iss = refused.iss(view).map(|iss| ("iss", iss));
    let kid = ("kid", kid.unwrap_or_else(|| "(none)".to_owned()));
    let claims: Vec<_> = std::iter::once(kid).chain(alg).chain(iss).collect();
    let found = refused.show(RULE.found(Certainty::Certain, summary).at(At::Unknown), view, &claims);
    let own = refused.jwt.claims.as_ref().and_then(|claims| claims.iss.as_deref());
    let accepted = memory.tokens_accepted(view);
    // Whose keys the server has, as far as it showed.
    let other = accepted.iter().filter_map(|kind| kind.iss.as_deref()).find(|other| Some(*other) != own);
    Some(match other {
        Some(other) => found.because(format!("accepted here: tokens with iss={}", shown(view, other))),
        None => found,
    })
}

const TEXT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"2024-old"} {"iss":"https://login.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< Server: Kestrel
< WWW-Authenticate: Bearer error="invalid_token", error_description="The signature key was not found"
"#;

const NO_KID: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"iss":"https://login.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< Content-Type: text/plain
< WWW-Authenticate: Bearer realm="https://api.example/orders", error="invalid_token"
<
< Jwks doesn't have key to match kid or alg from Jwt
"#;

const KNOWN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"2024-old"} {"iss":"https://login.example/","aud":"orders-api","exp":1795530000}}
< HTTP/1.1 200 OK
"#;

const GIVEN: &str = r#"* given issuer https://login.example/
* given keys {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-a","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.oylWcfd0b-o3SHyHqYZS-9LCsr6_CMvtRbkKFlApPI9R_WxanSosAFYuAx0z0HVGYVD1K5GdI0qTUT5X5cCxAg
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const ACCEPTED: &str = r#"* given keys {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-a","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.oylWcfd0b-o3SHyHqYZS-9LCsr6_CMvtRbkKFlApPI9R_WxanSosAFYuAx0z0HVGYVD1K5GdI0qTUT5X5cCxAg
< HTTP/1.1 200 OK
"#;
