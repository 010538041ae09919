//! `authtap rules` and `authtap explain`: the catalogue as text, out of [`RULES`] alone.

use std::fmt::Write;

use serde::Serialize;

use crate::cli::RulesFormat;
use crate::rules::{RULES, Rule, find, near};

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

/// The table of the README.
fn as_markdown() -> String {
    let mut text = "| rule | severity | what it says | written in |\n| --- | --- | --- | --- |\n".to_owned();
    for rule in RULES {
        let specs = rule.spec.iter().map(|spec| format!("[{}]({})", spec.text(), spec.link()));
        let specs = specs.collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {specs} |",
            rule.name,
            rule.severity.id(),
            rule.title.replace('|', "\\|")
        );
    }
    text
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
    let bad = rule.examples.iter().find(|example| example.fires);
    let good = rule.examples.iter().find(|example| !example.fires);
    for (label, example) in [("Bad", bad), ("Good", good)] {
        if let Some(example) = example {
            let _ = writeln!(text, "\n{label}: {}\n", example.name);
            for line in example.transcript.trim().lines() {
                let _ = writeln!(text, "    {}", line.trim_start());
            }
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
