//! The backend does not know under which address its clients reach it.

use super::{Topic, at, by_join, with_fix, with_hop};
use crate::hops::{Answer, Crossing, Message, Value};
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, evidence};

/// The rule.
pub static RULE: Rule = Rule {
    name: "forwarded-context-missing",
    family: Family::Hop,
    severity: Severity::Error,
    title: "The backend does not know its public address",
    why: "Behind a gateway a request comes over another connection, mostly without TLS and under another host. A backend \
          that is not told of the original scheme and host writes addresses that only the gateway can reach: redirects, the \
          realm of a token service, the place of metadata. Clients drop their credentials on the way there, or fail.",
    fix: "Have the gateway send X-Forwarded-Proto and X-Forwarded-Host, or Forwarded, and the application trust them; or set \
          the application's public URL.",
    spec: &[Spec::rfc(7239, "4"), Spec::rfc(9110, "7.6")],
    supersedes: &["refusal-origin", "redirect-changes-origin", "resource-metadata-wrong", "token-service-url-wrong"],
    examples: &[
        Example::fires("a redirect to the internal host", INTERNAL),
        Example::fires("metadata under http on a site with TLS", METADATA),
        Example::quiet("the application knows its address", KNOWN),
        Example::quiet("a redirect to another site", OTHER),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let outer = crossing.outer;
    let public = outer.authority.as_deref()?;
    let internal = attempt.inner.authority.as_deref()?;
    let arrived = &attempt.inner.request;
    let answer = outer.answer.as_ref().filter(|answer| !answer.by_tap)?;
    let (field, url) = addresses(answer).into_iter().find(|(_, url)| {
        let Some((scheme, authority)) = origin(url) else { return false };
        let is_internal = !internal.eq_ignore_ascii_case(public) && authority.eq_ignore_ascii_case(internal);
        let is_unsafe = outer.tls == Some(true) && scheme == "http" && is_of(authority, public);
        is_internal || is_unsafe
    })?;
    let is_told = |name: &str| arrived.fields.iter().any(|line| line.name.eq_ignore_ascii_case(name));
    let scheme_is_told = is_told("x-forwarded-proto") || is_told("forwarded");
    let host_is_told = is_told("x-forwarded-host") || is_told("forwarded") || internal.eq_ignore_ascii_case(public);
    let (scheme, _) = origin(&url)?;
    let inner = crossing.inner_tap;
    let missing = match (scheme_is_told, host_is_told) {
        (true, true) => format!("{inner} in   X-Forwarded-Proto and X-Forwarded-Host: there, and not heeded"),
        (false, true) => format!("{inner} in   X-Forwarded-Proto: (none)"),
        (true, false) => format!("{inner} in   X-Forwarded-Host: (none)"),
        (false, false) => format!("{inner} in   X-Forwarded-Proto, X-Forwarded-Host: (none)"),
    };
    let what = if scheme == "http" && outer.tls == Some(true) { "without TLS" } else { "by its internal host" };
    let found = RULE
        .found(
            by_join(attempt.join).min(Certainty::Likely),
            format!("the answer's {field} names the backend {what}: it does not know its public address"),
        )
        .at(at(crossing))
        .header(&field)
        .because(evidence::clip(format!("answer: {field}: {}", shown(&url))))
        .because(evidence::clip(format!("client asked for {public}")))
        .because(missing);
    let found = with_hop(found, crossing, &[]);
    Some(with_fix(found, crossing, Topic::Forwarded, None))
}

/// The addresses to which an answer sends its client, with the fields that hold them.
fn addresses(answer: &Answer) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if matches!(answer.status, 301 | 302 | 303 | 307 | 308 | 201) {
        found.extend(text_of(&answer.message, "location").map(|url| ("Location".to_owned(), url)));
    }
    if let Some(challenge) = text_of(&answer.message, "www-authenticate") {
        for name in ["realm", "resource_metadata", "authorization_uri"] {
            let value = challenge.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
            found.extend(value.map(|(url, _)| ("WWW-Authenticate".to_owned(), url.to_owned())));
        }
    }
    found
}

fn text_of(message: &Message, name: &str) -> Option<String> {
    let line = message.fields.iter().find(|line| line.name.eq_ignore_ascii_case(name))?;
    match &line.value {
        Value::Seen(secret) => Some(String::from_utf8_lossy(secret.expose()).into_owned()),
        Value::Shown(text) => Some(text.clone()),
        Value::Digest { .. } => None,
    }
}

/// Scheme and authority of a URL.
fn origin(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    (matches!(scheme, "http" | "https") && !authority.is_empty()).then_some((scheme, authority))
}

/// Whether both name the same host, whatever the port.
fn is_of(authority: &str, public: &str) -> bool {
    let host = |text: &str| text.rsplit_once(':').map_or(text, |(host, _)| host).to_ascii_lowercase();
    host(authority) == host(public)
}

/// Scheme and host: what stands behind them may hold secrets.
fn shown(url: &str) -> String {
    origin(url).map(|(scheme, authority)| format!("{scheme}://{authority}/…")).unwrap_or_default()
}

const INTERNAL: &str = r#"* tap edge
* client tls
> GET /orders HTTP/1.1
> Host: shop.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 302 Found
< Location: http://app:9000/orders/
* tap app
> GET /orders HTTP/1.1
> Host: app:9000
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 302 Found
< Location: http://app:9000/orders/
"#;

const METADATA: &str = r#"* tap edge
* client tls
> POST /mcp HTTP/1.1
> Host: shop.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="http://shop.example/.well-known/oauth-protected-resource"
* tap app
> POST /mcp HTTP/1.1
> Host: shop.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer resource_metadata="http://shop.example/.well-known/oauth-protected-resource"
"#;

const KNOWN: &str = r#"* tap edge
* client tls
> GET /orders HTTP/1.1
> Host: shop.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://shop.example/orders/
* tap app
> GET /orders HTTP/1.1
> Host: app:9000
> Accept: text/html
> X-Forwarded-Proto: https
> X-Forwarded-Host: shop.example
< HTTP/1.1 302 Found
< Location: https://shop.example/orders/
"#;

const OTHER: &str = r#"* tap edge
* client tls
> GET /orders HTTP/1.1
> Host: shop.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: http://news.example/
* tap app
> GET /orders HTTP/1.1
> Host: app:9000
> Accept: text/html
< HTTP/1.1 302 Found
< Location: http://news.example/
"#;
