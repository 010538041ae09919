//! Read buffers, lent for as long as they hold something.
//!
//! A connection on which nothing happens holds no buffer: its task gives it back before it waits. All connections of a
//! thread share the few that are in use, which also keeps them in the processor's cache.

use std::cell::RefCell;

/// The size of a buffer. Large enough that a big body costs few calls, small enough to stay in the cache.
pub(super) const SIZE: usize = 64 * 1024;

/// How many idle buffers a thread keeps.
const KEPT: usize = 16;

thread_local! {
    static IDLE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer on loan, which goes back when it is dropped.
pub(super) struct Buffer(Option<Box<[u8]>>);

impl Buffer {
    pub(super) fn lend() -> Self {
        let idle = IDLE.with(|idle| idle.try_borrow_mut().ok().and_then(|mut idle| idle.pop()));
        Buffer(Some(idle.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice())))
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(buffer) = self.0.take() else { return };
        // A thread that ends has no list any more; then the buffer is just freed.
        let _ = IDLE.try_with(|idle| {
            if let Ok(mut idle) = idle.try_borrow_mut()
                && idle.len() < KEPT
            {
                idle.push(buffer);
            }
        });
    }
}
