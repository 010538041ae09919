//! The same request with the same credential is accepted and refused by turns.

use jiff::SignedDuration;

use crate::exchange::{Endpoint, View};
use crate::memory::{Memory, Outcome};
use crate::rules::evidence::{called, clip, clock, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "replica-disagreement",
    family: Family::Session,
    severity: Severity::Error,
    title: "The same credential is accepted and refused by turns",
    why: "Behind one name stand several servers, and they do not agree: one has other signing keys, another secret, no share \
          in the sessions of the others, or a clock of its own. Which of them a request gets to decides whether it is \
          refused, so it fails now and then and for no reason that the client could see.",
    fix: "Ask each replica by itself with the same credential. On those that refuse, compare the signing keys or secrets, the \
          session store, the version and the clock with those that accept.",
    spec: &[Spec::rfc(9110, "15.5.2")],
    supersedes: &["credential-stopped-working", "credentials-rejected", "known-error-text"],
    examples: &[
        Example::fires("accepted and refused within seconds", TURNS),
        Example::fires("one address accepts, another one refuses", ADDRESSES),
        Example::quiet("it worked, and then it did not any more", ONCE),
        Example::quiet("the new login works, and goes on to", LOGIN),
    ],
    check: Check::Failure(check),
};

/// What is further apart may have been revoked and given back.
const WINDOW: SignedDuration = SignedDuration::from_secs(120);

/// How often it has to turn: once may be the end of a token.
const TURNS_NEEDED: usize = 2;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let offered = view.main_credentials().filter(|_| view.status() == 401)?;
    let exchange = view.exchange();
    let now = Outcome {
        time: exchange.time,
        accepted: false,
        backend: exchange.upstream.addr.as_ref().and_then(Endpoint::tcp),
    };
    let recent = |outcome: &&Outcome| exchange.time.duration_since(outcome.time) <= WINDOW;
    let earlier = memory.outcomes_here(view).iter().filter(recent);
    // One that was never accepted does not turn, and of those there are many.
    if !earlier.clone().any(|outcome| outcome.accepted) {
        return None;
    }
    let mut outcomes: Vec<Outcome> = earlier.copied().collect();
    outcomes.push(now);
    let turns =
        outcomes.windows(2).filter(|pair| pair.first().map(|one| one.accepted) != pair.last().map(|one| one.accepted));
    if turns.count() < TURNS_NEEDED {
        return None;
    }
    let by_address = addresses(&outcomes);
    let certainty = if by_address.is_some() { Certainty::Certain } else { Certainty::Likely };
    let summary = format!("{} is accepted and refused by turns on this route", called(view, offered));
    let story: Vec<String> = outcomes
        .iter()
        .map(|outcome| format!("{} {}", clock(outcome.time), if outcome.accepted { "accepted" } else { "401" }))
        .collect();
    let found = RULE.found(certainty, summary).at(At::Backend).header(&offered.name);
    let found = with_answer(with_credentials(found, view, offered), view);
    let found = found.because(clip(format!("history: {}", story.join(", "))));
    Some(match by_address {
        Some(text) => found.because(clip(&text)),
        None => found,
    })
}

/// Who accepts and who refuses, where each address does always the same.
fn addresses(outcomes: &[Outcome]) -> Option<String> {
    let of = |accepted: bool| -> Option<Vec<String>> {
        let mut all: Vec<String> = outcomes
            .iter()
            .filter(|outcome| outcome.accepted == accepted)
            .map(|outcome| outcome.backend.map(|addr| addr.to_string()))
            .collect::<Option<_>>()?;
        all.sort_unstable();
        all.dedup();
        Some(all)
    };
    let (accepting, refusing) = (of(true)?, of(false)?);
    let is_apart = !accepting.is_empty() && accepting.iter().all(|addr| !refusing.contains(addr));
    is_apart.then(|| format!("backends: {} accepts, {} refuses", accepting.join(", "), refusing.join(", ")))
}

const TURNS: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const ADDRESSES: &str = r#"* upstream addr 10.0.0.1:3000
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* upstream addr 10.0.0.2:3000
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
* upstream addr 10.0.0.1:3000
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* upstream addr 10.0.0.2:3000
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const ONCE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

const LOGIN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 8xLOxBtZp8mHjdn8CtSLzQ
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 8xLOxBtZp8mHjdn8CtSLzQ
< HTTP/1.1 200 OK
"#;
