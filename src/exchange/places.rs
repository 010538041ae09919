//! What stands for a client and for a place in a server, so that one exchange can be compared with later ones: keyed
//! hashes, so that nobody can choose two that look like one.

use std::net::IpAddr;

use super::View;

/// No name that a person gave to a part of a server is longer.
const NAME: usize = 24;

/// What an exchange has in common with others.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// An address, with what the client says of itself and gateways say of it.
    pub(super) client: u64,
    /// A tap and a host.
    pub(super) host: u64,
    /// A tap, a host and the start of a path, whatever the method.
    pub(super) route: u64,
    /// A tap, a host and a whole path.
    pub(super) path: u64,
}

impl Places {
    pub(super) fn of(view: &View<'_>) -> Self {
        let exchange = view.exchange();
        let hash = |text: &[u8]| view.redactor().hash(text);
        let mut text = Vec::with_capacity(256);
        match exchange.client.addr.ip() {
            Some(IpAddr::V4(addr)) => text.extend_from_slice(&addr.octets()),
            Some(IpAddr::V6(addr)) => text.extend_from_slice(&addr.octets()),
            // All that come by a socket have one address.
            None => {}
        }
        let mut named = exchange.request.authority.as_ref().map(String::as_bytes);
        for field in view.request().fields() {
            if ["user-agent", "x-forwarded-for", "forwarded"].iter().any(|name| field.is(name)) {
                text.push(0);
                text.extend_from_slice(field.value);
            } else if named.is_none() && field.is("host") {
                named = Some(field.value);
            }
        }
        let client = hash(&text);

        text.clear();
        text.extend_from_slice(exchange.tap.name.as_bytes());
        text.push(0);
        text.extend(named.unwrap_or_default().iter().map(u8::to_ascii_lowercase));
        let (host, end) = (hash(&text), text.len());

        // Two segments of a path tell one part of a server from another.
        let mut segments = view.path().split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
        for _ in 0..2 {
            text.push(0);
            text.extend_from_slice(segments.next().map(folded).unwrap_or_default());
        }
        let route = hash(&text);

        text.truncate(end);
        text.push(0);
        text.extend_from_slice(view.path());
        Places { client, host, route, path: hash(&text) }
    }
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
