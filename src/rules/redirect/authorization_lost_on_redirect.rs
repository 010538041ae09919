//! The request had Authorization, it was redirected, and what came to the new place has none.

use jiff::SignedDuration;

use super::REDIRECT_FETCH;
use crate::auth::Scheme;
use crate::exchange::View;
use crate::exchange::location::Leads;
use crate::memory::{Client, Memory, Redirect};
use crate::rules::evidence::{clock, with_answer};
use crate::rules::status::login_redirect_for_api::is_login;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "authorization-lost-on-redirect",
    family: Family::Redirect,
    severity: Severity::Error,
    title: "The client left Authorization behind when it followed a redirect",
    why: "Clients do not take credentials to a place that was not theirs: where scheme, host or port change, browsers, curl, \
          Python's requests and others drop Authorization, and some, such as .NET's HttpClient, drop it on every redirect. \
          The server at the end sees a request without credentials, and its refusal says nothing of the redirect.",
    fix: "Have the client call the address at the end of the redirect, letter by letter: https, host, port, slash. On the \
          server, switch off the redirect for API paths, or let it know its public address, so that it writes no `http://`.",
    spec: &[REDIRECT_FETCH, Spec::rfc(9110, "15.4")],
    supersedes: &["credentials-absent", "forbidden-without-credentials"],
    examples: &[
        Example::fires("the application writes http into the redirect", TO_HTTP),
        Example::fires("a slash, and a client that drops it always", SLASH),
        Example::fires("403 at the end", FORBIDDEN),
        Example::fires("to another host, which is as it should be", ELSEWHERE),
        Example::quiet("the client keeps it", KEPT),
        Example::quiet("a client that waits to be asked each time", WAITS),
        Example::quiet("to the login page", LOGIN),
        Example::quiet("a redirect of long ago", LONG_AGO),
    ],
    check: Check::Failure(check),
};

/// A client follows a redirect at once.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(10);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    // A head of which not all was kept may have had them.
    if !view.is_refused() || !view.offered().is_empty() || view.is_preflight() || view.request().is_cut() {
        return None;
    }
    let redirect = memory.follows_redirect(view).filter(|redirect| redirect.had_authorization)?;
    let client = memory.client(view)?;
    let is_soon = view.exchange().time.duration_since(redirect.time) <= AT_ONCE;
    if !is_soon || waits_to_be_asked(client, redirect) || is_login(view.path()) {
        return None;
    }
    let (why, severity) = match redirect.leads {
        Some(Leads::ToHttp) => ("led from https to http", Severity::Error),
        Some(Leads::ToHttps) => ("led from http to https", Severity::Error),
        Some(Leads::OtherPort) => ("led to another port", Severity::Error),
        Some(Leads::ToInternalHost) => ("led to a host that is known only inside", Severity::Error),
        // To leave it behind is what the client has to do there.
        Some(Leads::OtherHost) => ("led to another host", Severity::Info),
        Some(Leads::SameOrigin) => ("stayed on this host", Severity::Error),
        None => ("led here", Severity::Error),
    };
    // Who shares an address and a User-Agent may be somebody else; on one connection there is one client.
    let is_same = redirect.connection == view.exchange().client.connection && !view.request().has("via");
    let certainty = if is_same { Certainty::Certain } else { Certainty::Likely };
    let summary = format!("the client followed a redirect that {why}, and left its Authorization behind");
    let found = RULE.found(certainty, summary).severity(severity).at(At::Client).header("authorization");
    let before =
        format!("before: {} {}, to this path, for a request with Authorization", clock(redirect.time), redirect.status);
    let found = found.because(before).because("request: no credentials");
    let on = if is_same { "the same connection" } else { "the same address and User-Agent" };
    Some(with_answer(found.because(format!("client: {on}")), view))
}

/// Whether this client sends credentials only where it was asked for them just before: it will be asked here as well, and
/// answer.
fn waits_to_be_asked(client: &Client, redirect: &Redirect) -> bool {
    let scheme = client.last_sent.as_ref().and_then(|sent| sent.scheme.as_ref());
    let is_of_prompts = matches!(scheme, Some(Scheme::Basic | Scheme::Digest | Scheme::Negotiate | Scheme::Ntlm));
    let asked = client.last_challenge.as_ref();
    is_of_prompts && asked.is_some_and(|asked| redirect.time.duration_since(asked.time).abs() <= AT_ONCE)
}

const TO_HTTP: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> X-Forwarded-Proto: https
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 307 Temporary Redirect
< Location: http://api.example/orders/
> GET /orders/ HTTP/1.1
> Host: api.example
> X-Forwarded-Proto: http
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const SLASH: &str = r#"* new connection
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 307 Temporary Redirect
< Location: /orders/
> GET /orders/ HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const FORBIDDEN: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Token 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 301 Moved Permanently
< Location: https://api.example:8443/orders/
* new connection
> GET /orders/ HTTP/1.1
> Host: api.example:8443
< HTTP/1.1 403 Forbidden
< Content-Type: application/json
<
< {"detail":"Authentication credentials were not provided."}
"#;

const ELSEWHERE: &str = r#"* client tls
> GET /file/7 HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 302 Found
< Location: https://files.example/file/7
> GET /file/7 HTTP/1.1
> Host: files.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="files"
"#;

const KEPT: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 307 Temporary Redirect
< Location: /orders/
> GET /orders/ HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

const WAITS: &str = r#"> GET /repo HTTP/1.1
> Host: git.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="git"
> GET /repo HTTP/1.1
> Host: git.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 301 Moved Permanently
< Location: /repo.git
> GET /repo.git HTTP/1.1
> Host: git.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="git"
> GET /repo.git HTTP/1.1
> Host: git.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const LOGIN: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
> Sec-Fetch-Mode: navigate
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 302 Found
< Location: /login
> GET /login HTTP/1.1
> Host: app.example
> Accept: text/html
> Sec-Fetch-Mode: navigate
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate
"#;

const LONG_AGO: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 307 Temporary Redirect
< Location: /orders/
* later 5m
> GET /orders/ HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;
