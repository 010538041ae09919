//! Counts of what passed and what was found, in the text format of Prometheus.
//!
//! Labels have values of closed sets only: names of taps, names of rules, status codes. Nothing that a peer sends becomes one,
//! and the number of series is bounded all the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::exchange::View;
use crate::rules::Finding;

/// Series that there may be in all.
const SERIES: usize = 2_000;

/// Taps that are counted by their names; those behind them are counted together.
const TAPS: usize = 64;

/// Where the buckets of durations end, in seconds.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Series that each tap has from the start: the buckets with the last one, their sum and count, the open connections, and
/// what is counted together of codes and rules.
const FIXED: usize = BUCKETS.len() + 6;

/// What is counted together.
const OTHER: &str = "other";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfTap {
    tap: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfCode {
    tap: String,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfRule {
    tap: String,
    rule: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfBuild {
    version: &'static str,
}

/// What is shown to whoever asks.
pub struct Metrics {
    registry: Registry,
    open: Vec<Gauge>,
    dropped: Counter,
    unwritten: Arc<AtomicU64>,
}

/// Counts, on the thread of the sinks.
pub struct Counting {
    taps: Vec<String>,
    requests: Family<OfCode, Counter>,
    by_code: HashMap<(usize, u16), Counter>,
    findings: Family<OfRule, Counter>,
    by_rule: HashMap<(usize, &'static str), Counter>,
    durations: Vec<Histogram>,
    /// Series that may be begun.
    room: usize,
    unwritten: Arc<AtomicU64>,
    secrets_shown: Gauge,
}

/// Metrics of taps with these names, in the order in which a request passes them, and what counts them.
pub fn metrics(names: &[String]) -> (Metrics, Counting) {
    let mut taps: Vec<String> = names.iter().take(TAPS).cloned().collect();
    if names.len() > TAPS {
        taps.push(OTHER.to_owned());
    }
    let (requests, findings) = (Family::<OfCode, Counter>::default(), Family::<OfRule, Counter>::default());
    let durations = Family::<OfTap, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
    let open = Family::<OfTap, Gauge>::default();
    let dropped = Counter::default();
    let secrets_shown = Gauge::default();
    let mut registry = Registry::with_prefix("authtap");
    registry.register("build", "The version that runs", Info::new(OfBuild { version: env!("CARGO_PKG_VERSION") }));
    registry.register("requests", "Requests that are over, by the status of their answer", requests.clone());
    registry.register("findings", "Findings, by their rule", findings.clone());
    registry.register("request_duration_seconds", "How long requests took until all was over", durations.clone());
    registry.register("connections_open", "Client connections that are open", open.clone());
    registry.register("records_dropped", "Records that were not made or could not be written", dropped.clone());
    registry.register("secrets_shown", "Whether secrets are shown in the log and the record", secrets_shown.clone());
    let of_tap = |name: &String| OfTap { tap: name.clone() };
    let unwritten = Arc::new(AtomicU64::new(0));
    let metrics = Metrics {
        registry,
        open: taps.iter().map(|name| open.get_or_create_owned(&of_tap(name))).collect(),
        dropped,
        unwritten: unwritten.clone(),
    };
    let counting = Counting {
        durations: taps.iter().map(|name| durations.get_or_create_owned(&of_tap(name))).collect(),
        room: SERIES.saturating_sub(3 + taps.len() * FIXED),
        requests,
        by_code: HashMap::new(),
        findings,
        by_rule: HashMap::new(),
        taps,
        unwritten,
        secrets_shown,
    };
    (metrics, counting)
}

impl Metrics {
    /// All of it as text. `open` are the connections that are open at each tap, `unseen` is how many exchanges did not come
    /// to the sinks.
    pub fn text(&self, open: impl Iterator<Item = usize>, unseen: u64) -> String {
        let mut counts = vec![0_i64; self.open.len()];
        for (index, count) in open.enumerate() {
            if let Some(sum) = counts.get_mut(index.min(TAPS)) {
                *sum += i64::try_from(count).unwrap_or(i64::MAX);
            }
        }
        for (gauge, count) in self.open.iter().zip(counts) {
            gauge.set(count);
        }
        // It only grows, and only here.
        self.dropped.inner().store(unseen + self.unwritten.load(Ordering::Relaxed), Ordering::Relaxed);
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Counting {
    /// Counts an exchange and what was found in it.
    pub(super) fn add(&mut self, view: &View<'_>, findings: &[Finding]) {
        let exchange = view.exchange();
        let tap = exchange.tap.position.index.min(TAPS);
        let code = exchange.response.seen().map_or(NONE, |response| response.status);
        let code = if code == NONE || (100..600).contains(&code) { code } else { STRANGE };
        self.count_code(tap, code);
        for finding in findings {
            self.count_rule(tap, finding.rule.name);
        }
        if let Some(durations) = self.durations.get(tap) {
            durations.observe(exchange.timing.total.as_secs_f64());
        }
    }

    /// Says how many records could not be written so far.
    pub(super) fn set_unwritten(&self, count: u64) {
        self.unwritten.store(count, Ordering::Relaxed);
    }

    /// Says whether secrets are shown.
    pub(super) fn set_secrets_shown(&self, are_shown: bool) {
        self.secrets_shown.set(i64::from(are_shown));
    }

    fn count_code(&mut self, tap: usize, code: u16) {
        let code = if is_there(&mut self.room, self.by_code.contains_key(&(tap, code)), code == STRANGE) {
            code
        } else {
            STRANGE
        };
        let Some(name) = self.taps.get(tap) else { return };
        let counter = self.by_code.entry((tap, code)).or_insert_with(|| {
            let code = match code {
                NONE => "none".to_owned(),
                STRANGE => OTHER.to_owned(),
                code => code.to_string(),
            };
            self.requests.get_or_create_owned(&OfCode { tap: name.clone(), code })
        });
        counter.inc();
    }

    fn count_rule(&mut self, tap: usize, rule: &'static str) {
        let rule =
            if is_there(&mut self.room, self.by_rule.contains_key(&(tap, rule)), rule == OTHER) { rule } else { OTHER };
        let Some(name) = self.taps.get(tap) else { return };
        let counter = self
            .by_rule
            .entry((tap, rule))
            .or_insert_with(|| self.findings.get_or_create_owned(&OfRule { tap: name.clone(), rule }));
        counter.inc();
    }
}

/// In the place of a status where there was no answer, and where it is none that HTTP knows.
const NONE: u16 = 0;
const STRANGE: u16 = 1;

/// Whether a series is there, has its room from the start, or may be begun.
fn is_there(room: &mut usize, is_known: bool, is_fixed: bool) -> bool {
    if is_known || is_fixed {
        return true;
    }
    let left = room.checked_sub(1);
    *room = left.unwrap_or_default();
    left.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(text: &str) -> usize {
        text.lines().filter(|line| !line.starts_with('#')).count()
    }

    #[test]
    fn there_are_never_more_series_than_the_bound() {
        for count in [1, 3, TAPS, TAPS + 5] {
            let names: Vec<String> = (0..count).map(|number| format!("tap{number}")).collect();
            let (metrics, mut counting) = metrics(&names);
            for tap in 0..count {
                for code in 100..600 {
                    counting.count_code(tap.min(TAPS), code);
                }
                counting.count_code(tap.min(TAPS), STRANGE);
                for rule in crate::rules::RULES {
                    counting.count_rule(tap.min(TAPS), rule.name);
                }
            }
            let text = metrics.text((0..count).map(|_| 1), 0);
            assert!(series(&text) <= SERIES, "{count} taps: {}", series(&text));
            // What has no series of its own is counted all the same.
            let of = |name: &str| -> u64 {
                let lines = text.lines().filter(|line| line.starts_with(name));
                lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
            };
            assert_eq!(of("authtap_requests_total{"), 501 * count as u64);
            assert_eq!(of("authtap_findings_total{"), (crate::rules::RULES.len() * count) as u64);
            assert_eq!(of("authtap_connections_open{"), count as u64);
        }
    }

    #[test]
    fn what_was_dropped_is_one_number() {
        let (metrics, counting) = metrics(&["tap".to_owned()]);
        counting.set_unwritten(3);
        let text = metrics.text(std::iter::once(0), 2);
        assert!(text.contains("\nauthtap_records_dropped_total 5\n"), "{text}");
        assert!(
            text.contains(concat!("\nauthtap_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1\n")),
            "{text}"
        );
    }
}
