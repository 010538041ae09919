//! Where a request of HTTP/2 is meant to go: `:authority`, or the Host field in its place (RFC 9113 8.3.1).

use hyper::http::header::HOST;
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, Scheme};
use hyper::http::{HeaderValue, Method, Uri};

use crate::config::SetHost;
use crate::exchange::Edit;

const NAMED_BY_HOST: &str = "a request goes on over HTTP/2 with :authority, and this one had a Host field in its place";

/// Whether it says where it is to go: CONNECT by `:authority` alone.
pub(super) fn is_named(parts: &Parts) -> bool {
    parts.uri.authority().is_some() || (parts.method != Method::CONNECT && parts.headers.contains_key(HOST))
}

/// Writes `:authority` from the Host field where there is none, as whoever passes a request on over HTTP/2 has to.
pub(super) fn name_by_host(parts: &mut Parts, scheme: Scheme) -> Option<Edit> {
    if parts.uri.authority().is_some() || parts.method == Method::CONNECT {
        return None;
    }
    let authority = Authority::try_from(parts.headers.get(HOST)?.as_bytes()).ok()?;
    let to = authority.to_string().into();
    set(parts, authority, scheme)?;
    Some(Edit { what: "authority", from: "".into(), to, why: NAMED_BY_HOST })
}

/// Sets both to the same, and gives what stood there. `:authority` stands for the Host field, so it is set where that would
/// be; a Host field beside it is what an upstream of HTTP/1 gets.
pub(super) fn replace(parts: &mut Parts, host: &SetHost, scheme: Scheme) -> Option<String> {
    let field = parts.headers.get(HOST).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let from = parts.uri.authority().map(ToString::to_string);
    if [&from, &field].into_iter().flatten().all(|name| *name == host.to) && from.is_some() {
        return None;
    }
    set(parts, host.to.parse().ok()?, scheme)?;
    if field.is_some() {
        parts.headers.insert(HOST, HeaderValue::try_from(&host.to).ok()?);
    }
    Some(from.or(field).unwrap_or_default())
}

fn set(parts: &mut Parts, authority: Authority, scheme: Scheme) -> Option<()> {
    let mut uri = parts.uri.clone().into_parts();
    uri.authority = Some(authority);
    if parts.method != Method::CONNECT {
        uri.scheme.get_or_insert(scheme);
    }
    parts.uri = Uri::from_parts(uri).ok()?;
    Some(())
}
