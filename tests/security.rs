//! SECURITY.md promises tests: each of them is there.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The spans of code in a line, without their marks.
fn spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// The tests that a page names in the last column of its tables, as a file and a function.
fn named(page: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut is_threats = false;
    for line in page.lines() {
        if !line.starts_with('|') {
            is_threats = false;
            continue;
        }
        if line.ends_with("| test |") {
            is_threats = true;
            continue;
        }
        if !is_threats || line.starts_with("| ---") {
            continue;
        }
        let cell = line.trim_end_matches('|').rsplit_once('|').unwrap().1;
        let spans = spans(cell);
        assert!(!spans.is_empty() && spans.len().is_multiple_of(2), "no file and function in: {line}");
        all.extend(spans.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())));
    }
    all
}

/// The functions of a file that are run as tests.
fn tests_in(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if is_test {
                found.insert(rest.split('(').next().unwrap().to_owned());
            }
            is_test = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            is_test = false;
        }
    }
    found
}

fn missing(root: &Path, page: &str) -> Vec<String> {
    let is_there = |(file, function): &(String, String)| {
        fs::read_to_string(root.join(file)).is_ok_and(|source| tests_in(&source).contains(function))
    };
    named(page).iter().filter(|test| !is_there(test)).map(|(file, function)| format!("{file} {function}")).collect()
}

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let all = named(&page);
    assert!(all.len() > 60, "{} tests were found", all.len());
    let missing = missing(root, &page);
    assert!(missing.is_empty(), "SECURITY.md names what is not there: {missing:#?}");
}

#[test]
fn a_test_that_does_not_exist_is_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = "| threat | answer | test |\n| --- | --- | --- |\n\
                | a | b | `tests/security.rs` `every_test_that_is_named_exists`, `tests/security.rs` `named` |\n\
                | a | b | `tests/no_such_file.rs` `a` |\n";
    assert_eq!(missing(root, page), ["tests/security.rs named", "tests/no_such_file.rs a"]);
}

/// The page states numbers that the program has.
#[test]
fn the_limits_are_those_of_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    for (file, code, words) in [
        ("src/proxy/http2_limits.rs", "STREAMS: u32 = 256;", "256, 256 KiB, 16 KiB"),
        ("src/proxy/http2_limits.rs", "HEADER_LIST: u32 = 256 * 1024;", "256, 256 KiB, 16 KiB"),
        ("src/proxy/http2_limits.rs", "WINDOW_OF_CLIENTS: u32 = 64 * 1024;", "16 MiB from the client"),
        ("src/proxy/http2_limits.rs", "WINDOW_OF_UPSTREAMS: u32 = 128 * 1024;", "32 MiB from the upstream"),
        ("src/proxy/buffers.rs", "SIZE: usize = 64 * 1024;", "64 KiB for each direction"),
        ("src/proxy/recorder.rs", "PIPELINE_LIMIT: usize = 256;", "| 256, then reading waits |"),
        ("src/run.rs", "QUEUE: usize = 65_536;", "65,536"),
        ("src/run.rs", "LAST_WORDS: Duration = Duration::from_secs(30);", "then 30 s"),
        ("src/sinks/output.rs", "BATCH: usize = 64 * 1024;", "8 MiB for each output"),
        ("src/sinks/output.rs", "BATCHES: usize = 128;", "8 MiB for each output"),
        (
            "src/admin/inspector.rs",
            "CONNECTIONS: usize = 256;",
            "256 connections, 10 s for those without the token, 16 requests that wait",
        ),
        ("src/admin/inspector.rs", "WAITING: usize = 16;", "16 requests that wait for news"),
        ("src/admin/inspector.rs", "READING: usize = 4;", "4 answers that are made at once"),
        ("src/admin/page/store.js", "MOST = 250000;", "250,000 requests"),
        ("src/admin/page/store.js", "MOST_SIGNS = 100000000;", "100 million signs"),
        ("src/sinks/ring/row.rs", "TARGET: usize = 2 * 1024;", "2 KiB of a target"),
        ("src/sinks/ring.rs", "READ: usize = 1024 * 1024;", "1 MiB of records"),
        ("src/teller.rs", "FLUSH: Duration = Duration::from_millis(50);", "50 ms after it was diagnosed"),
    ] {
        let source = fs::read_to_string(root.join(file)).unwrap();
        assert!(source.contains(code), "{file} does not have {code:?}, and SECURITY.md says {words:?}");
        assert!(page.contains(words), "SECURITY.md does not say {words:?}");
    }
}
