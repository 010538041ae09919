//! Names of header fields came out of a hop in other letters.

use super::{Topic, Verdict, at, backend, by_join, side_by_side, with_answers, with_fix, with_hop};
use crate::hops::{Attempt, Change, Crossing, Difference, Kind, Side};
use crate::memory::Memory;
use crate::rules::transport::credentials_reported_missing::is_reported;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "header-name-recased",
    family: Family::Hop,
    severity: Severity::Error,
    title: "A header's name changed case between two taps",
    why: "Names of header fields are compared without regard to case, so a gateway may spell them as it likes, and over \
          HTTP/2 they have to be in lower case. An application that looks a name up letter by letter does not find it then. \
          That is the application's fault, and shows only behind such a gateway.",
    fix: "In the application, look the name up without regard to case. Until then, have the gateway keep the spelling.",
    spec: &[Spec::rfc(9110, "5.1")],
    supersedes: &["credentials-reported-missing"],
    examples: &[
        Example::fires("the backend says that no key came", MISSING),
        Example::fires_beside("all names in lower case", ALL),
        Example::fires_beside("one name in other letters", ONE),
        Example::quiet("the backend is content", CONTENT),
        Example::quiet("the backend speaks HTTP/2", HTTP2),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(crossing, memory).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>, memory: &Memory) -> Option<Finding> {
    // What was not sent can't be looked up in the wrong letters.
    if backend(crossing) != Verdict::Refused || crossing.outer.credentials.is_empty() {
        return None;
    }
    let attempt = crossing.last()?;
    let difference = attempt.differences.iter().find(|difference| is_recased(difference))?;
    // What came, and was looked for in vain, was looked for under another name.
    let is_missed = came_recased(crossing, attempt) && attempt.inner.view.is_some_and(|view| is_reported(view, memory));
    let (severity, certainty) = match is_missed {
        true => (Severity::Error, by_join(attempt.join).min(Certainty::Likely)),
        false => (Severity::Info, by_join(attempt.join).min(Certainty::Possible)),
    };
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let (found, header) = match &difference.change {
        Change::Recased { all: true, to } => {
            let summary = format!("all names of header fields are {} at {inner}, and were not at {outer}", to.text());
            (RULE.found(certainty, summary), None)
        }
        Change::Recased { to, .. } => {
            let summary = format!("{} is {} at {inner}, and was not at {outer}", difference.name, to.text());
            (RULE.found(certainty, summary), Some(difference.name.as_str()))
        }
        _ => return None,
    };
    let found = match header {
        Some(name) => found.header(name),
        None => found,
    };
    let found = side_by_side(found.severity(severity).at(at(crossing)), crossing, difference);
    let found = match is_missed {
        true => found.because("the backend says that no credentials came, and they did, under a name in other letters"),
        false => found,
    };
    let found = with_hop(with_answers(found, crossing), crossing, &[difference]);
    Some(with_fix(found.at(at(crossing)), crossing, Topic::NameCase, None))
}

/// Whether each of the credentials came as it was sent, but for the letters of its field's name.
fn came_recased(crossing: &Crossing<'_>, attempt: &Attempt<'_>) -> bool {
    crossing.outer.credentials.iter().all(|sent| {
        attempt.inner.credentials.iter().any(|arrived| {
            arrived.secret == sent.secret && arrived.name != sent.name && arrived.name.eq_ignore_ascii_case(&sent.name)
        })
    })
}

fn is_recased(difference: &Difference) -> bool {
    let is_about_it = matches!(difference.kind, Kind::Credentials | Kind::Cookie) || difference.name == "*";
    difference.side == Side::Request && is_about_it && matches!(difference.change, Change::Recased { .. })
}

const MISSING: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> User-Agent: curl/8.10.1
> X-Api-Key: 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
<
< {"error":"missing API key"}
* tap app
> GET /orders HTTP/1.1
> host: api.example
> user-agent: curl/8.10.1
> x-api-key: 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
<
< {"error":"missing API key"}
"#;

const ALL: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> User-Agent: curl/8.5.0
> Accept: */*
> X-Api-Key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
* tap app
> GET /orders HTTP/1.1
> host: api.example
> user-agent: curl/8.5.0
> accept: */*
> x-api-key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
"#;

const ONE: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> X-API-Key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> X-Api-Key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
"#;

const CONTENT: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> X-Api-Key: kX81mQ02pLz7Rt55
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/1.1
> host: api.example
> x-api-key: kX81mQ02pLz7Rt55
< HTTP/1.1 200 OK
"#;

const HTTP2: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/2
> :authority: api.example
> authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/2 200
"#;
