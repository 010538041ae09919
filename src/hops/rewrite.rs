//! How one value became another: the same thing written in another way, or something else.

use super::Rewrite;
use super::difference::NameCase;

/// How `after` says the same as `before`, if it does.
pub fn rewrite(before: &[u8], after: &[u8]) -> Option<Rewrite> {
    if before == after || after.is_empty() || before.is_empty() {
        return None;
    }
    if without(before, is_space).eq(without(after, is_space)) {
        return Some(Rewrite::WhiteSpace);
    }
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'');
    if without(before, is_quote).eq(without(after, is_quote)) {
        return Some(Rewrite::Quotes);
    }
    if before.eq_ignore_ascii_case(after) {
        return Some(Rewrite::LetterCase);
    }
    let decodes_to =
        |from: &[u8], to: &[u8]| from.contains(&b'%') && percent_encoding::percent_decode(from).eq(to.iter().copied());
    // Who decodes a value as that of a form makes each plus sign a space.
    let is_form = |from: &[u8], to: &[u8]| {
        let spaced: Vec<u8> = from.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        from.contains(&b'+') && percent_encoding::percent_decode(&spaced).eq(to.iter().copied())
    };
    if decodes_to(before, after) || decodes_to(after, before) || is_form(before, after) || is_form(after, before) {
        return Some(Rewrite::Percent);
    }
    if base64_form(before).eq(base64_form(after)) {
        return Some(Rewrite::Base64);
    }
    if is_recoded(before, after) || is_recoded(after, before) {
        return Some(Rewrite::Charset);
    }
    if before.starts_with(after) {
        return Some(Rewrite::Cut { at: after.len() });
    }
    (after.starts_with(before) || after.ends_with(before)).then_some(Rewrite::Extended)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn without(value: &[u8], skipped: impl Fn(u8) -> bool) -> impl Iterator<Item = u8> {
    value.iter().copied().filter(move |byte| !skipped(*byte))
}

/// The value in one alphabet of base64 and without padding.
fn base64_form(value: &[u8]) -> impl Iterator<Item = u8> {
    value.iter().filter(|byte| **byte != b'=').map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    })
}

/// Whether `utf8` is what `latin1` becomes when it is taken for ISO 8859-1 and written in UTF-8.
fn is_recoded(latin1: &[u8], utf8: &[u8]) -> bool {
    if latin1.is_ascii() {
        return false;
    }
    let text: String = latin1.iter().map(|byte| char::from(*byte)).collect();
    text.as_bytes() == utf8
}

/// Lengths at which buffers end.
pub fn is_round(length: usize) -> bool {
    const SIZES: [usize; 6] = [256, 512, 1024, 2048, 4096, 8192];
    SIZES.iter().any(|size| length == *size || length + 1 == *size)
}

/// How a path became another one.
pub fn rewrite_path(before: &str, after: &str) -> Option<Rewrite> {
    if normalised(before) == normalised(after) {
        return Some(Rewrite::PathNormalised);
    }
    let decoded = |path: &str| percent_encoding::percent_decode_str(path).collect::<Vec<u8>>();
    if decoded(before) == decoded(after) {
        return Some(Rewrite::Percent);
    }
    // A gateway that normalises does both at once.
    let text = |path: &str| String::from_utf8_lossy(&decoded(path)).into_owned();
    if normalised(&text(before)) == normalised(&text(after)) {
        return Some(Rewrite::PathNormalised);
    }
    let (long, short) = if before.len() >= after.len() { (before, after) } else { (after, before) };
    let is_suffix = short.starts_with('/') && long.ends_with(short) && long.len() > short.len();
    // What is left of `/api` without its prefix is `/`.
    let is_all_prefix = short == "/" && long.len() > 1;
    (is_suffix || is_all_prefix).then_some(Rewrite::PathPrefix)
}

/// A path without empty segments and dots.
fn normalised(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    segments
}

/// In which letters a name is spelled.
pub fn name_case(name: &str) -> NameCase {
    let is_title = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_none_or(|first| !first.is_ascii_lowercase()) && chars.all(|char| !char.is_ascii_uppercase())
    };
    if !name.chars().any(|char| char.is_ascii_uppercase()) {
        NameCase::Lower
    } else if name.split('-').all(is_title) {
        NameCase::Title
    } else if !name.chars().any(|char| char.is_ascii_lowercase()) {
        NameCase::Upper
    } else {
        NameCase::Mixed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_writing_the_same_is_known() {
        for (before, after, expected) in [
            ("Bearer abc", "Bearer  abc", Some(Rewrite::WhiteSpace)),
            ("Bearer \"abc\"", "Bearer abc", Some(Rewrite::Quotes)),
            ("Bearer aBc", "bearer abc", Some(Rewrite::LetterCase)),
            ("Bearer%20abc", "Bearer abc", Some(Rewrite::Percent)),
            ("Bearer a+b/c==", "Bearer a b/c==", Some(Rewrite::Percent)),
            ("Bearer a+b%3D", "Bearer a b=", Some(Rewrite::Percent)),
            ("a-b_c", "a+b/c==", Some(Rewrite::Base64)),
            ("Bearer abcdef", "Bearer abc", Some(Rewrite::Cut { at: 10 })),
            ("Bearer abc", "Bearer abc, Basic x", Some(Rewrite::Extended)),
            ("Bearer abc", "Bearer abd", None),
            ("Bearer abc", "", None),
        ] {
            assert_eq!(rewrite(before.as_bytes(), after.as_bytes()), expected, "{before} -> {after}");
        }
        assert_eq!(rewrite(b"\xe4", "ä".as_bytes()), Some(Rewrite::Charset));
    }

    #[test]
    fn paths_keep_what_they_mean() {
        for (before, after, expected) in [
            ("/api/a", "/a", Some(Rewrite::PathPrefix)),
            ("/a", "/api/a", Some(Rewrite::PathPrefix)),
            ("/api/", "/", Some(Rewrite::PathPrefix)),
            ("/a//b/../c", "/a/c", Some(Rewrite::PathNormalised)),
            ("/a//b%2Bc", "/a/b+c", Some(Rewrite::PathNormalised)),
            ("/a%2fb", "/a/b", Some(Rewrite::Percent)),
            ("/a", "/b", None),
        ] {
            assert_eq!(rewrite_path(before, after), expected, "{before} -> {after}");
        }
    }

    #[test]
    fn names_have_a_form() {
        assert_eq!(name_case("x-api-key"), NameCase::Lower);
        assert_eq!(name_case("X-Api-Key"), NameCase::Title);
        assert_eq!(name_case("X-API-KEY"), NameCase::Upper);
        assert_eq!(name_case("X-API-Key"), NameCase::Mixed);
        assert_eq!(name_case("WWW-Authenticate"), NameCase::Mixed);
    }
}
