//! A secret that anybody on the way can read and use.

use std::net::IpAddr;

use crate::auth::Scheme;
use crate::exchange::View;
use crate::exchange::view::Offered;
use crate::memory::Memory;
use crate::rules::evidence::{with_credentials, with_named};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-over-cleartext",
    family: Family::Transport,
    severity: Severity::Warning,
    title: "Credentials crossed the network without TLS",
    why: "Basic is the password itself, a bearer token and a key are good for whoever holds them: without TLS everybody \
          on the way can copy them. It often comes about by a URL with http that the server redirects to https: by then \
          the secret has been sent.",
    fix: "Let the client use https from the start, close the http port for the API in place of redirecting it, and change \
          the credentials that went over it.",
    spec: &[Spec::rfc(7617, "4"), Spec::rfc(6750, "5.3")],
    supersedes: &[],
    examples: &[
        Example::fires("a password over http", BASIC),
        Example::fires("the gateway before says that it was http", FORWARDED),
        Example::fires("the load balancer says that the client had no TLS", BALANCED_PLAIN),
        Example::quiet("TLS ends before the tap", TERMINATED),
        Example::quiet("behind a load balancer that may end TLS", BALANCED),
        Example::quiet("on the same machine", LOOPBACK),
        Example::quiet("by a socket of the same machine", SOCKET),
    ],
    check: Check::Exchange(check),
};

const BASIC: &str = r#"* client addr 203.0.113.9
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const FORWARDED: &str = r#"* client addr 10.0.0.7
> GET /orders HTTP/1.1
> Host: api.example
> X-Forwarded-For: 203.0.113.9
> X-Forwarded-Proto: http
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

const TERMINATED: &str = r#"* client addr 203.0.113.9
> GET /orders HTTP/1.1
> Host: api.example
> X-Forwarded-Proto: https
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const LOOPBACK: &str = r#"> GET /orders HTTP/1.1
> Host: localhost:8080
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const BALANCED_PLAIN: &str = r#"* client addr 203.0.113.9
* client announced plain
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const BALANCED: &str = r#"* client addr 203.0.113.9
* client announced
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const SOCKET: &str = r#"* client unix
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let client = &view.exchange().client;
    let was_protected = client.announced.as_ref().is_some_and(|announced| announced.tls == Some(true));
    if client.tls.is_some() || was_protected || client.addr.is_local() {
        return Vec::new();
    }
    let Some(offered) = view.offered().iter().find(|offered| is_worth_stealing(offered)) else { return Vec::new() };
    let name = offered.name.as_str();
    match leg(view) {
        Leg::Http => {
            let summary = "the client sent its credentials over http, says the gateway before this tap";
            let found = RULE.found(Certainty::Certain, summary).at(At::Client).header(name);
            let found = with_named(with_credentials(found, view, offered), view, Message::Request, "x-forwarded-proto");
            vec![with_named(found, view, Message::Request, "forwarded")]
        }
        Leg::Direct if client.addr.ip().is_some_and(is_public) => {
            let summary = "the client sent its credentials over http, readable on the way";
            let found = RULE.found(Certainty::Certain, summary).at(At::Client).header(name);
            vec![with_credentials(found, view, offered).because("client: a public address, and no TLS")]
        }
        Leg::Direct | Leg::Unknown => Vec::new(),
    }
}

/// What is known of the stretch between the client and this tap.
enum Leg {
    /// A gateway says that the client used http.
    Http,
    /// Nothing speaks for a gateway before the tap.
    Direct,
    /// A gateway stands before the tap, and TLS may end there.
    Unknown,
}

fn leg(view: &View<'_>) -> Leg {
    let request = view.request();
    let says = |proto: &str| {
        let forwarded = format!("proto={proto}");
        request.value("x-forwarded-proto").is_some_and(|value| value.eq_ignore_ascii_case(proto.as_bytes()))
            || request.value("forwarded").is_some_and(|value| {
                let parts = value.to_ascii_lowercase();
                parts.split(|byte| matches!(byte, b';' | b',')).any(|part| part.trim_ascii() == forwarded.as_bytes())
            })
    };
    const GATEWAYS: [&str; 8] = [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
        "via",
        "x-real-ip",
        "x-envoy-external-address",
        "x-forwarded-client-cert",
    ];
    if says("http") {
        Leg::Http
    } else if view.exchange().client.announced.as_ref().is_some_and(|announced| announced.tls.is_none()) {
        // What sends the client's address may have ended its TLS.
        Leg::Unknown
    } else if GATEWAYS.iter().any(|name| request.has(name)) {
        Leg::Unknown
    } else {
        Leg::Direct
    }
}

/// An address of the internet. Within a private network the stretch may be protected by other means.
fn is_public(addr: IpAddr) -> bool {
    match addr.to_canonical() {
        IpAddr::V4(addr) => {
            let [first, second, ..] = addr.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            !(addr.is_private() || addr.is_link_local() || addr.is_unspecified() || is_shared)
        }
        IpAddr::V6(addr) => !(addr.is_unique_local() || addr.is_unicast_link_local() || addr.is_unspecified()),
    }
}

/// A signature or an answer to a nonce is of no use to who copies it.
fn is_worth_stealing(offered: &Offered) -> bool {
    let scheme = offered.credentials.scheme.as_ref();
    let is_secret = matches!(scheme, None | Some(Scheme::Basic | Scheme::Bearer | Scheme::ApiKey | Scheme::Token));
    is_secret && !offered.credentials.secret.is_empty() && !offered.name.to_ascii_lowercase().ends_with("-signature")
}
