//! Numbers with the words that belong to them.

use std::fmt::Display;

/// The number with its words: those for one, or those for any other number.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    let words = if count == N::from(1) { one } else { many };
    format!("{count} {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let said = [0_u64, 1, 2].map(|count| counted(count, "line was lost", "lines were lost"));
        assert_eq!(said, ["0 lines were lost", "1 line was lost", "2 lines were lost"]);
    }
}
