//! Serving few and small requests, whoever sends them: bounds on connections, heads and time.

use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections that are served at once; the others wait in the system's queue.
const CONNECTIONS: usize = 64;

/// How long a client may take for its head, how long one may stay in all, and how long an answer may take to leave then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const STAY: Duration = Duration::from_secs(600);
const LEAVE: Duration = Duration::from_secs(60);

/// What a head may hold: fields, and bytes.
const FIELDS: usize = 64;
const BUFFER: usize = 16 * 1024;

/// Answers with what `answer` makes of a request and the address at which it came in, until it is dropped.
pub(super) async fn serve<A, F>(what: &str, listener: StdListener, answer: A)
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send,
{
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("cannot serve {what}: {error}"),
    };
    let (room, answer) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(answer));
    loop {
        // It is never closed.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(local) = stream.local_addr() else { continue };
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
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
            if tokio::time::timeout(STAY, serving.as_mut()).await.is_err() {
                serving.as_mut().graceful_shutdown();
                let _ = tokio::time::timeout(LEAVE, serving).await;
            }
            drop(place);
        });
    }
}
