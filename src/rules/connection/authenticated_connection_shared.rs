//! A connection that one client authenticated carries another client's request.

use super::NTLM_OVER_HTTP;
use crate::hops::Crossing;
use crate::memory::Memory;
use crate::rules::hop::{Topic, Verdict, at, backend, by_join, with_answers, with_fix, with_hop};
use crate::rules::{Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "authenticated-connection-shared",
    family: Family::Connection,
    severity: Severity::Error,
    title: "A connection that one client authenticated served another one",
    why: "NTLM authenticates a connection. Behind a gateway that shares its connections to the backend, the next client's \
          request goes over a connection on which somebody else has logged in, and is served as theirs.",
    fix: "Have the gateway keep one connection to the backend for each connection of a client, or use a scheme that \
          authenticates each request.",
    spec: &[NTLM_OVER_HTTP, Spec::rfc(4559, "6")],
    supersedes: &["refusal-origin"],
    examples: &[
        Example::fires("the next client is served without credentials", SHARED),
        Example::quiet("the same client goes on", SAME),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(crossing, memory).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>, memory: &Memory) -> Option<Finding> {
    let attempt = crossing.last()?;
    let (outer, inner) = (crossing.outer.connection?, attempt.inner.connection?);
    let owner = memory.hops().authenticated_by(inner).filter(|owner| *owner != outer)?;
    // A client that brings credentials of its own may be served for their sake.
    if !attempt.inner.credentials.is_empty() || backend(crossing) != Verdict::Accepted {
        return None;
    }
    let (before, behind) = (&crossing.outer.tap, crossing.inner_tap);
    let found = RULE
        .found(by_join(attempt.join), "a request without credentials was served as somebody else who had logged in")
        .at(at(crossing))
        .because(format!("{behind} in   connection {inner}, on which client connection {owner} logged in by NTLM"))
        .because(format!("{before} in   client connection {outer}, no credentials"));
    let found = with_hop(with_answers(found, crossing), crossing, &[]);
    Some(with_fix(found, crossing, Topic::Connections, None))
}

const SHARED: &str = r#"* tap edge
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 3}
< HTTP/1.1 200 OK
* tap app
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 3}
< HTTP/1.1 200 OK
* tap edge
* client addr 10.0.0.7
> GET /site HTTP/1.1
> Host: intranet.example
< HTTP/1.1 200 OK
* tap app
> GET /site HTTP/1.1
> Host: intranet.example
< HTTP/1.1 200 OK
"#;

const SAME: &str = r#"* tap edge
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 3}
< HTTP/1.1 200 OK
* tap app
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 3}
< HTTP/1.1 200 OK
* tap edge
> GET /site/a.css HTTP/1.1
> Host: intranet.example
< HTTP/1.1 200 OK
* tap app
> GET /site/a.css HTTP/1.1
> Host: intranet.example
< HTTP/1.1 200 OK
"#;
