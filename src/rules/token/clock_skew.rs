//! A token that was made in the future, as the server's clock has it.

use super::refused::refused;
use super::{Clocks, numeric, said, span};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The clocks of the issuer and of the server differ.
pub static RULE: Rule = Rule {
    name: "clock-skew",
    family: Family::Token,
    severity: Severity::Warning,
    title: "The token was made in the future by the server's clock",
    why: "Issuer and server look at clocks of their own. Where they differ, a token that was just made is from the future for the \
          server, and several libraries refuse it for that, although no specification wants it. It passes by itself some moments \
          later, so that the first request behind a login fails and its repetition does not.",
    fix: "Set the clocks with NTP or chrony, first the one that the evidence names. Then allow a minute of leeway where the server \
          checks its tokens.",
    spec: &[Spec::rfc(7519, "4.1.6")],
    supersedes: &["credentials-rejected", "grpc-auth-status", "known-error-text", "scheme-case"],
    examples: &[
        Example::fires("the server's clock is behind", BEHIND),
        Example::fires("two seconds, and the server says so", SAID_SO),
        Example::quiet("the clocks differ, and nobody minds", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

/// Words with which libraries refuse for that, in lower case.
static SAID: Phrases = Phrases::of(&[
    "used before issued",
    "issued in the future",
    "the token is not yet valid (iat)",
    "issued at timestamp in the future",
]);

/// What is less is nothing that a server would refuse without saying why.
const APART: i64 = 30;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let refused = refused(view)?;
    let said = said(view, &SAID);
    if view.status() != 401 && said.is_none() {
        return None;
    }
    let clocks = Clocks::of(view);
    let (claims, server) = (refused.jwt.claims.as_ref()?, clocks.server?);
    let iat = claims.iat.filter(|iat| iat.0 > 0 && iat.timestamp().is_some())?;
    let ahead = iat.0.saturating_sub(server.as_second());
    // A token that has not begun has a rule of its own, and one that ended is refused for that.
    let is_in_time = claims.nbf.is_none_or(|nbf| nbf.0 <= server.as_second())
        && claims.exp.is_none_or(|exp| exp.0 > server.as_second());
    let other_reason = refused.said.is_some() && said.is_none();
    if !is_in_time || other_reason || ahead <= if said.is_some() { -1 } else { APART } {
        return None;
    }
    // The tap's clock is a third one: it agrees with one of the two, or with none.
    let is_servers = clocks.gap().is_some() && iat.0 <= clocks.tap.as_second().saturating_add(5);
    let certainty = if said.is_some() { Certainty::Certain } else { Certainty::Likely };
    let summary = match ahead {
        1.. => format!("by the server's clock the token was made {} in the future", span(ahead)),
        _ => "the server says that the token was made in the future".to_owned(),
    };
    let found = RULE.found(certainty, summary).at(if is_servers { At::Backend } else { At::Unknown });
    let found = clocks.show(refused.show(found, view, &[("iat", numeric(iat))]), view);
    Some(match said {
        Some(said) => found.because(format!("the answer's text says \"{}\"", said.word)),
        None => found,
    })
}

const BEHIND: &str = r#"* time 2026-11-24T12:00:02Z
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"iss":"https://login.example/","iat":1795521600,"exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 11:57:02 GMT
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const SAID_SO: &str = r#"* time 2026-11-24T11:59:58Z
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"iss":"https://login.example/","iat":1795521600,"exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 11:59:58 GMT
< Content-Type: application/json
<
< {"detail":"The token is not yet valid (iat)"}
"#;

const ACCEPTED: &str = r#"* time 2026-11-24T12:00:02Z
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"iss":"https://login.example/","iat":1795521600,"exp":1795530000}}
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 11:57:02 GMT
"#;
