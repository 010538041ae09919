//! The bytes of a head that may have to be edited, held until it is complete.

use crate::wire::edit::LineRemover;

/// What is held of a head in one direction. A head that is too large to be held passes as it comes, but for the lines that
/// have to be taken off in any case.
#[derive(Clone, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    remover: Option<LineRemover>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Holds more.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What was held, with `more` behind it.
    pub(super) fn take(&mut self, more: &[u8]) -> Vec<u8> {
        let mut held = std::mem::take(&mut self.bytes);
        held.extend_from_slice(more);
        held
    }

    /// Passes what was held and `more`, which are a part of a head, without the lines called `unwanted`.
    pub(super) fn pass_without(&mut self, unwanted: Option<&str>, more: &[u8], out: &mut Vec<u8>) {
        let held = self.take(more);
        match unwanted {
            Some(name) => self.remover.get_or_insert_with(|| LineRemover::new(name)).feed(&held, out),
            None => out.extend_from_slice(&held),
        }
    }

    /// All that is held, with `more` behind it; nothing where nothing is.
    pub(super) fn release(&mut self, more: &[u8]) -> Option<Vec<u8>> {
        if self.bytes.is_empty() && self.remover.is_none() {
            return None;
        }
        let mut out = Vec::new();
        self.end(&mut out);
        out.append(&mut self.take(more));
        Some(out)
    }

    /// Says that the head has come to its end; gives how many lines were taken off.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> usize {
        self.remover.take().map_or(0, |remover| remover.finish(out))
    }
}
