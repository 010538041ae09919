//! An NTLM handshake whose connection did not last, or changed behind a gateway.

use super::NTLM_OVER_HTTP;
use crate::auth::NtlmStep;
use crate::exchange::{Version, View};
use crate::hops::Crossing;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::hop::{Topic, Verdict, at, backend, by_join, with_answers, with_fix, with_hop};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "ntlm-connection-broken",
    family: Family::Connection,
    severity: Severity::Error,
    title: "The connection of an NTLM handshake did not last",
    why: "The messages of NTLM belong to one connection. Where the server closes it behind its challenge, or a gateway sends \
          the last message over another connection than the first, the server gets an answer to a question that it did not \
          ask there, and refuses.",
    fix: "Keep the connection open through the handshake, and have the gateway use one connection to the backend for each \
          connection of a client.",
    spec: &[NTLM_OVER_HTTP, Spec::rfc(4559, "6")],
    supersedes: &["credentials-rejected", "handshake-step", "known-error-text", "refusal-origin"],
    examples: &[
        Example::fires("the server closes behind its challenge", CLOSED),
        Example::fires("the last message takes another connection to the backend", SWITCHED),
        Example::quiet("the connection stays", KEPT),
    ],
    check: Check::Both(check, check_hop),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let response = view.response()?;
    if response.status != 401 || view.ntlm_asked() != Some(NtlmStep::Challenge) {
        return None;
    }
    let is_old = response.version == Version::Http10 && !response.head.lists("connection", "keep-alive");
    let closes = response.head.lists("connection", "close");
    let offered = view.main_credentials().filter(|_| is_old || closes)?;
    let why = if closes { "response: Connection: close" } else { "response: HTTP/1.0, without keep-alive" };
    let found = RULE
        .found(Certainty::Certain, "the server sent its NTLM challenge and closes the connection to which it belongs")
        .at(At::Backend)
        .header("connection")
        .because(why);
    Some(with_answer(with_credentials(found, view, offered), view))
}

fn check_hop(crossing: &Crossing<'_>, memory: &Memory) -> Vec<Finding> {
    check_way(crossing, memory).into_iter().collect()
}

fn check_way(crossing: &Crossing<'_>, memory: &Memory) -> Option<Finding> {
    let view = crossing.outer.view?;
    if view.ntlm_sent() != Some(NtlmStep::Authenticate) || backend(crossing) != Verdict::Refused {
        return None;
    }
    let attempt = crossing.last()?;
    let (outer, inner) = (crossing.outer.connection?, attempt.inner.connection?);
    let first = memory.hops().handshake_on(outer).filter(|first| *first != inner)?;
    let tap = crossing.inner_tap;
    let found = RULE
        .found(by_join(attempt.join), "the gateway sent the last NTLM message over another connection than the first")
        .at(at(crossing))
        .header("authorization")
        .because(format!("{} in   first and last message on connection {outer}", crossing.outer.tap))
        .because(format!("{tap} in   first message on connection {first}, last one on {inner}"));
    let found = with_hop(with_answers(found, crossing), crossing, &[]);
    Some(with_fix(found, crossing, Topic::Connections, None))
}

const CLOSED: &str = r#"> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 1}
< HTTP/1.1 401 Unauthorized
< Connection: close
< WWW-Authenticate: NTLM {ntlm 2}
"#;

const SWITCHED: &str = r#"* tap edge
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 1}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM {ntlm 2}
* tap app
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 1}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM {ntlm 2}
* tap edge
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 3}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM
* tap app
* new connection
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 3}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM
"#;

const KEPT: &str = r#"* tap edge
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 1}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM {ntlm 2}
* tap app
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 1}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM {ntlm 2}
* tap edge
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 3}
< HTTP/1.1 200 OK
* tap app
> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 3}
< HTTP/1.1 200 OK
"#;
