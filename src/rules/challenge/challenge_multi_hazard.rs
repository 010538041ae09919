//! Several challenges stand in one line, and the client does not answer any of them.

use crate::exchange::View;
use crate::exchange::view::Challenged;
use crate::memory::Memory;
use crate::rules::evidence::with_field;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "challenge-multi-hazard",
    family: Family::Challenge,
    severity: Severity::Info,
    title: "Several challenges in one line, and the client answers none",
    why: "A server may put several challenges into one WWW-Authenticate line. A comma then stands between challenges as well \
          as between the parameters of one, and some clients read no further than the first scheme, or take the second for a \
          parameter. They stop where they know a scheme that is offered.",
    fix: "Send each challenge in a WWW-Authenticate line of its own, the one that this client knows first, and see whether it \
          goes on.",
    spec: &[Spec::rfc(9110, "11.6.1")],
    supersedes: &[],
    examples: &[
        Example::fires_beside("the client asks again and again", AGAIN),
        Example::quiet("the client answers", ANSWERED),
        Example::quiet("each in a line of its own", LINES),
    ],
    check: Check::Failure(check),
};

/// So many challenges in a row, with this one, that the client left without an answer.
const IGNORED: u32 = 3;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let by_proxy = view.status() == 407;
    if !matches!(view.status(), 401 | 407) || !view.offered().is_empty() || view.request().is_cut() {
        return None;
    }
    let is_several = |field: &&Challenged| field.by_proxy == by_proxy && field.challenges.len() > 1;
    let field = view.challenged().iter().find(is_several)?;
    let ignored = memory.client(view)?.ignored.saturating_add(1);
    if ignored < IGNORED {
        return None;
    }
    let number = field.challenges.len();
    let summary =
        format!("{number} challenges stand in one line, which some clients can't read, and this one does not answer");
    let found = RULE.found(Certainty::Possible, summary).at(At::Unknown);
    let found = found.because(format!("client: {ignored} challenges in a row without an answer"));
    Some(with_field(found, view, Message::Response, field.field, ""))
}

const AGAIN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate, Basic realm="orders"
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate, Basic realm="orders"
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate, Basic realm="orders"
"#;

const ANSWERED: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate, Basic realm="orders"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const LINES: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate
< WWW-Authenticate: Basic realm="orders"
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate
< WWW-Authenticate: Basic realm="orders"
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate
< WWW-Authenticate: Basic realm="orders"
"#;
