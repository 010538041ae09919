//! Where in a server a request goes, as far as what is known of one request holds for the next.

use crate::exchange::View;

/// Segments of a path that tell one part of a server from another.
const SEGMENTS: usize = 2;
/// No name that a person gave to a part of a server is longer.
const NAME: usize = 24;

/// A tap, a host and the start of a path, whatever the method. It is there to be hashed.
#[derive(PartialEq, Eq, Hash, Debug)]
pub(super) struct Route<'a> {
    tap: &'a str,
    host: Option<String>,
    path: [&'a [u8]; SEGMENTS],
}

impl<'a> Route<'a> {
    pub(super) fn of(view: &View<'a>) -> Self {
        let mut segments = view.path().split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
        let mut next = || segments.next().map(folded).unwrap_or_default();
        Route {
            tap: &view.exchange().tap.name,
            host: view.authority().map(|host| host.to_ascii_lowercase()),
            path: [next(), next()],
        }
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
