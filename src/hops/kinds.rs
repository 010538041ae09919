//! What fields are there for, as far as a comparison has to know.

use super::{Kind, Side};
use crate::exchange::names;

/// What belongs to one connection, or is written anew by every program on the way.
const PLUMBING: &[&str] = &[
    "age",
    "alt-svc",
    "authtap-hop",
    "connection",
    "content-length",
    "date",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "priority",
    "proxy-connection",
    "server",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "uber-trace-id",
    "upgrade",
    "via",
    "x-amzn-trace-id",
    "x-cache",
    "x-correlation-id",
    "x-request-id",
    "x-varnish",
];

/// Beginnings of names of that kind.
const PLUMBING_FAMILIES: &[&str] = &["x-b3-", "x-envoy-", "x-kong-"];

const FORWARDED: &[&str] = &[
    "client-cert",
    "client-ip",
    "forwarded",
    "ssl-client-cert",
    "true-client-ip",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-original-uri",
    "x-real-ip",
    "x-scheme",
    "x-ssl-cert",
    "x-ssl-client-cert",
];

/// What a field is there for. `name` is in lower case.
pub fn kind_of(name: &str, side: Side) -> Kind {
    if name.contains('_') {
        // A dash was meant, and some program on the way will mind.
        return kind_of(&name.replace('_', "-"), side);
    }
    match name {
        "authorization" | "proxy-authorization" | "dpop" => Kind::Credentials,
        "www-authenticate"
        | "proxy-authenticate"
        | "authentication-info"
        | "proxy-authentication-info"
        | "dpop-nonce" => Kind::Challenge,
        "cookie" | "set-cookie" => Kind::Cookie,
        "host" => Kind::Host,
        "location" => Kind::Location,
        "origin" => Kind::Cors,
        _ if name.starts_with("access-control-") => Kind::Cors,
        _ if side == Side::Request && names::is_key_field(name.as_bytes()) => Kind::Credentials,
        _ if side == Side::Answer && name.ends_with("www-authenticate") => Kind::Challenge,
        _ if FORWARDED.contains(&name) || name.starts_with("x-forwarded-") || name.starts_with("ssl-client-") => {
            Kind::Forwarded
        }
        _ if PLUMBING.contains(&name) || PLUMBING_FAMILIES.iter().any(|family| name.starts_with(family)) => {
            Kind::Plumbing
        }
        _ => Kind::Other,
    }
}
