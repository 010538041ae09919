//! A token whose signature does not fit the key that it names.

use super::refused::{refused, shown};
use crate::auth::Checked;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::words::Meaning;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A token that was not signed with the key that it names, or was changed since.
pub static RULE: Rule = Rule {
    name: "jwt-signature-invalid",
    family: Family::Token,
    severity: Severity::Error,
    title: "The token's signature does not fit the key",
    why: "A signature is made over the header and the claims, letter by letter. It does not fit where one of them was changed \
          after signing, where the signer's key is another one that has the same name, or where signer and server do not \
          share the same secret: one of them has it with a line end, in base64, or of another environment.",
    fix: "Take a fresh token from the issuer and hold it against the same keys. If that fits, look for what changes or makes \
          tokens on the client's side. If it does not, the keys that were given are not those with which this issuer \
          signs; compare shared secrets byte by byte.",
    spec: &[Spec::rfc(7515, "5.2"), Spec::rfc(7519, "7.2"), Spec::rfc(7517, "4.5")],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "grpc-auth-status",
        "known-error-text",
        "scheme-case",
    ],
    examples: &[
        Example::fires("the claims were changed", ALTERED),
        Example::fires("signed with another key than the token says", ANOTHER),
        Example::fires("another secret", SECRET),
        Example::quiet("the signature fits", FITS),
        Example::quiet("the server takes it, by a key that was not given", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let refused = refused(view)?;
    let checked = refused.by_keys(view, memory, Meaning::Signature)?;
    let alg = refused.jwt.header.alg.as_deref()?;
    let kid = refused.jwt.header.kid.as_deref();
    let name = kid.map(|kid| shown(view, kid));
    let (certainty, summary) = match (checked, &name) {
        (Checked::FitsAnother { kid: Some(other) }, Some(name)) => {
            let other = shown(view, &other);
            (Certainty::Certain, format!("the token is signed with the key {other}, and says that it is {name}"))
        }
        (Checked::FitsAnother { .. }, Some(name)) => {
            (Certainty::Certain, format!("the token is signed with another key than {name}, which it names"))
        }
        (Checked::Fails, _) if alg.starts_with("HS") => {
            (Certainty::Certain, "the token's signature was not made with the secret that was given".to_owned())
        }
        (Checked::Fails, Some(name)) => {
            let what = "or the token was changed since";
            (Certainty::Certain, format!("the token's signature was not made with the key {name}, {what}"))
        }
        // Without a name, the key may be one that was not given.
        (Checked::Fails, None) => {
            (Certainty::Likely, "the token's signature was made with none of the keys that were given".to_owned())
        }
        _ => return None,
    };
    let iss = refused.iss(view).map(|iss| ("iss", iss));
    let named = ("kid", name.unwrap_or_else(|| "(none)".to_owned()));
    let claims: Vec<_> = [named, ("alg", shown(view, alg))].into_iter().chain(iss).collect();
    let found = refused.show(RULE.found(certainty, summary).at(At::Client), view, &claims);
    let source = match kid.and_then(|kid| memory.given().source_of(kid)) {
        Some(keys) => Some(keys),
        None => memory.given().keys.iter().find(|keys| keys.is_secret == alg.starts_with("HS")),
    };
    Some(match source {
        Some(keys) => found.because(format!("key from: {}", shown(view, &keys.from))),
        None => found,
    })
}

const ALTERED: &str = r#"* given keys {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-a","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoiYWRtaW4tYXBpIiwiZXhwIjoxNzk1NTMwMDAwfQ.brXo_PifDwlIFfzpYKnObio9Btg9z5s9Kg18jKn0jawEv5PGW0aFdjB00-egxamYYDZftudnEVh9HPUbxYgiAg
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const ANOTHER: &str = r#"* given keys {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-a","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"},{"kty":"OKP","crv":"Ed25519","kid":"2026-b","x":"Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.rji9OstEJxiHcujElQjZ2K_MIxccj8XzM-dLapcasylTVykzAW3I12Tx1Q150G8BetAcr5S1ypQ85DhIbSLNCA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const SECRET: &str = r#"* given secret a secret of the example's own
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"HS256","typ":"JWT"} {"iss":"https://login.example/","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const FITS: &str = r#"* given keys {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-a","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.brXo_PifDwlIFfzpYKnObio9Btg9z5s9Kg18jKn0jawEv5PGW0aFdjB00-egxamYYDZftudnEVh9HPUbxYgiAg
< HTTP/1.1 200 OK
"#;

const ACCEPTED: &str = r#"* given secret a secret of the example's own
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"HS256","typ":"JWT"} {"iss":"https://login.example/","exp":1795530000}}
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"HS256","typ":"JWT"} {"iss":"https://login.example/","exp":1795530001}}
< HTTP/1.1 200 OK
"#;
