//! HTTP/2 through the tap: messages, resets, ends of connections, and the way to upstreams that have only HTTP/1.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use authtap::exchange::payload;
use bytes::Bytes;
use common::head::answer;
use common::record::{assert_ok, assert_outcome, assert_status, assert_verdict, findings, header_values};
use common::{DEADLINE, Head, Origin, Tap, cert, curl};
use h2::client::SendRequest;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use hyper::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, mpsc};
use tokio::time::timeout;

type Server = Connection<TcpStream, Bytes>;

/// Runs a test's client, and gives it a deadline.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(DEADLINE, test).await.expect("the test takes too long") })
}

/// A server whose connections follow `script`. It ends with the test's process.
fn serve<F, R>(script: F) -> SocketAddr
where
    F: Fn(Server) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    serve_on(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), script)
}

fn serve_on<F, R>(listener: std::net::TcpListener, script: F) -> SocketAddr
where
    F: Fn(Server) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let addr = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                if let Ok(connection) = h2::server::handshake(stream).await {
                    tokio::spawn(script(connection));
                }
            }
        });
    });
    addr
}

/// A server that answers each request by itself.
fn answers<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let answer = Arc::new(answer);
    serve(move |mut connection| {
        let answer = answer.clone();
        async move {
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(answer(request, respond));
            }
        }
    })
}

async fn connect(tap: SocketAddr) -> (SendRequest<Bytes>, impl Future<Output = Result<(), h2::Error>>) {
    let stream = TcpStream::connect(tap).await.unwrap();
    stream.set_nodelay(true).unwrap();
    h2::client::handshake(stream).await.unwrap()
}

/// A client whose connection is driven beside the test.
async fn client(tap: SocketAddr) -> SendRequest<Bytes> {
    let (sender, connection) = connect(tap).await;
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://api.example{path}")).body(()).unwrap()
}

fn grpc() -> Request<()> {
    let request = Request::post("http://api.example/shop.Orders/Get");
    request.header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap()
}

fn grpc_answer() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).unwrap()
}

fn trailers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, HeaderValue::from_static(value));
    }
    map
}

async fn read(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

fn h2c(addr: SocketAddr) -> Tap {
    Tap::start(&format!("h2c://{addr}"))
}

#[test]
fn a_grpc_call_with_trailers() {
    let addr = answers(|mut request, mut respond| async move {
        assert_eq!(request.headers()["te"], "trailers");
        assert_eq!(read(request.body_mut()).await.unwrap(), b"question");
        let mut body = respond.send_response(grpc_answer(), false).unwrap();
        body.send_data(Bytes::from_static(b"answer"), false).unwrap();
        let fields =
            trailers(&[("grpc-status", "16"), ("grpc-message", "who are you?"), ("x-two", "1"), ("x-two", "2")]);
        body.send_trailers(fields).unwrap();
    });
    let tap = h2c(addr);
    run(async {
        let mut client = client(tap.addr()).await;
        let (answer, mut body) = client.send_request(grpc(), false).unwrap();
        body.send_data(Bytes::from_static(b"question"), true).unwrap();
        let mut answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(read(answer.body_mut()).await.unwrap(), b"answer");
        let trailers = answer.body_mut().trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "16");
        assert_eq!(trailers.get_all("x-two").iter().collect::<Vec<_>>(), ["1", "2"]);
    });
    let record = tap.record();
    assert_outcome(&record, "complete");
    assert_verdict(&record, "grpc-auth-status");
    assert_eq!((&record["request"]["version"], &record["response"]["version"]), (&"HTTP/2".into(), &"HTTP/2".into()));
    assert_eq!((&record["request"]["body_bytes"], &record["response"]["body_bytes"]), (&8.into(), &6.into()));
    assert_eq!(record["request"]["authority"], "api.example");
    assert_eq!(record["response"]["trailers"][0][0], "grpc-status");
}

#[test]
fn a_grpc_call_with_trailers_only() {
    let addr = answers(|_, mut respond| async move {
        let mut answer = grpc_answer();
        answer.headers_mut().insert("grpc-status", HeaderValue::from_static("16"));
        respond.send_response(answer, true).unwrap();
    });
    let tap = h2c(addr);
    run(async {
        let mut client = client(tap.addr()).await;
        let mut answer = client.send_request(grpc(), true).unwrap().0.await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "16");
        // They came as one frame, which ended the stream.
        assert!(answer.body().is_end_stream());
        assert!(read(answer.body_mut()).await.unwrap().is_empty());
    });
    let record = tap.record();
    assert_outcome(&record, "complete");
    assert_verdict(&record, "grpc-auth-status");
}

#[test]
fn a_reset_of_the_upstream_keeps_its_code() {
    let addr = answers(|request, mut respond| async move {
        match request.uri().path() {
            "/before" => respond.send_reset(Reason::ENHANCE_YOUR_CALM),
            "/refused" => respond.send_reset(Reason::REFUSED_STREAM),
            _ => {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(b"hello"), false).unwrap();
                body.send_reset(Reason::INADEQUATE_SECURITY);
            }
        }
    });
    let tap = h2c(addr);
    run(async {
        let mut client = client(tap.addr()).await;
        for (path, code) in [("/before", Reason::ENHANCE_YOUR_CALM), ("/refused", Reason::REFUSED_STREAM)] {
            let error = client.send_request(get(path), true).unwrap().0.await.unwrap_err();
            assert!(error.is_reset(), "{error:?}");
            assert_eq!(error.reason(), Some(code));
        }
        // The reset may overtake what came before it.
        let error = match client.send_request(get("/within"), true).unwrap().0.await {
            Ok(mut answer) => read(answer.body_mut()).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.reason(), Some(Reason::INADEQUATE_SECURITY));
    });
    for record in tap.records(3) {
        assert_outcome(&record, "upstream-failed");
        assert_eq!(record["failure"]["step"], "reset");
    }
}

#[test]
fn a_reset_of_the_client_reaches_the_upstream() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let addr = answers(move |request, mut respond| {
        let tell = tell.clone();
        async move {
            tell.send(None).unwrap();
            let code = if request.uri().path() == "/waiting" {
                std::future::poll_fn(|cx| respond.poll_reset(cx)).await
            } else {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                std::future::poll_fn(|cx| body.poll_reset(cx)).await
            };
            tell.send(Some(code.unwrap())).unwrap();
        }
    });
    let tap = h2c(addr);
    run(async {
        let mut client = client(tap.addr()).await;
        let (_answer, mut stream) = client.send_request(get("/waiting"), true).unwrap();
        assert_eq!(told.recv().await.unwrap(), None);
        stream.send_reset(Reason::CANCEL);
        assert_eq!(told.recv().await.unwrap(), Some(Reason::CANCEL));
        let (answer, mut stream) = client.send_request(get("/within"), true).unwrap();
        let _answer = answer.await.unwrap();
        stream.send_reset(Reason::CANCEL);
        assert_eq!(told.recv().await.unwrap(), None);
        assert_eq!(told.recv().await.unwrap(), Some(Reason::CANCEL));
    });
    tap.records(2).iter().for_each(|record| assert_outcome(record, "client-gone"));
}

#[test]
fn a_client_that_vanishes_is_recorded() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let addr = answers(move |_, mut respond| {
        let tell = tell.clone();
        async move {
            tell.send(()).unwrap();
            let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            tell.send(()).unwrap();
        }
    });
    let tap = h2c(addr);
    run(async {
        let (mut sender, connection) = connect(tap.addr()).await;
        let driver = tokio::spawn(connection);
        let _answer = sender.send_request(get("/"), true).unwrap();
        told.recv().await.unwrap();
        driver.abort();
        told.recv().await.unwrap();
    });
    assert_outcome(&tap.record(), "client-gone");
}

#[test]
fn the_upstreams_goaway_is_the_clients() {
    let addr = serve(|mut connection| async move {
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_response(Response::new(()), true).unwrap();
            connection.graceful_shutdown();
        }
    });
    let tap = h2c(addr);
    run(async {
        let (mut sender, connection) = connect(tap.addr()).await;
        let driver = tokio::spawn(connection);
        assert_eq!(sender.send_request(get("/"), true).unwrap().0.await.unwrap().status(), StatusCode::OK);
        // The sender is kept: only a GOAWAY ends the connection.
        driver.await.unwrap().unwrap();
        assert!(sender.ready().await.is_err());
        // The next connection is served.
        let mut next = client(tap.addr()).await;
        assert_eq!(next.send_request(get("/"), true).unwrap().0.await.unwrap().status(), StatusCode::OK);
    });
    tap.records(2).iter().for_each(|record| assert_outcome(record, "complete"));
}

#[test]
fn an_exchange_that_runs_finishes_after_the_goaway() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let go = Arc::new(tokio::sync::Notify::new());
    let addr = serve({
        let go = go.clone();
        move |mut connection| {
            let (tell, go) = (tell.clone(), go.clone());
            async move {
                let (_, mut respond) = connection.accept().await.unwrap().unwrap();
                connection.graceful_shutdown();
                tell.send(()).unwrap();
                tokio::spawn(async move {
                    go.notified().await;
                    let mut body = respond.send_response(Response::new(()), false).unwrap();
                    body.send_data(Bytes::from_static(b"late"), true).unwrap();
                });
                while connection.accept().await.is_some() {}
            }
        }
    });
    let tap = h2c(addr);
    run(async {
        let mut client = client(tap.addr()).await;
        let (answer, _) = client.send_request(get("/"), true).unwrap();
        told.recv().await.unwrap();
        go.notify_one();
        let mut answer = answer.await.unwrap();
        assert_eq!(read(answer.body_mut()).await.unwrap(), b"late");
    });
    assert_outcome(&tap.record(), "complete");
}

#[test]
fn streams_run_at_once() {
    const STREAMS: usize = 20;
    // Nobody is answered before all are there.
    let barrier = Arc::new(Barrier::new(STREAMS));
    let addr = answers(move |request, mut respond| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(request.uri().path().to_owned().into(), true).unwrap();
        }
    });
    let tap = h2c(addr);
    run(async {
        let mut client = client(tap.addr()).await;
        let mut answers = Vec::new();
        for number in 0..STREAMS {
            client = client.ready().await.unwrap();
            let path = format!("/{number}");
            let (answer, _) = client.send_request(get(&path), true).unwrap();
            answers.push((path, answer));
        }
        for (path, answer) in answers {
            assert_eq!(read(answer.await.unwrap().body_mut()).await.unwrap(), path.as_bytes());
        }
    });
    let records = tap.records(STREAMS);
    records.iter().for_each(assert_ok);
    let first = &records[0]["upstream"]["connection"];
    assert!(records.iter().all(|record| record["upstream"]["connection"] == *first), "{records:#?}");
    assert_eq!(records.iter().filter(|record| record["upstream"]["reused"] == false).count(), 1);
}

#[test]
fn duplicates_and_their_order_are_kept() {
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let addr = answers({
        let seen = seen.clone();
        move |request, mut respond| {
            *seen.lock().unwrap() = request.headers().clone();
            let mut answer = Response::new(());
            for challenge in ["Bearer realm=\"a\"", "Basic realm=\"b\"", "Negotiate"] {
                answer.headers_mut().append("www-authenticate", HeaderValue::from_static(challenge));
            }
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            respond.send_response(answer, true).unwrap();
            async {}
        }
    });
    let tap = h2c(addr);
    run(async {
        let mut client = client(tap.addr()).await;
        let mut request = get("/");
        for value in ["2", "1", "3"] {
            request.headers_mut().append("accept-language", HeaderValue::from_static(value));
        }
        let answer = client.send_request(request, true).unwrap().0.await.unwrap();
        let challenges: Vec<_> = answer.headers().get_all("www-authenticate").iter().collect();
        assert_eq!(challenges, ["Bearer realm=\"a\"", "Basic realm=\"b\"", "Negotiate"]);
        // Nothing is added.
        assert_eq!(answer.headers().len(), 3, "{:?}", answer.headers());
    });
    let seen = seen.lock().unwrap();
    assert_eq!(seen.get_all("accept-language").iter().collect::<Vec<_>>(), ["2", "1", "3"]);
    assert_eq!(seen.len(), 3, "{seen:?}");
    let record = tap.record();
    assert_eq!(header_values(&record["request"], "accept-language"), ["2", "1", "3"]);
    let schemes: Vec<_> = record["response"]["challenges"].as_array().unwrap().iter().map(|c| &c["scheme"]).collect();
    assert_eq!(schemes, ["bearer", "basic", "negotiate"]);
}

#[test]
fn big_bodies_pass_both_ways() {
    const SIZE: usize = 8 * 1024 * 1024;
    let addr = answers(|mut request, mut respond| async move {
        let got = read(request.body_mut()).await.unwrap();
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        body.send_data(got.into(), true).unwrap();
    });
    let tap = h2c(addr);
    let sent: Bytes = (0..SIZE).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
    run(async {
        let mut client = client(tap.addr()).await;
        let request = Request::post("http://api.example/").body(()).unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        body.send_data(sent.clone(), true).unwrap();
        let got = read(answer.await.unwrap().body_mut()).await.unwrap();
        assert!(got == sent, "{} bytes came back", got.len());
    });
    let record = tap.record();
    assert_ok(&record);
    assert_eq!((&record["request"]["body_bytes"], &record["response"]["body_bytes"]), (&SIZE.into(), &SIZE.into()));
}

#[test]
fn another_host_is_the_authority_and_in_the_record() {
    let addr = answers(|request, mut respond| async move {
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        body.send_data(request.uri().authority().unwrap().to_string().into(), true).unwrap();
    });
    let tap = Tap::start_with(&format!("h2c://{addr}"), &["--host", "upstream"]);
    run(async {
        let mut client = client(tap.addr()).await;
        let mut answer = client.send_request(get("/"), true).unwrap().0.await.unwrap();
        assert_eq!(read(answer.body_mut()).await.unwrap(), addr.to_string().as_bytes());
    });
    let record = tap.record();
    let edit = &record["edits"][0];
    assert_eq!((&edit["what"], &edit["from"]), (&"host".into(), &"api.example".into()));
    assert_eq!((&edit["to"], &edit["why"]), (&addr.to_string().into(), &"--host asks for it".into()));
    assert_eq!(record["request"]["authority"], "api.example");
}

/// A request with a Host field and no `:authority`, as one is written that was HTTP/1 before.
fn by_host(path: &str) -> Request<()> {
    Request::get(path).header("host", "api.example").body(()).unwrap()
}

#[test]
fn a_host_field_in_place_of_the_authority_says_where_a_request_goes() {
    let addr = answers(|request, mut respond| async move {
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        let both = format!("{} {:?}", request.uri(), request.headers()["host"]);
        body.send_data(both.into(), true).unwrap();
    });
    for (options, wanted, what) in [
        (&[][..], "http://api.example/one \"api.example\"", "authority"),
        (&["--host", "other.example"], "http://other.example/one \"other.example\"", "host"),
    ] {
        let tap = Tap::start_with(&format!("h2c://{addr}"), options);
        run(async {
            let mut client = client(tap.addr()).await;
            let mut answer = client.send_request(by_host("/one"), true).unwrap().0.await.unwrap();
            assert_eq!(read(answer.body_mut()).await.unwrap(), wanted.as_bytes());
        });
        let record = tap.record();
        assert_outcome(&record, "complete");
        assert_eq!(record["edits"][0]["what"], what, "{record:#}");
    }
}

#[test]
fn another_host_replaces_a_host_field_before_an_upstream_that_has_only_http1() {
    let origin = http1_only(|head| answer("200 OK", &[], &head.get("host").unwrap()));
    let tap = Tap::start_with(&origin.url(), &["--host", "other.example"]);
    run(async {
        let mut client = client(tap.addr()).await;
        let mut beside = get("/");
        beside.headers_mut().insert("host", HeaderValue::from_static("api.example"));
        for request in [by_host("/"), beside] {
            let mut answer = client.send_request(request, true).unwrap().0.await.unwrap();
            assert_eq!(read(answer.body_mut()).await.unwrap(), b"other.example");
        }
    });
    tap.records(2).iter().for_each(|record| assert_eq!(record["edits"][0]["from"], "api.example", "{record:#}"));
}

#[test]
fn a_request_that_goes_nowhere_is_a_broken_rule_and_harms_no_other() {
    let addr = answers(|_, mut respond| async move {
        respond.send_response(Response::new(()), true).unwrap();
    });
    let tap = h2c(addr);
    run(async {
        let mut client = client(tap.addr()).await;
        let unnamed = Request::get("/").body(()).unwrap();
        let error = client.send_request(unnamed, true).unwrap().0.await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::PROTOCOL_ERROR));
        assert_eq!(client.send_request(get("/"), true).unwrap().0.await.unwrap().status(), StatusCode::OK);
    });
    assert_outcome(&tap.records(2)[0], "upstream-failed");
}

#[test]
fn an_upstream_that_refuses_is_a_502() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = held.local_addr().unwrap();
    drop(held);
    for scheme in ["h2c", "http"] {
        let tap = Tap::start(&format!("{scheme}://{addr}"));
        run(async {
            let mut client = client(tap.addr()).await;
            let mut answer = client.send_request(get("/"), true).unwrap().0.await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
            let proxy_status = answer.headers()["proxy-status"].to_str().unwrap().to_owned();
            assert_eq!(proxy_status, "authtap; error=connection_refused; details=\"connection refused\"");
            assert!(read(answer.body_mut()).await.unwrap().starts_with(b"authtap: "));
            let head = Request::head("http://api.example/").body(()).unwrap();
            let mut answer = client.send_request(head, true).unwrap().0.await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
            assert!(read(answer.body_mut()).await.unwrap().is_empty(), "an answer to HEAD has no body");
        });
        let record = tap.records(2).remove(0);
        assert_outcome(&record, "upstream-failed");
        assert_verdict(&record, "upstream-failed");
        assert_eq!(record["failure"]["step"], "connect");
        assert_status(&record, 502);
        assert_eq!(record["response"]["by_tap"], true);
    }
}

#[test]
fn an_upstream_that_comes_up_later_is_asked_again_for_http2() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = held.local_addr().unwrap();
    drop(held);
    let tap = Tap::start(&format!("http://{addr}"));
    let status = |tap: SocketAddr| {
        run(async move {
            let mut client = client(tap).await;
            client.send_request(get("/"), true).unwrap().0.await.unwrap().status()
        })
    };
    assert_eq!(status(tap.addr()), StatusCode::BAD_GATEWAY);
    serve_on(std::net::TcpListener::bind(addr).unwrap(), |mut connection| async move {
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_response(Response::new(()), true).unwrap();
        }
    });
    assert_eq!(status(tap.addr()), StatusCode::OK);
    assert_eq!(tap.records(2)[1]["response"]["version"], "HTTP/2");
}

#[test]
fn an_idle_connection_is_closed() {
    let addr = answers(|_, mut respond| async move {
        respond.send_response(Response::new(()), true).unwrap();
    });
    let tap = Tap::start_with(&format!("h2c://{addr}"), &["--idle-timeout", "200ms"]);
    run(async {
        let (sender, connection) = connect(tap.addr()).await;
        let connection = tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let answer = sender.send_request(get("/"), true).unwrap().0.await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        // The sender is kept, so that only the tap can end the connection.
        connection.await.unwrap().unwrap();
        drop(sender);
    });
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_a_504() {
    let addr = answers(|_, mut respond| async move {
        let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
    });
    let tap = Tap::start_with(&format!("h2c://{addr}"), &["--response-timeout", "200ms"]);
    run(async {
        let mut client = client(tap.addr()).await;
        let answer = client.send_request(get("/"), true).unwrap().0.await.unwrap();
        assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        // An upload may take as long as it likes.
        let request = Request::post("http://api.example/").body(()).unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        let mut answer = std::pin::pin!(answer);
        assert!(timeout(Duration::from_millis(600), answer.as_mut()).await.is_err(), "answered within the upload");
        body.send_data(Bytes::new(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    });
    for record in tap.records(2) {
        assert_outcome(&record, "upstream-failed");
        assert_eq!(record["failure"]["step"], "response-timeout");
    }
}

fn is_preface(head: &Head) -> bool {
    head.start_line() == "PRI * HTTP/2.0"
}

/// An origin that closes when it is asked for HTTP/2, as it may, and answers what is HTTP/1.
fn http1_only(answer: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) -> Origin {
    Origin::start(move |conn| {
        while let Some(head) = conn.read_head() {
            if is_preface(&head) {
                return;
            }
            conn.write(&answer(&head));
        }
    })
}

#[test]
fn a_client_of_http2_before_an_upstream_that_has_only_http1() {
    let origin = http1_only(|head| {
        assert_eq!(head.get("host").as_deref(), Some("api.example"));
        answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"x\"", "Keep-Alive: timeout=5"], &head.target())
    });
    let tap = Tap::start(&origin.url());
    run(async {
        let mut client = client(tap.addr()).await;
        for path in ["/one", "/two"] {
            let mut answer = client.send_request(get(path), true).unwrap().0.await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            assert!(!answer.headers().contains_key("keep-alive"));
            assert_eq!(read(answer.body_mut()).await.unwrap(), path.as_bytes());
        }
    });
    for record in tap.records(2) {
        assert_outcome(&record, "complete");
        assert_eq!(record["request"]["version"], "HTTP/2");
        assert_eq!(record["response"]["version"], "HTTP/1.1");
        assert_eq!(record["response"]["challenges"][0]["scheme"], "basic");
    }
}

#[test]
fn an_answer_over_http1_that_breaks_off_resets_the_stream() {
    let origin = Origin::start(|conn| {
        if conn.read_head().is_some_and(|head| !is_preface(&head)) {
            conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        }
    });
    let tap = Tap::start(&origin.url());
    run(async {
        let mut client = client(tap.addr()).await;
        let error = match client.send_request(get("/"), true).unwrap().0.await {
            Ok(mut answer) => read(answer.body_mut()).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.is_reset(), "{error:?}");
    });
    assert_outcome(&tap.record(), "upstream-failed");
}

/// A server within TLS that agrees to `protocols`, and answers what they say.
fn tls_server(protocols: &[&str]) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(cert("localhost.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(cert("localhost.key")).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(stream).await else { return };
                    if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
                        let Ok(mut connection) = h2::server::handshake(tls).await else { return };
                        while let Some(Ok((_, mut respond))) = connection.accept().await {
                            respond.send_response(Response::new(()), true).unwrap();
                        }
                        return;
                    }
                    use tokio::io::{AsyncReadExt, AsyncWriteExt};
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        if tls.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let _ = tls.write_all(&answer("200 OK", &["Connection: close"], "")).await;
                    let _ = tls.shutdown().await;
                });
            }
        });
    });
    addr
}

#[test]
fn the_client_gets_the_protocol_that_the_upstream_takes() {
    for (upstream, client, http_version, alpn) in [
        (&["h2", "http/1.1"][..], "--http2", "2", "h2"),
        (&["http/1.1"], "--http2", "1.1", "http/1.1"),
        (&["h2", "http/1.1"], "--http1.1", "1.1", "http/1.1"),
    ] {
        let addr = tls_server(upstream);
        let ca = cert("ca.pem");
        let tap = Tap::start_with(&format!("https://localhost:{}", addr.port()), &["--tls", "--cacert", &ca]);
        let result = curl(&["-k", client, &tap.url("/")]);
        result.assert_status(200);
        assert_eq!(result.http_version, http_version, "{upstream:?} {client}");
        let record = tap.record();
        assert_ok(&record);
        assert_eq!(record["client"]["tls"]["alpn"], alpn, "{record:#}");
        assert_eq!(record["upstream"]["tls"]["alpn"], alpn, "{record:#}");
        assert_eq!(record["request"]["version"], record["response"]["version"], "{record:#}");
    }
}

#[test]
fn a_client_that_has_only_http2_is_translated_for_an_upstream_that_has_not() {
    let origin = http1_only(|_| answer("200 OK", &[], "plain"));
    let http1 = format!("https://localhost:{}", tls_server(&["http/1.1"]).port());
    for upstream in [origin.url(), http1] {
        let tap = Tap::start_with(&upstream, &["--tls", "--cacert", &cert("ca.pem")]);
        run(async {
            let config =
                rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
            let config = config.with_safe_default_protocol_versions().unwrap();
            let config = config.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate));
            let mut config = config.with_no_client_auth();
            config.alpn_protocols = vec![b"h2".to_vec()];
            let tcp = TcpStream::connect(tap.addr()).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let tls = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let (sender, connection) = h2::client::handshake(tls).await.unwrap();
            tokio::spawn(connection);
            let mut sender = sender.ready().await.unwrap();
            let answer = sender.send_request(get("/"), true).unwrap().0.await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        });
        let record = tap.record();
        assert_outcome(&record, "complete");
        assert_eq!(
            (&record["request"]["version"], &record["response"]["version"]),
            (&"HTTP/2".into(), &"HTTP/1.1".into())
        );
    }
}

/// The tap's certificate is made at start, so nothing can vouch for it.
#[derive(Debug)]
struct AnyCertificate;

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A request that is signed with the hash of `hashed`.
fn signed_for(hashed: &[u8]) -> Request<()> {
    let hash: String = payload::of(hashed).iter().map(|byte| format!("{byte:02x}")).collect();
    let request = Request::put("http://s3.example/bucket/a").header("x-amz-content-sha256", hash);
    let signature = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, \
                     SignedHeaders=host;x-amz-content-sha256, Signature=0123456789abcdef";
    request.header("authorization", signature).body(()).unwrap()
}

#[test]
fn a_signed_body_is_hashed_where_all_of_it_passed() {
    let addr = answers(|mut request, mut respond| async move {
        // Who names this waits for no body.
        if request.headers().get("x-early").is_none() {
            read(request.body_mut()).await.unwrap();
        }
        respond.send_response(Response::builder().status(403).body(()).unwrap(), true).unwrap();
    });
    for (hashed, is_whole, expected) in [(&b"body"[..], true, false), (b"other", true, true), (b"other", false, false)]
    {
        let tap = h2c(addr);
        run(async {
            let mut client = client(tap.addr()).await;
            let mut request = signed_for(hashed);
            if !is_whole {
                request.headers_mut().insert("x-early", HeaderValue::from_static("1"));
            }
            let (answer, mut body) = client.send_request(request, false).unwrap();
            body.send_data(Bytes::from_static(b"bo"), false).unwrap();
            if is_whole {
                body.send_data(Bytes::from_static(b"dy"), true).unwrap();
            }
            assert_eq!(answer.await.unwrap().status(), StatusCode::FORBIDDEN);
        });
        let record = tap.record();
        let rule = "sigv4-payload-hash-mismatch";
        assert_eq!(findings(&record).iter().any(|finding| finding["rule"] == rule), expected, "{record:#}");
    }
}
