//! A program asked, and is sent to a login page as if it were a person.

use crate::exchange::View;
use crate::exchange::view::path_of;
use crate::memory::Memory;
use crate::rules::evidence::{with_field, with_named, with_sent};
use crate::rules::normal;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "login-redirect-for-api",
    family: Family::Status,
    severity: Severity::Warning,
    title: "An API request is redirected to a login page",
    why: "A program can't log in on a page. It follows the redirect, gets HTML with status 200 or an error of cross-origin \
          rules, and fails later, at a place that has nothing to do with it. It comes about where an authentication proxy \
          or a framework knows browsers only, and where a token is not recognised, so that the request counts as anonymous.",
    fix: "Let requests that are no page loads be answered 401: in oauth2-proxy with `api_routes`, in Spring Security with \
          an AuthenticationEntryPoint for the API's paths, in ASP.NET Core with the JWT scheme as the default challenge.",
    spec: &[Spec::rfc(9110, "15.5.2"), Spec::rfc(9110, "15.4")],
    supersedes: &[],
    examples: &[
        Example::fires("a token is answered with a login page", TOKEN),
        Example::fires("a script asks for JSON", SCRIPT),
        Example::quiet("a browser loads a page", PAGE),
        Example::quiet("a redirect to somewhere else", ELSEWHERE),
    ],
    check: Check::Failure(check),
};

const TOKEN: &str = r#"> GET /api/orders HTTP/1.1
> Host: app.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 302 Found
< Location: https://login.example/oauth2/authorize?client_id=app&response_type=code
"#;

const SCRIPT: &str = r#"> GET /api/orders HTTP/1.1
> Host: app.example
> Accept: application/json
< HTTP/1.1 302 Found
< Location: /login?next=/api/orders
"#;

const PAGE: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html,application/xhtml+xml
> Sec-Fetch-Mode: navigate
< HTTP/1.1 302 Found
< Location: /login?next=/orders
"#;

const ELSEWHERE: &str = r#"> GET /api/orders HTTP/1.1
> Host: app.example
> Accept: application/json
< HTTP/1.1 307 Temporary Redirect
< Location: /api/v2/orders
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Some(response) = view.response().filter(|response| matches!(response.status, 302 | 303 | 307)) else {
        return Vec::new();
    };
    let Some(location) = response.head.fields().find(|field| field.is("location")) else { return Vec::new() };
    // Who posts a login form is sent back to it when the password is wrong.
    if !is_login(location.value) || is_login(view.path()) || normal::is_page_load(view) {
        return Vec::new();
    }
    let request = view.request();
    let accepts_json = request.value("accept").is_some_and(|accept| accept.starts_with(b"application/json"));
    let is_script = request.has("x-requested-with") || request.value("sec-fetch-mode") == Some(b"cors");
    let changes = !matches!(view.method(), b"GET" | b"HEAD");
    let offered = view.main_credentials();
    if offered.is_none() && !accepts_json && !is_script && !changes {
        return Vec::new();
    }
    let summary = match offered {
        Some(_) => "the request had credentials, and was sent to a login page all the same",
        None => "a program asked, and was sent to a login page instead of a 401",
    };
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend).header("location");
    let found = with_sent(found, view);
    let found = with_named(found, view, Message::Request, "accept");
    vec![with_field(found, view, Message::Response, location.index, &format!("{}, ", response.status))]
}

/// Whether a target or URL is a page to log in on, by its host's or path's words.
pub(in crate::rules) fn is_login(target: &[u8]) -> bool {
    const WORDS: [&[u8]; 11] = [
        b"login",
        b"signin",
        b"sign-in",
        b"sign_in",
        b"log-in",
        b"authorize",
        b"sso",
        b"saml",
        b"oauth2",
        b"auth",
        b"openid-connect",
    ];
    const HOSTS: [&[u8]; 2] = [b"accounts.google.com", b"login.microsoftonline.com"];
    let target = target.to_ascii_lowercase();
    let words = path_of(&target).split(|byte| matches!(byte, b'/' | b'.'));
    let is_word = words.into_iter().any(|word| WORDS.contains(&word));
    is_word || HOSTS.iter().any(|host| memchr::memmem::find(&target, host).is_some())
}
