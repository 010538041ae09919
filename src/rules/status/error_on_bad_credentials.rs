//! Credentials that the server can't make sense of bring it down to a 400 or a 5xx, where a 401 was meant.

use jiff::SignedDuration;

use crate::exchange::View;
use crate::hops::{Answer, Crossing, Side};
use crate::memory::Memory;
use crate::rules::evidence::{called, clock, with_answer, with_credentials};
use crate::rules::hop::{Topic, at, by_join, with_fix, with_hop};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "error-on-bad-credentials",
    family: Family::Status,
    severity: Severity::Error,
    title: "Credentials end in a server error where a refusal was meant",
    why: "The code that checks credentials fails on some that it did not expect, or the service that a gateway asks about them \
          gives an answer that the gateway does not understand: nginx makes a 500 of whatever is not a 2xx, a 401 or a 403. \
          The client then sees an error of the server, and looks for it in the wrong place.",
    fix: "Look into the log of the server, or of the service that checks credentials, at this time. Let the check answer 401 \
          to whatever it can't read.",
    spec: &[
        Spec::rfc(9110, "15.5.2"),
        Spec::Document(
            "nginx auth_request",
            "https://nginx.org/en/docs/http/ngx_http_auth_request_module.html#auth_request",
        ),
    ],
    supersedes: &["refusal-origin"],
    examples: &[
        Example::fires_beside("a 500 to a scheme without a token, and a 401 to none", RAW),
        Example::fires("the service that the gateway asked has no such page", ASKED),
        Example::quiet("the server fails whatever is sent", DOWN),
        Example::quiet("the service that was asked is content, and the application fails", OWN),
    ],
    check: Check::Both(check, check_hop),
};

/// What the route said longer ago may be of another time of the server.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let offered = view.main_credentials()?;
    let is_odd = !offered.credentials.defects.is_empty();
    if !is_odd || !matches!(view.status(), 400 | 500..=599) {
        return None;
    }
    let now = view.exchange().time;
    let (time, status) = memory.answers_here(view).without?;
    if now.duration_since(time) > WINDOW {
        return None;
    }
    let summary = format!("{} is malformed, and the server answers {} to it", called(view, offered), view.status());
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend).header(&offered.name);
    let found = with_answer(with_credentials(found, view, offered), view);
    Some(found.because(format!("before: {status} at {} to a request without credentials", clock(time))))
}

fn check_hop(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_way(crossing).into_iter().collect()
}

/// Where all that arrived behind the gateway was its own question about the request, and the answer to it was none that it
/// understands, the gateway makes an error of it.
fn check_way(crossing: &Crossing<'_>) -> Option<Finding> {
    let is_error = |answer: &&Answer| (500..600).contains(&answer.status) && !answer.by_tap;
    let told = crossing.outer.answer.as_ref().filter(is_error)?;
    let attempt = crossing.last()?;
    let asked = attempt.inner.answer.as_ref()?;
    let is_question = attempt.differences.iter().any(|difference| {
        difference.side == Side::Request && difference.name == ":target" && difference.change.id() == "changed"
    });
    let is_understood =
        (200..300).contains(&asked.status) || matches!(asked.status, 401 | 403) || asked.status == told.status;
    if !is_question || is_understood || crossing.outer.credentials.is_empty() {
        return None;
    }
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let found = RULE
        .found(
            by_join(attempt.join),
            format!(
                "the gateway asked about the credentials at {inner}, and made a {} of the {}",
                told.status, asked.status
            ),
        )
        .at(at(crossing))
        .because(format!("{inner}: {} to what the gateway asked, under another path", asked.status))
        .because(format!("{outer}: {} to the client", told.status))
        .because(format!("{inner}: the request itself did not arrive"));
    Some(with_fix(with_hop(found, crossing, &[]), crossing, Topic::Refusal, None))
}

const RAW: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer
< HTTP/1.1 500 Internal Server Error
"#;

const ASKED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 500 Internal Server Error
< Server: nginx
* tap app
> GET /check HTTP/1.0
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 404 Not Found
"#;

const DOWN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 500 Internal Server Error
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 500 Internal Server Error
"#;

const OWN: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 500 Internal Server Error
< Server: nginx
* tap app
> GET /orders HTTP/1.0
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 500 Internal Server Error
"#;
