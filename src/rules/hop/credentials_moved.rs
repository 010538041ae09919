//! The credentials came out of a hop under another name.

use super::{Topic, Verdict, at, backend, name_of, side_by_side, weigh, with_answers, with_fix, with_hop};
use crate::hops::{Change, Crossing, Kind, Side};
use crate::memory::Memory;
use crate::rules::{Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-moved",
    family: Family::Hop,
    severity: Severity::Error,
    title: "The credentials arrived under another name",
    why: "The gateway moved the client's credentials to another header, mostly to make room for its own: \
          X-Forwarded-Authorization, X-Serverless-Authorization, x-amzn-Remapped-Authorization. A backend that looks for \
          them in their usual place finds nothing.",
    fix: "Have the gateway pass the header on under its own name, or have the backend look for the new one.",
    spec: &[Spec::rfc(9110, "11.6.2")],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "credentials-absent",
        "known-error-text",
        "wrong-credential-header",
        "forbidden-without-credentials",
        "auth-header-name-suspect",
        "refusal-origin",
    ],
    examples: &[
        Example::fires("to X-Forwarded-Authorization", MOVED),
        Example::quiet("and the backend looks for it there", ACCEPTED),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let (difference, to) = attempt.differences.iter().find_map(|difference| match &difference.change {
        Change::Renamed(to) if difference.side == Side::Request && difference.kind == Kind::Credentials => {
            Some((difference, to))
        }
        _ => None,
    })?;
    let (severity, certainty) = weigh(crossing, attempt.join, difference.is_sure)?;
    let name = name_of(difference);
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let found = RULE
        .found(certainty, format!("the value of {name} arrived in {to} behind {outer}, at {inner}"))
        .severity(severity)
        .at(at(crossing))
        .header(&difference.name);
    let found = side_by_side(found, crossing, difference);
    let found = with_hop(with_answers(found, crossing), crossing, &[difference]);
    Some(match backend(crossing) {
        Verdict::Accepted => found.fix("Nothing to do while the backend is content: it looks for the new name."),
        _ => with_fix(found, crossing, Topic::FieldChanged, None),
    })
}

const MOVED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> X-Forwarded-Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const ACCEPTED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> X-Forwarded-Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
