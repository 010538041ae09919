//! What earlier exchanges told: bounded, by client, by connection and by credential.
//!
//! It is as pure as the rules: the time is taken from the exchanges, so that a recording gives the same findings as the
//! live run did. Of secrets it keeps fingerprints alone. Each of its tables has a fixed number of entries, of which the
//! one that was not used for longest goes first, and each entry has a bound of its own: all of it stays below 16 MiB.
//!
//! A client is an address together with what its User-Agent and its X-Forwarded-For say, so that the many clients behind
//! one gateway are kept apart as far as one exchange allows.
//!
//! What was accepted or refused in one place says nothing about another one. A place is a [`route`]: the tap, the host,
//! and the first two segments of the path, with identifiers folded to one.

mod bounces;
mod challenges;
mod conflicts;
mod cross_origin;
mod digests;
mod guarded;
mod hashes;
mod heads;
mod hops;
mod outcomes;
mod proofs;
mod refreshes;
mod sessions;
mod steps;
mod table;
mod tokens;
mod visits;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::auth::{Challenge, Fingerprint, NtlmStep, Scheme, Secret};
use crate::exchange::given::Given;
use crate::exchange::location::Leads;
use crate::exchange::view::{Offered, OfferedIn};
use crate::exchange::{Response, View};
use crate::hops::Crossing;
pub use bounces::Bounces;
pub use challenges::WellKnown;
pub use conflicts::Alone;
pub use cross_origin::Readable;
pub use digests::DigestOffer;
use digests::Digests;
pub use guarded::{Guarded, Handed};
use hashes::Hashes;
use heads::Heads;
pub use hops::Hops;
use outcomes::Outcomes;
pub use outcomes::{Answers, Nonce, Outcome};
use proofs::Proofs;
use refreshes::Refreshes;
pub use refreshes::{Renewed, TokenRefused, Used};
pub use sessions::{NotReturned, SameSite};
pub use steps::{Named, Step};
use table::{Bounded, Table};
use tokens::Tokens;
pub use tokens::{TokenKind, is_id_token};

/// Entries of each table.
const CLIENTS: usize = 4096;
const CONNECTIONS: usize = 4096;
const CREDENTIALS: usize = 8192;
const PLACES: usize = 4096;
/// Routes of one client, schemes of one challenge, bytes of a name.
const ROUTES: usize = 16;
const SCHEMES: usize = 8;
const NAME: usize = 64;
/// Over another connection, or within the same one over HTTP/2, a request may be on its way while an answer is.
const KNOWN_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// What earlier exchanges told.
pub struct Memory {
    clients: Table<u64, Client>,
    connections: Table<u64, Connection>,
    credentials: Table<Fingerprint, History>,
    credentials_by_route: Table<(Fingerprint, u64), History>,
    /// The two credentials of one kind that were accepted last on a route.
    accepted: Table<u64, Vec<(Fingerprint, Timestamp)>>,
    /// Where and under which realm a refusal once said in `error` what was wrong with a Bearer token.
    bearer_errors: Table<u64, ()>,
    given: Given,
    hops: Hops,
    outcomes: Outcomes,
    refreshes: Refreshes,
    tokens: Tokens,
    proofs: Proofs,
    digests: Digests,
    heads: Heads,
    bounces: bounces::Places,
    challenges: challenges::Challenges,
    cross_origin: cross_origin::CrossOrigin,
    visits: visits::Visits,
    sessions: sessions::Sessions,
    steps: steps::Steps,
    guarded: guarded::Places,
    conflicts: conflicts::Conflicts,
    hashes: Hashes,
}

impl Default for Memory {
    fn default() -> Self {
        Memory {
            given: Given::default(),
            hops: Hops::default(),
            outcomes: Outcomes::default(),
            refreshes: Refreshes::default(),
            tokens: Tokens::default(),
            proofs: Proofs::default(),
            digests: Digests::default(),
            heads: Heads::default(),
            bounces: bounces::Places::default(),
            challenges: challenges::Challenges::default(),
            cross_origin: cross_origin::CrossOrigin::default(),
            visits: visits::Visits::default(),
            sessions: sessions::Sessions::default(),
            steps: steps::Steps::default(),
            guarded: guarded::Places::default(),
            conflicts: conflicts::Conflicts::default(),
            clients: Table::new(CLIENTS),
            connections: Table::new(CONNECTIONS),
            credentials: Table::new(CREDENTIALS),
            credentials_by_route: Table::new(CREDENTIALS),
            accepted: Table::new(PLACES),
            bearer_errors: Table::new(PLACES),
            hashes: Hashes::default(),
        }
    }
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
    routes: Vec<Known>,
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
    /// How the address differs to which it leads.
    pub leads: Option<Leads>,
    /// The client connection on which it was sent.
    pub connection: u64,
}

/// Credentials that were accepted.
#[derive(Clone, Copy)]
pub struct Accepted {
    /// When the request came.
    pub time: Timestamp,
    /// The client connection on which it came.
    pub connection: u64,
}

/// What a client did on one route.
#[derive(Clone)]
struct Known {
    route: u64,
    /// Whether credentials were accepted here that no challenge had asked for.
    accepted_unasked: Option<Accepted>,
    /// Whether the last request here was challenged and not answered since.
    is_asked: bool,
    /// The last challenge here, if no credentials came since.
    unanswered: Option<Unanswered>,
}

/// A challenge behind which no credentials came yet.
#[derive(Clone, Copy)]
pub struct Unanswered {
    /// When the answer with it was over.
    pub ended: Timestamp,
    /// The client connection on which it was.
    pub connection: u64,
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

impl History {
    fn refused(&mut self, time: Timestamp) {
        self.refused_since.get_or_insert(time);
        self.refusals = self.refusals.saturating_add(1);
    }
}

/// How much memory all of it takes at most where nothing else is asked for, in bytes: what its tables hold when they are
/// full of the largest entries.
pub const MEMORY: usize = 64 << 20;

impl Memory {
    /// Lets it take at most so much memory, in bytes, in place of [`MEMORY`]. The less there is, the sooner is forgotten what
    /// came first.
    pub fn bound(&mut self, bytes: usize) {
        let share = bytes as f64 / MEMORY as f64;
        for table in self.tables() {
            table.scale(share);
        }
    }

    fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        let mut all: Vec<&mut dyn Bounded> = vec![
            &mut self.clients,
            &mut self.connections,
            &mut self.credentials,
            &mut self.credentials_by_route,
            &mut self.accepted,
            &mut self.bearer_errors,
        ];
        all.append(&mut self.hops.tables());
        all.append(&mut self.outcomes.tables());
        all.append(&mut self.refreshes.tables());
        all.append(&mut self.tokens.tables());
        all.append(&mut self.proofs.tables());
        all.append(&mut self.digests.tables());
        all.append(&mut self.heads.tables());
        all.append(&mut self.bounces.tables());
        all.append(&mut self.challenges.tables());
        all.append(&mut self.cross_origin.tables());
        all.append(&mut self.visits.tables());
        all.append(&mut self.steps.tables());
        all.append(&mut self.guarded.tables());
        all.append(&mut self.conflicts.tables());
        all.append(&mut self.sessions.tables());
        all
    }

    /// What the operator said of the service.
    pub fn given(&self) -> &Given {
        &self.given
    }

    /// Replaces that.
    pub fn set_given(&mut self, given: Given) {
        self.given = given;
    }

    /// What this exchange's client did before.
    pub fn client(&self, view: &View<'_>) -> Option<&Client> {
        self.clients.get(&view.client())
    }

    /// What happened before on this exchange's client connection.
    pub fn connection(&self, view: &View<'_>) -> Option<&Connection> {
        self.connections.get(&view.exchange().client.connection)
    }

    /// What became of these credentials before, wherever they were sent. It says nothing about this exchange's route.
    pub fn history(&self, fingerprint: Fingerprint) -> Option<&History> {
        self.credentials.get(&fingerprint)
    }

    /// What became of these credentials before on this exchange's route.
    pub fn history_here(&self, view: &View<'_>, fingerprint: Fingerprint) -> Option<&History> {
        self.credentials_by_route.get(&(fingerprint, view.route()))
    }

    /// When other credentials of the same kind as these, which are in this exchange, were last accepted on its route.
    pub fn others_accepted(&self, view: &View<'_>, fingerprint: Fingerprint) -> Option<Timestamp> {
        let offered = view.offered().iter().find(|offered| offered.fingerprint == fingerprint)?;
        let accepted = self.accepted.get(&self.kind_here(view, offered))?;
        accepted.iter().filter(|(other, _)| *other != fingerprint).map(|(_, time)| *time).max()
    }

    /// Whether it was said before in `error` what was wrong with a Bearer token, on this exchange's route and under the
    /// realm of its Bearer challenge.
    pub fn names_bearer_errors(&self, view: &View<'_>) -> bool {
        view.challenge(&Scheme::Bearer)
            .is_some_and(|challenge| self.bearer_errors.get(&self.realm_here(view, challenge)).is_some())
    }

    /// When this client last had credentials accepted on this exchange's route without having been asked for them.
    /// A client that always waits for the challenge gives `None`.
    pub fn accepted_unasked(&self, view: &View<'_>) -> Option<Accepted> {
        let route = view.route();
        self.client(view)?.routes.iter().find(|known| known.route == route)?.accepted_unasked
    }

    /// The last challenge that this client had got on this exchange's route when it sent its request, if no credentials came
    /// since. A request that was on its way at that time knew nothing of it.
    pub fn left_unanswered(&self, view: &View<'_>) -> Option<Unanswered> {
        let route = view.route();
        let known = self.client(view)?.routes.iter().find(|known| known.route == route)?;
        let exchange = view.exchange();
        known.unanswered.filter(|challenge| {
            let since = exchange.time.duration_since(challenge.ended);
            let is_same = exchange.client.connection == challenge.connection && !view.is_http2();
            since >= KNOWN_AFTER || (is_same && since >= SignedDuration::ZERO)
        })
    }

    /// Whether the last redirect that this client got points to the path of this exchange.
    pub fn follows_redirect(&self, view: &View<'_>) -> Option<&Redirect> {
        let redirect = self.client(view)?.last_redirect.as_ref()?;
        (redirect.path == fingerprint(view, view.path())).then_some(redirect)
    }

    /// How often this exchange's client was sent back to its path of late, and away from it each time.
    pub fn bounces_here(&self, view: &View<'_>) -> Option<&Bounces> {
        self.bounces.here(view)
    }

    /// Session cookies that were set on this exchange's connection of late, and that its request should have and has not.
    pub fn session_not_returned(&self, view: &View<'_>) -> Option<NotReturned> {
        self.sessions.not_returned(view)
    }

    /// The last success on this exchange's route that a script of its origin could read.
    pub fn readable_here(&self, view: &View<'_>) -> Option<Readable> {
        self.cross_origin.readable(view)
    }

    /// When a GET for this exchange's very path was answered 2xx to its credential.
    pub fn got_here(&self, view: &View<'_>) -> Option<Timestamp> {
        self.visits.got(view)
    }

    /// When a GET for this exchange's very path was answered 2xx to anybody with credentials.
    pub fn got_here_by_others(&self, view: &View<'_>) -> Option<Timestamp> {
        self.visits.got_by_others(view)
    }

    /// Whether this exchange's client got a 2xx of late on its host for a request with a cookie or with credentials.
    pub fn is_logged_in(&self, view: &View<'_>) -> bool {
        self.visits.is_logged_in(view)
    }

    /// When a challenge of late sent clients to this exchange's path for metadata.
    pub fn metadata_named_here(&self, view: &View<'_>) -> Option<Timestamp> {
        self.challenges.named(view)
    }

    /// Whether a challenge that of late sent clients to this exchange's path for metadata stood at `path` or below it; `None`
    /// where no challenge did.
    pub fn metadata_is_named_at(&self, view: &View<'_>, path: &[u8]) -> Option<bool> {
        self.challenges.is_named_at(view, path)
    }

    /// What this exchange's host answered where clients look for metadata by themselves.
    pub fn well_known(&self, view: &View<'_>) -> WellKnown {
        self.challenges.well_known(view)
    }

    /// How many realms this exchange's host has asked passwords for, beside this one; at most eight are known.
    pub fn other_realms(&self, view: &View<'_>, realm: &str) -> usize {
        self.challenges.other_realms(view, realm)
    }

    /// How this exchange's credential fared before with its method on its route, the oldest first.
    pub fn outcomes_here(&self, view: &View<'_>) -> &[Outcome] {
        self.outcomes.here(view)
    }

    /// Where the nonce came from that this exchange's Digest credentials were made with.
    pub fn nonce_sent(&self, view: &View<'_>) -> Option<Nonce> {
        self.outcomes.nonce(view)
    }

    /// What this exchange's route answered before to its method.
    pub fn answers_here(&self, view: &View<'_>) -> Answers {
        self.outcomes.answers(view)
    }

    /// The last use before this exchange of the refresh token in its form.
    pub fn refresh_before(&self, view: &View<'_>) -> Option<Used> {
        self.refreshes.before(view)
    }

    /// What became of the refresh of this exchange's client, if one came after a refusal.
    pub fn renewed(&self, view: &View<'_>) -> Option<&Renewed> {
        self.refreshes.renewed(view)
    }

    /// The step that this exchange's answer names, if it was named to its client before and not taken since.
    pub fn step_named_before(&self, view: &View<'_>) -> Option<(Step, Named)> {
        self.steps.before(view)
    }

    /// What is known of this exchange's place, if it refused somebody without credentials of late.
    pub fn guarded_here(&self, view: &View<'_>) -> Option<&Guarded> {
        self.guarded.here(view)
    }

    /// A number that stands for the entity tag of this exchange's answer.
    pub fn etag(&self, view: &View<'_>) -> Option<u64> {
        self.guarded.etag(view)
    }

    /// Whether the cookie or the Authorization of this exchange, which has both, was accepted alone of late.
    pub fn accepted_alone(&self, view: &View<'_>) -> Option<Alone> {
        self.conflicts.alone(view)
    }

    /// What the tokens are like that this exchange's route accepted of late. None where it accepts too many kinds.
    pub fn tokens_accepted(&self, view: &View<'_>) -> Vec<&TokenKind> {
        self.tokens.accepted(view)
    }

    /// When this exchange's DPoP proof was first sent with another request that got an answer.
    pub fn proof_sent_before(&self, view: &View<'_>) -> Option<Timestamp> {
        self.proofs.sent_before(view)
    }

    /// What the nonce of this exchange's Digest credentials was offered with.
    pub fn digest_offer(&self, view: &View<'_>) -> Option<&DigestOffer> {
        self.digests.offered(view)
    }

    /// The size in bytes of the largest request head that this exchange's route answered well, if it is known.
    pub fn largest_head(&self, view: &View<'_>) -> Option<u64> {
        self.heads.largest(view)
    }

    /// Learns from an exchange, after it was diagnosed.
    pub fn learn(&mut self, view: &View<'_>) {
        self.outcomes.learn(view);
        self.refreshes.learn(view);
        self.sessions.learn(view);
        self.steps.learn(view);
        self.guarded.learn(view);
        self.conflicts.learn(view);
        self.tokens.learn(view, &self.given);
        self.proofs.learn(view);
        self.digests.learn(view);
        self.heads.learn(view);
        self.challenges.learn(view);
        self.cross_origin.learn(view);
        self.visits.learn(view);
        let follows = self.follows_redirect(view).is_some();
        self.bounces.learn(view, follows);
        let exchange = view.exchange();
        let sent = view.main_credentials().map(|offered| Sent {
            time: exchange.time,
            place: offered.place,
            name: bounded_name(&offered.name),
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

    /// Learns from a request's way over a hop, after it was judged.
    pub fn learn_crossing(&mut self, crossing: &Crossing<'_>) {
        self.hops.learn(crossing);
    }

    /// What earlier requests told of gateways.
    pub fn hops(&self) -> &Hops {
        &self.hops
    }

    /// A kind of credentials on a route: a scheme, or a field of its own.
    fn kind_here(&self, view: &View<'_>, offered: &Offered) -> u64 {
        let scheme = offered.credentials.scheme.as_ref();
        let name = scheme.is_none().then(|| self.hashes.of_text(offered.name.to_ascii_lowercase().as_bytes()));
        self.hashes.of((view.route(), scheme, name))
    }

    fn realm_here(&self, view: &View<'_>, challenge: &Challenge) -> u64 {
        self.hashes.of((view.route(), challenge.param("realm").map(|realm| self.hashes.of_text(realm.as_bytes()))))
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
        let here = (offered.fingerprint, view.route());
        if view.is_success() {
            let history = History { last_accepted: Some(time), ..History::default() };
            self.credentials.set(offered.fingerprint, history.clone());
            self.credentials_by_route.set(here, history);
            let kind = self.kind_here(view, offered);
            let accepted = self.accepted.entry(kind);
            accepted.retain(|(other, _)| *other != offered.fingerprint);
            accepted.insert(0, (offered.fingerprint, time));
            accepted.truncate(2);
        } else if matches!(view.status(), 401 | 407) {
            self.credentials.entry(offered.fingerprint).refused(time);
            self.credentials_by_route.entry(here).refused(time);
            let challenge = view.challenge(&Scheme::Bearer).filter(|challenge| challenge.param("error").is_some());
            if let Some(challenge) = challenge {
                let realm = self.realm_here(view, challenge);
                self.bearer_errors.set(realm, ());
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
        let route = view.route();
        let client = self.clients.entry(view.client());
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
            // Behind the limit of the recording there may have been an answer.
            (None, true) if !view.request().is_cut() => client.ignored.saturating_add(1),
            (None, _) => client.ignored,
        };
        let at = client.routes.iter().position(|known| known.route == route);
        let mut known = at.map(|at| client.routes.remove(at)).unwrap_or(Known {
            route,
            accepted_unasked: None,
            is_asked: false,
            unanswered: None,
        });
        if sent.as_ref().is_some_and(|sent| sent.accepted) {
            // What was asked for once is asked for again on the next connection, and that is no loss.
            let accepted = Accepted { time, connection: view.exchange().client.connection };
            known.accepted_unasked = (!known.is_asked).then_some(accepted);
        }
        known.is_asked |= is_asked;
        if sent.is_some() {
            known.unanswered = None;
        } else if is_asked && !view.request().is_cut() {
            let exchange = view.exchange();
            let ended = exchange.time.checked_add(exchange.timing.total).unwrap_or(exchange.time);
            known.unanswered = Some(Unanswered { ended, connection: exchange.client.connection });
        }
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
        Scheme::Other(name) => Scheme::Other(bounded_name(&name)),
        known => known,
    }
}

fn bounded_name(name: &str) -> String {
    name.get(..name.floor_char_boundary(NAME)).unwrap_or_default().to_owned()
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
        leads: crate::exchange::location::redirect(view),
        connection: view.exchange().client.connection,
    })
}

#[cfg(test)]
mod tests;
