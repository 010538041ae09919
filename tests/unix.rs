//! Sockets of the Unix domain, as listeners and as upstreams.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use common::canaries::PASSWORD;
use common::head::answer;
use common::path::bearer;
use common::record::{assert_ok, assert_outcome, assert_untouched, assert_verdict, header_values};
use common::{Client, DEADLINE, Nginx, Origin, Tap, cert, curl, tap};
use tempfile::TempDir;

/// A folder that other users may enter, as nginx does.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn socket(dir: &TempDir, name: &str) -> String {
    dir.path().join(name).to_str().unwrap().to_owned()
}

fn orders() -> Origin {
    Origin::serve(|_| answer("200 OK", &["Content-Type: text/plain"], "orders\n"))
}

/// Serves one connection on the socket.
fn serve_once(path: &str, script: impl FnOnce(UnixStream) + Send + 'static) -> JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        script(stream);
    })
}

fn connect(path: &str) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn read_until(stream: &mut UnixStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(end) {
        assert_eq!(
            common::read_once(stream, &mut byte).unwrap(),
            1,
            "closed after {:?}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.push(byte[0]);
    }
    bytes
}

#[test]
fn a_client_comes_by_a_socket() {
    let (dir, origin) = (folder(), orders());
    let path = socket(&dir, "tap.sock");
    let tap = Tap::run(&["--threads", "4"], &[&format!("unix:{path}={}", origin.url())]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    for _ in 0..20 {
        let result = curl(&["--unix-socket", &path, "-H", &bearer(), "http://api.example/v1"]);
        result.assert_status(200);
        assert_eq!(result.body(), "orders\n");
    }
    for record in tap.records(20) {
        // What passes by a socket does not cross the network, so that nothing is wrong with it.
        assert_ok(&record);
        assert_untouched(&record);
        assert_eq!(record["client"]["addr"], "unix:");
        assert_eq!(header_values(&record["request"], "Host"), ["api.example"]);
    }
    let stopped = tap.stop();
    assert_eq!(stopped.code, Some(0));
    assert!(stopped.stderr.contains(&format!("unix:{path}  ->  {}", origin.url())), "{}", stopped.stderr);
    assert!(!Path::new(&path).exists(), "the socket goes with the program");
}

#[test]
fn a_client_speaks_tls_by_a_socket() {
    let (dir, origin) = (folder(), orders());
    let path = socket(&dir, "tap.sock");
    let options = ["--tls-cert", &cert("localhost.pem"), "--tls-key", &cert("localhost.key")];
    let tap = Tap::run(&options, &[&format!("unix:{path}={}", origin.url())]);
    let ca = cert("ca.pem");
    // Who leaves without a word is nobody to warn of.
    drop(connect(&path));
    curl(&["--unix-socket", &path, "--cacert", &ca, "https://localhost/v1"]).assert_status(200);
    let record = tap.record();
    assert_ok(&record);
    assert_eq!((&record["client"]["addr"], &record["client"]["tls"]["version"]), (&"unix:".into(), &"TLSv1.3".into()));
    assert!(!tap.stop().stderr.contains("handshake"));
}

#[test]
fn nginx_behind_a_socket_gets_what_the_client_sent() {
    let nginx = Nginx::start(
        r#"
        server {
            listen unix:@DIR@/app.sock;
            root @DIR@;
            location / {
                auth_basic "orders";
                auth_basic_user_file @DIR@/users;
                add_header X-Saw-Host $http_host;
            }
        }
        server { listen @ADDR@; }
        "#,
        &[("users", &format!("alice:{{PLAIN}}{PASSWORD}\n")), ("hello", "hello\n")],
    );
    let path = nginx.dir().join("app.sock");
    let tap = Tap::start(&format!("unix:{}", path.display()));
    let result = curl(&["-u", &format!("alice:{PASSWORD}"), &tap.url("/hello")]);
    result.assert_status(200);
    assert_eq!(result.body(), "hello\n");
    assert_eq!(result.header("x-saw-host"), Some(tap.addr().to_string()));
    let record = tap.record();
    assert_ok(&record);
    assert_untouched(&record);
    let url = format!("unix:{}", path.display());
    assert_eq!((&record["upstream"]["url"], &record["upstream"]["addr"]), (&url.clone().into(), &url.into()));
}

#[test]
fn nginx_before_a_socket_passes_its_requests_to_the_tap() {
    let (dir, origin) = (folder(), orders());
    let path = socket(&dir, "tap.sock");
    let tap = Tap::run(&[], &[&format!("unix:{path}={}", origin.url())]);
    let nginx =
        Nginx::start(&format!("server {{ listen @ADDR@; location / {{ proxy_pass http://unix:{path}:; }} }}"), &[]);
    let result = curl(&["-H", &bearer(), &nginx.url("/v1")]);
    result.assert_status(200);
    assert_eq!(result.body(), "orders\n");
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(record["client"]["addr"], "unix:");
}

#[test]
fn a_half_closed_request_and_its_answer_pass_from_socket_to_socket() {
    let dir = folder();
    let (front, back) = (socket(&dir, "tap.sock"), socket(&dir, "app.sock"));
    let backend = serve_once(&back, |mut stream| {
        let mut bytes = Vec::new();
        // All until the client's end, and only then the answer.
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    });
    let tap = Tap::run(&[], &[&format!("unix:{front}=unix:{back}")]);
    let mut client = connect(&front);
    client.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    backend.join().unwrap();
    assert_ok(&tap.record());
}

#[test]
fn an_upgraded_connection_passes_from_socket_to_socket() {
    let dir = folder();
    let (front, back) = (socket(&dir, "tap.sock"), socket(&dir, "app.sock"));
    let backend = serve_once(&back, |mut stream| {
        read_until(&mut stream, b"\r\n\r\n");
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n").unwrap();
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    let tap = Tap::run(&[], &[&format!("unix:{front}=unix:{back}")]);
    let mut client = connect(&front);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n").unwrap();
    assert!(read_until(&mut client, b"\r\n\r\n").starts_with(b"HTTP/1.1 101 "));
    client.write_all(b"ping").unwrap();
    assert_eq!(read_until(&mut client, b"ping"), b"ping");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    backend.join().unwrap();
    assert_outcome(&tap.record(), "upgraded");
}

#[test]
fn http2_by_prior_knowledge_passes_by_sockets() {
    let dir = folder();
    let nginx = Nginx::start(
        "server { listen unix:@DIR@/app.sock http2; return 200 \"two\\n\"; } server { listen @ADDR@; }",
        &[],
    );
    let (front, back) = (socket(&dir, "tap.sock"), nginx.dir().join("app.sock"));
    let tap = Tap::run(&[], &[&format!("unix:{front}=unix:{}", back.display())]);
    let result = curl(&["--http2-prior-knowledge", "--unix-socket", &front, "http://api.example/v1"]);
    result.assert_status(200);
    assert_eq!((result.body().as_str(), result.http_version.as_str()), ("two\n", "2"));
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(record["response"]["version"], "HTTP/2");
}

#[test]
fn a_socket_that_nobody_serves_is_a_502_with_its_reason() {
    let dir = folder();
    let path = socket(&dir, "nobody.sock");
    let tap = Tap::start(&format!("unix:{path}"));
    curl(&[&tap.url("/")]).assert_status(502);
    drop(UnixListener::bind(&path).unwrap());
    curl(&[&tap.url("/")]).assert_status(502);
    let records = tap.records(2);
    assert_eq!(records[0]["failure"]["reason"], "there is no such socket");
    assert_eq!(records[1]["failure"]["reason"], "connection refused");
    for record in &records {
        assert_verdict(record, "upstream-failed");
        assert_eq!(record["failure"]["step"], "connect");
    }
}

/// On a port, the kernel has clients wait for a server that is behind; at a socket they have to see to it themselves.
#[test]
fn a_full_queue_is_waited_for() {
    let dir = folder();
    let path = socket(&dir, "busy.sock");
    let address = socket2::SockAddr::unix(&path).unwrap();
    let new = || socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let listener = new();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let mut waiting = Vec::new();
    loop {
        let socket = new();
        socket.set_nonblocking(true).unwrap();
        match socket.connect(&address) {
            Ok(()) => waiting.push(socket),
            Err(error) => break assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
    let patient = Tap::start(&format!("unix:{path}"));
    let mut client = Client::connect(patient.addr());
    client.send("GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n");
    // Meanwhile the patient one has tried as well.
    let hasty = Tap::run(&["--connect-timeout", "300ms"], &[&format!(":0=unix:{path}")]);
    curl(&[&hasty.url("/v1")]).assert_status(504);
    let record = hasty.record();
    assert_verdict(&record, "upstream-failed");
    assert_eq!(record["failure"]["step"], "connect-timeout");
    assert_eq!(record["failure"]["reason"], "the server accepted no more connections within 300ms");

    let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    drop(waiting);
    let listener = UnixListener::from(std::os::fd::OwnedFd::from(listener));
    let server = thread::spawn(move || {
        // Those that filled the queue have left, and send nothing.
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            if common::read_once(&mut stream, &mut [0; 1024]).unwrap() > 0 {
                return stream.write_all(reply).unwrap();
            }
        }
    });
    assert_eq!(client.read_exact(reply.len()), reply);
    server.join().unwrap();
    assert_ok(&patient.record());
}

/// Runs the program until it ends by itself, and gives what it says.
fn refused(listen: &str) -> String {
    let output = tap::command().arg(format!("{listen}=http://127.0.0.1:1")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_socket_that_is_left_behind_is_replaced_and_nothing_else() {
    let (dir, origin) = (folder(), orders());
    let path = socket(&dir, "tap.sock");
    let listen = format!("unix:{path}");
    let first = Tap::run(&[], &[&format!("{listen}={}", origin.url())]);

    let said = refused(&listen);
    assert!(said.contains("another program listens on it") && said.contains("try: another path"), "{said}");
    curl(&["--unix-socket", &path, "http://a/"]).assert_status(200);

    first.kill();
    assert!(Path::new(&path).exists(), "one that is killed leaves its socket behind");
    let second = Tap::run(&[], &[&format!("{listen}={}", origin.url())]);
    curl(&["--unix-socket", &path, "http://a/"]).assert_status(200);
    assert_eq!(second.stop().code, Some(0));
    assert!(!Path::new(&path).exists());

    fs::write(&path, "kept").unwrap();
    let said = refused(&listen);
    assert!(said.contains("what is there is no socket") && said.contains("move that file away"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    let said = refused(&format!("unix:{}", socket(&dir, "no/tap.sock")));
    assert!(said.contains("its folder does not exist") && said.contains("make the folder"), "{said}");
}

/// A second program takes the place of one that is still draining; that one leaves the new socket alone.
#[test]
fn a_successor_keeps_its_socket_when_its_predecessor_ends() {
    let dir = folder();
    let path = socket(&dir, "tap.sock");
    let held = Origin::start(|conn| {
        while conn.read_head().is_some() {
            conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
            // The rest comes when the client has seen the start.
            if conn.read_head().is_none() {
                return;
            }
            conn.write(b"k");
        }
    });
    let front = Tap::start(&format!("unix:{path}"));
    let first = Tap::run(&[], &[&format!("unix:{path}={}", held.url())]);
    let mut client = Client::connect(front.addr());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_until(|bytes| bytes.ends_with(b"\r\n\r\no"));
    first.signal("TERM");
    // It accepts no more from here on, and the file is gone.
    common::wait_for("the end of the listener", DEADLINE, || (!Path::new(&path).exists()).then_some(()));
    let origin = orders();
    let second = Tap::run(&[], &[&format!("unix:{path}={}", origin.url())]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_until(|bytes| bytes.starts_with(b"k"));
    drop(client);
    assert_eq!(first.wait().code, Some(0));
    curl(&["--unix-socket", &path, "http://a/"]).assert_status(200);
    assert_eq!(second.stop().code, Some(0));
}

/// However it is spelled.
#[test]
fn a_socket_that_would_be_its_own_upstream_is_refused() {
    let dir = folder();
    fs::create_dir(dir.path().join("sub")).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("sub/link")).unwrap();
    std::os::unix::fs::symlink(socket(&dir, "tap.sock"), dir.path().join("other.sock")).unwrap();
    for upstream in ["tap.sock", "./tap.sock", "sub/../tap.sock", "sub/link/tap.sock", "other.sock"] {
        let tap = format!("unix:{}=unix:{upstream}", socket(&dir, "tap.sock"));
        let output = tap::command().current_dir(dir.path()).arg(&tap).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("its own upstream"), "{tap}: {said}");
    }
}

#[test]
fn what_is_recorded_of_a_socket_can_be_checked_and_exported() {
    let (dir, origin) = (folder(), orders());
    let path = socket(&dir, "tap.sock");
    let tap = Tap::run(&[], &[&format!("unix:{path}={}", origin.url())]);
    curl(&["--unix-socket", &path, "http://api.example/v1"]).assert_status(200);
    tap.record();
    let file: PathBuf = tap.record_file();
    for command in ["check", "har"] {
        let output = tap::command().arg(command).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let output =
        tap::command().args(["check", "--filter", "client:unix", "--format", "json"]).arg(&file).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"unix:\""), "{output:?}");
}
