//! Text in lines of a given width.

/// Breaks a text at spaces into lines of at most `width` characters; a longer word stays whole on a line of its own. Line
/// breaks of the text stay, and so does the indentation of a line that is to be pasted.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let indent: String = paragraph.chars().take_while(|char| *char == ' ').collect();
        let mut line = indent.clone();
        for word in paragraph.split_whitespace() {
            let is_first = line.len() == indent.len();
            let length = line.chars().count() + usize::from(!is_first) + word.chars().count();
            if !is_first && length > width {
                lines.push(std::mem::replace(&mut line, indent.clone()));
            } else if !is_first {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// The text cut to `width` characters, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_wider_than_asked() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a\n  b cc ddd", 6), ["a", "  b cc", "  ddd"]);
        assert_eq!(wrap("incomprehensible", 4), ["incomprehensible"]);
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abc", 4), "abc");
    }
}
