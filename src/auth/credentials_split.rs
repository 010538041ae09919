//! Where the scheme ends and the secret begins, in values that do not say so the way RFC 9110 11.4 wants it.
//!
//! Read as a scheme, each with its defect: a name followed by a colon, an equals sign, a comma, a tab, `%20`, a space
//! that is none, or by a token straight away; a name behind the name of the field, behind a quote or behind marks that
//! cannot be seen; a name that is there twice, of which the first counts.

use super::defect::{DefectKind, Defects};
use super::parameter::Cursor;
use super::scheme::Scheme;
use super::token::{is_tchar, is_token68, is_whitespace, trim};

/// A range of the field value.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// A value in its two halves.
pub(super) struct Split {
    pub(super) scheme: Option<Scheme>,
    pub(super) scheme_at: usize,
    pub(super) scheme_as_sent: String,
    pub(super) data: Span,
}

/// Marks that cannot be seen, and get into values from documents and editors.
const INVISIBLE: [(&[u8], DefectKind); 8] = [
    (b"\xef\xbb\xbf", DefectKind::TokenByteOrderMark),
    (b"\xc2\xa0", DefectKind::TokenNoBreakSpace),
    (b"\xa0", DefectKind::TokenNoBreakSpace),
    (b"\xe2\x80\x8b", DefectKind::TokenZeroWidth),
    (b"\xe2\x80\x8c", DefectKind::TokenZeroWidth),
    (b"\xe2\x80\x8d", DefectKind::TokenZeroWidth),
    (b"\xe2\x80\x8e", DefectKind::TokenZeroWidth),
    (b"\xe2\x81\xa0", DefectKind::TokenZeroWidth),
];

/// Splits a value.
pub(super) fn split(text: &[u8], defects: &mut Defects) -> Split {
    let (trimmed, front) = trim(text);
    let mut data = Span { start: front, end: front + trimmed.len() };
    if trimmed.is_empty() {
        defects.push(DefectKind::CredentialsEmpty, 0);
        return Split { scheme: None, scheme_at: 0, scheme_as_sent: String::new(), data };
    }
    skip_what_stands_before(text, &mut data, defects);
    let scheme_at = data.start;
    let Some((scheme, length)) = read_scheme(text, &mut data, defects) else {
        let kind = if data.of(text).is_empty() { DefectKind::CredentialsEmpty } else { DefectKind::SchemeAbsent };
        defects.push(kind, data.start);
        return Split { scheme: None, scheme_at, scheme_as_sent: String::new(), data };
    };
    let scheme_as_sent = Span { start: scheme_at, end: scheme_at + length };
    skip_repetitions(text, &scheme, &mut data, defects);
    if data.of(text).is_empty() {
        defects.push(DefectKind::SchemeAlone, data.start);
    }
    let scheme_as_sent = String::from_utf8_lossy(scheme_as_sent.of(text)).into_owned();
    Split { scheme: Some(scheme), scheme_at, scheme_as_sent, data }
}

/// Invisible marks, a quote before a scheme, the name of the field.
fn skip_what_stands_before(text: &[u8], data: &mut Span, defects: &mut Defects) {
    while skip_invisible(text, data, defects) || skip_field_name(text, data, defects) {}
    if let Some((quote @ (b'"' | b'\''), rest)) = data.of(text).split_first()
        && Scheme::known(first_word(rest)).is_some()
    {
        defects.push(DefectKind::TokenQuoted, data.start);
        data.start += 1;
        if data.of(text).last() == Some(quote) {
            data.end -= 1;
        }
        while skip_field_name(text, data, defects) {}
    }
}

fn skip_invisible(text: &[u8], data: &mut Span, defects: &mut Defects) -> bool {
    let rest = data.of(text);
    let Some((mark, kind)) = INVISIBLE.iter().find(|(mark, _)| rest.starts_with(mark)) else { return false };
    defects.push_once(*kind, data.start);
    data.start += mark.len();
    skip_whitespace(text, data);
    true
}

fn skip_field_name(text: &[u8], data: &mut Span, defects: &mut Defects) -> bool {
    for name in [&b"authorization"[..], b"proxy-authorization"] {
        let Some((head, tail)) = data.of(text).split_at_checked(name.len()) else { continue };
        let space = tail.iter().take_while(|&&byte| is_whitespace(byte)).count();
        if head.eq_ignore_ascii_case(name) && tail.get(space) == Some(&b':') {
            defects.push_once(DefectKind::FieldNameInValue, data.start);
            data.start += name.len() + space + 1;
            skip_whitespace(text, data);
            return true;
        }
    }
    false
}

/// Reads the scheme and what parts it from the data; gives the scheme and the length of its name.
fn read_scheme(text: &[u8], data: &mut Span, defects: &mut Defects) -> Option<(Scheme, usize)> {
    let whole = data.of(text);
    let word = first_word(whole);
    let name = word.get(..word.iter().take_while(|&&byte| is_name_char(byte)).count()).unwrap_or_default();
    let behind = whole.get(name.len()..).unwrap_or_default();
    if let Some(scheme) = Scheme::known(name)
        && let Some((kind, length)) = separator(behind)
    {
        let at = data.start + name.len();
        if let Some(kind) = kind {
            defects.push_once(kind, at);
        }
        data.start = at + length;
        skip_whitespace(text, data);
        // `Bearer : x` has the colon behind the space; a scheme with parameters cannot begin so either.
        if kind.is_none() && data.of(text).starts_with(b":") {
            defects.push(DefectKind::SchemeColon, data.start);
            data.start += 1;
            skip_whitespace(text, data);
        }
        return Some((scheme, name.len()));
    }
    for glued in [Scheme::Bearer, Scheme::Dpop] {
        let length = glued.id().len();
        if let Some((name, token)) = word.split_at_checked(length)
            && glued.is_named(name)
            && token.starts_with(b"eyJ")
        {
            defects.push(DefectKind::SchemeGlued, data.start + length);
            data.start += length;
            return Some((glued, length));
        }
    }
    let rest = trim(whole.get(word.len()..).unwrap_or_default()).0;
    if is_likely_scheme(word, rest) {
        let (kind, length) = separator(whole.get(word.len()..).unwrap_or_default())?;
        if let Some(kind) = kind {
            defects.push_once(kind, data.start + word.len());
        }
        data.start += word.len() + length;
        return Some((Scheme::parse(word), word.len()));
    }
    None
}

/// What parts a scheme from its data: the defect of it, if any, and its length; `None` if the name goes on.
fn separator(behind: &[u8]) -> Option<(Option<DefectKind>, usize)> {
    let space = behind.iter().take_while(|&&byte| is_whitespace(byte)).count();
    if space > 0 {
        let has_tab = behind.get(..space).unwrap_or_default().contains(&b'\t');
        let kind = match space {
            _ if has_tab => Some(DefectKind::SchemeTab),
            1 => None,
            _ => Some(DefectKind::SchemeSeveralSpaces),
        };
        return Some((kind, space));
    }
    if let Some((mark, kind)) = INVISIBLE.iter().find(|(mark, _)| behind.starts_with(mark)) {
        return Some((Some(*kind), mark.len()));
    }
    match behind.first() {
        None => Some((None, 0)),
        Some(b':') => Some((Some(DefectKind::SchemeColon), 1)),
        Some(b'=') => Some((Some(DefectKind::SchemeEquals), 1)),
        Some(b',') => Some((Some(DefectKind::SchemeComma), 1)),
        Some(b'"' | b'\'') => Some((Some(DefectKind::SchemeGlued), 0)),
        Some(b'\r' | b'\n') => Some((Some(DefectKind::TokenLineBreak), 1)),
        Some(b'%') if matches!(behind.get(..3), Some(b"%20" | b"%09")) => {
            Some((Some(DefectKind::CredentialsPercentEncoded), 3))
        }
        Some(_) => None,
    }
}

/// `Bearer Bearer x`, `Basic Bearer x`, `Bearer Authorization: Bearer x`.
fn skip_repetitions(text: &[u8], scheme: &Scheme, data: &mut Span, defects: &mut Defects) {
    loop {
        if skip_field_name(text, data, defects) || skip_invisible(text, data, defects) {
            continue;
        }
        let rest = data.of(text);
        let word = first_word(rest);
        let is_same = scheme.is_named(word);
        // Another scheme's name may be somebody's token, unless something follows it.
        let is_other = word.len() < rest.len()
            && !scheme.takes_parameters()
            && Scheme::known(word).is_some_and(|other| other.registered_spelling().is_some());
        if !is_same && !is_other {
            return;
        }
        defects.push_once(DefectKind::SchemeRepeated, data.start);
        data.start += word.len();
        skip_whitespace(text, data);
    }
}

/// Whether an unknown word can be shown as a scheme. If in doubt it is a secret: tokens are longer, have digits or
/// other characters, or have nothing behind them.
fn is_likely_scheme(word: &[u8], rest: &[u8]) -> bool {
    let is_short = (2..=20).contains(&word.len());
    let is_plain = word.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let starts_well = word.first().is_some_and(u8::is_ascii_alphabetic);
    let has_digits = word.iter().any(u8::is_ascii_digit);
    let is_sentence = rest.contains(&b' ') && !rest.contains(&b'=');
    let is_hash_name = memchr::memmem::find(&word.to_ascii_uppercase(), b"SHA").is_some() && word.contains(&b'-');
    is_short && is_plain && starts_well && !rest.is_empty() && !is_sentence && (!has_digits || is_hash_name)
}

/// Whether the data is a list of parameters: by the scheme, or where that is unknown by its looks.
pub(super) fn is_parameter_list(scheme: &Scheme, data: &[u8]) -> bool {
    let is_single = matches!(
        scheme,
        Scheme::Basic | Scheme::Bearer | Scheme::Dpop | Scheme::Negotiate | Scheme::Ntlm | Scheme::Gnap
    );
    scheme.takes_parameters() || (!is_single && !is_token68(data) && Cursor::new(data, 0).look_at_word().equals)
}

/// Credentials behind a comma.
pub(super) struct Next {
    /// Where what stands before the comma ends.
    pub(super) before_end: usize,
    pub(super) scheme: Scheme,
    pub(super) at: usize,
    pub(super) data: Span,
}

/// Finds credentials behind commas: a comma proves nothing, the name of a scheme and a space behind it do.
pub(super) fn find_joined(text: &[u8], data: Span, scheme: Option<&Scheme>) -> Vec<Next> {
    const MOST: usize = 10;
    if memchr::memchr(b',', data.of(text)).is_none() {
        return Vec::new();
    }
    let mut found: Vec<Next> = Vec::new();
    let may_quote = scheme.is_some_and(|scheme| is_parameter_list(scheme, data.of(text)));
    let mut in_quotes = false;
    let mut escaped = false;
    for (offset, &byte) in data.of(text).iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_quotes => escaped = true,
            b'"' if may_quote => in_quotes = !in_quotes,
            b',' if !in_quotes && found.len() < MOST => {
                let comma = data.start + offset;
                let mut next = Span { start: comma + 1, end: data.end };
                skip_whitespace(text, &mut next);
                let at = next.start;
                let name = next.of(text).iter().take(20).take_while(|&&byte| is_tchar(byte)).count();
                let word = next.of(text).get(..name).unwrap_or_default();
                next.start += name;
                if let Some(scheme) = Scheme::known(word).filter(is_unmistakable)
                    && next.of(text).first() == Some(&b' ')
                {
                    skip_whitespace(text, &mut next);
                    let before = Span { start: found.last().map_or(data.start, |last| last.data.start), end: comma };
                    let before_end = before.start + trim(before.of(text)).0.len();
                    if let Some(last) = found.last_mut() {
                        last.data.end = before_end;
                    }
                    found.push(Next { before_end, scheme, at, data: next });
                }
            }
            _ => {}
        }
    }
    found
}

fn is_unmistakable(scheme: &Scheme) -> bool {
    scheme.registered_spelling().is_some() || matches!(scheme, Scheme::Ntlm | Scheme::Aws4HmacSha256)
}

fn first_word(text: &[u8]) -> &[u8] {
    text.get(..memchr::memchr2(b' ', b'\t', text).unwrap_or(text.len())).unwrap_or_default()
}

/// The characters that names of known schemes have; what ends them may be a token character, such as `%`.
fn is_name_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn skip_whitespace(text: &[u8], data: &mut Span) {
    data.start += data.of(text).iter().take_while(|&&byte| is_whitespace(byte)).count();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::token::is_token;

    #[test]
    fn unknown_words_are_shown_only_if_they_cannot_be_secrets() {
        for (word, rest, expected) in [
            ("SSWS", "abc", true),
            ("SharedKey", "account:abc=", true),
            ("HMAC-SHA256", "a=b", true),
            ("Bot", "abc.def", true),
            ("hunter2", "abc", false),
            ("sk_live_abc", "abc", false),
            ("abcdefghijklmnopqrstuvwxyz", "abc", false),
            ("eyJhbGci.e30.x", "abc", false),
            ("correct", "horse battery", false),
            ("password", "", false),
        ] {
            assert_eq!(is_likely_scheme(word.as_bytes(), rest.as_bytes()), expected, "{word}");
            assert!(!expected || is_token(word.as_bytes()));
        }
    }
}
