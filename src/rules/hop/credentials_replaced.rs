//! Other credentials came out of a hop than went in.

use super::{Topic, Verdict, at, backend, name_of, side_by_side, weigh, with_answers, with_fix, with_hop};
use crate::exchange::View;
use crate::hops::{Change, Crossing, Difference, Kind, Side, Sighting};
use crate::memory::Memory;
use crate::rules::credentials::token_placeholder;
use crate::rules::{Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-replaced",
    family: Family::Hop,
    severity: Severity::Error,
    title: "Other credentials arrived than the client sent",
    why: "The gateway put credentials of its own into the request, in place of the client's or beside them: its identity \
          towards the backend, a token that it exchanged, a leftover constant. The backend judges what arrived, not what the \
          client sent, so the client can look for its mistake for a long time.",
    fix: "Find out which of the two the backend is meant to see. If it is the client's, remove what sets the header in the \
          gateway; if it is the gateway's, renew or correct the credentials there.",
    spec: &[Spec::rfc(9110, "11.6.2")],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "credentials-absent",
        "known-error-text",
        "multiple-credentials",
        "scheme-not-offered",
        "token-expired",
        "forbidden-without-credentials",
        "refusal-origin",
    ],
    examples: &[
        Example::fires("the gateway's own token in place of the client's", REPLACED),
        Example::fires("a second Authorization beside the client's", SECOND),
        Example::fires("credentials where the client sent none", ADDED),
        Example::fires("credentials beside a key that the client sent", BESIDE),
        Example::fires("a gap of the gateway's configuration that nothing filled in", GAP),
        Example::quiet("a token that was exchanged, and taken", EXCHANGED),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let found = attempt.differences.iter().filter(|difference| is_other(crossing, difference));
    let difference =
        found.min_by_key(|difference| (difference.name != "authorization", difference.change == Change::Added))?;
    let (severity, certainty) = weigh(crossing, attempt.join, difference.is_sure)?;
    let name = name_of(difference);
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let had_one = crossing.outer.credentials.iter().any(|sent| sent.name.eq_ignore_ascii_case(&difference.name));
    let summary = match (&difference.change, crossing.outer.credentials.first()) {
        (Change::Added, _) if had_one => format!("a second {name} was added between {outer} and {inner}"),
        (Change::Added, Some(sent)) => {
            format!("{name} was added between {outer} and {inner}: the client sent its credentials in {}", sent.name)
        }
        (Change::Added, None) => format!("{name} was added between {outer} and {inner}: the client sent none"),
        _ => format!("{name} was replaced by another one between {outer} and {inner}"),
    };
    let found = RULE.found(certainty, summary).severity(severity).at(at(crossing)).header(&difference.name);
    let mut found = side_by_side(found, crossing, difference);
    if let Change::Replaced { kept_in: Some(name) } = &difference.change {
        found = found.because(format!("the client's own stands in {name} now"));
    }
    let gap = |sighting: &Sighting<'_>| {
        let mut offered = sighting.view.map(View::offered).unwrap_or_default().iter();
        offered.find_map(|offered| {
            let is_of_this = offered.name.eq_ignore_ascii_case(&difference.name);
            offered.credentials.placeholder.filter(|_| is_of_this)
        })
    };
    if let (Some(gap), None) = (gap(attempt.inner), gap(crossing.outer)) {
        found = found.because(format!("{inner} in   {}, not a secret", token_placeholder::describe(gap).0));
    }
    let found = with_hop(with_answers(found, crossing), crossing, &[difference]);
    Some(match backend(crossing) {
        Verdict::Accepted => {
            found.fix("Nothing to do while the backend is content: it takes the gateway's credentials.")
        }
        _ => with_fix(found, crossing, Topic::FieldChanged, None),
    })
}

fn is_other(crossing: &Crossing<'_>, difference: &Difference) -> bool {
    let is_credentials = difference.side == Side::Request && difference.kind == Kind::Credentials;
    match difference.change {
        Change::Replaced { .. } | Change::Changed => is_credentials,
        // A header that names the user whom the gateway has checked is what gateways are for.
        Change::Added => {
            let last = crossing.last();
            is_credentials
                && last.is_some_and(|attempt| {
                    attempt.inner.credentials.iter().any(|sent| sent.name.eq_ignore_ascii_case(&difference.name))
                })
        }
        _ => false,
    }
}

const REPLACED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic gateway:not-so-secret}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const GAP: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: {http.reverse_proxy.header.Authorization}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const SECOND: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Authorization: Bearer mF9B5f41JqMzzzzzzzzzzz
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const ADDED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 403 Forbidden
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer mF9B5f41JqMzzzzzzzzzzz
< HTTP/1.1 403 Forbidden
"#;

const BESIDE: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> X-Api-Key: 7d9f2c4b8a1e6035
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> X-Api-Key: 7d9f2c4b8a1e6035
> Authorization: Bearer mF9B5f41JqMzzzzzzzzzzz
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const EXCHANGED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer mF9B5f41JqMzzzzzzzzzzz
< HTTP/1.1 200 OK
"#;
