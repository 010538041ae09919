//! A client sends the same refused credential again and again.

use jiff::SignedDuration;

use crate::auth::Scheme;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{called, clock, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, normal};

/// The rule.
pub static RULE: Rule = Rule {
    name: "same-credential-retried",
    family: Family::Session,
    severity: Severity::Warning,
    title: "A refused credential is sent again and again, unchanged",
    why: "A client that was refused needs other credentials, not another try (RFC 9110 15.5.2). One that loops fills logs, \
          gets itself rate-limited or its account locked, and hides the first refusal, which is the one to look at.",
    fix: "Look at the first refusal. In the client, stop after the second one for the same credential, get a new one or ask \
          the user, and wait longer before each further try.",
    spec: &[Spec::rfc(9110, "15.5.2")],
    supersedes: &[],
    examples: &[
        Example::fires_beside("five refusals of one token in a row", LOOP),
        Example::quiet("five requests at once with one token, all served", SERVED),
        Example::quiet("other credentials each time", OTHERS),
    ],
    check: Check::Failure(check),
};

/// How many refusals in a row make a loop.
const LOOPS: u32 = 5;

/// A page that loads many things at once gets many refusals at once, and that is no loop.
const SPAN: SignedDuration = SignedDuration::from_secs(2);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let offered = view.main_credentials().filter(|_| matches!(view.status(), 401 | 407))?;
    let is_handshake = matches!(offered.credentials.scheme, Some(Scheme::Digest | Scheme::Negotiate | Scheme::Ntlm));
    if is_handshake || normal::recognise(view, memory).is_some() {
        return None;
    }
    let history = memory.history_here(view, offered.fingerprint)?;
    let (since, now) = (history.refused_since?, view.exchange().time);
    let count = history.refusals.saturating_add(1);
    if count < LOOPS || now.duration_since(since) < SPAN {
        return None;
    }
    let summary =
        format!("{} was refused {count} times in a row here, and is sent again unchanged", called(view, offered));
    let found = RULE
        .found(Certainty::Certain, summary)
        .at(At::Client)
        .header(&offered.name)
        .because(format!("history: refused since {}, {count} times", clock(since)));
    Some(with_answer(with_credentials(found, view, offered), view))
}

const LOOP: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const SERVED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

const OTHERS: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;
