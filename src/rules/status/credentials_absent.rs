//! Nothing was sent, and the server asked for it. Every handshake starts so.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer};
use crate::rules::normal::{self, Normal};
use crate::rules::{At, Certainty, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-absent",
    family: Family::Status,
    severity: Severity::Warning,
    title: "Refused, and no credentials were in the request",
    why: "The request had nothing in it that says who sends it, so the server asked. Most handshakes begin like this, and \
          the client comes back with what was asked for. It is a fault where the client never does, or where it used to \
          send credentials to the same place without being asked.",
    fix: "If the client should be logged in, look at what it sends: it has no credentials for this host, or something \
          before this tap takes them away. A second tap before the gateway shows which.",
    spec: &[Spec::rfc(9110, "11.6.1"), Spec::rfc(9110, "15.5.2")],
    supersedes: &[],
    examples: &[
        Example::fires("the start of a handshake", START),
        Example::fires("credentials were there a moment ago", GONE),
        Example::quiet("the handshake goes on", ANSWERED),
        Example::quiet("a client that waits for the challenge on each connection", WAITS),
    ],
    check,
};

const START: &str = r#"> GET /v2/ HTTP/1.1
> Host: registry.example
> User-Agent: docker/27.3.1
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="https://auth.example/token",service="registry.example"
"#;

const GONE: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /api/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const ANSWERED: &str = r#"> GET /files/ HTTP/1.1
> Host: files.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="files", charset="UTF-8"
> GET /files/ HTTP/1.1
> Host: files.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const WAITS: &str = r#"> GET /repo.git/info/refs HTTP/1.1
> Host: git.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="git"
> GET /repo.git/info/refs HTTP/1.1
> Host: git.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
* new connection
> GET /repo.git/info/refs HTTP/1.1
> Host: git.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="git"
"#;

/// After so many challenges without an answer a client is taken for one that will never answer.
const IGNORED: u32 = 5;
/// Credentials that were accepted longer ago say nothing about now.
const RECENT_SECONDS: i64 = 600;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    if !view.is_refused() || !view.offered().is_empty() || view.is_preflight() {
        return Vec::new();
    }
    let by_proxy = view.status() == 407;
    let mut schemes: Vec<&str> = view.challenges(by_proxy).map(|challenge| challenge.scheme_as_sent.as_str()).collect();
    schemes.dedup();
    let asked = match schemes.as_slice() {
        [] if view.status() == 403 => "and the answer is 403, which does not ask for any".to_owned(),
        [] => "and the answer does not say what is wanted".to_owned(),
        schemes => format!("and the server asks for {}", schemes.join(" or ")),
    };
    let normal = normal::recognise(view, memory);
    if let Some(at) = memory.accepted_unasked(view).filter(|at| age(view, *at) <= RECENT_SECONDS) {
        return vec![
            RULE.found(
                Certainty::Certain,
                "this client's credentials were accepted here before, and now there are none",
            )
            .because(format!("before: accepted at {}", clock(at)))
            .because(format!("request: no credentials, {asked}"))
            .at(At::Unknown),
        ];
    }
    let ignored = memory.client(view).map_or(0, |client| client.ignored);
    let is_start = matches!(normal, Some(Normal::HandshakeStart | Normal::PrivateTokenAsked));
    let none = if view.request().has("cookie") { "no credentials but a cookie" } else { "no credentials" };
    let found = RULE.found(Certainty::Certain, format!("the request had {none}, {asked}"));
    let found = found.because(format!("request: {none} in {} fields", view.request().fields().len()));
    if ignored >= IGNORED && is_start && wants_data(view) {
        let fix = "Give the client credentials for this host, or find out what takes them away before this tap.";
        return vec![
            found.because(format!("before: {ignored} challenges in a row without an answer")).fix(fix).at(At::Client),
        ];
    }
    vec![with_answer(found.severity(Severity::Info), view)]
}

fn age(view: &View<'_>, at: jiff::Timestamp) -> i64 {
    view.exchange().time.as_second() - at.as_second()
}

/// Whether a program asks, and not a probe, a scanner or a browser that shows its prompt.
fn wants_data(view: &View<'_>) -> bool {
    let accepts_json = view.request().value("accept").is_some_and(|accept| accept.starts_with(b"application/json"));
    accepts_json || !matches!(view.method(), b"GET" | b"HEAD" | b"OPTIONS")
}
