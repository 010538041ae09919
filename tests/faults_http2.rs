//! Peers that break the rules of HTTP/2 or go to their limits: what the other side gets, what is recorded, how much memory
//! it takes, and that the next client is served.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use common::frames::{self, *};
use common::record::{assert_outcome, assert_status};
use common::{DEADLINE, Tap, wait_for};
use h2::Reason;
use hyper::http::{Request, StatusCode};
use serde_json::Value;

/// More than the program takes for itself and the few connections of a test, and far less than what is thrown at it.
const MEMORY_KIB: u64 = 100 * 1024;

/// A server whose connections follow `script`. It ends with the test's process.
fn upstream(script: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let script = std::sync::Arc::new(script);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.set_write_timeout(Some(DEADLINE)).unwrap();
            let script = script.clone();
            thread::spawn(move || script(stream));
        }
    });
    addr
}

/// Answers every request with a short body.
fn serve(mut stream: TcpStream) {
    if !greet(&mut stream, &[]) {
        return;
    }
    while let Some(id) = next_request(&mut stream) {
        let _ = stream.write_all(&[frames::answer(id, "200", 0), frame(DATA, END_STREAM, id, b"served")].concat());
    }
}

/// A server whose first connection follows `script`, and whose others are served.
fn fails_first(script: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let is_first = AtomicBool::new(true);
    upstream(move |stream| if is_first.swap(false, Ordering::SeqCst) { script(stream) } else { serve(stream) })
}

fn h2c(addr: SocketAddr) -> Tap {
    Tap::start(&format!("h2c://{addr}"))
}

/// A new client is served, and the tap has stayed small.
#[track_caller]
fn assert_serves(tap: &Tap) {
    let mut client = RawClient::connect(tap.addr(), &[]);
    client.send(&get(1, "/next"));
    assert_eq!(client.read_body(1), 6);
    let peak = tap.peak_memory_kib();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

/// The records of all but the last, which is that of [`assert_serves`].
#[track_caller]
fn records_before_next(tap: &Tap, number: usize) -> Vec<Value> {
    assert_serves(tap);
    let mut records = tap.records(number + 1);
    let at = records.iter().position(|record| record["request"]["target"] == "/next").unwrap();
    assert_outcome(&records.remove(at), "complete");
    records
}

/// Limits that a library sets are easily lost on the way to the wire, so both peers look at what arrives.
#[test]
fn the_limits_are_announced_to_both_sides() {
    const TABLE: u16 = 1;
    const PUSH: u16 = 2;
    const STREAMS: u16 = 3;
    const WINDOW: u16 = 4;
    const FRAME_SIZE: u16 = 5;
    const HEADER_LIST: u16 = 6;
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let addr = upstream(move |mut stream| {
        greet(&mut stream, &[]);
        tell.lock().unwrap().send(read_frame(&mut stream).unwrap()).unwrap();
        next_request(&mut stream);
    });
    let tap = h2c(addr);
    let mut client = RawClient::connect(tap.addr(), &[]);
    let to_client = client.read_any().unwrap().settings();
    let to_upstream = told.recv_timeout(DEADLINE).unwrap().settings();
    for (who, settings) in [("client", &to_client), ("upstream", &to_upstream)] {
        assert_eq!(settings[&HEADER_LIST], 256 * 1024, "{who}");
        // What is not said is the protocol's own initial value.
        assert_eq!(settings.get(&TABLE).copied().unwrap_or(4096), 4096, "{who}");
        assert_eq!(settings.get(&FRAME_SIZE).copied().unwrap_or(16_384), 16_384, "{who}");
    }
    assert_eq!((to_client[&STREAMS], to_client[&WINDOW]), (256, 64 * 1024));
    assert_eq!((to_upstream[&PUSH], to_upstream[&WINDOW]), (0, 128 * 1024));
}

#[test]
fn a_rapid_reset_ends_the_connection() {
    let tap = h2c(upstream(serve));
    let mut client = RawClient::connect(tap.addr(), &[]);
    let batch: Vec<u8> = (0..200).flat_map(|at| [get(at * 2 + 1, "/"), reset(at * 2 + 1, CANCEL)].concat()).collect();
    client.send(&batch);
    assert_eq!(client.read_until(GOAWAY).code(), ENHANCE_YOUR_CALM);
    assert!(client.read().is_none());
    assert_serves(&tap);
}

/// A server that answers nothing, and says what comes: a request's HEADERS, or the code of a reset.
fn listening(own: &'static [(u16, u32)]) -> (SocketAddr, Receiver<Option<u32>>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let addr = fails_first(move |mut stream| {
        greet(&mut stream, own);
        while let Some(frame) = read_frame(&mut stream) {
            let news = match frame.kind {
                HEADERS => None,
                RST_STREAM => Some(frame.code()),
                _ => continue,
            };
            let _ = tell.lock().unwrap().send(news);
        }
    });
    (addr, told)
}

#[test]
fn resets_one_by_one_reach_the_upstream_and_are_recorded() {
    const RESETS: u32 = 300;
    let (addr, told) = listening(&[]);
    let tap = h2c(addr);
    let mut client = RawClient::connect(tap.addr(), &[]);
    for at in 0..RESETS {
        let stream = at * 2 + 1;
        client.send(&get(stream, "/"));
        assert_eq!(told.recv_timeout(DEADLINE).unwrap(), None);
        client.send(&reset(stream, CANCEL));
        assert_eq!(told.recv_timeout(DEADLINE).unwrap(), Some(CANCEL));
    }
    let records = records_before_next(&tap, RESETS as usize);
    records.iter().for_each(|record| assert_outcome(record, "client-gone"));
}

#[test]
fn a_reset_behind_the_whole_answer_changes_nothing() {
    let tap = h2c(upstream(serve));
    let mut client = RawClient::connect(tap.addr(), &[]);
    client.send(&get(1, "/"));
    assert_eq!(client.read_body(1), 6);
    client.send(&[reset(1, CANCEL), get(3, "/")].concat());
    assert_eq!(client.read_body(3), 6);
    tap.records(2).iter().for_each(|record| assert_outcome(record, "complete"));
}

#[test]
fn a_flood_of_continuations_ends_the_connection() {
    let tap = h2c(upstream(serve));
    let fields = field("x-filler", &"f".repeat(4000)).repeat(4);
    for payload in [&[][..], &fields] {
        let mut client = RawClient::connect(tap.addr(), &[]);
        client.send(&frame(HEADERS, END_STREAM, 1, &request("GET", "/")));
        client.flood(&frame(CONTINUATION, 0, 1, payload).repeat(10), 1000, DEADLINE);
        assert_ne!(client.read_until(GOAWAY).code(), 0);
        assert_serves(&tap);
    }
}

#[test]
fn floods_that_ask_for_answers_which_nobody_reads_are_held_back() {
    let tap = h2c(upstream(serve));
    for asking in [frame(PING, 0, 0, &[7; 8]), settings(&[(4, 70_000)])] {
        let mut client = RawClient::connect(tap.addr(), &[]);
        let taken = client.flood(&asking.repeat(1000), 10_000, Duration::from_secs(1));
        assert!(taken < 10_000, "all of it was taken");
        // While that one is stuck, and not just when it is gone.
        assert_serves(&tap);
    }
}

#[test]
fn a_header_list_that_is_too_large_is_a_431_and_the_connection_goes_on() {
    let tap = h2c(upstream(serve));
    let mut client = RawClient::connect(tap.addr(), &[]);
    let large = field("x-large", &"v".repeat(8000));
    client.send(&frame(HEADERS, END_STREAM, 1, &request("GET", "/")));
    (0..17).for_each(|_| client.send(&frame(CONTINUATION, 0, 1, &large.repeat(2))));
    client.send(&frame(CONTINUATION, END_HEADERS, 1, &large));
    let refusal = client.read_until(HEADERS);
    assert_eq!(refusal.stream, 1);
    assert!(refusal.has_status("431"), "{refusal:?}");
    client.send(&get(3, "/"));
    assert_eq!(client.read_body(3), 6);
    assert_serves(&tap);
}

#[test]
fn a_large_but_honest_header_list_passes_both_ways() {
    let addr = upstream(|mut stream| {
        greet(&mut stream, &[(6, 1 << 20)]);
        let id = next_request(&mut stream).unwrap();
        let large = field("x-large", &"v".repeat(8000));
        let mut answer = frame(HEADERS, END_STREAM, id, &field(":status", "401"));
        (0..12).for_each(|_| answer.extend(frame(CONTINUATION, 0, id, &large.repeat(2))));
        answer.extend(frame(CONTINUATION, END_HEADERS, id, &[]));
        stream.write_all(&answer).unwrap();
        let _ = next_request(&mut stream);
    });
    let tap = Tap::start_with(&format!("h2c://{addr}"), &["--head-limit", "1MiB"]);
    let mut client = RawClient::connect(tap.addr(), &[(6, 1 << 20)]);
    let large = field("x-large", &"v".repeat(8000));
    client.send(&frame(HEADERS, END_STREAM, 1, &request("GET", "/")));
    (0..12).for_each(|_| client.send(&frame(CONTINUATION, 0, 1, &large.repeat(2))));
    client.send(&frame(CONTINUATION, END_HEADERS, 1, &[]));
    client.read_until(HEADERS);
    let record = tap.record();
    assert_status(&record, 401);
    assert_outcome(&record, "complete");
    for message in ["request", "response"] {
        let fields = record[message]["headers"].as_array().unwrap();
        assert_eq!(fields.iter().filter(|field| field[0] == "x-large").count(), 24, "{message}");
    }
}

#[test]
fn a_compression_bomb_is_not_unpacked() {
    let tap = h2c(upstream(serve));
    let mut client = RawClient::connect(tap.addr(), &[]);
    let first = [request("GET", "/"), field_to_keep("x", &"b".repeat(3900))].concat();
    client.send(&frame(HEADERS, END_STREAM, 1, &first));
    // 16 KB that say 64 MB.
    client.send(&frame(CONTINUATION, END_HEADERS, 1, &[KEPT_FIELD; 16_000]));
    let refusal = client.read().unwrap();
    let is_431 = refusal.kind == HEADERS && refusal.has_status("431");
    assert!(is_431 || refusal.kind == GOAWAY && refusal.code() == ENHANCE_YOUR_CALM, "{refusal:?}");
    assert_serves(&tap);
}

/// A server that has `size` bytes for every request, and keeps to the windows that it is given.
fn generous(size: usize) -> SocketAddr {
    let body = Bytes::from(vec![b'x'; size]);
    upstream(move |stream| {
        let body = body.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            stream.set_nonblocking(true).unwrap();
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let mut answer = respond.send_response(hyper::http::Response::new(()), false).unwrap();
                answer.send_data(body.clone(), true).unwrap();
            }
        });
    })
}

#[test]
fn a_client_that_opens_no_window_holds_only_what_its_own_windows_allow() {
    const STREAMS: u32 = 100;
    const SIZE: u32 = 4 << 20;
    let tap = h2c(generous(SIZE as usize));
    let mut client = RawClient::connect(tap.addr(), &[(4, 0)]);
    (0..STREAMS).for_each(|at| client.send(&get(at * 2 + 1, "/")));
    (0..STREAMS).for_each(|_| drop(client.read_until(HEADERS)));
    // One of them gets its window, and with it all of its body: by then the others had their chance to fill the memory.
    client.send(&[window_update(1, SIZE), window_update(0, SIZE)].concat());
    assert_eq!(client.read_body(1), SIZE as usize);
    let peak = tap.peak_memory_kib();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    drop(client);
    let records = tap.records(STREAMS as usize);
    assert_eq!(records.iter().filter(|record| record["outcome"] == "complete").count(), 1);
    assert_eq!(records.iter().filter(|record| record["outcome"] == "client-gone").count(), STREAMS as usize - 1);
}

#[test]
fn a_client_that_sends_more_than_its_window_is_stopped() {
    let (addr, told) = listening(&[(4, 0)]);
    let tap = h2c(addr);
    let mut client = RawClient::connect(tap.addr(), &[]);
    client.send(&frame(HEADERS, END_HEADERS, 1, &request("PUT", "/")));
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), None);
    let piece = frame(DATA, 0, 1, &[b'x'; 16_384]);
    client.flood(&piece, 10_000, DEADLINE);
    let end = client.read().unwrap();
    assert!(matches!(end.kind, RST_STREAM | GOAWAY), "{end:?}");
    assert_eq!(end.code(), 3, "FLOW_CONTROL_ERROR: {end:?}");
    drop(client);
    let records = records_before_next(&tap, 1);
    assert_outcome(&records[0], "client-gone");
}

#[test]
fn a_client_that_leaves_within_an_upload_that_nobody_takes_frees_both_sides() {
    let upload = [frame(HEADERS, END_HEADERS, 1, &request("PUT", "/")), frame(DATA, 0, 1, &[b'x'; 16_384])].concat();
    for resets in [true, false] {
        let (addr, told) = listening(&[(4, 0)]);
        let tap = h2c(addr);
        let mut client = RawClient::connect(tap.addr(), &[]);
        client.send(&upload);
        assert_eq!(told.recv_timeout(DEADLINE).unwrap(), None);
        if resets {
            client.send(&reset(1, CANCEL));
            assert!(told.recv_timeout(DEADLINE).unwrap().is_some());
        }
        drop(client);
        let records = records_before_next(&tap, 1);
        assert_outcome(&records[0], "client-gone");
    }
}

#[test]
fn what_is_no_http2_behind_the_preface_ends_the_connection() {
    let tap = h2c(upstream(serve));
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        vec![0xff; 64],
        // A body without a request, a table that does not have that entry, and half a frame.
        frame(DATA, 0, 1, b"x"),
        frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff]),
        frame(HEADERS, END_HEADERS, 0, &request("GET", "/")),
        frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
    ] {
        let mut client = RawClient::connect(tap.addr(), &[]);
        client.send(&garbage);
        let end = client.read();
        assert!(end.as_ref().is_none_or(|frame| frame.kind == GOAWAY && frame.code() != 0), "{end:?}");
        assert!(client.read().is_none());
    }
    let mut client = RawClient::connect(tap.addr(), &[]);
    client.send(&get(1, "/")[..5]);
    drop(client);
    assert_serves(&tap);
    tap.record();
}

/// What a client gets whose upstream does that: the tap's `Proxy-Status`, or the code of the reset.
#[derive(Debug, PartialEq)]
enum End {
    Refused(String),
    Reset(Option<Reason>),
}

async fn ask(tap: SocketAddr) -> End {
    let stream = tokio::net::TcpStream::connect(tap).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://api.example/").body(()).unwrap();
    let mut answer = match sender.ready().await.unwrap().send_request(request, true).unwrap().0.await {
        Ok(answer) => answer,
        Err(error) => return End::Reset(error.reason()),
    };
    if answer.status() == StatusCode::BAD_GATEWAY {
        return End::Refused(answer.headers()["proxy-status"].to_str().unwrap().to_owned());
    }
    while let Some(piece) = answer.body_mut().data().await {
        match piece {
            Ok(piece) => answer.body_mut().flow_control().release_capacity(piece.len()).unwrap(),
            Err(error) => return End::Reset(error.reason()),
        }
    }
    panic!("the answer came to its end");
}

/// Asks an upstream that follows `script` from the request's head on. Gives the record as well.
fn end_of(script: impl Fn(&mut TcpStream, u32) + Send + Sync + 'static) -> (End, Value) {
    let addr = fails_first(move |mut stream| {
        greet(&mut stream, &[]);
        if let Some(id) = next_request(&mut stream) {
            script(&mut stream, id);
        }
    });
    let tap = h2c(addr);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let end = runtime.block_on(async { tokio::time::timeout(DEADLINE, ask(tap.addr())).await.expect("an end") });
    let record = records_before_next(&tap, 1).remove(0);
    assert_outcome(&record, "upstream-failed");
    (end, record)
}

#[test]
fn an_upstream_that_breaks_the_rules_before_its_answer_is_a_502() {
    let large = field("x-large", &"v".repeat(8000)).repeat(2);
    let endless = [frame(HEADERS, 0, 1, &field(":status", "200")), frame(CONTINUATION, 0, 1, &large).repeat(1000)];
    let continued = [frame(HEADERS, 0, 1, &[]), frame(CONTINUATION, 0, 1, &[]).repeat(2000)];
    // The first request of a connection has the number 1.
    let scripts = [
        ("no HTTP/2", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec()),
        ("the head of a stream that nobody opened", frames::answer(99, "200", END_STREAM)),
        ("an entry that the table does not have", frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff])),
        ("a flood of continuations", continued.concat()),
        ("an endless head", endless.concat()),
        ("a body before the head", frame(DATA, END_STREAM, 1, b"x")),
        ("a status that is none", frames::answer(1, "abc", END_STREAM)),
        ("a window beyond its limit", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
    ];
    for (what, script) in scripts {
        let (end, record) = end_of(move |stream, _| {
            // The tap may close in the middle of it.
            let _ = stream.write_all(&script);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let End::Refused(head) = &end else { panic!("{what}: {end:?}") };
        assert!(head.contains("authtap; error=http_protocol_error"), "{what}: {head}");
        assert_eq!(record["failure"]["step"], "malformed-response", "{what}: {record:#}");
        assert_status(&record, 502);
    }
}

#[test]
fn an_upstream_that_leaves_before_its_answer_is_a_502() {
    let (end, record) = end_of(|_, _| {});
    let End::Refused(head) = &end else { panic!("{end:?}") };
    assert!(head.contains("authtap; error=connection_terminated"), "{head}");
    assert_eq!(record["failure"]["step"], "closed", "{record:#}");
}

#[test]
fn an_upstream_that_breaks_the_rules_within_its_answer_resets_the_stream() {
    for act in [
        (|stream: &mut TcpStream, id| {
            let beyond = frame(DATA, 0, id, &[b'x'; 16_384]).repeat(200);
            let _ = stream.write_all(&beyond);
        }) as fn(&mut TcpStream, u32),
        |stream, _| stream.write_all(b"garbage, which is no frame of HTTP/2 at all").unwrap(),
        |stream, id| stream.write_all(&goaway(id, 2)).unwrap(),
        |_, _| {},
    ] {
        let (end, _) = end_of(move |stream, id| {
            stream.write_all(&[frames::answer(id, "200", 0), frame(DATA, 0, id, b"part")].concat()).unwrap();
            act(stream, id);
        });
        let End::Reset(code) = end else { panic!("{end:?}") };
        assert_ne!(code, Some(Reason::NO_ERROR), "a client would take the stream for a whole one");
    }
}

#[test]
fn a_request_that_an_upstream_did_not_process_may_be_sent_again() {
    let (end, record) = end_of(|stream, _| {
        stream.write_all(&goaway(0, 0)).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    // As RFC 9113 8.7 has it, a client may send a refused stream again whatever its method is.
    assert_eq!(end, End::Reset(Some(Reason::REFUSED_STREAM)));
    assert_eq!(record["failure"]["step"], "closed", "{record:#}");
}

#[test]
fn an_early_answer_that_ends_the_upload_is_whole() {
    let addr = upstream(|mut stream| {
        if !greet(&mut stream, &[]) {
            return;
        }
        while let Some(id) = next_request(&mut stream) {
            let whole = [frames::answer(id, "401", 0), frame(DATA, END_STREAM, id, b"denied")].concat();
            let _ = stream.write_all(&[whole, reset(id, 0)].concat());
        }
    });
    let tap = h2c(addr);
    let mut client = RawClient::connect(tap.addr(), &[]);
    client.send(&frame(HEADERS, END_HEADERS, 1, &request("PUT", "/")));
    assert_eq!(client.read_body(1), 6);
    let record = tap.record();
    assert_status(&record, 401);
    assert_outcome(&record, "complete");
}

#[test]
fn floods_of_an_upstream_are_held_back() {
    for asking in [frame(PING, 0, 0, &[7; 8]), settings(&[(4, 70_000)])] {
        let stuck = std::sync::Arc::new(AtomicBool::new(false));
        let addr = fails_first({
            let stuck = stuck.clone();
            move |mut stream| {
                greet(&mut stream, &[]);
                next_request(&mut stream);
                stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
                let many = asking.repeat(1000);
                stuck.store((0..10_000).any(|_| stream.write_all(&many).is_err()), Ordering::SeqCst);
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        let tap = h2c(addr);
        let mut client = RawClient::connect(tap.addr(), &[]);
        client.send(&get(1, "/"));
        wait_for("the flood to be held back", DEADLINE, || stuck.load(Ordering::SeqCst).then_some(()));
        assert_serves(&tap);
    }
}

#[test]
fn on_sigterm_a_client_is_told_and_what_runs_may_finish() {
    let (tell, told) = channel();
    let (go, may_go) = channel::<()>();
    let (tell, may_go) = (Mutex::new(tell), Mutex::new(may_go));
    let tap = h2c(upstream(move |mut stream| {
        greet(&mut stream, &[]);
        while let Some(id) = next_request(&mut stream) {
            tell.lock().unwrap().send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
            let whole = [frames::answer(id, "200", 0), frame(DATA, END_STREAM, id, b"served")].concat();
            let _ = stream.write_all(&whole);
        }
    }));
    let mut client = RawClient::connect(tap.addr(), &[]);
    client.send(&get(1, "/"));
    told.recv_timeout(DEADLINE).unwrap();
    tap.signal("TERM");
    assert_eq!(client.read_until(GOAWAY).code(), 0);
    go.send(()).unwrap();
    assert_eq!(client.read_body(1), 6);
    // A client that says good-bye as well does not have to be waited for.
    drop(client);
    let stopped = tap.wait();
    assert_eq!(stopped.code, Some(0), "{stopped:#?}");
    assert_outcome(&stopped.records[0], "complete");
}
