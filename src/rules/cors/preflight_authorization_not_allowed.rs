//! The preflight announces Authorization, and the answer does not allow it.

use super::PREFLIGHT;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::with_named;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "preflight-authorization-not-allowed",
    family: Family::Cors,
    severity: Severity::Error,
    title: "The answer to the preflight does not allow Authorization",
    why: "The page wants to send Authorization, and the browser asks for leave. The answer lists the headers that are \
          allowed, and Authorization is not among them, so the browser never sends the request.",
    fix: "Add `authorization` to Access-Control-Allow-Headers in what answers the preflight.",
    spec: &[
        PREFLIGHT,
        Spec::Document(
            "Fetch: CORS non-wildcard request-header name",
            "https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name",
        ),
    ],
    supersedes: &[],
    examples: &[
        Example::fires("only Content-Type is allowed", MISSING),
        Example::quiet("it is allowed", ALLOWED),
        Example::quiet("a star, which browsers still take for all", STAR),
    ],
    check: Check::Exchange(check),
};

const MISSING: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: POST
> Access-Control-Request-Headers: authorization,content-type
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Allow-Methods: GET, POST
< Access-Control-Allow-Headers: Content-Type
"#;

const ALLOWED: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: POST
> Access-Control-Request-Headers: authorization,content-type
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Allow-Headers: Content-Type, Authorization
"#;

const STAR: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: POST
> Access-Control-Request-Headers: authorization
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: *
< Access-Control-Allow-Headers: *
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Some(response) = view.response().filter(|response| (200..300).contains(&response.status)) else {
        return Vec::new();
    };
    let asked = view.is_preflight() && view.request().lists("access-control-request-headers", "authorization");
    // Who sends no CORS field at all does not mean to let any page in.
    let speaks_cors = response.head.has("access-control-allow-origin");
    let lists = |member: &str| response.head.lists("access-control-allow-headers", member);
    if !asked || !speaks_cors || lists("authorization") || lists("*") {
        return Vec::new();
    }
    let summary = "the page wants to send Authorization, and the answer to the preflight does not allow it";
    let found = RULE.found(Certainty::Certain, summary).at(At::Backend).header("access-control-allow-headers");
    let found = with_named(found, view, Message::Request, "origin");
    let found = with_named(found, view, Message::Request, "access-control-request-headers");
    vec![match response.head.has("access-control-allow-headers") {
        true => with_named(found, view, Message::Response, "access-control-allow-headers"),
        false => found.because(format!("response: {}, no Access-Control-Allow-Headers", response.status)),
    }]
}
