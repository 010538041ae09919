//! What clients did at token endpoints (RFC 6749 6): which refresh tokens they used, and when they got new tokens.

use jiff::Timestamp;

use super::table::Table;
use crate::auth::{Fingerprint, Secret};
use crate::exchange::View;

/// Entries of each table.
const ENTRIES: usize = 4096;

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

/// What happened at token endpoints: bounded like all that is remembered.
pub(super) struct Refreshes {
    used: Table<Fingerprint, Option<Used>>,
}

impl Default for Refreshes {
    fn default() -> Self {
        Refreshes { used: Table::new(ENTRIES) }
    }
}

impl Refreshes {
    /// The last use before this exchange of the refresh token that it has.
    pub(super) fn before(&self, view: &View<'_>) -> Option<Used> {
        self.used.get(&refresh_token(view)?).copied().flatten()
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        let Some(fingerprint) = refresh_token(view) else { return };
        let exchange = view.exchange();
        let used = Used { time: exchange.time, connection: exchange.client.connection, accepted: view.is_success() };
        self.used.set(fingerprint, Some(used));
    }
}

/// The fingerprint of the refresh token in a form.
fn refresh_token(view: &View<'_>) -> Option<Fingerprint> {
    let form = view.exchange().request.body.start.as_deref()?;
    let pairs = form.split(|byte| *byte == b'&');
    let value = pairs.filter_map(|pair| pair.strip_prefix(b"refresh_token=")).find(|value| !value.is_empty())?;
    Some(Secret::new(bytes::Bytes::copy_from_slice(value)).fingerprint(view.redactor().key()))
}
