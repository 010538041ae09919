//! Runs the rules over an exchange, orders what they found, and drops what a more special finding explains.

use std::sync::LazyLock;

use crate::auth::FingerprintKey;
use crate::exchange::View;
use crate::exchange::given::Given;
use crate::memory::Memory;
use crate::panics;
use crate::rules::normal::{self, Normal};
use crate::rules::{Certainty, Diagnosis, Family, Finding, RULES, Rule, Severity, products};

mod request;

pub use request::judge;

/// The check of a rule, and the rule's name.
type NamedCheck = (&'static str, fn(&View<'_>, &Memory) -> Vec<Finding>);

/// The checks of one exchange, next to each other: they run for every one, and the rules themselves are large.
static CHECKS: LazyLock<Checks> = LazyLock::new(|| Checks::of(RULES));

struct Checks {
    /// First those that are asked of every exchange, then those that are not asked of a success.
    all: Vec<NamedCheck>,
    of_every: usize,
}

impl Checks {
    fn of(rules: &[&'static Rule]) -> Self {
        let of = |is_for_failures: bool| {
            let rules = rules.iter().filter(move |rule| rule.check.is_for_failures() == is_for_failures);
            rules.filter_map(|rule| Some((rule.name, rule.check.exchange()?)))
        };
        let mut all: Vec<NamedCheck> = of(false).collect();
        let of_every = all.len();
        all.extend(of(true));
        Checks { all, of_every }
    }

    /// Those that may have something to say of an exchange.
    fn about(&self, view: &View<'_>) -> &[NamedCheck] {
        let count = if view.is_success() { self.of_every } else { self.all.len() };
        self.all.get(..count).unwrap_or_default()
    }
}

/// What is wrong with an exchange: the verdict's finding first, each kind of fault once. Pure; `memory` is what earlier
/// exchanges told, and learns of this one only by [`Memory::learn`].
pub fn diagnose(view: &View<'_>, memory: &Memory) -> Diagnosis {
    run(&CHECKS, view, memory)
}

/// Diagnoses exchanges one after the other, as they end.
#[derive(Default)]
pub struct Diagnoser {
    memory: Memory,
    /// The key of the fingerprints in hop headers, where taps of other processes write some.
    hop_fingerprints: Option<FingerprintKey>,
    rests: bool,
}

impl Diagnoser {
    /// A diagnoser that understands what taps of other processes tell.
    pub fn with_peers(hop_fingerprints: FingerprintKey) -> Self {
        Diagnoser { hop_fingerprints: Some(hop_fingerprints), ..Diagnoser::default() }
    }

    /// The same with a memory of at most so many bytes.
    pub fn remembering(mut self, bytes: usize) -> Self {
        self.memory.bound(bytes);
        self
    }

    /// The same that runs no rule and says so.
    pub fn resting(mut self, rests: bool) -> Self {
        self.rests = rests;
        self
    }

    /// Replaces what the operator said of the service, which is nothing at first.
    pub fn set_given(&mut self, given: Given) {
        self.memory.set_given(given);
    }

    /// Diagnoses an exchange and remembers what it tells about later ones.
    pub fn diagnose(&mut self, view: &View<'_>) -> Diagnosis {
        let mut diagnosis = diagnose(view, &self.memory);
        // A fault in what is remembered must not stop anything either; what was learned by then is kept.
        if panics::guarded(|| self.memory.learn(view)).is_none() {
            diagnosis.failed.push("memory");
        }
        diagnosis
    }
}

fn run(checks: &Checks, view: &View<'_>, memory: &Memory) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let normal = panics::guarded(|| normal::recognise(view, memory)).unwrap_or_else(|| {
        diagnosis.failed.push("normal");
        None
    });
    let mut checks = checks.about(view).iter();
    let mut running = None;
    // One guard for all of them, put up again behind a rule that broke, costs less than one for each.
    while panics::guarded(|| {
        for (name, check) in checks.by_ref() {
            running = Some(*name);
            let found = check(view, memory);
            if !found.is_empty() {
                diagnosis.findings.extend(found);
            }
        }
    })
    .is_none()
    {
        diagnosis.failed.extend(running.take());
    }
    let findings = std::mem::take(&mut diagnosis.findings);
    let findings = findings.into_iter().filter_map(|finding| by_policy(finding, view, normal));
    let findings = findings.map(|finding| without_echoes(finding, view)).collect();
    diagnosis.findings = order(drop_superseded(findings));
    for finding in &mut diagnosis.findings {
        // Advice that can't be had is missed by nobody.
        panics::guarded(|| products::advise(finding, view));
    }
    diagnosis.is_refusal = view.is_refused();
    diagnosis
}

/// What `act` gives; where it breaks, that is noted with the first of the diagnoses, and nothing else stops.
fn guarded<T>(each: &mut [Diagnosis], what: &'static str, act: impl FnOnce() -> T) -> Option<T> {
    let result = panics::guarded(act);
    if result.is_none()
        && let Some(first) = each.first_mut()
    {
        first.failed.push(what);
    }
    result
}

/// Whatever a rule quotes of an answer, no secret of the request is in it.
fn without_echoes(mut finding: Finding, view: &View<'_>) -> Finding {
    finding.summary = view.without_echoes(finding.summary);
    for evidence in &mut finding.evidence {
        evidence.text = view.without_echoes(std::mem::take(&mut evidence.text));
    }
    finding
}

/// What the outcome and the recognisers leave of a finding.
///
/// Where the answer is a success, a guess about its cause has nothing to explain, and a wrong spelling did no harm.
/// Where an exchange is a normal part of something, nothing about its credentials or its status is a fault.
fn by_policy(mut finding: Finding, view: &View<'_>, normal: Option<Normal>) -> Option<Finding> {
    let about_credentials = matches!(finding.rule.family, Family::Credentials | Family::Token);
    let about_refusal = about_credentials || finding.rule.family == Family::Status;
    let is_guess = finding.certainty < Certainty::Certain && finding.severity > Severity::Info;
    // Where what the success says is the fault, the success is no evidence that all is well.
    if view.is_success() && !finding.is_about_success {
        if finding.certainty < Certainty::Certain {
            return None;
        }
        if about_credentials || finding.rule.family == Family::Challenge {
            finding.severity = Severity::Info;
        }
    }
    if normal.is_some_and(Normal::is_about_authentication) && view.is_refused() {
        if about_refusal && is_guess {
            return None;
        }
        if about_refusal {
            finding.severity = Severity::Info;
        }
    }
    Some(finding)
}

fn drop_superseded(findings: Vec<Finding>) -> Vec<Finding> {
    let is_superseded = |finding: &Finding| {
        findings.iter().any(|other| {
            let outweighs = other.severity >= Severity::Warning || other.severity >= finding.severity;
            outweighs && other.rule.supersedes.contains(&finding.rule.name)
        })
    };
    let stays: Vec<bool> = findings.iter().map(|finding| !is_superseded(finding)).collect();
    findings.into_iter().zip(stays).filter_map(|(finding, stays)| stays.then_some(finding)).collect()
}

/// The worst first; of equally bad ones the surest; of these the most special, and then by the way of a request.
fn order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| {
        use std::cmp::Reverse;
        let rule = finding.rule;
        (Reverse(finding.severity), Reverse(finding.certainty), Reverse(rule.supersedes.len()), rule.family, rule.name)
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::redact::Redactor;
    use crate::exchange::transcript;
    use crate::rules::{Check, Example};

    fn rule(
        name: &'static str,
        family: Family,
        severity: Severity,
        check: fn(&View<'_>, &Memory) -> Vec<Finding>,
    ) -> Rule {
        Rule {
            name,
            family,
            severity,
            title: "",
            why: "",
            fix: "",
            spec: &[],
            supersedes: &[],
            examples: EXAMPLES,
            check: Check::Exchange(check),
        }
    }

    const EXAMPLES: &[Example] = &[];

    /// The names of the findings on a request with that status, with their severities.
    fn found(rules: &[Rule], status: &str) -> (Vec<(&'static str, Severity)>, Vec<&'static str>) {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
        let exchange = transcript::parse(&format!("> GET / HTTP/1.1\n< HTTP/1.1 {status}\n")).unwrap().remove(0);
        let view = View::new(&exchange, &redactor);
        let rules: Vec<&'static Rule> =
            rules.iter().map(|rule| &*Box::leak(Box::new(Rule { examples: EXAMPLES, ..*rule }))).collect();
        let diagnosis = run(&Checks::of(&rules), &view, &Memory::default());
        let findings = diagnosis.findings.iter().map(|finding| (finding.rule.name, finding.severity)).collect();
        (findings, diagnosis.failed)
    }

    /// A finding of the tests' own, since a rule's name is taken from the rule it is made of.
    fn finding(name: &'static str, family: Family, severity: Severity, certainty: Certainty) -> Vec<Finding> {
        let supersedes: &[&str] = if name == "special" { &["general"] } else { &[] };
        let made = rule(name, family, severity, |_, _| Vec::new());
        let rule: &'static Rule = Box::leak(Box::new(Rule { supersedes, ..made }));
        vec![rule.found(certainty, "x")]
    }

    #[test]
    fn a_panic_in_one_rule_leaves_the_others() {
        let broken = rule("broken", Family::Status, Severity::Error, |_, _| panic!("a fault of the tests' own"));
        let fine = rule("fine", Family::Status, Severity::Error, |_, _| {
            finding("fine", Family::Status, Severity::Error, Certainty::Likely)
        });
        let (findings, failed) = found(&[broken, fine], "500 x");
        assert_eq!(findings, [("fine", Severity::Error)]);
        assert_eq!(failed, ["broken"]);
    }

    #[test]
    fn success_silences_guesses_and_lowers_what_is_written_wrong() {
        let guess = rule("guess", Family::Transport, Severity::Error, |_, _| {
            finding("guess", Family::Transport, Severity::Error, Certainty::Likely)
        });
        let syntax = rule("syntax", Family::Credentials, Severity::Error, |_, _| {
            finding("syntax", Family::Credentials, Severity::Error, Certainty::Certain)
        });
        let rules = [guess, syntax];
        assert_eq!(found(&rules, "200 OK").0, [("syntax", Severity::Info)]);
        assert_eq!(found(&rules, "403 x").0, [("syntax", Severity::Error), ("guess", Severity::Error)]);
    }

    #[test]
    fn what_is_about_the_success_itself_stays() {
        let page = rule("page", Family::Status, Severity::Warning, |_, _| {
            let found = finding("page", Family::Status, Severity::Warning, Certainty::Likely);
            found.into_iter().map(Finding::about_success).collect()
        });
        let metadata = rule("metadata", Family::Challenge, Severity::Error, |_, _| {
            let found = finding("metadata", Family::Challenge, Severity::Error, Certainty::Certain);
            found.into_iter().map(Finding::about_success).collect()
        });
        let other = rule("other", Family::Challenge, Severity::Error, |_, _| {
            finding("other", Family::Challenge, Severity::Error, Certainty::Certain)
        });
        let expected = [("metadata", Severity::Error), ("page", Severity::Warning), ("other", Severity::Info)];
        assert_eq!(found(&[page, metadata, other], "200 OK").0, expected);
    }

    #[test]
    fn the_special_explains_the_general_and_the_worst_comes_first() {
        let general = rule("general", Family::Status, Severity::Error, |_, _| {
            finding("general", Family::Status, Severity::Error, Certainty::Certain)
        });
        let special = rule("special", Family::Token, Severity::Error, |_, _| {
            finding("special", Family::Token, Severity::Error, Certainty::Likely)
        });
        let hint = rule("hint", Family::Cors, Severity::Info, |_, _| {
            finding("hint", Family::Cors, Severity::Info, Certainty::Certain)
        });
        let (findings, _) = found(&[hint, general, special], "403 x");
        assert_eq!(findings, [("special", Severity::Error), ("hint", Severity::Info)]);
    }
}
