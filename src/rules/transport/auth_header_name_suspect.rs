//! A header that was meant to be Authorization or a key, under a name that is not understood everywhere.

use crate::exchange::View;
use crate::exchange::view::OfferedIn;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_field};
use crate::rules::field_names::{Suspect, suspect};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "auth-header-name-suspect",
    family: Family::Transport,
    severity: Severity::Warning,
    title: "The name of the header with the credentials is doubtful",
    why: "A misspelt Authorization is just another header to everybody. A name with an underscore is legal, and yet nginx \
          drops it unless `underscores_in_headers` is on; other gateways drop or rename names with dots and the like, \
          because an application that is handed names as variables could not tell them from others. And some gateways move \
          Authorization to a name of their own, where no application looks for it.",
    fix: "Send the header under its usual name, with hyphens: `Authorization`, `X-Api-Key`.",
    spec: &[
        Spec::rfc(9110, "5.1"),
        Spec::Document(
            "nginx underscores_in_headers",
            "https://nginx.org/en/docs/http/ngx_http_core_module.html#underscores_in_headers",
        ),
    ],
    supersedes: &["credentials-absent", "credentials-rejected", "credentials-reported-missing"],
    examples: &[
        Example::fires("British spelling", MISSPELT),
        Example::fires("an underscore", UNDERSCORE),
        Example::fires("a gateway has moved it", RENAMED),
        Example::quiet("moved by a gateway, and a credential of its own put in its place", REPLACED),
        Example::quiet("Authentication-Info is a header of its own", INFO),
        Example::quiet("a server that takes the name", TAKEN),
    ],
    check: Check::Failure(check),
};

const MISSPELT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorisation: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const UNDERSCORE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> api_key: 0b5a7c2e9d1f4a3c8e6b
< HTTP/1.1 403 Forbidden
< Server: nginx
"#;

const RENAMED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> X-Forwarded-Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const REPLACED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer dGhlIGdhdGV3YXkncyBvd24
> X-Forwarded-Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

const INFO: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authentication-Info: rspauth="6629fae4"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const TAKEN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> api_key: 0b5a7c2e9d1f4a3c8e6b
< HTTP/1.1 200 OK
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let has_usual = view.offered().iter().any(|offered| {
        offered.place == OfferedIn::Authorization
            || (offered.place == OfferedIn::KeyField && suspect(offered.name.as_bytes()).is_none())
    });
    if !matches!(view.status(), 401 | 403) || has_usual || view.is_preflight() {
        return Vec::new();
    }
    let mut named = view.request().fields().filter_map(|field| Some((field, suspect(field.name)?)));
    let Some((field, why)) = named.next() else { return Vec::new() };
    let name = view.redactor().name(field.name);
    let (certainty, at, summary, fix) = match why {
        Suspect::Renamed => (
            Certainty::Likely,
            At::Unknown,
            format!("the credentials are under {name}; something before this tap renamed the header"),
            "Tell the gateway before this tap to hand Authorization on under its own name, or let the server read the \
             name that it is under here.",
        ),
        Suspect::Misspelt => (
            Certainty::Likely,
            At::Client,
            format!("the header is called {name}, and nobody looks for credentials there"),
            "Call the header `Authorization`.",
        ),
        Suspect::Underscore => (
            Certainty::Possible,
            At::Client,
            format!("the header is called {name}, and many servers drop names with an underscore"),
            "Send the name with hyphens, or tell nginx `underscores_in_headers on;`.",
        ),
        Suspect::Character(odd) => (
            Certainty::Possible,
            At::Client,
            format!("the header is called {name}, and some gateways drop names with {odd:?}"),
            RULE.fix,
        ),
    };
    let found = RULE.found(certainty, summary).at(at).header(name.as_ref()).fix(fix);
    vec![with_answer(with_field(found, view, Message::Request, field.index, ""), view)]
}
