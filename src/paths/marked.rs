//! Things with marks, in the order in which they came, found again by what they have in common with others.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use crate::hops::join::Marks;

/// How many candidates are looked at for one request. Where more look alike, nothing tells them apart anyway.
const CANDIDATES: usize = 64;

/// The place of a thing: its number among all that ever came.
pub(super) type Serial = u64;

/// Things with their marks.
pub(super) struct Marked<T> {
    /// Those that were taken out from the middle have left a gap.
    things: VecDeque<Option<(Marks, T)>>,
    first: Serial,
    count: usize,
    by_key: HashMap<u64, VecDeque<Serial>>,
    hashes: RandomState,
}

impl<T> Marked<T> {
    pub(super) fn new() -> Self {
        Marked { things: VecDeque::new(), first: 0, count: 0, by_key: HashMap::new(), hashes: RandomState::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, marks: Marks, thing: T) -> Serial {
        let serial = self.first + self.things.len() as u64;
        for key in self.keys(&marks) {
            self.by_key.entry(key).or_default().push_back(serial);
        }
        self.things.push_back(Some((marks, thing)));
        self.count += 1;
        serial
    }

    pub(super) fn get(&self, serial: Serial) -> Option<&(Marks, T)> {
        let at = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        self.things.get(at)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, serial: Serial) -> Option<&mut T> {
        let at = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        self.things.get_mut(at)?.as_mut().map(|(_, thing)| thing)
    }

    pub(super) fn remove(&mut self, serial: Serial) -> Option<T> {
        let at = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        let (marks, thing) = self.things.get_mut(at)?.take()?;
        self.count -= 1;
        for key in self.keys(&marks) {
            if let Some(serials) = self.by_key.get_mut(&key) {
                serials.retain(|known| *known != serial);
                if serials.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
        while let Some(None) = self.things.front() {
            self.things.pop_front();
            self.first += 1;
        }
        Some(thing)
    }

    /// The oldest one that is there.
    pub(super) fn oldest(&self) -> Option<(Serial, &T)> {
        // Gaps never stand at the front.
        self.things.front().and_then(Option::as_ref).map(|(_, thing)| (self.first, thing))
    }

    /// The first one from there on.
    pub(super) fn from(&self, serial: Serial) -> Option<(Serial, &T)> {
        let skipped = usize::try_from(serial.saturating_sub(self.first)).ok()?;
        let things = self.things.iter().enumerate().skip(skipped);
        things.filter_map(|(at, thing)| Some((self.first + at as u64, &thing.as_ref()?.1))).next()
    }

    /// Those that came last, the last one first.
    pub(super) fn latest(&self) -> impl Iterator<Item = &(Marks, T)> {
        self.things.iter().rev().filter_map(Option::as_ref).take(CANDIDATES)
    }

    /// Those that have a mark in common with `marks`, in their order.
    pub(super) fn candidates(&self, marks: &Marks) -> Vec<Serial> {
        let keys = self.keys(marks);
        let of_key =
            |key: &u64| self.by_key.get(key).into_iter().flat_map(|serials| serials.iter().rev().take(CANDIDATES));
        let mut found: Vec<Serial> = keys.iter().flat_map(of_key).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn keys(&self, marks: &Marks) -> Vec<u64> {
        // A prefix may be put before a path, but its end stays.
        let end = marks.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let looks = self.hashes.hash_one((&marks.method, end));
        let ids = marks.traces.iter().chain(&marks.ids).map(|id| self.hashes.hash_one(id));
        std::iter::once(looks).chain(ids).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::transcript;

    fn marks(path: &str, id: &str) -> Marks {
        let text = format!("> GET {path} HTTP/1.1\n> X-Request-Id: {id}\n< HTTP/1.1 200 OK\n");
        Marks::of(&transcript::parse(&text).unwrap()[0])
    }

    #[test]
    fn things_are_found_by_the_end_of_their_path_or_by_an_id() {
        let mut things = Marked::new();
        let one = things.push(marks("/api/a", "0123456789"), "one");
        let two = things.push(marks("/b", "9876543210"), "two");
        assert_eq!(things.candidates(&marks("/a", "-")), [one]);
        assert_eq!(things.candidates(&marks("/c", "9876543210")), [two]);
        assert_eq!(things.candidates(&marks("/b", "0123456789")), [one, two]);
        assert_eq!(things.remove(one), Some("one"));
        assert!(things.candidates(&marks("/a", "0123456789")).is_empty());
        assert_eq!((things.len(), things.oldest(), things.from(0)), (1, Some((two, &"two")), Some((two, &"two"))));
        assert_eq!(things.remove(one), None);
    }

    #[test]
    fn nothing_is_left_of_what_was_taken_out() {
        let mut things = Marked::new();
        let serials: Vec<Serial> =
            (0..100).map(|number| things.push(marks(&format!("/{number}"), "0123456789"), number)).collect();
        assert_eq!(things.candidates(&marks("/x", "0123456789")).len(), CANDIDATES);
        for serial in serials.iter().rev() {
            assert!(things.remove(*serial).is_some());
        }
        assert!(things.by_key.is_empty() && things.things.is_empty());
    }
}
