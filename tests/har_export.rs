//! The HTTP Archive that the program writes: whole while it grows, made of what is masked, and read by others.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::canaries::{API_KEY, PASSWORD, SESSION, assert_no_secret};
use common::head::answer;
use common::path::{ReservedPort, bearer, record_path};
use common::process::Process;
use common::{Client, DEADLINE, Origin, Tap, curl, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

fn place(name: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    (dir, path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(args: &[&str]) -> Output {
    let output = common::tap::command().args(args).output().unwrap();
    for said in [&output.stdout, &output.stderr] {
        assert_no_secret(&String::from_utf8_lossy(said));
    }
    output
}

fn parse(path: &Path) -> Result<Vec<Value>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let archive: Value = serde_json::from_str(&text).map_err(|error| format!("{error}:\n{text}"))?;
    Ok(archive["log"]["entries"].as_array().unwrap().clone())
}

/// The entries of a file that is whole. The system lets a reader look into the midst of a write, for as long as the writer has
/// to wait for the processor; a look behind it finds it whole.
fn entries(path: &Path) -> Vec<Value> {
    common::wait_for_or_none(DEADLINE, || parse(path).ok()).unwrap_or_else(|| panic!("{}", parse(path).unwrap_err()))
}

fn get(addr: SocketAddr, fields: &[&str]) -> Vec<u8> {
    let mut lines = vec!["GET /v1/orders?page=2 HTTP/1.1", "Host: a.example"];
    lines.extend(fields);
    lines.push("Connection: close");
    Client::exchange(addr, lines.join("\r\n") + "\r\n\r\n")
}

#[test]
fn the_archive_is_whole_after_each_of_many_exchanges() {
    let origin = Origin::reply(answer("401 Unauthorized", &[], "no token"));
    let (_dir, path) = place("live.har");
    let tap = Tap::start_with(&origin.url(), &["--har", text(&path)]);
    assert!(entries(&path).is_empty());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for count in 1..=25 {
        get(tap.addr(), &["Authorization: Basic x"]);
        wait_for("the entry", DEADLINE, || (entries(&path).len() == count).then_some(()));
    }
    let stopped = tap.stop();
    assert_eq!(stopped.code, Some(0), "{stopped:#?}");
    assert!(stopped.stderr.contains(&format!("Saved  {} (secrets masked)", text(&path))), "{stopped:#?}");
}

#[test]
fn whoever_reads_while_traffic_goes_on_or_after_a_kill_finds_a_whole_archive() {
    let origin = Origin::reply(answer("401 Unauthorized", &[], "no token"));
    let (_dir, path) = place("live.har");
    let tap = Tap::start_with(&origin.url(), &["--har", text(&path)]);
    let (addr, is_over) = (tap.addr(), AtomicBool::new(false));
    let seen = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // The last ones find nobody any more.
                    let Ok(mut stream) = TcpStream::connect(addr) else { return };
                    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            });
        }
        let mut seen = 0;
        while seen < 200 {
            let count = entries(&path).len();
            assert!(count >= seen, "entries went away");
            seen = count;
        }
        tap.kill();
        is_over.store(true, Ordering::Relaxed);
        seen
    });
    // Where the kill came within a write, what was whole before is there all the same as soon as it is taken up again.
    let left = parse(&path).ok().map(|entries| entries.len());
    assert!(left.is_none_or(|left| left >= seen));

    // The next run goes on where that one ended.
    let tap = Tap::start_with(&origin.url(), &["--har", text(&path)]);
    get(tap.addr(), &[]);
    let is_there = |count: usize| left.map_or(count > seen, |left| count == left + 1);
    wait_for("the entry", DEADLINE, || is_there(entries(&path).len()).then_some(()));
}

#[test]
fn no_secret_gets_into_it() {
    let token = bearer();
    let body = format!("{{\"message\":\"no such key {API_KEY}\"}}");
    let cookie = format!("Set-Cookie: s={SESSION}; Path=/");
    let origin = Origin::reply(answer("401 Unauthorized", &["Content-Type: application/json", &cookie], &body));
    let (_dir, path) = place("live.har");
    let tap = Tap::start_with(&origin.url(), &["--har", text(&path)]);
    curl(&["-u", &format!("alice:{PASSWORD}"), &tap.url(&format!("/v1?api_key={API_KEY}"))]);
    curl(&["-H", &token, "-H", &format!("X-Api-Key: {API_KEY}"), "-b", &format!("s={SESSION}"), &tap.url("/v1")]);
    assert_eq!(tap.stop().code, Some(0));
    let archive = fs::read_to_string(&path).unwrap();
    assert_eq!(entries(&path).len(), 2);
    assert!(archive.contains("<redacted") && archive.contains("no such key"), "{archive}");
    assert_no_secret(&archive);
}

#[test]
fn lines_stay_apart_as_they_were_spelled_and_a_failure_is_told() {
    let origin = Origin::start(|conn| {
        if conn.read_head().is_some() {
            conn.write(&answer("302 Found", &["Location: /login", "VARY: a", "Vary: b"], ""));
        }
    });
    let (_dir, path) = place("live.har");
    let dead = ReservedPort::new();
    let taps = [format!("up@127.0.0.1:0={}", origin.url()), format!("down@127.0.0.1:0=http://{}", dead.addr())];
    let tap = Tap::run(&["--har", text(&path), "--no-hop-header"], &[&taps[0], &taps[1]]);
    get(tap.addresses()[0].addr, &["accept: a", "ACCEPT: b"]);
    get(tap.addresses()[1].addr, &[]);
    assert_eq!(tap.stop().code, Some(0));

    let entries = entries(&path);
    let of = |name: &str| entries.iter().find(|entry| entry["_authtap"]["tap"] == name).unwrap();
    let up = of("up");
    assert_eq!(up["request"]["url"], "http://a.example/v1/orders?page=2");
    assert_eq!(up["request"]["queryString"], json!([{ "name": "page", "value": "2" }]));
    assert_eq!((&up["response"]["status"], &up["response"]["redirectURL"]), (&json!(302), &json!("/login")));
    let fields = |message: &Value| -> Vec<String> {
        let headers = message["headers"].as_array().unwrap().iter();
        headers
            .map(|header| format!("{}: {}", header["name"].as_str().unwrap(), header["value"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(fields(&up["request"])[1..3], ["accept: a", "ACCEPT: b"]);
    assert_eq!(fields(&up["response"])[1..3], ["VARY: a", "Vary: b"]);
    let down = of("down");
    assert_eq!(down["_authtap"]["verdict"], "upstream-failed");
    assert!(down["response"]["_error"].as_str().unwrap().starts_with("connect: "), "{down:#}");
}

/// What a path of two taps recorded, as lines and as an archive.
fn recorded_path() -> (TempDir, PathBuf, PathBuf) {
    let (dir, record) = place("path.jsonl");
    let har = dir.path().join("path.har");
    record_path(&["--record", text(&record), "--har", text(&har)]);
    (dir, record, har)
}

#[test]
fn checking_it_tells_what_checking_the_record_tells() {
    let (_dir, record, har) = recorded_path();
    let of_record = run(&["check", text(&record), "--fail-on", "error"]);
    let of_archive = run(&["check", text(&har), "--fail-on", "error"]);
    let said = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!((of_record.status.code(), of_archive.status.code()), (Some(3), Some(3)));
    let told = said(&of_archive);
    let (headline, told) = told.split_once('\n').unwrap();
    assert_eq!(headline, format!("path.har   6 exchanges   written by authtap {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(told, said(&of_record).split_once('\n').unwrap().1);
    assert!(told.contains("credentials-stripped"), "{told}");

    // And record for record, nothing is lost.
    let records = |output: &Output| -> Vec<Value> {
        said(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let lines = records(&run(&["check", text(&record), "--format", "json"]));
    assert_eq!(records(&run(&["check", text(&har), "--format", "json"])), lines);
    assert_eq!(lines.len(), 6);
}

#[test]
fn one_is_made_of_recordings() {
    let (dir, record, har) = recorded_path();
    let made = dir.path().join("made.har");
    assert_eq!(run(&["har", text(&record), "-o", text(&made)]).status.code(), Some(0));
    assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o600);
    let by_time = |path: &Path| {
        let mut entries = entries(path);
        entries.sort_by_key(|entry| entry["_authtap"]["id"].as_str().unwrap().to_owned());
        entries
    };
    assert_eq!(by_time(&made), by_time(&har));
    let starts: Vec<String> = entries(&made).iter().map(|entry| entry["startedDateTime"].to_string()).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    let printed = run(&["har", text(&record)]);
    assert_eq!(printed.stdout, fs::read(&made).unwrap());

    // What can't be read is told, and the rest is made an archive of.
    fs::write(&record, "half a li\n".to_owned() + &fs::read_to_string(&record).unwrap()).unwrap();
    let output = run(&["har", text(&record), text(&record)]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("path.jsonl: line 1: it is not JSON"));
    let archive: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(archive["log"]["entries"].as_array().unwrap().len(), 12);

    let output = run(&["har", text(&har)]);
    assert_eq!(output.status.code(), Some(1), "an archive is no recording");
    assert_eq!(run(&["har", "/no/such/recording"]).status.code(), Some(1));
}

#[test]
fn a_file_that_is_no_archive_is_not_written_to() {
    let (_dir, path) = place("precious.txt");
    fs::write(&path, "precious\n").unwrap();
    let output = run(&["--har", text(&path), "127.0.0.1:0=http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--har") && said.contains("no archive of authtap's") && said.contains("try: "), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious\n");
    let output = run(&["--har", "a", "--record", "a", "127.0.0.1:0=http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_a_full_disk_does_not_take_is_counted() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    let (_dir, path) = place("live.har");
    let mut command = std::process::Command::new("prlimit");
    command.args(["--fsize=8192", "--"]).arg(common::tap::command().get_program());
    command.args(["--har", text(&path), &format!("127.0.0.1:0={}", origin.url())]).env_clear();
    let mut process = Process::spawn(command).expect("prlimit is not there; get it with: bash tests/install.sh");
    let url = process.stderr.wait_until(DEADLINE, |said| {
        let url = said.split_once("Point your client at ")?.1.split_once(". ")?.0;
        Some(url.to_owned())
    });
    let addr: SocketAddr = url.unwrap().trim_start_matches("http://").parse().unwrap();
    for _ in 0..10 {
        get(addr, &[]);
    }
    process.signal("TERM");
    let status = process.wait(DEADLINE);
    let kept = entries(&path).len() as u64;
    let said = process.stdout.whole(DEADLINE);
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains(&format!("{} records could not be written", 10 - kept)), "{kept} are there:\n{said}");
}

#[test]
fn it_may_be_moved_away() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    let (dir, path) = place("live.har");
    let moved = dir.path().join("moved.har");
    let tap = Tap::start_with(&origin.url(), &["--har", text(&path)]);
    get(tap.addr(), &[]);
    wait_for("the entry", DEADLINE, || (entries(&path).len() == 1).then_some(()));
    fs::rename(&path, &moved).unwrap();
    tap.signal("HUP");
    wait_for("the new file", DEADLINE, || path.exists().then_some(()));
    get(tap.addr(), &[]);
    assert_eq!(tap.stop().code, Some(0));
    assert_eq!((entries(&moved).len(), entries(&path).len()), (1, 1));
}
