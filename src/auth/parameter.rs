//! auth-params (RFC 9110 11.2), in challenges and in credentials, and the cursor with which both are read.
//!
//! Deviations from RFC 9110, each with its defect: values without quotes may have reserved characters and spaces,
//! single quotes are taken for quotes, `;` and nothing at all are taken for a comma.

use std::fmt;

use super::defect::{DefectKind, Defects};
use super::scheme::Scheme;
use super::token::{is_tchar, is_token68, is_whitespace, quoted_string};

/// A name with its value (RFC 9110 11.2).
#[derive(Clone, PartialEq, Eq)]
pub struct AuthParam {
    /// The name in lower case; names are compared without case.
    pub name: String,
    /// The name as it was sent.
    pub name_as_sent: String,
    /// The value, out of its quotes and with escapes resolved; bytes that are not UTF-8 are replaced.
    pub value: String,
    /// Whether the value was in double quotes.
    pub quoted: bool,
    /// Offset of the name in the field value.
    pub at: usize,
}

/// Names of challenge parameters whose values are meant for everybody: what is asked for, and where to get it.
const SAFE_TO_SHOW: [&str; 27] = [
    "acr_values",
    "algorithm",
    "algs",
    "authorization",
    "authorization_uri",
    "charset",
    "client_id",
    "domain",
    "error",
    "error_code",
    "error_codes",
    "error_description",
    "error_uri",
    "issuer",
    "max-age",
    "max_age",
    "qop",
    "realm",
    "resource",
    "resource_id",
    "resource_metadata",
    "scope",
    "service",
    "stale",
    "title",
    "type",
    "userhash",
];

impl AuthParam {
    /// Whether the value of this challenge parameter may be shown. It is an allow-list: a nonce, an opaque value or
    /// anything unknown may be of use to somebody who reads a log.
    pub fn is_safe_to_show(&self) -> bool {
        SAFE_TO_SHOW.binary_search(&self.name.as_str()).is_ok()
    }
}

impl fmt::Debug for AuthParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_safe_to_show() {
            write!(f, "{}={:?}", self.name, self.value)
        } else {
            write!(f, "{}=<{} bytes>", self.name, self.value.len())
        }
    }
}

/// Reads a list of parameters that nothing else is mixed into, as credentials have it. `base` is the offset of the
/// text in its field value.
pub(super) fn parse_parameters(text: &[u8], base: usize, defects: &mut Defects) -> Vec<AuthParam> {
    let mut cursor = Cursor::new(text, base);
    let mut params: Vec<AuthParam> = Vec::new();
    loop {
        cursor.skip(|byte| is_whitespace(byte) || byte == b',');
        if cursor.is_at_end() {
            return params;
        }
        let at = cursor.position();
        match read_param(&mut cursor, defects) {
            Some(param) => push_param(&mut params, param, defects),
            None => {
                defects.push(DefectKind::ElementUnreadable, at);
                cursor.skip_element();
            }
        }
    }
}

/// Adds a parameter, and says so if its name was there before; the first one stays the one that counts.
pub(super) fn push_param(params: &mut Vec<AuthParam>, param: AuthParam, defects: &mut Defects) {
    // Few enough names are compared: the text is capped, and a list this long is nonsense already.
    if params.iter().take(100).any(|earlier| earlier.name == param.name) {
        defects.push(DefectKind::ParameterDuplicate, param.at);
    }
    params.push(param);
}

/// Reads one parameter with the separator after it; `None`, and nothing read, if there is no name with `=` or quote.
pub(super) fn read_param(cursor: &mut Cursor<'_>, defects: &mut Defects) -> Option<AuthParam> {
    let at = cursor.position();
    let ahead = cursor.look_at_word();
    if ahead.word.is_empty() || !(ahead.equals || ahead.quote) {
        return None;
    }
    cursor.advance(ahead.word.len());
    let space = cursor.skip(is_whitespace);
    if ahead.equals {
        let equals_at = cursor.position();
        cursor.advance(1);
        if !space.is_empty() || !cursor.skip(is_whitespace).is_empty() {
            cursor.skip(is_whitespace);
            defects.push(DefectKind::WhitespaceAroundEquals, equals_at);
        }
    } else {
        defects.push(DefectKind::EqualsMissing, cursor.position());
    }
    let (value, quoted) = read_value(ahead.word, cursor, defects);
    read_separator(cursor, defects);
    let name_as_sent = String::from_utf8_lossy(ahead.word).into_owned();
    Some(AuthParam { name: name_as_sent.to_ascii_lowercase(), name_as_sent, value, quoted, at })
}

fn read_value(name: &[u8], cursor: &mut Cursor<'_>, defects: &mut Defects) -> (String, bool) {
    let start = cursor.position();
    if let Some(read) = quoted_string(cursor.rest()) {
        if !read.closed && !cursor.cut {
            defects.push(DefectKind::QuoteUnterminated, start);
        }
        if let Some(offset) = read.first_control {
            defects.push(DefectKind::ValueControlCharacter, start + offset);
        }
        if let Some(offset) = read.first_non_ascii {
            defects.push(DefectKind::ValueNotAscii, start + offset);
        }
        cursor.advance(read.length);
        return (String::from_utf8_lossy(&read.value).into_owned(), true);
    }
    // An apostrophe is a token character, so `'x'` is a value with apostrophes by the grammar; nobody means that.
    if let Some((b'\'', rest)) = cursor.rest().split_first()
        && let Some(length) = memchr::memchr(b'\'', rest)
    {
        defects.push(DefectKind::SingleQuotes, start);
        let value = String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).into_owned();
        cursor.advance(length + 2);
        return (value, false);
    }
    let value = read_unquoted(cursor);
    if value.is_empty() {
        defects.push(DefectKind::ParameterValueMissing, start);
    } else if let Some(offset) = value.iter().position(|&byte| !is_tchar(byte)) {
        let control = value.iter().position(|&byte| byte.is_ascii_control() && byte != b'\t');
        match control {
            Some(offset) => defects.push(DefectKind::ValueControlCharacter, start + offset),
            None if is_token68(value) && is_bare_base64(name) => {}
            None => defects.push(DefectKind::ValueNotQuoted, start + offset),
        }
    }
    (String::from_utf8_lossy(value).into_owned(), false)
}

/// The parameters of PrivateToken (RFC 9577 2.1), whose base64 issuers send with its padding and without quotes; the
/// clients that there are understand it, so it is no fault to report.
fn is_bare_base64(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"challenge") || name.eq_ignore_ascii_case(b"token-key")
}

/// Reads a value up to the next separator. Words that are neither scheme nor parameter belong to it: in
/// `realm=My Site` it is the quotes that are missing, not a comma.
fn read_unquoted<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let whole = cursor.rest();
    let mut length = cursor.skip_value_word().len();
    loop {
        let space = cursor.rest().iter().take_while(|&&byte| is_whitespace(byte)).count();
        if length == 0 || space == 0 || whole.get(length - 1) == Some(&b';') {
            break;
        }
        let mut ahead = cursor.clone();
        ahead.advance(space);
        let next = ahead.look_at_word();
        if next.equals || next.quote || Scheme::known(next.word).is_some() {
            break;
        }
        let more = ahead.skip_value_word().len();
        if more == 0 {
            break;
        }
        length += space + more;
        *cursor = ahead;
    }
    let mut value = whole.get(..length).unwrap_or_default();
    // A semicolon that ends a word is a separator, and is left for whoever reads separators.
    if let Some((b';', rest)) = value.split_last() {
        value = rest;
        cursor.step_back();
    }
    value
}

/// Reads what parts a parameter from whatever follows.
fn read_separator(cursor: &mut Cursor<'_>, defects: &mut Defects) {
    cursor.skip(is_whitespace);
    let at = cursor.position();
    match cursor.peek() {
        None | Some(b',') => {}
        Some(b';') => {
            defects.push(DefectKind::SemicolonSeparator, at);
            cursor.advance(1);
        }
        Some(_) => {
            let next = cursor.look_at_word();
            if !next.word.is_empty() && (next.equals || Scheme::known(next.word).is_some()) {
                defects.push(DefectKind::CommaMissing, at);
            } else {
                defects.push(DefectKind::TextAfterValue, at);
                cursor.skip_element();
            }
        }
    }
}

/// A place in the text of a field value.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    next: usize,
    base: usize,
    /// Whether the text was cut by us, so that what is open at its end is not the sender's fault.
    pub(super) cut: bool,
}

/// A word that was looked at but not read, and what follows it after white space.
pub(super) struct Word<'a> {
    pub(super) word: &'a [u8],
    pub(super) equals: bool,
    pub(super) quote: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], base: usize) -> Self {
        Self { text, next: 0, base, cut: false }
    }

    /// Offset in the field value.
    pub(super) fn position(&self) -> usize {
        self.base + self.next
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.next >= self.text.len()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.next..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.next).copied()
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.next = self.next.saturating_add(count).min(self.text.len());
    }

    fn step_back(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    /// Reads as long as the bytes are wanted.
    pub(super) fn skip(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().take_while(|&&byte| wanted(byte)).count();
        self.advance(length);
        rest.get(..length).unwrap_or_default()
    }

    fn skip_value_word(&mut self) -> &'a [u8] {
        self.skip(|byte| !is_whitespace(byte) && byte != b',')
    }

    /// Reads up to the next comma that is not inside of quotes.
    pub(super) fn skip_element(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b',' => return,
                b'"' => self.advance(quoted_string(self.rest()).map_or(1, |read| read.length)),
                _ => self.advance(1),
            }
        }
    }

    /// The token at this place, and whether `=` or a quote follows it, as behind the name of a parameter.
    pub(super) fn look_at_word(&self) -> Word<'a> {
        let mut ahead = self.clone();
        let word = ahead.skip(is_tchar);
        ahead.skip(is_whitespace);
        Word { word, equals: ahead.peek() == Some(b'='), quote: ahead.peek() == Some(b'"') }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (Vec<(String, String)>, Vec<(DefectKind, usize)>);

    fn parse(text: &str) -> Read {
        let mut defects = Defects::default();
        let params = parse_parameters(text.as_bytes(), 0, &mut defects);
        (
            params.into_iter().map(|param| (param.name, param.value)).collect(),
            defects.finish().into_iter().map(|defect| (defect.kind, defect.at)).collect(),
        )
    }

    #[test]
    fn values_are_read_and_deviations_named() {
        use DefectKind::*;
        type Row = (&'static str, &'static [(&'static str, &'static str)], &'static [(DefectKind, usize)]);
        let table: &[Row] = &[
            (r#"a="1", B=2"#, &[("a", "1"), ("b", "2")], &[]),
            (r#",, a="1",,"#, &[("a", "1")], &[]),
            (r#"a = "1""#, &[("a", "1")], &[(WhitespaceAroundEquals, 2)]),
            (r#"a= 1"#, &[("a", "1")], &[(WhitespaceAroundEquals, 1)]),
            (r#"a="1" b="2""#, &[("a", "1"), ("b", "2")], &[(CommaMissing, 6)]),
            (r#"a="1"b="2""#, &[("a", "1"), ("b", "2")], &[(CommaMissing, 5)]),
            (
                r#"a="1"; b=2; c=3"#,
                &[("a", "1"), ("b", "2"), ("c", "3")],
                &[(SemicolonSeparator, 5), (SemicolonSeparator, 10)],
            ),
            ("a='x y', b=1", &[("a", "x y"), ("b", "1")], &[(SingleQuotes, 2)]),
            ("a=it's, b=1", &[("a", "it's"), ("b", "1")], &[]),
            ("a='open, b=1", &[("a", "'open"), ("b", "1")], &[]),
            ("a=My Site, b=1", &[("a", "My Site"), ("b", "1")], &[(ValueNotQuoted, 4)]),
            ("a=http://x/, b=1", &[("a", "http://x/"), ("b", "1")], &[(ValueNotQuoted, 6)]),
            ("a=x b=1", &[("a", "x"), ("b", "1")], &[(CommaMissing, 4)]),
            ("a=, b=1", &[("a", ""), ("b", "1")], &[(ParameterValueMissing, 2)]),
            (r#"a "1", b=1"#, &[("a", "1"), ("b", "1")], &[(EqualsMissing, 2)]),
            (r#"a="say "hi" now", b=1"#, &[("a", "say "), ("b", "1")], &[(TextAfterValue, 8)]),
            (r#"a="open, b=1"#, &[("a", "open, b=1")], &[(QuoteUnterminated, 2)]),
            ("a=\"\u{e9}\"", &[("a", "\u{e9}")], &[(ValueNotAscii, 3)]),
            ("a=\"\x07\"", &[("a", "\x07")], &[(ValueControlCharacter, 3)]),
            ("a=x\x07", &[("a", "x\x07")], &[(ValueControlCharacter, 3)]),
            ("a=1, A=2", &[("a", "1"), ("a", "2")], &[(ParameterDuplicate, 5)]),
            ("(), b=1", &[("b", "1")], &[(ElementUnreadable, 0)]),
            ("lonely, b=1", &[("b", "1")], &[(ElementUnreadable, 0)]),
        ];
        for (text, params, defects) in table {
            let (read, found) = parse(text);
            let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(read, *params, "{text}");
            assert_eq!(found, *defects, "{text}");
        }
    }

    #[test]
    fn only_what_is_listed_may_be_shown() {
        assert!(SAFE_TO_SHOW.is_sorted());
        let mut defects = Defects::default();
        let params = parse_parameters(br#"realm="r", nonce="n0nce", made_up="x""#, 0, &mut defects);
        let shown: Vec<_> = params.iter().map(AuthParam::is_safe_to_show).collect();
        assert_eq!(shown, [true, false, false]);
        assert_eq!(format!("{params:?}"), r#"[realm="r", nonce=<5 bytes>, made_up=<1 bytes>]"#);
    }

    #[test]
    fn names_and_places_are_kept() {
        let mut defects = Defects::default();
        let params = parse_parameters(b"x, Realm=\"r\"", 10, &mut defects);
        assert_eq!(params[0].name_as_sent, "Realm");
        assert_eq!(params[0].at, 13);
        assert!(params[0].quoted);
    }
}
