//! Brings batches to the collector. One that is away is told of once, and again when it is back.

use std::fmt;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

use crate::error::{Error, last_cause};
use crate::tls;

use super::environment::{Signal, shown};

/// How long one batch may take, whatever else is waited for: the library's own limit ends waiting, not the connection.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is read.
const LARGEST: usize = 1 << 20;

type Hyper = HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends from a runtime of its own, since the threads of the libraries have none.
#[derive(Clone)]
pub(super) struct Client {
    hyper: Hyper,
    runtime: Handle,
    signal: Signal,
    /// Whether the collector did not take the last batch of this signal.
    is_away: Arc<AtomicBool>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// A client that trusts the authorities in `certificate`, or the platform's.
    ///
    /// # Errors
    /// A file that can't be used, or what the operating system says.
    pub(super) fn start(certificate: Option<&Path>) -> Result<Self, Error> {
        let tls = tls::towards_collector(certificate)?;
        let tls = rustls::ClientConfig::clone(&tls);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let cannot = |error| Error::run(format!("--otel: cannot start what sends: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || runtime.block_on(pending::<()>()))
            .map_err(cannot)?;
        let hyper = HyperClient::builder(TokioExecutor::new()).build(connector);
        Ok(Client { hyper, runtime: handle, signal: Signal::Traces, is_away: Arc::default() })
    }

    /// A refusal in words, with what to do where it won't ever take that.
    fn refused(&self, status: u16) -> String {
        let off = match self.signal {
            Signal::Traces => "OTEL_TRACES_EXPORTER=none",
            Signal::Logs => "OTEL_LOGS_EXPORTER=none",
        };
        match status {
            404 | 405 | 501 => format!("it answered {status}, and {off} leaves them out"),
            status => format!("it answered {status}"),
        }
    }

    /// The same for one signal: a collector may take spans and no logs, or the reverse.
    pub(super) fn of(&self, signal: Signal) -> Self {
        Client { signal, is_away: Arc::default(), ..self.clone() }
    }

    fn told(&self, endpoint: &str, failed: Option<String>) {
        let was_away = self.is_away.swap(failed.is_some(), Ordering::Relaxed);
        match failed {
            Some(why) if !was_away => {
                let what = self.signal.words();
                tracing::warn!("the collector at {endpoint} takes no {what}: {why}; they are lost until it does");
            }
            None if was_away => tracing::warn!("the collector at {endpoint} takes {} again", self.signal.words()),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let endpoint = shown(&request.uri().to_string());
        let hyper = self.hyper.clone();
        let sending = self.runtime.spawn(async move { tokio::time::timeout(TIMEOUT, send(hyper, request)).await });
        let result: Result<Response<Bytes>, HttpError> = match sending.await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(format!("no answer within {TIMEOUT:?}").into()),
            Err(error) => Err(error.into()),
        };
        let failed = match &result {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(self.refused(answer.status().as_u16())),
            Err(error) => Some(error.to_string()),
        };
        self.told(&endpoint, failed);
        result
    }
}

async fn send(hyper: Hyper, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let response = hyper.request(request.map(Full::new)).await.map_err(|error| last_cause(&error))?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, LARGEST).collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}
