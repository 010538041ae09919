//! A token that was refused after its time had run out.

use super::{Limit, out_of_time};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::normal::{self, Normal};
use crate::rules::phrases::Phrases;
use crate::rules::{Check, Example, Family, Finding, Rule, Severity, Spec};

/// A token past its `exp`.
pub static RULE: Rule = Rule {
    name: "token-expired",
    family: Family::Token,
    severity: Severity::Error,
    title: "The token has expired",
    why: "A token says until when it is valid, and behind that time servers refuse it. The client went on using it: it \
          does not renew its token in time, or the renewal failed.",
    fix: "Refresh the access token before sending it: let the client ask for a new one shortly before `exp`, and once \
          more when it gets a 401. If it does, see why the renewal fails.",
    spec: &[Spec::rfc(7519, "4.1.4"), Spec::rfc(6750, "3.1")],
    supersedes: &[
        "credential-stopped-working",
        "credentials-rejected",
        "credentials-reported-missing",
        "scheme-case",
        "scheme-not-offered",
    ],
    examples: &[
        Example::fires("a quarter of an hour too late", LATE),
        Example::fires("a second too late, and the server says so", SECOND),
        Example::fires("a few seconds too late, and the server calls the token invalid", INVALID),
        Example::fires("a few seconds too late, and it worked until then", HISTORY),
        Example::fires("no Date, by the tap's clock", NO_DATE),
        Example::fires("expired by the server's clock, which is ahead", SKEW),
        Example::fires("expired by both clocks, though they differ", BOTH),
        Example::fires("refused with 403, and the text says why", FORBIDDEN),
        Example::fires("gRPC says it under a status of 200", GRPC),
        Example::quiet("expired by less than the leeway of servers, and accepted", LEEWAY),
        Example::quiet("long expired, where no token is needed", ACCEPTED),
        Example::quiet("an old token for the token endpoint", REFRESH),
        Example::quiet("an old ID token as a hint for the logout", HINT),
    ],
    check: Check::Exchange(check),
};

static LIMIT: Limit = Limit {
    rule: &RULE,
    claim: "exp",
    at: |jwt| jwt.claims.as_ref()?.exp,
    beyond: |exp, now| now.saturating_sub(exp),
    words: Phrases::of(&["expired", "expiration", "\"exp\" claim", "'exp' claim", "lifetime validation failed"]),
    summary: |span, is_server_time| {
        let until = if is_server_time { "the backend answered" } else { "this request" };
        format!("the token expired {span} before {until}")
    },
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(found) = out_of_time(&LIMIT, view, memory) else { return Vec::new() };
    // How a client learns that it has to renew its token. One that does not is refused once more.
    let is_routine = normal::recognise(view, memory) == Some(Normal::TokenRanOut);
    vec![if is_routine { found.severity(Severity::Info) } else { found }]
}

const LATE: &str = "\
* time 2026-11-24T12:01:07Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795520824}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:01:07 GMT
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const SECOND: &str = "\
* time 2026-11-24T12:00:00Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:00:01 GMT
< WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"The access token expired\"
";

const INVALID: &str = "\
* time 2026-11-24T12:00:20Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:00:20 GMT
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const HISTORY: &str = "\
* time 2026-11-24T11:59:50Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 11:59:50 GMT
* later 15s
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:00:05 GMT
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const NO_DATE: &str = "\
* time 2026-11-24T12:02:01Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const SKEW: &str = "\
* time 2026-11-24T11:59:00Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:05:00 GMT
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const BOTH: &str = "\
* time 2026-11-24T12:03:00Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:05:00 GMT
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const FORBIDDEN: &str = "\
* time 2026-11-24T12:03:00Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 403 Forbidden
< Date: Tue, 24 Nov 2026 12:03:00 GMT
< Content-Type: application/json
<
< {\"message\":\"Token is expired\"}
";

const GRPC: &str = "\
* time 2026-11-24T12:03:00Z
> POST /shop.Orders/List HTTP/2
> :authority: api.example
> authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
> content-type: application/grpc
< HTTP/2 200
< date: Tue, 24 Nov 2026 12:03:00 GMT
< content-type: application/grpc
<+ grpc-status: 16
<+ grpc-message: token is expired
";

const LEEWAY: &str = "\
* time 2026-11-24T12:00:40Z
> GET /api/me HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 12:00:40 GMT
";

const ACCEPTED: &str = "\
* time 2026-11-24T18:00:00Z
> GET /public HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 18:00:00 GMT
";

const REFRESH: &str = "\
* time 2026-11-24T18:00:00Z
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}}
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 400 Bad Request
< Date: Tue, 24 Nov 2026 18:00:00 GMT
< Content-Type: application/json
<
< {\"error\":\"invalid_grant\",\"error_description\":\"refresh token expired\"}
";

const HINT: &str = "\
* time 2026-11-24T18:00:00Z
> GET /logout?id_token_hint={jwt {\"alg\":\"RS256\"} {\"exp\":1795521600}} HTTP/1.1
> Host: login.example
< HTTP/1.1 302 Found
< Date: Tue, 24 Nov 2026 18:00:00 GMT
< Location: https://app.example/
";
