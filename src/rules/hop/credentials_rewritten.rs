//! The same credentials came out of a hop, written in another way.

use super::{Topic, Verdict, at, backend, name_of, side_by_side, weigh, with_answers, with_fix, with_hop};
use crate::hops::{Change, Crossing, Difference, Kind, Rewrite, Side};
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-rewritten",
    family: Family::Hop,
    severity: Severity::Error,
    title: "The credentials were damaged between two taps",
    why: "What arrived is the client's credential with other bytes: cut at the size of a buffer, decoded once too often, put \
          into one line with another, sent twice, moved behind the body. The client and the backend each are right, and \
          disagree all the same.",
    fix: "Find what rewrites this header in the gateway, a pattern, a variable with a size or a script, and let it pass the \
          value on as it came.",
    spec: &[Spec::rfc(9110, "11.6.2"), Spec::rfc(9110, "5.5")],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "credentials-absent",
        "known-error-text",
        "multiple-credentials",
        "authorization-misplaced",
        "jwt-malformed",
        "token-bad-character",
        "basic-undecodable",
        "credentials-percent-encoded",
        "scheme-case",
        "scheme-malformed",
        "scheme-not-offered",
        "forbidden-without-credentials",
        "refusal-origin",
    ],
    examples: &[
        Example::fires("the token is cut", CUT),
        Example::fires("two lines become one", MERGED),
        Example::fires("the header is sent twice", DUPLICATED),
        Example::quiet("the scheme in other letters, and the backend is content", ACCEPTED),
        Example::quiet("white space around the value", SPACE),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let mut found = attempt.differences.iter().filter(|difference| is_rewritten(difference));
    let difference = found.next()?;
    let (severity, mut certainty) = weigh(crossing, attempt.join, difference.is_sure)?;
    if is_legal(&difference.change) {
        // A server that minds has a fault of its own, which a look at the hop alone can't prove.
        certainty = certainty.min(Certainty::Likely);
    }
    let name = name_of(difference);
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let summary = format!("{name} {} between {outer} and {inner}", difference.change.text());
    let found = RULE.found(certainty, summary).severity(severity).at(at(crossing)).header(&difference.name);
    let found = side_by_side(found, crossing, difference);
    let found = with_hop(with_answers(found, crossing), crossing, &[difference]);
    Some(match backend(crossing) {
        Verdict::Accepted => found.fix("Nothing to do while the backend is content; a stricter one might not be."),
        _ => with_fix(found, crossing, Topic::FieldChanged, None),
    })
}

fn is_rewritten(difference: &Difference) -> bool {
    difference.side == Side::Request
        && difference.kind == Kind::Credentials
        && matches!(
            difference.change,
            Change::Rewritten(_)
                | Change::Duplicated { .. }
                | Change::Merged { .. }
                | Change::Split { .. }
                | Change::Thinned { .. }
                | Change::Reordered
                | Change::MovedToTrailer
        )
}

/// Whether both forms mean the same to who reads by the letter of the RFC.
fn is_legal(change: &Change) -> bool {
    matches!(change, Change::Rewritten(Rewrite::SchemeCase | Rewrite::WhiteSpace) | Change::Thinned { .. })
}

const CUT: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAAmF9B5f41JqM
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const MERGED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_request"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA, Basic {basic anna:correct horse}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_request"
"#;

const DUPLICATED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="a"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="a"
"#;

const ACCEPTED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

const SPACE: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization:   Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
