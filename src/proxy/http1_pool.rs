//! HTTP/1 connections for a client of HTTP/2, where the upstream has nothing else.

use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::http::uri::PathAndQuery;
use hyper::http::{HeaderName, HeaderValue, Method, Request, Response, Version, header, request};
use hyper_util::rt::TokioIo;

use super::ListeningTap;
use super::http2_limits::{self, STREAMS};
use super::hyper_error::{SendError, failure_of};
use super::passed::{PassedBody, Shared};
use super::upstream::{self, Errand};
use crate::exchange::{Failure, UpstreamSide};

/// HTTP/1 connections of one HTTP/2 client, kept while they are idle.
pub(super) struct Http1Pool {
    tap: Arc<ListeningTap>,
    errand: Errand,
    /// Those that have answered. One is free again when the body of its answer has passed.
    kept: Mutex<Vec<Kept>>,
}

type Kept = (http1::SendRequest<PassedBody>, UpstreamSide);

/// The fields that HTTP/2 does not have and must not get (RFC 9113 8.2.2).
static CONNECTION_FIELDS: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl Http1Pool {
    pub(super) fn new(tap: Arc<ListeningTap>, errand: Errand) -> Self {
        Http1Pool { tap, errand, kept: Mutex::new(Vec::new()) }
    }

    pub(super) async fn send(
        &self,
        parts: request::Parts,
        body: PassedBody,
        recording: &Shared,
    ) -> Result<Response<Incoming>, SendError> {
        let (mut sender, side) = self.sender(recording).await.map_err(SendError::Failed)?;
        recording.with(|recording| recording.set_upstream(side.clone()));
        let request = Request::from_parts(to_http1(parts), body);
        let mut response = sender.send_request(request).await.map_err(|error| SendError::Failed(failure_of(&error)))?;
        for name in &CONNECTION_FIELDS {
            response.headers_mut().remove(name);
        }
        if let Ok(mut kept) = self.kept.lock()
            && kept.len() < STREAMS as usize
        {
            kept.push((sender, UpstreamSide { reused: true, ..side }));
        }
        Ok(response)
    }

    /// One that is free, of which the one that was used last is the least likely to be closed in the meantime.
    fn free(&self) -> Option<Kept> {
        let mut kept = self.kept.lock().ok()?;
        kept.retain(|(sender, _)| !sender.is_closed());
        let at = kept.iter().rposition(|(sender, _)| sender.is_ready())?;
        Some(kept.remove(at))
    }

    async fn sender(&self, recording: &Shared) -> Result<Kept, Failure> {
        if let Some(free) = self.free() {
            return Ok(free);
        }
        // What is rare takes its room for a moment alone.
        Box::pin(self.connect(recording)).await
    }

    async fn connect(&self, recording: &Shared) -> Result<Kept, Failure> {
        let offer = [b"http/1.1".to_vec()];
        let connected = upstream::connect(&self.errand, &offer, &self.tap.limits).await?;
        recording.with(|recording| recording.connected_in(connected.took));
        let handshake = http2_limits::towards_http1().handshake(TokioIo::new(connected.stream));
        let (sender, connection) = handshake.await.map_err(|error| failure_of(&error))?;
        tokio::spawn(async move {
            // What broke it, the exchange learns for itself.
            let _ = connection.await;
        });
        Ok((sender, connected.side))
    }
}

/// A request of HTTP/2 in the form of HTTP/1: `:authority` becomes Host, and Cookie is one line (RFC 9113 8.2.3).
fn to_http1(mut parts: request::Parts) -> request::Parts {
    parts.version = Version::HTTP_11;
    if let Some(authority) = parts.uri.authority()
        && !parts.headers.contains_key(header::HOST)
        && let Ok(host) = HeaderValue::try_from(authority.as_str())
    {
        parts.headers.insert(header::HOST, host);
    }
    let crumbs: Vec<&[u8]> = parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        parts.headers.insert(header::COOKIE, cookie);
    }
    // The target of CONNECT is the authority in both versions.
    if parts.method != Method::CONNECT {
        let target = parts.uri.path_and_query().cloned();
        parts.uri = target.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    }
    parts
}
