//! The admin listener: whether the program is alive, whether it takes connections, and what it counts.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::http::{Method, StatusCode, header};
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections that are served at once; the others wait in the system's queue.
const CONNECTIONS: usize = 64;

/// How long a prober may take for its head, and how long one may stay in all.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const STAY: Duration = Duration::from_secs(600);

/// What a prober's head may hold: fields, and bytes.
const FIELDS: usize = 64;
const BUFFER: usize = 16 * 1024;

/// Media types of the answers.
const PLAIN: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the admin listener answers from.
pub struct Admin {
    ready: AtomicBool,
    /// Makes the text of the metrics.
    metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl Admin {
    /// Not ready yet.
    pub fn new(metrics: impl Fn() -> String + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Admin { ready: AtomicBool::new(false), metrics: Box::new(metrics) })
    }

    /// Says whether clients may be sent here.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Answers until it is dropped. It goes on while the program drains, so that whoever asks sees that.
    pub async fn serve(self: Arc<Self>, listener: StdListener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!("cannot serve the admin listener: {error}"),
        };
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // It is never closed.
            let Ok(place) = room.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let admin = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = admin.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let serving = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .max_headers(FIELDS)
                    .max_buf_size(BUFFER)
                    .serve_connection(TokioIo::new(stream), service);
                // A prober that leaves early is no concern of ours.
                let _ = tokio::time::timeout(STAY, serving).await;
                drop(place);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let said = |text: &'static str| Bytes::from_static(text.as_bytes());
        let (status, kind, text) = match request.uri().path() {
            "/healthz" | "/readyz" | "/metrics" if !is_read => {
                (StatusCode::METHOD_NOT_ALLOWED, PLAIN, said("only GET\n"))
            }
            "/healthz" => (StatusCode::OK, PLAIN, said("ok\n")),
            "/readyz" if self.ready.load(Ordering::Relaxed) => (StatusCode::OK, PLAIN, said("ready\n")),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, PLAIN, said("not taking connections\n")),
            "/metrics" => (StatusCode::OK, METRICS, (self.metrics)().into()),
            _ => (StatusCode::NOT_FOUND, PLAIN, said("there are /healthz, /readyz and /metrics\n")),
        };
        let mut response = Response::new(Full::new(text));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
    }
}
