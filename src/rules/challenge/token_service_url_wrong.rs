//! The challenge of a registry sends the client to a token service that it can't reach.

use super::address_fault;
use crate::auth::Scheme;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_answer};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "token-service-url-wrong",
    family: Family::Challenge,
    severity: Severity::Error,
    title: "The challenge sends clients to a token service that they can't reach",
    why: "Docker and its like read in the realm of the Bearer challenge where to get a token, and ask there. A registry that \
          does not know its public address, or in whose settings the address has a gap, names a place that exists only on \
          the inside, or one without TLS, where the password would be readable. The client then speaks of the token service \
          and not of the registry.",
    fix: "Set the registry's external URL and the realm of its token service to the public https address, and have the gateway \
          send X-Forwarded-Proto and X-Forwarded-Host.",
    spec: &[
        Spec::Document(
            "Distribution: token authentication",
            "https://distribution.github.io/distribution/spec/auth/token/",
        ),
        Spec::rfc(9110, "11.5"),
    ],
    supersedes: &["credentials-absent"],
    examples: &[
        Example::fires("http behind a gateway with TLS", HTTP),
        Example::fires("a name of the inside", INSIDE),
        Example::fires("a variable was empty", GAP),
        Example::quiet("another public host", OTHER),
        Example::quiet("all of it is inside", ALL_INSIDE),
        Example::quiet("a realm that only looks like an address", LABEL),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let challenge = view.challenge(&Scheme::Bearer).filter(|_| view.status() == 401)?;
    // Elsewhere a realm is a mere name, whatever it looks like.
    let is_registry = challenge.param("service").is_some() || view.path().starts_with(b"/v2/");
    let realm = challenge.params.iter().find(|param| param.name == "realm" && is_registry)?;
    let lower = realm.value.to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return None;
    }
    let fault = address_fault(view, &realm.value)?;
    let summary = format!("the challenge sends clients to a token service whose address {fault}");
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend).header("www-authenticate");
    let asked = view.authority().unwrap_or_default();
    let found = found.because(clip(format!("realm: {}", view.redactor().param(realm))));
    Some(with_answer(found.because(clip(format!("client asked {}", view.redactor().authority(&asked)))), view))
}

const HTTP: &str = r#"> GET /v2/ HTTP/1.1
> Host: registry.example
> X-Forwarded-Proto: https
> User-Agent: docker/27.3.1
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="http://registry.example/service/token",service="harbor-registry"
"#;

const INSIDE: &str = r#"* client tls
> GET /v2/ HTTP/1.1
> Host: registry.example
> User-Agent: docker/27.3.1
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="https://auth:5001/auth",service="registry"
"#;

const GAP: &str = r#"* client tls
> GET /v2/ HTTP/1.1
> Host: registry.example
> User-Agent: docker/27.3.1
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="https://api./auth/v1/token",service="registry.example"
"#;

const OTHER: &str = r#"* client tls
> GET /v2/ HTTP/1.1
> Host: registry.example
> User-Agent: docker/27.3.1
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="https://auth.example/token",service="registry.example"
"#;

const ALL_INSIDE: &str = r#"> GET /v2/ HTTP/1.1
> Host: localhost:5000
> User-Agent: docker/27.3.1
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="http://localhost:5001/auth",service="registry"
"#;

const LABEL: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="http://api.example"
"#;
