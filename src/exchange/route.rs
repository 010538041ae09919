//! Where in a server a request goes, as far as what is known of one request holds for the next.

use super::View;

/// No name that a person gave to a part of a server is longer.
const NAME: usize = 24;

/// A tap, a host and the start of a path, whatever the method, as one keyed hash.
pub(super) fn hash(view: &View<'_>) -> u64 {
    let mut text = view.exchange().tap.name.clone().into_bytes();
    let host = view.authority().map(|host| host.to_ascii_lowercase()).unwrap_or_default();
    let mut segments = view.path().split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
    let mut next = || segments.next().map(folded).unwrap_or_default();
    // Two segments of a path tell one part of a server from another.
    for part in [host.as_bytes(), next(), next()] {
        text.push(0);
        text.extend_from_slice(part);
    }
    view.redactor().key().hash(&text)
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
