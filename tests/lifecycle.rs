//! How the program starts, says how it is, and stops.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use common::head::answer;
use common::record::assert_outcome;
use common::{Client, DEADLINE, Origin, Tap, wait_for};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// An origin that says when a request for `/slow` is there, and answers it when it is told to.
fn slow_origin() -> (Origin, Receiver<()>, Sender<()>) {
    let (came, has_come) = channel();
    let (go, may_go) = channel();
    let (came, may_go) = (Mutex::new(came), Mutex::new(may_go));
    let origin = Origin::start(move |conn| {
        while let Some(head) = conn.read_head() {
            if head.target() == "/slow" {
                came.lock().unwrap().send(()).unwrap();
                // Where the test ends without it nobody waits for the answer.
                if may_go.lock().unwrap().recv().is_err() {
                    return;
                }
            }
            if conn.try_write(&answer("200 OK", &[], "served")).is_err() {
                return;
            }
        }
    });
    (origin, has_come, go)
}

fn start_slow(tap: &Tap, has_come: &Receiver<()>) -> Client {
    let mut client = Client::connect(tap.addr());
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    has_come.recv_timeout(DEADLINE).unwrap();
    client
}

fn wait_until_refused(addr: SocketAddr) {
    wait_for("new connections to be refused", DEADLINE, || TcpStream::connect(addr).is_err().then_some(()));
}

/// The address of the admin listener, as stderr says it.
fn admin_of(tap: &Tap) -> SocketAddr {
    let text = tap.stderr();
    let (_, rest) = text.split_once("health on http://").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

fn ask(admin: SocketAddr, path: &str) -> u16 {
    let mut client = Client::connect(admin);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).read_response().0.status()
}

#[test]
fn on_sigterm_what_runs_may_finish_and_the_rest_ends() {
    let (origin, has_come, go) = slow_origin();
    let tap = Tap::start_with(&origin.url(), &["--admin", "127.0.0.1:0"]);
    let admin = admin_of(&tap);
    assert_eq!((ask(admin, "/healthz"), ask(admin, "/nothing")), (200, 404));
    wait_for("readiness", DEADLINE, || (ask(admin, "/readyz") == 200).then_some(()));
    let mut idle = Client::connect(tap.addr());
    idle.send(GET).read_response();
    let mut silent = Client::connect(tap.addr());
    let mut running = start_slow(&tap, &has_come);

    tap.signal("TERM");
    assert!(idle.read_to_end().is_empty());
    assert!(silent.read_to_end().is_empty());
    wait_until_refused(tap.addr());
    assert_eq!((ask(admin, "/healthz"), ask(admin, "/readyz")), (200, 503));

    go.send(()).unwrap();
    assert_eq!(running.read_response().1, b"served");
    assert!(running.read_to_end().is_empty());
    let stopped = tap.wait();
    assert_eq!(stopped.code, Some(0), "{stopped:#?}");
    assert_eq!(stopped.records.len(), 2);
    stopped.records.iter().for_each(|record| assert_outcome(record, "complete"));
}

#[test]
fn sigint_is_no_different_and_an_idle_program_ends_at_once() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    let tap = Tap::start(&origin.url());
    Client::connect(tap.addr()).send(GET).read_response();
    tap.record();
    tap.signal("INT");
    let stopped = tap.wait();
    assert_eq!(stopped.code, Some(0), "{stopped:#?}");
    assert!(stopped.stdout.contains("1 request "), "{stopped:#?}");
}

#[test]
fn a_program_that_was_just_started_ends_in_good_order() {
    for _ in 0..20 {
        let origin = Origin::reply("").may_be_unused();
        let stopped = Tap::start(&origin.url()).stop();
        assert_eq!(stopped.code, Some(0), "{stopped:#?}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let (origin, has_come, go) = slow_origin();
    let tap = Tap::start(&origin.url());
    let mut running = start_slow(&tap, &has_come);
    tap.signal("TERM");
    wait_until_refused(tap.addr());
    tap.signal("TERM");
    running.read_until_gone();
    let stopped = tap.wait();
    assert_eq!(stopped.code, Some(0), "{stopped:#?}");
    assert!(stopped.stderr.contains("a second time"), "{stopped:#?}");
    assert_outcome(&stopped.records[0], "stopped");
    drop(go);
}

#[test]
fn draining_has_an_end() {
    let (origin, has_come, go) = slow_origin();
    let tap = Tap::start_with(&origin.url(), &["--drain", "200ms"]);
    let mut running = start_slow(&tap, &has_come);
    tap.signal("TERM");
    running.read_until_gone();
    let stopped = tap.wait();
    assert_eq!(stopped.code, Some(0), "{stopped:#?}");
    assert!(stopped.stderr.contains("1 connection was still open after --drain"), "{stopped:#?}");
    assert_outcome(&stopped.records[0], "stopped");
    drop(go);
}

/// Runs the program where it can't start.
fn fails_to_start(args: &[&str]) -> Output {
    let mut command = common::tap::command();
    let child = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    // A program that starts after all would run for ever.
    let (done, is_done) = channel::<()>();
    let watch = std::thread::spawn(move || {
        if is_done.recv_timeout(DEADLINE).is_err() {
            let _ = std::process::Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    watch.join().unwrap();
    output
}

#[track_caller]
fn assert_refuses(output: &Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout.is_empty(), "{output:?}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
    }
    assert!(!stderr.contains("Point your client"), "it had started: {stderr}");
}

#[test]
fn a_port_in_use_names_its_holder_and_what_to_do() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = held.local_addr().unwrap();
    let output = fails_to_start(&[&format!("{addr}=http://127.0.0.1:1")]);
    let holder = format!("(pid {})", std::process::id());
    assert_refuses(&output, 1, &[&format!("cannot listen on {addr}"), "already in use", "held by: ", &holder, "try: "]);
}

#[test]
fn a_port_of_another_tap_is_in_use_too() {
    let origin = Origin::reply("").may_be_unused();
    // Whose sockets nobody but root could look at otherwise.
    let tap = Tap::start_with(&origin.url(), &["--allow-core"]);
    let output = fails_to_start(&[&format!("{}=http://127.0.0.1:1", tap.addr())]);
    assert_refuses(&output, 1, &["already in use", "authtap (pid "]);
}

#[test]
fn nothing_is_listened_on_when_one_of_the_ports_is_taken() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let (held_addr, free_addr) = (held.local_addr().unwrap(), free.local_addr().unwrap());
    drop(free);
    let taps = [format!("{free_addr}=http://127.0.0.1:1"), format!("{held_addr}=http://127.0.0.1:1")];
    assert_refuses(&fails_to_start(&[&taps[0], &taps[1]]), 1, &[&held_addr.to_string()]);
    assert!(TcpStream::connect(free_addr).is_err());
}

#[test]
fn a_record_in_a_folder_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing/record.jsonl");
    let path = path.to_str().unwrap();
    let output = fails_to_start(&["--record", path, "127.0.0.1:0=http://127.0.0.1:1"]);
    assert_refuses(&output, 1, &["--record", path, "try: "]);
}

#[test]
fn wrong_usage_is_told_apart_from_what_cannot_run() {
    assert_refuses(&fails_to_start(&["127.0.0.1:0=ftp://127.0.0.1:1"]), 2, &["scheme", "try: "]);
    assert_refuses(&fails_to_start(&["--no-such-option", "http://127.0.0.1:1"]), 2, &["--no-such-option"]);
}

#[test]
fn several_taps_run_in_one_process() {
    let one = Origin::reply(answer("200 OK", &[], "one"));
    let two = Origin::reply(answer("200 OK", &[], "two"));
    let taps = [format!("edge@127.0.0.1:0={}", one.url()), format!("app@127.0.0.1:0={}", two.url())];
    let tap = Tap::run(&[], &[&taps[0], &taps[1]]);
    let mut numbers = Vec::new();
    for (address, (name, body)) in tap.addresses().to_vec().iter().zip([("edge", "one"), ("app", "two")]) {
        let mut client = Client::connect(address.addr);
        assert_eq!(client.send(GET).read_response().1, body.as_bytes());
        let records = tap.records(numbers.len() + 1);
        let record = records.last().unwrap();
        assert_eq!(record["tap"], name);
        numbers.push(record["client"]["connection"].as_u64().unwrap());
    }
    // Connections are numbered over the whole process.
    assert!(numbers[0] < numbers[1], "{numbers:?}");
}
