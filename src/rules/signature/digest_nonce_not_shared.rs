//! A Digest answer is judged by a backend that did not give out its nonce.

use crate::auth::{Detail, Scheme};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "digest-nonce-not-shared",
    family: Family::Signature,
    severity: Severity::Error,
    title: "The Digest nonce is not known to the backend that got the answer",
    why: "A Digest answer is made for a nonce, and only who gave the nonce out, or shares in what it knows, can judge it. Where \
          several backends stand behind one name and each has nonces of its own, the answer goes to another one than the \
          question came from, which asks anew; the client answers, and gets to the first one again.",
    fix: "Let the backends share their nonces or the secret that they are made from, or keep a client with one backend.",
    spec: &[Spec::rfc(7616, "3.3")],
    supersedes: &["credentials-rejected", "handshake-step"],
    examples: &[
        Example::fires("the answer goes to another address than the question came from", MOVED),
        Example::quiet("the nonce has expired", STALE),
        Example::quiet("one backend", ONE),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let offered = view.main_credentials().filter(|_| view.status() == 401)?;
    let Detail::Digest(_) = &offered.credentials.detail else { return None };
    let challenge = view.challenge(&Scheme::Digest)?;
    // A server that knows the nonce says that it is merely too old (RFC 7616 3.3).
    if challenge.param("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")) {
        return None;
    }
    let nonce = memory.nonce_sent(view)?;
    let (gave, got) = (nonce.backend?, view.exchange().upstream.addr.as_ref()?.tcp()?);
    if gave == got {
        return None;
    }
    let found = RULE
        .found(Certainty::Certain, format!("the nonce came from {gave}, and its answer went to {got}, which asks anew"))
        .at(At::Backend)
        .header("authorization")
        .because(format!("nonce: given out by {gave} at {}", clock(nonce.time)))
        .because(format!("answer: sent to {got}, which gives out another nonce and does not call this one stale"));
    Some(with_answer(with_credentials(found, view, offered), view))
}

const MOVED: &str = r#"* upstream addr 10.0.0.1:3000
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth"
* upstream addr 10.0.0.2:3000
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth"
"#;

const STALE: &str = r#"* upstream addr 10.0.0.1:3000
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth"
* upstream addr 10.0.0.2:3000
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth", stale=true
"#;

const ONE: &str = r#"* upstream addr 10.0.0.1:3000
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 200 OK
"#;
