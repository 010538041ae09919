//! Peers that fail, over HTTP/1: what the client gets, what the record says, and that the next client is served.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::head::answer;
use common::record::{assert_outcome, assert_status, assert_verdict};
use common::{Client, Conn, DEADLINE, Head, Origin, Tap, wait_for};
use serde_json::Value;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// An address on which nothing listens, for as long as the socket that is returned lives.
fn refusing() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, addr)
}

/// An address that takes no connection and refuses none: its queue is full, and nobody accepts.
///
/// The sockets have to be kept.
fn black_hole() -> (SocketAddr, Vec<socket2::Socket>) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut kept = vec![listener];
    loop {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let filled = socket.connect_timeout(&addr, Duration::from_millis(200)).is_err();
        kept.push(socket);
        if filled {
            return (addr.as_socket().unwrap(), kept);
        }
        assert!(kept.len() < 64, "the queue does not fill");
    }
}

/// A client's request is refused by the tap, which then closes.
#[track_caller]
fn assert_refused(tap: SocketAddr, status: u16, error: &str) -> Head {
    let mut client = Client::connect(tap);
    let (head, body) = client.send(GET).read_response();
    assert_eq!(head.status(), status, "{head:?}");
    let proxy_status = head.get("proxy-status").unwrap();
    assert!(proxy_status.starts_with(&format!("authtap; error={error}; details=")), "{proxy_status}");
    assert!(body.starts_with(b"authtap: "), "{}", body.escape_ascii());
    assert!(client.read_to_end().is_empty());
    head
}

#[track_caller]
fn assert_failed(record: &Value, step: &str) {
    assert_outcome(record, "upstream-failed");
    assert_verdict(record, "upstream-failed");
    assert_eq!(record["failure"]["step"], step, "{record:#}");
    assert!(!record["failure"]["reason"].as_str().unwrap().is_empty(), "{record:#}");
}

/// An origin whose first connection follows `script`, and whose others are served.
fn fails_first(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Origin {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    Origin::start(move |conn| {
        if is_first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return script(conn);
        }
        while let Some(head) = conn.read_head() {
            conn.read_body(&head);
            conn.write(&answer("200 OK", &[], "served"));
        }
    })
}

/// The tap serves the next client as if nothing had been. Gives all records.
#[track_caller]
fn assert_serves(tap: &Tap, records: usize) -> Vec<Value> {
    let mut client = Client::connect(tap.addr());
    assert_eq!(client.send(GET).read_response().1, b"served");
    let records = tap.records(records);
    assert_outcome(records.last().unwrap(), "complete");
    records
}

/// Reads until the end, and says whether that was an orderly one.
fn read_and_end(client: &Client) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    let mut stream = client.stream();
    let result = stream.read_to_end(&mut all);
    if let Err(error) = &result {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    (all, result.is_ok())
}

#[test]
fn an_upstream_that_refuses_is_a_502() {
    let (_held, addr) = refusing();
    let tap = Tap::start(&format!("http://{addr}"));
    assert_refused(tap.addr(), 502, "connection_refused");
    let record = tap.record();
    assert_failed(&record, "connect");
    assert_eq!(record["failure"]["reason"], "connection refused");
    assert_status(&record, 502);
    assert_eq!(record["response"]["by_tap"], true);
    // There was no upstream connection.
    assert!(record["upstream"]["connection"].is_null(), "{record:#}");
}

#[test]
fn several_requests_at_once_are_refused_like_one() {
    let (_held, addr) = refusing();
    let tap = Tap::start(&format!("http://{addr}"));
    let mut client = Client::connect(tap.addr());
    let (head, _) = client.send(GET.repeat(2)).read_response();
    assert_eq!(head.status(), 502);
    assert!(client.read_to_end().is_empty());
    tap.records(2).iter().for_each(|record| assert_outcome(record, "upstream-failed"));
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let (_held, addr) = refusing();
    let tap = Tap::start(&format!("http://{addr}"));
    let answer = Client::exchange(tap.addr(), "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 502 ") && answer.ends_with(b"\r\n\r\n"), "{}", answer.escape_ascii());
}

#[test]
fn a_client_that_is_still_sending_reads_the_refusal() {
    let (_held, addr) = refusing();
    let tap = Tap::start(&format!("http://{addr}"));
    let mut client = Client::connect(tap.addr());
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n").send(vec![b'x'; 500_000]);
    let answer = client.read_to_end();
    assert!(answer.starts_with(b"HTTP/1.1 502 "), "{}", answer.escape_ascii());
}

#[test]
fn a_name_that_does_not_resolve_is_a_502() {
    let tap = Tap::start("http://no-such-host.invalid:80");
    assert_refused(tap.addr(), 502, "dns_error");
    let record = tap.record();
    assert_failed(&record, "dns");
    assert!(record["failure"]["reason"].as_str().unwrap().starts_with("no-such-host.invalid: "), "{record:#}");
}

#[test]
fn an_upstream_that_takes_no_connection_is_a_504() {
    let (addr, _held) = black_hole();
    let tap = Tap::start_with(&format!("http://{addr}"), &["--connect-timeout", "200ms"]);
    assert_refused(tap.addr(), 504, "connection_timeout");
    let record = tap.record();
    assert_failed(&record, "connect-timeout");
    // The client waited for all of it, from its first byte on.
    assert!(record["timing"]["total_ms"].as_f64().is_some_and(|total| total >= 200.0), "{record}");
    assert_eq!(record["failure"]["reason"], "no connection within 200ms");
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_a_504() {
    let origin = fails_first(|conn| {
        conn.read_head();
        conn.read_to_end();
    });
    let tap = Tap::start_with(&origin.url(), &["--response-timeout", "300ms"]);
    assert_refused(tap.addr(), 504, "http_response_timeout");
    let records = assert_serves(&tap, 2);
    assert_failed(&records[0], "response-timeout");
}

#[test]
fn a_slow_upload_and_a_slow_answer_have_all_the_time() {
    let origin = Origin::start(|conn| {
        let head = conn.read_head().unwrap();
        conn.read_body(&head);
        conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
        std::thread::sleep(Duration::from_millis(300));
        conn.write(b"done");
    });
    let tap = Tap::start_with(&origin.url(), &["--response-timeout", "100ms"]);
    let mut client = Client::connect(tap.addr());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(client.send("b").read_response().1, b"done");
    assert_outcome(&tap.record(), "complete");
}

#[test]
fn an_upstream_that_closes_before_it_answers_is_a_502() {
    let origin = fails_first(|conn| drop(conn.read_head()));
    let tap = Tap::start(&origin.url());
    assert_refused(tap.addr(), 502, "connection_terminated");
    let records = assert_serves(&tap, 2);
    assert_failed(&records[0], "closed");
    assert_eq!(records[0]["failure"]["reason"], "closed before the first byte");
}

#[test]
fn on_a_connection_that_served_before_the_upstreams_close_is_the_clients() {
    let origin = fails_first(|conn| {
        conn.read_head();
        conn.write(&answer("200 OK", &[], "one"));
        conn.read_head();
    });
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    assert_eq!(client.send(GET).read_response().1, b"one");
    // A client may send this again, as the tap must not.
    assert!(client.send(GET).read_to_end().is_empty());
    let records = assert_serves(&tap, 3);
    assert_failed(&records[1], "closed");
    assert_eq!(records[1]["upstream"]["reused"], true);
    assert!(records[1]["response"].is_null());
    assert_eq!(origin.received()[0], GET.repeat(2).as_bytes(), "the request was sent more than once");
}

#[test]
fn an_upstream_that_closes_within_a_request_has_failed() {
    let origin = fails_first(|conn| drop(conn.read_exact(10)));
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    assert!(client.send("GET / HTTP").read_to_end().is_empty());
    drop(client);
    // It is over when the client has left as well, of which the next one may be ahead.
    tap.records(1);
    let records = assert_serves(&tap, 2);
    assert_outcome(&records[0], "upstream-failed");
    assert_eq!(records[0]["failure"]["step"], "closed", "{:#}", records[0]);
}

#[test]
fn an_upstream_that_resets_before_it_answers_is_a_502() {
    let origin = fails_first(|conn| {
        conn.read_head();
        conn.reset_at_end();
    });
    let tap = Tap::start(&origin.url());
    assert_refused(tap.addr(), 502, "connection_terminated");
    let records = assert_serves(&tap, 2);
    assert_failed(&records[0], "reset");
    assert_eq!(records[0]["failure"]["reason"], "connection reset by the upstream");
}

/// What a client gets of an answer that breaks off, and whether its connection ended in good order.
fn broken_answer(part: &'static str, reset: bool) -> (Vec<u8>, bool, Value) {
    let (go, wait) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let origin = fails_first(move |conn| {
        conn.read_head();
        conn.write(part.as_bytes());
        if reset {
            // A reset would overtake what the client has not read yet.
            wait.lock().unwrap().recv().unwrap();
            conn.reset_at_end();
        }
    });
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    let mut got = client.send(GET).read_exact(part.len());
    go.send(()).unwrap();
    let (rest, in_order) = read_and_end(&client);
    got.extend(rest);
    let record = assert_serves(&tap, 2).swap_remove(0);
    (got, in_order, record)
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    for (part, where_) in [
        ("HTTP/1.1 200 OK\r\nConte", "head"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "body"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "body"),
    ] {
        for reset in [false, true] {
            let (got, in_order, record) = broken_answer(part, reset);
            assert_eq!(got, part.as_bytes(), "more or less than came, with reset: {reset}");
            assert_eq!(in_order, !reset, "{part:?}");
            assert_failed(&record, if reset { "reset" } else { "closed" });
            if !reset {
                assert_eq!(record["failure"]["reason"], format!("closed within the {where_}"));
            }
        }
    }
}

#[test]
fn a_reset_after_the_last_answer_takes_nothing_away() {
    // The server has not read all of the request when it closes, so its system resets the connection.
    let origin = fails_first(|conn| {
        conn.read_exact(10);
        conn.write(&answer("401 Unauthorized", &["WWW-Authenticate: Basic", "Connection: close"], "who?"));
    });
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    // The rest of the body may find the connection closed.
    let _ = client.try_send(vec![b'x'; 200_000]);
    let (head, body) = client.read_response();
    assert_eq!((head.status(), body), (401, b"who?".to_vec()));
    drop(client);
    // Which of the two ends first is not said.
    let records = assert_serves(&tap, 2);
    let upload = records.iter().find(|record| record["request"]["method"] == "PUT").unwrap();
    assert_outcome(upload, "complete");
    assert_status(upload, 401);
}

#[test]
fn an_answer_that_is_no_http_is_a_502() {
    for garbage in [&b"SSH-2.0-OpenSSH_9.2p1\r\n"[..], b"<html>hello</html>", b"\x15\x03\x03\x00\x02\x02\x46", b"\0\0"]
    {
        let origin = fails_first(move |conn| {
            conn.read_head();
            conn.write(garbage);
            conn.read_to_end();
        });
        let tap = Tap::start(&origin.url());
        assert_refused(tap.addr(), 502, "http_protocol_error");
        let records = assert_serves(&tap, 2);
        assert_failed(&records[0], "malformed-response");
    }
}

/// Sends `request`, lets `act` end the client when the origin has got it, and gives the record of what was left.
fn vanished(request: &'static str, answer: &'static str, act: fn(Client)) -> Option<Value> {
    let (got, has_got) = std::sync::mpsc::channel();
    let got = std::sync::Mutex::new(got);
    let origin = fails_first(move |conn| {
        conn.read_exact(request.len());
        conn.write(answer.as_bytes());
        got.lock().unwrap().send(()).unwrap();
        // The end of the client has to arrive here.
        conn.read_to_end();
    });
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    client.send(request);
    has_got.recv_timeout(DEADLINE).unwrap();
    client.read_exact(answer.len());
    act(client);
    let record = tap.record();
    assert_serves(&tap, 2);
    Some(record)
}

#[test]
fn a_client_that_vanishes_is_recorded_at_every_stage() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello";
    let part = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    for (stage, request, answer) in [
        ("within the head", "GET / HTTP/1.1\r\nHo", ""),
        ("within the body", post, ""),
        ("waiting", GET, ""),
        ("within the head of the answer", GET, "HTTP/1.1 200 OK\r\nConte"),
        ("within the body of the answer", GET, part),
    ] {
        for (how, act) in [("close", drop as fn(Client)), ("reset", Client::reset)] {
            let record = vanished(request, answer, act).unwrap();
            assert_eq!(record["outcome"], "client-gone", "{stage}, {how}: {record:#}");
            assert_eq!(record["request"]["target"], "/", "{stage}, {how}: {record:#}");
        }
    }
}

#[test]
fn an_early_refusal_of_an_upload_is_passed_on_at_once() {
    let origin = Origin::start(|conn| {
        let head = conn.read_head().unwrap();
        conn.write(&answer("401 Unauthorized", &["WWW-Authenticate: Bearer"], "no"));
        conn.read_body(&head);
        // The connection goes on, as the client sent all that it had announced.
        conn.read_head().unwrap();
        conn.write(&answer("200 OK", &[], "served"));
    });
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(client.read_response().0.status(), 401);
    assert_eq!(client.send("world").send(GET).read_response().1, b"served");
    let records = tap.records(2);
    assert_status(&records[0], 401);
    assert_eq!(records[0]["request"]["body_bytes"], 10);
    records.iter().for_each(|record| assert_outcome(record, "complete"));
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let origin = Origin::start(|conn| {
        conn.read_to_end();
        conn.write(&answer("200 OK", &[], "late"));
    });
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    client.send(GET).close_write();
    assert_eq!(client.read_response().1, b"late");
    assert!(client.read_to_end().is_empty());
    assert_outcome(&tap.record(), "complete");
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    let tap = Tap::start_with(&origin.url(), &["--idle-timeout", "200ms"]);
    let mut client = Client::connect(tap.addr());
    client.send(GET).read_response();
    assert!(client.read_to_end().is_empty());
    assert!(Client::connect(tap.addr()).read_to_end().is_empty(), "a client that never said anything");
    assert_outcome(&tap.record(), "complete");
}

#[test]
fn a_flood_of_requests_that_nobody_answers_is_held_back() {
    let origin = Origin::start(|conn| {
        // Takes all that it is sent, and answers nothing.
        conn.read_to_end();
    });
    let tap = Tap::start_with(&origin.url(), &["--idle-timeout", "2s"]);
    let mut client = Client::connect(tap.addr());
    client.stream().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let many = GET.repeat(1000);
    let stuck = (0..10_000).any(|_| client.try_send(&many).is_err());
    assert!(stuck, "10 million requests were taken");
    let peak = tap.peak_memory_kib();
    assert!(peak < 100 * 1024, "{peak} KiB");
    // Nor can it hold on to its connection for ever.
    let end = client.read_until_gone();
    assert!(end.starts_with(b"HTTP/1.1 504 "), "{}", end.escape_ascii());
}

/// The descriptors that the tap has open.
fn descriptors(tap: &Tap) -> usize {
    fs::read_dir(format!("/proc/{}/fd", tap.id())).unwrap().count()
}

#[test]
fn vanished_clients_leave_no_descriptor_behind() {
    let origin = Origin::start(|conn| {
        while let Some(head) = conn.read_head() {
            if head.target() == "/quiet" {
                conn.read_to_end();
                return;
            }
            if conn.try_write(&answer("200 OK", &[], "served")).is_err() {
                return;
            }
        }
    });
    // Whose descriptors nobody but root could count otherwise.
    let tap = Tap::start_with(&origin.url(), &["--allow-core"]);
    let mut before = Client::connect(tap.addr());
    before.send(GET).read_response();
    drop(before);
    let idle = wait_for("the first connection to end", DEADLINE, || {
        let stat = fs::read_to_string(format!("/proc/{}/net/tcp", tap.id())).unwrap();
        let port = format!(":{:04X} ", tap.addr().port());
        (stat.lines().filter(|line| line.contains(&port) && line.contains(" 01 ")).count() == 0)
            .then(|| descriptors(&tap))
    });
    for number in 0..200 {
        let mut client = Client::connect(tap.addr());
        match number % 4 {
            0 => drop(client.send(GET).read_response()),
            1 => drop(client.send("GET /quiet HTTP/1.1\r\nHost: a\r\n\r\n")),
            2 => drop(client.send(GET)),
            _ => {}
        }
        if number % 8 < 4 { client.reset() } else { drop(client) }
    }
    wait_for("all descriptors to be closed", DEADLINE, || (descriptors(&tap) <= idle).then_some(()));
    let mut after = Client::connect(tap.addr());
    assert_eq!(after.send(GET).read_response().1, b"served");
}

#[test]
fn a_head_larger_than_is_recorded_passes_and_is_recorded_cut() {
    let origin = Origin::serve(|head| {
        answer("200 OK", &[&format!("X-Large: {}", "r".repeat(5000))], &head.raw.len().to_string())
    });
    let tap = Tap::start_with(&origin.url(), &["--head-limit", "2KiB"]);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "q".repeat(6000));
    let mut client = Client::connect(tap.addr());
    let (head, body) = client.send(&request).read_response();
    assert_eq!(body, request.len().to_string().as_bytes());
    assert_eq!(head.get("x-large").unwrap().len(), 5000);
    drop(client);
    let record = tap.record();
    assert_eq!(record["request"]["cut_head_bytes"], request.len());
    assert_eq!(record["response"]["cut_head_bytes"], head.raw.len());
}

/// Traffic goes on until the tap has noticed that it can't write.
fn serve_until_told(tap: &Tap, what: &str) {
    wait_for(what, DEADLINE, || {
        let mut client = Client::connect(tap.addr());
        assert_eq!(client.send(GET).read_response().1, b"served");
        tap.stderr().contains(what).then_some(())
    });
}

#[test]
fn a_full_disk_stops_no_traffic_and_is_told() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    let tap = Tap::run(&["--record", "/dev/full"], &[&format!("127.0.0.1:0={}", origin.url())]);
    serve_until_told(&tap, "cannot write the record /dev/full");
    let mut client = Client::connect(tap.addr());
    assert_eq!(client.send(GET).read_response().1, b"served");
    drop(client);
    let stopped = tap.stop();
    assert_eq!(stopped.code, Some(4), "{stopped:#?}");
    assert!(stopped.stdout.contains("records could not be written"), "{stopped:#?}");
}

/// A tap whose stdout is the given one, and the address it announces.
fn with_stdout(upstream: &str, stdout: Stdio) -> (std::process::Child, SocketAddr, std::process::ChildStderr) {
    let mut command: Command = common::tap::command();
    command.args(["--log-format", "json", &format!("127.0.0.1:0={upstream}")]);
    let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut text = Vec::new();
    let addr = loop {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
        let line = String::from_utf8_lossy(&text);
        if let Some((before, _)) = line.split_once("  ->") {
            break before.split("http://").nth(1).unwrap().parse().unwrap();
        }
    };
    (child, addr, stderr)
}

#[test]
fn a_stdout_that_is_closed_or_not_read_stops_no_traffic() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    // The reader of a pipe that nobody reads is kept, that of a closed one is not.
    for is_read in [false, true] {
        let (reader, writer) = std::io::pipe().unwrap();
        let (mut child, addr, mut stderr) = with_stdout(&origin.url(), writer.into());
        let reader = is_read.then_some(reader);
        // Far more than a pipe holds.
        let mut client = Client::connect(addr);
        for _ in 0..1000 {
            assert_eq!(client.send(GET).read_response().1, b"served");
        }
        drop(client);
        Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().unwrap();
        let status = wait_for("the end of the tap", DEADLINE, || child.try_wait().unwrap());
        drop(reader);
        let mut words = String::new();
        stderr.read_to_string(&mut words).unwrap();
        assert_eq!(status.code(), Some(4), "lines were lost: {words}");
        let said = if is_read { "did not take its last lines in time" } else { "cannot write stdout" };
        assert!(words.contains(said), "{words}");
    }
}

#[test]
fn more_clients_than_allowed_are_turned_away_and_do_not_disturb_the_others() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    let tap = Tap::start_with(&origin.url(), &["--max-connections", "1"]);
    let mut first = Client::connect(tap.addr());
    assert_eq!(first.send(GET).read_response().1, b"served");
    let mut second = Client::connect(tap.addr());
    // What was sent may find the connection closed.
    let _ = second.try_send(GET);
    assert!(second.read_until_gone().is_empty());
    assert_eq!(first.send(GET).read_response().1, b"served");
    drop(first);
    wait_for("room for another client", DEADLINE, || {
        let mut client = Client::connect(tap.addr());
        let _ = client.try_send(GET);
        client.close_write().read_until_gone().ends_with(b"served").then_some(())
    });
}
