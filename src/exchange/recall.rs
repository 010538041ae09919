//! What was made of a line or a whole head, kept for when the same one comes again: most of what a client sends it sends each
//! time.
//!
//! Lines are compared byte by byte, so that what is kept is never taken for another one. How many are kept is bounded, and
//! all of them are forgotten when nothing comes for a while, since there are credentials among them.

use std::collections::HashMap;
use std::hash::BuildHasher;

/// Lines that are kept; when there are more, all go, and what is in use is back at once.
const LINES: usize = 512;
/// No longer one is kept. Together with [`LINES`] it bounds the memory to 4 MiB, of which a usual line takes a hundredth.
pub(super) const LONGEST: usize = 8 * 1024;
/// Places in which it is noted that a line came once. It is kept when it comes again, which dates and ids never do.
const NOTES: usize = 1024;

/// Lines, and what was made of each of them.
pub(super) struct Recall<Made> {
    kept: HashMap<u64, (Box<[u8]>, Made), foldhash::fast::RandomState>,
    came: Box<[u64]>,
}

impl<Made> Default for Recall<Made> {
    fn default() -> Self {
        Recall { kept: HashMap::default(), came: vec![0; NOTES].into_boxed_slice() }
    }
}

impl<Made: Clone> Recall<Made> {
    /// What was made of that line.
    pub(super) fn get(&self, line: &[u8]) -> Option<Made> {
        if self.kept.is_empty() {
            return None;
        }
        let (known, made) = self.kept.get(&self.hash(line))?;
        (**known == *line).then(|| made.clone())
    }

    /// Notes that the line came, and keeps what is made of it if it did so before.
    pub(super) fn note(&mut self, line: &[u8], make: impl FnOnce() -> Option<Made>) {
        if line.len() > LONGEST {
            return;
        }
        let hash = self.hash(line);
        let Some(came) = self.came.get_mut(hash as usize % NOTES) else { return };
        if std::mem::replace(came, hash) != hash {
            return;
        }
        if self.kept.len() >= LINES {
            self.kept.clear();
        }
        if let Some(made) = make() {
            self.kept.insert(hash, (line.into(), made));
        }
    }

    /// Forgets all of it.
    pub(super) fn forget(&mut self) {
        self.kept = HashMap::default();
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
        for number in 0..10 * LINES {
            let line = number.to_string();
            recall.note(line.as_bytes(), || Some(number));
            recall.note(line.as_bytes(), || Some(number));
            assert!(recall.kept.len() <= LINES);
        }
        let long = vec![b'x'; LONGEST + 1];
        recall.note(&long, || Some(0));
        recall.note(&long, || Some(0));
        assert_eq!(recall.get(&long), None);
    }
}
