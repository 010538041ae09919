//! HTTP/2: hyper on both sides.
//!
//! A client's connection has its own upstream connection, or, where the upstream has no HTTP/2, a few over HTTP/1.
//! Trailers, flow control and resets pass through: an error that hyper hands over from one side keeps its code when it
//! is handed to the other.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::http::uri::Scheme;
use hyper::http::{self, HeaderName, HeaderValue, Method, Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::{oneshot, watch};

use super::authority;
use super::hop::{Hop, Judged};
use super::http1_pool::Http1Pool;
use super::http2_limits;
use super::hyper_error::{SendError, failure_of};
use super::passed::{Passed, PassedBody, Shared};
use super::recent_heads;
use super::recorder::{Began, Connection, Recording};
use super::reply::Reply;
use super::stream::{Rewound, Stream};
use super::upstream::{Connected, Errand};
use super::{ListeningTap, host_edit};
use crate::exchange::{self, Failure, Outcome, Step, UpstreamSide, Version};
use crate::panics;
use crate::wire::RawHead;

/// Why a request is refused that HTTP/2 has no way to pass on.
const NOWHERE: &str = "the request has neither :authority nor a Host field";

type AnswerBody = UnsyncBoxBody<Bytes, hyper::Error>;

/// Where the requests of a connection go.
pub(super) enum Backend {
    /// One HTTP/2 connection.
    Http2 { sender: http2::SendRequest<PassedBody>, side: UpstreamSide, took: Duration, closed: oneshot::Receiver<()> },
    /// HTTP/1 connections, as many as requests run at once.
    Http1(Arc<Http1Pool>),
    /// Nowhere.
    Failed(Failure),
}

impl Backend {
    /// HTTP/2 over a connection that was made.
    pub(super) async fn http2(connected: Connected) -> Self {
        let Connected { stream, side, took, .. } = connected;
        let handshake = http2_limits::towards_upstream().handshake(TokioIo::new(stream)).await;
        match handshake {
            Ok((sender, connection)) => {
                let (tell, closed) = oneshot::channel();
                tokio::spawn(async move {
                    // What broke it, each exchange learns for itself.
                    let _ = connection.await;
                    let _ = tell.send(());
                });
                Backend::Http2 { sender, side, took, closed }
            }
            Err(error) => Backend::Failed(failure_of(&error)),
        }
    }

    /// HTTP/1, since the upstream has nothing else.
    pub(super) fn http1(tap: Arc<ListeningTap>, errand: Errand) -> Self {
        Backend::Http1(Arc::new(Http1Pool::new(tap, errand)))
    }
}

/// Serves a client's HTTP/2 connection to its end.
pub(super) async fn serve(
    tap: Arc<ListeningTap>,
    connection: Arc<Connection>,
    stream: Stream,
    first: Vec<u8>,
    backend: Backend,
    mut draining: watch::Receiver<bool>,
) {
    let (sender, upstream_closed) = match backend {
        Backend::Http2 { sender, side, took, closed } => (Sender::Http2 { sender, side, took }, Some(closed)),
        Backend::Http1(pool) => (Sender::Http1(pool), None),
        Backend::Failed(failure) => (Sender::Failed(failure), None),
    };
    let open = Arc::new(());
    let requests = Arc::new(Requests { tap, connection, sender, count: Mutex::new(0), open: open.clone() });
    let idle = requests.tap.limits.idle_timeout;
    let service = service_fn(move |request| requests.clone().answer(request));
    let connection =
        http2_limits::towards_clients(idle).serve_connection(TokioIo::new(Rewound::new(first, stream)), service);
    let mut connection = pin!(connection);
    let gone = async {
        match upstream_closed {
            // Either way the upstream connection is over.
            Some(closed) => drop(closed.await),
            None => std::future::pending().await,
        }
    };
    let mut gone = pin!(gone);
    // The idle time counts from the last look at which an exchange was open; a look comes each quarter of it.
    let mut looks = tokio::time::interval(idle / 4);
    let mut idle_looks = 0;
    let mut leaving = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!("HTTP/2 connection with the client ended: {error}");
                }
                return;
            }
            () = &mut gone, if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = looks.tick(), if !leaving => {
                // This function holds one, and the requests another.
                idle_looks = if Arc::strong_count(&open) > 2 { 0 } else { idle_looks + 1 };
                if idle_looks > 5 {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
            _ = draining.wait_for(|draining| *draining), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

enum Sender {
    Http2 { sender: http2::SendRequest<PassedBody>, side: UpstreamSide, took: Duration },
    Http1(Arc<Http1Pool>),
    Failed(Failure),
}

/// The requests of one connection.
struct Requests {
    tap: Arc<ListeningTap>,
    connection: Arc<Connection>,
    sender: Sender,
    count: Mutex<u64>,
    /// Held once by each exchange that is open.
    open: Arc<()>,
}

impl Drop for Requests {
    fn drop(&mut self) {
        recent_heads::forget_http2(self.connection.client.connection);
    }
}

impl Requests {
    /// Passes a request on, and its answer back. An error resets the stream with the code that the error carries.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<AnswerBody>, h2::Error> {
        let (mut parts, body) = request.into_parts();
        let brought = self.take_hop_headers(&mut parts);
        let recording = self.begin(&parts);
        self.set_authority(&mut parts, &recording);
        if !authority::is_named(&parts) && !self.takes_unnamed(&parts) {
            recording.finish(Outcome::UpstreamFailed(Failure { step: Step::Send, reason: NOWHERE.to_owned() }));
            return Err(h2::Reason::PROTOCOL_ERROR.into());
        }
        self.tell_next_tap(&mut parts, &recording, brought);
        let is_head = parts.method == Method::HEAD;
        let body = Passed::request(body, recording.clone());
        let answer = match &self.sender {
            Sender::Http2 { sender, .. } => {
                let sending = pin!(send_http2(sender.clone(), Request::from_parts(parts, body), &recording));
                self.in_time(sending, &recording).await
            }
            Sender::Http1(pool) => self.in_time(pin!(pool.send(parts, body, &recording)), &recording).await,
            Sender::Failed(failure) => Err(SendError::Failed(failure.clone())),
        };
        match answer {
            Ok(response) => {
                let version = match response.version() {
                    http::Version::HTTP_2 => Version::Http2,
                    http::Version::HTTP_10 => Version::Http10,
                    _ => Version::Http11,
                };
                let mut response = response;
                self.hear_from_behind(&mut response, &recording);
                let head = self.response_head(&response, version);
                self.tell_tap_before(&mut response, &recording, &head);
                recording.with(|recording| recording.response(head, version));
                Ok(response.map(|body| Passed::response(body, recording).boxed_unsync()))
            }
            Err(SendError::Reset(code, failure)) => {
                recording.finish(Outcome::UpstreamFailed(failure));
                Err(code.into())
            }
            Err(SendError::Failed(failure)) => {
                let reply = Reply::to(&failure);
                recording.with(|recording| recording.response_by_tap(reply.head("HTTP/2"), Version::Http2));
                recording.finish(Outcome::UpstreamFailed(failure));
                Ok(own_response(reply, is_head))
            }
        }
    }

    fn begin(&self, parts: &http::request::Parts) -> Shared {
        Shared::new(panics::guarded(|| self.recording(parts)), self.open.clone())
    }

    fn recording(&self, parts: &http::request::Parts) -> Recording {
        let target = parts.uri.path_and_query().map_or("*", |target| target.as_str());
        let start_line = [parts.method.as_str(), " ", target, " HTTP/2"].concat();
        let request = exchange::Request {
            head: recent_heads::http2_request(self.connection.client.connection, &start_line, &parts.headers),
            version: Version::Http2,
            authority: parts.uri.authority().map(|authority| authority.as_str().to_owned()),
            body: Default::default(),
            trailers: None,
        };
        let first = self.count.lock().map(|mut count| std::mem::replace(&mut *count, 1) == 0).unwrap_or(false);
        let (mut side, took) = match &self.sender {
            Sender::Http2 { side, took, .. } => (side.clone(), first.then_some(*took)),
            _ => (self.connection.unconnected(), None),
        };
        side.reused = !first && side.connection.is_some();
        let mut recording = Recording::begin(self.connection.clone(), side, request, Began::now());
        if let Some(took) = took {
            recording.connected_in(took);
        }
        recording.otherwise(Outcome::ClientGone);
        recording
    }

    /// Says where the request goes: as the tap was told, or as it came. What a request was changed in is in the record.
    fn set_authority(&self, parts: &mut http::request::Parts, recording: &Shared) {
        let is_tls = match self.tap.is_transparent() {
            true => self.connection.client.tls.is_some(),
            false => self.tap.target.tls.is_some(),
        };
        let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
        let edit = match (&self.tap.host, &self.sender) {
            (Some(host), _) => authority::replace(parts, host, scheme).map(|from| host_edit(host, from)),
            (None, Sender::Http2 { .. }) => authority::name_by_host(parts, scheme),
            (None, _) => None,
        };
        if let Some(edit) = edit {
            recording.with(|recording| recording.edited(edit));
        }
    }

    /// Whether the upstream can be asked without saying where the request is to go: it may judge that for itself.
    fn takes_unnamed(&self, parts: &http::request::Parts) -> bool {
        parts.method != Method::CONNECT && !matches!(self.sender, Sender::Http2 { .. })
    }

    /// Takes the hop headers off a request.
    fn take_hop_headers(&self, parts: &mut http::request::Parts) -> Vec<HeaderValue> {
        let Some(hop) = &self.tap.hop else { return Vec::new() };
        let values: Vec<HeaderValue> = parts.headers.get_all(hop.name()).iter().cloned().collect();
        parts.headers.remove(hop.name());
        values
    }

    /// Judges the hop headers that a request brought, and writes one for the next tap.
    fn tell_next_tap(&self, parts: &mut http::request::Parts, recording: &Shared, brought: Vec<HeaderValue>) {
        let Some(hop) = &self.tap.hop else { return };
        let mut value = None;
        recording.with(|recording| {
            let values = brought.iter().map(HeaderValue::as_bytes);
            let Judged { path, arrival } = hop.judge(recording.id(), values, recording.began_at());
            if !brought.is_empty() {
                recording.edited(Hop::taken_off());
            }
            if hop.announces()
                && let Some(head) = recording.request_head()
            {
                let host = parts.uri.authority().map(http::uri::Authority::as_str);
                value = Some(hop.announcement(path.id, recording.id(), head, host));
            }
            recording.set_path(path);
            if let Some(arrival) = arrival {
                self.connection.outlet.arrived(arrival);
            }
            if let Some(value) = &value {
                recording.announced();
                recording.edited(Hop::put_in(value.len()));
            }
        });
        if let (Some(value), Ok(name)) = (value, hop.name().parse::<HeaderName>())
            && let Ok(value) = HeaderValue::try_from(value)
        {
            parts.headers.insert(name, value);
        }
    }

    /// Takes what the tap behind wrote off an answer.
    fn hear_from_behind(&self, response: &mut Response<Incoming>, recording: &Shared) {
        let Some(hop) = self.tap.hop.as_ref().filter(|hop| hop.hears_answers()) else { return };
        let values: Vec<HeaderValue> = response.headers().get_all(hop.name()).iter().cloned().collect();
        if values.is_empty() {
            return;
        }
        response.headers_mut().remove(hop.name());
        recording.with(|recording| {
            recording.edited(Hop::taken_off_answer());
            let values = values.iter().map(HeaderValue::as_bytes);
            if let Some(value) = recording.path().and_then(|path| hop.judge_answer(path.id, values)) {
                recording.told_from_behind(value);
            }
        });
    }

    /// Writes into an answer what the tap before asked for.
    fn tell_tap_before(&self, response: &mut Response<Incoming>, recording: &Shared, head: &RawHead) {
        let Some(hop) = &self.tap.hop else { return };
        let mut value = None;
        recording.with(|recording| {
            let request = recording.request().zip(recording.path());
            value = request.and_then(|(request, path)| hop.account(path, recording.id(), request, head));
            if let Some(value) = &value {
                recording.edited(Hop::put_in_answer(value.len()));
            }
        });
        if let (Some(value), Ok(name)) = (value, hop.name().parse::<HeaderName>())
            && let Ok(value) = HeaderValue::try_from(value)
        {
            response.headers_mut().insert(name, value);
        }
    }

    /// Waits for an answer, from the end of the request on no longer than the upstream may take. What is waited for stays
    /// where it is: a future has room for all that it is handed.
    async fn in_time(
        &self,
        mut answer: Pin<&mut impl Future<Output = Result<Response<Incoming>, SendError>>>,
        recording: &Shared,
    ) -> Result<Response<Incoming>, SendError> {
        let Some(limit) = self.tap.limits.response_timeout else { return answer.await };
        loop {
            let waited = recording.waited().unwrap_or_default();
            if waited >= limit {
                let reason = format!("nothing came within {limit:?}");
                return Err(SendError::Failed(Failure { step: Step::ResponseTimeout, reason }));
            }
            if let Ok(answer) = tokio::time::timeout(limit - waited, answer.as_mut()).await {
                return answer;
            }
        }
    }

    fn response_head<B>(&self, response: &Response<B>, version: Version) -> RawHead {
        let status = response.status();
        let reason = status.canonical_reason().filter(|_| version != Version::Http2).unwrap_or_default();
        let start_line = [version.as_str(), " ", status.as_str(), " ", reason].concat();
        recent_heads::http2_response(self.connection.client.connection, start_line.trim_end(), response.headers())
    }
}

async fn send_http2(
    mut sender: http2::SendRequest<PassedBody>,
    request: Request<PassedBody>,
    recording: &Shared,
) -> Result<Response<Incoming>, SendError> {
    if let Err(error) = sender.ready().await {
        let mut served_before = false;
        recording.with(|recording| served_before = recording.is_upstream_reused());
        return Err(if served_before { SendError::of_unsent(&error) } else { SendError::of(&error) });
    }
    sender.send_request(request).await.map_err(|error| SendError::of(&error))
}

fn own_response(reply: Reply, is_head: bool) -> Response<AnswerBody> {
    let body = if is_head { Bytes::new() } else { Bytes::from(reply.body.clone()) };
    let body = Full::new(body).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    for (name, value) in reply.fields() {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
