//! A request with Authorization is redirected to the same place under another scheme, port or internal name.

use super::REDIRECT_FETCH;
use crate::exchange::View;
use crate::exchange::location::{self, Leads};
use crate::exchange::view::path_of;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_credentials, with_field};
use crate::rules::normal;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "redirect-changes-origin",
    family: Family::Redirect,
    severity: Severity::Error,
    title: "A redirect leads to another origin of the same service",
    why: "Scheme, host and port together are an origin, and clients drop Authorization where a redirect leaves it: the \
          request arrives without credentials, or not at all. It comes about where the server does not know under which \
          address its clients reach it, because TLS ends before it or because it is told of its own port and name only.",
    fix: "Have the gateway send X-Forwarded-Proto and X-Forwarded-Host and the application trust them (uvicorn \
          `--proxy-headers`, Django SECURE_PROXY_SSL_HEADER, Spring `server.forward-headers-strategy`, nginx \
          `absolute_redirect off`), or call the final address at once.",
    spec: &[REDIRECT_FETCH, Spec::rfc(9110, "15.4"), Spec::rfc(9110, "4.3.1")],
    supersedes: &["login-redirect-for-api", "redirect-slash-with-credentials"],
    examples: &[
        Example::fires("an application behind TLS writes http", TO_HTTP),
        Example::fires("its own port is in the redirect", PORT),
        Example::fires("its own name is in the redirect", INSIDE),
        Example::fires("an API is called over http and sent to https", TO_HTTPS),
        Example::quiet("the same origin", SAME),
        Example::quiet("another site", OTHER),
        Example::quiet("a page load is sent to https", PAGE),
        Example::quiet("a gateway that does not say which scheme the client used", UNTOLD),
        Example::quiet("without credentials", WITHOUT),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let offered = view.authorization()?;
    // Between two taps a gateway may still write it anew, and what it did is judged there.
    if view.exchange().tap.position.index > 0 {
        return None;
    }
    let to = match location::redirect(view)? {
        Leads::ToHttp => "from https to http",
        Leads::ToHttps if normal::is_page_load(view) => return None,
        Leads::ToHttps => "from http to https",
        Leads::OtherPort => "to another port",
        Leads::ToInternalHost => "to a host that is known only inside",
        Leads::SameOrigin | Leads::OtherHost => return None,
    };
    let is_upgrade = to == "from http to https";
    let field = view.response()?.head.fields().find(|field| field.is("location"))?;
    let summary = format!("a request with Authorization is redirected {to}, and clients drop Authorization there");
    let found = RULE.found(Certainty::Likely, summary).header("location");
    let found = with_credentials(found, view, offered);
    let found = with_field(found, view, Message::Response, field.index, &format!("{}, ", view.status()));
    let asked = view.authority().unwrap_or_default();
    let scheme = location::client_scheme(view).map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let found = found.because(clip(format!("client asked for {scheme}{}", view.redactor().authority(&asked))));
    let found = match slash(view.path(), path_of(field.value)) {
        Some(text) => found.because(text),
        None => found,
    };
    Some(if is_upgrade {
        // The server is right to send it there; it was the first request that had the secret in the clear.
        found.severity(Severity::Warning).at(At::Client).fix(
            "Give the client the https address. What it sent over http was readable on the way, so replace the credential \
             if the network is not your own.",
        )
    } else {
        found.at(At::Backend)
    })
}

/// What sent the client elsewhere, where it is a slash at the end.
fn slash(from: &[u8], to: &[u8]) -> Option<&'static str> {
    match (from.strip_suffix(b"/"), to.strip_suffix(b"/")) {
        (None, Some(to)) if to == from => Some("the paths differ in a slash at the end: the client left it out"),
        (Some(from), None) if to == from => Some("the paths differ in a slash at the end: the client put one"),
        _ => None,
    }
}

const TO_HTTP: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> X-Forwarded-Proto: https
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 307 Temporary Redirect
< Location: http://api.example/orders/
"#;

const PORT: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 301 Moved Permanently
< Location: https://api.example:8443/orders/
"#;

const INSIDE: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 302 Found
< Location: http://orders:3000/orders/
"#;

const TO_HTTPS: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 301 Moved Permanently
< Location: https://api.example/orders
"#;

const SAME: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 307 Temporary Redirect
< Location: https://api.example:443/v2/orders
"#;

const OTHER: &str = r#"* client tls
> GET /file/7 HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 302 Found
< Location: https://files.example/file/7?X-Amz-Expires=60
"#;

const PAGE: &str = r#"> GET / HTTP/1.1
> Host: app.example
> Accept: text/html
> Sec-Fetch-Mode: navigate
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 301 Moved Permanently
< Location: https://app.example/
"#;

const UNTOLD: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> X-Forwarded-For: 203.0.113.7
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 307 Temporary Redirect
< Location: http://api.example/v2/orders
"#;

const WITHOUT: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 301 Moved Permanently
< Location: http://api.example/orders/
"#;
