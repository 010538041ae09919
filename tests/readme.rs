//! What the README shows is what the program prints.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;

use common::{Origin, Tap, canaries, curl, head};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// The text with what differs from run to run made the same: times, fingerprints and so columns of white space.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let words = line.split_whitespace().map(|word| match word.split_once('#') {
            Some(("token", _)) => "token#….".to_owned(),
            _ if word.ends_with("ms") => "…ms".to_owned(),
            _ => word.to_owned(),
        });
        let indent = &line[..line.len() - line.trim_start().len()];
        steady.push_str(indent);
        steady.push_str(&words.collect::<Vec<_>>().join(" "));
        steady.push('\n');
    }
    steady
}

#[test]
fn the_log_of_the_readme_is_what_a_tap_prints() {
    let body = "{\"message\":\"no credentials provided\"}";
    let fields = ["WWW-Authenticate: Bearer realm=\"orders\"", "Content-Type: application/json"];
    let origin = Origin::reply(head::answer("401 Unauthorized", &fields, body));
    let tap = Tap::start(&origin.url());
    let authorization = format!("Authorization: Bearer {}", canaries::BEARER_TOKEN);
    curl(&["-H", &authorization, &tap.url("/v1/orders")]).assert_status(401);
    tap.records(1);
    let printed = tap.stop().stdout;
    let block: Vec<&str> = printed.lines().take_while(|line| !line.contains("1 request  ")).collect();
    let block = block.join("\n").trim_end().to_owned() + "\n";

    let readme = fs::read_to_string(README).unwrap();
    let (before, rest) = readme.split_once("<!-- log -->\n```text\n").unwrap();
    let (shown, after) = rest.split_once("```\n<!-- /log -->").unwrap();
    if std::env::var_os("AUTHTAP_WRITE").is_some() {
        let text = format!("{before}<!-- log -->\n```text\n{block}```\n<!-- /log -->{after}");
        fs::write(README, text).unwrap();
        return;
    }
    assert_eq!(steady(shown), steady(&block), "AUTHTAP_WRITE=1 cargo test --test readme brings the README up to date");
}

#[test]
fn the_demo_plays_at_least_ten_failures_and_two_healthy_calls() {
    let output = common::tap::command().arg("demo").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{complaints}\n{text}");
    assert!(text.contains("16 failures explained, 3 healthy calls left alone"), "{text}");
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}
