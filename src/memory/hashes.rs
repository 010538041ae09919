//! Numbers that stand for several things at once, and for texts.

use std::hash::{BuildHasher, Hash, RandomState};

/// Makes the keys of tables. Those of one run are good for nothing in another.
#[derive(Default)]
pub(super) struct Hashes {
    keyed: foldhash::quality::RandomState,
    texts: RandomState,
}

impl Hashes {
    /// A number for several things. They are keyed hashes themselves, or there are few of them to choose from: it costs
    /// little, and does not withstand somebody who chooses them so that two look like one.
    pub(super) fn of(&self, parts: impl Hash) -> u64 {
        self.keyed.hash_one(parts)
    }

    /// A number for a text that may come from anybody.
    pub(super) fn of_text(&self, text: &[u8]) -> u64 {
        self.texts.hash_one(text)
    }
}
