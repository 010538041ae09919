//! `authtap check`: archives of browsers and proxies, and recordings of authtap's own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::canaries::{BEARER_TOKEN, SESSION, assert_no_secret};
use common::path::{bearer, record_path};
use common::{Origin, Tap, curl};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn check(args: &[&str]) -> Said {
    let output = common::tap::command().arg("check").args(args).output().unwrap();
    let said = Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert_no_secret(&said.stdout);
    assert_no_secret(&said.stderr);
    if !args.contains(&"json") {
        assert!(said.stdout.lines().all(|line| line.chars().count() <= 80), "{}", said.stdout);
    }
    said
}

/// A folder with one file.
fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    (dir, path)
}

/// An entry of an archive, with what every dialect has.
fn entry(time: &str, url: &str, request: &[(&str, &str)], status: u16, response: &[(&str, &str)], text: &str) -> Value {
    let headers = |fields: &[(&str, &str)]| -> Vec<Value> {
        fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    json!({
        "startedDateTime": time, "time": 12.5,
        "request": { "method": "GET", "url": url, "httpVersion": "HTTP/1.1", "headers": headers(request),
                     "queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0 },
        "response": { "status": status, "statusText": "", "httpVersion": "HTTP/1.1", "headers": headers(response),
                      "cookies": [], "content": { "size": text.len(), "mimeType": "text/plain", "text": text },
                      "redirectURL": "", "headersSize": -1, "bodySize": text.len() },
        "cache": {}, "timings": { "send": 0, "wait": 12, "receive": 0 }
    })
}

fn archive(creator: &str, entries: &[Value]) -> String {
    json!({ "log": { "version": "1.2", "creator": { "name": creator, "version": "128.0" }, "pages": [], "entries": entries } })
        .to_string()
}

const ORDERS: &str = "https://api.example/v1/orders";

fn refused_token() -> Value {
    let token = format!("Bearer {BEARER_TOKEN} ");
    entry(
        "2026-11-24T12:00:00.000Z",
        ORDERS,
        &[
            ("Host", "api.example"),
            ("Authorization", &token.replace("Bearer", "Bearer Bearer")),
            ("Cookie", &format!("s={SESSION}")),
        ],
        401,
        &[
            ("WWW-Authenticate", "Bearer realm=\"orders\", error=\"invalid_token\""),
            ("Date", "Tue, 24 Nov 2026 12:00:00 GMT"),
        ],
        "{\"error\":\"invalid_token\"}",
    )
}

fn bare_refusal() -> Value {
    entry(
        "2026-11-24T12:00:01.000Z",
        ORDERS,
        &[("Host", "api.example")],
        401,
        &[("Date", "Tue, 24 Nov 2026 12:00:01 GMT")],
        "",
    )
}

#[test]
fn an_archive_is_diagnosed_like_live_traffic() {
    let fine = entry("2026-11-24T11:59:00.000Z", ORDERS, &[("Host", "api.example")], 200, &[], "fine");
    let (_dir, path) = file("bug.har", &archive("Firefox", &[fine, refused_token(), bare_refusal()]));
    let path = path.to_str().unwrap();

    let said = check(&[path, "--fail-on", "error"]);

    assert_eq!(said.code, Some(3), "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.starts_with("bug.har   3 exchanges   written by Firefox 128.0\n"), "{}", said.stdout);
    assert!(said.stdout.contains("#2  scheme-repeated"), "{}", said.stdout);
    assert!(said.stdout.contains("#3  challenge-missing"), "{}", said.stdout);
    assert!(said.stdout.contains("3 requests   1 fine   2 with findings"), "{}", said.stdout);
    assert!(!said.stdout.contains("sanitised"), "{}", said.stdout);
    assert_eq!(check(&[path]).code, Some(0));
}

#[test]
fn records_come_out_with_their_diagnosis() {
    let (_dir, path) = file("bug.har", &archive("Firefox", &[refused_token(), bare_refusal()]));

    let said = check(&[path.to_str().unwrap(), "--format", "json"]);

    let records: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verdicts: Vec<&str> = records.iter().map(|record| record["diagnosis"]["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["scheme-repeated", "challenge-missing"]);
    assert_eq!(records[0]["schema"], "authtap/1");
    assert_eq!(records[0]["time"], "2026-11-24T12:00:00.000Z");

    // What was printed can be checked again, and says the same.
    let (_dir, path) = file("again.jsonl", &said.stdout);
    let again = check(&[path.to_str().unwrap(), "--format", "json"]);
    assert_eq!(again.stdout, said.stdout);
}

#[test]
fn an_absent_header_in_a_sanitised_archive_proves_nothing() {
    let asked = entry(
        "2026-11-24T12:00:00.000Z",
        ORDERS,
        &[("Host", "api.example")],
        403,
        &[("Content-Type", "application/json")],
        "{\"message\":\"Authentication credentials were not provided.\"}",
    );
    let (_dir, whole) = file("whole.har", &archive("Firefox", std::slice::from_ref(&asked)));
    let (_dir2, sanitised) = file("sanitised.har", &archive("WebInspector", &[asked, bare_refusal()]));

    let whole = check(&[whole.to_str().unwrap(), "--fail-on", "warning"]);
    assert!(whole.code == Some(3) && whole.stdout.contains("forbidden-without-credentials"), "{}", whole.stdout);
    let said = check(&[sanitised.to_str().unwrap(), "--fail-on", "warning"]);

    assert!(said.stdout.contains("! This archive was sanitised: the browser leaves Authorization"), "{}", said.stdout);
    assert!(!said.stdout.contains("forbidden-without-credentials"), "{}", said.stdout);
    // That there is no challenge is there to be seen all the same.
    assert!(said.stdout.contains("challenge-missing"), "{}", said.stdout);
}

#[test]
fn a_broken_or_foreign_file_is_told_with_its_place_and_the_rest_is_read() {
    let mut entries = vec![refused_token(), bare_refusal()];
    entries.insert(1, json!({ "startedDateTime": "2026-11-24T12:00:00Z" }));
    let whole = archive("Firefox", &entries);
    let (_dir, path) = file("broken.har", &whole);
    let said = check(&[path.to_str().unwrap()]);
    assert_eq!(said.code, Some(4), "{}", said.stderr);
    assert!(said.stderr.contains("broken.har: entry 2: it lacks a request or a response"), "{}", said.stderr);
    assert!(said.stdout.contains("2 requests") && said.stdout.contains("scheme-repeated"), "{}", said.stdout);

    let (_dir, path) = file("cut.har", &whole[..whole.len() - 200]);
    let said = check(&[path.to_str().unwrap()]);
    assert_eq!(said.code, Some(4), "{}", said.stderr);
    assert!(said.stderr.contains("cut.har: line 1, column "), "{}", said.stderr);
    assert!(said.stdout.contains("scheme-repeated"), "{}", said.stdout);

    let (_dir, path) = file("photo.png", "\u{89}PNG");
    let said = check(&[path.to_str().unwrap()]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert!(
        said.stderr.contains("is neither an HTTP Archive nor authtap's record: line 1: it is not JSON"),
        "{}",
        said.stderr
    );

    let said = check(&["/no/such/file.har"]);
    assert!(said.code == Some(1) && said.stderr.contains("/no/such/file.har"), "{}", said.stderr);
}

/// What a path of two taps recorded.
fn recorded_path() -> (TempDir, PathBuf, Vec<Value>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("path.jsonl");
    record_path(&["--record", path.to_str().unwrap()]);
    let records = fs::read_to_string(&path).unwrap();
    let records = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (dir, path, records)
}

#[test]
fn a_recording_tells_what_the_live_run_told() {
    let (_dir, path, records) = recorded_path();
    let path = path.to_str().unwrap();

    let said = check(&[path, "--fail-on", "error"]);

    assert_eq!(said.code, Some(3), "{}", said.stderr);
    assert!(said.stdout.starts_with("path.jsonl   6 exchanges   recorded by authtap\n"), "{}", said.stdout);
    // What both taps saw of a request is told once, and the second request of the same cause in one line.
    assert_eq!(
        said.stdout.matches("The client sent Authorization, and it was removed between edge and app.").count(),
        1
    );
    assert!(said.stdout.contains("3 requests   1 fine   2 with findings"), "{}", said.stdout);
    assert!(said.stdout.contains("    edge in   Authorization: Bearer token#"), "{}", said.stdout);

    let again = check(&[path, "--format", "json"]);
    let told: Vec<Value> = again.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told, records);
}

#[test]
fn lines_that_are_no_records_are_told_and_the_others_are_checked() {
    let (_dir, path, _) = recorded_path();
    let mut text = fs::read_to_string(&path).unwrap();
    text.insert_str(0, "half a li\n");
    let (_dir2, path) = file("mixed.jsonl", &text);

    let said = check(&[path.to_str().unwrap()]);

    assert_eq!(said.code, Some(4));
    assert!(said.stderr.contains("mixed.jsonl: line 1: it is not JSON"), "{}", said.stderr);
    assert!(said.stdout.contains("credentials-stripped"), "{}", said.stdout);
}

#[test]
fn an_archive_made_of_a_live_exchange_has_the_verdict_of_the_tap() {
    let origin = Origin::reply(common::head::answer(
        "401 Unauthorized",
        &["WWW-Authenticate: Bearer realm=\"orders\"", "Content-Type: application/json"],
        "{\"message\":\"no credentials provided\"}",
    ));
    let tap = Tap::start(&origin.url());
    curl(&["-H", &bearer(), &tap.url("/v1/orders")]).assert_status(401);
    let live = tap.record();
    let sent = [("Host", "127.0.0.1"), ("Authorization", &format!("Bearer {BEARER_TOKEN}"))];
    let answered = [("WWW-Authenticate", "Bearer realm=\"orders\""), ("Content-Type", "application/json")];
    let url = "http://127.0.0.1/v1/orders";
    let har = entry("2026-11-24T12:00:00Z", url, &sent, 401, &answered, "{\"message\":\"no credentials provided\"}");
    let (_dir, path) = file("live.har", &archive("curl", &[har]));

    let said = check(&[path.to_str().unwrap(), "--format", "json"]);

    let told: Value = serde_json::from_str(&said.stdout).unwrap();
    let findings = |record: &Value| -> Vec<(String, String, String)> {
        let findings = record["diagnosis"]["findings"].as_array().unwrap().iter();
        let word = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        findings.map(|found| (word(found, "rule"), word(found, "severity"), word(found, "certainty"))).collect()
    };
    assert_eq!(findings(&told), findings(&live));
    assert_eq!(told["diagnosis"]["verdict"], "credentials-reported-missing");
}

#[test]
fn a_filter_chooses_what_is_looked_at() {
    let fine = entry("2026-11-24T11:59:00.000Z", ORDERS, &[("Host", "api.example")], 200, &[], "fine");
    let (_dir, path) = file("bug.har", &archive("Firefox", &[fine, refused_token(), bare_refusal()]));
    let path = path.to_str().unwrap();
    let code = |filter: &str| check(&[path, "--fail-on", "error", "--filter", filter]);
    let said = code("status:4xx header:authorization");
    assert!(said.code == Some(3) && said.stdout.contains("1 request ") && said.stdout.contains("scheme-repeated"));
    assert!(!said.stdout.contains("challenge-missing"), "{}", said.stdout);
    let said = code("-status:4xx");
    assert!(said.code == Some(0) && said.stdout.contains("1 request   1 fine"), "{}", said.stdout);
    let json = check(&[path, "--format", "json", "--filter", "rule:challenge-missing"]);
    assert_eq!(json.stdout.lines().count(), 1);
    let all = check(&[path, "--format", "json"]).stdout;
    let (_dir, records) = file("bug.jsonl", &all);
    let again = check(&[records.to_str().unwrap(), "--format", "json", "--filter", "rule:challenge-missing path:/v1"]);
    assert_eq!(again.stdout.trim_end(), all.lines().last().unwrap());
    let wrong = check(&[path, "--filter", "code:401"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("\"code:401\" is not understood"), "{}", wrong.stderr);
}
