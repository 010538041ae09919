//! Tests over the whole catalogue: what each rule promises, its examples have to keep.

use std::collections::HashSet;
use std::path::Path;

use super::*;
use crate::auth::FingerprintKey;
use crate::diagnose::Diagnoser;
use crate::exchange::given::Given;
use crate::exchange::redact::Redactor;
use crate::exchange::{Capture, Exchange, transcript};
use crate::paths::{requests_of, taps_of};

#[test]
fn names_are_unique_sorted_and_kebab_case() {
    let mut seen = HashSet::new();
    for rule in RULES {
        let name = rule.name;
        assert!(seen.insert(name), "{name} is there twice");
        assert!(!RETIRED.contains(&name), "{name} is retired");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{name}");
        assert!(!name.starts_with('-') && !name.ends_with('-') && !name.contains("--"), "{name}");
        assert!(find(name).is_some_and(|found| found.name == name));
        for superseded in rule.supersedes {
            assert!(find(superseded).is_some(), "{name} supersedes {superseded}, which no rule is called");
            assert_ne!(*superseded, name);
        }
    }
    let names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
}

#[test]
fn each_rule_has_its_file_and_each_file_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules");
    let mut files = HashSet::new();
    for family in [
        "transport",
        "credentials",
        "token",
        "challenge",
        "status",
        "cors",
        "redirect",
        "connection",
        "signature",
        "session",
        "hop",
    ] {
        let Ok(entries) = std::fs::read_dir(root.join(family)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            if text.contains("\npub static RULE: Rule ") {
                files.insert(format!("{family}/{}", path.file_stem().unwrap().to_string_lossy()));
            }
        }
    }
    let listed: HashSet<_> =
        RULES.iter().map(|rule| format!("{}/{}", rule.family.id(), rule.name.replace('-', "_"))).collect();
    assert_eq!(files, listed);
}

#[test]
fn texts_are_whole() {
    for rule in RULES {
        let name = rule.name;
        assert!(!rule.title.is_empty() && !rule.title.contains('\n') && !rule.title.ends_with('.'), "title of {name}");
        for text in [rule.why, rule.fix] {
            assert!(text.len() > 20 && text.ends_with(['.', '`', '?']), "{name}: {text}");
            assert!(
                text.starts_with(|first: char| first.is_uppercase() || first.is_numeric() || first == '`'),
                "{name}: {text}"
            );
            assert!(!text.contains("  "), "{name}: {text}");
        }
        assert!(!rule.spec.is_empty(), "{name} has no reference");
        for spec in rule.spec {
            assert!(!spec.text().is_empty() && spec.link().starts_with("https://"), "{name}");
        }
        for example in rule.examples {
            assert!(!example.name.is_empty() && !example.name.ends_with('.'), "{name}: {}", example.name);
        }
        let fires = rule.examples.iter().filter(|example| example.fires).count();
        assert!(fires > 0 && fires < rule.examples.len(), "{name} needs an example that fires and a quiet one");
    }
}

#[test]
fn examples_show_what_they_say() {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"examples"), []);
    let mut faults = Vec::new();
    for rule in RULES {
        for example in rule.examples {
            let exchanges = match transcript::parse(example.transcript) {
                Ok(exchanges) => exchanges,
                Err(error) => {
                    faults.push(format!("{}, {:?}: {error}", rule.name, example.name));
                    continue;
                }
            };
            let diagnoses = diagnoses(exchanges, given_in(example.transcript), &redactor);
            for (number, diagnosis) in diagnoses.iter().enumerate() {
                let mut fault = |what: &str| {
                    let found: Vec<_> = diagnosis.findings.iter().map(shown).collect();
                    let at = format!("{}, {:?}, exchange {}", rule.name, example.name, number + 1);
                    faults.push(format!("{at}: {what}; found {found:#?}"));
                };
                if !diagnosis.failed.is_empty() {
                    fault(&format!("{:?} failed", diagnosis.failed));
                }
                let is_last = number + 1 == diagnoses.len();
                let fired = diagnosis.findings.iter().any(|finding| finding.rule.name == rule.name);
                if !example.fires && diagnosis.severity() > Some(Severity::Info) {
                    fault("not quiet");
                }
                if example.fires && is_last && !fired {
                    fault("does not fire");
                } else if example.fires && is_last && example.is_verdict && diagnosis.verdict() != rule.name {
                    fault(&format!("the verdict is {}", diagnosis.verdict()));
                }
                for finding in &diagnosis.findings {
                    for text in wording_faults(finding) {
                        fault(&text);
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// What is found in each request of an example: what one tap saw, or several did.
/// What a transcript says that the operator gave; nothing where that is broken.
fn given_in(text: &str) -> Given {
    transcript::given(text).unwrap_or_default()
}

fn diagnoses(exchanges: Vec<Exchange>, given: Given, redactor: &Redactor) -> Vec<Diagnosis> {
    each_request(exchanges, given, redactor, |_, diagnosis| diagnosis)
}

fn each_request<T>(
    exchanges: Vec<Exchange>,
    given: Given,
    redactor: &Redactor,
    mut tell: impl FnMut(&[View<'_>], Diagnosis) -> T,
) -> Vec<T> {
    let taps = taps_of(&exchanges);
    let mut diagnoser = Diagnoser::default();
    diagnoser.set_given(given);
    let mut told = Vec::new();
    for request in requests_of(exchanges) {
        let views: Vec<View<'_>> = request.seen.iter().map(|seen| View::new(&seen.exchange, redactor)).collect();
        let diagnosis = diagnoser.diagnose_request(&views, &request, &taps).whole;
        told.push(tell(&views, diagnosis));
    }
    told
}

fn shown(finding: &Finding) -> String {
    let evidence: Vec<_> = finding.evidence.iter().map(|evidence| evidence.text.as_str()).collect();
    format!(
        "{} {} {} at {}: {} | {}",
        finding.rule.name,
        finding.severity.id(),
        finding.certainty.id(),
        finding.at,
        finding.summary,
        evidence.join(" | ")
    )
}

/// What is not to be seen in a finding, whatever the rule.
fn wording_faults(finding: &Finding) -> Vec<String> {
    let mut faults = Vec::new();
    let summary = &finding.summary;
    if summary.is_empty() || summary.ends_with('.') || summary.contains('\n') || summary.len() > 160 {
        faults.push(format!("the summary is no short sentence without a full stop: {summary}"));
    }
    if finding.severity > finding.rule.severity {
        faults.push(format!("{} says more than its own severity", finding.rule.name));
    }
    if finding.evidence.is_empty() {
        faults.push(format!("{} has no evidence", finding.rule.name));
    }
    for evidence in &finding.evidence {
        if evidence.text.is_empty() || evidence.text.len() > 240 || evidence.text.contains('\n') {
            faults.push(format!("the evidence is no short line: {}", evidence.text));
        }
    }
    if !finding.fix.ends_with(['.', '`', '?', ';', '}', '"']) {
        faults.push(format!("the fix is no sentence: {}", finding.fix));
    }
    faults
}

/// Nothing that a client sent in secret may stand in a finding.
#[test]
fn no_finding_holds_a_secret() {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"examples"), []);
    for rule in RULES {
        for example in rule.examples {
            let Ok(exchanges) = transcript::parse(example.transcript) else { continue };
            each_request(exchanges, given_in(example.transcript), &redactor, |views, diagnosis| {
                for offered in views.iter().flat_map(View::offered) {
                    let Ok(secret) = std::str::from_utf8(offered.credentials.secret.expose()) else { continue };
                    if secret.len() < 8 || offered.credentials.placeholder.is_some() {
                        continue;
                    }
                    for finding in &diagnosis.findings {
                        let all = format!("{} {}", shown(finding), finding.fix);
                        assert!(!all.contains(secret), "{}, {:?}: {all}", rule.name, example.name);
                    }
                }
            });
        }
    }
}

/// Whatever came before, a rule that is not asked of a success would have had nothing to say.
#[test]
fn rules_about_failures_are_silent_on_every_success() {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"examples"), []);
    let asked: Vec<_> = RULES.iter().filter(|rule| rule.check.is_for_failures()).collect();
    let mut count = 0;
    for example in RULES.iter().flat_map(|rule| rule.examples) {
        let mut memory = Memory::default();
        memory.set_given(given_in(example.transcript));
        let exchanges = || transcript::parse(example.transcript).unwrap();
        for (exchange, mut served) in exchanges().iter().zip(exchanges()) {
            if let Capture::Seen(response) = &mut served.response {
                response.status = 200;
            }
            let view = View::new(&served, &redactor);
            for rule in asked.iter().filter(|_| view.is_success()) {
                let check = rule.check.exchange().unwrap();
                assert!(check(&view, &memory).is_empty(), "{} in {:?}", rule.name, example.name);
                count += 1;
            }
            memory.learn(&View::new(exchange, &redactor));
        }
    }
    assert!(count > 1000 && asked.len() > 30, "{count} of {}", asked.len());
}

/// Every example with one character changed goes through every rule.
#[test]
fn no_rule_panics_on_what_was_damaged() {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"examples"), []);
    for rule in RULES {
        for example in rule.examples {
            let text = example.transcript;
            for (number, (at, char)) in
                text.char_indices().enumerate().filter(|(number, (_, char))| number % 7 == 0 && *char != '\n')
            {
                let other = ["\u{0}", "é", " ", ":", "\"", "=", ",", "/", "%", "."][number % 10];
                let changed = [&text[..at], other, &text[at + char.len_utf8()..]].concat();
                let Ok(exchanges) = transcript::parse(&changed) else { continue };
                for diagnosis in diagnoses(exchanges, given_in(text), &redactor) {
                    assert!(diagnosis.failed.is_empty(), "{:?} failed on {changed}", diagnosis.failed);
                }
            }
        }
    }
}

/// Every prefix of every example goes through every rule, since live traffic breaks off anywhere.
#[test]
fn no_rule_panics_on_what_broke_off() {
    let redactor = Redactor::new(FingerprintKey::from_bytes(b"examples"), []);
    for rule in RULES {
        for example in rule.examples {
            let text = example.transcript;
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)).step_by(7) {
                let Some(Ok(exchanges)) = text.get(..end).map(transcript::parse) else { continue };
                for diagnosis in diagnoses(exchanges, given_in(text), &redactor) {
                    assert!(diagnosis.failed.is_empty(), "{:?} failed on {text}", diagnosis.failed);
                }
            }
        }
    }
}

#[test]
fn near_names_are_found() {
    assert_eq!(near("credentials-absnt").first(), Some(&"credentials-absent"));
    assert!(near("credentials_absent").contains(&"credentials-absent"));
    assert!(near("quite another thing").is_empty());
    assert!(near(&"x".repeat(10_000)).is_empty());
    assert_eq!(distance("kitten", "sitting"), 3);
}
