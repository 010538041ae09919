//! Digest credentials that lack a parameter, or write one in a way that servers misread.

use super::{fault, first_with, foremost, is_refused};
use crate::auth::{DefectKind, Scheme};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// Digest credentials that cannot be checked.
pub static RULE: Rule = Rule {
    name: "digest-parameters-invalid",
    family: Family::Credentials,
    severity: Severity::Error,
    title: "The Digest credentials are incomplete or badly written",
    why: "A Digest answer is calculated over the user name, the realm, the nonce and the target, and names all of them, so that \
          the server can calculate it as well. With `qop` it needs a count and a nonce of the client's own. Where one is \
          missing there is nothing to compare. And some servers know each parameter only with its quotes, or only without.",
    fix: "Use the Digest of an HTTP library in place of one made by hand. In particular `nc` has eight hexadecimal digits, \
          `qop`, `nc` and `algorithm` have no quotes, and all others have.",
    spec: &[Spec::rfc(7616, "3.4"), Spec::rfc(7616, "3.5")],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "scheme-case"],
    examples: &[
        Example::fires("no nonce", NO_NONCE),
        Example::fires("qop without a count", NO_COUNT),
        Example::fires("a count of one digit", COUNT),
        Example::fires("a realm without quotes", QUOTES),
        Example::quiet("the older form without qop", OLD),
        Example::quiet("qop in quotes, and nobody minds", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

/// From what says most to what says least.
const MISSING: [DefectKind; 9] = [
    DefectKind::DigestUsernameMissing,
    DefectKind::DigestRealmMissing,
    DefectKind::DigestNonceMissing,
    DefectKind::DigestUriMissing,
    DefectKind::DigestResponseMissing,
    DefectKind::DigestNcMissing,
    DefectKind::DigestCnonceMissing,
    DefectKind::DigestNcMalformed,
    DefectKind::DigestUsernameTwice,
];
const QUOTING: [DefectKind; 2] = [DefectKind::DigestQuotesMissing, DefectKind::DigestQuotesUnexpected];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    missing(view).or_else(|| quoting(view)).into_iter().collect()
}

fn missing(view: &View<'_>) -> Option<Finding> {
    let (offered, defects) = first_with(view, &MISSING)?;
    if offered.credentials.scheme != Some(Scheme::Digest) {
        return None;
    }
    let summary = format!("the Digest credentials can't be checked: {}", foremost(&MISSING, &defects)?.text());
    Some(fault(&RULE, view, offered, Certainty::Certain, summary, &defects))
}

/// Most servers read both forms, so that it takes a refusal, and even then it may be the password.
fn quoting(view: &View<'_>) -> Option<Finding> {
    let (offered, mut defects) = first_with(view, &QUOTING)?;
    // A nonce that is too old is refused however it is written.
    let is_stale = view.challenge(&Scheme::Digest).and_then(|challenge| challenge.param("stale"));
    if !is_refused(view, offered) || is_stale.is_some_and(|stale| stale.eq_ignore_ascii_case("true")) {
        return None;
    }
    let summary = match foremost(&QUOTING, &defects)? {
        DefectKind::DigestQuotesMissing => {
            "a parameter of the Digest credentials stands without the quotes that it should have"
        }
        _ => "a parameter of the Digest credentials stands in quotes that it should not have",
    };
    defects.truncate(3);
    let found = fault(&RULE, view, offered, Certainty::Possible, summary, &defects);
    let severity = found.severity.min(Severity::Warning);
    Some(found.severity(severity))
}

const NO_NONCE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 400 Bad Request
"#;

const NO_COUNT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth"
"#;

const COUNT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=1, cnonce="0a4f113b"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth"
"#;

const QUOTES: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm=orders, nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth"
"#;

const OLD: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 200 OK
"#;

const ACCEPTED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop="auth", nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 200 OK
"#;
