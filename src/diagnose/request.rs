//! Diagnoses a request that several taps saw: each exchange by itself, and then what the hops between them did.

use super::{Diagnoser, drop_superseded, guarded, order, without_echoes};
use crate::auth::FingerprintKey;
use crate::exchange::View;
use crate::hops::trace::{HopHeader, Way};
use crate::hops::{Attempt, Change, Crossing, HopReport, Join, Kind, Side, Sighting, compare};
use crate::paths::{Request, Seen};
use crate::rules::{At, Diagnosis, Evidence, Finding, RULES, RequestDiagnosis, Severity};

impl Diagnoser {
    /// Diagnoses a request that was seen at one tap or several, and remembers what it tells about later ones. `views` are
    /// those of the request's exchanges, `taps` the names of the process' taps.
    pub fn diagnose_request(&mut self, views: &[View<'_>], request: &Request, taps: &[String]) -> RequestDiagnosis {
        if self.rests {
            let left_out = Diagnosis { is_left_out: true, ..Diagnosis::default() };
            return RequestDiagnosis { each: vec![left_out.clone(); views.len()], whole: left_out, hops: Vec::new() };
        }
        let mut each: Vec<Diagnosis> = views
            .iter()
            .zip(&request.seen)
            .map(|(view, seen)| if seen.was_told { Diagnosis::default() } else { self.diagnose(view) })
            .collect();
        let is_alone = taps.len() < 2 && views.iter().all(|view| !is_told_of(view));
        if is_alone {
            let whole = each.first().cloned().unwrap_or_default();
            return RequestDiagnosis { each, whole, hops: Vec::new() };
        }
        let mut hops = Vec::new();
        let ways = guarded(&mut each, "hops", || {
            let sightings: Vec<Sighting<'_>> =
                views.iter().map(|view| Sighting::of(view, view.redactor().key())).collect();
            self.cross(&sightings, request, taps)
        });
        let mut ways = ways.unwrap_or_default();
        for (at, view) in views.iter().enumerate() {
            ways.extend(guarded(&mut each, "hops", || self.cross_abroad(view, at)).unwrap_or_default());
        }
        let mut found: Vec<(Finding, Vec<usize>)> = Vec::new();
        for Judged { report, findings, inner, nothing_was_sent, refused_at } in ways {
            // Behind the tap nobody but the gateway answered, whom the rules about one exchange call the backend.
            if let Some(place) = refused_at
                && let Some(diagnosis) = report.exchanges.first().and_then(|at| each.get_mut(*at))
            {
                let answered = diagnosis.findings.iter_mut().filter(|finding| finding.at == At::Backend);
                answered.for_each(|finding| {
                    finding.at = place.clone();
                    // What a framework has to set does not help where none was asked.
                    if finding.rule.name == "forbidden-without-credentials" && finding.fix == finding.rule.fix {
                        finding.fix = OF_THE_GATEWAY.into();
                    }
                });
            }
            // What the hop wrote into the credentials is no fault of the client's.
            for at in report.exchanges.iter().skip(1) {
                let findings = each.get_mut(*at).map(|diagnosis| diagnosis.findings.iter_mut());
                let of_client = findings.into_iter().flatten().filter(|finding| finding.at == At::Client);
                for finding in of_client.filter(|finding| is_written_by(&report, finding)) {
                    finding.at = At::Hop(report.from.clone(), report.to.clone());
                }
            }
            if nothing_was_sent {
                // What went into the hop is known, so nothing has to be guessed from what other requests had.
                for at in inner {
                    if let Some(diagnosis) = each.get_mut(at) {
                        diagnosis.findings.retain(|finding| !is_guess_about_absence(finding));
                    }
                }
            }
            found.extend(findings.into_iter().map(|finding| (finding, report.exchanges.clone())));
            hops.push(report);
        }
        for (finding, exchanges) in &mut found {
            for at in exchanges.iter() {
                if let Some(view) = views.get(*at) {
                    *finding = without_echoes(finding.clone(), view);
                }
            }
        }
        let mut whole = Diagnosis { is_refusal: views.first().is_some_and(View::is_refused), ..Diagnosis::default() };
        for (at, diagnosis) in each.iter_mut().enumerate() {
            let touching: Vec<&Finding> =
                found.iter().filter(|(_, exchanges)| exchanges.contains(&at)).map(|(finding, _)| finding).collect();
            // Who saw both sides knows more than who saw one.
            let is_known_better = |own: &Finding| touching.iter().any(|other| other.rule.name == own.rule.name);
            diagnosis.findings.retain(|own| !is_known_better(own));
            diagnosis.findings.extend(touching.into_iter().cloned());
            diagnosis.findings = order(drop_superseded(std::mem::take(&mut diagnosis.findings)));
            say_who_refused(&mut diagnosis.findings);
            let was_repeated = is_repeated(request, at);
            for finding in &diagnosis.findings {
                let is_new = !whole.findings.iter().any(|known: &Finding| known.rule.name == finding.rule.name);
                // What is merely worth knowing at an inner tap is of no interest where the outer one was served.
                let is_worth_it = at == 0 || finding.severity > Severity::Info || whole.is_refusal;
                if is_new && is_worth_it {
                    let mut finding = finding.clone();
                    if was_repeated {
                        finding.severity = finding.severity.min(Severity::Warning);
                    }
                    whole.findings.push(finding);
                }
            }
            whole.failed.extend(diagnosis.failed.iter().copied());
        }
        whole.findings = order(drop_superseded(std::mem::take(&mut whole.findings)));
        say_who_refused(&mut whole.findings);
        RequestDiagnosis { each, whole, hops }
    }

    /// The hops between the taps of this process.
    fn cross(&mut self, sightings: &[Sighting<'_>], request: &Request, taps: &[String]) -> Vec<Judged> {
        let mut ways = Vec::new();
        for (at, (outer, seen)) in sightings.iter().zip(&request.seen).enumerate() {
            let Some(view) = outer.view else { continue };
            let exchange = view.exchange();
            let Some(inner_tap) = taps.get(exchange.tap.position.index + 1) else { continue };
            let redactor = view.redactor();
            let mut exchanges = vec![at];
            let mut attempts = Vec::new();
            for (inner_at, (inner, inner_seen)) in sightings.iter().zip(&request.seen).enumerate() {
                let Some((parent, join)) = inner_seen.parent else { continue };
                if parent == at {
                    let differences = compare(outer, inner, redactor, redactor.key());
                    attempts.push(Attempt { inner, join, differences });
                    exchanges.push(inner_at);
                }
            }
            let is_certain = seen.is_certain && exchange.path.is_announced;
            // Nothing arrived, and nothing can be said of why.
            if attempts.is_empty() && !is_certain {
                continue;
            }
            let crossing = Crossing { outer, inner_tap, attempts, running: seen.running, is_certain };
            let inner = exchanges.get(1..).unwrap_or_default().to_vec();
            ways.push(self.judge(&crossing, exchanges, inner));
        }
        ways
    }

    /// The hops between a tap of this process and those of others, which tell of what they saw in hop headers.
    fn cross_abroad(&mut self, view: &View<'_>, at: usize) -> Vec<Judged> {
        let Some(key) = self.hop_fingerprints.clone() else { return Vec::new() };
        let path = &view.exchange().path;
        let told =
            |value: &Option<bytes::Bytes>, way| value.as_deref().and_then(|value| HopHeader::believed(value, way));
        let mut ways = Vec::new();
        if let Some(header) = told(&path.before, Way::Request) {
            let own = Sighting::of(view, &key);
            let outer = Sighting::of_header(&header, &own);
            ways.push(self.judge_abroad(&outer, &own, view, at, &key));
        }
        if let Some(header) = told(&path.behind, Way::Answer) {
            let own = Sighting::of(view, &key);
            let inner = Sighting::of_header(&header, &own);
            ways.push(self.judge_abroad(&own, &inner, view, at, &key));
        }
        ways
    }

    fn judge_abroad(
        &mut self,
        outer: &Sighting<'_>,
        inner: &Sighting<'_>,
        view: &View<'_>,
        at: usize,
        key: &FingerprintKey,
    ) -> Judged {
        let differences = compare(outer, inner, view.redactor(), key);
        let attempts = vec![Attempt { inner, join: Join::HopHeader, differences }];
        let crossing = Crossing { outer, inner_tap: &inner.tap, attempts, running: 0, is_certain: true };
        self.judge(&crossing, vec![at], vec![at])
    }

    fn judge(&mut self, crossing: &Crossing<'_>, exchanges: Vec<usize>, inner: Vec<usize>) -> Judged {
        let findings = judge(crossing, &self.memory);
        self.memory.learn_crossing(crossing);
        let report = HopReport::of(crossing, exchanges);
        let has_cookie = crossing.outer.request.fields.iter().any(|line| line.name.eq_ignore_ascii_case("cookie"));
        let nothing_was_sent = crossing.outer.credentials.is_empty() && !has_cookie;
        let by_gateway = crossing.attempts.is_empty() && crossing.running == 0 && crossing.is_certain;
        let is_answered = crossing.outer.answer.as_ref().is_some_and(|answer| !answer.by_tap);
        let refused_at =
            (by_gateway && is_answered).then(|| At::Hop(crossing.outer.tap.clone(), crossing.inner_tap.to_owned()));
        Judged { report, findings, inner, nothing_was_sent, refused_at }
    }
}

/// What came of looking at one hop.
struct Judged {
    report: HopReport,
    findings: Vec<Finding>,
    /// The exchanges behind the hop, by their numbers.
    inner: Vec<usize>,
    /// Whether the request had no credentials before the hop.
    nothing_was_sent: bool,
    /// The hop, where it answered without asking anybody behind it.
    refused_at: Option<At>,
}

/// Whether the hop wrote the credentials that the finding is about, or wrote them anew.
fn is_written_by(report: &HopReport, finding: &Finding) -> bool {
    report.differences.iter().any(|difference| {
        let is_written = !matches!(difference.change, Change::Removed | Change::Recased { .. } | Change::Reordered);
        difference.side == Side::Request
            && difference.kind == Kind::Credentials
            && is_written
            && finding.header.as_ref() == Some(&difference.name)
    })
}

/// Whether the finding takes it that something before this tap took credentials away.
fn is_guess_about_absence(finding: &Finding) -> bool {
    finding.rule.name == "credentials-absent" && finding.severity > Severity::Info
}

/// Whether the gateway sent this request again, so that what went wrong with it is not what the client got to see.
fn is_repeated(request: &Request, at: usize) -> bool {
    let parent = |seen: &Seen| seen.parent.map(|(parent, _)| parent);
    let own = request.seen.get(at).and_then(parent);
    own.is_some() && request.seen.iter().skip(at + 1).any(|later| parent(later) == own)
}

/// What came about before the first tap, whoever refused it.
const OF_THE_SENDER: [&str; 2] = ["auth-header-name-suspect", "multiple-credentials"];

/// Who refused is worth a line beside whatever else explains a refusal.
fn say_who_refused(findings: &mut [Finding]) {
    let Some(origin) = findings.iter().find(|finding| finding.rule.name == "refusal-origin").cloned() else { return };
    if let Some(first) = findings.first_mut().filter(|first| first.rule.name != "refusal-origin")
        && first.at == At::Unknown
    {
        // What a single tap advises is to find out what is known here.
        if first.rule.name == "credentials-rejected" && first.fix == first.rule.fix {
            first.fix = match origin.at {
                At::Backend => ARRIVED.into(),
                _ => {
                    format!("{} If it is meant to check them, the credentials are what it refuses.", origin.fix).into()
                }
            };
        }
        first.evidence.insert(0, Evidence { text: origin.summary, place: None });
        if !OF_THE_SENDER.contains(&first.rule.name) {
            first.at = origin.at;
        }
    }
}

/// What to do about credentials that were refused by who got them as they were sent.
const ARRIVED: &str = "The credentials came to the backend as they were sent: look into its log for why it refuses them, \
                       and replace them if it does not know them.";

/// What to do about a 403 that the gateway gave by itself to somebody who was not logged in.
const OF_THE_GATEWAY: &str = "The gateway answered so by itself: have it answer 401 with a WWW-Authenticate line, or let it \
                              send browsers to the login. The application behind it was not asked.";

/// What the rules say of a way over a hop. A rule that breaks says nothing.
pub fn judge(crossing: &Crossing<'_>, memory: &crate::memory::Memory) -> Vec<Finding> {
    let checks = RULES.iter().filter_map(|rule| rule.check.hop());
    let found = checks.flat_map(|check| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(crossing, memory))).unwrap_or_default()
    });
    order(drop_superseded(found.collect()))
}

/// Whether a tap of another process told of the exchange.
fn is_told_of(view: &View<'_>) -> bool {
    let path = &view.exchange().path;
    path.before.is_some() || path.behind.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::redact::Redactor;
    use crate::exchange::transcript;
    use crate::paths::{requests_of, taps_of};

    const REFUSED: &str = "> GET /orders HTTP/1.1\n> Host: api.example\n< HTTP/1.1 403 Forbidden\n\
                           < Content-Type: text/plain\n<\n< Login required\n";

    /// The place and the fix of what is said of the last 403.
    fn last(text: &str) -> (At, String) {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"request"), []);
        let exchanges = transcript::parse(text).unwrap();
        let taps = taps_of(&exchanges);
        let mut diagnoser = Diagnoser::default();
        let mut found = None;
        for request in requests_of(exchanges) {
            let views: Vec<View<'_>> = request.seen.iter().map(|seen| View::new(&seen.exchange, &redactor)).collect();
            let whole = diagnoser.diagnose_request(&views, &request, &taps).whole;
            let is_it = |finding: &Finding| finding.rule.name == "forbidden-without-credentials";
            found = whole.findings.into_iter().find(is_it).or(found);
        }
        let finding = found.unwrap();
        (finding.at, finding.fix.into_owned())
    }

    #[test]
    fn who_answers_is_who_has_to_be_mended() {
        let other = "* tap app\n* unannounced\n> GET /healthz HTTP/1.1\n> Host: 127.0.0.1\n< HTTP/1.1 200 OK\n";
        let (at, fix) = last(&format!("* tap edge\n{REFUSED}{other}* tap edge\n{REFUSED}"));
        assert_eq!(at, At::Hop("edge".to_owned(), "app".to_owned()));
        assert!(fix.starts_with("The gateway answered so by itself") && !fix.contains("Spring"), "{fix}");

        let (at, fix) = last(&format!("* tap edge\n{REFUSED}* tap app\n{REFUSED}"));
        assert_eq!(at, At::Backend);
        assert!(fix.contains("Django"), "{fix}");
        assert!(last(REFUSED).1.contains("Django"));
    }
}
