//! What stands for a client and for a place in a server, so that one exchange can be compared with later ones: keyed
//! hashes, so that nobody can choose two that look like one.

use std::net::IpAddr;

use super::View;

/// No name that a person gave to a part of a server is longer.
const NAME: usize = 24;

/// An address, with what the client says of itself and gateways say of it.
pub(super) fn client(view: &View<'_>) -> u64 {
    let mut text = Vec::with_capacity(128);
    match view.exchange().client.addr.ip() {
        Some(IpAddr::V4(addr)) => text.extend_from_slice(&addr.octets()),
        Some(IpAddr::V6(addr)) => text.extend_from_slice(&addr.octets()),
        // All that come by a socket have one address.
        None => {}
    }
    for field in view.request().fields() {
        if ["user-agent", "x-forwarded-for", "forwarded"].iter().any(|name| field.is(name)) {
            text.push(0);
            text.extend_from_slice(field.value);
        }
    }
    view.redactor().hash(&text)
}

/// A tap and a host.
pub(super) fn host(view: &View<'_>) -> u64 {
    view.redactor().hash(&start(view))
}

/// A tap, a host and the start of a path, whatever the method.
pub(super) fn route(view: &View<'_>) -> u64 {
    let mut text = start(view);
    let mut segments = view.path().split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
    // Two segments of a path tell one part of a server from another.
    for _ in 0..2 {
        text.push(0);
        text.extend_from_slice(segments.next().map(folded).unwrap_or_default());
    }
    view.redactor().hash(&text)
}

/// A tap, a host and a whole path.
pub(super) fn path(view: &View<'_>) -> u64 {
    let mut text = start(view);
    text.push(0);
    text.extend_from_slice(view.path());
    view.redactor().hash(&text)
}

fn start(view: &View<'_>) -> Vec<u8> {
    let exchange = view.exchange();
    let mut text = Vec::with_capacity(128);
    text.extend_from_slice(exchange.tap.name.as_bytes());
    text.push(0);
    let host = exchange.request.authority.as_ref().map(String::as_bytes).or_else(|| view.request().value("host"));
    let at = text.len();
    text.extend_from_slice(host.unwrap_or_default());
    text[at..].make_ascii_lowercase();
    text
}

/// Identifiers fold to one: numbers, UUIDs, and whatever is long or mixed with digits. A version such as `v2` is a name.
fn folded(segment: &[u8]) -> &[u8] {
    let is_version = matches!(segment, [b'v' | b'V', rest @ ..] if !rest.is_empty() && rest.len() <= 3
        && rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'));
    let is_identifier = segment.len() > NAME || segment.iter().any(u8::is_ascii_digit);
    if is_identifier && !is_version { b"*" } else { segment }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_fold_and_names_stay() {
        for (segment, expected) in [
            ("orders", "orders"),
            ("17", "*"),
            ("b3f1c2de-0000-4000-8000-00805f9b34fb", "*"),
            ("abcdefghijklmnopqrstuvwxy", "*"),
            ("order17", "*"),
            ("v2", "v2"),
            ("v1.1", "v1.1"),
            ("v12345", "*"),
            ("v", "v"),
        ] {
            assert_eq!(folded(segment.as_bytes()), expected.as_bytes(), "{segment}");
        }
    }
}
