//! TLS that fails at each of its steps, on both sides: the client is told by a 502 where it can be told anything, the record
//! says why, nothing is left behind, and the next client is served.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::frames::{self, RawClient};
use common::head::answer;
use common::record::{assert_outcome, assert_status};
use common::{Client, DEADLINE, Origin, Tap, cert, wait_for};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn server_config() -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(cert("localhost.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(cert("localhost.key")).unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// Answers one request within TLS.
fn serve(stream: TcpStream) {
    let mut tls = StreamOwned::new(ServerConnection::new(server_config()).unwrap(), stream);
    let mut request = [0; GET.len()];
    if tls.read_exact(&mut request).is_ok() {
        let _ = tls.write_all(&answer("200 OK", &["Connection: close"], "served"));
        tls.conn.send_close_notify();
        let _ = tls.flush();
    }
}

/// An upstream whose first connection follows `script`, and whose others are served within TLS. It ends with the test's
/// process.
fn fails_first(script: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let is_first = AtomicBool::new(true);
        for mut stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            if is_first.swap(false, Ordering::SeqCst) { script(&mut stream) } else { serve(stream) }
        }
    });
    addr
}

fn before(upstream: SocketAddr) -> Tap {
    Tap::start_with(&format!("https://localhost:{}", upstream.port()), &["--cacert", &cert("ca.pem")])
}

/// What a client is told of a connection that failed like that, and the record of it.
#[track_caller]
fn refusal(script: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (String, Value) {
    let tap = before(fails_first(script));
    let (head, _) = Client::connect(tap.addr()).send(GET).read_response();
    assert_eq!(head.status(), 502, "{head:?}");
    assert_eq!(Client::connect(tap.addr()).send(GET).read_response().1, b"served");
    let records = tap.records(2);
    assert_outcome(&records[0], "upstream-failed");
    assert_status(&records[0], 502);
    assert_eq!(records[0]["response"]["by_tap"], true);
    assert_outcome(&records[1], "complete");
    (head.get("proxy-status").unwrap(), records[0].clone())
}

/// Reads the client's first flight.
fn read_hello(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).unwrap();
    [&head[..], &body].concat()
}

/// What a server answers to that flight.
fn first_flight(hello: &[u8]) -> Vec<u8> {
    let mut server = ServerConnection::new(server_config()).unwrap();
    server.read_tls(&mut &hello[..]).unwrap();
    server.process_new_packets().unwrap();
    let mut flight = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut flight).unwrap();
    }
    flight
}

fn reset_at_end(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

#[test]
fn a_handshake_that_the_upstream_cuts_anywhere_is_a_502() {
    // How many bytes of the flight go out, or how many are left of it.
    for (place, first, left) in [
        ("before its first byte", Some(0), 0),
        ("within the head of its first record", Some(3), 0),
        ("within its hello", Some(60), 0),
        ("behind its hello", None, 500),
        ("before its last byte", None, 1),
    ] {
        for resets in [false, true] {
            let (status, record) = refusal(move |stream| {
                let flight = first_flight(&read_hello(stream));
                stream.write_all(&flight[..first.unwrap_or(flight.len() - left)]).unwrap();
                if resets {
                    reset_at_end(stream);
                }
            });
            assert!(status.starts_with("authtap; error=tls_protocol_error; details="), "{place}: {status}");
            assert_eq!(record["failure"]["step"], "tls", "{place}: {record:#}");
            let reason = record["failure"]["reason"].as_str().unwrap();
            assert!(reason.ends_with("during the handshake"), "{place}: {reason}");
        }
    }
}

#[test]
fn no_version_or_cipher_in_common_is_a_502_that_says_so() {
    // A server that has nothing newer than TLS 1.1 says so by its hello, or by an alert.
    let old_hello = {
        let body = [&[3, 2][..], &[7; 32], &[0, 0, 47, 0]].concat();
        let handshake = [&[2, 0, 0, body.len() as u8][..], &body].concat();
        [&[0x16, 3, 2, 0, handshake.len() as u8][..], &handshake].concat()
    };
    for (bytes, words) in [
        (old_hello, "it has no TLS version or cipher in common with us"),
        (vec![0x15, 3, 1, 0, 2, 2, 70], "ProtocolVersion"),
        (vec![0x15, 3, 3, 0, 2, 2, 40], "HandshakeFailure"),
    ] {
        let (status, record) = refusal(move |stream| {
            read_hello(stream);
            stream.write_all(&bytes).unwrap();
            let _ = common::read_once(stream, &mut [0; 64]);
        });
        assert!(status.contains("error=tls_protocol_error") && status.contains(words), "{status}");
        assert_eq!(record["failure"]["step"], "tls", "{record:#}");
    }
}

#[test]
fn what_is_no_tls_is_a_502_at_every_step() {
    for behind_flight in [false, true] {
        for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2p1\r\n", &[0xff; 64]] {
            let (status, record) = refusal(move |stream| {
                let hello = read_hello(stream);
                if behind_flight {
                    let flight = first_flight(&hello);
                    stream.write_all(&flight[..flight.len() / 2]).unwrap();
                }
                stream.write_all(garbage).unwrap();
                let _ = common::read_once(stream, &mut [0; 64]);
            });
            assert!(status.contains("error=tls_protocol_error"), "{status}");
            assert_eq!(record["failure"]["step"], "tls", "{record:#}");
        }
    }
}

#[test]
fn plain_bytes_behind_the_handshake_never_reach_the_client() {
    // Who can write into the connection must not be able to answer in the server's place.
    let (status, record) = refusal(|stream| {
        let mut server = ServerConnection::new(server_config()).unwrap();
        while server.is_handshaking() {
            server.complete_io(stream).unwrap();
        }
        let mut request = [0; GET.len()];
        rustls::Stream::new(&mut server, stream).read_exact(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged").unwrap();
        let _ = common::read_once(stream, &mut [0; 64]);
    });
    assert!(status.contains("error=tls_protocol_error"), "{status}");
    assert_eq!(record["failure"]["step"], "tls", "{record:#}");
}

#[test]
fn an_upstream_that_leaves_behind_the_handshake_is_a_502() {
    let (status, record) = refusal(|stream| {
        let mut server = ServerConnection::new(server_config()).unwrap();
        while server.is_handshaking() {
            server.complete_io(stream).unwrap();
        }
        reset_at_end(stream);
    });
    assert!(status.contains("error=connection_terminated"), "{status}");
    // The system does not always tell one from the other.
    assert!(record["failure"]["step"] == "reset" || record["failure"]["step"] == "closed", "{record:#}");
}

#[test]
fn a_client_of_http2_is_told_as_well() {
    let tap = before(fails_first(|stream| {
        read_hello(stream);
        stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).unwrap();
    }));
    let mut client = RawClient::connect(tap.addr(), &[]);
    client.send(&frames::get(1, "/"));
    assert!(client.read_until(frames::HEADERS).has_status("502"));
    assert!(client.read_body(1) > 0);
    let record = tap.record();
    assert_outcome(&record, "upstream-failed");
    assert_eq!(record["failure"]["step"], "tls", "{record:#}");
}

/// A tap within TLS, before an origin that answers each request and closes where it is asked for HTTP/2.
fn tls_tap(origin: &Origin) -> Tap {
    let (cert_file, key_file) = (cert("localhost.pem"), cert("localhost.key"));
    // Whose descriptors nobody but root could count otherwise.
    Tap::start_with(&origin.url(), &["--tls-cert", &cert_file, "--tls-key", &key_file, "--allow-core"])
}

fn tls_client() -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap()
}

/// The next bytes that the client wants to send.
fn pending(tls: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// A new client within TLS gets its answer.
#[track_caller]
fn assert_serves(tap: &Tap) {
    let stream = TcpStream::connect(tap.addr()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut tls = StreamOwned::new(tls_client(), stream);
    tls.write_all(GET.as_bytes()).unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"served") {
        let mut buffer = [0; 1024];
        let size = common::read_once(&mut tls, &mut buffer).unwrap();
        assert!(size > 0, "{}", got.escape_ascii());
        got.extend_from_slice(&buffer[..size]);
    }
}

fn descriptors(tap: &Tap) -> usize {
    fs::read_dir(format!("/proc/{}/fd", tap.id())).unwrap().count()
}

#[test]
fn clients_that_start_tls_and_go_away_leave_nothing_behind() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    let tap = tls_tap(&origin);
    assert_serves(&tap);
    let port = format!(":{:04X} ", tap.addr().port());
    let idle = wait_for("the first connection to end", DEADLINE, || {
        let connections = fs::read_to_string(format!("/proc/{}/net/tcp", tap.id())).unwrap();
        let is_open = connections.lines().any(|line| line.contains(&port) && line.contains(" 01 "));
        (!is_open).then(|| descriptors(&tap))
    });
    for cut in [1, 3, 5, 6, 50, usize::MAX] {
        for finishes in [false, true] {
            for resets in [false, true] {
                let mut tls = tls_client();
                let hello = pending(&mut tls);
                let mut client = Client::connect(tap.addr());
                client.send(&hello[..hello.len().min(cut)]);
                if finishes && cut == usize::MAX {
                    // The server's flight is there; what would answer it is cut.
                    client.read_exact(64);
                    client.send([0x14, 3, 3, 0, 1, 1]);
                }
                if resets { client.reset() } else { drop(client) }
            }
        }
    }
    wait_for("all descriptors to be closed", DEADLINE, || (descriptors(&tap) <= idle).then_some(()));
    assert_serves(&tap);
    // Nobody of them had asked for anything.
    tap.records(2);
}

#[test]
fn a_client_of_an_old_version_is_sent_away_with_an_alert() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    let tap = tls_tap(&origin);
    // A hello of TLS 1.1 with one cipher and no extension.
    let body = [&[3, 2][..], &[7; 32], &[0, 0, 2, 0, 47, 1, 0]].concat();
    let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    let hello = [&[0x16, 3, 1, 0, handshake.len() as u8][..], &handshake].concat();
    let back = Client::connect(tap.addr()).send(hello).read_until_gone();
    assert!(back.is_empty() || back.starts_with(&[0x15, 3]), "{}", back.escape_ascii());
    assert_serves(&tap);
    tap.records(1);
    let stopped = tap.stop();
    assert!(stopped.stderr.contains("no TLS handshake with the client"), "{stopped:#?}");
}

#[test]
fn plain_bytes_of_a_client_behind_its_handshake_reach_no_upstream() {
    let origin = Origin::reply(answer("200 OK", &[], "served"));
    let tap = tls_tap(&origin);
    let mut stream = TcpStream::connect(tap.addr()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut tls = tls_client();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).unwrap();
    }
    stream.write_all(b"GET /forged HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    // An alert, and the end.
    let _ = stream.read_to_end(&mut Vec::new());
    assert_serves(&tap);
    tap.records(1);
    assert!(!origin.received_text().contains("forged"));
}
