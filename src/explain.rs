//! `authtap rules` and `authtap explain`: the catalogue as text, out of [`RULES`] alone.

use std::fmt::Write;

use serde::Serialize;

use crate::cli::RulesFormat;
use crate::rules::{Example, Family, RULES, Rule, find, near};

/// The catalogue.
pub fn rules(format: RulesFormat) -> String {
    match format {
        RulesFormat::Text => as_text(),
        RulesFormat::Json => as_json(),
        RulesFormat::Markdown => as_markdown(),
    }
}

fn as_text() -> String {
    let width = RULES.iter().map(|rule| rule.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for rule in RULES {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{:<7}  {:<width$}  {}", rule.severity.id(), rule.name, rule.title);
    }
    text
}

/// A page: a table of all rules, whose lines the README has as well, and a part for each of them.
fn as_markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for rule in RULES {
        let (name, title) = (rule.name, rule.title.replace('|', "\\|"));
        let _ = writeln!(text, "| [`{name}`](#{name}) | {} | {title} |", rule.severity.id());
    }
    let mut families: Vec<Family> = RULES.iter().map(|rule| rule.family).collect();
    families.sort_unstable();
    families.dedup();
    for family in families {
        let _ = write!(text, "\n## {}\n", family.heading());
        for rule in RULES.iter().filter(|rule| rule.family == family) {
            part(&mut text, rule);
        }
    }
    text
}

const INTRODUCTION: &str = "\
# What authtap finds

Each finding has a rule's name, a severity and a certainty. An *error* keeps a request from being accepted, or lets the
wrong one in. A *warning* will do so for some clients, or is probably why. An *info* explains what is seen, or is a fault
without consequences here. The severity in the table is the worst that a rule gives; where an exchange was a success, no
guess about it is told.

What is *certain* is proven by the bytes that passed, *likely* has the history or the server's words on its side, and
*possible* is one of several explanations.

| rule | severity | what it says |
| --- | --- | --- |
";

fn part(text: &mut String, rule: &Rule) {
    let specs: Vec<String> = rule.spec.iter().map(|spec| format!("[{}]({})", spec.text(), spec.link())).collect();
    let _ = write!(
        text,
        "\n### {}\n\n{}. ({})\n\n{}\n\n**Fix.** {}\n\n**Written in** {}.\n",
        rule.name,
        rule.title,
        rule.severity.id(),
        rule.why,
        rule.fix,
        specs.join(", ")
    );
    if !rule.supersedes.is_empty() {
        let names: Vec<String> = rule.supersedes.iter().map(|name| format!("[`{name}`](#{name})")).collect();
        let _ = write!(text, "\n**Says more than** {}.\n", names.join(", "));
    }
    for (label, example) in examples(rule) {
        let _ = write!(text, "\n{label}: {}\n\n```text\n", example.name);
        for line in example.transcript.trim().lines() {
            let _ = writeln!(text, "{}", line.trim_start());
        }
        text.push_str("```\n");
    }
}

/// A bad exchange and a good one.
fn examples(rule: &Rule) -> impl Iterator<Item = (&'static str, &'static Example)> {
    let bad = rule.examples.iter().find(|example| example.fires);
    let good = rule.examples.iter().find(|example| !example.fires);
    [("Bad", bad), ("Good", good)].into_iter().filter_map(|(label, example)| Some((label, example?)))
}

#[derive(Serialize)]
struct RuleRecord {
    rule: &'static str,
    family: &'static str,
    severity: &'static str,
    title: &'static str,
    why: &'static str,
    fix: &'static str,
    spec: Vec<String>,
    supersedes: &'static [&'static str],
}

fn as_json() -> String {
    let records: Vec<RuleRecord> = RULES
        .iter()
        .map(|rule| RuleRecord {
            rule: rule.name,
            family: rule.family.id(),
            severity: rule.severity.id(),
            title: rule.title,
            why: rule.why,
            fix: rule.fix,
            spec: rule.spec.iter().map(|spec| spec.text()).collect(),
            supersedes: rule.supersedes,
        })
        .collect();
    serde_json::to_string_pretty(&records).unwrap_or_default() + "\n"
}

/// What a rule means, why it happens and how to fix it, with a bad and a good exchange.
///
/// # Errors
/// The names that are near, where there is no such rule.
pub fn explain(name: &str) -> Result<String, Vec<&'static str>> {
    find(name).map(explanation).ok_or_else(|| near(name))
}

fn explanation(rule: &Rule) -> String {
    let mut text = format!("{} ({})\n\n{}\n\n", rule.name, rule.severity.id(), rule.title);
    let _ = writeln!(text, "Why   {}\n", hanging(rule.why));
    let _ = writeln!(text, "Fix   {}\n", hanging(rule.fix));
    for spec in rule.spec {
        let _ = writeln!(text, "Spec  {}  {}", spec.text(), spec.link());
    }
    if !rule.supersedes.is_empty() {
        let _ = writeln!(text, "Says more than  {}", rule.supersedes.join(", "));
    }
    for (label, example) in examples(rule) {
        let _ = writeln!(text, "\n{label}: {}\n", example.name);
        for line in example.transcript.trim().lines() {
            let _ = writeln!(text, "    {}", line.trim_start());
        }
    }
    text
}

/// A text in lines of 74 characters, the later ones indented by six.
fn hanging(text: &str) -> String {
    crate::sinks::wrap(text, 74).join("\n      ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_explained_with_a_bad_and_a_good_exchange() {
        for rule in RULES {
            let text = explain(rule.name).unwrap();
            assert!(text.starts_with(rule.name) && text.contains("\nBad: ") && text.contains("\nGood: "), "{text}");
        }
    }

    #[test]
    fn a_near_name_is_suggested() {
        assert!(explain("challenge-mising").unwrap_err().contains(&"challenge-missing"));
    }

    #[test]
    fn every_format_has_every_rule() {
        for format in [RulesFormat::Text, RulesFormat::Json, RulesFormat::Markdown] {
            let text = rules(format);
            assert!(RULES.iter().all(|rule| text.contains(rule.name)), "{text}");
        }
        let parsed: serde_json::Value = serde_json::from_str(&rules(RulesFormat::Json)).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), RULES.len());
    }
}
