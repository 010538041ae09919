//! The end of a run: what failed, by cause.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;

use super::escape::printable;
use super::shown::{Counted, Shown, Way};
use super::wrap::cut;
use super::{Lost, counted};
use crate::exchange::Endpoint;
use crate::rules::{Finding, Severity};

/// Distinct values that are told apart for each cause; beyond that it is "many".
const DISTINCT: usize = 64;

/// Ways that are known again for each cause.
const WAYS: usize = 256;

const WIDTH: usize = 80;

/// What has been seen so far.
#[derive(Default)]
pub struct Summary {
    exchanges: u64,
    probes: u64,
    /// How many were not diagnosed.
    left_out: u64,
    /// When the last request was served that had credentials.
    served: Option<Timestamp>,
    /// The addresses of the backends that served such requests.
    serving: BTreeSet<String>,
    /// The one that served last, which is in there.
    last: Option<Endpoint>,
    causes: BTreeMap<&'static str, Cause>,
}

struct Cause {
    severity: Severity,
    count: u64,
    clients: BTreeSet<String>,
    credentials: BTreeSet<String>,
    routes: BTreeSet<String>,
    backends: BTreeSet<String>,
    since: Option<Timestamp>,
    /// Those of which all of that was noted.
    ways: HashSet<Way>,
}

impl Summary {
    /// Counts an exchange, by the finding that explains it best.
    pub fn add(&mut self, shown: &Shown, findings: &[Finding]) {
        self.exchanges += 1;
        self.probes += u64::from(shown.is_probe);
        let Some(first) = alarm(findings) else {
            if shown.credential.is_some() && shown.status.is_some_and(|status| (200..300).contains(&status)) {
                self.served = self.served.max(shown.time);
                shown.backend.iter().for_each(|addr| note(&mut self.serving, || addr.clone()));
            }
            return;
        };
        let cause = self.causes.entry(first.rule.name).or_insert_with(|| Cause {
            severity: first.severity,
            count: 0,
            clients: BTreeSet::new(),
            credentials: BTreeSet::new(),
            routes: BTreeSet::new(),
            backends: BTreeSet::new(),
            since: shown.time,
            ways: HashSet::new(),
        });
        cause.severity = cause.severity.max(first.severity);
        cause.count += 1;
        if !shown.client.is_empty() {
            note(&mut cause.clients, || shown.client.clone());
        }
        if let Some(label) = &shown.credential {
            note(&mut cause.credentials, || label.clone());
        }
        shown.backend.iter().for_each(|addr| note(&mut cause.backends, || addr.clone()));
        note(&mut cause.routes, || format!("{} {}", shown.method, shown.path()));
    }

    /// Counts an exchange that nobody is told of, where that takes no text: nothing was found in it, or it is like one before
    /// it. Says whether it was counted.
    pub(super) fn add_briefly(&mut self, counted: &Counted<'_>, findings: &[Finding]) -> bool {
        match alarm(findings) {
            Some(finding) => self.add_again(counted, finding),
            None => {
                self.add_fine(counted);
                true
            }
        }
    }

    /// Counts an exchange in which nothing was found.
    fn add_fine(&mut self, fine: &Counted<'_>) {
        self.exchanges += 1;
        self.probes += u64::from(fine.is_probe);
        if fine.served.is_none() {
            return;
        }
        self.served = self.served.max(fine.served);
        if fine.backend != self.last.as_ref() {
            self.last = fine.backend.cloned();
            fine.backend.iter().for_each(|addr| note(&mut self.serving, || addr.to_string()));
        }
    }

    /// Counts an exchange that went the same way as one before it, with the same finding. Says whether there was one; the next
    /// time, there was.
    fn add_again(&mut self, again: &Counted<'_>, finding: &Finding) -> bool {
        let Some(way) = again.way else { return false };
        let Some(cause) = self.causes.get_mut(finding.rule.name) else { return false };
        if cause.ways.contains(&way) {
            self.exchanges += 1;
            self.probes += u64::from(again.is_probe);
            cause.severity = cause.severity.max(finding.severity);
            cause.count += 1;
            return true;
        }
        if cause.ways.len() >= WAYS {
            cause.ways = HashSet::new();
        }
        cause.ways.insert(way);
        false
    }

    /// Notes that the exchange that was counted last was not diagnosed.
    pub fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// Forgets what routes are called, which may say what is not to be said any more. How many there were stays.
    pub fn forget_names(&mut self) {
        for cause in self.causes.values_mut() {
            let count = cause.routes.len();
            cause.routes = (0..count).map(|number| format!("(a route of before {number})")).collect();
            cause.ways = HashSet::new();
        }
    }

    /// The summary, in lines of at most 80 characters.
    pub fn text(&self, ran: Duration, lost: &Lost, lost_records: u64, lost_lines: u64) -> String {
        let with_findings: u64 = self.causes.values().map(|cause| cause.count).sum();
        let fine = self.exchanges.saturating_sub(with_findings + self.left_out);
        let mut text = format!(
            "\n  {}   {}   {fine} fine   {with_findings} with findings\n",
            duration(ran),
            counted(self.exchanges, "request", "requests")
        );
        let mut causes: Vec<_> = self.causes.iter().collect();
        causes.sort_by_key(|(_, cause)| (std::cmp::Reverse(cause.severity), std::cmp::Reverse(cause.count)));
        for (name, cause) in causes {
            let sign = if cause.severity == Severity::Error { '✗' } else { '!' };
            let line = format!("  {sign} {:>5}  {name:<28}  ", cause.count);
            // Writing to a String can't fail.
            let _ = writeln!(text, "{line}{}", cause.scope(WIDTH - line.chars().count()));
            if let Some(width) = self.width_of(cause) {
                let _ = writeln!(text, "           {}", cut(&width, WIDTH - 11));
            }
        }
        if self.left_out > 0 {
            let requests = counted(self.left_out, "request was", "requests were");
            let _ = writeln!(text, "  ! {requests} recorded and not diagnosed");
        }
        if self.probes > 0 {
            let probes =
                counted(self.probes, "health probe is in the count and was", "health probes are in the count and were");
            let _ = writeln!(text, "  {probes} not shown");
        }
        if lost.distrusted_hop_headers > 0 {
            let headers = counted(lost.distrusted_hop_headers, "hop header was", "hop headers were");
            let _ = writeln!(text, "  ! {headers} not believed; the records say why");
        }
        if lost.exchanges > 0 {
            let exchanges = counted(lost.exchanges, "exchange was", "exchanges were");
            let _ = writeln!(text, "  ! {exchanges} not looked at: the queue was full");
        }
        if lost.faults > 0 {
            let faults = counted(lost.faults, "fault", "faults");
            let _ = writeln!(text, "  ! {faults} in authtap itself, see stderr: findings or records are missing");
        }
        if lost_records > 0 {
            let _ = writeln!(text, "  ! {} could not be written", counted(lost_records, "record", "records"));
        }
        if lost_lines > 0 {
            let _ = writeln!(text, "  ! {} of the log could not be written", counted(lost_lines, "line", "lines"));
        }
        text
    }
}

impl Summary {
    /// Where the failure is as wide as one replica, or as everything: what tells most about where to look.
    fn width_of(&self, cause: &Cause) -> Option<String> {
        if cause.count < MANY {
            return None;
        }
        let others = self.serving.difference(&cause.backends).count();
        if let (1, Some(only), true) = (cause.backends.len(), cause.backends.first(), others > 0) {
            return Some(format!("only at the backend {only}; {others} others served"));
        }
        let since = cause.since?;
        let is_all = cause.credentials.len() as u64 >= MANY && self.served.is_none_or(|served| served < since);
        let minute = since.strftime("%H:%MZ");
        is_all.then(|| format!("everything since {minute}: no credential was accepted after that"))
    }
}

/// From how many failures, and how many credentials, a failure is called wide.
const MANY: u64 = 5;

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

/// The finding that explains an exchange best, if it is more than worth knowing.
fn alarm(findings: &[Finding]) -> Option<&Finding> {
    findings.first().filter(|finding| finding.severity > Severity::Info)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::diagnose::Diagnoser;
    use crate::exchange::redact::Redactor;
    use crate::exchange::{View, transcript};

    /// The summary of a transcript.
    fn summary(text: &str) -> String {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
        let (mut diagnoser, mut summary) = (Diagnoser::default(), Summary::default());
        for exchange in transcript::parse(text).unwrap() {
            let view = View::new(&exchange, &redactor);
            let diagnosis = diagnoser.diagnose(&view);
            summary.add(&Shown::of(&view), &diagnosis.findings);
        }
        summary.text(Duration::from_secs(60), &Lost::default(), 0, 0)
    }

    fn request(token: usize, status: &str) -> String {
        let challenge = if status.starts_with('4') { "< WWW-Authenticate: Bearer realm=\"a\"\n" } else { "" };
        format!(
            "> GET /a HTTP/1.1\n> Host: x\n> Authorization: Bearer token-number-{token}-of-many\n< HTTP/1.1 {status}\n{challenge}"
        )
    }

    #[test]
    fn what_fails_for_all_is_said_to() {
        let served = request(0, "200 OK");
        let failing: String = (1..7).map(|token| request(token, "401 Unauthorized")).collect();
        let all = summary(&format!("{served}{failing}"));
        assert!(all.contains("everything since 12:00Z: no credential was accepted after that"), "{all}");
        let some = summary(&format!("{served}{failing}{served}"));
        assert!(!some.contains("everything"), "{some}");
        let few = summary(&format!("{served}{}", request(1, "401 Unauthorized").repeat(6)));
        assert!(!few.contains("everything"), "{few}");
    }

    #[test]
    fn what_fails_at_one_backend_alone_is_said_to() {
        let good = format!("* upstream addr 10.0.0.1:80\n{}", request(0, "200 OK"));
        let bad = format!("* upstream addr 10.0.0.2:80\n{}", request(1, "401 Unauthorized").repeat(6));
        let text = summary(&format!("{good}{bad}"));
        assert!(text.contains("only at the backend 10.0.0.2:80; 1 others served"), "{text}");
    }

    #[test]
    fn what_nobody_is_told_of_is_counted_like_the_rest() {
        let asked = "> GET /a HTTP/1.1\n> Host: x\n> Authorization: Bearer abcdefghijklmnop\n";
        let refused = format!("{asked}< HTTP/1.1 401 Unauthorized\n");
        let text = format!(
            "* upstream addr 10.0.0.1:80\n{asked}< HTTP/1.1 200 OK\n> GET /healthz HTTP/1.1\n> Host: x\n< HTTP/1.1 200 OK\n\
             {}{asked}< HTTP/1.1 204 No Content\n* client addr 10.0.0.9\n{refused}",
            refused.repeat(5)
        );
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
        let mut diagnoser = Diagnoser::default();
        let (mut whole, mut brief, mut again) = (Summary::default(), Summary::default(), 0);
        for exchange in &transcript::parse(&text).unwrap() {
            let view = View::new(exchange, &redactor);
            let findings = diagnoser.diagnose(&view).findings;
            whole.add(&Shown::of(&view), &findings);
            match brief.add_briefly(&Counted::of(&view), &findings) {
                true => again += usize::from(alarm(&findings).is_some()),
                false => brief.add(&Shown::of(&view), &findings),
            }
        }
        let said = |summary: &Summary| summary.text(Duration::from_secs(1), &Lost::default(), 0, 0);
        assert_eq!(said(&whole), said(&brief));
        assert_eq!((whole.served, &whole.serving), (brief.served, &brief.serving));
        // The first ones are not known yet when they come, and neither is the other client.
        assert!((1..5).contains(&again), "{again}");
        assert!(
            said(&brief).contains("9 requests   3 fine") && said(&brief).contains("1 health probe "),
            "{}",
            said(&brief)
        );
    }
}
