//! What is there for those who are logged in is not found by those who are not.

use jiff::SignedDuration;

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer};
use crate::rules::normal;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "hidden-not-found",
    family: Family::Status,
    severity: Severity::Warning,
    title: "404 to those without credentials, success with them",
    why: "A server may answer 404 to hide that something exists from those who may not see it. A client that sends \
          credentials only when it is asked for them, such as git, is never asked, and takes what it wants for lost.",
    fix: "Have the client send its credentials without being asked. In the server, answer 401 with a challenge where a login \
          would help, if it is no secret that there is something.",
    spec: &[Spec::rfc(9110, "15.5.4"), Spec::rfc(9110, "15.5.5")],
    supersedes: &[],
    examples: &[
        Example::fires_beside("a private repository", PRIVATE),
        Example::fires("a client that had credentials a moment ago", LOST),
        Example::quiet("nothing was ever there", NOTHING),
        Example::quiet("404 with credentials as well", GONE),
    ],
    check: Check::Failure(check),
};

/// What is further apart may have been deleted meanwhile.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let is_bare = view.offered().is_empty() && !view.request().has("cookie") && !view.request().is_cut();
    if view.status() != 404 || !matches!(view.method(), b"GET" | b"HEAD") || !is_bare {
        return None;
    }
    let got = memory.got_here_by_others(view)?;
    if view.exchange().time.duration_since(got) > WINDOW || normal::recognise(view, memory).is_some() {
        return None;
    }
    let lost = normal::lost_credentials(view, memory);
    let (summary, severity) = match lost {
        Some(_) => ("404 hides what is there: this client's credentials are missing", Severity::Warning),
        None => ("404 hides what is there for those with credentials", Severity::Info),
    };
    let found = RULE.found(Certainty::Likely, summary).severity(severity);
    let found = found.at(if lost.is_some() { At::Client } else { At::Unknown });
    let found = with_answer(found.because("request: no credentials"), view);
    Some(found.because(format!("before: with credentials the same path was answered 2xx at {}", clock(got))))
}

const PRIVATE: &str = r#"* client addr 203.0.113.7
* client tls
> GET /team/app.git/info/refs HTTP/1.1
> Host: git.example
> User-Agent: git/2.47.0
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
* client addr 203.0.113.8
> GET /team/app.git/info/refs HTTP/1.1
> Host: git.example
> User-Agent: git/2.47.0
< HTTP/1.1 404 Not Found
"#;

const LOST: &str = r#"> GET /team/app HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /team/app HTTP/1.1
> Host: api.example
< HTTP/1.1 404 Not Found
"#;

const NOTHING: &str = r#"> GET /team/app HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /team/other HTTP/1.1
> Host: api.example
< HTTP/1.1 404 Not Found
"#;

const GONE: &str = r#"> GET /team/app HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /team/app HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 404 Not Found
"#;
