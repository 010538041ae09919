//! One request and its answer as one tap saw them: plain data, finished and immutable.
//!
//! The proxy makes an [`Exchange`]; [`view`] answers what rules ask about it; [`record`] is its form in JSON;
//! [`transcript`] its form as text, which tests and examples use.

pub mod body;
pub mod dates;
mod endpoint;
pub mod given;
pub mod har;
mod known_heads;
pub mod location;
mod looks;
pub mod names;
pub mod path;
pub mod payload;
mod places;
mod recall;
pub mod recalled;
pub mod record;
pub mod redact;
pub mod signed;
pub mod transcript;
pub mod view;

#[cfg(test)]
mod never_panics;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ulid::Ulid;

use crate::wire::{Lost, RawHead};

pub use body::Body;
pub use endpoint::{Endpoint, plain};
pub use path::{OnPath, Position};
pub use view::View;

/// One request and its final response, as one tap saw them.
///
/// It holds secrets, so it can't be printed; [`record::Record`] is what may be shown.
pub struct Exchange {
    /// Unique, and sortable by time.
    pub id: Ulid,
    /// When the first byte of the request came.
    pub time: Timestamp,
    /// The tap that saw it.
    pub tap: Arc<Tap>,
    /// Which request it is at the other taps.
    pub path: OnPath,
    /// The client's side of the connection.
    pub client: ClientSide,
    /// The upstream's side; what there is of it where connecting failed.
    pub upstream: UpstreamSide,
    /// The request.
    pub request: Request,
    /// The response, as far as it came.
    pub response: Capture<Response>,
    /// What the tap changed in the request.
    pub edits: Vec<Edit>,
    /// How long the stages took.
    pub timing: Timing,
    /// How the exchange ended.
    pub outcome: Outcome,
    /// Why the tap could not read along to the end, if so.
    pub lost: Option<Unfollowed>,
}

impl Exchange {
    /// The upstream as a URL without user information: the tap's, or where the client's own connection was going.
    pub fn upstream_url(&self) -> Cow<'_, str> {
        match &self.upstream.addr {
            Some(addr) if self.tap.upstream_url.is_empty() => {
                let scheme = if self.client.tls.is_some() { "https" } else { "http" };
                Cow::Owned(format!("{scheme}://{addr}"))
            }
            _ => Cow::Borrowed(&self.tap.upstream_url),
        }
    }

    /// How much memory the exchange takes, for bounds on queues.
    pub fn memory(&self) -> usize {
        let response = self.response.seen().map_or(0, |response| {
            response.head.memory() + response.body.memory() + response.trailers.as_ref().map_or(0, RawHead::memory)
        });
        let trailers = self.request.trailers.as_ref().map_or(0, RawHead::memory);
        size_of::<Self>()
            + self.path.memory()
            + self.request.head.memory()
            + self.request.body.memory()
            + trailers
            + response
    }
}

/// What is the same for all exchanges of one tap.
#[derive(Debug)]
pub struct Tap {
    /// Its name in the record.
    pub name: String,
    /// Where it listens.
    pub listen: Endpoint,
    /// Its upstream as a URL without user information; empty where each connection has its own.
    pub upstream_url: String,
    /// Its place among the taps of its process.
    pub position: Position,
}

/// Something that may not have been captured. "Not there" and "not seen" are different values.
#[derive(Clone)]
pub enum Capture<T> {
    /// It was read in whole, or cut where the recording's limits said so.
    Seen(T),
    /// The exchange ended before it.
    NotReached,
    /// It began, and the connection broke off within its head.
    CutOff,
    /// It passed, and could not be read.
    Unreadable,
}

impl<T> Capture<T> {
    /// The value, if it was seen.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(value) => Some(value),
            _ => None,
        }
    }
}

/// The client's end of an exchange.
#[derive(Clone)]
pub struct ClientSide {
    /// Its address.
    pub addr: Endpoint,
    /// Who said that this is its address, where that is not who the connection is with.
    pub announced: Option<Arc<Announced>>,
    /// The number of its connection, counted over all taps of the process.
    pub connection: u64,
    /// How the connection was protected, if it was.
    pub tls: Option<Arc<Tls>>,
}

/// That a client's address is known by a PROXY protocol header alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// `v1` or `v2`.
    pub version: &'static str,
    /// Who sent it.
    pub by: Endpoint,
    /// Whether the client spoke TLS with the sender, where the sender says so.
    pub tls: Option<bool>,
}

/// The upstream's end of an exchange.
#[derive(Clone)]
pub struct UpstreamSide {
    /// Its address, once it was resolved.
    pub addr: Option<Endpoint>,
    /// The number of the upstream connection, counted over all taps of the process.
    pub connection: Option<u64>,
    /// Whether an earlier exchange used the same connection.
    pub reused: bool,
    /// How the connection was protected, if it was.
    pub tls: Option<Arc<Tls>>,
}

/// What was agreed on in a TLS handshake.
#[derive(Clone, Debug)]
pub struct Tls {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The protocol chosen by ALPN (RFC 7301).
    pub alpn: Option<String>,
    /// The server name that was asked for.
    pub server_name: Option<String>,
    /// Whether the peer showed a certificate: of a client, that it authenticated itself with one.
    pub peer_certificate: bool,
    /// Whether the peer's certificate was checked; false under `--insecure` and for clients.
    pub verified: bool,
}

/// A request as it came from the client.
#[derive(Clone)]
pub struct Request {
    /// The head as received, before any edit.
    pub head: RawHead,
    /// The version that the client spoke.
    pub version: Version,
    /// The authority of HTTP/2's `:authority`; over HTTP/1 the Host field has it.
    pub authority: Option<String>,
    /// The body: its size, and a form's text.
    pub body: Body,
    /// The fields behind a chunked body, or HTTP/2's trailers.
    pub trailers: Option<RawHead>,
}

/// A final response as it came from the upstream.
#[derive(Clone)]
pub struct Response {
    /// The head as received.
    pub head: RawHead,
    /// The status code.
    pub status: u16,
    /// The version that the upstream spoke.
    pub version: Version,
    /// Informational responses before it: the status codes of the first few.
    pub interim: Vec<u16>,
    /// How many informational responses came before it.
    pub interim_count: u32,
    /// The body: its size, and the text of a refusal.
    pub body: Body,
    /// The fields behind a chunked body, or HTTP/2's trailers.
    pub trailers: Option<RawHead>,
    /// Whether the tap itself made the response, because the upstream gave none.
    pub by_tap: bool,
}

/// A protocol version, as records write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
    /// A first line that names none of these.
    Unknown,
}

impl Version {
    /// What the version token of a start line says.
    pub fn of_token(token: &[u8]) -> Self {
        match token {
            b"HTTP/1.0" => Self::Http10,
            b"HTTP/1.1" => Self::Http11,
            b"HTTP/2" | b"HTTP/2.0" => Self::Http2,
            _ => Self::Unknown,
        }
    }

    /// `HTTP/1.1` and the like.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Unknown => "unknown",
        }
    }
}

/// Something that the tap changed in a request or in its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What was changed: `host`, `authority` of HTTP/2, or `hop-header` and `hop-header-answer`, which taps add for each other and take off.
    pub what: &'static str,
    /// What stood there.
    pub from: Cow<'static, str>,
    /// What went on instead.
    pub to: Cow<'static, str>,
    /// Why.
    pub why: &'static str,
}

/// How long the stages of an exchange took, from the first byte of the request on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Making the upstream connection; `None` where there was one already.
    pub connect: Option<Duration>,
    /// Until the first byte of the response came.
    pub first_byte: Option<Duration>,
    /// Until the exchange was over.
    pub total: Duration,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Request and response passed in whole.
    Complete,
    /// The response agreed to another protocol, or opened a tunnel.
    Upgraded,
    /// The client went away before the response had passed.
    ClientGone,
    /// There was no upstream connection, or it broke before the response had passed.
    UpstreamFailed(Failure),
    /// The tap could not read along; the bytes went on all the same.
    Unfollowed,
    /// The tap was stopped while the exchange was running.
    Stopped,
}

impl Outcome {
    /// The name by which records call it.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Upgraded => "upgraded",
            Self::ClientGone => "client-gone",
            Self::UpstreamFailed(_) => "upstream-failed",
            Self::Unfollowed => "unfollowed",
            Self::Stopped => "stopped",
        }
    }
}

/// What went wrong at the upstream, by the step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// The reason in words, from the operating system or the TLS library; never a peer's data.
    pub reason: String,
}

/// The steps towards an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Resolving the upstream's name.
    Dns,
    /// Connecting.
    Connect,
    /// Connecting took too long.
    ConnectTimeout,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for or reading the response: the connection was closed.
    Closed,
    /// Waiting for or reading the response: the connection was reset.
    Reset,
    /// Waiting for the response took too long.
    ResponseTimeout,
    /// What came is no HTTP response.
    Malformed,
}

impl Step {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect-timeout",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::ResponseTimeout => "response-timeout",
            Self::Malformed => "malformed-response",
        }
    }

    /// What was tried, for a reader of the log: "… failed" or a whole sentence without its object.
    pub fn text(self) -> &'static str {
        match self {
            Self::Dns => "the upstream's name could not be resolved",
            Self::Connect => "the upstream refused or could not be reached",
            Self::ConnectTimeout => "the upstream did not accept the connection in time",
            Self::Tls => "the TLS handshake with the upstream failed",
            Self::Send => "the request could not be sent to the upstream",
            Self::Closed => "the upstream closed the connection without a whole answer",
            Self::Reset => "the upstream reset the connection",
            Self::ResponseTimeout => "the upstream did not answer in time",
            Self::Malformed => "the upstream's answer is not HTTP",
        }
    }

    /// The error type of Proxy-Status (RFC 9209 2.3).
    pub fn proxy_status(self) -> &'static str {
        match self {
            Self::Dns => "dns_error",
            Self::Connect => "connection_refused",
            Self::ConnectTimeout => "connection_timeout",
            Self::Tls => "tls_protocol_error",
            Self::Send | Self::Closed | Self::Reset => "connection_terminated",
            Self::ResponseTimeout => "http_response_timeout",
            Self::Malformed => "http_protocol_error",
        }
    }
}

/// That a stream could not be followed any more, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfollowed {
    /// In which direction.
    pub direction: Direction,
    /// Why.
    pub why: Lost,
}

/// One of the two directions of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the upstream.
    Request,
    /// From the upstream to the client.
    Response,
}

impl Direction {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// Whether a field of a head was captured: text that has to be valid to be shown is decoded with replacement.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
