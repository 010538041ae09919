//! The browser fetches the manifest of a web application without credentials, and is refused.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_named};
use crate::rules::normal;
use crate::rules::status::login_redirect_for_api::is_login;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "manifest-without-credentials",
    family: Family::Status,
    severity: Severity::Warning,
    title: "The web app's manifest is fetched without credentials and refused",
    why: "Browsers fetch the manifest of a web application without cookies and without Authorization, unless the link says \
          otherwise. Where the whole site is behind a login, each page load makes one refused request, or an error of \
          cross-origin rules where the answer is a redirect to the login, while everything else works.",
    fix: "Write `<link rel=\"manifest\" href=\"…\" crossorigin=\"use-credentials\">`, or let the manifest be fetched without a \
          login: it holds a name, icons and colours.",
    spec: &[
        Spec::Document(
            "HTML: link type manifest",
            "https://html.spec.whatwg.org/multipage/links.html#link-type-manifest",
        ),
        Spec::Document("Web Application Manifest", "https://www.w3.org/TR/appmanifest/"),
    ],
    supersedes: &["credentials-absent", "forbidden-without-credentials", "login-redirect-for-api", "challenge-missing"],
    examples: &[
        Example::fires("a site behind Basic", BASIC),
        Example::fires("a site with a login page", LOGIN),
        Example::fires("known by its name only", BY_NAME),
        Example::quiet("the manifest is open", OPEN),
        Example::quiet("nobody is logged in", NOBODY),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let response = view.response().filter(|response| matches!(response.status, 302 | 303 | 307 | 401 | 403))?;
    let is_bare = view.offered().is_empty() && !view.request().has("cookie") && !view.request().is_cut();
    if !normal::is_manifest(view) || !is_bare || !memory.is_logged_in(view) {
        return None;
    }
    let location = response.head.value("location").filter(|_| matches!(response.status, 302 | 303 | 307));
    let summary = match response.status {
        401 | 403 => "the browser fetches the manifest without credentials, and the server refuses it",
        _ if location.is_some_and(is_login) => {
            "the browser fetches the manifest without credentials, and is sent to the login"
        }
        _ => return None,
    };
    let is_said = view.request().has("sec-fetch-dest");
    let certainty = if is_said { Certainty::Certain } else { Certainty::Likely };
    let found = RULE.found(certainty, summary).at(At::Backend);
    let found = with_named(found, view, Message::Request, "sec-fetch-dest");
    let found = found.because("request: no credentials, no cookie");
    let found = with_answer(found, view);
    let found = with_named(found, view, Message::Response, "location");
    Some(found.because("before: this client's other requests carry credentials or a cookie, and are answered"))
}

const BASIC: &str = r#"* client tls
> GET / HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
> GET /manifest.json HTTP/1.1
> Host: app.example
> Sec-Fetch-Dest: manifest
> Sec-Fetch-Mode: cors
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="app", charset="UTF-8"
"#;

const LOGIN: &str = r#"> GET / HTTP/1.1
> Host: app.example
> Cookie: session=c2Vzc2lvbg
< HTTP/1.1 200 OK
> GET /site.webmanifest HTTP/1.1
> Host: app.example
> Sec-Fetch-Dest: manifest
> Sec-Fetch-Mode: cors
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
"#;

const BY_NAME: &str = r#"> GET / HTTP/1.1
> Host: app.example
> Cookie: session=c2Vzc2lvbg
< HTTP/1.1 200 OK
> GET /site.webmanifest HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="app"
"#;

const OPEN: &str = r#"> GET / HTTP/1.1
> Host: app.example
> Cookie: session=c2Vzc2lvbg
< HTTP/1.1 200 OK
> GET /site.webmanifest HTTP/1.1
> Host: app.example
> Sec-Fetch-Dest: manifest
< HTTP/1.1 200 OK
"#;

const NOBODY: &str = r#"> GET /site.webmanifest HTTP/1.1
> Host: app.example
> Sec-Fetch-Dest: manifest
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="app"
"#;
