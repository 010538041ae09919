//! A token that lost its end on the way.

use super::tokens;
use crate::auth::{DefectKind, Jwt, Signature};
use crate::exchange::View;
use crate::exchange::view::Offered;
use crate::memory::Memory;
use crate::rules::credentials::{fault, is_refused, point};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A token whose signature is too short, or that ends where a field is full.
pub static RULE: Rule = Rule {
    name: "jwt-truncated",
    family: Family::Token,
    severity: Severity::Error,
    title: "The token is cut off at its end",
    why: "Every algorithm makes signatures of a length of its own, and the token's signature is shorter. Something cut it: a \
          column of 255 characters in a database, a buffer of a fixed size, a variable of the environment, a copy out of a \
          terminal that wraps its lines. The claims are before the signature, so that the token looks whole.",
    fix: "Compare the length of the token here with the one that the login server gave out. Then look at what keeps it \
          between: a column, a cookie, a buffer, a variable, a copy by hand.",
    spec: &[Spec::rfc(7518, "3"), Spec::rfc(7515, "7.1")],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "known-error-text",
        "jwt-malformed",
        "scheme-case",
    ],
    examples: &[
        Example::fires("an RSA signature of 190 bytes", RSA),
        Example::fires("an elliptic curve's signature of 63 bytes", CURVE),
        Example::fires("base64 that ends within a byte", HALF),
        Example::fires("cut within the claims at 128 characters", ROUND),
        Example::quiet("a key of 3072 bits", LARGE_KEY),
        Example::quiet("an algorithm that is not known", UNKNOWN),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let found = tokens(view).find_map(|(offered, jwt)| {
        short(view, offered, jwt).or_else(|| broken_off(view, offered, jwt)).or_else(|| full(view, offered, jwt))
    });
    found.into_iter().collect()
}

/// The signature is shorter than any that the algorithm makes.
fn short(view: &View<'_>, offered: &Offered, jwt: &Jwt) -> Option<Finding> {
    let Signature::Present { bytes } = jwt.signature else { return None };
    // What is broken before its end as well was not merely cut.
    let is_cut = jwt.signature_length_fits() == Some(false) && jwt.defects.is_empty();
    let alg = jwt.header.alg.as_deref().filter(|_| is_cut)?;
    // Known names only, which can be shown as they are.
    let (whole, expected) = match alg {
        "HS256" => (32, "32"),
        "HS384" => (48, "48"),
        "HS512" | "ES256" | "ES256K" | "EdDSA" | "Ed25519" => (64, "64"),
        "ES384" => (96, "96"),
        "ES512" => (132, "132"),
        // By the length of the key.
        _ => (1024, "128, 256, 384 or 512"),
    };
    if bytes >= whole {
        return None;
    }
    let summary = format!("the token's signature has {bytes} bytes, where one of {alg} has {expected}");
    Some(show(fault(&RULE, view, offered, Certainty::Certain, summary, &[]), offered, jwt))
}

/// No text of base64 has this length, and each of its characters is one of base64.
fn broken_off(view: &View<'_>, offered: &Offered, jwt: &Jwt) -> Option<Finding> {
    let secret = offered.credentials.secret.expose();
    let last = secret.rsplit(|byte| *byte == b'.').next()?;
    let is_base64 = last.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if jwt.signature != Signature::Unreadable || jwt.parts != 3 || !is_base64 || last.len() % 4 != 1 {
        return None;
    }
    let summary = "the token breaks off within its signature: its base64 ends in the middle of a byte";
    Some(show(fault(&RULE, view, offered, Certainty::Certain, summary, &[]), offered, jwt))
}

/// The lengths at which things that hold a text are full, with and without a byte for its end.
const FULL: [usize; 13] = [127, 128, 255, 256, 511, 512, 1000, 1023, 1024, 2047, 2048, 4095, 4096];

/// The token breaks off before its signature, just where something is full.
fn full(view: &View<'_>, offered: &Offered, jwt: &Jwt) -> Option<Finding> {
    let is_broken = jwt.defects.iter().any(|defect| defect.kind == DefectKind::JwtPartCount) && jwt.parts < 3;
    let lengths = [offered.credentials.secret.len(), offered.length];
    let length = lengths.into_iter().find(|length| FULL.contains(length))?;
    if !is_broken || !is_refused(view, offered) {
        return None;
    }
    let summary = format!("the token breaks off after {length} characters, before its signature");
    Some(show(fault(&RULE, view, offered, Certainty::Likely, summary, &[]), offered, jwt))
}

fn show(found: Finding, offered: &Offered, jwt: &Jwt) -> Finding {
    let text = match jwt.signature {
        Signature::Present { bytes } => format!("the signature: {bytes} bytes"),
        Signature::Unreadable => "the signature: not a whole number of bytes".to_owned(),
        _ => "the signature: not there".to_owned(),
    };
    point(found.at(At::Unknown), text, offered, None)
}

const RSA: &str = r#"> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"sub":"1","exp":1795530000} 190}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const CURVE: &str = r#"> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"ES256"} {"sub":"1","exp":1795530000} 63}
< HTTP/1.1 401 Unauthorized
< Content-Type: text/plain
< WWW-Authenticate: Bearer realm="api"
<
< Jwt verification fails
"#;

const HALF: &str = r#"> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"HS256"} {"sub":"1","exp":1795530000} "dGhlIHNpZ25hdHVyZSBvZiB0aGUgdG9rZW4gd2FzIGN1"}x
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

/// `{"alg":"RS256","kid":"a1"}` and the start of the claims.
const ROUND: &str = r#"> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImExIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvcmVhbG1zL3Nob3AiLCJhdWQiOiJvcmRlcnMtYXBpIiwic3ViIjoi
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const LARGE_KEY: &str = r#"> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"sub":"1","exp":1795530000} 384}
< HTTP/1.1 200 OK
"#;

const UNKNOWN: &str = r#"> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"ML-DSA-44"} {"sub":"1","exp":1795530000} 100}
< HTTP/1.1 200 OK
"#;
