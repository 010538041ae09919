//! One direction of a relayed connection: bytes from one stream to the other, with back-pressure.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffers::Buffer;
use super::stream::Stream;

/// What is to become of bytes that were read, as whoever reads along decides.
pub(super) enum Pass {
    /// They go on as they are.
    AsTheyAre,
    /// These go on in their place.
    Instead(Vec<u8>),
    /// The direction ends here, and nothing of them goes on.
    Stop,
}

/// Why a direction ended before its time.
pub(super) enum Broken {
    /// Reading failed.
    Source(io::Error),
    /// Writing failed.
    Sink,
    /// Whoever reads along said [`Pass::Stop`].
    Stopped,
}

/// What [`Flow::poll`] did.
pub(super) enum Moved {
    /// Bytes were read and have gone on.
    Bytes,
    /// The source has ended, and the sink was told.
    End,
}

/// One direction.
#[derive(Default)]
pub(super) struct Flow {
    buffer: Option<Buffer>,
    range: Range<usize>,
    instead: Vec<u8>,
    instead_at: usize,
    source_ended: bool,
    unflushed: bool,
}

impl Flow {
    /// Bytes that were read before the flow began, and now go first.
    pub(super) fn put(&mut self, bytes: Vec<u8>) {
        self.instead = bytes;
        self.instead_at = 0;
    }

    /// Whether all that was read has gone on.
    pub(super) fn is_drained(&self) -> bool {
        self.range.is_empty() && self.instead_at == self.instead.len()
    }

    /// Gives back the buffer of a flow that is not read from for now.
    pub(super) fn rest(&mut self) {
        if self.is_drained() {
            self.buffer = None;
        }
    }

    /// Moves one buffer's worth. `read` is shown all bytes before they go on, and the end as an empty slice.
    ///
    /// To be called until it is pending; whoever does may stop before, and then nothing is read beyond what has gone on.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        read: impl FnOnce(&[u8]) -> Pass,
    ) -> Poll<Result<Moved, Broken>> {
        if !self.is_drained() || self.unflushed {
            ready!(self.poll_drain(cx, to)).map_err(|_| Broken::Sink)?;
            return Poll::Ready(Ok(Moved::Bytes));
        }
        if self.source_ended {
            self.buffer = None;
            return Pin::new(to).poll_shutdown(cx).map(|result| result.map(|()| Moved::End).map_err(|_| Broken::Sink));
        }
        let buffer = self.buffer.get_or_insert_with(Buffer::lend);
        let mut space = ReadBuf::new(buffer.bytes());
        let Poll::Ready(result) = Pin::new(from).poll_read(cx, &mut space) else {
            self.buffer = None;
            return Poll::Pending;
        };
        match result {
            Ok(()) => {}
            // A peer that leaves TLS without saying so has ended its side like any other.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Poll::Ready(Err(Broken::Source(error))),
        }
        let bytes = space.filled();
        self.source_ended = bytes.is_empty();
        match read(bytes) {
            Pass::AsTheyAre => self.range = 0..bytes.len(),
            Pass::Instead(other) => self.put(other),
            Pass::Stop => return Poll::Ready(Err(Broken::Stopped)),
        }
        ready!(self.poll_drain(cx, to)).map_err(|_| Broken::Sink)?;
        Poll::Ready(Ok(Moved::Bytes))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        while let Some(bytes) = self.instead.get(self.instead_at..).filter(|rest| !rest.is_empty()) {
            self.instead_at += written(ready!(Pin::new(&mut *to).poll_write(cx, bytes)))?;
            self.unflushed = to.holds_back();
        }
        if self.instead_at > 0 {
            self.put(Vec::new());
        }
        if let Some(buffer) = &mut self.buffer {
            while let Some(bytes) = buffer.bytes().get(self.range.clone()).filter(|rest| !rest.is_empty()) {
                self.range.start += written(ready!(Pin::new(&mut *to).poll_write(cx, bytes)))?;
                self.unflushed = to.holds_back();
            }
        }
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

fn written(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        other => other,
    }
}
