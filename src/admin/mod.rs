//! What answers about the program itself: whether it is alive, whether it takes connections, what it counts; and the
//! inspector page, on a listener of its own.

mod guard;
pub mod inspector;
mod listener;
mod page;

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::http::{Method, StatusCode, header};
use hyper::{Request, Response, body::Incoming};

/// Connections that are served at once. Whoever may ask may stay.
const ROOM: listener::Room = listener::Room { places: 64, needs_proof: false };

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
        let answer = move |request, _| std::future::ready(self.answer(&request));
        listener::serve("the admin listener", listener, ROOM, answer).await;
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
