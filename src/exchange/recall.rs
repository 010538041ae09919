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
            self.forget();
        }
        if let Some(made) = make() {
            self.bytes += size;
            self.kept.insert(hash, (line.into(), made));
        }
    }

    /// Forgets all of it.
    pub(super) fn forget(&mut self) {
        self.kept = HashMap::default();
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
