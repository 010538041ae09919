//! Authorization where no recipient may use it: behind the body, or on the list of what the next hop takes off.

use crate::exchange::View;
use crate::exchange::names;
use crate::exchange::view::OfferedIn;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_answer, with_credentials, with_field};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "authorization-misplaced",
    family: Family::Transport,
    severity: Severity::Error,
    title: "Authorization stands where it has no effect",
    why: "Fields behind the body come too late for a decision about the request, so credentials among them are ignored. \
          And a field whose name stands in Connection is meant for the next hop only: every proxy on the way has to take \
          it off, so that it never reaches the server.",
    fix: "Send Authorization in the head of the request, and name in Connection only what belongs to this one \
          connection, such as `keep-alive` or `upgrade`.",
    spec: &[Spec::rfc(9110, "6.5.1"), Spec::rfc(9110, "7.6.1")],
    supersedes: &["credentials-rejected", "credentials-absent", "credentials-reported-missing"],
    examples: &[
        Example::fires("named in Connection", CONNECTION),
        Example::fires("behind the body", TRAILER),
        Example::quiet("an upgrade names other things", UPGRADE),
    ],
    check: Check::Exchange(check),
};

const CONNECTION: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Connection: keep-alive, authorization
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const TRAILER: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Transfer-Encoding: chunked
> Trailer: Authorization
>
> {"article":7}
>+ Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const UPGRADE: &str = r#"> GET /socket HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Connection: keep-alive, Upgrade
> Upgrade: websocket
< HTTP/1.1 101 Switching Protocols
< Connection: Upgrade
< Upgrade: websocket
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let severity = match view.status() {
        400 | 401 | 403 | 407 => Severity::Error,
        _ if view.is_success() => Severity::Info,
        _ => Severity::Warning,
    };
    let mut found = Vec::new();
    for field in view.request().fields().filter(|field| field.is("connection")) {
        let mut members = field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let Some(named) = members.find(|member| is_credentials(member)) else { continue };
        let name = String::from_utf8_lossy(named).to_ascii_lowercase();
        let summary = format!("Connection names {}, so the next proxy has to remove it", clip(&name));
        let finding = RULE.found(Certainty::Certain, summary).at(At::Unknown).header(&name);
        found.push(with_field(finding, view, Message::Request, field.index, ""));
        break;
    }
    let in_head = view.authorization().is_some();
    if let Some(offered) = view.offered().iter().find(|o| o.place == OfferedIn::Trailer).filter(|_| !in_head) {
        let summary = "Authorization came behind the body, where servers do not look for it";
        let finding = RULE.found(Certainty::Certain, summary).at(At::Client).header("authorization");
        found.push(with_credentials(finding, view, offered));
    }
    found.into_iter().map(|finding| with_answer(finding, view).severity(severity)).collect()
}

fn is_credentials(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"authorization") || names::is_key_field(name)
}
