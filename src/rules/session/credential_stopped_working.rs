//! A credential that was accepted until a moment is refused since.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{called, clock, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, normal};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credential-stopped-working",
    family: Family::Session,
    severity: Severity::Error,
    title: "A credential that was accepted is refused since",
    why: "The same credential was taken on this route, and then not any more, again and again. It was withdrawn, rotated or \
          locked, its user logged out, or the server began to check with other keys: what changed is on the side that judges, \
          at a time that can be looked up.",
    fix: "Look for what happened at that time: a deployment, a rotation of keys or secrets, a revoked session, a locked \
          account. Does a new credential work? Then replace this one; if not, the server changed.",
    spec: &[Spec::rfc(9110, "15.5.2")],
    supersedes: &["credentials-rejected"],
    examples: &[
        Example::fires("accepted, and then refused twice", STOPPED),
        Example::quiet("one blip", BLIP),
        Example::quiet("it goes on to work", WORKS),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let offered = view.main_credentials().filter(|_| matches!(view.status(), 401 | 407))?;
    if normal::recognise(view, memory).is_some() {
        return None;
    }
    let history = memory.history_here(view, offered.fingerprint)?;
    let (accepted, refused) = (history.last_accepted?, history.refused_since?);
    let count = history.refusals.saturating_add(1);
    let summary = format!(
        "{} was accepted here until {} and is refused since {}",
        called(view, offered),
        clock(accepted),
        clock(refused)
    );
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend).header(&offered.name).because(format!(
        "history: last accepted at {}, refused {count} times since {}",
        clock(accepted),
        clock(refused)
    ));
    let found = match memory.others_accepted(view, offered.fingerprint) {
        Some(at) if at > refused => {
            found.because(format!("other credentials of this kind work here, last at {}: it is this one", clock(at)))
        }
        _ => found,
    };
    Some(with_answer(with_credentials(found, view, offered), view))
}

const STOPPED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* later 5m
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
* later 5m
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const BLIP: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 503 Service Unavailable
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

const WORKS: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* later 5m
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
