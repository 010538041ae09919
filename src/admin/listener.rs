//! Serving few and small requests, whoever sends them: bounds on connections, heads and time.

use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long a client may take for its head, how long one may stay in all, and how long an answer may take to leave then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const STAY: Duration = Duration::from_secs(600);
const LEAVE: Duration = Duration::from_secs(60);

/// The same for one that has not proven that it may be there.
const SHORT_STAY: Duration = Duration::from_secs(10);
const SHORT_LEAVE: Duration = Duration::from_secs(2);

/// What a head may hold: fields, and bytes.
const FIELDS: usize = 64;
const BUFFER: usize = 16 * 1024;

/// Who is let in.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// Connections that are served at once; the others wait in the system's queue.
    pub(super) places: usize,
    /// Whether a connection has to prove by its [`Standing`] that it may stay, so that those who can't leave soon.
    pub(super) needs_proof: bool,
}

/// Whether a connection may stay: part of each of its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing(Arc<AtomicBool>);

impl Standing {
    /// Says that it may.
    pub(super) fn prove(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_proven(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Answers with what `answer` makes of a request and the address at which it came in, until it is dropped.
pub(super) async fn serve<A, F>(what: &str, listener: StdListener, room: Room, answer: A)
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send,
{
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("cannot serve {what}: {error}"),
    };
    let (places, answer) = (Arc::new(Semaphore::new(room.places)), Arc::new(answer));
    loop {
        // It is never closed.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(local) = stream.local_addr() else { continue };
        let answer = answer.clone();
        tokio::spawn(async move {
            let standing = Standing::default();
            if !room.needs_proof {
                standing.prove();
            }
            let shown = standing.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(shown.clone());
                let answer = answer.clone();
                async move { Ok::<_, Infallible>(answer(request, local).await) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_headers(FIELDS)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service);
            let mut serving = std::pin::pin!(serving);
            // A client that leaves early is no concern of ours.
            let mut is_over = tokio::time::timeout(SHORT_STAY, serving.as_mut()).await.is_ok();
            if !is_over && standing.is_proven() {
                is_over = tokio::time::timeout(STAY, serving.as_mut()).await.is_ok();
            }
            if !is_over {
                serving.as_mut().graceful_shutdown();
                let leave = if standing.is_proven() { LEAVE } else { SHORT_LEAVE };
                let _ = tokio::time::timeout(leave, serving).await;
            }
            drop(place);
        });
    }
}
