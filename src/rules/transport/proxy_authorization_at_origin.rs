//! Proxy-Authorization at a server that is no proxy for this client.

use crate::exchange::View;
use crate::exchange::view::OfferedIn;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "proxy-authorization-at-origin",
    family: Family::Transport,
    severity: Severity::Warning,
    title: "Proxy-Authorization came to a server in place of Authorization",
    why: "Proxy-Authorization is for the forward proxy that a client was set up with, and that proxy uses it up. A server, \
          or a reverse proxy before it, does not look there for who the user is.",
    fix: "Send the credentials as `Authorization`. If a forward proxy wants them, look why it passes them on.",
    spec: &[Spec::rfc(9110, "11.7.2")],
    supersedes: &["credentials-rejected", "credentials-absent", "scheme-not-offered"],
    examples: &[
        Example::fires("the server asks for Authorization", REFUSED),
        Example::quiet("a gateway that uses it on purpose", TAKEN),
        Example::quiet("both are there", BOTH),
    ],
    check: Check::Failure(check),
};

const REFUSED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Proxy-Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
"#;

const TAKEN: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Proxy-Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

const BOTH: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Proxy-Authorization: Basic {basic gateway:correct horse}
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    if !view.is_refused() || view.offered().iter().any(|offered| offered.place != OfferedIn::ProxyAuthorization) {
        return Vec::new();
    }
    let Some(offered) = view.offered().first() else { return Vec::new() };
    // To a forward proxy a client sends the whole URL, or CONNECT.
    let is_for_proxy = view.method() == b"CONNECT" || !view.target().starts_with(b"/");
    let is_asked_for = view.challenges(true).next().is_some();
    let is_iap = view.response().is_some_and(|response| {
        response.head.fields().any(|field| field.name.to_ascii_lowercase().starts_with(b"x-goog-iap"))
    });
    if is_for_proxy || is_asked_for || is_iap {
        return Vec::new();
    }
    let summary = "the credentials came as Proxy-Authorization, and this server looks for Authorization";
    let found = RULE.found(Certainty::Likely, summary).at(At::Client).header("proxy-authorization");
    vec![with_answer(with_credentials(found, view, offered), view)]
}
