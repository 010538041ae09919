//! What earlier exchanges told: bounded, by client and by connection.
//!
//! It is as pure as the rules: the time is taken from the exchanges, so that a recording gives the same findings as the
//! live run did.

use crate::exchange::{Exchange, View};

/// What earlier exchanges told.
#[derive(Default)]
pub struct Memory {}

impl Memory {
    /// Learns from an exchange, after it was diagnosed.
    pub fn learn(&mut self, view: &View<'_>) {
        let _: &Exchange = view.exchange();
    }
}
