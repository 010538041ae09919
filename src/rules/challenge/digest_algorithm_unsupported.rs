//! The server offers Digest with SHA-256 only, and the client answers with MD5.

use crate::auth::{Challenge, Detail, Scheme};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "digest-algorithm-unsupported",
    family: Family::Challenge,
    severity: Severity::Warning,
    title: "The client answers Digest with another algorithm than the server offers",
    why: "Digest began with MD5, and many clients and devices know nothing else. Where a server offers SHA-256 only, such a \
          client computes its answer with MD5 all the same, and the server refuses it as if the password were wrong.",
    fix: "Offer a second challenge with `algorithm=MD5` behind the one with SHA-256 for such clients, or use a client that \
          knows SHA-256.",
    spec: &[Spec::rfc(7616, "3.3"), Spec::rfc(7616, "3.7")],
    supersedes: &["credentials-rejected", "scheme-not-offered", "known-error-text"],
    examples: &[
        Example::fires("MD5, as nothing else is known", MD5),
        Example::fires("no algorithm is said, which means MD5", UNSAID),
        Example::quiet("both are offered", BOTH),
        Example::quiet("SHA-256 is answered", SHA256),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let offered = view.main_credentials().filter(|_| matches!(view.status(), 401 | 407))?;
    let Detail::Digest(digest) = &offered.credentials.detail else { return None };
    let mut offers =
        view.challenges(view.status() == 407).filter(|challenge| challenge.scheme == Scheme::Digest).peekable();
    offers.peek()?;
    let is_md5 = |name: Option<&str>| {
        name.is_none_or(|name| name.eq_ignore_ascii_case("MD5") || name.eq_ignore_ascii_case("MD5-sess"))
    };
    let is_known =
        |challenge: &&Challenge| challenge.param("algorithm").is_some_and(crate::auth::digest::is_known_algorithm);
    let names: Vec<&str> = offers.filter(is_known).filter_map(|challenge| challenge.param("algorithm")).collect();
    let all_other = !names.is_empty() && names.iter().all(|name| !is_md5(Some(name)));
    let offers_unsaid = view
        .challenges(view.status() == 407)
        .any(|challenge| challenge.scheme == Scheme::Digest && is_md5(challenge.param("algorithm")));
    if !is_md5(digest.algorithm.as_deref()) || !all_other || offers_unsaid {
        return None;
    }
    let name = names.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
    let summary = format!("the server offers Digest with {name} and not with MD5, and the client answers with MD5");
    let found = RULE.found(Certainty::Likely, summary).at(At::Client).header(&offered.name);
    let sent = match &digest.algorithm {
        Some(_) => "sent: algorithm=MD5",
        None => "sent: no algorithm, which means MD5",
    };
    Some(with_answer(with_credentials(found, view, offered).because(sent), view))
}

const MD5: &str = r#"> GET /cam HTTP/1.1
> Host: cam.example
> Authorization: Digest username="anna", realm="cam", nonce="b0f3c5a1d2e4", uri="/cam", algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="cam", nonce="c1f3c5a1d2e5", algorithm=SHA-256, qop="auth"
"#;

const UNSAID: &str = r#"> GET /cam HTTP/1.1
> Host: cam.example
> Authorization: Digest username="anna", realm="cam", nonce="b0f3c5a1d2e4", uri="/cam", qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="cam", nonce="c1f3c5a1d2e5", algorithm=SHA-256, qop="auth"
"#;

const BOTH: &str = r#"> GET /cam HTTP/1.1
> Host: cam.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="cam", nonce="c1f3c5a1d2e5", algorithm=SHA-256, qop="auth"
< WWW-Authenticate: Digest realm="cam", nonce="c1f3c5a1d2e5", algorithm=MD5, qop="auth"
> GET /cam HTTP/1.1
> Host: cam.example
> Authorization: Digest username="anna", realm="cam", nonce="c1f3c5a1d2e5", uri="/cam", algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 200 OK
"#;

const SHA256: &str = r#"> GET /cam HTTP/1.1
> Host: cam.example
> Authorization: Digest username="anna", realm="cam", nonce="b0f3c5a1d2e4", uri="/cam", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="0a4f113b", response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="cam", nonce="c1f3c5a1d2e5", algorithm=SHA-256, qop="auth", stale=true
"#;
