//! The right kind of secret under a name where this server does not look for it.

use crate::auth::Scheme;
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::evidence::{called, clip, with_answer, with_credentials};
use crate::rules::words::{self, Meaning};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "wrong-credential-header",
    family: Family::Transport,
    severity: Severity::Error,
    title: "The server looks for the credentials in another header",
    why: "Each API has its own place for keys and tokens, and does not look elsewhere. A key sent as a bearer token, or a \
          token sent as a key, is not there for it. It happens where one client library talks to several services, and \
          where a setting takes both kinds.",
    fix: "Send the secret in the header that the service documents for its kind.",
    spec: &[
        Spec::rfc(9110, "11.6.2"),
        Spec::Document(
            "Azure API Management: subscriptions",
            "https://learn.microsoft.com/en-us/azure/api-management/api-management-subscriptions",
        ),
    ],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "known-error-text", "scheme-not-offered"],
    examples: &[
        Example::fires("a token where Azure wants a subscription key", AZURE),
        Example::fires("a login token sent as an API key", LOGIN_TOKEN),
        Example::quiet("the key is where it belongs", RIGHT),
    ],
    check: Check::Failure(check),
};

const AZURE: &str = r#"> GET /orders HTTP/1.1
> Host: acme.azure-api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
< WWW-Authenticate: AzureApiManagementKey realm="https://acme.azure-api.example/orders",name="Ocp-Apim-Subscription-Key",type="header"
<
< {"statusCode":401,"message":"Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API."}
"#;

const LOGIN_TOKEN: &str = r#"> POST /v1/messages HTTP/1.1
> Host: api.anthropic.example
> x-api-key: sk-ant-oat01-bm90IGEgcmVhbCB0b2tlbg
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
<
< {"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}
"#;

const RIGHT: &str = r#"> GET /orders HTTP/1.1
> Host: acme.azure-api.example
> Ocp-Apim-Subscription-Key: 0b5a7c2e9d1f4a3c8e6b
< HTTP/1.1 200 OK
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    if !matches!(view.status(), 400 | 401 | 403) || view.is_preflight() {
        return Vec::new();
    }
    let Some(offered) = view.main_credentials() else { return Vec::new() };
    if let Some(misfit) = misfit(view) {
        return vec![misfit];
    }
    let Some(said) = words::said(view) else { return Vec::new() };
    let Some(wanted) = said.wants.filter(|wanted| !view.request().has(wanted)) else { return Vec::new() };
    if !matches!(said.meaning, Meaning::NoCredentials | Meaning::WrongHeader) {
        return Vec::new();
    }
    let summary = format!("{} was sent, and {} looks for {wanted}", called(view, offered), said.product);
    // Where the text does not name the field, it is the product's usual one, which may be configured otherwise.
    let is_named =
        said.meaning == Meaning::WrongHeader || said.phrase.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase());
    let certainty = if is_named { Certainty::Certain } else { Certainty::Likely };
    let found = RULE.found(certainty, summary).at(At::Client).header(wanted);
    let found = with_answer(with_credentials(found, view, offered), view);
    vec![found.because(format!("request: no {wanted}")).because(format!("text: {}", clip(said.phrase))).fix(said.fix)]
}

/// Keys that tell by their first letters where they belong.
struct Known {
    prefix: &'static [u8],
    product: &'static str,
    is_token: bool,
    fix: &'static str,
}

const KNOWN: [Known; 2] = [
    Known {
        prefix: b"sk-ant-oat",
        product: "Anthropic",
        is_token: true,
        fix: "Send this token as `Authorization: Bearer TOKEN`, or an API key as `x-api-key`.",
    },
    Known {
        prefix: b"sk-ant-api",
        product: "Anthropic",
        is_token: false,
        fix: "Send this API key as `x-api-key: KEY`, without Bearer.",
    },
];

fn misfit(view: &View<'_>) -> Option<Finding> {
    view.offered().iter().find_map(|offered| {
        let known = KNOWN.iter().find(|known| offered.credentials.secret.expose().starts_with(known.prefix))?;
        let (kind, place) = match (known.is_token, is_in_key_field(offered), is_bearer(offered)) {
            (true, true, _) => ("a token of a login", "as an API key"),
            (false, _, true) => ("an API key", "as a bearer token"),
            _ => return None,
        };
        let summary = format!("by its first letters this is {kind} of {}, sent {place}", known.product);
        let found = RULE.found(Certainty::Likely, summary).at(At::Client).header(&offered.name).fix(known.fix);
        Some(with_answer(with_credentials(found, view, offered), view))
    })
}

fn is_in_key_field(offered: &Offered) -> bool {
    offered.place == OfferedIn::KeyField && offered.credentials.scheme.is_none()
}

fn is_bearer(offered: &Offered) -> bool {
    offered.place == OfferedIn::Authorization && offered.credentials.scheme == Some(Scheme::Bearer)
}
