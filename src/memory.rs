//! What earlier exchanges told: bounded, by client, by connection and by credential.
//!
//! It is as pure as the rules: the time is taken from the exchanges, so that a recording gives the same findings as the
//! live run did. Of secrets it keeps fingerprints alone. Each of its tables has a fixed number of entries, of which the
//! one that was not used for longest goes first, and each entry has a bound of its own: all of it stays below 16 MiB.
//!
//! A client is an address together with what its User-Agent and its X-Forwarded-For say, so that the many clients behind
//! one gateway are kept apart as far as one exchange allows.

mod table;

use std::net::IpAddr;

use bytes::Bytes;
use jiff::Timestamp;

use crate::auth::{Fingerprint, NtlmStep, Scheme, Secret};
use crate::exchange::view::{Offered, OfferedIn};
use crate::exchange::{Response, View};
use table::Table;

/// Entries of each table.
const CLIENTS: usize = 4096;
const CONNECTIONS: usize = 4096;
const CREDENTIALS: usize = 8192;
const TAPS: usize = 64;
/// Routes of one client, schemes of one challenge, bytes of a name.
const ROUTES: usize = 16;
const SCHEMES: usize = 8;
const NAME: usize = 64;

/// What earlier exchanges told.
pub struct Memory {
    clients: Table<ClientKey, Client>,
    connections: Table<u64, Connection>,
    credentials: Table<Fingerprint, History>,
    taps: Table<String, Server>,
}

impl Default for Memory {
    fn default() -> Self {
        Memory {
            clients: Table::new(CLIENTS),
            connections: Table::new(CONNECTIONS),
            credentials: Table::new(CREDENTIALS),
            taps: Table::new(TAPS),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    addr: IpAddr,
    words: Fingerprint,
}

/// What one client did before.
#[derive(Clone, Default)]
pub struct Client {
    /// The credentials that it sent last.
    pub last_sent: Option<Sent>,
    /// How many challenges in a row it got and did not answer with credentials since.
    pub ignored: u32,
    /// The challenge that it got last.
    pub last_challenge: Option<Asked>,
    /// The redirect that it got last, if nothing but requests without credentials came since.
    pub last_redirect: Option<Redirect>,
    /// When a preflight of it last announced a request with Authorization.
    pub announced: Option<Timestamp>,
    routes: Vec<Route>,
}

/// Credentials that were sent.
#[derive(Clone)]
pub struct Sent {
    /// When the request came.
    pub time: Timestamp,
    /// Where in the request they were.
    pub place: OfferedIn,
    /// The name of the field or parameter, as sent; at most 64 bytes of it.
    pub name: String,
    /// The scheme.
    pub scheme: Option<Scheme>,
    /// The fingerprint of the secret.
    pub fingerprint: Fingerprint,
    /// Whether the answer was a 2xx.
    pub accepted: bool,
}

/// A challenge that was sent to a client.
#[derive(Clone)]
pub struct Asked {
    /// When the request came that it answered.
    pub time: Timestamp,
    /// The schemes, at most eight of them.
    pub schemes: Vec<Scheme>,
}

/// A redirect that was sent to a client.
#[derive(Clone)]
pub struct Redirect {
    /// When the request came that it answered.
    pub time: Timestamp,
    /// Its status.
    pub status: u16,
    /// Whether the request had an Authorization field.
    pub had_authorization: bool,
    /// The fingerprint of the path that it points to.
    pub path: Fingerprint,
}

#[derive(Clone)]
struct Route {
    route: Fingerprint,
    /// Whether credentials were accepted here that no challenge had asked for.
    accepted_unasked: Option<Timestamp>,
    /// Whether the last request here was challenged and not answered since.
    is_asked: bool,
}

/// What happened on one client connection before.
#[derive(Clone, Default)]
pub struct Connection {
    /// The NTLM message that passed last on it, in whichever direction.
    pub ntlm: Option<NtlmStep>,
    /// How many NTLM messages of type 3 were refused on it.
    pub ntlm_refusals: u32,
    /// The fingerprint of the nonce of the Digest challenge that was sent last.
    pub nonce: Option<Fingerprint>,
    /// The credentials that were sent last on it.
    pub last_sent: Option<Sent>,
    /// How many exchanges it had.
    pub exchanges: u64,
}

/// What became of one credential before.
#[derive(Clone, Default)]
pub struct History {
    /// When it was last answered with a 2xx.
    pub last_accepted: Option<Timestamp>,
    /// When it was first refused with 401 or 407 since then.
    pub refused_since: Option<Timestamp>,
    /// How many times in a row.
    pub refusals: u32,
}

/// What is known of the server behind a tap.
#[derive(Clone, Default)]
struct Server {
    /// The two credentials that were accepted last.
    accepted: Vec<(Fingerprint, Timestamp)>,
    /// Whether it once said in `error` what was wrong with a Bearer token.
    names_bearer_errors: bool,
}

impl Memory {
    /// What this exchange's client did before.
    pub fn client(&self, view: &View<'_>) -> Option<&Client> {
        self.clients.get(&client_key(view))
    }

    /// What happened before on this exchange's client connection.
    pub fn connection(&self, view: &View<'_>) -> Option<&Connection> {
        self.connections.get(&view.exchange().client.connection)
    }

    /// What became of these credentials before.
    pub fn history(&self, fingerprint: Fingerprint) -> Option<&History> {
        self.credentials.get(&fingerprint)
    }

    /// When credentials other than these were last accepted at this exchange's tap.
    pub fn others_accepted(&self, view: &View<'_>, fingerprint: Fingerprint) -> Option<Timestamp> {
        let server = self.taps.get(&view.exchange().tap.name)?;
        server.accepted.iter().filter(|(other, _)| *other != fingerprint).map(|(_, time)| *time).max()
    }

    /// Whether the server behind this exchange's tap has said before in `error` what was wrong with a Bearer token.
    pub fn names_bearer_errors(&self, view: &View<'_>) -> bool {
        self.taps.get(&view.exchange().tap.name).is_some_and(|server| server.names_bearer_errors)
    }

    /// When this client last had credentials accepted on this very method and path without having been asked for them.
    /// A client that always waits for the challenge gives `None`.
    pub fn accepted_unasked(&self, view: &View<'_>) -> Option<Timestamp> {
        let route = route(view);
        self.client(view)?.routes.iter().find(|known| known.route == route)?.accepted_unasked
    }

    /// Whether the last redirect that this client got points to the path of this exchange.
    pub fn follows_redirect(&self, view: &View<'_>) -> Option<&Redirect> {
        let redirect = self.client(view)?.last_redirect.as_ref()?;
        (redirect.path == fingerprint(view, view.path())).then_some(redirect)
    }

    /// Learns from an exchange, after it was diagnosed.
    pub fn learn(&mut self, view: &View<'_>) {
        let exchange = view.exchange();
        let sent = view.main_credentials().map(|offered| Sent {
            time: exchange.time,
            place: offered.place,
            name: offered.name.chars().take(NAME).collect(),
            scheme: offered.credentials.scheme.clone().map(bounded),
            fingerprint: offered.fingerprint,
            accepted: view.is_success(),
        });
        self.learn_connection(view, sent.as_ref());
        if let Some(offered) = view.main_credentials() {
            self.learn_credential(view, offered);
        }
        self.learn_client(view, sent);
    }

    fn learn_connection(&mut self, view: &View<'_>, sent: Option<&Sent>) {
        let connection = self.connections.entry(view.exchange().client.connection);
        connection.exchanges += 1;
        if let Some(step) = view.ntlm_sent() {
            connection.ntlm = Some(step);
            if step == NtlmStep::Authenticate && view.status() == 401 {
                connection.ntlm_refusals += 1;
            }
        }
        if view.ntlm_asked() == Some(NtlmStep::Challenge) {
            connection.ntlm = Some(NtlmStep::Challenge);
        }
        if let Some(nonce) = view.challenge(&Scheme::Digest).and_then(|challenge| challenge.param("nonce")) {
            connection.nonce = Some(fingerprint(view, nonce.as_bytes()));
        }
        if let Some(sent) = sent {
            connection.last_sent = Some(sent.clone());
        }
    }

    fn learn_credential(&mut self, view: &View<'_>, offered: &Offered) {
        let time = view.exchange().time;
        let scheme = offered.credentials.scheme.as_ref();
        // Messages of a handshake are made for one exchange and tell nothing about the next.
        if matches!(scheme, Some(Scheme::Digest | Scheme::Negotiate | Scheme::Ntlm)) {
            return;
        }
        if view.is_success() {
            self.credentials.set(offered.fingerprint, History { last_accepted: Some(time), ..History::default() });
            let server = self.taps.entry(view.exchange().tap.name.clone());
            server.accepted.retain(|(other, _)| *other != offered.fingerprint);
            server.accepted.insert(0, (offered.fingerprint, time));
            server.accepted.truncate(2);
        } else if matches!(view.status(), 401 | 407) {
            let history = self.credentials.entry(offered.fingerprint);
            history.refused_since.get_or_insert(time);
            history.refusals = history.refusals.saturating_add(1);
            if view.challenge(&Scheme::Bearer).is_some_and(|challenge| challenge.param("error").is_some()) {
                self.taps.entry(view.exchange().tap.name.clone()).names_bearer_errors = true;
            }
        }
    }

    fn learn_client(&mut self, view: &View<'_>, sent: Option<Sent>) {
        let time = view.exchange().time;
        let announced = view.is_preflight() && view.request().lists("access-control-request-headers", "authorization");
        let redirect = view.response().and_then(|response| redirect(view, response));
        let is_asked = matches!(view.status(), 401 | 407) && view.challenges(view.status() == 407).next().is_some();
        if sent.is_none() && redirect.is_none() && !is_asked && !announced {
            return;
        }
        let route = route(view);
        let client = self.clients.entry(client_key(view));
        if announced {
            client.announced = Some(time);
        }
        if redirect.is_some() || sent.is_some() {
            client.last_redirect = redirect;
        }
        if view.is_preflight() {
            return;
        }
        if is_asked {
            let schemes = view.challenges(view.status() == 407).map(|challenge| bounded(challenge.scheme.clone()));
            client.last_challenge = Some(Asked { time, schemes: schemes.take(SCHEMES).collect() });
        }
        client.ignored = match (&sent, is_asked) {
            (Some(_), _) => 0,
            (None, true) => client.ignored.saturating_add(1),
            (None, false) => client.ignored,
        };
        let at = client.routes.iter().position(|known| known.route == route);
        let mut known =
            at.map(|at| client.routes.remove(at)).unwrap_or(Route { route, accepted_unasked: None, is_asked: false });
        if sent.as_ref().is_some_and(|sent| sent.accepted) {
            // What was asked for once is asked for again on the next connection, and that is no loss.
            known.accepted_unasked = (!known.is_asked).then_some(time);
        }
        known.is_asked |= is_asked;
        client.routes.insert(0, known);
        client.routes.truncate(ROUTES);
        if sent.is_some() {
            client.last_sent = sent;
        }
    }
}

/// A scheme that nobody knows is as long as its sender likes.
fn bounded(scheme: Scheme) -> Scheme {
    match scheme {
        Scheme::Other(name) => Scheme::Other(name.chars().take(NAME).collect()),
        known => known,
    }
}

fn client_key(view: &View<'_>) -> ClientKey {
    let mut words = Vec::new();
    for name in ["user-agent", "x-forwarded-for", "forwarded"] {
        for value in view.request().values(name) {
            words.extend_from_slice(value);
            words.push(0);
        }
    }
    ClientKey { addr: view.exchange().client.addr.ip(), words: fingerprint(view, &words) }
}

fn route(view: &View<'_>) -> Fingerprint {
    fingerprint(view, &[view.method(), b" ", view.path()].concat())
}

fn fingerprint(view: &View<'_>, bytes: &[u8]) -> Fingerprint {
    Secret::new(Bytes::copy_from_slice(bytes)).fingerprint(view.redactor().key())
}

fn redirect(view: &View<'_>, response: &Response) -> Option<Redirect> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.head.value("location")?;
    Some(Redirect {
        time: view.exchange().time,
        status: response.status,
        had_authorization: view.authorization().is_some(),
        path: fingerprint(view, crate::exchange::view::path_of(location)),
    })
}

#[cfg(test)]
mod tests;
