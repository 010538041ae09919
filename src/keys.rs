//! The keys that tokens are held against: read from files, fetched from where they are published, and fetched again when a
//! token names one that is not there.
//!
//! Fetching is done beside everything else, by a thread for each time. What can't be had is said once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{ACCEPT, LOCATION, USER_AGENT};
use hyper::{Request, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde_json::Value;

use crate::auth::{Detail, KeySet};
use crate::config::{GivenConfig, KeyPlace, without_query};
use crate::error::{Error, last_cause};
use crate::exchange::View;
use crate::exchange::given::{Given, GivenKeys};
use crate::tls;

/// How long fetching may take in all.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a diagnosis waits for keys that are on their way.
const PATIENCE: Duration = Duration::from_secs(2);
/// How soon keys are fetched again, since a token named one that is not there.
const AGAIN: Duration = Duration::from_secs(30);
/// The largest document that is read.
const LARGEST: usize = 1 << 20;

/// What the operator gave, with the keys that belong to it.
pub struct Keys {
    given: Given,
    /// The sets that are fetched; each has its place in `given.keys`.
    published: Vec<Published>,
    results: Receiver<Fetched>,
    sender: Sender<Fetched>,
}

/// A set of keys that is published somewhere.
struct Published {
    place: KeyPlace,
    tls: Arc<rustls::ClientConfig>,
    /// Where it is in `given.keys`.
    at: usize,
    /// When it was last asked for anew.
    asked_again: Option<Instant>,
    is_on_its_way: bool,
    /// Whether it could not be had the last time. It is not waited for then.
    has_failed: bool,
    was_told: bool,
}

struct Fetched {
    number: usize,
    result: Result<(String, KeySet), String>,
}

impl Keys {
    /// Reads the files and begins to fetch the rest. `None` where nothing was given.
    ///
    /// # Errors
    /// A file that holds no keys.
    pub fn start(config: &GivenConfig) -> Result<Option<Self>, Error> {
        let mut given = Given {
            issuers: config.issuers.clone(),
            audiences: config.audiences.clone(),
            public_url: config.public_url.clone(),
            keys: Vec::new(),
        };
        if let Some((from, secret)) = &config.secret {
            let set = Some(KeySet::shared_secret(secret));
            given.keys.push(GivenKeys { from: from.clone(), set, fetched: None, is_secret: true });
        }
        let (sender, results) = channel();
        let mut keys = Keys { given, published: Vec::new(), results, sender };
        for place in &config.keys {
            let empty = GivenKeys { from: place.shown(), set: None, fetched: None, is_secret: false };
            let at = keys.given.keys.len();
            match place {
                KeyPlace::File(path, json) => {
                    let set = KeySet::parse(json).map_err(|why| {
                        Error::run(format!("--jwks: {} is no set of keys: {why}", path.display()))
                            .advice("give a JSON Web Key Set, {\"keys\":[…]}, or the URL of one")
                    })?;
                    keys.given.keys.push(GivenKeys { set: Some(set), ..empty });
                }
                KeyPlace::Url(_) | KeyPlace::Issuer(_) => {
                    keys.given.keys.push(empty);
                    keys.published.push(Published {
                        place: place.clone(),
                        tls: tls::towards_publishers(config.cacert.as_deref())?,
                        at,
                        asked_again: None,
                        is_on_its_way: false,
                        has_failed: false,
                        was_told: false,
                    });
                    keys.ask(keys.published.len() - 1);
                }
            }
        }
        Ok((!keys.given.is_empty()).then_some(keys))
    }

    /// What was given, as far as it is known by now.
    pub fn given(&self) -> &Given {
        &self.given
    }

    /// Makes sure, within a bound, that the keys are there which the diagnosis of these views needs. Says whether more is
    /// known than before.
    pub fn prepare(&mut self, views: &[View<'_>]) -> bool {
        if self.published.is_empty() {
            return false;
        }
        let kids: Vec<Option<&str>> = views.iter().flat_map(refused_tokens).collect();
        if kids.is_empty() {
            return false;
        }
        let mut is_more = self.wait();
        let is_missing = |kid: &Option<&str>| kid.is_none_or(|kid| self.given.source_of(kid).is_none());
        if kids.iter().any(is_missing) {
            self.ask_again();
            is_more |= self.wait();
        }
        is_more
    }

    fn ask_again(&mut self) {
        let now = Instant::now();
        for number in 0..self.published.len() {
            let Some(one) = self.published.get_mut(number) else { continue };
            if one.asked_again.is_none_or(|asked| now.duration_since(asked) >= AGAIN) {
                one.asked_again = Some(now);
                self.ask(number);
            }
        }
    }

    fn ask(&mut self, number: usize) {
        let Some(one) = self.published.get_mut(number).filter(|one| !one.is_on_its_way) else { return };
        let (place, tls, sender) = (one.place.clone(), one.tls.clone(), self.sender.clone());
        let fetching = thread::Builder::new().name("keys".to_owned()).spawn(move || {
            // Whoever asked may be gone.
            let _ = sender.send(Fetched { number, result: fetch(&place, tls) });
        });
        one.is_on_its_way = fetching.is_ok();
    }

    /// Takes what came, and waits a while for what may come soon.
    fn wait(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        let mut is_more = false;
        loop {
            let is_awaited = self.published.iter().any(|one| one.is_on_its_way && !one.has_failed);
            let patience = if is_awaited { until.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            match self.results.recv_timeout(patience) {
                Ok(fetched) => is_more |= self.take(fetched),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        for one in self.published.iter_mut().filter(|one| one.is_on_its_way) {
            one.has_failed = true;
        }
        is_more
    }

    fn take(&mut self, fetched: Fetched) -> bool {
        let Some(one) = self.published.get_mut(fetched.number) else { return false };
        one.is_on_its_way = false;
        let Some(keys) = self.given.keys.get_mut(one.at) else { return false };
        match fetched.result {
            Ok((from, set)) => {
                one.has_failed = false;
                *keys = GivenKeys { from, set: Some(set), fetched: Some(Timestamp::now()), is_secret: false };
                true
            }
            Err(why) => {
                one.has_failed = true;
                if !std::mem::replace(&mut one.was_told, true) {
                    let until =
                        if keys.set.is_some() { "those from before are used" } else { "signatures stay unchecked" };
                    tracing::warn!("no keys from {}: {why}; {until}", one.place.shown());
                }
                false
            }
        }
    }
}

/// The names of the keys of those tokens that were refused; `None` for a token that names none.
fn refused_tokens<'v>(view: &'v View<'_>) -> impl Iterator<Item = Option<&'v str>> {
    let is_refused = view.is_refused();
    let mut seen = HashSet::new();
    view.offered().iter().filter(move |_| is_refused).filter_map(move |offered| match &offered.credentials.detail {
        Detail::Jwt(jwt) if seen.insert(offered.fingerprint) => Some(jwt.header.kid.as_deref()),
        _ => None,
    })
}

fn fetch(place: &KeyPlace, tls: Arc<rustls::ClientConfig>) -> Result<(String, KeySet), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start a runtime: {error}"))?;
    let fetched = runtime.block_on(async {
        let fetching = async {
            let url = match place {
                KeyPlace::Issuer(issuer) => discover(issuer, &tls).await?,
                KeyPlace::Url(url) => url.clone(),
                KeyPlace::File(path, _) => return Err(format!("{} is a file", path.display())),
            };
            let json = get(&url, &tls).await?;
            let set =
                KeySet::parse(&json).map_err(|why| format!("{} is no set of keys: {why}", without_query(&url)))?;
            Ok((without_query(&url).to_owned(), set))
        };
        tokio::time::timeout(TIMEOUT, fetching)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
    });
    // A name that is still being looked up holds nobody up.
    runtime.shutdown_background();
    fetched
}

/// Where an issuer publishes its keys, by its metadata (OpenID Connect Discovery 4.1, RFC 8414 3.1).
async fn discover(issuer: &str, tls: &Arc<rustls::ClientConfig>) -> Result<String, String> {
    let mut why = Vec::new();
    for url in metadata_urls(issuer) {
        match get(&url, tls).await.and_then(|json| jwks_uri(issuer, &url, &json)) {
            Ok(found) => return Ok(found),
            Err(error) => why.push(error),
        }
    }
    Err(why.join("; "))
}

fn metadata_urls(issuer: &str) -> Vec<String> {
    let issuer = issuer.trim_end_matches('/');
    let openid = format!("{issuer}/.well-known/openid-configuration");
    let path_at = issuer.find("://").map_or(0, |at| at + 3);
    let path_at = issuer.get(path_at..).and_then(|rest| rest.find('/')).map_or(issuer.len(), |at| at + path_at);
    let (origin, path) = issuer.split_at(path_at);
    vec![openid, format!("{origin}/.well-known/oauth-authorization-server{path}")]
}

fn jwks_uri(issuer: &str, url: &str, json: &[u8]) -> Result<String, String> {
    let metadata: Value = serde_json::from_slice(json).map_err(|_| format!("{url} is not JSON"))?;
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    match text("issuer") {
        // Whoever compares letter by letter, as everybody has to, finds another issuer there.
        Some(other) if other != issuer => Err(format!("{url} is of another issuer, {other:?}")),
        _ => text("jwks_uri").map(str::to_owned).ok_or_else(|| format!("{url} has no jwks_uri")),
    }
}

async fn get(url: &str, tls: &Arc<rustls::ClientConfig>) -> Result<Bytes, String> {
    let shown = without_query(url);
    let uri: Uri = url.parse().map_err(|_| format!("{shown} is no URL"))?;
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(rustls::ClientConfig::clone(tls)).https_or_http().enable_http1();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector.build());
    let request = Request::get(uri)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("authtap/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|_| format!("{shown} is no URL that can be asked for"))?;
    let response = client.request(request).await.map_err(|error| format!("{shown}: {}", last_cause(&error)))?;
    let status = response.status();
    if !status.is_success() {
        let leads = response.headers().contains_key(LOCATION);
        let advice = if leads { ", which leads elsewhere; give the URL that it leads to" } else { "" };
        return Err(format!("{shown} answered {}{advice}", status.as_u16()));
    }
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| format!("{shown}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_the_documents_say() {
        assert_eq!(
            metadata_urls("https://login.example/"),
            [
                "https://login.example/.well-known/openid-configuration",
                "https://login.example/.well-known/oauth-authorization-server"
            ]
        );
        assert_eq!(
            metadata_urls("https://login.example/realms/shop"),
            [
                "https://login.example/realms/shop/.well-known/openid-configuration",
                "https://login.example/.well-known/oauth-authorization-server/realms/shop"
            ]
        );
    }

    #[test]
    fn the_metadata_of_another_issuer_is_not_used() {
        let json = br#"{"issuer":"https://login.example","jwks_uri":"https://login.example/keys"}"#;
        let error = jwks_uri("https://login.example/", "u", json).unwrap_err();
        assert!(error.contains("another issuer"), "{error}");
        assert_eq!(jwks_uri("https://login.example", "u", json).unwrap(), "https://login.example/keys");
    }
}
