//! A script's request is refused with a challenge for which the browser shows its own prompt.

use crate::auth::Scheme;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::cors::is_same_origin;
use crate::rules::evidence::{with_answer, with_named};
use crate::rules::normal;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "browser-popup",
    family: Family::Challenge,
    severity: Severity::Info,
    title: "The browser may show its own login prompt over a page's",
    why: "For a challenge of Basic or Digest a browser shows a prompt of its own, even where a script of the page's own server \
          asked and the page has a login form. People type their password into the wrong one.",
    fix: "For requests of scripts, offer a scheme that browsers do not know, such as Bearer, or have the script ask with \
          `credentials: \"omit\"`.",
    spec: &[
        Spec::Document(
            "Fetch: HTTP-network-or-cache fetch",
            "https://fetch.spec.whatwg.org/#http-network-or-cache-fetch",
        ),
        Spec::rfc(9110, "11.6.1"),
    ],
    supersedes: &[],
    examples: &[
        Example::fires_beside("a script of the page", SCRIPT),
        Example::fires_beside("a script that says so in a field", OLD),
        Example::quiet("a page load, for which the prompt is meant", PAGE),
        Example::quiet("a scheme without a prompt", BEARER),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    // With a password of the script's own there is another cause to look for first.
    if view.status() != 401 || view.authorization().is_some() {
        return None;
    }
    let request = view.request();
    let mode = request.value("sec-fetch-mode").map(<[u8]>::to_ascii_lowercase);
    let is_marked =
        request.value("x-requested-with").is_some_and(|value| value.eq_ignore_ascii_case(b"xmlhttprequest"));
    let is_script = match &mode {
        Some(mode) => matches!(mode.as_slice(), b"cors" | b"same-origin"),
        None => is_marked && !normal::is_page_load(view),
    };
    // Where a page asks another origin, the answer is for the script alone.
    let is_own = request.value("origin").is_none_or(|origin| is_same_origin(view, origin))
        && request.value("sec-fetch-site").is_none_or(|site| site == b"same-origin");
    let is_asked = view.challenges(false).any(|challenge| {
        matches!(challenge.scheme, Scheme::Basic | Scheme::Digest) && challenge.param("realm").is_some()
    });
    // A browser that fetches a manifest without credentials does not ask for any either.
    let is_manifest = normal::is_manifest(view);
    if !is_script || !is_own || !is_asked || is_manifest {
        return None;
    }
    let summary = "a script asked, and for this challenge the browser shows its own login prompt";
    let found = RULE.found(Certainty::Possible, summary).at(At::Backend).header("www-authenticate");
    let name = if mode.is_some() { "sec-fetch-mode" } else { "x-requested-with" };
    Some(with_answer(with_named(found, view, Message::Request, name), view))
}

const SCRIPT: &str = r#"> GET /api/me HTTP/1.1
> Host: app.example
> Sec-Fetch-Mode: cors
> Sec-Fetch-Site: same-origin
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="app"
"#;

const OLD: &str = r#"> GET /api/me HTTP/1.1
> Host: app.example
> X-Requested-With: XMLHttpRequest
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="app"
"#;

const PAGE: &str = r#"> GET / HTTP/1.1
> Host: app.example
> Sec-Fetch-Mode: navigate
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="app"
"#;

const BEARER: &str = r#"> GET /api/me HTTP/1.1
> Host: app.example
> Sec-Fetch-Mode: cors
> Sec-Fetch-Site: same-origin
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="app"
"#;
