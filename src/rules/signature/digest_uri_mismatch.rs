//! A Digest answer for another target than the request has.

use crate::auth::{Detail, Scheme};
use crate::exchange::View;
use crate::exchange::view::{OfferedIn, path_of};
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "digest-uri-mismatch",
    family: Family::Signature,
    severity: Severity::Error,
    title: "The Digest answer is for another target than the request",
    why: "A Digest answer covers the target of the request and repeats it in `uri`, and a server compares the two, so that an \
          answer cannot be used for something else. They differ where a gateway before this tap has rewritten the path, or \
          where the client leaves out the query or encodes it in another way for its calculation.",
    fix: "Pass the target on as the client sent it: in nginx `proxy_pass` without a path, no rewrite and no prefix taken off. If \
          nothing is between the client and this tap, it is the client that calculates with another target than it sends.",
    spec: &[Spec::rfc(7616, "3.4"), Spec::rfc(7616, "3.4.6")],
    supersedes: &["credentials-rejected", "known-error-text"],
    examples: &[
        Example::fires("a prefix was taken off", PREFIX),
        Example::fires("the query is not in it", QUERY),
        Example::quiet("a server that does not compare them", ACCEPTED),
        Example::quiet("the whole URL of the same target", ABSOLUTE),
        Example::quiet("the nonce was merely too old", STALE),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let offered = view.authorization().filter(|_| matches!(view.status(), 400 | 401))?;
    let Detail::Digest(digest) = &offered.credentials.detail else { return None };
    let stale = view.challenge(&Scheme::Digest).and_then(|challenge| challenge.param("stale"));
    if stale.is_some_and(|stale| stale.eq_ignore_ascii_case("true")) || offered.place != OfferedIn::Authorization {
        return None;
    }
    let uri = digest.uri.as_deref().filter(|uri| !uri.is_empty())?.as_bytes();
    let target = view.target();
    if relative(uri) == relative(target) {
        return None;
    }
    let summary = if path_of(uri) == path_of(target) {
        "the Digest answer is for the same path with another query"
    } else {
        "the Digest answer is for another path than the request has"
    };
    // RFC 7616 3.4 leaves it to the server whether it minds.
    let found = RULE.found(Certainty::Likely, summary).at(At::Unknown).header("authorization");
    let found = with_credentials(found, view, offered)
        .because(clip(format!("answer for: uri={}", view.redactor().target(uri))))
        .because(clip(format!("request for: {}", view.redactor().target(target))));
    Some(with_answer(found, view))
}

/// The path and the query of a target, which may be a whole URL.
fn relative(target: &[u8]) -> &[u8] {
    let query = memchr::memchr2(b'?', b'#', target).unwrap_or(target.len());
    let origin = target.get(..query).and_then(|before| memchr::memmem::find(before, b"://"));
    let Some(authority) = origin.map(|at| at + 3).filter(|_| !target.starts_with(b"/")) else { return target };
    let rest = target.get(authority..).unwrap_or_default();
    let path = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    rest.get(path..).unwrap_or_default()
}

const PREFIX: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/api/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 400 Bad Request
"#;

const QUERY: &str = r#"> GET /orders?page=2 HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth"
"#;

const ACCEPTED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/api/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 200 OK
"#;

const ABSOLUTE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="http://api.example/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 200 OK
"#;

const STALE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/api/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth", stale=true
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_urls_are_made_relative() {
        for (target, expected) in [
            ("/a?b=c", "/a?b=c"),
            ("http://api.example/a?b=c", "/a?b=c"),
            ("http://api.example", ""),
            ("*", "*"),
            ("/a?u=http://x/y", "/a?u=http://x/y"),
            ("", ""),
            ("x?u=http://h/y", "x?u=http://h/y"),
            ("http://api.example?a", "?a"),
        ] {
            assert_eq!(relative(target.as_bytes()), expected.as_bytes(), "{target}");
        }
    }
}
