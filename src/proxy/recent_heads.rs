//! The heads that came last on a thread's connections: most clients send the same one again, and most servers answer it with
//! the same one, and what is known of a head need not be found out twice.
//!
//! There is one for each of so many places, which connections share. It goes with its connection, and all of them go when a
//! second passes in which none of the thread's connections has a use for one: there are credentials among them.

use std::cell::RefCell;
use std::time::Duration;

use crate::wire::RawHead;

/// How many are kept in each direction. More connections than that take each other's places.
const KEPT: usize = 256;

/// Nothing larger is kept, in bytes of memory.
const LARGEST: usize = 4 * 1024;

/// How long they are kept while nothing comes.
const SILENCE: Duration = Duration::from_secs(1);

thread_local! {
    static RECENT: RefCell<Recent> = const { RefCell::new(Recent::NONE) };
}

/// The head of the request that came last on the connection of that number, or on another one that has its place.
pub(super) fn request(connection: u64) -> Option<RawHead> {
    RECENT.with_borrow_mut(|recent| recent.get(Recent::requests, connection))
}

/// The same of an answer.
pub(super) fn response(connection: u64) -> Option<RawHead> {
    RECENT.with_borrow_mut(|recent| recent.get(Recent::responses, connection))
}

/// Keeps the head of a request, as it was read.
pub(super) fn keep_request(connection: u64, head: &RawHead) {
    keep(Recent::requests, connection, head);
}

/// The same of an answer.
pub(super) fn keep_response(connection: u64, head: &RawHead) {
    keep(Recent::responses, connection, head);
}

/// Forgets the heads of a connection that has ended.
pub(super) fn forget(connection: u64) {
    // A connection may end while its thread does.
    let _ = RECENT.try_with(|recent| recent.try_borrow_mut().map(|mut recent| recent.forget(connection)));
}

fn keep(direction: Direction, connection: u64, head: &RawHead) {
    let is_watched = RECENT.with_borrow_mut(|recent| {
        recent.put(direction, connection, head);
        recent.is_watched
    });
    // All of a thread's connections are served by one runtime.
    if !is_watched && let Ok(runtime) = tokio::runtime::Handle::try_current() {
        RECENT.with_borrow_mut(|recent| recent.is_watched = true);
        runtime.spawn(forget_in_silence());
    }
}

async fn forget_in_silence() {
    loop {
        tokio::time::sleep(SILENCE).await;
        if RECENT.with_borrow_mut(Recent::forget_unused) {
            return;
        }
    }
}

/// The heads of one direction, each with the number of its connection.
type Places = Vec<Option<(u64, RawHead)>>;

/// Gives those of one direction.
type Direction = fn(&mut Recent) -> &mut Places;

struct Recent {
    requests: Places,
    responses: Places,
    /// Whether any was asked for or kept since it was looked at last.
    is_used: bool,
    /// Whether somebody looks for silence.
    is_watched: bool,
}

impl Recent {
    const NONE: Recent = Recent { requests: Vec::new(), responses: Vec::new(), is_used: false, is_watched: false };

    fn requests(&mut self) -> &mut Places {
        &mut self.requests
    }

    fn responses(&mut self) -> &mut Places {
        &mut self.responses
    }

    fn get(&mut self, direction: Direction, connection: u64) -> Option<RawHead> {
        self.is_used = true;
        let (_, head) = direction(self).get(place(connection))?.as_ref()?;
        Some(head.clone())
    }

    fn put(&mut self, direction: Direction, connection: u64, head: &RawHead) {
        self.is_used = true;
        let places = direction(self);
        if places.is_empty() {
            places.resize(KEPT, None);
        }
        let Some(kept) = places.get_mut(place(connection)) else { return };
        match kept {
            Some((owner, known)) if known.number() == head.number() => *owner = connection,
            _ => *kept = (head.is_clean() && head.memory() <= LARGEST).then(|| (connection, head.clone())),
        }
    }

    fn forget(&mut self, connection: u64) {
        for places in [&mut self.requests, &mut self.responses] {
            if let Some(kept) = places.get_mut(place(connection)) {
                kept.take_if(|(owner, _)| *owner == connection);
            }
        }
    }

    /// Forgets all of them if none was used since the last time. Says whether it did.
    fn forget_unused(&mut self) -> bool {
        if std::mem::take(&mut self.is_used) {
            return false;
        }
        *self = Recent::NONE;
        true
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

    fn targets(recent: &mut Recent) -> [Option<String>; 3] {
        let target = |head: RawHead| String::from_utf8_lossy(head.request_line().target).into_owned();
        [1, 2, 3].map(|connection| recent.get(Recent::requests, connection).map(target))
    }

    #[test]
    fn the_last_one_of_a_place_is_kept_and_has_a_bound() {
        let mut recent = Recent::NONE;
        assert_eq!(targets(&mut recent), [None, None, None]);
        for (connection, target) in [(1, "/a"), (2, "/b"), (1, "/c"), (2 + KEPT as u64, "/d")] {
            recent.put(Recent::requests, connection, &head(target));
        }
        assert_eq!(targets(&mut recent), [Some("/c".to_owned()), Some("/d".to_owned()), None]);
        assert_eq!((recent.requests.len(), recent.responses.len()), (KEPT, 0));
        // What is too large or not whole is not kept, and neither is what it follows.
        recent.put(Recent::requests, 1, &head(&"x".repeat(LARGEST)));
        recent.put(Recent::requests, 2, &head("/e").incomplete());
        assert_eq!(targets(&mut recent), [None, None, None]);
    }

    #[test]
    fn they_go_with_their_connection_and_in_silence() {
        let mut recent = Recent::NONE;
        for direction in [Recent::requests as Direction, Recent::responses] {
            recent.put(direction, 1, &head("/a"));
            recent.put(direction, 2 + KEPT as u64, &head("/b"));
        }
        // Another connection has its place.
        recent.forget(2);
        recent.forget(1);
        assert_eq!(targets(&mut recent), [None, Some("/b".to_owned()), None]);
        assert!(recent.get(Recent::responses, 1).is_none() && recent.get(Recent::responses, 2).is_some());
        assert!(!recent.forget_unused());
        assert!(recent.forget_unused());
        assert_eq!(targets(&mut recent), [None, None, None]);
    }
}
