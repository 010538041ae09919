//! The backend's challenge did not come through a hop as it was.

use super::{Topic, Verdict, at, by_join, has, name_of, side_by_side, told, with_answers, with_fix, with_hop};
use crate::hops::{Change, Crossing, Difference, Kind, Side};
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "challenge-changed",
    family: Family::Hop,
    severity: Severity::Error,
    title: "The challenge was changed between two taps",
    why: "The backend said how to log in, and the client got to read something else, or nothing. Clients that wait for the \
          challenge, such as git, docker, browsers and MCP clients, then never send what they have.",
    fix: "Let the gateway pass the backend's WWW-Authenticate on as it came, also where it replaces the page that is shown.",
    spec: &[Spec::rfc(9110, "11.6.1"), Spec::rfc(9110, "15.5.2")],
    supersedes: &[
        "challenge-missing",
        "challenge-renamed",
        "challenge-malformed",
        "credentials-absent",
        "refusal-origin",
    ],
    examples: &[
        Example::fires("the challenge is hidden", HIDDEN),
        Example::fires("the challenge is renamed", RENAMED),
        Example::fires("another challenge is added", ADDED),
        Example::fires("one challenge of two is lost", THINNED),
        Example::quiet("the challenge comes through", THROUGH),
        Example::quiet("two challenges become one line", MERGED),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let mut found: Vec<(Severity, &Difference)> = attempt
        .differences
        .iter()
        .filter(|difference| difference.side == Side::Answer && difference.kind == Kind::Challenge)
        .map(|difference| (gravity(crossing, difference), difference))
        .collect();
    found.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    let (severity, difference) = *found.first()?;
    let certainty = if difference.is_sure { by_join(attempt.join) } else { Certainty::Possible };
    let name = name_of(difference);
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let summary = match &difference.change {
        Change::Removed if has(crossing, difference, true) => {
            format!("the backend sent several {name}, and not all of them came through between {inner} and {outer}")
        }
        Change::Removed => format!("the backend sent {name}, and it was removed between {inner} and {outer}"),
        Change::Renamed(to) => format!("{name} of the backend became {to} between {inner} and {outer}"),
        Change::Added => format!("{name} was added between {inner} and {outer}"),
        other => format!("{name} {} between {inner} and {outer}", other.text()),
    };
    let found = RULE.found(certainty, summary).severity(severity).at(at(crossing)).header(&difference.name);
    let found = side_by_side(found, crossing, difference);
    let found = with_hop(with_answers(found, crossing), crossing, &[difference]);
    Some(with_fix(found, crossing, Topic::Challenge, None))
}

/// How bad a change of the challenge is: what the client can't read any more keeps it from logging in.
fn gravity(crossing: &Crossing<'_>, difference: &Difference) -> Severity {
    let is_asked_for = matches!(difference.name.as_str(), "www-authenticate" | "proxy-authenticate");
    if told(crossing) == Verdict::Accepted || !is_asked_for {
        return Severity::Info;
    }
    match difference.change {
        // The client may do with what is left.
        Change::Removed if has(crossing, difference, true) => Severity::Warning,
        Change::Removed | Change::Renamed(_) => Severity::Error,
        // The list in one line says the same as several lines (RFC 9110 5.3).
        Change::Merged { .. }
        | Change::Split { .. }
        | Change::Thinned { .. }
        | Change::Reordered
        | Change::Recased { .. }
        | Change::Duplicated { .. } => Severity::Info,
        _ => Severity::Warning,
    }
}

const HIDDEN: &str = r#"* tap edge
> GET /v2/ HTTP/1.1
> Host: registry.example
< HTTP/1.1 401 Unauthorized
< Server: nginx
* tap app
> GET /v2/ HTTP/1.1
> Host: registry.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="https://auth.example/token"
"#;

const RENAMED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< x-amzn-Remapped-WWW-Authenticate: Basic realm="orders"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
"#;

const ADDED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Basic realm="gateway"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
"#;

const THINNED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< Server: nginx
< WWW-Authenticate: Bearer realm="orders"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
< WWW-Authenticate: Basic realm="orders"
"#;

const THROUGH: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< Server: nginx
< WWW-Authenticate: Basic realm="orders"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
"#;

const MERGED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", Basic realm="orders"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
< WWW-Authenticate: Basic realm="orders"
"#;
