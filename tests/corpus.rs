//! Every example of every rule goes through everything that tells of exchanges: no secret of it comes out, and what comes
//! out has the form that it should have.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use authtap::auth::{Detail, FingerprintKey, Secret, parse_challenges};
use authtap::diagnose::{Diagnoser, diagnose};
use authtap::exchange::names::is_key_field;
use authtap::exchange::record::Record;
use authtap::exchange::redact::Redactor;
use authtap::exchange::{Exchange, View, transcript};
use authtap::hops::HopReport;
use authtap::memory::Memory;
use authtap::paths::{requests_of, taps_of};
use authtap::rules::{Diagnosis, RULES, Severity};
use authtap::sinks::console::Console;
use authtap::sinks::shown::Shown;
use authtap::sinks::summary::Summary;
use authtap::sinks::{Lost, recorded, recorded_hop};
use authtap::wire::RawHead;
use serde_json::Value;

/// What is shorter occurs in words by chance.
const SHORTEST: usize = 8;

fn redactor() -> Redactor {
    Redactor::new(FingerprintKey::from_bytes(b"the corpus"), [])
}

/// One exchange of one example, and what was said of it.
struct Told {
    /// The example's rule and name.
    name: String,
    diagnosis: Diagnosis,
    record: String,
    console: String,
    summary: String,
    secrets: BTreeSet<Vec<u8>>,
    /// The exchange is the last of its example, and its rule is the verdict there.
    expected: Option<&'static str>,
    method: Vec<u8>,
    status: u16,
}

/// Calls `check` for every exchange of the corpus, and gives their number.
fn each(mut check: impl FnMut(&Told)) -> usize {
    let mut count = 0;
    let redactor = redactor();
    for rule in RULES {
        for example in rule.examples {
            let exchanges = transcript::parse(example.transcript).unwrap();
            let taps = taps_of(&exchanges);
            let mut diagnoser = Diagnoser::default();
            diagnoser.set_given(transcript::given(example.transcript).unwrap());
            let mut secrets = BTreeSet::new();
            let requests = requests_of(exchanges);
            for (number, request) in requests.iter().enumerate() {
                let views: Vec<View<'_>> =
                    request.seen.iter().map(|seen| View::new(&seen.exchange, &redactor)).collect();
                let diagnosis = diagnoser.diagnose_request(&views, request, &taps);
                for view in &views {
                    secrets.append(&mut secrets_of(view.exchange(), view));
                }
                for (at, view) in views.iter().enumerate() {
                    // What a person is told of a request is told with its outermost exchange.
                    let own = if at == 0 { &diagnosis.whole } else { &diagnosis.each[at] };
                    let hops: Vec<&HopReport> = diagnosis.hops.iter().filter(|hop| hop.touches(at)).collect();
                    let mut told = tell(view, own, &hops);
                    told.name = format!("{}, {:?}, request {}, tap {at}", rule.name, example.name, number + 1);
                    told.secrets = secrets.clone();
                    let is_last = at == 0 && number + 1 == requests.len();
                    told.expected = (is_last && example.is_verdict).then_some(rule.name);
                    check(&told);
                    count += 1;
                }
            }
        }
    }
    count
}

fn tell(view: &View<'_>, found: &Diagnosis, hops: &[&HopReport]) -> Told {
    let hops = hops.iter().map(|hop| recorded_hop(hop)).collect();
    let record = Record::new(view, recorded(found.verdict(), &found.findings), hops).to_line();
    // A console of its own, so that nothing is folded.
    let mut console = Console::new(false, true);
    let mut text = console.exchange(&Shown::of(view), 1234, &found.findings);
    text.push_str(&console.unfold(true));
    let mut summary = Summary::default();
    summary.add(&Shown::of(view), &found.findings);
    Told {
        name: String::new(),
        diagnosis: found.clone(),
        record: String::from_utf8(record).expect("a record is UTF-8"),
        console: text,
        summary: summary.text(
            Duration::from_secs(61),
            &Lost { exchanges: 3, distrusted_hop_headers: 2, faults: 1 },
            4,
            5,
        ),
        secrets: BTreeSet::new(),
        expected: None,
        method: view.method().to_vec(),
        status: exchange_status(view.exchange()),
    }
}

fn exchange_status(exchange: &Exchange) -> u16 {
    exchange.response.seen().map_or(0, |response| response.status)
}

/// Everything in an exchange that opens a door.
fn secrets_of(exchange: &Exchange, view: &View<'_>) -> BTreeSet<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut add = |secret: &Secret| found.push(secret.expose().to_vec());
    for offered in view.offered().iter().filter(|offered| offered.credentials.placeholder.is_none()) {
        let credentials = &offered.credentials;
        add(&credentials.secret);
        credentials.joined.iter().for_each(|joined| add(&joined.secret));
        if let Detail::Basic(basic) = &credentials.detail {
            add(&basic.password);
        }
    }
    for whole in found.clone() {
        // The signature of a token, and the values of a list of parameters.
        let text = String::from_utf8_lossy(&whole).into_owned();
        found.extend(text.rsplit_once('.').map(|(_, signature)| signature.as_bytes().to_vec()));
        for name in ["response", "cnonce", "nonce", "Signature", "signature", "mac", "token"] {
            let value = text.split_once(&format!("{name}=")).map(|(_, rest)| rest.trim_start_matches('"'));
            found.extend(
                value.and_then(|rest| rest.split(['"', ',', ' ']).next()).map(|value| value.as_bytes().to_vec()),
            );
        }
    }
    let response = exchange.response.seen();
    let heads = [Some(&exchange.request.head), exchange.request.trailers.as_ref()];
    for head in heads.into_iter().chain([response.map(|response| &response.head)]).flatten() {
        found.extend(cookies(head));
        for value in head.values("www-authenticate").chain(head.values("proxy-authenticate")) {
            for challenge in parse_challenges(value).challenges {
                let hidden = challenge.params.iter().filter(|param| !param.is_safe_to_show());
                found.extend(hidden.map(|param| param.value.clone().into_bytes()));
                found.extend(challenge.token68.map(String::into_bytes));
            }
        }
    }
    // A challenge may name the field that a key is looked for in.
    found.into_iter().filter(|secret| secret.len() >= SHORTEST && !is_key_field(secret)).collect()
}

fn cookies(head: &RawHead) -> Vec<Vec<u8>> {
    let values = head.values("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    // Behind the first semicolon of Set-Cookie are attributes.
    let set = head.values("set-cookie").filter_map(|value| value.split(|byte| *byte == b';').next());
    let value = |pair: &[u8]| pair.iter().position(|byte| *byte == b'=').map(|at| pair[at + 1..].to_vec());
    values.chain(set).filter_map(value).collect()
}

#[test]
fn no_output_has_a_secret_in_it() {
    let mut secrets = 0;
    each(|told| {
        secrets += told.secrets.len();
        for secret in &told.secrets {
            let secret = String::from_utf8_lossy(secret);
            for (output, text) in [("record", &told.record), ("console", &told.console), ("summary", &told.summary)] {
                assert!(!text.contains(&*secret), "{}: the {output} has {secret:?}:\n{text}", told.name);
                // As JSON writes what has quotes in it.
                let escaped = serde_json::to_string(&secret).unwrap();
                assert!(!text.contains(escaped.trim_matches('"')), "{}: the {output} has {secret:?}", told.name);
            }
        }
    });
    assert!(secrets > 100, "the corpus has only {secrets} secrets");
}

#[test]
fn every_record_is_a_line_of_json_with_its_diagnosis() {
    let count = each(|told| {
        let name = &told.name;
        assert!(told.record.ends_with('\n') && told.record.matches('\n').count() == 1, "{name}: {:?}", told.record);
        let record: Value = serde_json::from_str(&told.record).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(record["schema"], "authtap/1", "{name}");
        let verdict = &record["diagnosis"]["verdict"];
        assert_eq!(verdict, told.diagnosis.verdict(), "{name}");
        if let Some(rule) = told.expected {
            let first = &told.diagnosis.findings[0];
            assert_eq!(first.rule.name, rule, "{name}");
            // What is merely worth knowing is a verdict only where it explains a refusal.
            if first.severity > Severity::Info || told.diagnosis.is_refusal {
                assert_eq!(verdict, rule, "{name}");
            }
        }
        let findings = record["diagnosis"]["findings"].as_array().unwrap();
        assert_eq!(findings.len(), told.diagnosis.findings.len(), "{name}");
        for (written, found) in findings.iter().zip(&told.diagnosis.findings) {
            assert_eq!(written["rule"], found.rule.name, "{name}");
            assert_eq!(written["severity"], found.severity.id(), "{name}");
            assert_eq!(written["certainty"], found.certainty.id(), "{name}");
            assert_eq!(written["summary"], found.summary, "{name}");
            assert_eq!(written["evidence"].as_array().unwrap().len(), found.evidence.len(), "{name}");
            let fix = written["fix"].as_str().unwrap();
            assert!(!fix.is_empty() && !found.evidence.is_empty(), "{name}: {written:#}");
            assert!(!found.summary.ends_with('.'), "{name}: {}", found.summary);
            let known =
                ["client", "backend", "tap", "unknown", "hop:edge>app"].contains(&written["at"].as_str().unwrap());
            assert!(known, "{name}: {}", written["at"]);
        }
        match told.status {
            0 => assert!(record["response"].is_null(), "{name}"),
            status => assert_eq!(record["response"]["status"], status, "{name}"),
        }
        if told.method.is_ascii() && told.method.len() < 20 {
            assert_eq!(record["request"]["method"], *String::from_utf8_lossy(&told.method), "{name}");
        }
        assert!(told.diagnosis.failed.is_empty(), "{name}: {:?} broke", told.diagnosis.failed);
    });
    assert!(count > 200, "only {count} exchanges");
}

#[test]
fn the_log_fits_a_screen() {
    each(|told| {
        let name = &told.name;
        let lines: Vec<&str> = told.console.lines().collect();
        assert!(lines.len() <= 14, "{name}: {} lines\n{}", lines.len(), told.console);
        for line in lines.iter().copied().chain(told.summary.lines()) {
            assert!(line.chars().count() <= 80, "{name}: {} columns:\n{line}", line.chars().count());
            assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
            assert_eq!(line, line.trim_end(), "{name}");
        }
        let alarm = told.diagnosis.findings.first().filter(|finding| finding.severity > Severity::Info);
        match alarm {
            Some(finding) => {
                assert!(lines[0].ends_with(finding.rule.name), "{name}:\n{}", told.console);
                assert!(told.console.contains("\n  Fix   "), "{name}:\n{}", told.console);
                assert!(told.console.contains("\n  Sure  "), "{name}:\n{}", told.console);
                assert!(told.summary.contains(finding.rule.name), "{name}:\n{}", told.summary);
            }
            None => {
                assert!(lines.len() <= 1, "{name}: a healthy exchange is a line:\n{}", told.console);
                assert!(told.summary.contains("1 fine"), "{name}:\n{}", told.summary);
            }
        }
    });
}

#[test]
fn equal_secrets_have_equal_fingerprints_under_one_key_and_no_other() {
    let (one, same) = (redactor(), redactor());
    let other = Redactor::new(FingerprintKey::from_bytes(b"another key"), []);
    let line = |example: &str, redactor: &Redactor| {
        let exchanges = transcript::parse(example).unwrap();
        let view = View::new(&exchanges[0], redactor);
        String::from_utf8(Record::new(&view, recorded("ok", &[]), Vec::new()).to_line()).unwrap()
    };
    let example = "> GET / HTTP/1.1\n> Authorization: Bearer abcdefghijklmnop\n< HTTP/1.1 200 OK\n";
    assert_eq!(line(example, &one), line(example, &same));
    assert_ne!(line(example, &one), line(example, &other));
}

#[test]
fn what_comes_again_is_recorded_as_what_is_new() {
    let line = |exchange: &Exchange, redactor: &Redactor| {
        let view = View::new(exchange, redactor);
        let found = diagnose(&view, &Memory::default());
        String::from_utf8(Record::new(&view, recorded(found.verdict(), &found.findings), Vec::new()).to_line()).unwrap()
    };
    let shared = redactor();
    let mut count = 0;
    for example in RULES.iter().flat_map(|rule| rule.examples).map(|example| example.transcript) {
        for exchange in transcript::parse(example).unwrap() {
            let new = line(&exchange, &redactor());
            // It is noted, its request is kept, its answer is noted, and kept.
            for time in 1..=5 {
                assert_eq!(line(&exchange, &shared), new, "time {time} of\n{example}");
            }
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}
