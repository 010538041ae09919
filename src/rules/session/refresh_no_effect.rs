//! The client got a new token, and is refused all the same.

use jiff::SignedDuration;

use crate::auth::Scheme;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, normal};

/// The rule.
pub static RULE: Rule = Rule {
    name: "refresh-no-effect",
    family: Family::Session,
    severity: Severity::Error,
    title: "The token was refreshed, and the refusal stays",
    why: "A client that is refused gets a new token and tries again. If it goes on with the old one, the new token is stored \
          where nobody reads it. If the new one is refused for the same reason, its age was never the reason: it has the \
          same scope, audience, issuer and keys as the old one.",
    fix: "See which token the client sends after the refresh. If it is a new one, look at what the refusal says, and not at \
          the refresh.",
    spec: &[Spec::rfc(6749, "6"), Spec::rfc(6750, "3.1")],
    supersedes: &["credentials-rejected", "same-credential-retried", "stale-token-kept", "token-expired"],
    examples: &[
        Example::fires("the old token after the refresh, twice", OLD),
        Example::fires("the new token is refused for the same reason", NEW),
        Example::fires_beside("the new token has no more scope than the old one", SCOPE),
        Example::quiet("the new token is accepted", RENEWED),
        Example::quiet("a refresh before the token ran out", EARLY),
    ],
    check: Check::Failure(check),
};

/// What was on its way while the token was refreshed arrives by then.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(1);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let offered = view.authorization().filter(|_| matches!(view.status(), 401 | 403))?;
    if !matches!(offered.credentials.scheme, Some(Scheme::Bearer | Scheme::Dpop))
        || normal::recognise(view, memory).is_some()
    {
        return None;
    }
    let renewed = memory.renewed(view)?;
    let before = &renewed.before;
    let error = view.challenges(false).find_map(|challenge| challenge.param("error"));
    let is_same_reason = before.status == view.status() && before.error.as_deref() == error && error.is_some();
    let is_late = view.exchange().time.duration_since(renewed.ended) >= ON_ITS_WAY;
    let (summary, at, fix) = if before.token == offered.fingerprint {
        // Once may be a thread that did not know of the new token yet.
        if !is_late || renewed.sent_since == 0 {
            return None;
        }
        (
            "the client refreshed its token, and goes on with the old one",
            At::Client,
            "Have the client send the access token of the newest answer of the token endpoint: it is mostly stored in one \
             place and read from another, or kept in a copy of the headers.",
        )
    } else {
        // Another user behind the same address may have a token of his own, which was refused before as well.
        let was_refused = memory.history(offered.fingerprint).is_some_and(|history| history.refused_since.is_some());
        if !is_same_reason || was_refused {
            return None;
        }
        match error {
            Some("insufficient_scope") => (
                "the token was refreshed, and the new one lacks the scope as well",
                At::Client,
                "Ask for a new authorization with the scope of the challenge: a refresh gives no more than what was granted \
                 (RFC 6749 6).",
            ),
            _ => (
                "the token was refreshed, and the new one is refused for the same reason",
                At::Unknown,
                "The age of the token is not the reason. Compare its audience, issuer and key with what the server expects, \
                 and the clocks of both servers.",
            ),
        }
    };
    let found = RULE.found(Certainty::Likely, summary).at(at).header(&offered.name).fix(fix);
    let found = with_credentials(found, view, offered).because(format!(
        "history: refused at {}, refreshed at {}",
        clock(before.time),
        clock(renewed.ended)
    ));
    Some(with_answer(found, view))
}

const OLD: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
* later 2s
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
* later 2s
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const NEW: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 8xLOxBtZp8mHjdn8CtSLzQ
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const SCOPE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer error="insufficient_scope", scope="orders:read"
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 8xLOxBtZp8mHjdn8CtSLzQ
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer error="insufficient_scope", scope="orders:read"
"#;

const RENEWED: &str = r#"> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 8xLOxBtZp8mHjdn8CtSLzQ
< HTTP/1.1 200 OK
"#;

const EARLY: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
