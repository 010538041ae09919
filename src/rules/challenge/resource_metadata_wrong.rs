//! The challenge says where the metadata is, and it is not there.

use super::address_fault;
use crate::auth::Scheme;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, clock, with_answer};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "resource-metadata-wrong",
    family: Family::Challenge,
    severity: Severity::Error,
    title: "The metadata is not where the challenge says",
    why: "In resource_metadata a client reads where the server describes how to log in, and without it the login can't begin. \
          The address is wrong where the server builds it from what it knows of itself behind a gateway: http, its inner \
          name, a path without the gateway's prefix. Or it is right, and the metadata itself asks for a login.",
    fix: "Set the server's public base URL, prefix included, and fetch the address of the challenge once without credentials: \
          it has to answer 200 with JSON.",
    spec: &[Spec::rfc(9728, "3.1"), Spec::rfc(9728, "5.1")],
    supersedes: &["credentials-absent", "challenge-missing", "forbidden-without-credentials"],
    examples: &[
        Example::fires("http behind a gateway with TLS", HTTP),
        Example::fires("the inner name", INSIDE),
        Example::fires("the path lacks the prefix", NOT_FOUND),
        Example::fires("the metadata asks for a login", ASKED),
        Example::quiet("it is found", FOUND),
        Example::quiet("a client looks elsewhere first", ELSEWHERE),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    named_badly(view).or_else(|| not_there(view, memory)).into_iter().collect()
}

/// An address that can't be reached, as far as it can be seen.
fn named_badly(view: &View<'_>) -> Option<Finding> {
    let challenge = view.challenge(&Scheme::Bearer)?;
    let metadata = challenge.params.iter().find(|param| param.name == "resource_metadata")?;
    let lower = metadata.value.to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return None;
    }
    let fault = address_fault(view, &metadata.value)?;
    let summary = format!("the challenge sends clients for metadata to an address that {fault}");
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend).header("www-authenticate");
    let asked = view.authority().unwrap_or_default();
    let found = found.because(clip(format!("resource_metadata: {}", view.redactor().param(metadata))));
    Some(with_answer(found.because(clip(format!("client asked {}", view.redactor().authority(&asked)))), view))
}

/// A client went where it was sent.
fn not_there(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let status = view.status();
    if view.method() != b"GET" || !(400..600).contains(&status) || status == 429 {
        return None;
    }
    let named = memory.metadata_named_here(view)?;
    let summary = format!("a challenge sent the client here for the metadata, and the answer is {status}");
    let found = RULE.found(Certainty::Certain, summary).at(At::Backend);
    let path = view.redactor().target(view.path());
    let found = found.because(clip(format!("before: a challenge at {} named {path}", clock(named))));
    let found = with_answer(found, view);
    Some(match status {
        401 | 403 | 407 => found.fix(
            "Let the metadata be fetched without credentials: take its path out of what the gateway or the framework guards.",
        ),
        404 | 405 => found.fix(
            "See under which path the server has its metadata and which one the gateway sends on: with a prefix, the words \
             `.well-known` stand right behind the host and the prefix behind them (RFC 9728 3.1).",
        ),
        _ => found,
    })
}

const HTTP: &str = r#"> POST /mcp HTTP/1.1
> Host: tools.example
> X-Forwarded-Proto: https
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="http://tools.example/.well-known/oauth-protected-resource/mcp"
"#;

const INSIDE: &str = r#"* client tls
> POST /mcp HTTP/1.1
> Host: tools.example
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="https://10.0.3.7:8080/.well-known/oauth-protected-resource/mcp"
"#;

const NOT_FOUND: &str = r#"* client tls
> POST /prod/mcp HTTP/1.1
> Host: tools.example
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/.well-known/oauth-protected-resource/prod/mcp"
> GET /.well-known/oauth-protected-resource/prod/mcp HTTP/1.1
> Host: tools.example
< HTTP/1.1 404 Not Found
"#;

const ASKED: &str = r#"* client tls
> POST /mcp HTTP/1.1
> Host: tools.example
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/.well-known/oauth-protected-resource/mcp"
> GET /.well-known/oauth-protected-resource/mcp HTTP/1.1
> Host: tools.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="tools"
"#;

const FOUND: &str = r#"* client tls
> POST /mcp HTTP/1.1
> Host: tools.example
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/.well-known/oauth-protected-resource/mcp"
> GET /.well-known/oauth-protected-resource/mcp HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
< Content-Type: application/json
"#;

const ELSEWHERE: &str = r#"* client tls
> POST /mcp HTTP/1.1
> Host: tools.example
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/.well-known/oauth-protected-resource"
> GET /.well-known/oauth-protected-resource/mcp HTTP/1.1
> Host: tools.example
< HTTP/1.1 404 Not Found
> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
< Content-Type: application/json
"#;
