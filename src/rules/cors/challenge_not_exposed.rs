//! The page needs what the refusal says, and the browser does not show it.

use super::{is_browser, is_same_origin};
use crate::auth::Scheme;
use crate::exchange::View;
use crate::exchange::view::path_of;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_named};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "challenge-not-exposed",
    family: Family::Cors,
    severity: Severity::Warning,
    title: "A page can't read the field that tells it how to go on",
    why: "Of an answer from another origin a script may read only a few fields, unless Access-Control-Expose-Headers names \
          more. WWW-Authenticate, in which MCP clients find the login server, and DPoP-Nonce, which a client has to repeat, \
          are not among the few: the client gets the 401 and can't do what it asks for.",
    fix: "Send `Access-Control-Expose-Headers: WWW-Authenticate, DPoP-Nonce` with the answer.",
    spec: &[
        Spec::Document(
            "Fetch: CORS-safelisted response-header name",
            "https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name",
        ),
        Spec::rfc(9728, "5.1"),
        Spec::rfc(9449, "8"),
    ],
    supersedes: &["credentials-absent", "handshake-step"],
    examples: &[
        Example::fires("an MCP client in a browser", MCP),
        Example::fires("a nonce for DPoP", NONCE),
        Example::fires("the metadata is where the client looks for it anyway", USUAL_PLACE),
        Example::quiet("both are exposed", EXPOSED),
        Example::quiet("everything is exposed", STAR),
        Example::quiet("a page that does not use it", PLAIN),
        Example::quiet("a client that is no browser", PROGRAM),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let head = &view.response().filter(|response| matches!(response.status, 400 | 401 | 403))?.head;
    let request = view.request();
    let origin = request.value("origin")?;
    // Without this field nothing at all can be read, which is another fault. Only browsers heed either.
    if !head.has("access-control-allow-origin") || !is_browser(view) || is_same_origin(view, origin) || head.is_cut() {
        return None;
    }
    let is_hidden = |name: &str| !head.lists("access-control-expose-headers", name) && !exposes_all(view);
    let (name, summary, severity) = if head.has("dpop-nonce") && request.has("dpop") && is_hidden("dpop-nonce") {
        let summary = "the page can't read DPoP-Nonce, and the server wants that nonce in the proof";
        ("dpop-nonce", summary, Severity::Warning)
    } else {
        let metadata = view.challenge(&Scheme::Bearer)?.param("resource_metadata")?;
        if !is_hidden("www-authenticate") {
            return None;
        }
        match is_usual_place(metadata, view.path()) {
            // A client that can't read it tries this address on its own.
            true => (
                "www-authenticate",
                "the page can't read WWW-Authenticate, and has to guess where the metadata is",
                Severity::Info,
            ),
            false => (
                "www-authenticate",
                "the page can't read WWW-Authenticate, which says where the metadata is",
                Severity::Warning,
            ),
        }
    };
    let found = RULE.found(Certainty::Likely, summary).severity(severity).at(At::Backend).header(name);
    let found = with_answer(with_named(found, view, Message::Request, "origin"), view);
    Some(if head.has("access-control-expose-headers") {
        with_named(found, view, Message::Response, "access-control-expose-headers")
    } else {
        found.because("response: no Access-Control-Expose-Headers")
    })
}

/// For a request with cookies the star is a name like any other.
fn exposes_all(view: &View<'_>) -> bool {
    let head = view.response().map(|response| &response.head);
    head.is_some_and(|head| head.lists("access-control-expose-headers", "*")) && !view.request().has("cookie")
}

/// Whether the metadata is where clients look for it by themselves (RFC 9728 3.1): at the root, or with the path behind it.
fn is_usual_place(metadata: &str, path: &[u8]) -> bool {
    const WELL_KNOWN: &[u8] = b"/.well-known/oauth-protected-resource";
    let rest = path_of(metadata.as_bytes()).strip_prefix(WELL_KNOWN);
    rest.is_some_and(|rest| rest.is_empty() || rest == path)
}

const MCP: &str = r#"> POST /v1/mcp HTTP/1.1
> Host: tools.example
> Origin: https://inspector.example
> Sec-Fetch-Mode: cors
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< Access-Control-Allow-Origin: *
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/meta/oauth-protected-resource"
"#;

const NONCE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Sec-Fetch-Mode: cors
> Authorization: DPoP 2YotnFZFEjr1zCsicMWpAA
> DPoP: a.b.c
< HTTP/1.1 401 Unauthorized
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Expose-Headers: WWW-Authenticate
< DPoP-Nonce: abc
< WWW-Authenticate: DPoP error="use_dpop_nonce"
"#;

const USUAL_PLACE: &str = r#"> POST /mcp HTTP/1.1
> Host: tools.example
> Origin: https://inspector.example
> User-Agent: Mozilla/5.0 (X11; Linux x86_64)
< HTTP/1.1 401 Unauthorized
< Access-Control-Allow-Origin: *
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/.well-known/oauth-protected-resource/mcp"
"#;

const EXPOSED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Sec-Fetch-Mode: cors
> Authorization: DPoP 2YotnFZFEjr1zCsicMWpAA
> DPoP: a.b.c
< HTTP/1.1 401 Unauthorized
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Expose-Headers: WWW-Authenticate, DPoP-Nonce
< DPoP-Nonce: abc
< WWW-Authenticate: DPoP error="use_dpop_nonce"
"#;

const STAR: &str = r#"> POST /v1/mcp HTTP/1.1
> Host: tools.example
> Origin: https://inspector.example
> Sec-Fetch-Mode: cors
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< Access-Control-Allow-Origin: *
< Access-Control-Expose-Headers: *
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/meta/oauth-protected-resource"
"#;

const PLAIN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Sec-Fetch-Mode: cors
< HTTP/1.1 401 Unauthorized
< Access-Control-Allow-Origin: https://app.example
< WWW-Authenticate: Bearer realm="orders"
"#;

const PROGRAM: &str = r#"> POST /v1/mcp HTTP/1.1
> Host: tools.example
> Origin: https://inspector.example
> User-Agent: node
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< Access-Control-Allow-Origin: *
< WWW-Authenticate: Bearer resource_metadata="https://tools.example/meta/oauth-protected-resource"
"#;
