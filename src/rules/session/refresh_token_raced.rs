//! One refresh token is used twice within moments, and the second use fails.

use jiff::SignedDuration;

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, normal};

/// The rule.
pub static RULE: Rule = Rule {
    name: "refresh-token-raced",
    family: Family::Session,
    severity: Severity::Error,
    title: "A refresh token was used twice at once",
    why: "Servers that rotate refresh tokens take each of them once, and some take a second use for theft and withdraw all \
          tokens of the login. Two tabs, two threads or two replicas of a client that refresh at the same moment do just that.",
    fix: "Refresh in one place: one lock per login, over all tabs, threads and replicas, with the others waiting for its \
          result. On the server, allow a used token for a few seconds more.",
    spec: &[Spec::rfc(6749, "6"), Spec::rfc(9700, "4.14.2")],
    supersedes: &["credentials-rejected", "known-error-text"],
    examples: &[Example::fires("two requests within a second", RACED), Example::quiet("each token once", ROTATED)],
    check: Check::Failure(check),
};

/// What is further apart is an old token that somebody kept.
const WINDOW: SignedDuration = SignedDuration::from_secs(10);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let is_grant_refused = view.status() == 400 && view.error_text().is_some_and(|text| text.contains("invalid_grant"));
    let before = memory.refresh_before(view).filter(|_| is_grant_refused && normal::is_token_endpoint(view))?;
    let exchange = view.exchange();
    let gap = exchange.time.duration_since(before.time).abs();
    if !before.accepted || gap > WINDOW {
        return None;
    }
    let found = RULE
        .found(Certainty::Certain, format!("a refresh token was used again {} ms after it was spent", gap.as_millis()))
        .at(At::Client)
        .because(format!("history: the same refresh_token was taken at {}", clock(before.time)))
        .because("text: invalid_grant");
    let found = match before.connection == exchange.client.connection {
        true => found,
        false => found.because("the two requests came on two connections"),
    };
    Some(with_answer(found, view))
}

const RACED: &str = r#"> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
* new connection
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 400 Bad Request
< Content-Type: application/json
<
< {"error":"invalid_grant"}
"#;

const ROTATED: &str = r#"> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
>
> grant_type=refresh_token&refresh_token=8xLOxBtZp8mHjdn8CtSLzQ
< HTTP/1.1 200 OK
"#;
