//! HTTP/1: bytes across, an observer beside them.
//!
//! One task serves both directions of a connection. What the client sent is what the upstream gets, and the reverse;
//! a half-closed side is half-closed on the other, and a reset is a reset. The upstream's close is the client's close.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, timeout};

use super::Limits;
use super::flow::{Broken, Flow, Moved, Pass};
use super::observer::Observer;
use super::reply;
use super::stream::Stream;
use super::upstream;
use crate::exchange::{Failure, Outcome, Step as FailedStep};

/// How long the client may go on after the upstream has closed its side, before both sides are closed for good.
const LINGER: Duration = Duration::from_secs(5);

/// Buffers that one direction moves before the other has its turn.
const ROUNDS: usize = 16;

const NOT_TAKEN: &str = "it took no more of the request";

/// A relayed connection.
pub(super) struct Relay {
    client: Stream,
    upstream: Stream,
    observer: Observer,
    limits: Limits,
    up: Flow,
    down: Flow,
    up_state: State,
    down_state: State,
    draining: bool,
    last_activity: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    /// Writing to the upstream failed; what it still says is worth waiting for.
    Failed,
}

/// How a relayed connection ends.
enum End {
    /// Both sides are done; exchanges that are still open end so.
    Done(Outcome),
    /// One side broke, and the other gets a reset.
    Broken { outcome: Outcome, reset: Side },
    /// The upstream failed before the client got anything.
    Refused(Failure),
}

enum Side {
    Client,
    Upstream,
}

impl Relay {
    pub(super) fn new(client: Stream, upstream: Stream, observer: Observer, limits: Limits) -> Self {
        Relay {
            client,
            upstream,
            observer,
            limits,
            up: Flow::default(),
            down: Flow::default(),
            up_state: State::Open,
            down_state: State::Open,
            draining: false,
            last_activity: Instant::now(),
            timer: None,
        }
    }

    /// Relays until both sides are done. `first` are the bytes that the client has sent already.
    ///
    /// In a box, since a future has room for what it owns more than once.
    pub(super) async fn run(mut self: Box<Self>, first: Vec<u8>, mut draining: watch::Receiver<bool>) {
        if !first.is_empty() {
            match self.observer.request_bytes(&first) {
                Pass::Instead(bytes) => self.up.put(bytes),
                Pass::AsTheyAre | Pass::Stop => self.up.put(first),
            }
        }
        let end = loop {
            tokio::select! {
                biased;
                end = poll_fn(|cx| self.poll(cx)) => break end,
                changed = draining.wait_for(|draining| *draining), if !self.draining => {
                    // A sender that is gone means that the process ends.
                    let _ = changed;
                    self.draining = true;
                }
            }
        };
        match end {
            End::Done(outcome) => {
                self.observer.end(&outcome);
                self.part().await;
            }
            End::Broken { outcome, reset } => {
                self.observer.end(&outcome);
                match reset {
                    Side::Client => self.client.reset_on_drop(),
                    Side::Upstream => self.upstream.reset_on_drop(),
                }
            }
            End::Refused(failure) => {
                drop(self.upstream);
                reply::refuse(&mut self.client, &mut self.observer, failure).await;
            }
        }
    }

    /// Closes both sides in good order, TLS as well.
    async fn part(mut self: Box<Self>) {
        let good_bye = async {
            // Who has gone already, or was told when the other side ended, does not need it.
            if self.down_state != State::Ended {
                let _ = self.client.shutdown().await;
            }
            if self.up_state != State::Ended {
                let _ = self.upstream.shutdown().await;
            }
        };
        let _ = timeout(LINGER, good_bye).await;
        let is_still_sending = self.down_state == State::Ended && self.up_state != State::Ended;
        if is_still_sending {
            drop(self.upstream);
            reply::listen_out(&mut self.client).await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(end) = self.poll_down(cx) {
            return Poll::Ready(end);
        }
        if let Poll::Ready(end) = self.poll_up(cx) {
            return Poll::Ready(end);
        }
        let both_ended = self.up_state != State::Open && self.down_state == State::Ended;
        if both_ended || (self.draining && self.is_idle()) {
            return Poll::Ready(self.done());
        }
        self.poll_timer(cx)
    }

    /// From the upstream to the client.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..ROUNDS {
            if self.down_state != State::Open {
                return Poll::Pending;
            }
            let (observer, activity) = (&mut self.observer, &mut self.last_activity);
            let result = self.down.poll(cx, &mut self.upstream, &mut self.client, |bytes| {
                *activity = Instant::now();
                observer.response_bytes(bytes)
            });
            match ready!(result) {
                Ok(Moved::Bytes) => {}
                Ok(Moved::End) => {
                    self.down_state = State::Ended;
                    self.timer = None;
                }
                Err(broken) => return Poll::Ready(self.down_broke(broken)),
            }
        }
        // The other direction has its turn, and then this one again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn down_broke(&mut self, broken: Broken) -> End {
        match broken {
            Broken::Stopped => match self.observer.take_refusal() {
                Some(failure) => End::Refused(failure),
                None => self.done(),
            },
            Broken::Source(error) => {
                let failure = failure(&error);
                if self.observer.can_refuse() {
                    return End::Refused(failure);
                }
                if self.observer.owes_nothing() {
                    // A reset could take the last answer away from a client that has not read it yet.
                    self.down_state = State::Ended;
                    return self.done();
                }
                let outcome = self.observer.broken_by(failure);
                End::Broken { outcome, reset: Side::Client }
            }
            Broken::Sink => End::Broken { outcome: Outcome::ClientGone, reset: Side::Upstream },
        }
    }

    /// From the client to the upstream.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..ROUNDS {
            if self.up_state != State::Open {
                return Poll::Pending;
            }
            if self.observer.is_full() && self.up.is_drained() {
                self.up.rest();
                return Poll::Pending;
            }
            let (observer, activity) = (&mut self.observer, &mut self.last_activity);
            let result = self.up.poll(cx, &mut self.client, &mut self.upstream, |bytes| {
                *activity = Instant::now();
                observer.request_bytes(bytes)
            });
            match ready!(result) {
                Ok(Moved::Bytes) => {}
                Ok(Moved::End) => self.up_state = State::Ended,
                Err(Broken::Sink) => {
                    self.up_state = State::Failed;
                    self.timer = None;
                }
                Err(Broken::Source(_) | Broken::Stopped) => {
                    return Poll::Ready(End::Broken { outcome: Outcome::ClientGone, reset: Side::Upstream });
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn no_answer(&self) -> Failure {
        let waited = self.limits.response_timeout.unwrap_or(self.limits.idle_timeout);
        Failure { step: FailedStep::ResponseTimeout, reason: format!("nothing came within {waited:?}") }
    }

    /// The end of a connection on which both sides are done, or one does not do its part.
    fn done(&self) -> End {
        let failure = match (self.up_state, self.down_state) {
            (State::Open, State::Open) => self.no_answer(),
            (State::Failed, State::Open) => Failure { step: FailedStep::Send, reason: NOT_TAKEN.to_owned() },
            _ => Failure { step: FailedStep::Closed, reason: "closed before the first byte".to_owned() },
        };
        End::Done(self.observer.broken_by(failure))
    }

    fn is_idle(&self) -> bool {
        self.observer.is_idle() && self.up.is_drained() && self.down.is_drained()
    }

    /// The one timer of a connection. It looks again when it fires, so that traffic costs no more than a look at the clock.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let Some(patience) = self.patience() else { return Poll::Pending };
            let due = self.last_activity + patience;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if due <= Instant::now() {
                return Poll::Ready(self.timed_out());
            }
            timer.as_mut().reset(due);
        }
    }

    /// How long nothing may pass; `None` within exchanges and tunnels, where silence is the peers' affair.
    fn patience(&mut self) -> Option<Duration> {
        if self.down_state == State::Ended || self.up_state == State::Failed {
            return Some(LINGER);
        }
        // An answer of the tap's own may not come before what the client has yet to read of earlier ones.
        if self.limits.response_timeout.is_some() && self.observer.awaits_answer() && self.down.is_drained() {
            return self.limits.response_timeout;
        }
        // A client whose requests are not read any more can't be seen to leave, so this can't go on for ever.
        (self.is_idle() || self.observer.is_full()).then_some(self.limits.idle_timeout)
    }

    fn timed_out(&mut self) -> End {
        let waits = self.down_state == State::Open && self.down.is_drained();
        if waits && self.up_state == State::Failed && self.observer.can_refuse() {
            return End::Refused(Failure { step: FailedStep::Send, reason: NOT_TAKEN.to_owned() });
        }
        if !waits || self.up_state == State::Failed || !self.observer.awaits_answer() {
            return self.done();
        }
        End::Refused(self.no_answer())
    }
}

/// What broke the upstream's side, in words.
fn failure(error: &io::Error) -> Failure {
    // A server that wants a certificate says so when the handshake is over for its client.
    if let Some(reason) = upstream::tls_error(error) {
        return Failure { step: FailedStep::Tls, reason };
    }
    let reason = match error.kind() {
        io::ErrorKind::ConnectionReset => "connection reset by the upstream".to_owned(),
        io::ErrorKind::BrokenPipe => "connection closed by the upstream".to_owned(),
        _ => error.to_string(),
    };
    Failure { step: FailedStep::Reset, reason }
}
