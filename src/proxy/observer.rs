//! Reads along with both directions of a relayed HTTP/1 connection, makes the edits, and keeps the exchanges.
//!
//! What it can't make sense of goes on all the same: nothing here can stop bytes, but for an answer that is no HTTP at
//! all while the client still waits for its first byte.

use std::sync::Arc;

use super::flow::Pass;
use super::held::Held;
use super::hop::Hop;
use super::host_edit;
use super::recent_heads;
use super::recorder::{Began, Connection, Pipeline, Recording};
use crate::config::SetHost;
use crate::exchange::{Direction, Edit, Failure, Outcome, Request, Step as FailedStep, UpstreamSide, Version};
use crate::panics;
use crate::wire::edit::HeadEditor;
use crate::wire::framer::Answers;
use crate::wire::{Framer, Lost, RawHead, Step};

/// The type of the frame that every HTTP/2 server begins with (RFC 9113 6.5).
const HTTP2_SETTINGS: u8 = 4;

/// Both framers of a connection, and the exchanges that are open on it.
pub(super) struct Observer {
    connection: Arc<Connection>,
    upstream: UpstreamSide,
    connect_time: Option<std::time::Duration>,
    /// The value that Host fields get, where the tap sets them.
    host: Option<Arc<SetHost>>,
    /// What the tap does about hop headers, where it has to do with other taps.
    hop: Option<Arc<Hop>>,
    head_limit: usize,
    requests: Framer,
    responses: Framer,
    pipeline: Pipeline,
    /// When the request that is being read began.
    began: Option<Began>,
    /// When the bytes came that are shown next, where that was some time ago.
    came: Option<Began>,
    /// The bytes of a request's head that may have to be edited, until it is complete.
    held: Held,
    /// The same of an answer's head.
    held_answer: Held,
    /// What the client sent behind a request for an upgrade, until the answer says what it is, and when it came.
    undecided: Vec<u8>,
    undecided_since: Option<Began>,
    /// How many exchanges have begun.
    count: u64,
    /// Whether anything has gone on to the client.
    has_served: bool,
    /// Whether the upstream has ended its side.
    upstream_ended: bool,
    /// Whether the client has ended its side, and was the first to do so.
    client_left: bool,
    /// Why the upstream's answer can't go on to the client.
    refusal: Option<Failure>,
    /// Whether a fault in the program ended the recording of this connection, or it is not to be read. Its bytes go on.
    is_broken: bool,
}

impl Observer {
    pub(super) fn new(
        connection: Arc<Connection>,
        host: Option<Arc<SetHost>>,
        hop: Option<Arc<Hop>>,
        head_limit: usize,
    ) -> Self {
        let upstream = connection.unconnected();
        Observer {
            connection,
            upstream,
            connect_time: None,
            host,
            hop,
            head_limit,
            requests: Framer::of_requests(head_limit),
            responses: Framer::of_responses(head_limit),
            pipeline: Pipeline::new(),
            began: None,
            came: None,
            held: Held::default(),
            held_answer: Held::default(),
            undecided: Vec::new(),
            undecided_since: None,
            count: 0,
            has_served: false,
            upstream_ended: false,
            client_left: false,
            refusal: None,
            is_broken: false,
        }
    }

    /// Of a connection that is to pass unread, for as long as both sides like.
    pub(super) fn unread(connection: Arc<Connection>) -> Self {
        let mut observer = Self::new(connection, None, None, 0);
        observer.is_broken = true;
        observer.requests.stop();
        observer.responses.stop();
        observer
    }

    /// The upstream connection was made; what is recorded from now on passes over it.
    pub(super) fn connected(&mut self, upstream: UpstreamSide, time: std::time::Duration) {
        self.upstream = upstream;
        self.connect_time = Some(time);
    }

    /// Says when the bytes came that are shown next.
    pub(super) fn came(&mut self, came: Option<Began>) {
        self.came = came;
    }

    /// Shows bytes from the client; empty when it ends.
    pub(super) fn request_bytes(&mut self, bytes: &[u8]) -> Pass {
        self.guarded_request(bytes, |observer| observer.observe_request(bytes))
    }

    fn guarded_request(&mut self, bytes: &[u8], observe: impl FnOnce(&mut Self) -> Pass) -> Pass {
        self.guarded(|observer| &mut observer.held, bytes, observe)
    }

    /// Has bytes observed. `held` are those of the same direction that wait to go on: after a fault they go on first.
    fn guarded(
        &mut self,
        held: fn(&mut Self) -> &mut Held,
        bytes: &[u8],
        observe: impl FnOnce(&mut Self) -> Pass,
    ) -> Pass {
        if self.is_broken {
            return behind_what_was_held(held(self), bytes);
        }
        let before = held(self).clone();
        if let Some(pass) = panics::guarded(|| observe(self)) {
            return pass;
        }
        *held(self) = before;
        self.break_off();
        behind_what_was_held(held(self), bytes)
    }

    /// A fault must not stop traffic: from here on the connection is just relayed.
    fn break_off(&mut self) {
        self.is_broken = true;
        self.requests.stop();
        self.responses.stop();
        let mut pipeline = std::mem::replace(&mut self.pipeline, Pipeline::new());
        panics::guarded(move || pipeline.end(&Outcome::Unfollowed));
        tracing::error!("the recording of a connection broke; its bytes go on, and are not recorded");
    }

    fn observe_request(&mut self, bytes: &[u8]) -> Pass {
        if bytes.is_empty() {
            return Pass::Instead(self.request_end());
        }
        if self.host.is_none() && self.hop.is_none() {
            self.follow_requests(bytes, None);
            return Pass::AsTheyAre;
        }
        let mut out = Vec::new();
        if self.follow_requests(bytes, Some(&mut out)) { Pass::Instead(out) } else { Pass::AsTheyAre }
    }

    /// Feeds the request framer. With `out`, puts there what goes on, and says whether that differs from `bytes`.
    fn follow_requests(&mut self, bytes: &[u8], mut out: Option<&mut Vec<u8>>) -> bool {
        let limit = self.head_limit as u64;
        let came = self.came.take();
        let mut input = bytes;
        let mut differs = false;
        loop {
            if !input.is_empty() && self.requests.is_before_message() {
                self.began = Some(came.unwrap_or_else(Began::now));
                self.requests.expect(recent_heads::request(self.connection_number()));
            }
            let before = input;
            let step = self.requests.next(&mut input, Answers::Nothing);
            let raw = before.get(..before.len() - input.len()).unwrap_or_default();
            let more = matches!(step, Step::More);
            match step {
                Step::Head(head) => {
                    recent_heads::keep_request(self.connection_number(), &head);
                    let is_cut = head.is_cut();
                    // What went on already can't be edited.
                    let edited = self.request_head(head, out.is_some());
                    if let Some(out) = &mut out {
                        differs |= edited.is_some() || is_cut || !self.held.is_empty();
                        match edited {
                            Some(bytes) => {
                                self.held.take(&[]);
                                out.extend_from_slice(&bytes);
                            }
                            None if is_cut => {
                                self.pass_cleaned(raw, out);
                                self.end_cleaning(out);
                            }
                            None => out.extend_from_slice(&self.held.take(raw)),
                        }
                    }
                    continue;
                }
                Step::Body(piece) => self.on_last(|exchange| exchange.request_body(piece)),
                Step::Trailers(head) => self.on_last(|exchange| exchange.request_trailers(head)),
                Step::End => {
                    self.on_last(Recording::request_done);
                    self.pipeline.settle();
                }
                Step::Lost(why) => {
                    self.on_last(|exchange| exchange.lost(Direction::Request, why));
                }
                Step::Undecided(piece) => self.keep_undecided(piece),
                Step::More | Step::Interim(_) | Step::Opaque(_) => {}
            }
            if let Some(out) = &mut out {
                let may_change = more && self.requests.is_in_head() && self.requests.head_size() <= limit;
                if may_change {
                    self.held.keep(raw);
                    differs |= !raw.is_empty();
                } else {
                    differs |= !self.held.is_empty();
                    if self.requests.is_in_head() {
                        differs = true;
                        self.pass_cleaned(raw, out);
                    } else {
                        out.extend_from_slice(&self.held.take(raw));
                    }
                }
            }
            if more {
                return differs;
            }
        }
    }

    /// Passes a part of a head that is too large to be held, without the hop headers in it.
    fn pass_cleaned(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let unwanted = self.hop.as_ref().map(|hop| hop.name());
        self.held.pass_without(unwanted, raw, out);
    }

    fn end_cleaning(&mut self, out: &mut Vec<u8>) {
        if self.held.end(out) > 0 {
            self.on_last(|exchange| exchange.edited(Hop::taken_off()));
        }
    }

    /// Begins an exchange. Gives the head's bytes with its edits, if there are any. Of one that broke off, there are none.
    fn request_head(&mut self, head: RawHead, is_whole: bool) -> Option<Vec<u8>> {
        let began = self.began.take().unwrap_or_else(Began::now);
        let version = Version::of_token(head.request_line().version);
        let request = Request { head, version, authority: None, body: Default::default(), trailers: None };
        let mut exchange = Recording::begin(self.connection.clone(), self.upstream.clone(), request, began);
        if let (0, Some(time)) = (self.count, self.connect_time) {
            exchange.connected_in(time);
        }
        let bytes = if is_whole { self.edit_request(&mut exchange) } else { None };
        self.pipeline.begin(exchange);
        self.count += 1;
        self.upstream.reused = true;
        bytes
    }

    /// Makes the edits that the tap was told to make in a request.
    fn edit_request(&self, exchange: &mut Recording) -> Option<Vec<u8>> {
        let mut edits: Vec<Edit> = Vec::new();
        let head = exchange.request_head()?;
        let mut editor = HeadEditor::of(head);
        // Where it is unclear what stands where, the head goes on as it came.
        if let Some(host) = self.host.as_deref()
            && let Ok(from) = editor.set_value("host", &host.to)
        {
            edits.push(host_edit(host, from));
        }
        let mut path = None;
        let mut is_announced = false;
        if let Some(hop) = &self.hop {
            let judged = hop.judge(exchange.id(), head.values(hop.name()), exchange.began_at());
            if editor.remove(hop.name()) > 0 {
                edits.push(Hop::taken_off());
            }
            // A message whose end is unclear gets nothing added, and a head near the limit of the recording has no room.
            let may_announce =
                hop.announces() && !self.requests.is_opaque() && head.size() * 2 <= self.head_limit as u64;
            if may_announce {
                let host = self.host.as_deref().map(|host| host.to.as_str());
                let value = hop.announcement(judged.path.id, exchange.id(), head, host);
                is_announced = editor.append(hop.name(), &value).is_ok();
                if is_announced {
                    edits.push(Hop::put_in(value.len()));
                }
            }
            path = Some((judged, hop.name()));
        }
        let bytes = editor.finish();
        edits.into_iter().for_each(|edit| exchange.edited(edit));
        if let Some((judged, name)) = path {
            if let Some(arrival) = judged.arrival {
                self.connection.outlet.arrived(arrival);
            }
            exchange.forget_in_request(name);
            exchange.set_path(judged.path);
        }
        if is_announced {
            exchange.announced();
        }
        bytes
    }

    fn keep_undecided(&mut self, piece: &[u8]) {
        if self.undecided.len() + piece.len() > self.head_limit {
            self.undecided = Vec::new();
            self.requests.stop();
            self.on_last(|exchange| exchange.lost(Direction::Request, Lost::TooMuchBeforeUpgrade));
        } else {
            self.undecided_since.get_or_insert_with(Began::now);
            self.undecided.extend_from_slice(piece);
        }
    }

    /// The client sends nothing more. Gives what was held of a head that never came to its end.
    fn request_end(&mut self) -> Vec<u8> {
        self.client_left = !self.upstream_ended;
        self.begin_unfinished();
        let mut out = Vec::new();
        self.pass_cleaned(&[], &mut out);
        self.end_cleaning(&mut out);
        out
    }

    /// A head that broke off is an exchange all the same.
    fn begin_unfinished(&mut self) {
        if let Some(head) = self.requests.take_unfinished()
            && !self.requests.is_opaque()
        {
            self.request_head(head, false);
        }
    }

    /// An answer that comes before the head of its request is complete, such as the refusal of one that is too large, is that
    /// request's all the same. The rest of the request is not followed.
    fn begin_answered_early(&mut self) {
        if !self.requests.is_in_head() || self.pipeline.answering().is_some() {
            return;
        }
        if let Some(head) = self.requests.take_unfinished() {
            self.request_head(head, false);
            self.on_last(|exchange| exchange.lost(Direction::Request, Lost::AnsweredEarly));
            self.requests.stop();
        }
    }

    /// Shows bytes from the upstream; empty when it ends.
    pub(super) fn response_bytes(&mut self, bytes: &[u8]) -> Pass {
        self.guarded_response(bytes, |observer| observer.observe_response(bytes))
    }

    fn guarded_response(&mut self, bytes: &[u8], observe: impl FnOnce(&mut Self) -> Pass) -> Pass {
        self.guarded(|observer| &mut observer.held_answer, bytes, observe)
    }

    fn observe_response(&mut self, bytes: &[u8]) -> Pass {
        if bytes.is_empty() {
            return self.response_end();
        }
        if self.responses.is_between_messages() {
            self.begin_answered_early();
            if self.refuses(bytes) {
                return Pass::Stop;
            }
        }
        self.has_served = true;
        if !self.hop.as_ref().is_some_and(|hop| hop.edits_answers()) {
            self.follow_answers(bytes, None);
            return Pass::AsTheyAre;
        }
        let mut out = Vec::new();
        if self.follow_answers(bytes, Some(&mut out)) { Pass::Instead(out) } else { Pass::AsTheyAre }
    }

    /// Feeds the answer framer. With `out`, puts there what goes on, and says whether that differs from `bytes`.
    fn follow_answers(&mut self, bytes: &[u8], mut out: Option<&mut Vec<u8>>) -> bool {
        let limit = self.head_limit as u64;
        let mut input = bytes;
        let mut differs = false;
        loop {
            let answers = self.answers();
            if !input.is_empty() && self.responses.is_between_messages() {
                self.responses.expect(recent_heads::response(self.connection_number()));
            }
            let before = input;
            let step = self.responses.next(&mut input, answers);
            let raw = before.get(..before.len() - input.len()).unwrap_or_default();
            let more = matches!(step, Step::More);
            match step {
                Step::Head(head) => {
                    recent_heads::keep_response(self.connection_number(), &head);
                    let is_cut = head.is_cut();
                    let edited = self.answer_head(head);
                    if let Some(out) = &mut out {
                        differs |= edited.is_some() || is_cut || !self.held_answer.is_empty();
                        match edited {
                            Some(bytes) => {
                                self.held_answer.take(&[]);
                                out.extend_from_slice(&bytes);
                            }
                            None if is_cut => {
                                self.pass_cleaned_answer(raw, out);
                                if self.held_answer.end(out) > 0 {
                                    self.on_answer(|exchange| exchange.edited(Hop::taken_off_answer()));
                                }
                            }
                            None => out.extend_from_slice(&self.held_answer.take(raw)),
                        }
                    }
                    continue;
                }
                Step::Interim(head) => self.on_answer(|exchange| exchange.interim(&head)),
                Step::Body(piece) => self.on_answer(|exchange| exchange.response_body(piece)),
                Step::Trailers(head) => self.on_answer(|exchange| exchange.response_trailers(head)),
                Step::End => self.response_done(),
                Step::Lost(why) => {
                    self.on_answer(|exchange| exchange.lost(Direction::Response, why));
                    self.requests.stop();
                }
                Step::Opaque(_) | Step::Undecided(_) | Step::More => {}
            }
            if let Some(out) = &mut out {
                let may_change = more && self.responses.is_in_head() && self.responses.head_size() <= limit;
                if may_change {
                    self.held_answer.keep(raw);
                    differs |= !raw.is_empty();
                } else if self.responses.is_in_head() {
                    differs = true;
                    self.pass_cleaned_answer(raw, out);
                } else {
                    differs |= !self.held_answer.is_empty();
                    out.extend_from_slice(&self.held_answer.take(raw));
                }
            }
            if more {
                if self.responses.is_in_head() {
                    self.on_answer(Recording::answered);
                }
                return differs;
            }
        }
    }

    /// The same for an answer, from which hop headers are taken off where a tap behind may have written them.
    fn pass_cleaned_answer(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let unwanted = self.hop.as_ref().filter(|hop| hop.hears_answers()).map(|hop| hop.name());
        self.held_answer.pass_without(unwanted, raw, out);
    }

    /// Notes the head of a final answer. Gives the head's bytes with its edits, if there are any.
    fn answer_head(&mut self, mut head: RawHead) -> Option<Vec<u8>> {
        let hop = self.hop.clone().filter(|hop| hop.edits_answers());
        let version = Version::of_token(head.status_version());
        let exchange = self.pipeline.answering()?;
        let Some(hop) = hop else {
            exchange.response(head, version);
            return None;
        };
        let mut editor = HeadEditor::of(&head);
        let heard = hop.hears_answers() && editor.remove(hop.name()) > 0;
        let path = exchange.path().filter(|_| heard);
        let believed = path.and_then(|path| hop.judge_answer(path.id, head.values(hop.name())));
        let account = exchange
            .request()
            .zip(exchange.path())
            .and_then(|(request, path)| hop.account(path, exchange.id(), request, &head));
        let told = account.filter(|value| editor.append(hop.name(), value).is_ok());
        let bytes = editor.finish();
        if heard {
            exchange.edited(Hop::taken_off_answer());
            head.forget(hop.name());
        }
        if let Some(value) = believed {
            exchange.told_from_behind(value);
        }
        if let Some(value) = told {
            exchange.edited(Hop::put_in_answer(value.len()));
        }
        exchange.response(head, version);
        bytes
    }

    /// Whether an answer that begins with `bytes` is no HTTP, and the client can be told so.
    fn refuses(&mut self, bytes: &[u8]) -> bool {
        let start = bytes.len().min(5);
        let is_http = bytes.get(..start) == b"HTTP/".get(..start);
        if is_http || !self.awaits_first_byte() {
            return false;
        }
        let reason = match bytes.first() {
            Some(0x15 | 0x16) => "what came looks like TLS",
            Some(0) if bytes.get(3) == Some(&HTTP2_SETTINGS) => "what came is HTTP/2, and the client speaks HTTP/1",
            _ => "what came does not begin with HTTP/",
        };
        self.refusal = Some(Failure { step: FailedStep::Malformed, reason: reason.to_owned() });
        true
    }

    fn response_done(&mut self) {
        let is_last = self.pipeline.is_answering_last();
        self.on_answer(Recording::response_done);
        if self.responses.is_going_opaque() {
            self.requests.stop();
            self.undecided = Vec::new();
            self.pipeline.end(&Outcome::Upgraded);
        } else if is_last && self.requests.is_undecided() {
            self.requests.resume();
            let again = std::mem::take(&mut self.undecided);
            self.came = self.undecided_since.take();
            self.pipeline.settle();
            self.follow_requests(&again, None);
        }
        self.pipeline.settle();
    }

    /// The upstream sends nothing more.
    fn response_end(&mut self) -> Pass {
        self.upstream_ended = true;
        let mut held = Vec::new();
        self.pass_cleaned_answer(&[], &mut held);
        self.held_answer.end(&mut held);
        match self.settle_response_end() {
            Pass::AsTheyAre if !held.is_empty() => Pass::Instead(held),
            pass => pass,
        }
    }

    fn settle_response_end(&mut self) -> Pass {
        if self.responses.is_until_close() {
            self.response_done();
            return Pass::AsTheyAre;
        }
        let can_refuse = self.can_refuse();
        let in_head = self.responses.is_in_head();
        let reason = match self.pipeline.answering() {
            Some(exchange) if exchange.has_response() => "closed within the body",
            Some(exchange) if in_head => {
                exchange.response_cut_off();
                "closed within the head"
            }
            _ => "closed before the first byte",
        };
        let failure = Failure { step: FailedStep::Closed, reason: reason.to_owned() };
        if can_refuse {
            self.refusal = Some(failure);
            return Pass::Stop;
        }
        let outcome = self.broken_by(failure);
        self.pipeline.end(&outcome);
        Pass::AsTheyAre
    }

    /// How open exchanges end when the upstream breaks off.
    ///
    /// Where the client ended its side before, the upstream most likely gave up for that reason.
    pub(super) fn broken_by(&self, failure: Failure) -> Outcome {
        if self.client_left { Outcome::ClientGone } else { Outcome::UpstreamFailed(failure) }
    }

    /// Whether the client can be told that the upstream failed: it waits for its first answer, and has got nothing.
    ///
    /// A connection that served before and breaks now is what every client of HTTP/1 is prepared for: it may send the
    /// request again. An answer of ours would take that from it.
    pub(super) fn can_refuse(&mut self) -> bool {
        !self.has_served && !self.client_left && self.awaits_first_byte()
    }

    /// Whether an exchange waits for the first byte of its answer.
    pub(super) fn awaits_first_byte(&mut self) -> bool {
        self.pipeline.answering().is_some_and(|exchange| !exchange.is_answered())
    }

    /// Whether every answer has passed in whole.
    pub(super) fn owes_nothing(&mut self) -> bool {
        self.pipeline.answering().is_none() && !self.responses.is_opaque()
    }

    /// Why the upstream's answer was stopped.
    pub(super) fn take_refusal(&mut self) -> Option<Failure> {
        self.refusal.take()
    }

    /// The exchange that the tap answers itself, with the rest ended.
    pub(super) fn refuse(&mut self, head: RawHead, failure: Failure) {
        let version = Version::Http11;
        self.on_answer(|exchange| {
            exchange.response_by_tap(head, version);
            exchange.otherwise(Outcome::UpstreamFailed(failure.clone()));
        });
        self.requests.stop();
        self.pipeline.end(&Outcome::UpstreamFailed(failure));
    }

    /// Ends every open exchange; the connection is over.
    pub(super) fn end(&mut self, outcome: &Outcome) {
        self.begin_unfinished();
        if self.responses.is_in_head() {
            self.on_answer(Recording::response_cut_off);
        }
        self.pipeline.end(outcome);
    }

    /// Whether no exchange is open and no request has begun.
    pub(super) fn is_idle(&self) -> bool {
        self.pipeline.is_empty() && self.requests.is_before_message() && self.responses.is_between_messages()
    }

    /// Whether an exchange waits for the first byte of its answer with its request gone in whole.
    pub(super) fn awaits_answer(&mut self) -> bool {
        self.pipeline.answering().is_some_and(|exchange| !exchange.is_answered() && exchange.is_request_done())
    }

    /// Whether so many requests wait for their answers that no more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.pipeline.is_full()
    }

    /// Whether the request that is answered next was made with HEAD.
    pub(super) fn answers_head(&mut self) -> bool {
        self.answers() == Answers::Head
    }

    fn answers(&mut self) -> Answers {
        match self.pipeline.answering().and_then(|exchange| exchange.request_head()) {
            None => Answers::Nothing,
            Some(head) => match head.request_line().method {
                b"HEAD" => Answers::Head,
                b"CONNECT" => Answers::Connect,
                _ => Answers::Other,
            },
        }
    }

    fn connection_number(&self) -> u64 {
        self.connection.client.connection
    }

    fn on_last(&mut self, act: impl FnOnce(&mut Recording)) {
        if let Some(exchange) = self.pipeline.last() {
            act(exchange);
        }
    }

    fn on_answer(&mut self, act: impl FnOnce(&mut Recording)) {
        if let Some(exchange) = self.pipeline.answering() {
            act(exchange);
        }
    }
}

/// Bytes that nobody looks at any more, behind those that were held before.
fn behind_what_was_held(held: &mut Held, bytes: &[u8]) -> Pass {
    held.release(bytes).map_or(Pass::AsTheyAre, Pass::Instead)
}

impl Drop for Observer {
    fn drop(&mut self) {
        recent_heads::forget(self.connection_number());
    }
}

#[cfg(test)]
#[path = "observer_tests.rs"]
mod tests;
