//! What a word looks like: a name, a number, an id, or something that was made at random and may be a secret.

use super::redact::Redactor;

/// Whether a value has the form of an id in logs: hexadecimal digits in parts, with nothing else beside them.
pub(super) fn is_id(value: &[u8]) -> bool {
    let is_part = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
    (8..=64).contains(&value.len()) && value.split(|byte| matches!(byte, b'-' | b':')).all(is_part)
}

/// Whether a text has something in it that is written otherwise between quotes.
pub(super) fn has_escapes(text: &str) -> bool {
    !text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

/// Whether the secret is not a word that a text has anyway: to mask each "password" would tell whose password it is.
pub(super) fn is_no_word(secret: &str) -> bool {
    let is_word = secret.len() < Redactor::SHORT && secret.bytes().all(|byte| byte.is_ascii_alphabetic());
    secret.len() >= 6 && !is_word
}

/// What a token can be made of, and a word with it.
pub(super) fn is_of_word(char: char) -> bool {
    char.is_alphanumeric()
        || matches!(char, '-' | '_' | '.' | '+' | '/' | '=' | '~' | '%' | '!' | '$' | '*' | '^' | '@')
}

/// Whether a word is short and has the look of a name or a number, not of something that was made at random.
///
/// Digits between letters, capitals in odd places and length all speak for a secret; a hyphenated name, a number and a
/// version do not.
pub(super) fn is_plain(word: &str, most: usize) -> bool {
    // At the end of a sentence or of a name with an equals sign.
    let inner = word.trim_end_matches(['=', '!', '*']);
    let is_odd = |byte| matches!(byte, b'=' | b'%' | b'+' | b'!' | b'$' | b'*' | b'^');
    let is_between = |byte: &u8| matches!(byte, b'-' | b'_' | b'.' | b'/' | b'~' | b':' | b',' | b'@');
    word.len() <= most && !inner.bytes().any(is_odd) && !word.as_bytes().split(is_between).any(looks_made)
}

/// Whether a stretch of letters and digits has the look of something that was made at random.
pub(super) fn looks_made(part: &[u8]) -> bool {
    if part.len() < 8 {
        return false;
    }
    let count = |is: fn(&u8) -> bool| part.iter().filter(|byte| is(byte)).count();
    let digits = count(u8::is_ascii_digit);
    // `AzureApiManagementKey` turns as often as what was made at random, and has fewer capitals.
    let is_name = digits == 0 && count(u8::is_ascii_uppercase) <= part.len() / 4;
    if part.len() > 24 || is_name || count(u8::is_ascii_alphabetic) == 0 {
        return part.len() > 24;
    }
    let turns = part.windows(2).filter(|pair| match pair {
        [before, byte] => before.is_ascii_digit() != byte.is_ascii_digit() || is_odd_capital(*before, *byte),
        _ => false,
    });
    let turns = turns.count();
    turns > 3 || (digits > 2 && turns > 2)
}

fn is_odd_capital(before: u8, after: u8) -> bool {
    before.is_ascii_uppercase() && after.is_ascii_lowercase()
}
