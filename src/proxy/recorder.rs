//! Puts what the framers found together into exchanges and sends them off, also when a connection breaks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use jiff::Timestamp;
use ulid::Ulid;

use crate::exchange::body::{TEXT_KEPT, kept_of_answer};
use crate::exchange::{
    Body, Capture, ClientSide, Direction, Edit, Endpoint, Exchange, OnPath, Outcome, Request, Response, Tap, Timing,
    Unfollowed, UpstreamSide, Version, payload,
};
use crate::panics;
use crate::queue::Outlet;
use crate::wire::{Lost, RawHead};

/// Informational responses of which the status is kept; the rest is counted.
const INTERIM_KEPT: usize = 8;

/// What all exchanges of one client connection have in common.
pub(super) struct Connection {
    pub(super) tap: Arc<Tap>,
    pub(super) client: ClientSide,
    /// Where the client's connection was going, if that is where it goes.
    pub(super) original: Option<Box<SocketAddr>>,
    pub(super) outlet: Outlet,
}

impl Connection {
    /// The upstream's side before there is a connection.
    pub(super) fn unconnected(&self) -> UpstreamSide {
        UpstreamSide {
            addr: self.original.as_deref().copied().map(Endpoint::from),
            connection: None,
            reused: false,
            tls: None,
        }
    }
}

/// One exchange in the making. Dropped before it is finished, it is sent off as it stands.
pub(super) struct Recording {
    /// What is known so far. It is there until the recording is dropped, which sends it off.
    exchange: Option<Box<Exchange>>,
    connection: Arc<Connection>,
    id: Ulid,
    started: Began,
    request_body: BodyRecorder,
    response_cut_off: bool,
    response_body: BodyRecorder,
    interim: Vec<u16>,
    interim_count: u32,
    request_done: bool,
    response_done: bool,
}

impl Recording {
    pub(super) fn begin(connection: Arc<Connection>, upstream: UpstreamSide, request: Request, started: Began) -> Self {
        let keep = if is_form(&request.head) { TEXT_KEPT } else { 0 };
        let mut request_body = BodyRecorder::keeping(keep);
        request_body.hasher = payload::named(&request.head).map(|_| payload::Hasher::default());
        let id = Ulid::from_parts(started.time.as_millisecond().unsigned_abs(), random());
        let exchange = Box::new(Exchange {
            id,
            time: started.time,
            tap: connection.tap.clone(),
            path: OnPath::first(id),
            client: connection.client.clone(),
            upstream,
            request,
            response: Capture::NotReached,
            edits: Vec::new(),
            timing: Timing::default(),
            // What it ends with if nothing else is said.
            outcome: Outcome::Stopped,
            lost: None,
        });
        Recording {
            exchange: Some(exchange),
            connection,
            id,
            started,
            request_body,
            response_cut_off: false,
            response_body: BodyRecorder::keeping(0),
            interim: Vec::new(),
            interim_count: 0,
            request_done: false,
            response_done: false,
        }
    }

    fn note(&mut self, note: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = &mut self.exchange {
            note(exchange);
        }
    }

    pub(super) fn id(&self) -> Ulid {
        self.id
    }

    pub(super) fn path(&self) -> Option<&OnPath> {
        self.exchange.as_ref().map(|exchange| &exchange.path)
    }

    pub(super) fn began_at(&self) -> Timestamp {
        self.started.time
    }

    /// Which request it is at the other taps.
    pub(super) fn set_path(&mut self, path: OnPath) {
        self.note(|exchange| exchange.path = path);
    }

    /// The tap tells the next one of it.
    pub(super) fn announced(&mut self) {
        self.note(|exchange| exchange.path.is_announced = true);
    }

    /// What the tap behind told in its answer.
    pub(super) fn told_from_behind(&mut self, value: bytes::Bytes) {
        self.note(|exchange| exchange.path.behind = Some(value));
    }

    pub(super) fn set_upstream(&mut self, upstream: UpstreamSide) {
        self.note(|exchange| exchange.upstream = upstream);
    }

    /// Whether its upstream connection had served before.
    pub(super) fn is_upstream_reused(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.upstream.reused)
    }

    pub(super) fn connected_in(&mut self, time: std::time::Duration) {
        self.note(|exchange| exchange.timing.connect = Some(time));
    }

    pub(super) fn edited(&mut self, edit: Edit) {
        self.note(|exchange| exchange.edits.push(edit));
    }

    pub(super) fn request_body(&mut self, piece: &[u8]) {
        self.request_body.passed(piece);
    }

    /// Nobody reads the rest of the request's body.
    pub(super) fn request_body_left(&mut self) {
        self.request_body.hasher = None;
    }

    pub(super) fn request_trailers(&mut self, trailers: RawHead) {
        self.note(|exchange| exchange.request.trailers = Some(trailers));
    }

    pub(super) fn request_done(&mut self) {
        self.request_done = true;
    }

    /// The first byte of an answer came.
    pub(super) fn answered(&mut self) {
        let started = self.started.instant;
        self.note(|exchange| {
            exchange.timing.first_byte.get_or_insert_with(|| started.elapsed());
        });
    }

    /// Whether anything of an answer has come.
    pub(super) fn is_answered(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.timing.first_byte.is_some())
    }

    pub(super) fn interim(&mut self, head: &RawHead) {
        self.answered();
        self.interim_count = self.interim_count.saturating_add(1);
        if self.interim.len() < INTERIM_KEPT {
            self.interim.extend(head.status());
        }
    }

    pub(super) fn response(&mut self, head: RawHead, version: Version) {
        self.answered();
        self.put_response(head, version, false);
    }

    /// The answer that the tap gives, since the upstream gave none.
    pub(super) fn response_by_tap(&mut self, head: RawHead, version: Version) {
        self.put_response(head, version, true);
    }

    fn put_response(&mut self, head: RawHead, version: Version, by_tap: bool) {
        let status = head.status().unwrap_or_default();
        let request = self.request_head().filter(|_| !by_tap);
        let keep = request.map_or(0, |request| kept_of_answer(request, &head, status));
        self.response_body = BodyRecorder::keeping(keep);
        let interim = std::mem::take(&mut self.interim);
        let interim_count = self.interim_count;
        self.note(|exchange| {
            exchange.response = Capture::Seen(Response {
                status,
                version,
                head,
                interim,
                interim_count,
                body: Body::default(),
                trailers: None,
                by_tap,
            });
        });
    }

    fn seen(&self) -> Option<&Response> {
        self.exchange.as_ref().and_then(|exchange| exchange.response.seen())
    }

    pub(super) fn response_body(&mut self, piece: &[u8]) {
        self.response_body.passed(piece);
    }

    pub(super) fn response_trailers(&mut self, trailers: RawHead) {
        self.note(|exchange| {
            if let Capture::Seen(response) = &mut exchange.response {
                response.trailers = Some(trailers);
            }
        });
    }

    pub(super) fn response_done(&mut self) {
        self.response_done = true;
    }

    /// The connection broke off within the head of the answer.
    pub(super) fn response_cut_off(&mut self) {
        self.response_cut_off = true;
    }

    pub(super) fn lost(&mut self, direction: Direction, why: Lost) {
        self.note(|exchange| {
            exchange.lost.get_or_insert(Unfollowed { direction, why });
        });
    }

    pub(super) fn is_lost(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.lost.is_some())
    }

    pub(super) fn is_response_done(&self) -> bool {
        self.response_done
    }

    pub(super) fn is_request_done(&self) -> bool {
        self.request_done
    }

    pub(super) fn is_done(&self) -> bool {
        self.response_done && (self.request_done || self.is_lost())
    }

    pub(super) fn has_response(&self) -> bool {
        self.seen().is_some()
    }

    fn is_answered_by_tap(&self) -> bool {
        self.seen().is_some_and(|response| response.by_tap)
    }

    pub(super) fn request(&self) -> Option<&Request> {
        self.exchange.as_ref().map(|exchange| &exchange.request)
    }

    pub(super) fn request_head(&self) -> Option<&RawHead> {
        self.request().map(|request| &request.head)
    }

    /// Takes a field out of what is told of the request: it was written by another tap.
    pub(super) fn forget_in_request(&mut self, name: &str) {
        self.note(|exchange| exchange.request.head.forget(name));
    }

    /// Says how the exchange ends if it is dropped.
    pub(super) fn otherwise(&mut self, outcome: Outcome) {
        self.note(|exchange| exchange.outcome = outcome);
    }

    pub(super) fn finish(mut self, outcome: Outcome) {
        self.otherwise(outcome);
    }

    fn send(&mut self) {
        let Some(mut exchange) = self.exchange.take() else { return };
        // Of a body that broke off, or that went on where nobody could follow it, the hash is that of something else.
        if !self.request_done || exchange.lost.is_some() {
            self.request_body.hasher = None;
        }
        exchange.request.body = self.request_body.take();
        match &mut exchange.response {
            Capture::Seen(response) => response.body = self.response_body.take(),
            none if exchange.lost.is_some() => *none = Capture::Unreadable,
            none if self.response_cut_off => *none = Capture::CutOff,
            _ => {}
        }
        exchange.timing.total = self.started.instant.elapsed();
        self.connection.outlet.put(exchange);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Within a fault that is on its way up, a second one would end the program.
        panics::guarded(|| self.send());
    }
}

/// The random part of an id. Ids need no secrecy, just to differ: a counter that starts at a random place would tell
/// two processes apart, and a hash of it spreads it over all bits.
fn random() -> u128 {
    use std::cell::Cell;
    use std::hash::{BuildHasher, RandomState};
    thread_local! {
        static NEXT: Cell<(u64, u64)> = Cell::new((RandomState::new().hash_one(0u8), RandomState::new().hash_one(1u8)));
    }
    NEXT.with(|next| {
        let (high, low) = next.get();
        let low = low.wrapping_add(0x9e37_79b9_7f4a_7c15);
        next.set((high, low));
        let mut mixed = low ^ (low >> 30);
        mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= mixed >> 27;
        (u128::from(high & 0xffff) << 64) | u128::from(mixed)
    })
}

/// When the first byte of a request came, by both clocks.
#[derive(Clone, Copy)]
pub(super) struct Began {
    instant: Instant,
    pub(super) time: Timestamp,
}

impl Began {
    pub(super) fn now() -> Self {
        Began { instant: Instant::now(), time: Timestamp::now() }
    }
}

/// Counts a body, and keeps its start where it is evidence.
struct BodyRecorder {
    size: u64,
    keep: usize,
    start: BytesMut,
    /// Computes its hash, where the head names one.
    hasher: Option<payload::Hasher>,
}

impl BodyRecorder {
    fn keeping(keep: usize) -> Self {
        BodyRecorder { size: 0, keep, start: BytesMut::new(), hasher: None }
    }

    fn passed(&mut self, piece: &[u8]) {
        self.size += piece.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.passed(piece);
        }
        let room = self.keep.saturating_sub(self.start.len()).min(piece.len());
        if room > 0 {
            self.start.extend_from_slice(piece.get(..room).unwrap_or_default());
        }
    }

    fn take(&mut self) -> Body {
        let start = (self.keep > 0).then(|| std::mem::take(&mut self.start).freeze());
        let sha256 = self.hasher.take().map(payload::Hasher::finish);
        Body { size: self.size, start, is_unpacked: false, sha256 }
    }
}

fn is_form(head: &RawHead) -> bool {
    head.value("content-type").is_some_and(|value| starts_with(value, b"application/x-www-form-urlencoded"))
}

fn starts_with(value: &[u8], prefix: &[u8]) -> bool {
    value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The exchanges of one HTTP/1 connection: the n-th answer is the n-th request's.
pub(super) struct Pipeline {
    /// In boxes, since an idle connection keeps the room that its queue once took.
    open: VecDeque<Box<Recording>>,
}

/// Requests that may wait for their answers before the relay stops reading more of them.
const PIPELINE_LIMIT: usize = 256;

impl Pipeline {
    pub(super) fn new() -> Self {
        Pipeline { open: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= PIPELINE_LIMIT
    }

    pub(super) fn begin(&mut self, recording: Recording) {
        self.open.push_back(Box::new(recording));
    }

    /// The request that is being read or was read last.
    pub(super) fn last(&mut self) -> Option<&mut Recording> {
        self.open.back_mut().map(Box::as_mut)
    }

    /// The exchange that the next or current answer belongs to.
    pub(super) fn answering(&mut self) -> Option<&mut Recording> {
        self.open.iter_mut().map(Box::as_mut).find(|recording| !recording.is_response_done())
    }

    /// Whether the current answer is that of the request that was read last.
    pub(super) fn is_answering_last(&self) -> bool {
        let waiting = self.open.iter().filter(|recording| !recording.is_response_done()).count();
        waiting == 1 && self.open.back().is_some_and(|last| !last.is_response_done())
    }

    /// Sends off what is done.
    pub(super) fn settle(&mut self) {
        while self.open.front().is_some_and(|first| first.is_done()) {
            if let Some(done) = self.open.pop_front() {
                let outcome = if done.is_lost() { Outcome::Unfollowed } else { Outcome::Complete };
                done.finish(outcome);
            }
        }
    }

    /// Ends every open exchange.
    pub(super) fn end(&mut self, outcome: &Outcome) {
        for recording in self.open.drain(..) {
            let outcome = match outcome {
                // The answer passed in whole; that the client did not send the rest of its request does not matter.
                Outcome::ClientGone | Outcome::UpstreamFailed(_) if recording.is_response_done() => Outcome::Complete,
                // What the tap answered itself it knows, whatever it made of the request.
                _ if recording.is_lost() && !recording.is_answered_by_tap() => Outcome::Unfollowed,
                other => other.clone(),
            };
            recording.finish(outcome);
        }
    }
}
