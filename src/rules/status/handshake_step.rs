//! A refusal that is a step of a handshake.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::normal::{self, Normal};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "handshake-step",
    family: Family::Status,
    severity: Severity::Info,
    title: "This refusal is a step of a handshake",
    why: "NTLM and Negotiate need several requests, and each but the last is answered 401. Digest and DPoP have the \
          server's nonce in what the client proves, so an old nonce is answered with a new one. Nothing is wrong as \
          long as the client goes on.",
    fix: "Nothing has to be done. If the client stops here, look why it does not answer: an old library, or a proxy that \
          does not keep the connection.",
    spec: &[Spec::rfc(4559, "5"), Spec::rfc(7616, "3.3"), Spec::rfc(9449, "8"), Spec::rfc(9449, "9")],
    supersedes: &["credentials-rejected", "scheme-not-offered"],
    examples: &[
        Example::fires("NTLM, the second leg", NTLM),
        Example::fires("a Digest nonce that ran out", STALE),
        Example::quiet("NTLM from start to end", WHOLE),
    ],
    check: Check::Exchange(check),
};

const NTLM: &str = r#"> GET /share HTTP/1.1
> Host: files.example
> Authorization: NTLM {ntlm 1}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM {ntlm 2}
"#;

const STALE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="b2xk", uri="/orders", qop=auth, nc=00000001, cnonce="Y25vbmNl", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="bmV3", qop="auth", stale=true
"#;

const WHOLE: &str = r#"> GET /share HTTP/1.1
> Host: files.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM
> GET /share HTTP/1.1
> Host: files.example
> Authorization: NTLM {ntlm 1}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM {ntlm 2}
> GET /share HTTP/1.1
> Host: files.example
> Authorization: NTLM {ntlm 3}
< HTTP/1.1 200 OK
"#;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(normal) = normal::recognise(view, memory).filter(|normal| normal.is_step()) else { return Vec::new() };
    let Some(offered) = view.main_credentials() else { return Vec::new() };
    let summary = match normal {
        Normal::NtlmStep => "the NTLM handshake goes on: the server sent its challenge",
        Normal::NegotiateStep => "the Negotiate handshake goes on: the server sent its next message",
        Normal::DigestNonceStale => "the Digest nonce was too old, and the server sent a new one",
        _ => "the server wants its nonce in the DPoP proof, and sent it",
    };
    let found = RULE.found(Certainty::Certain, summary).at(At::Unknown).header(&offered.name);
    vec![with_answer(with_credentials(found, view, offered), view)]
}
