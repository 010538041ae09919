//! Who refused: the gateway, or the backend behind it.

use super::{Topic, Verdict, at, by_join, side_by_side, told, with_fix, with_hop};
use crate::hops::{Change, Crossing, Side};
use crate::memory::Memory;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, products};

/// The rule.
pub static RULE: Rule = Rule {
    name: "refusal-origin",
    family: Family::Hop,
    severity: Severity::Info,
    title: "Who refused",
    why: "A refusal looks the same whoever made it. Where no request arrived behind the gateway, the gateway refused by \
          itself, or sent the request somewhere else; where the backend answered so, the gateway only passed it on.",
    fix: "Look at whoever refused: the other one has nothing to do with it.",
    spec: &[Spec::rfc(9110, "15.5.2"), Spec::rfc(9110, "15.5.4")],
    supersedes: &[],
    examples: &[
        Example::fires_beside("the gateway refuses by itself", GATEWAY),
        Example::fires_beside("the backend refuses", BACKEND),
        Example::fires_beside("the backend refuses, asked about the request by the gateway", ASKED),
        Example::quiet("nobody refuses", NOBODY),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let answer = crossing.outer.answer.as_ref().filter(|answer| !answer.by_tap)?;
    if told(crossing) != Verdict::Refused {
        return None;
    }
    let status = answer.status;
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let came = format!("answer: {status} at {outer}");
    let Some(attempt) = crossing.last() else {
        if crossing.running > 0 {
            let found = RULE.found(Certainty::Certain, format!("the gateway refused while {inner} had yet to answer"));
            return Some(found.because(came).because(format!("the request arrived at {inner}")).at(at(crossing)));
        }
        crossing.is_certain.then_some(())?;
        let found = RULE
            .found(Certainty::Certain, format!("the gateway refused by itself: no request arrived at {inner}"))
            .because(came)
            .because(format!("{inner}: nothing came of this request"));
        let found = match products::product(crossing) {
            Some((product, said)) => found.because(format!("hop: {} ({said})", product.name())),
            None => found,
        };
        let general = "Look at what the gateway checks by itself on this route, or where else it sends it.";
        return Some(with_fix(found.at(at(crossing)), crossing, Topic::Refusal, Some(general)));
    };
    attempt.inner.answer.as_ref().filter(|behind| behind.status == status)?;
    // A gateway that asks about a request before it passes it on sends a request of its own.
    let asked = attempt.differences.iter().find(|difference| {
        difference.side == Side::Request && difference.name == ":target" && difference.change == Change::Changed
    });
    let summary = match asked {
        Some(_) => format!("the backend refused another target than the client's: {status} came through the gateway"),
        None => format!("the backend refused: its {status} came through the gateway"),
    };
    let found =
        RULE.found(by_join(attempt.join), summary).because(format!("answer: {status} at {inner}, {status} at {outer}"));
    let found = match asked {
        Some(difference) => side_by_side(found, crossing, difference)
            .fix("Look at what was asked there: a rewritten target, or a question of the gateway whether the request may pass."),
        None => found,
    };
    Some(with_hop(found, crossing, asked.as_slice()).at(At::Backend))
}

const GATEWAY: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Server: nginx
< WWW-Authenticate: Bearer realm="gateway"
* tap app
* unannounced
> GET /healthz HTTP/1.1
> Host: 127.0.0.1
< HTTP/1.1 200 OK
* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Server: nginx
< WWW-Authenticate: Bearer realm="gateway"
"#;

const BACKEND: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
"#;

const ASKED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< Server: nginx
< WWW-Authenticate: Basic realm="orders"
* tap app
> GET /check HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
"#;

const NOBODY: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 200 OK
"#;
