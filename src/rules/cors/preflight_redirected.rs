//! The browser asks whether it may ask, and is sent elsewhere.

use super::PREFLIGHT;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_named};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity};

/// The rule.
pub static RULE: Rule = Rule {
    name: "preflight-redirected",
    family: Family::Cors,
    severity: Severity::Error,
    title: "A preflight was redirected",
    why: "A browser does not follow the redirect of a preflight: it gives up, and the page sees a network error. Usual \
          causes are a redirect from http to https, one that adds or removes a slash at the end, and a login page.",
    fix: "Let the page use the URL to which it is redirected, letter by letter, and answer OPTIONS requests before any \
          rule that redirects.",
    spec: &[PREFLIGHT],
    supersedes: &["login-redirect-for-api"],
    examples: &[
        Example::fires("to the login page", LOGIN),
        Example::fires("to https", HTTPS),
        Example::quiet("a GET may be redirected", GET),
    ],
    check: Check::Failure(check),
};

const LOGIN: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: GET
> Access-Control-Request-Headers: authorization
< HTTP/1.1 302 Found
< Location: https://api.example/login
"#;

const HTTPS: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: GET
< HTTP/1.1 301 Moved Permanently
< Location: https://api.example/api/orders
"#;

const GET: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 301 Moved Permanently
< Location: https://api.example/api/orders/
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    if !view.is_preflight() || !matches!(view.status(), 301 | 302 | 303 | 307 | 308) {
        return Vec::new();
    }
    let found = RULE.found(Certainty::Certain, "the preflight was redirected, and browsers do not follow that");
    let found = with_named(found.at(At::Backend).header("location"), view, Message::Request, "origin");
    vec![with_named(with_answer(found, view), view, Message::Response, "location")]
}
