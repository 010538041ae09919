//! Nothing was sent, and the server asked for it. Every handshake starts so.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer};
use crate::rules::normal;
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

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    if !view.is_refused() || !view.offered().is_empty() || view.is_preflight() {
        return Vec::new();
    }
    let by_proxy = view.status() == 407;
    let challenges = view.challenges(by_proxy);
    let mut schemes: Vec<_> =
        challenges.map(|challenge| view.redactor().name(challenge.scheme_as_sent.as_bytes())).collect();
    schemes.dedup();
    let asked = match schemes.as_slice() {
        [] if view.status() == 403 => "and the answer is 403, which does not ask for any".to_owned(),
        [] => "and the answer does not say what is wanted".to_owned(),
        schemes => format!("and the server asks for {}", schemes.join(" or ")),
    };
    if let Some(accepted) = normal::lost_credentials(view, memory) {
        let summary = "this client's credentials were accepted here before, and now there are none";
        let found = RULE.found(Certainty::Certain, summary).at(At::Unknown);
        let found = found.because(format!("before: accepted at {} on this route", clock(accepted.time)));
        return vec![with_answer(found.because("request: no credentials"), view)];
    }
    let none = if view.request().has("cookie") { "no credentials but a cookie" } else { "no credentials" };
    let found = RULE.found(Certainty::Certain, format!("the request had {none}, {asked}"));
    let found = found.because(format!("request: {none} in {} fields", view.request().fields().len()));
    let found = with_answer(found, view);
    if let Some(ignored) = normal::ignored_challenges(view, memory) {
        let fix = "Give the client credentials for this host, or find out what takes them away before this tap.";
        let found = found.because(format!("before: {ignored} challenges in a row without an answer"));
        return vec![found.fix(fix).at(At::Client)];
    }
    vec![found.severity(Severity::Info)]
}
