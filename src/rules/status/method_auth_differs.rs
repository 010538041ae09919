//! GET is allowed and HEAD or OPTIONS is not, with the same credentials at the same place.

use jiff::SignedDuration;

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{called, clock, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "method-auth-differs",
    family: Family::Status,
    severity: Severity::Warning,
    title: "The same credentials may GET but not HEAD or OPTIONS",
    why: "HEAD gives what GET gives, without the body, so who may do one may do the other. Servers that keep a list of methods \
          for each right often have forgotten HEAD and OPTIONS and deny what is not on it. Clients that look first whether \
          something is there, such as package managers, uploaders and link checkers, take that for a wrong login.",
    fix: "In the server's or the gateway's rules, treat HEAD like GET, and let OPTIONS through.",
    spec: &[Spec::rfc(9110, "9.3.2"), Spec::rfc(9110, "9.3.7")],
    supersedes: &["credentials-rejected", "replica-disagreement", "challenge-missing"],
    examples: &[
        Example::fires("HEAD is not on the list", HEAD),
        Example::fires("OPTIONS is not on the list", OPTIONS),
        Example::quiet("HEAD at another place", ELSEWHERE),
        Example::quiet("both are allowed", BOTH),
    ],
    check: Check::Failure(check),
};

/// What is further apart may have been taken back meanwhile.
const WINDOW: SignedDuration = SignedDuration::from_secs(60);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let is_of_interest = matches!(view.method(), b"HEAD" | b"OPTIONS") && matches!(view.status(), 401 | 403);
    let offered = view.main_credentials().filter(|_| is_of_interest && !view.is_preflight())?;
    // What is signed may have the method in it, and another signature was made for this one.
    let is_signed = view.target().to_ascii_lowercase().windows(10).any(|part| part == b"signature=");
    let got = memory.got_here(view).filter(|_| !is_signed)?;
    if view.exchange().time.duration_since(got) > WINDOW {
        return None;
    }
    let method = String::from_utf8_lossy(view.method());
    let summary = format!("{} may GET here, and is refused for {method}", called(view, offered));
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend);
    let found = with_answer(with_credentials(found, view, offered), view);
    Some(found.because(format!("before: GET of the same path with it was answered 2xx at {}", clock(got))))
}

const HEAD: &str = r#"> GET /packages/a.tgz HTTP/1.1
> Host: repo.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> HEAD /packages/a.tgz HTTP/1.1
> Host: repo.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
"#;

const OPTIONS: &str = r#"> GET /dav/ HTTP/1.1
> Host: files.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
> OPTIONS /dav/ HTTP/1.1
> Host: files.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="files", charset="UTF-8"
"#;

const ELSEWHERE: &str = r#"> GET /packages/a.tgz HTTP/1.1
> Host: repo.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> HEAD /private/b.tgz HTTP/1.1
> Host: repo.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
"#;

const BOTH: &str = r#"> GET /packages/a.tgz HTTP/1.1
> Host: repo.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> HEAD /packages/a.tgz HTTP/1.1
> Host: repo.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
