//! What one hop did, as it is told.

use super::{Crossing, Difference, Join};

/// What one hop did to a request and its answer.
#[derive(Clone)]
pub struct HopReport {
    /// The tap before it.
    pub from: String,
    /// The tap behind it.
    pub to: String,
    /// How both sides were joined; `None` where nothing arrived behind it.
    pub join: Option<Join>,
    /// How many requests arrived behind it.
    pub requests: usize,
    /// How many of them were not over yet.
    pub running: usize,
    /// What it changed.
    pub differences: Vec<Difference>,
    /// Which of the request's exchanges it touched, by their numbers.
    pub exchanges: Vec<usize>,
}

impl HopReport {
    /// What is told of a crossing that touches the exchanges of these numbers.
    pub fn of(crossing: &Crossing<'_>, exchanges: Vec<usize>) -> Self {
        let last = crossing.last();
        HopReport {
            from: crossing.outer.tap.clone(),
            to: crossing.inner_tap.to_owned(),
            join: last.map(|attempt| attempt.join),
            requests: crossing.attempts.len() + crossing.running,
            running: crossing.running,
            differences: last.map(|attempt| attempt.differences.clone()).unwrap_or_default(),
            exchanges,
        }
    }

    /// Whether the hop is before or behind the exchange of that number.
    pub fn touches(&self, exchange: usize) -> bool {
        self.exchanges.contains(&exchange)
    }
}
