//! Bodies on their way through hyper, and the recording that both of an exchange are counted in.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::http::HeaderMap;

use super::hyper_error::failure_of;
use super::recorder::Recording;
use crate::exchange::Outcome;
use crate::panics;
use crate::wire::RawHead;

/// A recording that both bodies of an exchange report to.
#[derive(Clone)]
pub(super) struct Shared(Arc<SharedRecording>);

struct SharedRecording {
    /// Says that the exchange is open, for as long as it is.
    _open: Arc<()>,
    recording: Mutex<Option<Recording>>,
    /// When the request had passed in whole.
    request_done: OnceLock<Instant>,
}

impl Shared {
    /// `open` is held until both bodies are gone. Without a recording they pass all the same.
    pub(super) fn new(recording: Option<Recording>, open: Arc<()>) -> Self {
        let recording = Mutex::new(recording);
        Shared(Arc::new(SharedRecording { _open: open, recording, request_done: OnceLock::new() }))
    }

    pub(super) fn with(&self, act: impl FnOnce(&mut Recording)) {
        if let Ok(mut guard) = self.0.recording.lock()
            && let Some(recording) = guard.as_mut()
            && panics::guarded(|| act(recording)).is_none()
        {
            // A fault must not reset a stream: what is known is told, and the rest passes unrecorded.
            recording.otherwise(Outcome::Unfollowed);
            *guard = None;
        }
    }

    pub(super) fn finish(&self, outcome: Outcome) {
        if let Some(recording) = self.0.recording.lock().ok().and_then(|mut guard| guard.take()) {
            recording.finish(outcome);
        }
    }

    fn request_done(&self) {
        // Only the first time counts.
        let _ = self.0.request_done.set(Instant::now());
        self.with(Recording::request_done);
    }

    /// How long ago the request ended; `None` while it is still passing.
    pub(super) fn waited(&self) -> Option<Duration> {
        self.0.request_done.get().map(Instant::elapsed)
    }

    /// Sends the exchange off if both its messages have passed.
    pub(super) fn settle(&self) {
        let done = self.0.recording.lock().ok().is_some_and(|guard| guard.as_ref().is_some_and(Recording::is_done));
        if done {
            self.finish(Outcome::Complete);
        }
    }
}

pub(super) type PassedBody = Passed<Incoming>;

/// A body on its way through, and the recording that it is counted in.
pub(super) struct Passed<B> {
    body: B,
    recording: Shared,
    is_response: bool,
    ended: bool,
}

impl<B: Body> Passed<B> {
    pub(super) fn request(body: B, recording: Shared) -> Self {
        let mut passed = Passed { body, recording, is_response: false, ended: false };
        passed.end_if_empty();
        passed
    }

    pub(super) fn response(body: B, recording: Shared) -> Self {
        let mut passed = Passed { body, recording, is_response: true, ended: false };
        passed.end_if_empty();
        passed
    }

    fn end_if_empty(&mut self) {
        if self.body.is_end_stream() {
            self.end();
        }
    }
}

impl<B> Passed<B> {
    fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match self.is_response {
            true => self.recording.with(Recording::response_done),
            false => self.recording.request_done(),
        }
        self.recording.settle();
    }
}

impl<B> Body for Passed<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let is_response = self.is_response;
        match &frame {
            Some(Ok(frame)) => {
                self.recording.with(|recording| note_frame(recording, frame, is_response));
                self.end_if_empty();
            }
            Some(Err(error)) if is_response => {
                self.ended = true;
                self.recording.finish(Outcome::UpstreamFailed(failure_of(error)));
            }
            Some(Err(_)) => self.recording.finish(Outcome::ClientGone),
            None => self.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn note_frame(recording: &mut Recording, frame: &Frame<Bytes>, is_response: bool) {
    if let Some(data) = frame.data_ref() {
        if is_response { recording.response_body(data) } else { recording.request_body(data) }
    } else if let Some(trailers) = frame.trailers_ref() {
        let head = RawHead::from_fields("", fields(trailers));
        if is_response { recording.response_trailers(head) } else { recording.request_trailers(head) }
    }
}

/// A request body that is dropped was not read to its end: the upstream answered without it, or the stream was reset.
impl<B> Drop for Passed<B> {
    fn drop(&mut self) {
        if !self.is_response {
            if !self.ended {
                self.recording.with(Recording::request_body_left);
            }
            self.end();
        }
    }
}

/// The fields of a map as bytes, equal names in their order.
pub(super) fn fields(map: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::recorder::Began;
    use super::super::test_connection::{connection, exchanges};
    use super::*;
    use crate::exchange::{Request, UpstreamSide, Version};

    #[test]
    fn a_fault_in_a_recording_tells_of_its_exchange_what_is_known() {
        let (connection, inlet) = connection();
        let head = RawHead::from_fields("GET / HTTP/2", std::iter::empty());
        let request =
            Request { head, version: Version::Http2, authority: None, body: Default::default(), trailers: None };
        let side = UpstreamSide { addr: None, connection: None, reused: false, tls: None };
        let recording = Recording::begin(connection, side, request, Began::now());
        let shared = Shared::new(Some(recording), Arc::new(()));
        shared.with(|_| panic!("a fault of the tests' own"));
        let told = exchanges(&inlet);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].outcome, Outcome::Unfollowed);
        // What still passes finds nothing to be told to, and that is all.
        shared.with(|_| panic!("there is no recording any more"));
        shared.settle();
        assert!(exchanges(&inlet).is_empty());
    }
}
