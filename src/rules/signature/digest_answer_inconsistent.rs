//! A Digest answer that is none to the challenge whose nonce it has.

use crate::auth::{Detail, DigestResponse, Scheme, Secret};
use crate::exchange::View;
use crate::memory::{DigestOffer, Memory};
use crate::rules::evidence::{clip, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "digest-answer-inconsistent",
    family: Family::Signature,
    severity: Severity::Error,
    title: "The Digest answer does not fit the challenge that it answers",
    why: "An answer takes over from its challenge the realm and `opaque` as they were, and chooses one of the algorithms and \
          protections that were offered. And it counts in `nc` how often the nonce was used, since a count that comes twice \
          looks like an answer that was overheard. A client that mixes two challenges, or that has the algorithm fixed, fails.",
    fix: "Use the Digest of an HTTP library, and let each client keep its own nonce and count. If the algorithm is the point, let \
          the server offer one that the client knows.",
    spec: &[Spec::rfc(7616, "3.3"), Spec::rfc(7616, "3.4")],
    supersedes: &["credentials-rejected", "known-error-text"],
    examples: &[
        Example::fires("an algorithm that was not offered", ALGORITHM),
        Example::fires("the realm of another challenge", REALM),
        Example::fires("opaque is left out", OPAQUE),
        Example::fires("the same count once more", COUNT),
        Example::quiet("a count for each request", COUNTED),
        Example::quiet("one of two algorithms", CHOICE),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let offered = view.authorization().filter(|_| matches!(view.status(), 400 | 401))?;
    let Detail::Digest(digest) = &offered.credentials.detail else { return None };
    let stale = view.challenge(&Scheme::Digest).and_then(|challenge| challenge.param("stale"));
    if stale.is_some_and(|stale| stale.eq_ignore_ascii_case("true")) {
        return None;
    }
    let offer = memory.digest_offer(view)?;
    let (certainty, summary, evidence) = not_offered(view, digest, offer).or_else(|| counted(digest, offer))?;
    let found = RULE.found(certainty, summary).at(At::Client).header("authorization");
    Some(with_answer(with_credentials(found, view, offered).because(clip(&evidence)), view))
}

type Told = (Certainty, String, String);

fn not_offered(view: &View<'_>, digest: &DigestResponse, offer: &DigestOffer) -> Option<Told> {
    let key = view.redactor().key();
    let certain = |summary: String, evidence: String| Some((Certainty::Certain, summary, evidence));
    let is_in = |list: &[Box<str>], name: &str| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    let list = |list: &[Box<str>]| view.redactor().text(&list.join(", "));
    let algorithms = format!("offered: algorithm={}", list(&offer.algorithms));
    match digest.algorithm.as_deref() {
        Some(algorithm) if !is_in(&offer.algorithms, algorithm) => {
            let sent = view.redactor().name(algorithm.as_bytes());
            return certain(format!("the Digest answer uses {sent}, which the server did not offer"), algorithms);
        }
        // What it was calculated with cannot be seen.
        None if !is_in(&offer.algorithms, "MD5") => {
            let summary = "the Digest answer names no algorithm, which means MD5, and the server did not offer that";
            return Some((Certainty::Likely, summary.to_owned(), algorithms));
        }
        _ => {}
    }
    if let Some(qop) = digest.qop.as_deref().filter(|qop| !is_in(&offer.qops, qop)) {
        let sent = view.redactor().name(qop.as_bytes());
        let offered = if offer.qops.is_empty() { "none".to_owned() } else { list(&offer.qops) };
        return certain(
            format!("the Digest answer uses qop={sent}, which the server did not offer"),
            format!("offered: qop={offered}"),
        );
    }
    let secret = |text: &str| Secret::new(bytes::Bytes::copy_from_slice(text.as_bytes())).fingerprint(key);
    if digest.realm.as_deref().map(secret) != offer.realm {
        let realm = clip(view.redactor().text(digest.realm.as_deref().unwrap_or("(none)")));
        return certain(
            "the Digest answer has another realm than the challenge of its nonce".to_owned(),
            format!("answer: realm={realm}"),
        );
    }
    let opaque = digest.opaque.as_ref().map(|opaque| opaque.fingerprint(key));
    // RFC 7616 3.4 wants it back unchanged; where there was none, nothing compares it.
    if offer.opaque.is_some() && opaque != offer.opaque {
        let what = if opaque.is_some() { "changes" } else { "leaves out" };
        let summary = format!("the Digest answer {what} opaque, which it has to give back as it was");
        return certain(summary, format!("answer: {what} opaque"));
    }
    None
}

/// A count that was sent before. That a count is lower than one before may come of requests that overtook each other.
fn counted(digest: &DigestResponse, offer: &DigestOffer) -> Option<Told> {
    let count = digest.nonce_count().filter(|count| offer.counts.contains(count))?;
    let summary = format!("the Digest answer counts {count} for its nonce, as an earlier one did");
    let last: Vec<String> = offer.counts.iter().rev().take(6).map(u32::to_string).collect();
    Some((Certainty::Likely, summary, format!("counts before, the last first: {}", last.join(", "))))
}

const ALGORITHM: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth", algorithm=SHA-256
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth", algorithm=SHA-256
"#;

const REALM: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="shop", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth"
"#;

const OPAQUE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth", opaque="5ccc069c403ebaf9f0171e9517f40e41"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 400 Bad Request
"#;

const COUNT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="e966c932a9242554e42c8ee200cec7f6", qop=auth, nc=00000001, cnonce="1b5f224c"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="5ccc069c403ebaf9f0171e9517f40e41", qop="auth"
"#;

const COUNTED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="e966c932a9242554e42c8ee200cec7f6", qop=auth, nc=00000002, cnonce="1b5f224c"
< HTTP/1.1 200 OK
"#;

const CHOICE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth,auth-int", algorithm=SHA-256
< WWW-Authenticate: Digest realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth,auth-int", algorithm=MD5
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/orders", response="6629fae49393a05397450978507c4ef1", algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f113b"
< HTTP/1.1 200 OK
"#;
