//! Credentials that were meant for the gateway go on to the backend, which refuses them.

use super::{Topic, Verdict, at, backend, by_join, with_answers, with_fix, with_hop};
use crate::exchange::view::OfferedIn;
use crate::hops::Crossing;
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "gateway-credential-leaked",
    family: Family::Hop,
    severity: Severity::Error,
    title: "Credentials for the gateway went on to the backend",
    why: "The gateway asked for credentials by itself, was content with them, and passed them on. The backend takes them for \
          its own and refuses them; and it gets to see a secret that is none of its business.",
    fix: "Have the gateway take off the credentials that it has checked, or let the backend use another header than the \
          gateway does.",
    spec: &[Spec::rfc(9110, "11.6.2")],
    supersedes: &["credentials-rejected", "scheme-not-offered", "known-error-text", "credentials-reported-missing"],
    examples: &[
        Example::fires("the gateway's Basic reaches an application that wants a token", LEAKED),
        Example::quiet("the backend takes the same password", SHARED),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(crossing, memory).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>, memory: &Memory) -> Option<Finding> {
    if backend(crossing) != Verdict::Refused {
        return None;
    }
    let attempt = crossing.last()?;
    let sent = crossing.outer.credentials.iter().find(|sent| sent.place == OfferedIn::Authorization)?;
    let arrived = attempt.inner.credentials.iter().find(|arrived| arrived.place == OfferedIn::Authorization)?;
    let scheme = sent.scheme.as_deref()?;
    if arrived.secret != sent.secret || !memory.hops().gateway_asked_for(crossing, scheme) {
        return None;
    }
    let inner = crossing.inner_tap;
    let found = RULE
        .found(
            by_join(attempt.join).min(Certainty::Likely),
            format!("the gateway asked for {}, and passed it on to {inner}, which refuses it", sent.label),
        )
        .at(at(crossing))
        .header("authorization")
        .because(format!("the gateway itself asked for the scheme {scheme} before"))
        .because(format!("{inner} in   {}: {}", arrived.name, arrived.label));
    let found = with_hop(with_answers(found, crossing), crossing, &[]);
    Some(with_fix(found, crossing, Topic::OwnCredentials, None))
}

const LEAKED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< Server: nginx
< WWW-Authenticate: Basic realm="gateway"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 401 Unauthorized
< Server: nginx
< WWW-Authenticate: Bearer realm="orders"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const SHARED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< Server: nginx
< WWW-Authenticate: Basic realm="gateway"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;
