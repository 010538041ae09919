//! Phrases that are looked for together. Nearly always none of them is there, and one pass over the text tells that: a page
//! that refuses may have some thousand characters, and a search for each of a hundred phrases would take longer than all the
//! rest of a diagnosis.

use std::borrow::Cow;
use std::sync::OnceLock;

use aho_corasick::packed::{Config, Searcher};

/// How many of them are looked for in one pass. With more of them, too much looks like the beginning of one.
const AT_ONCE: usize = 32;

/// A list of phrases.
pub(super) struct Phrases {
    list: Cow<'static, [&'static str]>,
    /// Each finds any of some of them; there are none where the processor has no instructions for that.
    any: OnceLock<Option<Vec<Searcher>>>,
}

impl Phrases {
    /// Phrases that are looked for as they are written.
    pub(super) const fn of(list: &'static [&'static str]) -> Self {
        Phrases { list: Cow::Borrowed(list), any: OnceLock::new() }
    }

    /// The same of what is not written as a list.
    pub(super) fn of_each(phrases: impl Iterator<Item = &'static str>) -> Self {
        Phrases { list: phrases.collect(), any: OnceLock::new() }
    }

    fn any(&self) -> Option<&[Searcher]> {
        let searchers = || self.list.chunks(AT_ONCE).map(|some| Config::new().builder().extend(some).build()).collect();
        self.any.get_or_init(searchers).as_deref()
    }

    /// Those that are in a text: each with its place in the list.
    pub(super) fn all_in<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (usize, &'static str)> + 't {
        let may_be_there = self.any().is_none_or(|any| any.iter().any(|some| some.find(text).is_some()));
        let looked_for = if may_be_there { &*self.list } else { &[] };
        looked_for.iter().copied().enumerate().filter(|(_, phrase)| text.contains(phrase))
    }

    /// The first of the list that is in a text.
    pub(super) fn first_in(&self, text: &str) -> Option<&'static str> {
        self.all_in(text).map(|(_, phrase)| phrase).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_list_is_found_wherever_it_stands() {
        let phrases = Phrases::of(&["no token", "token", "a no"]);
        assert_eq!(phrases.first_in("there is a token, and a no token"), Some("no token"));
        assert_eq!(phrases.first_in("the token, a no"), Some("token"));
        assert_eq!(phrases.all_in("a no token").count(), 3);
        assert_eq!(phrases.all_in("a no.").collect::<Vec<_>>(), [(2, "a no")]);
        assert_eq!(phrases.first_in("nothing, and no Token"), None);
    }
}
