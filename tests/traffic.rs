//! Stretches of traffic as text, with what has to be found in each request: healthy ones stay quiet, faulty ones get their
//! cause.
//!
//! Each file under `tests/traffic/` is one case: a transcript (see `src/exchange/transcript.rs`) with two more kinds of
//! lines. `#` begins a remark; the first says what happens, and `# normal: N1 N7` names the normal patterns that it shows,
//! which [`NORMAL`] lists. `=` lines behind a request tell its findings in their order, the verdict first: rule, severity
//! and certainty; `= ok` where nothing is to be found.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use authtap::auth::FingerprintKey;
use authtap::diagnose::Diagnoser;
use authtap::exchange::record::Record;
use authtap::exchange::record::read::Read;
use authtap::exchange::redact::Redactor;
use authtap::exchange::{View, transcript};
use authtap::hops::HopReport;
use authtap::paths::{requests_of, taps_of};
use authtap::rules::{Diagnosis, RULES};
use authtap::sinks::{recorded, recorded_hop};

/// Traffic that looks like a failure and is none. Each pattern has to be shown by several cases.
const NORMAL: [(&str, &str); 22] = [
    ("N1", "nothing was sent, and a sound challenge came back"),
    ("N2", "the refusals within an NTLM handshake"),
    ("N3", "the legs of Negotiate, and its last token on a success"),
    ("N4", "a first or a stale nonce of Digest"),
    ("N5", "a nonce for DPoP is asked for"),
    ("N6", "a token runs out and is refreshed"),
    ("N7", "clients that never send credentials first"),
    ("N8", "a client looks for OAuth metadata"),
    ("N9", "preflights carry no credentials"),
    ("N10", "health probes that are refused on purpose"),
    ("N11", "a private access token is asked for"),
    ("N12", "scanners, icons and source maps"),
    ("N13", "a gateway keeps the credentials that were meant for it"),
    ("N14", "names in lower case over HTTP/2"),
    ("N15", "no credentials behind a redirect to another origin"),
    ("N16", "404 in place of a refusal"),
    ("N17", "refusals of a token endpoint"),
    ("N18", "a logout that answers 401"),
    ("N19", "somebody mistypes a password, and then does not"),
    ("N20", "one request that is seen twice, or sent again"),
    ("N21", "a page load that is sent to the login"),
    ("N22", "a wrong password in a login form"),
];

/// So many cases have to show each pattern.
const CASES_OF_EACH: usize = 3;

/// A finding as a case tells it: rule, severity, certainty.
type Told = Vec<String>;

#[derive(Default)]
struct Case {
    /// Folder and file.
    name: String,
    normal: Vec<String>,
    /// The transcript, with empty lines for what is not of it.
    text: String,
    /// What is expected of each request.
    expected: Vec<Told>,
}

/// What became of a case.
struct Outcome {
    found: Vec<Told>,
    /// The same, read back from its record.
    read: Vec<Told>,
    record: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traffic")
}

fn cases(folder: &str) -> Vec<Case> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    files.iter().map(|file| case(folder, file)).collect()
}

fn case(folder: &str, file: &Path) -> Case {
    let name = format!("{folder}/{}", file.file_name().unwrap().to_string_lossy());
    assert!(name.ends_with(".txt"), "{name} is no case");
    let written = std::fs::read_to_string(file).unwrap();
    assert!(written.starts_with("# "), "{name} does not say what happens");
    let (mut normal, mut text, mut expected): (_, String, Vec<Told>) = (Vec::new(), String::new(), Vec::new());
    let mut is_within = false;
    for line in written.lines() {
        if let Some(patterns) = line.strip_prefix("# normal: ") {
            normal.extend(patterns.split(' ').map(str::to_owned));
        } else if let Some(finding) = line.strip_prefix("= ") {
            if !is_within {
                expected.push(Vec::new());
            }
            if finding != "ok" {
                check_spelling(&name, finding);
                expected.last_mut().unwrap().push(finding.to_owned());
            }
        } else if !line.starts_with('#') {
            text.push_str(line);
        }
        is_within = line.starts_with("= ");
        text.push('\n');
    }
    for pattern in &normal {
        assert!(NORMAL.iter().any(|(known, _)| known == pattern), "{name}: there is no pattern {pattern}");
    }
    Case { name, normal, text, expected }
}

fn check_spelling(case: &str, finding: &str) {
    let words: Vec<&str> = finding.split(' ').collect();
    let [rule, severity, certainty] = words.as_slice() else { panic!("{case}: `{finding}` is no finding") };
    assert!(RULES.iter().any(|known| known.name == *rule), "{case}: there is no rule {rule}");
    assert!(["error", "warning", "info"].contains(severity), "{case}: {finding}");
    assert!(["certain", "likely", "possible"].contains(certainty), "{case}: {finding}");
}

fn told(diagnosis: &Diagnosis) -> Told {
    let findings = diagnosis.findings.iter();
    findings.map(|found| format!("{} {} {}", found.rule.name, found.severity.id(), found.certainty.id())).collect()
}

/// Diagnoses a case as the running program does, one request after the other, and reads the record of it.
fn run(case: &Case) -> Outcome {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"traffic"), []);
    let exchanges = transcript::parse(&case.text).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let taps = taps_of(&exchanges);
    let mut diagnoser = Diagnoser::default();
    let mut outcome = Outcome { found: Vec::new(), read: Vec::new(), record: String::new() };
    for request in requests_of(exchanges) {
        let views: Vec<View<'_>> = request.seen.iter().map(|seen| View::new(&seen.exchange, &redactor)).collect();
        let diagnosis = diagnoser.diagnose_request(&views, &request, &taps);
        assert!(diagnosis.whole.failed.is_empty(), "{}: {:?} failed", case.name, diagnosis.whole.failed);
        outcome.found.push(told(&diagnosis.whole));
        for (at, view) in views.iter().enumerate() {
            // What several taps saw is told with the outermost exchange.
            let own = if at == 0 { &diagnosis.whole } else { &diagnosis.each[at] };
            let hops: Vec<&HopReport> = diagnosis.hops.iter().filter(|hop| hop.touches(at)).collect();
            let hops = hops.into_iter().map(recorded_hop).collect();
            let line = Record::new(view, recorded(own.verdict(), &own.findings), hops).to_line();
            let line = String::from_utf8(line).expect("a record is UTF-8");
            let read = Read::of_line(line.trim()).unwrap_or_else(|why| panic!("{}: {why}: {line}", case.name));
            if at == 0 {
                let findings = read.diagnosis.findings.iter();
                outcome.read.push(
                    findings.map(|found| format!("{} {} {}", found.rule, found.severity, found.certainty)).collect(),
                );
            }
            outcome.record.push_str(&line);
        }
    }
    outcome
}

/// Expected against found, one request after the other.
fn difference(case: &Case, found: &[Told]) -> Option<String> {
    if case.expected == found {
        return None;
    }
    let mut text = format!("tests/traffic/{}:\n", case.name);
    let shown = |told: Option<&Told>| match told {
        None => "no such request".to_owned(),
        Some(told) if told.is_empty() => "ok".to_owned(),
        Some(told) => told.join(", "),
    };
    for at in 0..case.expected.len().max(found.len()) {
        let (expected, found) = (shown(case.expected.get(at)), shown(found.get(at)));
        if expected == found {
            writeln!(text, "  request {}: {found}", at + 1).unwrap();
        } else {
            writeln!(text, "  request {}\n    expected: {expected}\n    found:    {found}", at + 1).unwrap();
        }
    }
    Some(text)
}

/// Runs a folder's cases and gives what was found, with the records.
fn assert_as_expected(folder: &str) -> Vec<(Case, Outcome)> {
    let mut differences = Vec::new();
    let mut ran = Vec::new();
    for case in cases(folder) {
        let outcome = run(&case);
        differences.extend(difference(&case, &outcome.found));
        if outcome.read != outcome.found {
            differences
                .push(format!("tests/traffic/{}: the record says something else: {:?}", case.name, outcome.read));
        }
        ran.push((case, outcome));
    }
    assert!(differences.is_empty(), "{} differences\n\n{}", differences.len(), differences.join("\n"));
    ran
}

/// What `authtap check` says of a record: its exit code and its text.
fn check(record: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("record.jsonl");
    std::fs::write(&file, record).unwrap();
    let mut command: Command = common::tap::command();
    let output = command.args(["check", "--fail-on", "warning"]).arg(&file).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn is_alarm(finding: &str) -> bool {
    !finding.contains(" info ")
}

#[test]
fn healthy_traffic_stays_quiet() {
    let ran = assert_as_expected("healthy");

    for (case, _) in &ran {
        let alarms: Vec<_> = case.expected.iter().flatten().filter(|finding| is_alarm(finding)).collect();
        assert!(alarms.is_empty(), "{} is healthy and expects {alarms:?}", case.name);
    }
    // All at once: what one case leaves behind is nothing to another.
    let record: String = ran.iter().map(|(_, outcome)| outcome.record.as_str()).collect();
    let (code, text) = check(&record);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn faulty_traffic_gets_its_cause() {
    for (case, outcome) in assert_as_expected("faulty") {
        let alarms: Vec<_> = case.expected.iter().filter(|told| told.iter().any(|found| is_alarm(found))).collect();
        assert!(!alarms.is_empty(), "{} is faulty and expects nothing but information", case.name);
        let (code, text) = check(&outcome.record);
        assert_eq!(code, Some(3), "{}: {text}", case.name);
        for told in alarms {
            let verdict = told[0].split(' ').next().unwrap();
            assert!(text.contains(verdict), "{}: {verdict} is not told of:\n{text}", case.name);
        }
    }
}

#[test]
fn every_normal_pattern_is_shown() {
    let all: Vec<Case> = [cases("healthy"), cases("faulty")].into_iter().flatten().collect();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for pattern in all.iter().flat_map(|case| &case.normal) {
        *count.entry(pattern).or_default() += 1;
    }
    let rare: Vec<_> = NORMAL.iter().filter(|(id, _)| count.get(id).is_none_or(|n| *n < CASES_OF_EACH)).collect();
    assert!(rare.is_empty(), "shown by fewer than {CASES_OF_EACH} cases: {rare:?}");
    assert!(all.len() >= 120 && cases("healthy").len() >= 60, "cases were lost: {} are there", all.len());
}

/// A case that only repeats what a rule shows anyway proves nothing.
#[test]
fn no_case_is_a_rules_own_example() {
    let bare =
        |text: &str| text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let examples: Vec<String> =
        RULES.iter().flat_map(|rule| rule.examples).map(|example| bare(example.transcript)).collect();
    for case in [cases("healthy"), cases("faulty")].into_iter().flatten() {
        assert!(!examples.contains(&bare(&case.text)), "{} is an example of a rule", case.name);
    }
}

/// Live traffic lacks things in every place, so each case goes through all rules with each line missing once.
#[test]
fn a_line_that_is_missing_breaks_no_rule() {
    let mut count = 0;
    for case in [cases("healthy"), cases("faulty")].into_iter().flatten() {
        let lines: Vec<&str> = case.text.lines().filter(|line| !line.is_empty()).collect();
        for missing in 0..lines.len() {
            let text = [&lines[..missing], &lines[missing + 1..]].concat().join("\n");
            if transcript::parse(&text).is_err() {
                continue;
            }
            // It fails where a rule does.
            run(&Case { name: format!("{} without `{}`", case.name, lines[missing]), text, ..Case::default() });
            count += 1;
        }
    }
    assert!(count > 1000, "{count}");
}
