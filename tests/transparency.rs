//! The backend gets exactly the client's bytes, and the client exactly the backend's.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use common::messages::{self, Messages};
use common::{DEADLINE, Tap};

/// A backend that answers nothing by itself.
struct Backend(TcpListener);

impl Backend {
    fn new() -> Self {
        Backend(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    fn accept(&self) -> TcpStream {
        patient(self.0.accept().unwrap().0)
    }
}

fn connect(tap: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(tap).unwrap())
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn expect(from: &mut TcpStream, bytes: &[u8], what: &str) {
    let mut got = vec![0; bytes.len()];
    from.read_exact(&mut got).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(got == bytes, "{what}:\n  got    {}\n  wanted {}", got.escape_ascii(), bytes.escape_ascii());
}

fn expect_end(mut from: TcpStream, what: &str) {
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(rest.is_empty(), "{what}: more than was sent: {}", rest.escape_ascii());
}

/// Passes one case through, the request in the given pieces; each has to reach the backend before the next is sent.
fn pass(tap: SocketAddr, backend: &Backend, case: &Messages, pieces: &[&[u8]]) {
    let name = case.name;
    let mut client = connect(tap);
    let mut server: Option<TcpStream> = None;
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        std::thread::scope(|scope| {
            scope.spawn(|| client.write_all(piece).unwrap());
            let server = server.get_or_insert_with(|| backend.accept());
            expect(server, piece, &format!("{name}: the request"));
        });
    }
    let mut server = server.unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| server.write_all(&case.response).unwrap());
        expect(&mut client, &case.response, &format!("{name}: the response"));
    });
    // The client's end has to come through alone, while the other direction stays open.
    client.shutdown(Shutdown::Write).unwrap();
    expect_end(server.try_clone().unwrap(), &format!("{name}: the request's end"));
    server.shutdown(Shutdown::Write).unwrap();
    expect_end(client, &format!("{name}: the response's end"));
}

#[test]
fn every_message_passes_as_it_is_and_is_recorded() {
    let backend = Backend::new();
    let tap = Tap::start(&backend.url());
    let mut expected = 0;
    for case in messages::all() {
        pass(tap.addr(), &backend, &case, &[&case.request]);
        expected += case.exchanges;
        let records = tap.records(expected);
        let last = records.last().unwrap();
        assert_eq!(last["outcome"], case.outcome, "{}: {last:#}", case.name);
    }
}

/// A P alone waits for its next byte, since HTTP/2 begins with one.
fn first_piece(request: &[u8]) -> usize {
    if request.starts_with(b"P") { 2 } else { 1 }
}

#[test]
fn small_messages_pass_split_at_every_byte() {
    let backend = Backend::new();
    let tap = Tap::start(&backend.url());
    for case in messages::all().iter().filter(|case| case.request.len() < 120) {
        for at in first_piece(&case.request)..case.request.len() {
            let (first, second) = case.request.split_at(at);
            pass(tap.addr(), &backend, case, &[first, second]);
        }
    }
}

#[test]
fn small_messages_pass_byte_by_byte() {
    let backend = Backend::new();
    let tap = Tap::start(&backend.url());
    for case in messages::all().iter().filter(|case| case.request.len() < 400) {
        let (first, rest) = case.request.split_at(first_piece(&case.request));
        let pieces: Vec<&[u8]> = std::iter::once(first).chain(rest.chunks(1)).collect();
        pass(tap.addr(), &backend, case, &pieces);
    }
}

/// The request with the value of its only Host line replaced, if it has one in order.
fn with_host(request: &[u8], to: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let hosts = text.matches("Host: a").count() + text.matches("hOsT: a").count();
    if hosts != 1 || text.matches("\r\nHost:").count() > 1 {
        return request.to_vec();
    }
    let at = text.find("Host: a").or_else(|| text.find("hOsT: a")).unwrap() + "Host: ".len();
    let line_end = text[at..].find(['\r', '\n']).unwrap();
    [&request[..at], to.as_bytes(), &request[at + line_end..]].concat()
}

#[test]
fn with_another_host_its_line_is_the_only_difference() {
    let backend = Backend::new();
    let tap = Tap::start_with(&backend.url(), &["--host", "b.example:81"]);
    for case in messages::all() {
        let single_host = case.request.windows(7).filter(|window| window.eq_ignore_ascii_case(b"host: a")).count() == 1;
        // Where there are several requests or Host lines the rewriting of this test is too simple; and a head beyond the
        // limit, or one that can't be told from another, goes on as it came.
        let plain = single_host && !matches!(case.name, "a head larger than is recorded" | "two hosts");
        if !plain || !case.request.is_ascii() {
            continue;
        }
        let expected = with_host(&case.request, "b.example:81");
        assert_ne!(expected, case.request, "{}", case.name);
        for size in [case.request.len(), 7, 1] {
            if size < 100 && case.request.len() > 1000 {
                continue;
            }
            let mut client = connect(tap.addr());
            let mut server = std::thread::scope(|scope| {
                let mut sender = client.try_clone().unwrap();
                let request = &case.request;
                scope.spawn(move || request.chunks(size).for_each(|piece| sender.write_all(piece).unwrap()));
                let mut server = backend.accept();
                expect(&mut server, &expected, case.name);
                server
            });
            std::thread::scope(|scope| {
                scope.spawn(|| server.write_all(&case.response).unwrap());
                expect(&mut client, &case.response, case.name);
            });
        }
    }
}

#[test]
fn the_edit_is_in_the_record() {
    let backend = Backend::new();
    let tap = Tap::start_with(&backend.url(), &["--host", "upstream"]);
    let mut client = connect(tap.addr());
    client.write_all(b"GET / HTTP/1.1\r\nHost: public.example\r\n\r\n").unwrap();
    let mut server = backend.accept();
    let authority = backend.0.local_addr().unwrap().to_string();
    expect(&mut server, format!("GET / HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes(), "the request");
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    let record = tap.record();
    assert_eq!(record["edits"][0]["what"], "host");
    assert_eq!(record["edits"][0]["from"], "public.example");
    assert_eq!(record["edits"][0]["to"], authority);
    assert_eq!(record["request"]["authority"], "public.example");
}

#[test]
fn a_client_that_says_nothing_makes_no_upstream_connection() {
    let backend = Backend::new();
    let tap = Tap::start(&backend.url());
    let silent = connect(tap.addr());
    // A second client proves that the first has had its time.
    pass(tap.addr(), &backend, &messages::all()[0], &[&messages::all()[0].request]);
    backend.0.set_nonblocking(true).unwrap();
    assert!(backend.0.accept().is_err(), "the silent client has an upstream connection");
    drop(silent);
}
