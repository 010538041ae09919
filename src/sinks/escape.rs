//! Text that came from peers, made safe for a terminal and a log file.

use std::fmt::Write;

use crate::exchange::record::is_unprintable;

/// The text with every character that a terminal could act on written as an escape: controls, C1, bidirectional marks,
/// line separators, and what has no width.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => {
                // Writing to a String can't fail.
                let _ = write!(shown, "\\x{:02x}", u32::from(char));
            }
            char if is_unprintable(char) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(char));
            }
            char => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        assert_eq!(printable("a\x1b[31mb\r\n\u{9b}0m\u{202e}c\u{7f}"), "a\\x1b[31mb\\r\\n\\x9b0m\\u{202e}c\\x7f");
        assert_eq!(printable("naïve ✓"), "naïve ✓");
    }
}
