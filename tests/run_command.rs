//! A command that runs while the taps listen: what it is given, what is passed on to it, and how the program ends with it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::canaries::{BEARER_TOKEN, assert_no_secret};
use common::head::answer;
use common::process::Process;
use common::servers::program;
use common::{DEADLINE, Origin, wait_for};

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(options: &[&str], taps: &[&str], words: &[&str]) -> Ended {
    let output = command(options, taps, words).stdin(Stdio::null()).output().unwrap();
    ended(output)
}

fn command(options: &[&str], taps: &[&str], words: &[&str]) -> Command {
    let mut command = common::tap::command();
    command.args(options).args(taps).arg("--").args(words);
    command
}

fn ended(output: std::process::Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert_no_secret(&ended.stderr);
    ended
}

fn tap(origin: &Origin) -> String {
    format!("127.0.0.1:0={}", origin.url())
}

fn fine() -> Origin {
    Origin::reply(answer("200 OK", &[], "served"))
}

fn refusing() -> Origin {
    Origin::reply(answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], "no credentials provided"))
}

fn curl(fail: &[&'static str]) -> Vec<String> {
    let mut words = vec![program("curl").to_str().unwrap().to_owned(), "-q".to_owned(), "-sS".to_owned()];
    words.extend(["--noproxy", "*", "--max-time", "60"].map(str::to_owned));
    words.extend(fail.iter().map(|word| (*word).to_owned()));
    words
}

fn run_curl(options: &[&str], origin: &Origin, words: &[&'static str]) -> Ended {
    let words = curl(words);
    run(options, &[&tap(origin)], &words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn it_finds_the_tap_and_stdout_is_its_own() {
    let token: &'static str = Box::leak(format!("Authorization: Bearer {BEARER_TOKEN}").into_boxed_str());
    let ended = run_curl(&[], &fine(), &["-H", token, "{}/v1/orders"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "served"), "{}", ended.stderr);
    assert!(ended.stderr.contains("GET /v1/orders") && ended.stderr.contains("1 request "), "{}", ended.stderr);

    let ended = run_curl(&["--log-format", "json"], &fine(), &["{}"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "served"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\"schema\":\"authtap/1\""), "{}", ended.stderr);
}

#[test]
fn findings_decide_where_the_command_went_well() {
    let token: &'static str = Box::leak(format!("Authorization: Bearer {BEARER_TOKEN}").into_boxed_str());
    let code = |options: &[&str]| run_curl(options, &refusing(), &["-H", token, "{}"]).code;
    assert_eq!(code(&[]), Some(3));
    assert_eq!(code(&["--fail-on", "error"]), Some(3));
    assert_eq!(code(&["--fail-on", "never"]), Some(0));
    // The command's own failure says more.
    assert_eq!(run_curl(&[], &refusing(), &["--fail", "{}"]).code, Some(22));
    assert_eq!(run_curl(&["--fail-on", "info"], &fine(), &["{}"]).code, Some(0));
}

#[test]
fn every_tap_is_in_its_environment() {
    let (one, two) = (Origin::reply(answer("200 OK", &[], "one")), Origin::reply(answer("200 OK", &[], "two")));
    let taps = [format!("edge@127.0.0.1:0={}", one.url()), format!("app-1@0.0.0.0:0={}", two.url())];
    let curl = curl(&[]).join(" ").replace('*', "'*'");
    let script =
        format!("test $AUTHTAP_URL = $AUTHTAP_URL_EDGE && {curl} $AUTHTAP_URL_EDGE && {curl} $AUTHTAP_URL_APP_1");
    let ended = run(&["--no-hop-header"], &[&taps[0], &taps[1]], &["sh", "-c", &script]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "onetwo"), "{}", ended.stderr);
}

#[test]
fn its_stdin_and_its_exit_code_are_its_own() {
    let origin = fine().may_be_unused();
    let mut child = command(&[], &[&tap(&origin)], &["sh", "-c", "cat; echo said >&2; exit 7"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed").unwrap();
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(7), "typed"), "{}", ended.stderr);
    assert!(ended.stderr.lines().any(|line| line == "said"), "{}", ended.stderr);
}

#[test]
fn one_that_cannot_be_started_is_told() {
    let origin = fine().may_be_unused();
    let ended = run(&[], &[&tap(&origin)], &["/no/such/command"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("error: cannot start the command /no/such/command: "), "{}", ended.stderr);
}

#[test]
fn signals_are_passed_on_and_its_end_is_waited_for() {
    let origin = fine().may_be_unused();
    for (name, code) in [("TERM", 10), ("INT", 11)] {
        let script = "trap 'exit 10' TERM; trap 'exit 11' INT; echo ready; while :; do sleep 0.01; done";
        let mut process = Process::spawn(command(&[], &[&tap(&origin)], &["sh", "-c", script])).unwrap();
        let ready = process.stdout.wait_until(DEADLINE, |text| text.contains("ready").then_some(()));
        assert!(ready.is_some(), "{}", process.stderr.text());
        process.signal(name);
        assert_eq!(process.wait(DEADLINE).code(), Some(code), "{}", process.stderr.text());
    }
    // One that a signal ends has the code that a shell gives it.
    let ended = run(&[], &[&tap(&origin)], &["sh", "-c", "kill -KILL $$"]);
    assert_eq!(ended.code, Some(137), "{}", ended.stderr);
}

#[test]
fn what_was_lost_is_told_by_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let ended = run_curl(&["--record", "/dev/full"], &fine(), &["{}"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), "served"), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 record could not be written"), "{}", ended.stderr);

    let record = dir.path().join("record.jsonl");
    let ended = run_curl(&["--record", record.to_str().unwrap()], &fine(), &["{}"]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(fs::read_to_string(record).unwrap().lines().count(), 1);
}

#[test]
fn what_it_left_running_may_finish() {
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let (came, has_come) = std::sync::mpsc::channel();
    let came = std::sync::Mutex::new(came);
    let origin = Origin::start(move |conn| {
        if conn.read_head().is_some() {
            came.lock().unwrap().send(()).unwrap();
            let _ = may_go.lock().unwrap().recv_timeout(DEADLINE);
            conn.write(&answer("200 OK", &[], "late"));
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let (out, came_through) = (dir.path().join("out"), dir.path().join("came"));
    let script = format!(
        "{} $AUTHTAP_URL -o {} & while ! test -e {}; do sleep 0.01; done",
        curl(&[]).join(" ").replace('*', "'*'"),
        out.display(),
        came_through.display()
    );
    let mut process = Process::spawn(command(&[], &[&tap(&origin)], &["sh", "-c", &script])).unwrap();
    has_come.recv_timeout(DEADLINE).unwrap();
    fs::write(came_through, "").unwrap();
    let told = process.stderr.wait_until(DEADLINE, |said| said.contains("the command has ended").then_some(()));
    assert!(told.is_some() && process.has_ended().is_none(), "{}", process.stderr.text());
    go.send(()).unwrap();
    assert_eq!(process.wait(DEADLINE).code(), Some(0), "{}", process.stderr.text());
    wait_for("what curl wrote", Duration::from_secs(10), || (fs::read(&out).ok()? == b"late").then_some(()));
}

#[test]
fn the_help_tells_of_it() {
    let output = common::tap::command().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for words in ["[-- <COMMAND ARGS>...]", "AUTHTAP_URL_NAME", "-- curl {}", "the command's own code", "--fail-on"] {
        assert!(help.contains(words), "{words:?} is not in:\n{help}");
    }
}
