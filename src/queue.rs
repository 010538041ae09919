//! The bounded queue between the data path and diagnosis.
//!
//! Whoever puts an exchange in never waits: when the queue is full, by count or by bytes, the exchange is dropped and
//! counted. A debugging tool may lose a record, but must say so.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use ulid::Ulid;

use crate::exchange::Exchange;

/// The end that the data path holds.
#[derive(Clone)]
pub struct Outlet {
    sender: SyncSender<Passed>,
    shared: Arc<Shared>,
}

/// What passes through the queue.
enum Passed {
    Exchange(Box<Exchange>),
    Arrival(Arrival),
}

/// That a request which an earlier tap has announced arrived at a later one of the same process. Its exchange follows when
/// it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The path's id.
    pub path: Ulid,
    /// The exchange at the tap before.
    pub parent: Ulid,
    /// The number of the tap at which it arrived.
    pub tap: usize,
}

/// The end that diagnosis holds.
pub struct Inlet {
    receiver: Receiver<Passed>,
    shared: Arc<Shared>,
    /// Bytes that were taken out, and of which the other end does not know yet.
    taken: Cell<usize>,
}

/// What was lost, to be asked for at any time.
#[derive(Clone)]
pub struct Losses(Arc<Shared>);

struct Shared {
    bytes: Apart<AtomicUsize>,
    most_bytes: usize,
    dropped: AtomicU64,
    /// Arrivals for which there was no room.
    unsaid: AtomicU64,
    /// How often the inlet was asked.
    asked: Apart<AtomicU64>,
}

/// Something that shares no line of a processor's cache with anything else: one end writes it at every turn.
#[repr(align(128))]
struct Apart<T>(T);

/// Part of the bytes of a queue that may be taken out before the other end is told, so that the two meet seldom.
const UNTOLD: usize = 64;

/// A queue of at most `exchanges` exchanges that together take at most `bytes` bytes.
pub fn bounded(exchanges: usize, bytes: usize) -> (Outlet, Inlet, Losses) {
    let (sender, receiver) = sync_channel(exchanges);
    let shared = Arc::new(Shared {
        bytes: Apart(AtomicUsize::new(0)),
        most_bytes: bytes,
        dropped: AtomicU64::new(0),
        unsaid: AtomicU64::new(0),
        asked: Apart(AtomicU64::new(0)),
    });
    let outlet = Outlet { sender, shared: shared.clone() };
    let inlet = Inlet { receiver, shared: shared.clone(), taken: Cell::new(0) };
    (outlet, inlet, Losses(shared))
}

impl Outlet {
    /// Puts an exchange in, or counts it as dropped. Never waits.
    pub fn put(&self, exchange: Box<Exchange>) {
        let size = exchange.memory();
        let before = self.shared.bytes.0.fetch_add(size, Ordering::Relaxed);
        if before + size <= self.shared.most_bytes {
            match self.sender.try_send(Passed::Exchange(exchange)) {
                Ok(()) => return,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
        self.shared.bytes.0.fetch_sub(size, Ordering::Relaxed);
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that an announced request arrived, or counts that it could not be said.
    pub fn arrived(&self, arrival: Arrival) {
        if self.sender.try_send(Passed::Arrival(arrival)).is_err() {
            self.shared.unsaid.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What came of waiting at the [`Inlet`].
pub enum Next {
    /// An exchange.
    Exchange(Box<Exchange>),
    /// That one began at a later tap of its path.
    Arrival(Arrival),
    /// Nothing, in the time given.
    Nothing,
    /// Nothing, and nothing will: every outlet is gone.
    Closed,
}

impl Inlet {
    /// The next exchange, if there is one already.
    pub fn try_next(&self) -> Next {
        self.shared.asked.0.fetch_add(1, Ordering::Relaxed);
        match self.receiver.try_recv() {
            Ok(passed) => self.take(passed),
            Err(TryRecvError::Empty) => {
                self.tell();
                Next::Nothing
            }
            Err(TryRecvError::Disconnected) => Next::Closed,
        }
    }

    /// The next exchange, for which it waits at most `patience`.
    pub fn next(&self, patience: Duration) -> Next {
        self.tell();
        match self.receiver.recv_timeout(patience) {
            Ok(passed) => self.take(passed),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Closed,
        }
    }

    fn take(&self, passed: Passed) -> Next {
        let exchange = match passed {
            Passed::Exchange(exchange) => exchange,
            Passed::Arrival(arrival) => return Next::Arrival(arrival),
        };
        self.taken.set(self.taken.get() + exchange.memory());
        if self.taken.get() >= self.shared.most_bytes / UNTOLD {
            self.tell();
        }
        Next::Exchange(exchange)
    }

    /// Tells the other end of the room that there is.
    fn tell(&self) {
        self.shared.bytes.0.fetch_sub(self.taken.take(), Ordering::Relaxed);
    }
}

impl Losses {
    /// How many exchanges were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// A number that grows as long as whoever takes exchanges out comes back for more.
    pub fn heartbeat(&self) -> u64 {
        self.0.asked.0.load(Ordering::Relaxed)
    }

    /// How often something was lost so far, exchanges and news of arrivals: when this grows, what is not here may have been.
    pub fn all(&self) -> u64 {
        self.dropped() + self.0.unsaid.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::transcript;

    fn exchange(target: &str) -> Box<Exchange> {
        Box::new(transcript::parse(&format!("> GET {target} HTTP/1.1\n< HTTP/1.1 200 OK\n")).unwrap().remove(0))
    }

    #[test]
    fn room_is_told_in_pieces_and_when_nothing_is_left() {
        let size = exchange("/").memory();
        let many = 4 * UNTOLD;
        let (outlet, inlet, losses) = bounded(2 * many, size * many);
        (0..many + 1).for_each(|_| outlet.put(exchange("/")));
        assert_eq!(losses.dropped(), 1);
        // What was taken out is told when it is worth it,
        inlet.try_next();
        outlet.put(exchange("/"));
        assert_eq!(losses.dropped(), 2);
        (0..many / UNTOLD).for_each(|_| drop(inlet.try_next()));
        outlet.put(exchange("/"));
        assert_eq!(losses.dropped(), 2);
        // and when there is no more.
        while matches!(inlet.try_next(), Next::Exchange(_)) {}
        (0..many + 1).for_each(|_| outlet.put(exchange("/")));
        assert_eq!(losses.dropped(), 3);
        while matches!(inlet.next(Duration::ZERO), Next::Exchange(_)) {}
        (0..many + 1).for_each(|_| outlet.put(exchange("/")));
        assert_eq!(losses.dropped(), 4);
    }

    /// Nobody takes anything out, as where a rule does not come to its end.
    #[test]
    fn a_full_queue_loses_exchanges_counts_them_and_holds_nobody_up() {
        let (by_count, _inlet, losses) = bounded(3, 1 << 20);
        (0..10).for_each(|_| by_count.put(exchange("/")));
        assert_eq!((losses.dropped(), losses.all()), (7, 7));
        by_count.arrived(Arrival { path: Ulid::nil(), parent: Ulid::nil(), tap: 0 });
        assert_eq!((losses.dropped(), losses.all()), (7, 8));

        let size = exchange("/").memory();
        let (by_bytes, inlet, losses) = bounded(1000, size * 5 / 2);
        (0..10).for_each(|_| by_bytes.put(exchange("/")));
        assert_eq!(losses.dropped(), 8);
        // What is taken out makes room.
        assert!(matches!(inlet.try_next(), Next::Exchange(_)));
        by_bytes.put(exchange("/"));
        assert_eq!(losses.dropped(), 8);
        let beat = losses.heartbeat();
        inlet.try_next();
        assert!(losses.heartbeat() > beat);
    }
}
