//! A cookie that browsers do not store.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Place, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "cookie-unstorable",
    family: Family::Session,
    severity: Severity::Error,
    title: "A cookie that browsers do not store",
    why: "Browsers drop a cookie whose attributes contradict each other or the address that it came from, and tell nobody but \
          the developer tools. The login then works, and the next request is without a session. Behind a gateway the cause is \
          mostly an application that does not know its public address: it sets a Domain of its own network, or thinks that it \
          speaks TLS where the client does not.",
    fix: "Set the cookie's attributes for the address that the client uses: `Secure` with `SameSite=None` and with the names \
          that begin with `__Secure-` or `__Host-`, a Domain of which the client's host is a part, or none.",
    spec: &[Spec::Document(
        "Cookies: HTTP State Management Mechanism, 5.7",
        "https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-5.7",
    )],
    supersedes: &[],
    examples: &[
        Example::fires("SameSite=None without Secure", NONE),
        Example::fires("a Domain of the inner network", DOMAIN),
        Example::fires("__Host- with a Domain", HOST),
        Example::fires("Secure where the client has no TLS", SECURE),
        Example::quiet("a cookie as it should be", FINE),
        Example::quiet("a Domain above the host", ABOVE),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Some(response) = view.response().filter(|response| response.head.has("set-cookie")) else {
        return Vec::new();
    };
    let host = view.authority().map(|authority| host_of(&authority).to_ascii_lowercase());
    let cookies = response.head.fields().filter(|field| field.is("set-cookie"));
    let found = cookies.filter_map(|field| {
        let text = String::from_utf8_lossy(field.value);
        let why = why_unstorable(view, &text, host.as_deref())?;
        let place = Place { message: Message::Response, field: field.index, byte: None };
        let found = RULE.found(Certainty::Certain, format!("browsers do not store this cookie: {why}"));
        let found = found.at(At::Backend).header("set-cookie");
        // The name may be anything, and so the value; what matters is in the attributes.
        let found =
            found.because_of(format!("response: {}, Set-Cookie: …; {}", view.status(), shown(view, &text)), place);
        Some(match &host {
            Some(host) => found.because(format!("client asked for {}", view.redactor().authority(host))),
            None => found,
        })
    });
    found.take(1).collect()
}

/// The attributes that decide, as they may be shown.
fn shown(view: &View<'_>, cookie: &str) -> String {
    let parts = cookie.split(';').skip(1).map(str::trim).filter(|part| {
        let name = part.split('=').next().unwrap_or_default();
        ["secure", "samesite", "domain", "path"].iter().any(|known| name.eq_ignore_ascii_case(known))
    });
    parts.map(|part| view.redactor().text(part)).collect::<Vec<_>>().join("; ")
}

fn attribute<'c>(cookie: &'c str, name: &str) -> Option<&'c str> {
    // Of several, the last one counts.
    let parts = cookie.split(';').skip(1).map(|part| part.split_once('=').unwrap_or((part, "")));
    parts.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name)).last().map(|(_, value)| value.trim())
}

fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn why_unstorable(view: &View<'_>, cookie: &str, host: Option<&str>) -> Option<&'static str> {
    let name = cookie.split(['=', ';']).next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_secure = attribute(cookie, "secure").is_some();
    let domain = attribute(cookie, "domain").map(|domain| domain.trim_start_matches('.').to_ascii_lowercase());
    let domain = domain.filter(|domain| !domain.is_empty());
    if attribute(cookie, "samesite").is_some_and(|value| value.eq_ignore_ascii_case("none")) && !is_secure {
        return Some("it has SameSite=None and not Secure");
    }
    if name.starts_with("__secure-") && !is_secure {
        return Some("its name begins with __Secure-, and it is not Secure");
    }
    if name.starts_with("__host-") && !(is_secure && domain.is_none() && attribute(cookie, "path") == Some("/")) {
        return Some("its name begins with __Host-, which wants Secure, Path=/ and no Domain");
    }
    let host = host?;
    if let Some(domain) = &domain {
        let is_part = host == domain || host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
        if !is_part {
            return Some("its Domain is not one that the client's host belongs to");
        }
    }
    // Whether the client itself speaks TLS is known where nothing is before this tap.
    let is_behind = view.exchange().client.announced.as_ref().is_some_and(|announced| announced.tls != Some(false))
        || ["x-forwarded-proto", "forwarded", "via", "x-forwarded-for"].iter().any(|name| view.request().has(name));
    let is_local = host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "[::1]";
    (is_secure && view.exchange().client.tls.is_none() && !is_behind && !is_local && is_browser(view))
        .then_some("it is Secure, and the client has no TLS")
}

/// Whether a browser asks: other clients may store what they like.
fn is_browser(view: &View<'_>) -> bool {
    view.request().value("user-agent").is_some_and(|agent| agent.starts_with(b"Mozilla/"))
}

const NONE: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: shop.example
< HTTP/1.1 200 OK
< Set-Cookie: session=kX81mQ02pLz7Rt55; Path=/; SameSite=None
"#;

const DOMAIN: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: shop.example
< HTTP/1.1 200 OK
< Set-Cookie: session=kX81mQ02pLz7Rt55; Path=/; Domain=app.internal; Secure
"#;

const HOST: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: shop.example
< HTTP/1.1 200 OK
< Set-Cookie: __Host-session=kX81mQ02pLz7Rt55; Path=/; Domain=shop.example; Secure
"#;

const SECURE: &str = r#"* client addr 10.0.0.7
> POST /login HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
< HTTP/1.1 200 OK
< Set-Cookie: session=kX81mQ02pLz7Rt55; Path=/; Secure
"#;

const FINE: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: shop.example:8443
< HTTP/1.1 200 OK
< Set-Cookie: __Host-session=kX81mQ02pLz7Rt55; Path=/; Secure; HttpOnly; SameSite=Lax
"#;

const ABOVE: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: www.shop.example
< HTTP/1.1 200 OK
< Set-Cookie: session=kX81mQ02pLz7Rt55; Domain=.shop.example; Path=/; Secure; SameSite=None
"#;
