//! The star in Access-Control-Allow-Headers does not stand for Authorization.

use jiff::SignedDuration;

use super::PREFLIGHT;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_named};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "wildcard-does-not-cover-authorization",
    family: Family::Cors,
    severity: Severity::Warning,
    title: "A star allows all fields but Authorization",
    why: "In Access-Control-Allow-Headers the star stands for every name but Authorization, which has to be written out; and \
          for a request with cookies it is no star at all. Browsers still let Authorization pass under a star where no \
          cookies are sent, and have announced that they will not for ever.",
    fix: "Write the names out: `Access-Control-Allow-Headers: authorization, content-type`.",
    spec: &[
        Spec::Document(
            "Fetch: CORS non-wildcard request-header name",
            "https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name",
        ),
        PREFLIGHT,
    ],
    supersedes: &[],
    examples: &[
        Example::fires("the real request does not come", GIVEN_UP),
        Example::fires_beside("a star alone", STAR),
        Example::quiet("Authorization is written out", NAMED),
        Example::quiet("nobody asked for Authorization", NOT_ASKED),
    ],
    check: Check::Exchange(check),
};

/// Preflights of one page come at once; the request that one of them allows follows soon.
const PAUSE: SignedDuration = SignedDuration::from_secs(2);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let response = view.response().filter(|response| (200..300).contains(&response.status))?;
    let is_asked = view.is_preflight() && view.request().lists("access-control-request-headers", "authorization");
    let head = &response.head;
    let has_star = head.lists("access-control-allow-headers", "*");
    if !is_asked || !has_star || head.lists("access-control-allow-headers", "authorization") {
        return None;
    }
    let allows_cookies = head.value("access-control-allow-credentials") == Some(b"true");
    let given_up = given_up(view, memory).filter(|_| allows_cookies);
    let (summary, severity) = match given_up {
        Some(_) => {
            ("a star does not allow Authorization, and the request that was announced never came", Severity::Warning)
        }
        None => ("the star does not cover Authorization by the standard, though browsers still let it", Severity::Info),
    };
    let found = RULE.found(Certainty::Certain, summary).severity(severity).at(At::Backend);
    let found = with_named(found.header("access-control-allow-headers"), view, Message::Request, "origin");
    let found = with_named(found, view, Message::Request, "access-control-request-headers");
    let found = with_named(found, view, Message::Response, "access-control-allow-headers");
    let found = with_named(found, view, Message::Response, "access-control-allow-credentials");
    Some(match given_up {
        Some(at) => found.because(format!("before: announced at {at}, and no Authorization since")),
        None => found,
    })
}

/// When this client announced a request with Authorization before, and did not send it, nor any other one.
fn given_up(view: &View<'_>, memory: &Memory) -> Option<String> {
    let client = memory.client(view)?;
    let announced = client.announced.filter(|at| view.exchange().time.duration_since(*at) >= PAUSE)?;
    let has_come = client.last_sent.as_ref().is_some_and(|sent| sent.time >= announced);
    (!has_come).then(|| clock(announced))
}

const GIVEN_UP: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: GET
> Access-Control-Request-Headers: authorization
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Allow-Headers: *
< Access-Control-Allow-Credentials: true
* later 5s
> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: GET
> Access-Control-Request-Headers: authorization
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Allow-Headers: *
< Access-Control-Allow-Credentials: true
"#;

const STAR: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: GET
> Access-Control-Request-Headers: authorization
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: *
< Access-Control-Allow-Headers: *
"#;

const NAMED: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: GET
> Access-Control-Request-Headers: authorization
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: *
< Access-Control-Allow-Headers: *, Authorization
"#;

const NOT_ASKED: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: POST
> Access-Control-Request-Headers: content-type
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: *
< Access-Control-Allow-Headers: *
"#;
