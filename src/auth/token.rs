//! The character classes and smallest pieces of the grammar: token, token68, quoted-string, b64token.
//!
//! Deviation from RFC 9110: a quoted-string that never closes is read up to the end of the field, and control
//! characters inside of it are kept. Both are reported by the caller.

/// Whether the byte is a `tchar`, of which tokens are made (RFC 9110 5.6.2).
pub fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Whether the text is a `token` (RFC 9110 5.6.2).
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_tchar)
}

/// Whether the byte may stand in a `token68` before its padding (RFC 9110 11.2).
pub fn is_token68_char(byte: u8) -> bool {
    TOKEN68[usize::from(byte)]
}

/// Every token goes through it byte by byte.
static TOKEN68: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        at += 1;
    }
    table
};

/// How long the `token68` at the start of the text is, padding included; 0 if there is none (RFC 9110 11.2).
pub fn token68_length(text: &[u8]) -> usize {
    let body = text.iter().take_while(|&&byte| is_token68_char(byte)).count();
    if body == 0 {
        return 0;
    }
    body + text.iter().skip(body).take_while(|&&byte| byte == b'=').count()
}

/// Whether the whole text is a `token68` (RFC 9110 11.2).
pub fn is_token68(text: &[u8]) -> bool {
    !text.is_empty() && token68_length(text) == text.len()
}

/// Whether the whole text is a `b64token`, the only form that a bearer token may have (RFC 6750 2.1).
///
/// The two productions have the same letters, but are kept apart because the documents that define them are.
pub fn is_b64token(text: &[u8]) -> bool {
    is_token68(text)
}

/// Whether the byte is a space or a tab, which is what OWS and BWS consist of (RFC 9110 5.6.3).
pub fn is_whitespace(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The text without spaces and tabs at both ends (OWS, RFC 9110 5.6.3), and how many were taken off the front.
pub fn trim(text: &[u8]) -> (&[u8], usize) {
    let front = text.iter().take_while(|&&byte| is_whitespace(byte)).count();
    let rest = text.get(front..).unwrap_or_default();
    let back = rest.iter().rev().take_while(|&&byte| is_whitespace(byte)).count();
    (rest.get(..rest.len() - back).unwrap_or_default(), front)
}

/// A quoted-string as it was read (RFC 9110 5.6.4).
#[derive(Debug, PartialEq, Eq)]
pub struct QuotedString {
    /// The text between the quotes, escapes resolved.
    pub value: Vec<u8>,
    /// How many bytes of the input it took, quotes included.
    pub length: usize,
    /// Whether the closing quote was there.
    pub closed: bool,
    /// Where, counted from the opening quote, the first byte outside ASCII is.
    pub first_non_ascii: Option<usize>,
    /// Where, counted from the opening quote, the first control character other than a tab is.
    pub first_control: Option<usize>,
}

/// Reads the quoted-string that starts with the first byte of the text; `None` if that is no quote (RFC 9110 5.6.4).
pub fn quoted_string(text: &[u8]) -> Option<QuotedString> {
    if text.first() != Some(&b'"') {
        return None;
    }
    let mut read = QuotedString {
        value: Vec::new(),
        length: text.len(),
        closed: false,
        first_non_ascii: None,
        first_control: None,
    };
    let mut bytes = text.iter().copied().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        let byte = match byte {
            b'"' => {
                read.closed = true;
                read.length = at + 1;
                break;
            }
            b'\\' => match bytes.next() {
                Some((_, escaped)) => escaped,
                None => break,
            },
            other => other,
        };
        if byte >= 0x80 {
            read.first_non_ascii.get_or_insert(at);
        } else if byte.is_ascii_control() && byte != b'\t' {
            read.first_control.get_or_insert(at);
        }
        read.value.push(byte);
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_token68() {
        for (text, token, token68) in [
            ("Basic", true, true),
            ("", false, false),
            ("a b", false, false),
            ("AWS4-HMAC-SHA256", true, true),
            ("abc==", false, true),
            ("==", false, false),
            ("a=b", false, false),
            ("a/b+c~d", false, true),
            ("it's", true, false),
            ("é", false, false),
        ] {
            assert_eq!(is_token(text.as_bytes()), token, "{text}");
            assert_eq!(is_token68(text.as_bytes()), token68, "{text}");
            assert_eq!(is_b64token(text.as_bytes()), token68, "{text}");
        }
        assert_eq!(token68_length(b"abc==, x"), 5);
    }

    #[test]
    fn quoted_strings() {
        for (text, value, length, closed) in [
            (r#""""#, "", 2, true),
            (r#""a, b" x"#, "a, b", 6, true),
            (r#""Login to \"apps\"""#, r#"Login to "apps""#, 19, true),
            (r#""a\\""#, r"a\", 5, true),
            (r#""open"#, "open", 5, false),
            (r#""open\"#, "open", 6, false),
            (r#""open\""#, "open\"", 7, false),
        ] {
            let read = quoted_string(text.as_bytes()).unwrap();
            assert_eq!((read.value.as_slice(), read.length, read.closed), (value.as_bytes(), length, closed), "{text}");
        }
        assert!(quoted_string(b"x\"").is_none());
        assert_eq!(quoted_string("\"é\"".as_bytes()).unwrap().first_non_ascii, Some(1));
        assert_eq!(quoted_string(b"\"a\x01\t\"").unwrap().first_control, Some(2));
    }

    #[test]
    fn trimming() {
        assert_eq!(trim(b" \t a b \t"), (&b"a b"[..], 3));
        assert_eq!(trim(b"  "), (&b""[..], 2));
    }
}
