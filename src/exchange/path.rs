//! Where an exchange stands on its path: which request it is at the other taps.

use bytes::Bytes;
use ulid::Ulid;

/// How an exchange hangs together with those of other taps.
#[derive(Clone)]
pub struct OnPath {
    /// The same for one request at all taps: the id of its exchange at the first one.
    pub id: Ulid,
    /// The exchange at the tap before, where a hop header told of it.
    pub parent: Option<Ulid>,
    /// Whether the tap sent a hop header on.
    pub is_announced: bool,
    /// What the tap before wrote, if it runs in another process: the hop header's value, which was found to be genuine.
    pub before: Option<Bytes>,
    /// What the tap behind wrote into the answer, if it runs in another process. Likewise.
    pub behind: Option<Bytes>,
    /// Why a hop header that came with the request was not believed.
    pub distrusted: Option<&'static str>,
}

impl OnPath {
    /// An exchange that begins a path.
    pub fn first(id: Ulid) -> Self {
        OnPath { id, parent: None, is_announced: false, before: None, behind: None, distrusted: None }
    }

    /// How much memory it takes beside itself.
    pub fn memory(&self) -> usize {
        self.before.as_ref().map_or(0, Bytes::len) + self.behind.as_ref().map_or(0, Bytes::len)
    }
}

/// Which of a process's taps a tap is, in the order in which a request passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

impl Position {
    /// The only tap of its process.
    pub const ALONE: Self = Position { index: 0, of: 1 };

    /// Whether no other tap of the process comes behind it.
    pub fn is_last(self) -> bool {
        self.index + 1 >= self.of
    }
}
