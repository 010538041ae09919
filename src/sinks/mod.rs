//! What is said of exchanges, and where: the log on stdout, the record in a file, the summary at the end.
//!
//! One thread owns all of it. Findings are data that come from the rules; nothing here judges.

mod archive;
pub mod console;
mod counted;
pub mod escape;
pub mod filter;
mod heads;
pub mod metrics;
pub mod output;
pub mod probes;
pub mod ring;
pub mod shown;
pub mod summary;
mod wrap;

use std::sync::Arc;
use std::time::Duration;

use crate::exchange::View;
use crate::exchange::record::{self, FindingRecord, Record};
use crate::hops::{Difference, HopReport, Told};
use crate::rules::{Finding, RequestDiagnosis, Severity};

use console::Console;
pub(crate) use counted::counted;
pub(crate) use escape::printable;
use filter::{Filter, Heads};
pub use heads::heads;
use metrics::Counting;
use output::Output;
use probes::Probes;
use ring::Ring;
use shown::{Counted, Shown};
use summary::Summary;
pub(crate) use wrap::{cut, wrap};

/// The room of a record that is kept for the next one, in bytes.
const LINE_KEPT: usize = 64 * 1024;

/// What stdout gets.
pub enum Log {
    /// Text for people.
    Text(Box<Console>),
    /// Records.
    Json,
}

/// All places that hear of an exchange.
pub struct Sinks {
    log: Log,
    stdout: Output,
    record: Option<Output>,
    archive: Option<Output>,
    telemetry: Option<Output>,
    counting: Option<Counting>,
    ring: Option<Arc<Ring>>,
    filter: Filter,
    probes: Probes,
    shows_heads: bool,
    summary: Summary,
    count: u64,
    worst: Option<Severity>,
    /// The last record, for its room.
    line: Vec<u8>,
}

/// What was lost before it came to the sinks, or was not believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Exchanges for which the queue had no room.
    pub exchanges: u64,
    /// Hop headers that were not believed.
    pub distrusted_hop_headers: u64,
    /// Faults in the program that were caught.
    pub faults: u64,
}

/// What the end of a run has to say.
pub struct End {
    /// The summary, in lines.
    pub summary: String,
    /// Records that could not be written to their file.
    pub lost_records: u64,
    /// Records that could not be written to the archive.
    pub lost_entries: u64,
    /// Records that came to no span.
    pub unreported: u64,
    /// How bad the worst was that was found.
    pub worst: Option<Severity>,
    /// Whether every exchange was looked at and every line written.
    pub is_complete: bool,
}

impl Sinks {
    /// Sinks that write the log to `stdout`, and records to `record`.
    pub fn new(log: Log, stdout: Output, record: Option<Output>) -> Self {
        Sinks {
            log,
            stdout,
            record,
            archive: None,
            telemetry: None,
            counting: None,
            ring: None,
            filter: Filter::default(),
            probes: Probes::default(),
            shows_heads: false,
            summary: Summary::default(),
            count: 0,
            worst: None,
            line: Vec::new(),
        }
    }

    /// Writes records to an archive as well.
    pub fn archiving(mut self, archive: Option<Output>) -> Self {
        self.archive = archive;
        self
    }

    /// Hands records to what sends them to a collector as well.
    pub fn reporting(mut self, telemetry: Option<Output>) -> Self {
        self.telemetry = telemetry;
        self
    }

    /// Tells of some exchanges only in the log for people.
    pub fn filtering(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Takes these for health probes.
    pub fn probed_by(mut self, probes: Probes) -> Self {
        self.probes = probes;
        self
    }

    /// Has the heads in the log for people too, of every exchange that it tells of.
    pub fn showing_heads(mut self, shows_heads: bool) -> Self {
        self.shows_heads = shows_heads;
        self
    }

    /// Counts exchanges and findings as well.
    pub fn counting(mut self, counting: Option<Counting>) -> Self {
        self.counting = counting;
        self
    }

    /// Says, to who counts, whether secrets are shown. Where they are no more, nothing is kept that was made while they were.
    pub fn show_secrets(&mut self, are_shown: bool) {
        if !are_shown {
            if let Log::Text(console) = &mut self.log {
                let text = console.forget();
                self.stdout.put(text.as_bytes());
            }
            self.summary.forget_names();
            self.line = Vec::new();
            self.stdout.flush();
            if let Some(ring) = &self.ring {
                ring.forget();
            }
        }
        if let Some(counting) = &self.counting {
            counting.set_secrets_shown(are_shown);
        }
    }

    /// Keeps records for the inspector as well.
    pub fn keeping(mut self, ring: Option<Arc<Ring>>) -> Self {
        self.ring = ring;
        self
    }

    /// Tells of a request that one tap saw or several. `told` says which of its exchanges were told before, alone.
    pub fn request(&mut self, views: &[View<'_>], told: &[bool], diagnosis: &RequestDiagnosis) {
        let Some(outermost) = views.first() else { return };
        let fresh = || views.iter().zip(told).zip(&diagnosis.each).enumerate().filter(|(_, ((_, told), _))| !**told);
        self.count += 1;
        self.worst = self.worst.max(diagnosis.whole.findings.first().map(|finding| finding.severity));
        let findings = &diagnosis.whole.findings;
        let is_told = matches!(self.log, Log::Text(_)) || !self.probes.are_usual();
        let shown = (is_told || !self.summary.add_briefly(&Counted::of(outermost), findings)).then(|| {
            let mut shown = Shown::of(outermost);
            self.probes.mark(&mut shown, findings, views);
            shown
        });
        if let Some(shown) = &shown {
            self.summary.add(shown, findings);
        }
        if diagnosis.whole.is_left_out {
            self.summary.leave_out();
        }
        if let Some(counting) = &mut self.counting {
            fresh().for_each(|(_, ((view, _), own))| counting.add(view, &own.findings));
        }
        let mut heads_shown = String::new();
        let has_files = self.record.is_some() || self.archive.is_some() || self.telemetry.is_some();
        if has_files || self.ring.is_some() || matches!(self.log, Log::Json) || self.shows_heads {
            for (at, ((view, _), own)) in fresh() {
                let hops = diagnosis.hops.iter().filter(|hop| hop.touches(at)).map(recorded_hop).collect();
                let record = Record::new(view, recorded(own.verdict(), &own.findings), hops);
                let line = record.to_line_in(std::mem::take(&mut self.line));
                for file in [&mut self.record, &mut self.archive, &mut self.telemetry].into_iter().flatten() {
                    file.put(&line);
                }
                if let Some(ring) = &self.ring {
                    ring.put(&line);
                }
                if matches!(self.log, Log::Json) {
                    self.stdout.put(&line);
                } else if self.shows_heads {
                    heads_shown.push_str(&heads(&line));
                }
                // A record is small nearly always, and one that is not is no reason to keep its room.
                if line.capacity() <= LINE_KEPT {
                    self.line = line;
                }
            }
        }
        if let (Log::Text(console), Some(shown)) = (&mut self.log, &shown)
            && self.filter.holds(shown, findings, views)
        {
            if console.tells_of(shown, findings) {
                self.stdout.put(heads_shown.as_bytes());
            }
            let text = console.exchange(shown, self.count, findings);
            self.stdout.put(text.as_bytes());
        }
    }

    /// Nothing came for a moment: what waits is written, and what was folded for long enough is told.
    pub fn idle(&mut self) {
        if let Log::Text(console) = &mut self.log {
            let text = console.unfold(false);
            self.stdout.put(text.as_bytes());
        }
        self.stdout.flush();
        for file in [&mut self.record, &mut self.archive, &mut self.telemetry].into_iter().flatten() {
            file.flush();
        }
        if let Some(ring) = &self.ring {
            ring.tell();
        }
        if let Some(counting) = &self.counting {
            let files = [self.record.as_ref(), self.archive.as_ref()];
            let log = Some(&self.stdout).filter(|_| matches!(self.log, Log::Json));
            counting.set_unwritten(files.into_iter().chain([log]).flatten().map(Output::lost).sum());
        }
    }

    /// Ends the outputs. `ran` is how long the run took, `lost` what never came here.
    pub fn finish(mut self, ran: Duration, lost: &Lost) -> End {
        if let Log::Text(console) = &mut self.log {
            let text = console.unfold(true);
            self.stdout.put(text.as_bytes());
        }
        if let Some(ring) = &self.ring {
            ring.end();
        }
        let lost_records = self.record.map_or(0, Output::finish);
        let lost_entries = self.archive.map_or(0, Output::finish);
        let unreported = self.telemetry.map_or(0, Output::finish);
        let unwritten = lost_records + lost_entries;
        let is_text = matches!(self.log, Log::Text(_));
        if is_text {
            self.stdout.put(self.summary.text(ran, lost, unwritten, self.stdout.lost()).as_bytes());
        }
        let lost_lines = self.stdout.finish();
        let summary = self.summary.text(ran, lost, unwritten, lost_lines);
        let worst = self.worst;
        let is_complete = unwritten + lost_lines + lost.exchanges + lost.faults == 0;
        End { summary, lost_records, lost_entries, unreported, worst, is_complete }
    }
}

impl Heads for [View<'_>] {
    fn has_header(&self, name: &str) -> bool {
        let answers = |view: &View<'_>| view.response().is_some_and(|response| response.head.has(name));
        self.iter().any(|view| view.request().has(name) || answers(view))
    }

    fn agent_begins(&self, prefix: &str) -> bool {
        let agent = |view: &View<'_>| {
            view.request().value("user-agent").is_some_and(|agent| agent.starts_with(prefix.as_bytes()))
        };
        self.iter().any(agent)
    }
}

/// What a hop did, as records have it.
pub fn recorded_hop(report: &HopReport) -> record::Hop<'_> {
    record::Hop {
        from: &report.from,
        to: &report.to,
        join: report.join.map(|join| join.id()),
        requests: report.requests,
        running: report.running,
        changes: report.differences.iter().map(recorded_change).collect(),
    }
}

/// A change as records have it.
pub(crate) fn recorded_change(difference: &Difference) -> record::HopChange<'_> {
    let told = |told: &Option<Told>| told.as_ref().map(Told::text);
    record::HopChange {
        side: difference.side.id(),
        kind: difference.kind.id(),
        name: &difference.name,
        change: difference.change.id(),
        text: difference.change.text(),
        before: told(&difference.before),
        after: told(&difference.after),
        sure: difference.is_sure,
    }
}

/// The diagnosis as records have it.
pub fn recorded<'a>(verdict: &'a str, findings: &'a [Finding]) -> record::Diagnosis<'a> {
    let findings = findings.iter().map(|finding| FindingRecord {
        rule: finding.rule.name,
        severity: finding.severity.id(),
        certainty: finding.certainty.id(),
        at: finding.at.to_string(),
        header: finding.header.as_deref(),
        summary: &finding.summary,
        evidence: finding.evidence.iter().map(|evidence| evidence.text.as_str()).collect(),
        fix: &finding.fix,
        spec: finding.rule.spec.first().map(|spec| spec.text()),
    });
    record::Diagnosis { verdict, findings: findings.collect() }
}
