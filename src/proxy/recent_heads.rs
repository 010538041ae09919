//! The heads that came last on a thread's connections: most clients send the same one again, and most servers answer it with
//! the same one, and what is known of a head need not be found out twice.
//!
//! There is one for each of so many places, which connections share; one of HTTP/2, on which many requests pass side by side,
//! has as many as come. They go with their connection, and all of them go when a second passes in which none of the thread's
//! connections has a use for one: there are credentials among them.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use foldhash::fast::RandomState;
use hyper::http::HeaderMap;

use super::passed::fields;
use crate::wire::RawHead;

/// How many are kept in each direction. More connections than that take each other's places.
const KEPT: usize = 256;

/// Nothing larger is kept, in bytes of memory.
const LARGEST: usize = 4 * 1024;

/// How long they are kept while nothing comes.
const SILENCE: Duration = Duration::from_secs(1);

thread_local! {
    static RECENT: RefCell<Recent> = RefCell::new(Recent::default());
}

/// The head of the request that came last on the connection of that number, or on another one that has its place.
pub(super) fn request(connection: u64) -> Option<RawHead> {
    RECENT.with_borrow_mut(|recent| recent.get(Recent::requests, place(connection)))
}

/// The same of an answer.
pub(super) fn response(connection: u64) -> Option<RawHead> {
    RECENT.with_borrow_mut(|recent| recent.get(Recent::responses, place(connection)))
}

/// Keeps the head of a request, as it was read.
pub(super) fn keep_request(connection: u64, head: &RawHead) {
    keep(Recent::requests, place(connection), connection, head);
}

/// The same of an answer.
pub(super) fn keep_response(connection: u64, head: &RawHead) {
    keep(Recent::responses, place(connection), connection, head);
}

/// The head of a request of HTTP/2 that came so: the one that says the same, or a new one, which is kept.
pub(super) fn http2_request(connection: u64, start_line: &str, headers: &HeaderMap) -> RawHead {
    of_fields(Recent::http2_requests, connection, start_line, headers)
}

/// The same of the answer to one.
pub(super) fn http2_response(connection: u64, start_line: &str, headers: &HeaderMap) -> RawHead {
    of_fields(Recent::http2_responses, connection, start_line, headers)
}

/// Forgets the heads of a connection that has ended.
pub(super) fn forget(connection: u64) {
    // A connection may end while its thread does.
    let _ = RECENT.try_with(|recent| recent.try_borrow_mut().map(|mut recent| recent.forget(connection)));
}

/// The same of one of HTTP/2.
pub(super) fn forget_http2(connection: u64) {
    let _ = RECENT.try_with(|recent| recent.try_borrow_mut().map(|mut recent| recent.forget_http2(connection)));
}

fn of_fields(direction: Direction, connection: u64, start_line: &str, headers: &HeaderMap) -> RawHead {
    let (place, known) = RECENT.with_borrow_mut(|recent| {
        let place = place_of(&recent.hashes, start_line, headers);
        (place, recent.get(direction, place))
    });
    let head = match known {
        Some(known) if known.says(start_line, fields(headers)) => known,
        _ => RawHead::from_fields(start_line, fields(headers)),
    };
    keep(direction, place, connection, &head);
    head
}

fn keep(direction: Direction, place: usize, connection: u64, head: &RawHead) {
    let is_watched = RECENT.with_borrow_mut(|recent| {
        recent.put(direction, place, connection, head);
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

#[derive(Default)]
struct Recent {
    requests: Places,
    responses: Places,
    http2_requests: Places,
    http2_responses: Places,
    /// Finds the places of HTTP/2's.
    hashes: RandomState,
    /// Whether any was asked for or kept since it was looked at last.
    is_used: bool,
    /// Whether somebody looks for silence.
    is_watched: bool,
}

impl Recent {
    fn requests(&mut self) -> &mut Places {
        &mut self.requests
    }

    fn responses(&mut self) -> &mut Places {
        &mut self.responses
    }

    fn http2_requests(&mut self) -> &mut Places {
        &mut self.http2_requests
    }

    fn http2_responses(&mut self) -> &mut Places {
        &mut self.http2_responses
    }

    fn get(&mut self, direction: Direction, place: usize) -> Option<RawHead> {
        self.is_used = true;
        let (_, head) = direction(self).get(place)?.as_ref()?;
        Some(head.clone())
    }

    fn put(&mut self, direction: Direction, place: usize, connection: u64, head: &RawHead) {
        self.is_used = true;
        let places = direction(self);
        if places.is_empty() {
            places.resize(KEPT, None);
        }
        let Some(kept) = places.get_mut(place) else { return };
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

    fn forget_http2(&mut self, connection: u64) {
        for kept in self.http2_requests.iter_mut().chain(&mut self.http2_responses) {
            kept.take_if(|(owner, _)| *owner == connection);
        }
    }

    /// Forgets all of them if none was used since the last time. Says whether it did.
    fn forget_unused(&mut self) -> bool {
        if std::mem::take(&mut self.is_used) {
            return false;
        }
        *self = Recent::default();
        true
    }
}

fn place(connection: u64) -> usize {
    connection as usize % KEPT
}

fn place_of(hashes: &RandomState, start_line: &str, headers: &HeaderMap) -> usize {
    let mut hasher = hashes.build_hasher();
    hasher.write(start_line.as_bytes());
    for (_, value) in fields(headers) {
        hasher.write(value);
    }
    hasher.finish() as usize % KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str) -> RawHead {
        RawHead::from_fields(&format!("GET {target} HTTP/1.1"), std::iter::empty())
    }

    fn targets(recent: &mut Recent) -> [Option<String>; 3] {
        let target = |head: RawHead| String::from_utf8_lossy(head.request_line().target).into_owned();
        [1, 2, 3].map(|connection| recent.get(Recent::requests, place(connection)).map(target))
    }

    #[test]
    fn the_last_one_of_a_place_is_kept_and_has_a_bound() {
        let mut recent = Recent::default();
        assert_eq!(targets(&mut recent), [None, None, None]);
        for (connection, target) in [(1, "/a"), (2, "/b"), (1, "/c"), (2 + KEPT as u64, "/d")] {
            recent.put(Recent::requests, place(connection), connection, &head(target));
        }
        assert_eq!(targets(&mut recent), [Some("/c".to_owned()), Some("/d".to_owned()), None]);
        assert_eq!((recent.requests.len(), recent.responses.len()), (KEPT, 0));
        // What is too large or not whole is not kept, and neither is what it follows.
        recent.put(Recent::requests, place(1), 1, &head(&"x".repeat(LARGEST)));
        recent.put(Recent::requests, place(2), 2, &head("/e").incomplete());
        assert_eq!(targets(&mut recent), [None, None, None]);
    }

    #[test]
    fn they_go_with_their_connection_and_in_silence() {
        let mut recent = Recent::default();
        for direction in [Recent::requests as Direction, Recent::responses] {
            recent.put(direction, place(1), 1, &head("/a"));
            recent.put(direction, place(2), 2 + KEPT as u64, &head("/b"));
        }
        // Another connection has its place.
        recent.forget(2);
        recent.forget(1);
        assert_eq!(targets(&mut recent), [None, Some("/b".to_owned()), None]);
        let mut is_kept = |connection| recent.get(Recent::responses, place(connection)).is_some();
        assert!(!is_kept(1) && is_kept(2));
        assert!(!recent.forget_unused());
        assert!(recent.forget_unused());
        assert_eq!(targets(&mut recent), [None, None, None]);
    }

    #[test]
    fn a_head_of_http2_is_the_same_one_as_long_as_it_says_the_same() {
        let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let line = "GET / HTTP/2";
        let sent = headers(&[("authorization", "Bearer a"), ("accept", "b")]);
        let first = RawHead::from_fields(line, fields(&sent));
        for (line, others) in [
            ("GET /b HTTP/2", sent.clone()),
            (line, headers(&[("authorization", "Bearer a")])),
            (line, headers(&[("authorization", "Bearer b"), ("accept", "b")])),
            (line, headers(&[("authorization", "Bearer a"), ("accept-language", "b")])),
            (line, headers(&[("authorization", "Bearer a"), ("accept", "b"), ("x", "")])),
        ] {
            assert!(!first.says(line, fields(&others)));
        }
        assert!(first.says(line, fields(&sent)));

        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let first = http2_request(1, line, &sent).number();
            let other = http2_request(1, line, &headers(&[("authorization", "Bearer b")]));
            assert_eq!(http2_request(1, line, &sent).number(), first);
            assert_eq!(http2_request(2, line, &sent).number(), first);
            assert_eq!(http2_response(2, line, &sent).fields().len(), 2);
            assert!(other.is_shared());
            // They go with the connection that had them last.
            forget_http2(1);
            assert!(!other.is_shared());
            assert!(RECENT.with_borrow(|recent| recent.http2_requests.iter().flatten().count() == 1));
            forget_http2(2);
            RECENT.with_borrow(|recent| {
                assert_eq!(recent.http2_requests.iter().chain(&recent.http2_responses).flatten().count(), 0);
            });
        });
    }
}
