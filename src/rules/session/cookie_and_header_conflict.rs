//! A cookie and an Authorization come together and are refused, though one of them alone is accepted.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, normal};

/// The rule.
pub static RULE: Rule = Rule {
    name: "cookie-and-header-conflict",
    family: Family::Session,
    severity: Severity::Warning,
    title: "A cookie and Authorization are refused together and accepted apart",
    why: "Servers that take a session from a cookie and a token from Authorization look at one of them first. Where that one \
          is old, the request is refused, and the other one, which is good, is never looked at.",
    fix: "Send only one of the two from the client: remove the old cookie, or the old token. In the server, go on to the \
          second where the first is not accepted.",
    spec: &[Spec::rfc(9110, "11.6.2"), Spec::rfc(6265, "5.4")],
    supersedes: &["credentials-rejected", "credential-stopped-working"],
    examples: &[
        Example::fires("the token works without the cookie", TOKEN),
        Example::fires("the cookie works without the token", COOKIE),
        Example::fires("refused together, accepted apart, refused together", BETWEEN),
        Example::quiet("both together are accepted", BOTH),
        Example::quiet("apart, one after the other", APART),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let offered = view.authorization().filter(|_| matches!(view.status(), 401 | 403))?;
    if normal::recognise(view, memory).is_some() {
        return None;
    }
    let alone = memory.accepted_alone(view)?;
    // Between two refusals of both the answer did not change by itself.
    let certainty = if alone.is_between { Certainty::Certain } else { Certainty::Likely };
    let (summary, lone, at) = match alone.is_cookie {
        true => ("the cookie is accepted here without Authorization, and not with it", "this cookie", At::Client),
        false => {
            ("the credentials are accepted here without the cookie, and not with it", "these credentials", At::Client)
        }
    };
    let found = RULE.found(certainty, summary).at(at).header(if alone.is_cookie { "authorization" } else { "cookie" });
    let found = with_credentials(found, view, offered).because("request: a cookie as well");
    let found = found.because(format!("history: {lone} alone accepted at {}", clock(alone.time)));
    let found = match alone.is_between {
        true => found.because("history: both together were refused before that as well"),
        false => found,
    };
    Some(with_answer(found, view))
}

const TOKEN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Cookie: session=kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const COOKIE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Cookie: session=kX81mQ02pLz7Rt55
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Cookie: session=kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const BETWEEN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Cookie: session=kX81mQ02pLz7Rt55
< HTTP/1.1 403 Forbidden
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Cookie: session=kX81mQ02pLz7Rt55
< HTTP/1.1 403 Forbidden
"#;

const BOTH: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Cookie: session=kX81mQ02pLz7Rt55
< HTTP/1.1 200 OK
"#;

const APART: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Cookie: session=kX81mQ02pLz7Rt55
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
