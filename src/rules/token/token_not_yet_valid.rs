//! A token that was refused before its time had come.

use super::{Limit, out_of_time};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::phrases::Phrases;
use crate::rules::{Check, Example, Family, Finding, Rule, Severity, Spec};

/// A token before its `nbf`.
pub static RULE: Rule = Rule {
    name: "token-not-yet-valid",
    family: Family::Token,
    severity: Severity::Error,
    title: "The token is not valid yet",
    why: "A token may say from when on it is valid, and before that time servers refuse it. As a rule nobody makes tokens \
          for later: the clock of the machine that made it is ahead of the one that reads it.",
    fix: "Compare the clocks of the login server and of the backend, and set the wrong one right with NTP or chrony. \
          Until then let the backend allow a leeway of a minute.",
    spec: &[Spec::rfc(7519, "4.1.5")],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "scheme-case", "scheme-not-offered"],
    examples: &[
        Example::fires("five minutes too early", EARLY),
        Example::fires("two seconds too early, and the server says so", SECONDS),
        Example::fires("early by the server's clock, which is behind", SKEW),
        Example::quiet("early by less than the leeway of servers, and accepted", LEEWAY),
        Example::quiet("issued later than now, which is no limit", ISSUED),
    ],
    check: Check::Exchange(check),
};

static LIMIT: Limit = Limit {
    rule: &RULE,
    claim: "nbf",
    at: |jwt| jwt.claims.as_ref()?.nbf,
    beyond: |nbf, now| nbf.saturating_sub(now),
    words: Phrases::of(&[
        "not yet valid",
        "not yet active",
        "not active",
        "nbf",
        "not before",
        "notbefore",
        "used before",
        "premature",
    ]),
    summary: |span, is_server_time| {
        let since = if is_server_time { "the backend answered" } else { "this request" };
        format!("the token becomes valid only {span} after {since}")
    },
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    out_of_time(&LIMIT, view, memory).into_iter().collect()
}

const EARLY: &str = "\
* time 2026-11-24T12:00:00Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"nbf\":1795521900,\"exp\":1795525500}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:00:00 GMT
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const SECONDS: &str = "\
* time 2026-11-24T12:00:00Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"nbf\":1795521602,\"exp\":1795525500}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:00:00 GMT
< WWW-Authenticate: Bearer error=\"invalid_token\"
< Content-Type: text/plain
<
< Jwt not yet valid
";

const SKEW: &str = "\
* time 2026-11-24T12:00:00Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"nbf\":1795521590,\"exp\":1795525190}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 11:55:00 GMT
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const LEEWAY: &str = "\
* time 2026-11-24T12:00:00Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"nbf\":1795521602,\"exp\":1795525500}}
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 12:00:00 GMT
";

const ISSUED: &str = "\
* time 2026-11-24T12:00:00Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"iat\":1795521900,\"exp\":1795525500}}
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 12:00:00 GMT
";
