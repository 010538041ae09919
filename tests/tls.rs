//! TLS on both sides: what is trusted, what is shown, and what is said when it does not fit.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::head::answer;
use common::record::{assert_ok, assert_outcome, assert_verdict};
use common::{Client, DEADLINE, Origin, Tap, cert, curl};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What a server within TLS learned of its client.
#[derive(Debug)]
struct Learned {
    server_name: Option<String>,
    has_certificate: bool,
}

/// Answers one request a connection within TLS, and says what it learned of the client.
fn tls_origin(name: &str, wants_certificate: bool) -> (SocketAddr, Receiver<Learned>) {
    tls_origin_of(name, wants_certificate, "secret service")
}

/// The same with that body in its answers.
fn tls_origin_of(name: &str, wants_certificate: bool, body: &'static str) -> (SocketAddr, Receiver<Learned>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(cert(&format!("{name}.pem"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(cert(&format!("{name}.key"))).unwrap();
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = if wants_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(cert("ca.pem")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, learned) = channel();
    // It ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.ends_with(b"\r\n\r\n") {
                // A client that does not trust the certificate leaves here.
                match common::read_once(&mut tls, &mut buffer) {
                    Ok(got @ 1..) => request.extend_from_slice(&buffer[..got]),
                    _ => break,
                }
            }
            if request.is_empty() {
                continue;
            }
            let server_name = tls.conn.server_name().map(str::to_owned);
            let has_certificate = tls.conn.peer_certificates().is_some();
            let _ = tell.send(Learned { server_name, has_certificate });
            let _ = tls.write_all(&answer("200 OK", &["Connection: close"], body));
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    });
    (addr, learned)
}

fn url(addr: SocketAddr) -> String {
    format!("https://localhost:{}", addr.port())
}

#[test]
fn each_bad_certificate_is_a_502_that_says_why() {
    for (name, ca, why) in [
        ("expired", "ca.pem", "its certificate has expired"),
        ("wrong-name", "ca.pem", "its certificate is for another name"),
        ("self-signed", "ca.pem", "its certificate is from an unknown issuer; give its CA with --cacert"),
        // An authority that did not sign it.
        ("localhost", "self-signed.pem", "its certificate is from an unknown issuer; give its CA with --cacert"),
    ] {
        let (addr, _) = tls_origin(name, false);
        let tap = Tap::start_with(&url(addr), &["--cacert", &cert(ca)]);
        let (head, body) = Client::connect(tap.addr()).send(GET).read_response();
        assert_eq!(head.status(), 502, "{name}");
        let proxy_status = head.get("proxy-status").unwrap();
        assert_eq!(proxy_status, format!("authtap; error=tls_protocol_error; details=\"{why}\""), "{name}");
        assert!(String::from_utf8_lossy(&body).contains(why), "{name}");
        let record = tap.record();
        assert_outcome(&record, "upstream-failed");
        assert_verdict(&record, "upstream-failed");
        assert_eq!(record["failure"]["step"], "tls");
        assert_eq!(record["failure"]["reason"], why);
    }
}

#[test]
fn without_options_the_platforms_authorities_are_trusted_and_no_others() {
    let (addr, _) = tls_origin("localhost", false);
    let tap = Tap::start(&url(addr));
    assert_eq!(Client::connect(tap.addr()).send(GET).read_response().0.status(), 502);
    let record = tap.record();
    assert_eq!(record["failure"]["step"], "tls", "{record:#}");
}

#[test]
fn insecure_passes_every_certificate_and_says_so() {
    for name in ["expired", "wrong-name", "self-signed", "localhost"] {
        let (addr, _) = tls_origin(name, false);
        let tap = Tap::start_with(&url(addr), &["-k"]);
        assert_eq!(Client::connect(tap.addr()).send(GET).read_response().1, b"secret service", "{name}");
        let record = tap.record();
        assert_outcome(&record, "complete");
        assert_eq!(record["upstream"]["tls"]["verified"], false);
        let stopped = tap.stop();
        assert!(stopped.stderr.contains("WARNING: --insecure"), "{stopped:#?}");
        assert!(stopped.stderr.contains("NOT verified"), "{stopped:#?}");
    }
}

#[test]
fn a_given_authority_is_trusted_and_the_name_arrives() {
    let (addr, learned) = tls_origin("localhost", false);
    let tap = Tap::start_with(&url(addr), &["--cacert", &cert("ca.pem")]);
    assert_eq!(Client::connect(tap.addr()).send(GET).read_response().1, b"secret service");
    let learned = learned.recv_timeout(DEADLINE).unwrap();
    assert_eq!(learned.server_name.as_deref(), Some("localhost"));
    assert!(!learned.has_certificate);
    let record = tap.record();
    assert_ok(&record);
    let tls = &record["upstream"]["tls"];
    assert_eq!(
        (&tls["verified"], &tls["version"], &tls["server_name"]),
        (&true.into(), &"TLSv1.3".into(), &"localhost".into())
    );
    assert!(record["client"]["tls"].is_null());
    assert!(!tap.stop().stderr.contains("WARNING"));
}

#[test]
fn a_client_certificate_is_shown_to_an_upstream_that_wants_one() {
    let (addr, learned) = tls_origin("localhost", true);
    let (cert_file, key_file, ca) = (cert("client.pem"), cert("client.key"), cert("ca.pem"));
    let tap = Tap::start_with(&url(addr), &["--cacert", &ca, "--cert", &cert_file, "--key", &key_file]);
    assert_eq!(Client::connect(tap.addr()).send(GET).read_response().1, b"secret service");
    assert!(learned.recv_timeout(DEADLINE).unwrap().has_certificate);
    assert_ok(&tap.record());
}

#[test]
fn an_upstream_that_wants_a_certificate_and_gets_none_is_a_502_that_says_so() {
    let (addr, _) = tls_origin("localhost", true);
    let tap = Tap::start_with(&url(addr), &["--cacert", &cert("ca.pem")]);
    let (head, _) = Client::connect(tap.addr()).send(GET).read_response();
    assert_eq!(head.status(), 502);
    let record = tap.record();
    assert_eq!(record["failure"]["step"], "tls", "{record:#}");
    assert_eq!(record["failure"]["reason"], "it wants a client certificate; give one with --cert and --key");
}

#[test]
fn an_upstream_that_speaks_no_tls_is_a_502() {
    let origin = Origin::start(|conn| {
        conn.read_exact(1);
        conn.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        conn.read_to_end();
    });
    let tap = Tap::start_with(&url(origin.addr()), &["--cacert", &cert("ca.pem")]);
    assert_eq!(Client::connect(tap.addr()).send(GET).read_response().0.status(), 502);
    let record = tap.record();
    assert_eq!(
        (&record["failure"]["step"], &record["failure"]["reason"]),
        (&"tls".into(), &"what it speaks is not TLS".into())
    );
}

#[test]
fn an_upstream_that_leaves_within_the_handshake_is_a_502() {
    let origin = Origin::start(|conn| drop(conn.read_exact(1)));
    let tap = Tap::start_with(&url(origin.addr()), &["--cacert", &cert("ca.pem")]);
    assert_eq!(Client::connect(tap.addr()).send(GET).read_response().0.status(), 502);
    let record = tap.record();
    assert_eq!(record["failure"]["step"], "tls", "{record:#}");
    assert!(record["failure"]["reason"].as_str().unwrap().ends_with("during the handshake"), "{record:#}");
}

#[test]
fn an_upstream_that_hangs_in_the_handshake_is_given_up() {
    let origin = Origin::start(|conn| drop(conn.read_to_end()));
    let tap = Tap::start_with(&url(origin.addr()), &["--cacert", &cert("ca.pem"), "--handshake-timeout", "200ms"]);
    assert_eq!(Client::connect(tap.addr()).send(GET).read_response().0.status(), 502);
    assert_eq!(tap.record()["failure"]["reason"], "the handshake took too long");
}

#[test]
fn a_listener_with_a_certificate_made_at_start() {
    let origin = Origin::reply(answer("200 OK", &[], "plain service"));
    let tap = Tap::start_with(&origin.url(), &["--tls"]);
    assert_eq!(tap.addresses()[0].scheme, "https");
    // It is for this machine's names, but nobody has signed it.
    let result = curl(&[&tap.url("/")]);
    assert_eq!((result.exit, result.status), (60, 0), "{result:#?}");
    let result = curl(&["-k", &tap.url("/")]);
    result.assert_status(200);
    assert_eq!(result.body(), "plain service");
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(record["client"]["tls"]["version"], "TLSv1.3");
    assert!(record["upstream"]["tls"].is_null());
}

#[test]
fn a_listener_with_a_given_certificate_before_an_upstream_within_tls() {
    let (addr, _) = tls_origin("localhost", false);
    let (cert_file, key_file, ca) = (cert("localhost.pem"), cert("localhost.key"), cert("ca.pem"));
    let tap = Tap::start_with(&url(addr), &["--tls-cert", &cert_file, "--tls-key", &key_file, "--cacert", &ca]);
    let by_name = format!("https://localhost:{}/", tap.addr().port());
    let result = curl(&["--cacert", &ca, "--resolve", &format!("localhost:{}:127.0.0.1", tap.addr().port()), &by_name]);
    result.assert_status(200);
    assert_eq!(result.body(), "secret service");
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(record["client"]["tls"]["server_name"], "localhost");
    assert_eq!(record["upstream"]["tls"]["verified"], true);
}

#[test]
fn a_plain_client_of_a_tls_listener_does_no_harm() {
    let origin = Origin::reply(answer("200 OK", &[], "plain service"));
    let tap = Tap::start_with(&origin.url(), &["--tls"]);
    let mut client = Client::connect(tap.addr());
    // What comes back, if anything, is an alert of TLS.
    let back = client.send(GET).read_until_gone();
    assert!(!back.starts_with(b"HTTP"), "{}", back.escape_ascii());
    curl(&["-k", &tap.url("/")]).assert_status(200);
    tap.records(1);
}

#[test]
fn a_client_that_hangs_in_the_handshake_is_given_up() {
    let origin = Origin::reply("").may_be_unused();
    let tap = Tap::start_with(&origin.url(), &["--tls", "--handshake-timeout", "200ms"]);
    let mut client = Client::connect(tap.addr());
    client.send(b"\x16\x03\x01").read_until_gone();
}

#[test]
fn a_tls_client_of_a_plain_listener_does_no_harm() {
    let origin = Origin::start(|conn| {
        // A backend answers such bytes with a refusal, or closes; and serves whoever speaks HTTP.
        if conn.read_exact(1) == b"G" {
            conn.read_head();
            conn.write(&answer("200 OK", &["Connection: close"], "plain service"));
        }
    });
    let tap = Tap::start(&origin.url());
    let result = curl(&["-k", &format!("https://{}/", tap.addr())]);
    assert_eq!(result.status, 0, "{result:#?}");
    assert_eq!(Client::connect(tap.addr()).send(GET).read_response().1, b"plain service");
}

#[test]
fn an_upstream_that_ends_tls_without_saying_so_has_just_ended() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(cert("localhost.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(cert("localhost.key")).unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (stream, _): (TcpStream, _) = listener.accept().unwrap();
        let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        tls.read_exact(&mut vec![0; GET.len()]).unwrap();
        tls.write_all(&answer("200 OK", &[], "whole")).unwrap();
        tls.flush().unwrap();
    });
    let tap = Tap::start_with(&url(addr), &["-k"]);
    let mut client = Client::connect(tap.addr());
    assert_eq!(client.send(GET).read_response().1, b"whole");
    assert!(client.read_to_end().is_empty());
    server.join().unwrap();
    assert_outcome(&tap.record(), "complete");
}

#[test]
fn files_that_hold_something_else_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let junk = dir.path().join("junk.pem");
    std::fs::write(&junk, "not a certificate\n").unwrap();
    let (junk, missing) = (junk.to_str().unwrap(), dir.path().join("missing.pem").to_str().unwrap().to_owned());
    let (localhost, key, other_key) = (cert("localhost.pem"), cert("localhost.key"), cert("client.key"));
    for (options, words) in [
        (vec!["--cacert", junk], vec!["--cacert", junk, "no certificate in PEM"]),
        (vec!["--cacert", &missing], vec!["--cacert", &missing, "cannot read"]),
        (vec!["--cacert", &key], vec!["--cacert", &key, "no certificate in PEM"]),
        (vec!["--cert", &localhost, "--key", junk], vec!["--key", junk, "no private key in PEM"]),
        (vec!["--tls-cert", &localhost, "--tls-key", &localhost], vec!["--tls-key", "no private key in PEM"]),
        (vec!["--tls-cert", &localhost, "--tls-key", &other_key], vec!["--tls-cert", &localhost, "belong together"]),
    ] {
        // A file that is named is read, whether an upstream needs it or not.
        for tap in ["127.0.0.1:0=https://127.0.0.1:1", "127.0.0.1:0=http://127.0.0.1:1"] {
            let output = common::tap::command().args(&options).arg(tap).stdin(Stdio::null()).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{options:?}: {stderr}");
            for word in words.iter().chain(&["try: "]) {
                assert!(stderr.contains(word), "{options:?}: {word:?} is not in: {stderr}");
            }
        }
    }
    let mut command = common::tap::command();
    let output = command.args(["--cert", &localhost, "https://127.0.0.1:1"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// A key set whose publisher has a certificate of a private authority, and a token that names a key of another set.
#[test]
fn keys_are_fetched_within_tls() {
    const KEYS: &str =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}"#;
    let refusal =
        answer("401 Unauthorized", &["WWW-Authenticate: Bearer error=\"invalid_token\"", "Connection: close"], "");
    let origin = common::Origin::reply(refusal);
    let claims = ["{\"alg\":\"EdDSA\",\"kid\":\"b\"}", "{\"sub\":\"anna\"}"].map(|part| URL_SAFE_NO_PAD.encode(part));
    let token = format!("{}.{}", claims.join("."), URL_SAFE_NO_PAD.encode([7; 64]));
    for (ca, verdict, words) in
        [("ca.pem", "jwt-key-unknown", ""), ("self-signed.pem", "credentials-rejected", "signatures stay unchecked")]
    {
        let (addr, learned) = tls_origin_of("localhost", false, KEYS);
        let options = ["--jwks", &format!("{}/keys?version=2", url(addr)), "--cacert", &cert(ca)];
        let tap = Tap::start_with(&origin.url(), &options);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        assert_eq!(Client::connect(tap.addr()).send(request).read_response().0.status(), 401);
        assert_verdict(&tap.record(), verdict);
        if words.is_empty() {
            assert_eq!(learned.recv().unwrap().server_name.as_deref(), Some("localhost"));
        }
        let stderr = tap.stop().stderr;
        assert!(stderr.contains(words) && !stderr.contains("version=2"), "{stderr}");
    }
}
