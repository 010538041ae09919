//! What clients did at token endpoints (RFC 6749 6): which refresh tokens they used, and when they got new tokens.

use jiff::{SignedDuration, Timestamp};

use super::table::{Bounded, Table};
use crate::auth::{Fingerprint, Secret};
use crate::exchange::View;

/// Entries of each table.
const ENTRIES: usize = 4096;
/// A client refreshes at once when it was refused, and sends its request again at once when it has refreshed.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(60);
/// Bytes of an error code.
const CODE: usize = 40;

/// The use of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// When the request came.
    pub time: Timestamp,
    /// The client's connection.
    pub connection: u64,
    /// Whether the answer was a 2xx.
    pub accepted: bool,
}

/// A refusal of a Bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRefused {
    /// When the request came.
    pub time: Timestamp,
    /// The token.
    pub token: Fingerprint,
    /// The status.
    pub status: u16,
    /// The code in `error` of the challenge.
    pub error: Option<Box<str>>,
    place: u64,
}

/// A refresh that came after a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// When its answer was over.
    pub ended: Timestamp,
    /// The refusal before it.
    pub before: TokenRefused,
    /// How often the refused token was sent since.
    pub sent_since: u32,
}

#[derive(Clone, Default)]
struct Client {
    refused: Option<TokenRefused>,
    renewed: Option<Renewed>,
}

/// What happened at token endpoints: bounded like all that is remembered.
pub(super) struct Refreshes {
    used: Table<Fingerprint, Option<Used>>,
    clients: Table<u64, Client>,
}

impl Default for Refreshes {
    fn default() -> Self {
        Refreshes { used: Table::new(ENTRIES), clients: Table::new(ENTRIES) }
    }
}

impl Refreshes {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.used, &mut self.clients]
    }

    /// The last use before this exchange of the refresh token that it has.
    pub(super) fn before(&self, view: &View<'_>) -> Option<Used> {
        self.used.get(&refresh_token(view)?).copied().flatten()
    }

    /// The refresh that came between a refusal of this client's token in this exchange's place and this exchange.
    pub(super) fn renewed(&self, view: &View<'_>) -> Option<&Renewed> {
        let renewed = self.clients.get(&view.client())?.renewed.as_ref()?;
        let time = view.exchange().time;
        let is_soon = time > renewed.ended && time.duration_since(renewed.ended) <= AT_ONCE;
        (is_soon && renewed.before.place == view.route()).then_some(renewed)
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        let exchange = view.exchange();
        let time = exchange.time;
        let client = view.client();
        if let Some(fingerprint) = refresh_token(view) {
            let used = Used { time, connection: exchange.client.connection, accepted: view.is_success() };
            self.used.set(fingerprint, Some(used));
            let Some(known) = self.clients.get(&client).filter(|_| view.is_success()) else { return };
            let is_soon = |refused: &&TokenRefused| time.duration_since(refused.time) <= AT_ONCE;
            let renewed = known.refused.as_ref().filter(is_soon).map(|before| Renewed {
                ended: time.checked_add(exchange.timing.total).unwrap_or(time),
                before: before.clone(),
                sent_since: 0,
            });
            self.clients.set(client, Client { refused: None, renewed });
            return;
        }
        let Some(offered) = view.authorization() else { return };
        if matches!(view.status(), 401 | 403) {
            let error = view.challenges(false).find_map(|challenge| challenge.param("error"));
            let refused = TokenRefused {
                time,
                token: offered.fingerprint,
                status: view.status(),
                error: error.filter(|error| error.len() <= CODE).map(Into::into),
                place: view.route(),
            };
            let known = self.clients.entry(client);
            if let Some(renewed) = known.renewed.as_mut().filter(|renewed| renewed.before.token == refused.token) {
                renewed.sent_since += u32::from(time > renewed.ended);
            }
            known.refused = Some(refused);
        } else if view.is_success() && self.clients.get(&client).is_some_and(|known| known.renewed.is_some()) {
            // The refresh was of use.
            self.clients.entry(client).renewed = None;
        }
    }
}

/// The fingerprint of the refresh token in a form.
fn refresh_token(view: &View<'_>) -> Option<Fingerprint> {
    let form = view.exchange().request.body.start.as_deref()?;
    let pairs = form.split(|byte| *byte == b'&');
    let value = pairs.filter_map(|pair| pair.strip_prefix(b"refresh_token=")).find(|value| !value.is_empty())?;
    Some(Secret::new(bytes::Bytes::copy_from_slice(value)).fingerprint(view.redactor().key()))
}
