//! A refusal became another status on the way to the client, or another status a refusal.

use super::{Topic, at, by_join, with_fix, with_hop};
use crate::hops::{Answer, Crossing};
use crate::memory::Memory;
use crate::rules::{Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "status-rewritten",
    family: Family::Hop,
    severity: Severity::Error,
    title: "The status of the refusal was changed between two taps",
    why: "The backend refused with one status, and the client got to see another, or the reverse. Clients act on the number: \
          on a 401 they log in again, on a 403 they give up, on a 200 they go on with what is no data.",
    fix: "Let the gateway pass the backend's status on: look for what replaces error pages or intercepts errors.",
    spec: &[Spec::rfc(9110, "15.5.2"), Spec::rfc(9110, "15.5.4")],
    supersedes: &[
        "forbidden-without-credentials",
        "credentials-rejected",
        "credentials-absent",
        "challenge-missing",
        "login-redirect-for-api",
        "challenge-changed",
        "refusal-origin",
    ],
    examples: &[
        Example::fires("a 401 becomes a 403", FORBIDDEN),
        Example::fires("a 401 becomes a page with 200", PAGE),
        Example::quiet("the status comes through", THROUGH),
        Example::quiet("the gateway tried again, with success", RETRIED),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let behind = attempt.inner.answer.as_ref().filter(|answer| !answer.by_tap)?;
    let before = crossing.outer.answer.as_ref().filter(|answer| !answer.by_tap)?;
    let is_about_it = is_refusal(behind) || is_refusal(before);
    if behind.status == before.status || !is_about_it {
        return None;
    }
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let summary = format!("{} of the backend became {} between {inner} and {outer}", behind.status, before.status);
    let found = RULE
        .found(by_join(attempt.join), summary)
        .at(at(crossing))
        .because(format!("{inner} out  {}", behind.status))
        .because(format!("{outer} out  {}", before.status));
    Some(with_fix(with_hop(found, crossing, &[]).at(at(crossing)), crossing, Topic::Status, None))
}

fn is_refusal(answer: &Answer) -> bool {
    matches!(answer.status, 401 | 403 | 407 | 429)
}

const FORBIDDEN: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< Server: nginx
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const PAGE: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Accept: application/json
< HTTP/1.1 200 OK
< Content-Type: text/html
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> Accept: application/json
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const THROUGH: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const RETRIED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 429 Too Many Requests
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
