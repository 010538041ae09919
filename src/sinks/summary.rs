//! The end of a run: what failed, by cause.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use super::Lost;
use super::escape::printable;
use super::shown::Shown;
use super::wrap::cut;
use crate::rules::{Finding, Severity};

/// Distinct values that are told apart for each cause; beyond that it is "many".
const DISTINCT: usize = 64;

const WIDTH: usize = 80;

/// What has been seen so far.
#[derive(Default)]
pub struct Summary {
    exchanges: u64,
    probes: u64,
    causes: BTreeMap<&'static str, Cause>,
}

struct Cause {
    severity: Severity,
    count: u64,
    clients: BTreeSet<String>,
    credentials: BTreeSet<String>,
    routes: BTreeSet<String>,
}

impl Summary {
    /// Counts an exchange, by the finding that explains it best.
    pub fn add(&mut self, shown: &Shown, findings: &[Finding]) {
        self.exchanges += 1;
        self.probes += u64::from(shown.is_probe);
        let Some(first) = findings.first().filter(|finding| finding.severity > Severity::Info) else { return };
        let cause = self.causes.entry(first.rule.name).or_insert_with(|| Cause {
            severity: first.severity,
            count: 0,
            clients: BTreeSet::new(),
            credentials: BTreeSet::new(),
            routes: BTreeSet::new(),
        });
        cause.severity = cause.severity.max(first.severity);
        cause.count += 1;
        if !shown.client.is_empty() {
            note(&mut cause.clients, || shown.client.clone());
        }
        if let Some(label) = &shown.credential {
            note(&mut cause.credentials, || label.clone());
        }
        note(&mut cause.routes, || format!("{} {}", shown.method, shown.path()));
    }

    /// The summary, in lines of at most 80 characters.
    pub fn text(&self, ran: Duration, lost: &Lost, lost_records: u64, lost_lines: u64) -> String {
        let with_findings: u64 = self.causes.values().map(|cause| cause.count).sum();
        let fine = self.exchanges - with_findings;
        let mut text = format!(
            "\n  {}   {} requests   {fine} fine   {with_findings} with findings\n",
            duration(ran),
            self.exchanges
        );
        let mut causes: Vec<_> = self.causes.iter().collect();
        causes.sort_by_key(|(_, cause)| (std::cmp::Reverse(cause.severity), std::cmp::Reverse(cause.count)));
        for (name, cause) in causes {
            let sign = if cause.severity == Severity::Error { '✗' } else { '!' };
            let line = format!("  {sign} {:>5}  {name:<28}  ", cause.count);
            // Writing to a String can't fail.
            let _ = writeln!(text, "{line}{}", cause.scope(WIDTH - line.chars().count()));
        }
        if self.probes > 0 {
            let _ = writeln!(text, "  {} health probes are in the count and were not shown", self.probes);
        }
        if lost.distrusted_hop_headers > 0 {
            let count = lost.distrusted_hop_headers;
            let _ = writeln!(text, "  ! {count} hop headers were not believed; the records say why");
        }
        if lost.exchanges > 0 {
            let dropped = lost.exchanges;
            let _ = writeln!(text, "  ! {dropped} exchanges were not looked at: the queue was full");
        }
        if lost_records > 0 {
            let _ = writeln!(text, "  ! {lost_records} records could not be written");
        }
        if lost_lines > 0 {
            let _ = writeln!(text, "  ! {lost_lines} lines of the log could not be written");
        }
        text
    }
}

impl Cause {
    /// How wide it is, in at most `width` characters: where, with what, who; the names of what is only one as far as
    /// they fit.
    fn scope(&self, width: usize) -> String {
        let values = [(&self.routes, "route"), (&self.credentials, "credential"), (&self.clients, "client")];
        let values: Vec<_> = values.into_iter().filter(|(values, _)| !values.is_empty()).collect();
        let text = |parts: usize, named: usize| {
            let parts = values.iter().take(parts).enumerate();
            parts.map(|(index, (values, what))| of(values, what, index < named)).collect::<Vec<_>>().join(", ")
        };
        // To say where it is matters more than to say that it is one client.
        let all = values.len();
        let choices = (1..=all).rev().flat_map(|parts| (1..=parts).rev().map(move |named| (parts, named)));
        let fitting = choices.map(|(parts, named)| text(parts, named)).find(|text| text.chars().count() <= width);
        fitting.unwrap_or_else(|| cut(&text(all, 0), width))
    }
}

fn of(values: &BTreeSet<String>, what: &str, named: bool) -> String {
    match (values.len(), values.first()) {
        (1, Some(only)) if named => printable(only),
        (1, _) => format!("one {what}"),
        (DISTINCT.., _) => format!("many {what}s"),
        (count, _) => format!("{count} {what}s"),
    }
}

fn note(values: &mut BTreeSet<String>, value: impl FnOnce() -> String) {
    if values.len() < DISTINCT {
        values.insert(value());
    }
}

/// `3m12s`, `12s`, `2h05m`.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}
