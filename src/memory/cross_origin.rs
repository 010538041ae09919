//! Which places answer which origins with the fields that let a script read the answer.

use jiff::Timestamp;

use super::hashes::Hashes;
use super::table::{Bounded, Table};
use crate::exchange::View;

/// Entries of the table.
const ENTRIES: usize = 4096;

/// An answer that a script of the same origin could read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readable {
    /// When the request came.
    pub time: Timestamp,
    /// Its status.
    pub status: u16,
    /// Whether it was a preflight.
    pub is_preflight: bool,
}

/// All of them: bounded like all that is remembered.
pub(super) struct CrossOrigin {
    readable: Table<u64, Option<Readable>>,
    hashes: Hashes,
}

impl Default for CrossOrigin {
    fn default() -> Self {
        CrossOrigin { readable: Table::new(ENTRIES), hashes: Hashes::default() }
    }
}

impl CrossOrigin {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.readable]
    }

    /// The last success on this exchange's route that its origin could read; of a preflight and of another request the latter.
    pub(super) fn readable(&self, view: &View<'_>) -> Option<Readable> {
        self.readable.get(&self.place(view)?).copied().flatten()
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        let (Some(place), Some(response)) = (self.place(view), view.response()) else { return };
        if !(200..300).contains(&response.status) {
            return;
        }
        let allowed = response.head.value("access-control-allow-origin").map(<[u8]>::trim_ascii);
        if allowed.is_none_or(|allowed| allowed != b"*" && Some(allowed) != view.request().value("origin")) {
            return;
        }
        let is_preflight = view.is_preflight();
        let known = self.readable.entry(place);
        if is_preflight && known.is_some_and(|known| !known.is_preflight) {
            return;
        }
        *known = Some(Readable { time: view.exchange().time, status: response.status, is_preflight });
    }

    fn place(&self, view: &View<'_>) -> Option<u64> {
        let origin = view.request().value("origin")?;
        Some(self.hashes.of((view.route(), self.hashes.of_text(origin))))
    }
}
