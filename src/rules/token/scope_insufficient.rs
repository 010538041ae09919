//! A token that is good and does not allow what was asked for.

use crate::auth::{Challenge, Detail};
use crate::exchange::View;
use crate::exchange::view::Offered;
use crate::memory::Memory;
use crate::rules::credentials::point;
use crate::rules::evidence::{called, clip, with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A refusal with `insufficient_scope`.
pub static RULE: Rule = Rule {
    name: "scope-insufficient",
    family: Family::Token,
    // The server takes the token; a client may well go and ask for more scope, as it is meant to.
    severity: Severity::Warning,
    title: "The token does not allow what the request wants",
    why: "The server took the token and says that its scope does not suffice. The client did not ask for that scope, the user \
          or an administrator did not grant it, or the login server left it out without a word.",
    fix: "Ask the login server for a token with that scope, and see that this client and this user may have it. The credentials \
          themselves are taken; a new token with the same scope is refused again.",
    spec: &[Spec::rfc(6750, "3.1"), Spec::rfc(6749, "3.3")],
    supersedes: &["credentials-rejected", "scheme-case"],
    examples: &[
        Example::fires("one of two scopes is missing", SCOPE),
        Example::fires("the challenge names no scope", UNNAMED),
        Example::fires("the token has all that is asked for", ENOUGH),
        Example::fires("a token that cannot be read", OPAQUE),
        Example::quiet("the client asks for more and comes back", STEP_UP),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let by_error = |challenge: &&Challenge| challenge.param("error") == Some("insufficient_scope");
    let Some(challenge) = view.challenges(false).find(by_error).filter(|_| matches!(view.status(), 401 | 403)) else {
        return Vec::new();
    };
    let Some(offered) = view.main_credentials() else { return Vec::new() };
    let asked: Vec<&str> = challenge.param("scope").unwrap_or_default().split_whitespace().take(32).collect();
    let granted = granted(offered);
    let lacking: Vec<&str> = match &granted {
        Some(granted) => asked.iter().filter(|scope| !granted.contains(scope)).copied().collect(),
        None => asked.clone(),
    };
    let what = called(view, offered);
    let list = |scopes: &[&str]| view.redactor().text(&scopes.join(" "));
    let named = list(&lacking);
    let short = named.chars().count() <= 60;
    let summary = match (asked.is_empty(), lacking.is_empty(), granted.is_some()) {
        (true, _, _) => format!("the server says that {what} lacks scope"),
        (false, true, _) => format!("{what} has every scope that is asked for, and the server says that it lacks some"),
        (false, false, true) if short => format!("{what} lacks the scope \"{named}\""),
        (false, false, false) if short => format!("{what} lacks scope: the server asks for \"{named}\""),
        _ => format!("{what} lacks {} of the scopes that the server asks for", lacking.len()),
    };
    let found = RULE.found(Certainty::Certain, summary).header(&offered.name).at(At::Client);
    let found = with_answer(with_credentials(found, view, offered), view);
    let found = match asked.is_empty() {
        true => found.because("scope asked for: the challenge names none"),
        false => found.because(clip(format!("scope asked for: {}", list(&asked)))),
    };
    let found = of_token(found, view, offered);
    vec![if !asked.is_empty() && lacking.is_empty() {
        found.at(At::Backend).fix(
            "Look at the server: it reads the scope from another claim, wants it in another spelling or as a list, or asks \
             in the challenge for less than it checks.",
        )
    } else {
        found
    }]
}

/// The scopes of a token, where it can be read and has them where they are looked for.
fn granted(offered: &Offered) -> Option<Vec<&str>> {
    let Detail::Jwt(jwt) = &offered.credentials.detail else { return None };
    let scope = jwt.claims.as_ref()?.scope.as_deref()?;
    Some(scope.split_whitespace().collect())
}

fn of_token(found: Finding, view: &View<'_>, offered: &Offered) -> Finding {
    let Detail::Jwt(jwt) = &offered.credentials.detail else {
        return found.because("scope of the token: it cannot be read here");
    };
    let Some(claims) = &jwt.claims else { return found.because("scope of the token: it cannot be read here") };
    match claims.scope.as_deref() {
        Some(scope) => {
            point(found, clip(format!("scope of the token: {}", view.redactor().text(scope))), offered, None)
        }
        None if claims.has_other_rights => {
            point(found, "scope of the token: none, but rights in another claim", offered, None)
        }
        None => point(found, "scope of the token: none", offered, None),
    }
}

const SCOPE: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795530000,"scope":"orders:read"}}
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer realm="orders", error="insufficient_scope", scope="orders:read orders:write"
"#;

const UNNAMED: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795530000,"roles":["reader"]}}
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer realm="orders", error="insufficient_scope"
"#;

const ENOUGH: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795530000,"scp":["orders:write","orders:read"]}}
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer realm="orders", error="insufficient_scope", scope="orders:write"
"#;

const OPAQUE: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer realm="orders", error="insufficient_scope", scope="orders:write"
"#;

const STEP_UP: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795530000,"scope":"orders:read orders:write"}}
< HTTP/1.1 200 OK
"#;
