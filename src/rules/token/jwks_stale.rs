//! The issuer has changed its keys, and the server still goes by the old ones.

use super::refused::{refused, shown};
use crate::auth::Checked;
use crate::exchange::View;
use crate::memory::{Memory, TokenKind};
use crate::rules::evidence::clock;
use crate::rules::words::Meaning;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A sound token, signed with a key that the issuer publishes and the server does not know.
pub static RULE: Rule = Rule {
    name: "jwks-stale",
    family: Family::Token,
    severity: Severity::Error,
    title: "The server's copy of the issuer's keys is old",
    why: "An issuer changes its keys from time to time: it publishes the new one, signs with it, and takes the old one away \
          later. A server that keeps a copy of the set has to fetch it anew when a token names a key that is not in there. \
          One that does not, or that was given a key by hand, refuses every new token until it is restarted.",
    fix: "Let the server fetch the key set again: restart it for now. Then let its library fetch the set by itself when it \
          meets an unknown `kid`, and look at how long it, and any cache on the way to the issuer, keeps the set.",
    spec: &[
        Spec::Document(
            "OpenID Connect Core 10.1.1",
            "https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys",
        ),
        Spec::rfc(7517, "4.5"),
    ],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "grpc-auth-status",
        "jwt-key-unknown",
        "known-error-text",
        "scheme-case",
    ],
    examples: &[
        Example::fires("tokens with the old key are accepted", ROTATED),
        Example::fires("the server does not know a key that is published", TEXT),
        Example::quiet("both keys are accepted", BOTH),
        Example::quiet("the token is of the old key", OLD),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let refused = refused(view)?;
    let kid = refused.jwt.header.kid.as_deref()?;
    let Checked::Fits { kid: Some(_) } = refused.by_keys(view, memory, Meaning::KeyUnknown)? else { return None };
    let claims = refused.jwt.claims.as_ref()?;
    let given = memory.given();
    let source = given.source_of(kid)?;
    let has = |kind: &TokenKind| kind.kids.iter().any(|other| **other == *kid);
    if given.is_meant(&claims.aud) == Some(false) || refused.is_accepted(view, memory, has) {
        return None;
    }
    let iss = claims.iss.as_deref();
    let older =
        memory.tokens_accepted(view).into_iter().filter(|kind| kind.iss.as_deref() == iss && !kind.kids.is_empty());
    let older = older.max_by_key(|kind| kind.time);
    let says_unknown = refused.says(Meaning::KeyUnknown).is_some();
    if older.is_none() && !says_unknown {
        return None;
    }
    let name = shown(view, kid);
    let summary =
        format!("the token fits the key {name}, which its issuer publishes, and the server does not go by that key");
    let iss = refused.iss(view).map(|iss| ("iss", iss));
    let shown_claims: Vec<_> = std::iter::once(("kid", name)).chain(iss).collect();
    let found = refused.show(RULE.found(Certainty::Likely, summary).at(At::Backend), view, &shown_claims);
    let found = match source.fetched {
        Some(time) => found.because(format!("published: at {}, fetched at {}", shown(view, &source.from), clock(time))),
        None => found.because(format!("published: in {}", shown(view, &source.from))),
    };
    Some(match older {
        Some(kind) => {
            let kids = shown(view, &kind.kids.join(", "));
            found.because(format!("accepted at {}: a token of that issuer with kid={kids}", clock(kind.time)))
        }
        None => found,
    })
}

const ROTATED: &str = r#"* given issuer https://login.example/
* given keys {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-a","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"},{"kty":"OKP","crv":"Ed25519","kid":"2026-b","x":"Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.brXo_PifDwlIFfzpYKnObio9Btg9z5s9Kg18jKn0jawEv5PGW0aFdjB00-egxamYYDZftudnEVh9HPUbxYgiAg
< HTTP/1.1 200 OK
* later 10m
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.oylWcfd0b-o3SHyHqYZS-9LCsr6_CMvtRbkKFlApPI9R_WxanSosAFYuAx0z0HVGYVD1K5GdI0qTUT5X5cCxAg
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const TEXT: &str = r#"* given keys {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-b","x":"Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.oylWcfd0b-o3SHyHqYZS-9LCsr6_CMvtRbkKFlApPI9R_WxanSosAFYuAx0z0HVGYVD1K5GdI0qTUT5X5cCxAg
< HTTP/1.1 401 Unauthorized
< Content-Type: text/plain
< WWW-Authenticate: Bearer realm="https://api.example/orders", error="invalid_token"
<
< Jwks doesn't have key to match kid or alg from Jwt
"#;

const BOTH: &str = r#"* given keys {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-a","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"},{"kty":"OKP","crv":"Ed25519","kid":"2026-b","x":"Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.brXo_PifDwlIFfzpYKnObio9Btg9z5s9Kg18jKn0jawEv5PGW0aFdjB00-egxamYYDZftudnEVh9HPUbxYgiAg
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.oylWcfd0b-o3SHyHqYZS-9LCsr6_CMvtRbkKFlApPI9R_WxanSosAFYuAx0z0HVGYVD1K5GdI0qTUT5X5cCxAg
< HTTP/1.1 200 OK
"#;

const OLD: &str = r#"* given keys {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-b","x":"Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.oylWcfd0b-o3SHyHqYZS-9LCsr6_CMvtRbkKFlApPI9R_WxanSosAFYuAx0z0HVGYVD1K5GdI0qTUT5X5cCxAg
< HTTP/1.1 200 OK
* later 1m
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.brXo_PifDwlIFfzpYKnObio9Btg9z5s9Kg18jKn0jawEv5PGW0aFdjB00-egxamYYDZftudnEVh9HPUbxYgiAg
< HTTP/1.1 200 OK
"#;
