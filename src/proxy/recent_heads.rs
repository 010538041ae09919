//! The heads that came last on a thread's connections: most clients send the same one again, and most servers answer it with
//! the same one, and what is known of a head need not be found out twice.
//!
//! A connection that is idle holds none of it: what there is belongs to the thread, and has a bound.

use std::cell::RefCell;

use crate::wire::RawHead;

/// How many are kept in each direction. More connections than that take each other's places.
const KEPT: usize = 256;

/// Nothing longer is kept, in bytes.
const LONGEST: usize = 4 * 1024;

thread_local! {
    static REQUESTS: RefCell<Recent> = const { RefCell::new(Recent(Vec::new())) };
    static RESPONSES: RefCell<Recent> = const { RefCell::new(Recent(Vec::new())) };
}

/// The head of the request that came last on the connection of that number, or on another one that has its place.
pub(super) fn request(connection: u64) -> Option<RawHead> {
    REQUESTS.with_borrow(|recent| recent.get(connection))
}

/// The same of an answer.
pub(super) fn response(connection: u64) -> Option<RawHead> {
    RESPONSES.with_borrow(|recent| recent.get(connection))
}

/// Keeps the head of a request, as it was read.
pub(super) fn keep_request(connection: u64, head: &RawHead) {
    REQUESTS.with_borrow_mut(|recent| recent.put(connection, head));
}

/// The same of an answer.
pub(super) fn keep_response(connection: u64, head: &RawHead) {
    RESPONSES.with_borrow_mut(|recent| recent.put(connection, head));
}

/// One head for each place.
struct Recent(Vec<Option<RawHead>>);

impl Recent {
    fn get(&self, connection: u64) -> Option<RawHead> {
        self.0.get(place(connection))?.clone()
    }

    fn put(&mut self, connection: u64, head: &RawHead) {
        if self.0.is_empty() {
            self.0.resize(KEPT, None);
        }
        if let Some(known) = self.0.get_mut(place(connection))
            && known.as_ref().is_none_or(|known| known.number() != head.number())
        {
            *known = (head.is_clean() && head.as_received().len() <= LONGEST).then(|| head.clone());
        }
    }
}

fn place(connection: u64) -> usize {
    connection as usize % KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str) -> RawHead {
        RawHead::from_fields(&format!("GET {target} HTTP/1.1"), std::iter::empty())
    }

    #[test]
    fn the_last_one_of_a_place_is_kept_and_has_a_bound() {
        let mut recent = Recent(Vec::new());
        assert!(recent.get(1).is_none());
        for (connection, target) in [(1, "/a"), (2, "/b"), (1, "/c"), (2 + KEPT as u64, "/d")] {
            recent.put(connection, &head(target));
        }
        let targets = [1, 2, 3].map(|place| recent.get(place).map(|head| head.request_line().target.to_vec()));
        assert_eq!(targets, [Some(b"/c".to_vec()), Some(b"/d".to_vec()), None]);
        assert_eq!(recent.0.len(), KEPT);
        // What is too long or not whole is not kept, and neither is what it follows.
        recent.put(1, &head(&"x".repeat(LONGEST)));
        recent.put(2, &head("/e").incomplete());
        assert!(recent.get(1).is_none() && recent.get(2).is_none());
    }
}
