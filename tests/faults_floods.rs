//! Peers that send too much, too slowly, or nonsense, over HTTP/1: the bytes go on as they would without the tap, its memory
//! stays small, what it makes of them is recorded, and the next client is served.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use common::head::answer;
use common::record::{assert_outcome, assert_status, findings};
use common::{Client, DEADLINE, Origin, Tap};
use serde_json::Value;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

/// More than the program takes for itself, and less than what is thrown at it.
const MEMORY_KIB: u64 = 60 * 1024;

/// What a flood has in all.
const FLOOD: usize = 128 << 20;

/// What one side gets of a conversation, and whether it ended in good order.
#[derive(Debug, PartialEq)]
struct Got {
    size: usize,
    hash: u64,
    start: String,
    in_order: bool,
}

fn read_all(mut from: &TcpStream) -> Got {
    let mut got = Got { size: 0, hash: 0xcbf2_9ce4_8422_2325, start: String::new(), in_order: true };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match common::read_once(&mut from, &mut buffer) {
            Ok(0) => return got,
            Ok(size) => {
                let piece = &buffer[..size];
                if got.size < 200 {
                    got.start.push_str(&piece[..size.min(200 - got.size)].escape_ascii().to_string());
                }
                got.size += size;
                got.hash =
                    piece.iter().fold(got.hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                got.in_order = false;
                return got;
            }
            Err(error) => panic!("read: {error}"),
        }
    }
}

/// One side of a conversation: pieces, each so many times, and then the end.
type Says = Arc<Vec<(Vec<u8>, usize)>>;

fn says<B: AsRef<[u8]>>(pieces: &[(B, usize)]) -> Says {
    Arc::new(pieces.iter().map(|(bytes, times)| (bytes.as_ref().to_vec(), *times)).collect())
}

fn say(mut to: &TcpStream, all: &Says) {
    for (bytes, times) in all.iter() {
        let whole = bytes.repeat((64 * 1024 / bytes.len().max(1)).clamp(1, *times));
        let mut left = bytes.len() * times;
        while left > 0 {
            let piece = &whole[..whole.len().min(left)];
            if to.write_all(piece).is_err() {
                return;
            }
            left -= piece.len();
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// A server that says one thing on each connection when it has got `after`, and hands on what it got.
fn server(after: usize, answer: Says) -> (SocketAddr, std::sync::mpsc::Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten().map(patient) {
            let mut first = vec![0; after];
            (&stream).read_exact(&mut first).unwrap();
            let got = thread::scope(|scope| {
                scope.spawn(|| say(&stream, &answer));
                read_all(&stream)
            });
            if tell.send(got).is_err() {
                return;
            }
        }
    });
    (addr, told)
}

fn talk(to: SocketAddr, request: &Says) -> Got {
    let stream = patient(TcpStream::connect(to).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| say(&stream, request));
        read_all(&stream)
    })
}

/// Holds the conversation without the tap and through it: both sides get the same. Gives the records.
#[track_caller]
fn assert_same(what: &str, request: &Says, answer: &Says, records: usize) -> Vec<Value> {
    assert_same_after(3, what, request, answer, records)
}

/// The same with a server that answers when it has got that many bytes.
#[track_caller]
fn assert_same_after(after: usize, what: &str, request: &Says, answer: &Says, records: usize) -> Vec<Value> {
    let (addr, told) = server(after, answer.clone());
    let direct = (talk(addr, request), told.recv_timeout(DEADLINE).unwrap());
    let tap = Tap::start(&format!("http://{addr}"));
    let through = (talk(tap.addr(), request), told.recv_timeout(DEADLINE).unwrap());
    assert_eq!(through, direct, "{what}");
    let peak = tap.peak_memory_kib();
    assert!(peak < MEMORY_KIB, "{what}: {peak} KiB");
    let all = tap.records(records);
    // The next client is served like the first.
    assert_eq!(talk(tap.addr(), request), direct.0, "{what}, the next client");
    all
}

fn whole(bytes: impl AsRef<[u8]>) -> Says {
    says(&[(bytes, 1)])
}

#[test]
fn a_flood_of_interim_answers_passes_and_is_counted() {
    const MANY: usize = 100_000;
    let answer = says(&[(&b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"[..], MANY), (OK, 1)]);
    let record = assert_same("1xx", &whole(GET), &answer, 1).remove(0);
    assert_outcome(&record, "complete");
    assert_status(&record, 200);
    assert_eq!(record["response"]["interim_count"], MANY, "{record:#}");
    assert!(record["response"]["interim"].as_array().unwrap().len() <= 8, "{record:#}");
}

#[test]
fn an_endless_head_passes_and_takes_no_memory() {
    let head = says(&[(&b"GET / HTTP/1.1\r\nHost: a\r\nX: "[..], 1), (b"y", FLOOD), (b"\r\n\r\n", 1)]);
    let refusal = answer("431 Request Header Fields Too Large", &["Connection: close"], "");
    let record = assert_same("a request's head", &head, &whole(refusal), 1).remove(0);
    // The server does not wait for its end, and the request that it refuses is recorded as far as it had come.
    assert_status(&record, 431);
    assert_outcome(&record, "unfollowed");
    assert_eq!(record["unfollowed"]["why"], "answered-within-head", "{record:#}");
    // One that does not come to its end at all.
    let head = says(&[(&b"HTTP/1.1 200 OK\r\nX: "[..], 1), (b"y", FLOOD)]);
    let record = assert_same("an answer's head", &whole(GET), &head, 1).remove(0);
    assert!(["upstream-failed", "client-gone"].contains(&record["outcome"].as_str().unwrap()), "{record:#}");
}

#[test]
fn a_hundred_thousand_header_lines_pass() {
    const LINES: usize = 100_000;
    let request = says(&[(&b"GET / HTTP/1.1\r\nHost: a\r\n"[..], 1), (b"X-Line: 1\r\n", LINES), (b"\r\n", 1)]);
    let answer =
        says(&[(&b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n"[..], 1), (b"X-Line: 1\r\n", LINES), (b"\r\n", 1)]);
    let record = assert_same_after(LINES * 11, "lines", &request, &answer, 1).remove(0);
    // How the message goes on could stand in what was not kept.
    assert_outcome(&record, "unfollowed");
    assert_status(&record, 401);
    assert!(record["response"]["cut_head_bytes"].as_u64().unwrap() > 1_000_000, "{record:#}");
    for message in ["request", "response"] {
        let recorded = record[message]["headers"].as_array().unwrap().len();
        assert!((1000..10_000).contains(&recorded), "{recorded} lines are recorded");
    }
}

#[test]
fn huge_chunk_extensions_and_trailers_pass() {
    let chunked = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
    let extension = says(&[(chunked, 1), (b"4;x=", 1), (b"e", FLOOD), (b"\r\ndone\r\n0\r\n\r\n", 1)]);
    let record = assert_same("an extension", &whole(GET), &extension, 1).remove(0);
    // Whatever the framer made of it, it says so.
    let outcome = record["outcome"].as_str().unwrap();
    assert!(["complete", "unfollowed"].contains(&outcome), "{record:#}");
    let extensions = says(&[(chunked, 1), (b"1;a=bcdefgh\r\nx\r\n", 1_000_000), (b"0\r\n\r\n", 1)]);
    let record = assert_same("extensions", &whole(GET), &extensions, 1).remove(0);
    assert_outcome(&record, "complete");
    assert_eq!(record["response"]["body_bytes"], 1_000_000);
    let trailers = says(&[(chunked, 1), (b"0\r\n", 1), (b"X-Trailer: 1\r\n", 1_000_000), (b"\r\n", 1)]);
    assert_same("trailers", &whole(GET), &trailers, 1);
}

#[test]
fn conflicting_lengths_pass_as_they_are_and_are_told() {
    for (what, lines, body) in [
        ("a length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("two lengths", "Content-Length: 4\r\nContent-Length: 5\r\n", "hello"),
        ("a list of lengths", "Content-Length: 4, 5\r\n", "hello"),
        ("a sign", "Content-Length: +4\r\n", "hell"),
        ("more than any number", "Content-Length: 99999999999999999999999\r\n", "hell"),
        ("chunks that are not last", "Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
        ("a size more than any number", "Transfer-Encoding: chunked\r\n", "fffffffffffffffffff\r\nx"),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}");
        let record = assert_same(what, &whole(&request), &whole(OK), 1).remove(0);
        let told = findings(&record).iter().any(|finding| finding["rule"] == "framing-ambiguous");
        assert!(told || record["outcome"] != "complete", "{what}: {record:#}");
        let answer = format!("HTTP/1.1 401 No\r\n{lines}\r\n{body}");
        assert_same(what, &whole(GET), &whole(&answer), 1);
    }
}

#[test]
fn an_answer_that_nobody_asked_for_reaches_only_its_own_connection() {
    let twice = [OK, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"].concat();
    let records = assert_same("a second answer", &whole(GET), &whole(&twice), 1);
    assert_status(&records[0], 200);
    let before = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly", OK].concat();
    let half = says(&[("GET / HTT", 1)]);
    assert_same("an answer before its request", &half, &whole(&before), 1);
}

#[test]
fn byte_by_byte_is_like_all_at_once() {
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_vec();
    let response = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nworld".to_vec();
    let (length, slowly) = (request.len(), response.clone());
    let origin = Origin::start(move |conn| {
        conn.read_exact(length);
        slowly.chunks(1).for_each(|byte| conn.write(byte));
    });
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    client.send_bytewise(&request);
    assert_eq!(client.read_to_end(), response);
    assert_eq!(origin.received()[0], request);
    let record = tap.record();
    assert_outcome(&record, "complete");
    assert_eq!((&record["request"]["body_bytes"], &record["response"]["body_bytes"]), (&5.into(), &5.into()));
}

#[test]
fn slow_clients_keep_nobody_from_being_served() {
    let origin = Origin::serve(|_| answer("200 OK", &[], "served"));
    let tap = Tap::start(&origin.url());
    let mut slow: Vec<Client> = (0..100).map(|_| Client::connect(tap.addr())).collect();
    for (number, client) in slow.iter_mut().enumerate() {
        let part =
            if number % 2 == 0 { "GET / HTTP/1.1\r\nHo" } else { "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx" };
        client.send(part);
    }
    let mut client = Client::connect(tap.addr());
    assert_eq!(client.send(GET).read_response().1, b"served");
    assert!(tap.peak_memory_kib() < MEMORY_KIB, "{} KiB", tap.peak_memory_kib());
    for (number, client) in slow.iter_mut().enumerate() {
        client.send(if number % 2 == 0 { "st: a\r\n\r\n" } else { "12345678" });
        assert_eq!(client.read_response().1, b"served");
    }
}

#[test]
fn either_side_may_say_its_last_word_first() {
    // The client half-closes in `talk` as soon as it has said all, and the server before it has read all.
    let upload = says(&[(&b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n"[..], 1), (b"u", 8 << 20)]);
    let record = assert_same("an early answer", &upload, &whole(OK), 1).remove(0);
    assert_status(&record, 200);
    let download = says(&[(&b"HTTP/1.1 200 OK\r\n\r\n"[..], 1), (b"d", 8 << 20)]);
    let record = assert_same("an answer to its end", &whole(GET), &download, 1).remove(0);
    assert_outcome(&record, "complete");
    assert_eq!(record["response"]["body_bytes"], 8 << 20);
}

#[test]
fn garbage_of_a_client_passes_and_harms_nobody() {
    const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let every_byte: Vec<u8> = (0..=255).rev().collect();
    for (what, bytes, times) in [
        ("zeros", &[0; 64][..], 1000),
        ("every byte", &every_byte, 1000),
        ("line ends", b"\r\n", 100_000),
        ("no line end", b"garbage ", 1_000_000),
        ("no start line", b": \r\n\r\n", 10_000),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2p1\r\n", 1),
        ("a start of HTTP/2 that is none", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 1),
    ] {
        let (addr, told) = server(3, whole(REFUSAL));
        let request = says(&[(bytes, times)]);
        let direct = (talk(addr, &request), told.recv_timeout(DEADLINE).unwrap());
        let tap = Tap::start(&format!("http://{addr}"));
        let through = (talk(tap.addr(), &request), told.recv_timeout(DEADLINE).unwrap());
        assert_eq!(through, direct, "{what}");
        assert!(tap.peak_memory_kib() < MEMORY_KIB, "{what}: {} KiB", tap.peak_memory_kib());
        assert!(talk(tap.addr(), &whole(GET)).start.starts_with("HTTP/1.1 400"), "{what}");
    }
}
