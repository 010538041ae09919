//! A client goes on with a token that ran out.

use crate::auth::Detail;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, normal};

/// The rule.
pub static RULE: Rule = Rule {
    name: "stale-token-kept",
    family: Family::Session,
    severity: Severity::Error,
    title: "A client goes on with a token that ran out",
    why: "The token ran out, was refused for it, and the client sent it again. It reads the token once and keeps it: a \
          process that never looks at its file again, a cache without an end, a renewal that fails in silence.",
    fix: "Have the client get a new token before `exp`, and at the latest on the first 401. Tokens in files, such as those of \
          Kubernetes service accounts, are rotated: read the file anew.",
    spec: &[Spec::rfc(6750, "3.1"), Spec::rfc(7519, "4.1.4")],
    supersedes: &["token-expired", "same-credential-retried", "credential-stopped-working", "credentials-rejected"],
    examples: &[
        Example::fires("three times after it ran out", KEPT),
        Example::quiet("a new one after the first refusal", RENEWED),
    ],
    check: Check::Failure(check),
};

/// How often it has to be sent after it ran out: one may have been on its way, and one more may be a retry.
const TIMES: u32 = 3;

/// What servers allow clocks to differ by, in seconds.
const LEEWAY: i64 = 60;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let offered = view.main_credentials().filter(|_| view.status() == 401)?;
    let Detail::Jwt(jwt) = &offered.credentials.detail else { return None };
    let exp = jwt.claims.as_ref()?.exp?.timestamp()?;
    if normal::recognise(view, memory).is_some() {
        return None;
    }
    let history = memory.history_here(view, offered.fingerprint)?;
    let since = history.refused_since?;
    let count = history.refusals.saturating_add(1);
    // The first of these refusals came behind the end as well, so that it is why.
    let is_over = since.as_second() >= exp.as_second() && view.server_time().as_second() > exp.as_second() + LEEWAY;
    if count < TIMES || !is_over {
        return None;
    }
    let summary = format!("the token ran out at {}, and the client sent it {count} times since", clock(exp));
    let found = RULE
        .found(Certainty::Certain, summary)
        .at(At::Client)
        .header(&offered.name)
        .because(format!("exp={exp}"))
        .because(format!("history: refused since {}, {count} times", clock(since)));
    Some(with_answer(with_credentials(found, view, offered), view))
}

const KEPT: &str = r#"* time 2026-11-24T12:02:00Z
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795521600}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:02:00 GMT
< WWW-Authenticate: Bearer error="invalid_token"
* later 30s
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795521600}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:02:30 GMT
< WWW-Authenticate: Bearer error="invalid_token"
* later 30s
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795521600}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:03:00 GMT
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const RENEWED: &str = r#"* time 2026-11-24T11:59:00Z
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795521600}}
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 11:59:00 GMT
* later 90s
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795525200}}
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 12:00:30 GMT
"#;
