//! What was made of a line or a whole head, kept for when the same one comes again: most of what a client sends it sends each
//! time.
//!
//! What came is compared byte by byte, so that what is kept is never taken for something else. How much is kept is bounded, and
//! all of it is forgotten when nothing comes for a while, since there are credentials among it.

use std::collections::HashMap;
use std::hash::BuildHasher;

/// How many are kept; when there are more, all go, and what is in use is back at once.
pub(super) const MOST: usize = 512;
/// The bytes that they take together. Whoever makes something of them sees to it that it is not many times as large.
pub(super) const BYTES: usize = 512 * 1024;
/// Nothing larger is kept, in bytes.
pub(super) const LONGEST: usize = 8 * 1024;
/// Places in which it is noted that something came once. It is kept when it comes again, which dates and ids never do.
const NOTES: usize = 1024;

/// What came, and what was made of it.
pub(super) struct Recall<Made> {
    kept: HashMap<u64, (Box<[u8]>, Made), foldhash::fast::RandomState>,
    /// How much of [`BYTES`] is taken.
    bytes: usize,
    came: Box<[u64]>,
}

impl<Made> Default for Recall<Made> {
    fn default() -> Self {
        Recall { kept: HashMap::default(), bytes: 0, came: vec![0; NOTES].into_boxed_slice() }
    }
}

impl<Made: Clone> Recall<Made> {
    /// What was made of this.
    pub(super) fn get(&self, line: &[u8]) -> Option<Made> {
        if self.kept.is_empty() {
            return None;
        }
        let (known, made) = self.kept.get(&self.hash(line))?;
        (**known == *line).then(|| made.clone())
    }

    /// Notes that this came, and keeps what is made of it if it did so before.
    pub(super) fn note(&mut self, line: &[u8], make: impl FnOnce() -> Option<Made>) {
        self.note_sized(line, line.len(), make);
    }

    /// The same of something that stands for so many bytes.
    pub(super) fn note_sized(&mut self, line: &[u8], size: usize, make: impl FnOnce() -> Option<Made>) {
        let hash = self.hash(line);
        let Some(came) = self.came.get_mut(hash as usize % NOTES) else { return };
        if std::mem::replace(came, hash) == hash {
            self.keep_as(hash, line, size, make);
        }
    }

    /// Keeps what is made of this at once, since it is known to come again.
    pub(super) fn keep_sized(&mut self, line: &[u8], size: usize, make: impl FnOnce() -> Option<Made>) {
        self.keep_as(self.hash(line), line, size, make);
    }

    fn keep_as(&mut self, hash: u64, line: &[u8], size: usize, make: impl FnOnce() -> Option<Made>) {
        if size > LONGEST {
            return;
        }
        if self.kept.len() >= MOST || self.bytes + size > BYTES {
            self.make_room();
        }
        if let Some(made) = make() {
            self.bytes += size;
            self.kept.insert(hash, (line.into(), made));
        }
    }

    /// Forgets all of it.
    pub(super) fn forget(&mut self) {
        self.make_room();
        self.kept.shrink_to_fit();
        self.came.fill(0);
    }

    /// Forgets what is kept, but not that it came: what is in use is kept again when it comes next.
    fn make_room(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    fn hash(&self, line: &[u8]) -> u64 {
        self.kept.hasher().hash_one(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_kept_and_nothing_else() {
        let mut recall = Recall::default();
        recall.note(b"once", || Some(1));
        assert_eq!(recall.get(b"once"), None);
        recall.note(b"once", || Some(1));
        assert_eq!((recall.get(b"once"), recall.get(b"Once")), (Some(1), None));
        recall.forget();
        assert_eq!(recall.get(b"once"), None);
        recall.note(b"once", || Some(1));
        assert_eq!(recall.get(b"once"), None);
    }

    #[test]
    fn what_comes_when_there_is_no_room_is_kept_and_what_is_in_use_is_back_at_once() {
        let mut recall = Recall::default();
        (0..2).for_each(|_| recall.note(b"in use", || Some(0)));
        for number in 1..MOST {
            recall.keep_sized(number.to_string().as_bytes(), 1, || Some(number));
        }
        assert_eq!((recall.kept.len(), recall.get(b"in use")), (MOST, Some(0)));
        recall.keep_sized(b"one more", 1, || Some(MOST));
        assert_eq!((recall.get(b"one more"), recall.get(b"in use")), (Some(MOST), None));
        recall.note(b"in use", || Some(0));
        assert_eq!(recall.get(b"in use"), Some(0));
    }

    #[test]
    fn it_has_a_bound() {
        let mut recall = Recall::default();
        for number in 0..10 * MOST {
            let line = number.to_string();
            recall.note(line.as_bytes(), || Some(number));
            recall.note(line.as_bytes(), || Some(number));
            assert!(recall.kept.len() <= MOST);
        }
        for number in 0..MOST {
            let line = format!("{number:0>LONGEST$}");
            recall.note(line.as_bytes(), || Some(number));
            recall.note(line.as_bytes(), || Some(number));
            assert!(recall.kept.values().map(|(line, _)| line.len()).sum::<usize>() <= BYTES);
        }
        recall.forget();
        for number in 0..MOST {
            recall.keep_sized(number.to_string().as_bytes(), LONGEST, || Some(number));
            assert!(recall.kept.len() * LONGEST <= BYTES);
        }
        let long = vec![b'x'; LONGEST + 1];
        recall.note(&long, || Some(0));
        recall.note(&long, || Some(0));
        assert_eq!(recall.get(&long), None);
    }
}
