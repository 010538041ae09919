//! An exchange as the log and the summary tell of it. Nothing in it is secret, so that a record can be told like a live
//! exchange.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;

use super::escape::printable;
use crate::auth::{Detail, Scheme};
use crate::exchange::record::read::Read;
use crate::exchange::{Endpoint, Outcome, View};

/// What is told of an exchange.
pub struct Shown {
    /// The tap that saw it.
    pub(super) tap: String,
    /// Whether that is not the first one of its path.
    pub(super) is_inner: bool,
    /// The status of the answer, a tap's own included; `None` where there was none.
    pub(super) status: Option<u16>,
    /// The method.
    pub(super) method: String,
    /// The target, masked.
    pub(super) target: String,
    /// The client's address; empty where it is not known.
    pub(super) client: String,
    /// What the credentials are called, such as `Bearer jwt#7f3a`.
    pub(super) credential: Option<String>,
    /// When they expire, in seconds from the request on.
    pub(super) expires_in: Option<i64>,
    /// How it ended, where that is more than that it is over.
    pub(super) end: Option<&'static str>,
    /// When it began.
    pub(super) time: Option<Timestamp>,
    /// How long it took.
    pub(super) total: Duration,
    /// The address of the backend that answered.
    pub(super) backend: Option<String>,
    /// Whether it is a health probe: counted, and not shown while nothing is wrong.
    pub(super) is_probe: bool,
    /// Whether the upstream failed.
    pub(super) has_failed: bool,
    /// The same for the same credentials, where these are not made anew for each request.
    pub(super) whose: u64,
}

/// An exchange that nobody is told of, or that is like one before it, as it is counted: no text is made of it.
pub(super) struct Counted<'e> {
    /// Whether it is a health probe.
    pub(super) is_probe: bool,
    /// When it began, where it was served and had credentials.
    pub(super) served: Option<Timestamp>,
    /// The backend that answered.
    pub(super) backend: Option<&'e Endpoint>,
    /// Who asked whom for what, where that can be told shortly.
    pub(super) way: Option<Way>,
}

/// Two exchanges for which it is the same have the same route, credentials, client and backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Way {
    request: u64,
    client: IpAddr,
    backend: SocketAddr,
}

impl Way {
    fn of(view: &View<'_>) -> Option<Self> {
        let exchange = view.exchange();
        let Some(Endpoint::Tcp(backend)) = exchange.upstream.addr else { return None };
        Some(Way { request: view.number_of_request()?, client: exchange.client.addr.ip()?, backend })
    }
}

impl<'e> Counted<'e> {
    /// What is counted of a live exchange.
    pub(super) fn of(view: &View<'e>) -> Self {
        let exchange = view.exchange();
        let is_served = exchange.response.seen().is_some_and(|response| (200..300).contains(&response.status));
        Counted {
            is_probe: is_probe(view.request().value("user-agent").unwrap_or_default(), view.path()),
            served: Some(exchange.time).filter(|_| is_served && view.main_credentials().is_some()),
            backend: exchange.upstream.addr.as_ref(),
            way: Way::of(view),
        }
    }
}

impl Shown {
    /// What is told of a live exchange.
    pub fn of(view: &View<'_>) -> Self {
        let exchange = view.exchange();
        let redactor = view.redactor();
        let offered = view.main_credentials();
        let mut whose = DefaultHasher::new();
        if let Some(offered) = offered {
            offered.credentials.scheme_as_sent.hash(&mut whose);
            match &offered.credentials.detail {
                // These are made anew for each request; whose they are stays the same.
                Detail::Digest(digest) => digest.username.hash(&mut whose),
                Detail::SigV4(_) | Detail::Negotiate(_) | Detail::Params(_) => {}
                _ => offered.fingerprint.hash(&mut whose),
            }
        }
        let claims = offered.and_then(|offered| match &offered.credentials.detail {
            Detail::Jwt(jwt) => jwt.claims.as_ref(),
            _ => None,
        });
        let exp = claims.and_then(|claims| claims.exp).and_then(|exp| exp.timestamp());
        Shown {
            tap: exchange.tap.name.clone(),
            is_inner: exchange.tap.position.index > 0,
            status: exchange.response.seen().map(|response| response.status),
            method: redactor.name(view.method()).into_owned(),
            target: view.shown_target().to_owned(),
            // An archive does not tell.
            client: Some(&exchange.client.addr)
                .filter(|addr| addr.ip().is_none_or(|ip| !ip.is_unspecified()))
                .map_or_else(String::new, Endpoint::host),
            credential: offered.map(|offered| printable(&view.label(offered))),
            expires_in: exp.map(|exp| exp.as_second() - exchange.time.as_second()),
            end: match exchange.outcome {
                Outcome::Upgraded => Some("upgraded"),
                Outcome::ClientGone => Some("client gone"),
                _ => None,
            },
            time: Some(exchange.time),
            total: exchange.timing.total,
            backend: exchange.upstream.addr.as_ref().map(Endpoint::to_string),
            is_probe: is_probe(view.request().value("user-agent").unwrap_or_default(), view.path()),
            has_failed: matches!(exchange.outcome, Outcome::UpstreamFailed(_)),
            whose: whose.finish(),
        }
    }

    /// What is told of a record.
    pub fn of_record(read: &Read) -> Self {
        let request = &read.request;
        let agent = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
        let sent = request.credentials.iter().find(|sent| sent.name == "authorization").or(request.credentials.first());
        let mut whose = DefaultHasher::new();
        if let Some(sent) = sent {
            sent.scheme_as_sent.hash(&mut whose);
            match sent.scheme.as_deref().map(|scheme| Scheme::parse(scheme.as_bytes())) {
                Some(Scheme::Digest) => sent.user.hash(&mut whose),
                Some(Scheme::Negotiate | Scheme::Ntlm | Scheme::Aws4HmacSha256) => {}
                _ => sent.fingerprint.hash(&mut whose),
            }
        }
        let time: Option<Timestamp> = read.time.parse().ok();
        let exp = sent.and_then(|sent| sent.jwt.as_ref()).and_then(|jwt| jwt.exp);
        Shown {
            tap: read.tap.clone(),
            is_inner: read.parent_id.is_some(),
            status: read.response.as_ref().map(|response| response.status),
            method: request.method.clone(),
            target: request.target.clone(),
            client: read.client.addr.rsplit_once(':').map_or(read.client.addr.as_str(), |(addr, _)| addr).to_owned(),
            credential: sent.map(|sent| printable(&sent.label())),
            expires_in: exp.zip(time).map(|(exp, time)| exp.saturating_sub(time.as_second())),
            end: match read.outcome.as_str() {
                "upgraded" => Some("upgraded"),
                "client-gone" => Some("client gone"),
                _ => None,
            },
            time,
            backend: read.upstream.addr.clone(),
            total: read.timing.total_ms.map(crate::hops::from_record::milliseconds).unwrap_or_default(),
            is_probe: is_probe(
                agent.map(|(_, value)| value.as_bytes()).unwrap_or_default(),
                crate::exchange::view::path_of(request.target.as_bytes()),
            ),
            has_failed: read.outcome == "upstream-failed",
            whose: whose.finish(),
        }
    }

    /// The path of the target, masked.
    pub(super) fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }
}

fn is_probe(agent: &[u8], path: &[u8]) -> bool {
    const AGENTS: [&[u8]; 3] = [b"kube-probe/", b"ELB-HealthChecker/", b"GoogleHC/"];
    const PATHS: [&[u8]; 5] = [b"/healthz", b"/readyz", b"/livez", b"/health", b"/ping"];
    AGENTS.iter().any(|known| agent.starts_with(known)) || PATHS.contains(&path)
}
