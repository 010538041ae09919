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

use crate::config::without_query;
use crate::error::Error;
use crate::tls;

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
        Ok(Client { hyper, runtime: handle, is_away: Arc::default() })
    }

    fn told(&self, endpoint: &str, failed: Option<String>) {
        let was_away = self.is_away.swap(failed.is_some(), Ordering::Relaxed);
        match failed {
            Some(why) if !was_away => {
                tracing::warn!(
                    "the collector at {endpoint} takes nothing: {why}; what is for it is lost until it does"
                );
            }
            None if was_away => tracing::warn!("the collector at {endpoint} takes telemetry again"),
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
            Ok(answer) => Some(format!("it answered {}", answer.status().as_u16())),
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

/// What went wrong in the end: the first words of a client's error are never that.
fn last_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

/// A URL as it may be shown: without a user, a password and a query.
pub(super) fn shown(url: &str) -> String {
    let url = without_query(url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.rsplit_once('@').map_or(url, |(_, rest)| rest).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_url_is_shown_without_secrets() {
        assert_eq!(shown("https://user:hunter2@otel.example:4318/v1?key=hunter2"), "https://otel.example:4318/v1");
        assert_eq!(shown("http://localhost:4318"), "http://localhost:4318");
        assert_eq!(shown("user:hunter2@otel"), "otel");
    }
}
