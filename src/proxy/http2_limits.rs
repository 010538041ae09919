//! What an HTTP/2 peer may make the tap hold. Every limit that hyper knows is set here and none is left to its defaults,
//! which change from version to version and are not made for a program that may stand before any client.
//!
//! A stream that nobody reads must not hold up the others of its connection, as it would not without the tap. So the window
//! of a connection is that of all its streams together, and bounds what a peer can make the tap keep of bodies: 16 MiB of
//! what a client sends to an upstream that does not take it, 32 MiB of what an upstream sends to a client that does not.

use std::time::Duration;

use hyper::client::conn::{http1, http2 as client};
use hyper::server::conn::http2 as server;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// Streams that a client may have open at once, and so connections that stand in for them.
pub(super) const STREAMS: u32 = 256;

/// A header list, above what common backends take, so that the tap is never the narrowest place. A larger one of a client
/// is answered with 431, a larger one of an upstream resets its stream. It bounds CONTINUATION frames as well: to 20 at
/// [`FRAME`], an empty one counted like a full one.
const HEADER_LIST: u32 = 256 * 1024;

/// The largest frame, which is the smallest limit that the protocol allows (RFC 9113 4.2).
const FRAME: u32 = 16 * 1024;

/// What a peer may make the tap remember of its header fields (RFC 7541 4.2): the protocol's own initial value.
const HEADER_TABLE: u32 = 4096;

/// Body bytes of a stream that may be on their way before the other side has taken them. What clients send gets less: they
/// are the ones who may want to hurt, and 64 KiB is what the protocol begins with anyway.
const WINDOW_OF_CLIENTS: u32 = 64 * 1024;
const WINDOW_OF_UPSTREAMS: u32 = 128 * 1024;

/// Body bytes of a stream that wait for the socket.
const SEND_BUFFER: usize = 128 * 1024;

/// Streams that the peer opened and reset before anybody had looked at them. More in one go is a rapid reset, and ends the
/// connection.
const UNSEEN_RESETS: usize = 20;

/// Streams that the tap has to reset because the peer broke the rules on them. More of them end the connection.
const BROKEN_STREAMS: usize = 128;

/// Streams that were reset, and for which late frames are still taken; and how long.
const RESET_STREAMS: usize = 64;
const RESET_STREAM_TIME: Duration = Duration::from_secs(1);

/// Streams that are opened towards an upstream before it has said how many it takes.
const FIRST_STREAMS: usize = 100;

/// What an upstream of HTTP/1 may answer to a client of HTTP/2: fields, and bytes of a head.
const HTTP1_FIELDS: usize = 1000;
const HTTP1_BUFFER: usize = 512 * 1024;

/// How long a peer may take to answer a ping before its connection is given up.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves clients. A client that says nothing for `idle` is asked whether it is there.
pub(super) fn towards_clients(idle: Duration) -> server::Builder<TokioExecutor> {
    let mut builder = server::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .max_frame_size(FRAME)
        .header_table_size(HEADER_TABLE)
        .adaptive_window(false)
        .initial_stream_window_size(WINDOW_OF_CLIENTS)
        .initial_connection_window_size(STREAMS * WINDOW_OF_CLIENTS)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(UNSEEN_RESETS)
        .max_local_error_reset_streams(BROKEN_STREAMS)
        .keep_alive_interval(idle)
        .keep_alive_timeout(PING_TIMEOUT)
        .auto_date_header(false);
    builder
}

/// Speaks with upstreams. They may push nothing, and are asked nothing while no exchange runs.
pub(super) fn towards_upstream() -> client::Builder<TokioExecutor> {
    let mut builder = client::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_max_send_streams(FIRST_STREAMS)
        .max_header_list_size(HEADER_LIST)
        .max_frame_size(FRAME)
        .header_table_size(HEADER_TABLE)
        .adaptive_window(false)
        .initial_stream_window_size(WINDOW_OF_UPSTREAMS)
        .initial_connection_window_size(STREAMS * WINDOW_OF_UPSTREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(UNSEEN_RESETS)
        .max_local_error_reset_streams(BROKEN_STREAMS)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_STREAM_TIME)
        .keep_alive_interval(None);
    builder
}

/// Speaks HTTP/1 with upstreams that have nothing else.
pub(super) fn towards_http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_headers(HTTP1_FIELDS).max_buf_size(HTTP1_BUFFER);
    builder
}
