//! The PROXY protocol, from real load balancers to the tap, and from the tap to real servers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::os::unix::net::UnixStream;
use std::time::Instant;

use common::head::answer;
use common::record::{assert_ok, assert_untouched};
use common::{Client, Conn, DEADLINE, Haproxy, Nginx, Origin, Server, Tap, cert, curl, wait_for};

const IN: &str = "--proxy-protocol-in";

fn orders() -> Origin {
    Origin::serve(|_| answer("200 OK", &["Content-Type: text/plain"], "orders\n"))
}

/// HAProxy before the tap, which passes bytes and says whose they are.
fn balancer(bind: &str, tap: &Tap, how: &str) -> Server {
    let app = tap.addr();
    Haproxy::start(
        &format!(
            "frontend in\n    mode tcp\n    bind @ADDR@ {bind}\n    default_backend app\n\
             backend app\n    mode tcp\n    server app {app} {how}\n"
        ),
        &[],
    )
}

/// nginx that wants a header, and says in its answer whose address was in it.
fn nginx_behind(listen: &str) -> Server {
    Nginx::start(
        &format!(
            r"
            server {{
                listen @ADDR@ {listen};
                ssl_certificate @CERTS@/localhost.pem;
                ssl_certificate_key @CERTS@/localhost.key;
                add_header X-Client $proxy_protocol_addr:$proxy_protocol_port;
                add_header X-Server $proxy_protocol_server_addr:$proxy_protocol_server_port;
                add_header X-Protocol $server_protocol;
                return 200 orders;
            }}
            "
        ),
        &[],
    )
}

const GET: &str = "GET /v1 HTTP/1.1\r\nHost: api.example\r\n\r\n";

#[test]
fn curl_says_who_it_is() {
    let origin = orders();
    let tap = Tap::start_with(&origin.url(), &[IN]);
    curl(&["--haproxy-protocol", &tap.url("/v1")]).assert_status(200);
    let record = tap.record();
    assert_ok(&record);
    assert_untouched(&record);
    assert_eq!(record["client"]["proxy_protocol"]["version"], "v1");
    assert!(!origin.received_text().contains("PROXY"));
}

#[test]
fn haproxy_says_whose_a_connection_is_in_both_versions() {
    for (how, version) in [("send-proxy", "v1"), ("send-proxy-v2", "v2")] {
        let origin = orders();
        let tap = Tap::start_with(&origin.url(), &[IN]);
        let haproxy = balancer("", &tap, how);
        let mut client = Client::connect(haproxy.addr());
        client.send(GET).read_response();
        let record = tap.record();
        assert_ok(&record);
        let own = client.stream().local_addr().unwrap().to_string();
        assert_eq!(record["client"]["addr"], own, "{how}");
        assert_eq!(record["client"]["proxy_protocol"]["version"], version);
        let from = record["client"]["proxy_protocol"]["from"].as_str().unwrap();
        assert!(from.starts_with("127.0.0.1:") && from != own, "{from}");
        // The bytes behind the header are the client's, and nothing else went on.
        assert_eq!(origin.received_text(), GET);
    }
}

#[test]
fn haproxy_says_whether_its_client_spoke_tls() {
    let origin = orders();
    let tap = Tap::start_with(&origin.url(), &[IN]);
    let pem =
        [cert("localhost.pem"), cert("localhost.key")].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    let app = tap.addr();
    let haproxy = Haproxy::start(
        &format!(
            "frontend in\n    bind @ADDR@ ssl crt @DIR@/both.pem\n    default_backend app\n\
             backend app\n    server app {app} send-proxy-v2-ssl\n"
        ),
        &[("both.pem", &pem)],
    );
    curl(&["--cacert", &cert("ca.pem"), &haproxy.https_url("/v1")]).assert_status(200);
    assert_eq!(tap.record()["client"]["proxy_protocol"]["client_tls"], true);

    let tap = Tap::start_with(&origin.url(), &[IN]);
    let haproxy = balancer("", &tap, "send-proxy-v2-ssl");
    curl(&[&haproxy.url("/v1")]).assert_status(200);
    assert_eq!(tap.record()["client"]["proxy_protocol"]["client_tls"], false);
}

#[test]
fn the_header_stands_before_tls_and_before_http2() {
    let origin = orders();
    let options = [IN, "--tls-cert", &cert("localhost.pem"), "--tls-key", &cert("localhost.key")];
    let tap = Tap::start_with(&origin.url(), &options);
    let haproxy = balancer("", &tap, "send-proxy-v2");
    let ca = cert("ca.pem");
    curl(&["--cacert", &ca, &haproxy.https_url("/v1")]).assert_status(200);
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(record["client"]["proxy_protocol"]["version"], "v2");
    assert_eq!(record["client"]["tls"]["version"], "TLSv1.3");

    let nginx = Nginx::start("server { listen @ADDR@ http2; return 200 two; }", &[]);
    let tap = Tap::start_with(&nginx.url(""), &[IN]);
    let haproxy = balancer("", &tap, "send-proxy");
    let result = curl(&["--http2-prior-knowledge", &haproxy.url("/v1")]);
    assert_eq!(result.assert_status(200).http_version, "2");
    assert_eq!(tap.record()["client"]["proxy_protocol"]["version"], "v1");
}

#[test]
fn a_header_may_come_in_pieces_and_be_that_of_nobody() {
    let origin = orders();
    let tap = Tap::start_with(&origin.url(), &[IN]);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    let unix = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8"[..], &[0; 216]].concat();
    let v1 = b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n";
    for (header, addr) in
        [(&v1[..], Some("[2001:db8::9]:4711")), (b"PROXY UNKNOWN\r\n", None), (local, None), (&unix, Some("unix:"))]
    {
        let mut client = Client::connect(tap.addr());
        let before = tap.records_now().len();
        client.send_bytewise(header).send_bytewise(GET).read_response();
        let record = tap.records(before + 1).remove(before);
        let own = client.stream().local_addr().unwrap().to_string();
        assert_eq!(record["client"]["addr"], addr.unwrap_or(&own));
        assert_eq!(record["client"]["proxy_protocol"].is_null(), addr.is_none(), "{:#}", record["client"]);
    }
    let sent = origin.received_text();
    assert_eq!(sent, GET.repeat(4));
}

#[test]
fn who_brings_no_header_is_turned_away_and_nothing_goes_on() {
    let origin = orders().may_be_unused();
    let tap = Tap::start_with(&origin.url(), &[IN, "--handshake-timeout", "200ms"]);
    for bytes in [
        GET,
        "PROXY TCP4 203.0.113.9\r\n",
        "\u{16}\u{3}\u{1}",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        let mut client = Client::connect(tap.addr());
        client.send(bytes);
        assert!(client.read_until_gone().is_empty(), "{bytes:?}");
    }
    // One who says nothing, and one who stops in the midst of it.
    for bytes in ["", "PROXY TCP4 203.0.1"] {
        let (mut client, began) = (Client::connect(tap.addr()), Instant::now());
        client.send(bytes);
        assert!(client.read_until_gone().is_empty());
        assert!(began.elapsed().as_millis() >= 200, "{bytes:?}");
    }
    assert!(origin.received_text().is_empty());
    let stopped = tap.stop();
    assert!(stopped.records.is_empty());
    let warned = stopped.stderr.lines().filter(|line| line.contains("--proxy-protocol-in awaits")).count();
    // One a second, however many there are.
    assert!((1..=3).contains(&warned), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("it does not begin with a header"), "{}", stopped.stderr);
}

#[test]
fn who_only_looks_whether_somebody_listens_is_nobody_to_warn_of() {
    let origin = orders();
    let tap = Tap::start_with(&origin.url(), &[IN]);
    drop(Client::connect(tap.addr()));
    curl(&["--haproxy-protocol", &tap.url("/v1")]).assert_status(200);
    assert!(!tap.stop().stderr.contains("awaits"));
}

#[test]
fn a_header_that_nobody_asked_for_goes_on_and_is_told() {
    let origin = Origin::start(|conn: &mut Conn| {
        let mut header = Vec::new();
        while !header.ends_with(b"\r\n") {
            header.extend(conn.read_exact(1));
        }
        assert!(header.starts_with(b"PROXY TCP4 127.0.0.1"), "{}", header.escape_ascii());
        conn.read_head().unwrap();
        conn.write(&answer("200 OK", &[], "orders\n"));
    });
    let tap = Tap::start(&origin.url());
    curl(&["--haproxy-protocol", &tap.url("/v1")]);
    wait_for("the warning", DEADLINE, || tap.stderr().contains("--proxy-protocol-in reads it").then_some(()));
}

#[test]
fn nginx_behind_is_told_the_clients_address() {
    for version in ["v1", "v2"] {
        let nginx = nginx_behind("proxy_protocol");
        let tap = Tap::start_with(&nginx.url(""), &["--proxy-protocol-out", version]);
        let mut client = Client::connect(tap.addr());
        let (head, body) = client.send(GET).read_response();
        assert_eq!(body, b"orders");
        let own = client.stream().local_addr().unwrap().to_string();
        assert_eq!(head.get("x-client"), Some(own.clone()), "{version}");
        assert_eq!(head.get("x-server"), Some(tap.addr().to_string()));
        assert_ok(&tap.record());
    }
}

#[test]
fn haproxy_behind_is_told_the_clients_address() {
    let haproxy = Haproxy::start(
        "frontend in\n    bind @ADDR@ accept-proxy\n    http-request return status 200 content-type text/plain \
         string orders hdr X-Client \"%[src]:%[src_port]\" hdr X-Server \"%[dst]:%[dst_port]\"\n",
        &[],
    );
    for version in ["v1", "v2"] {
        let tap = Tap::start_with(&haproxy.url(""), &["--proxy-protocol-out", version]);
        let mut client = Client::connect(tap.addr());
        let (head, _) = client.send(GET).read_response();
        let own = client.stream().local_addr().unwrap().to_string();
        assert_eq!(head.get("x-client"), Some(own.clone()), "{version}");
        assert_eq!(head.get("x-server"), Some(tap.addr().to_string()));
    }
}

#[test]
fn the_upstream_is_told_before_tls_and_over_http2() {
    let nginx = nginx_behind("ssl http2 proxy_protocol");
    let ca = cert("ca.pem");
    let options = [
        "--proxy-protocol-out",
        "v2",
        "--cacert",
        &ca,
        "--tls-cert",
        &cert("localhost.pem"),
        "--tls-key",
        &cert("localhost.key"),
    ];
    let tap = Tap::start_with(&nginx.https_url(""), &options);
    for (version, protocol) in [("--http2", "HTTP/2.0"), ("--http1.1", "HTTP/1.1")] {
        let result = curl(&[version, "--cacert", &ca, &tap.url("/v1")]);
        result.assert_status(200);
        assert_eq!(result.header("x-protocol").as_deref(), Some(protocol));
        assert!(result.header("x-client").unwrap().starts_with("127.0.0.1:"), "{result:?}");
    }
    for record in tap.records(2) {
        assert_ok(&record);
        assert_eq!(record["upstream"]["tls"]["verified"], true);
    }
}

/// The connection on which the tap asks whether the upstream knows HTTP/2 is nobody's, and says so.
#[test]
fn whether_the_upstream_knows_http2_is_asked_in_nobodys_name() {
    for (listen, upstream_version) in [("http2 proxy_protocol", "HTTP/2.0"), ("proxy_protocol", "HTTP/1.1")] {
        for version in ["v1", "v2"] {
            let nginx = nginx_behind(listen);
            let tap = Tap::start_with(&nginx.url(""), &["--proxy-protocol-out", version]);
            let result = curl(&["--http2-prior-knowledge", &tap.url("/v1")]);
            result.assert_status(200);
            assert_eq!(result.header("x-protocol").as_deref(), Some(upstream_version), "{listen} {version}");
            assert!(result.header("x-client").unwrap().starts_with("127.0.0.1:"));
            assert_ok(&tap.record());
        }
    }
}

/// Gives the first bytes of a connection, and answers.
fn listening(length: usize) -> Origin {
    Origin::start(move |conn: &mut Conn| {
        conn.read_exact(length);
        if conn.read_head().is_some() {
            conn.write(&answer("200 OK", &["Connection: close"], "orders\n"));
        }
    })
}

#[test]
fn what_came_in_goes_out_as_it_was_or_in_the_other_version() {
    let v1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n".to_vec();
    let address = [203, 0, 113, 9, 198, 51, 100, 1, 0x12, 0x67, 1, 0xbb];
    let v2 = |rest: &[u8]| {
        let length = u16::try_from(12 + rest.len()).unwrap().to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &length, &address, rest].concat()
    };
    // An unknown type of field, which a cloud has for its own.
    let with_field = v2(b"\xea\x00\x03\x01vp");
    let cases = [
        ("v1", &v1, v1.clone()),
        ("v2", &with_field, with_field.clone()),
        ("v1", &with_field, v1.clone()),
        ("v2", &v1, v2(&[])),
    ];
    for (out, sent, expected) in cases {
        let origin = listening(expected.len());
        let tap = Tap::start_with(&origin.url(), &[IN, "--proxy-protocol-out", out]);
        Client::connect(tap.addr()).send(sent).send(GET).read_response();
        let received = origin.received().concat();
        assert_eq!(received[..expected.len()].escape_ascii().to_string(), expected.escape_ascii().to_string());
        assert_eq!(&received[expected.len()..], GET.as_bytes());
        assert_eq!(tap.record()["client"]["addr"], "203.0.113.9:4711");
    }
}

#[test]
fn of_a_client_behind_a_socket_nothing_is_said() {
    let origin = listening("PROXY UNKNOWN\r\n".len());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tap.sock");
    let tap = Tap::run(&["--proxy-protocol-out", "v1"], &[&format!("unix:{}={}", path.display(), origin.url())]);
    drop(UnixStream::connect(&path).unwrap());
    curl(&["--unix-socket", path.to_str().unwrap(), "http://api.example/v1"]).assert_status(200);
    assert!(origin.received_text().starts_with("PROXY UNKNOWN\r\nGET /v1"), "{}", origin.received_text());
    assert_ok(&tap.record());
}
