//! What a tap does about hop headers: takes off what came, judges it, and writes one for the next tap.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use jiff::Timestamp;
use ulid::Ulid;

use crate::config::HopPeers;
use crate::exchange::{Edit, OnPath, Position, Request, Version};
use crate::hops::digest;
use crate::hops::trace::{AnswerDigest, Arrivals, Distrust, HopHeader, HopKey, Way};
use crate::queue::Arrival;
use crate::wire::RawHead;

/// What the taps of a process have in common about hop headers.
pub struct Hops {
    name: String,
    key: HopKey,
    peers: HopPeers,
    arrivals: Mutex<Arrivals>,
    distrusted: AtomicU64,
}

impl Hops {
    /// `name` is the header's; `peers` says where taps of other processes are, which have the same key.
    pub fn new(name: String, key: HopKey, peers: HopPeers) -> Self {
        Hops { name, key, peers, arrivals: Mutex::default(), distrusted: AtomicU64::new(0) }
    }

    /// The key of the fingerprints in hop headers.
    pub fn key(&self) -> &HopKey {
        &self.key
    }

    /// How many hop headers were not believed so far.
    pub fn distrusted(&self) -> u64 {
        self.distrusted.load(Ordering::Relaxed)
    }
}

/// One tap's part in it.
#[derive(Clone)]
pub(super) struct Hop {
    hops: std::sync::Arc<Hops>,
    tap: String,
    position: Position,
}

/// What came of the hop headers of a request.
pub(super) struct Judged {
    pub(super) path: OnPath,
    /// What the queue is told, so that nobody takes a request that is still running for one that never came.
    pub(super) arrival: Option<Arrival>,
}

const TAKEN_OFF: &str = "what taps tell each other is not for the backend or the client";
const PUT_IN: &str = "the next tap knows the request by it";
const PUT_IN_ANSWER: &str = "the tap before learns by it what arrived";

impl Hop {
    pub(super) fn new(hops: std::sync::Arc<Hops>, tap: String, position: Position) -> Self {
        Hop { hops, tap, position }
    }

    /// The header's name.
    pub(super) fn name(&self) -> &str {
        &self.hops.name
    }

    fn has_tap_before(&self) -> bool {
        self.position.index > 0 || self.hops.peers.before
    }

    /// Whether requests get a header for a tap behind this one.
    pub(super) fn announces(&self) -> bool {
        !self.position.is_last() || self.hops.peers.behind
    }

    /// Whether the tap behind is on another machine, and so knows nothing but what the header tells.
    fn announces_abroad(&self) -> bool {
        self.position.is_last() && self.hops.peers.behind
    }

    /// Whether answers may have to be edited.
    pub(super) fn edits_answers(&self) -> bool {
        self.announces_abroad() || (self.position.index == 0 && self.hops.peers.before)
    }

    /// Judges the hop headers of a request, whose exchange is `id`.
    pub(super) fn judge<'a>(&self, id: Ulid, mut values: impl Iterator<Item = &'a [u8]>, now: Timestamp) -> Judged {
        let Some(value) = values.next() else { return Judged { path: OnPath::first(id), arrival: None } };
        let opened = match values.next() {
            _ if !self.has_tap_before() => Err(Distrust::Unexpected),
            Some(_) => Err(Distrust::Several),
            None => self.open(value, now),
        };
        match opened {
            Ok(header) => {
                let mut path = OnPath::first(header.path);
                path.parent = Some(header.exchange);
                let is_local = header.request.is_empty();
                path.before = (!is_local).then(|| Bytes::copy_from_slice(value));
                let arrival = Arrival { path: header.path, parent: header.exchange, tap: self.position.index };
                Judged { path, arrival: is_local.then_some(arrival) }
            }
            Err(distrust) => {
                self.hops.distrusted.fetch_add(1, Ordering::Relaxed);
                let mut path = OnPath::first(id);
                path.distrusted = Some(distrust.text());
                Judged { path, arrival: None }
            }
        }
    }

    fn open(&self, value: &[u8], now: Timestamp) -> Result<HopHeader, Distrust> {
        let header = self.hops.key.open(value, Way::Request)?;
        // A lock that a panic has poisoned guards nothing that could be half done.
        self.hops.arrivals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).note(&header, now)?;
        Ok(header)
    }

    /// The value that tells the next tap of a request; `host` is the host that it is sent on with, where the tap sets it.
    pub(super) fn announcement(&self, path: Ulid, id: Ulid, head: &RawHead, host: Option<&str>) -> String {
        let request = match self.announces_abroad() {
            true => digest::of_request(head, host, self.hops.key.fingerprints()),
            false => Vec::new(),
        };
        let version = Version::of_token(head.request_line().version);
        let header = HopHeader {
            path,
            exchange: id,
            tap: self.tap.clone(),
            version,
            request,
            is_whole: !head.is_cut(),
            answer: None,
        };
        self.hops.key.seal(&header)
    }

    /// The value that tells the tap before what arrived here and what was answered; `None` where it was not asked for.
    pub(super) fn account(&self, path: &OnPath, id: Ulid, request: &Request, answer: &RawHead) -> Option<String> {
        path.before.as_ref()?;
        let key = self.hops.key.fingerprints();
        let answered = AnswerDigest {
            status: answer.status().unwrap_or_default(),
            version: Version::of_token(answer.status_version()),
            fields: digest::of_answer(answer, key),
            is_whole: !answer.is_cut(),
        };
        let header = HopHeader {
            path: path.id,
            exchange: id,
            tap: self.tap.clone(),
            version: Version::of_token(request.head.request_line().version),
            request: digest::of_request(&request.head, request.authority.as_deref(), key),
            is_whole: !request.head.is_cut(),
            answer: Some(answered),
        };
        Some(self.hops.key.seal(&header))
    }

    /// Judges the hop headers of an answer to a request on `path`; gives the value that is to be believed.
    pub(super) fn judge_answer<'a>(&self, path: Ulid, mut values: impl Iterator<Item = &'a [u8]>) -> Option<Bytes> {
        let value = values.next()?;
        let opened = match values.next() {
            Some(_) => Err(Distrust::Several),
            None => self.hops.key.open(value, Way::Answer),
        };
        // A cache may give back what belongs to an earlier request.
        let is_of_this = opened.is_ok_and(|header| header.path == path);
        if !is_of_this {
            self.hops.distrusted.fetch_add(1, Ordering::Relaxed);
        }
        is_of_this.then(|| Bytes::copy_from_slice(value))
    }

    /// Whether hop headers of answers are taken off here.
    pub(super) fn hears_answers(&self) -> bool {
        self.announces_abroad()
    }

    /// The edit that took headers off a request.
    pub(super) fn taken_off() -> Edit {
        Edit { what: "hop-header", from: "present".into(), to: "".into(), why: TAKEN_OFF }
    }

    /// The edit that put one into a request.
    pub(super) fn put_in(size: usize) -> Edit {
        Edit { what: "hop-header", from: "".into(), to: format!("{size} bytes").into(), why: PUT_IN }
    }

    /// The edit that took headers off an answer.
    pub(super) fn taken_off_answer() -> Edit {
        Edit { what: "hop-header-answer", from: "present".into(), to: "".into(), why: TAKEN_OFF }
    }

    /// The edit that put one into an answer.
    pub(super) fn put_in_answer(size: usize) -> Edit {
        Edit { what: "hop-header-answer", from: "".into(), to: format!("{size} bytes").into(), why: PUT_IN_ANSWER }
    }
}
