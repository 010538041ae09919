//! A real curl, in all its ways to log in, before a scripted backend; large bodies; and a WebSocket by hand.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use authtap::exchange::payload;
use common::canaries::{BEARER_TOKEN, PASSWORD, WRONG_BEARER_TOKEN, WRONG_PASSWORD, assert_secret_absent};
use common::head::answer;
use common::record::{
    assert_finding, assert_no_alarm, assert_ok, assert_outcome, assert_status, assert_untouched, assert_verdict,
    findings, header_values, scheme,
};
use common::{Client, CurlResult, Origin, Tap, curl, ntlm};

const MIB: u64 = 1024 * 1024;

/// Base64 of `alice:` and the right password.
fn basic() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("alice:{PASSWORD}"))
}

fn right() -> String {
    format!("alice:{PASSWORD}")
}

fn wrong() -> String {
    format!("alice:{WRONG_PASSWORD}")
}

fn hello() -> Vec<u8> {
    answer("200 OK", &["Content-Type: text/plain"], "hello\n")
}

fn wants(authorization: String, challenge: &'static str) -> Origin {
    Origin::serve(move |head| match head.get("authorization") {
        Some(value) if value == authorization => hello(),
        _ => answer("401 Unauthorized", &[challenge, "Content-Type: text/plain"], "no\n"),
    })
}

/// Runs the same call without the tap and through it, and holds the answers against each other.
fn both(origin: &Origin, args: &[&str]) -> (Tap, CurlResult) {
    let url = format!("{}/me", origin.url());
    let direct = curl(&[args, &[&url]].concat());
    origin.forget();
    let tap = Tap::start(&origin.url());
    let result = curl(&[args, &[&tap.url("/me")]].concat());
    assert_eq!(
        (result.exit, result.status, &result.stdout),
        (direct.exit, direct.status, &direct.stdout),
        "{result:#?}"
    );
    (tap, result)
}

#[test]
fn basic_right_and_wrong() {
    let origin = wants(format!("Basic {}", basic()), "WWW-Authenticate: Basic realm=\"orders\"");

    let (tap, result) = both(&origin, &["--basic", "-u", &right()]);
    result.assert_status(200);
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(scheme(&record), "basic");
    drop(tap);

    let (tap, result) = both(&origin, &["--basic", "-u", &wrong()]);
    result.assert_status(401);
    assert_finding(&tap.record(), "credentials-rejected", "error");
}

#[test]
fn bearer_right_and_wrong() {
    let origin =
        wants(format!("Bearer {BEARER_TOKEN}"), "WWW-Authenticate: Bearer realm=\"orders\", error=\"invalid_token\"");

    let (tap, result) = both(&origin, &["--oauth2-bearer", BEARER_TOKEN]);
    result.assert_status(200);
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(scheme(&record), "bearer");
    assert_eq!(record["request"]["credentials"][0]["scheme_as_sent"], "Bearer");
    drop(tap);

    let (tap, result) = both(&origin, &["--oauth2-bearer", WRONG_BEARER_TOKEN]);
    result.assert_status(401);
    assert_finding(&tap.record(), "credentials-rejected", "error");
}

/// Offers two digests and takes any answer that is complete; curl does the computing.
fn digest_origin(extra_challenge: Option<&'static str>) -> Origin {
    Origin::serve(move |head| {
        let complete = head.get("authorization").is_some_and(|value| {
            value.starts_with("Digest ")
                && ["username=", "realm=", "nonce=", "uri=", "response=", "cnonce=", "nc=00000001"]
                    .iter()
                    .all(|part| value.contains(part))
        });
        if complete {
            return hello();
        }
        let mut fields = vec![
            "WWW-Authenticate: Digest realm=\"orders\", qop=\"auth\", algorithm=SHA-256, nonce=\"n0nce\", opaque=\"0paque\"",
            "WWW-Authenticate: Digest realm=\"orders\", qop=\"auth\", algorithm=MD5, nonce=\"n0nce\", opaque=\"0paque\"",
        ];
        fields.extend(extra_challenge);
        answer("401 Unauthorized", &fields, "")
    })
}

#[test]
fn digest_takes_two_legs() {
    let origin = digest_origin(None);

    let (tap, result) = both(&origin, &["--digest", "-u", &right()]);

    result.assert_status(200);
    let records = tap.records(2);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_eq!(records[0]["response"]["challenges"].as_array().map(Vec::len), Some(2));
    assert_ok(&records[1]);
    assert_eq!(scheme(&records[1]), "digest");
}

#[test]
fn anyauth_picks_the_strongest_scheme() {
    let origin = digest_origin(Some("WWW-Authenticate: Basic realm=\"orders\""));

    let (tap, result) = both(&origin, &["--anyauth", "-u", &right()]);

    result.assert_status(200);
    let records = tap.records(2);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_eq!(records[0]["response"]["challenges"].as_array().map(Vec::len), Some(3));
    assert_ok(&records[1]);
    assert_eq!(scheme(&records[1]), "digest");
}

/// The messages of the handshake in the order in which they arrived, and the proof that they share a connection.
fn ntlm_messages(origin: Origin) -> Vec<String> {
    let connections = origin.finish();
    assert_eq!(connections.len(), 1, "NTLM needs one connection");
    let text = String::from_utf8(connections.concat()).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("Authorization: NTLM ")).map(ToOwned::to_owned).collect()
}

fn assert_ntlm_stays_secret(tap: &Tap, messages: &[String]) {
    let record = std::fs::read_to_string(tap.record_file()).unwrap();
    for message in messages {
        assert_secret_absent(message, &record);
        assert_secret_absent(message, &tap.stdout());
    }
}

#[test]
fn ntlm_authenticates_the_connection() {
    let origin = ntlm::origin(true);

    let (tap, result) = both(&origin, &["--ntlm", "-u", &right()]);

    result.assert_status(200);
    let records = tap.records(2);
    assert_no_alarm(&records[0]);
    assert_status(&records[0], 401);
    assert_ok(&records[1]);
    assert_eq!((scheme(&records[0]), scheme(&records[1])), ("ntlm", "ntlm"));
    assert_eq!(records[0]["upstream"]["connection"], records[1]["upstream"]["connection"]);
    let messages = ntlm_messages(origin);
    assert_eq!(messages.len(), 2);
    assert_ntlm_stays_secret(&tap, &messages);
}

#[test]
fn ntlm_after_a_question_has_two_refusals_that_are_none() {
    let origin = ntlm::origin(true);

    let (tap, result) = both(&origin, &["--anyauth", "-u", &right()]);

    result.assert_status(200);
    let records = tap.records(3);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_no_alarm(&records[1]);
    assert_status(&records[1], 401);
    assert_ok(&records[2]);
    let messages = ntlm_messages(origin);
    assert_eq!(messages.len(), 2);
    assert_ntlm_stays_secret(&tap, &messages);
}

#[test]
fn ntlm_that_is_refused_after_type_3_is_a_rejected_credential() {
    let origin = ntlm::origin(false);

    let (tap, result) = both(&origin, &["--ntlm", "-u", &wrong()]);

    result.assert_status(401);
    let records = tap.records(2);
    assert_no_alarm(&records[0]);
    assert_finding(&records[1], "credentials-rejected", "error");
    assert_ntlm_stays_secret(&tap, &ntlm_messages(origin));
}

/// A file whose bytes depend on their place, so that a body that is cut, doubled or swapped has another hash.
fn large_file(path: &Path, mib: u64) -> blake3::Hash {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut hasher = blake3::Hasher::new();
    for part in 0..mib {
        let chunk = chunk(part);
        hasher.update(&chunk);
        file.write_all(&chunk).unwrap();
    }
    file.flush().unwrap();
    hasher.finalize()
}

/// The `part`-th MiB of the large body.
fn chunk(part: u64) -> Vec<u8> {
    let mut chunk = vec![0; MIB as usize];
    blake3::Hasher::new().update(&part.to_le_bytes()).finalize_xof().fill(&mut chunk);
    chunk
}

#[test]
fn an_early_401_spares_the_client_its_upload() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upload");
    large_file(&file, 2);
    // Without `Connection: close`: it is the client's affair what it does with the connection.
    let origin = Origin::start(|conn| {
        let head = conn.read_head().unwrap();
        assert_eq!(head.get("expect").as_deref(), Some("100-continue"));
        conn.write(&answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"orders\""], "no\n"));
        let body = conn.read_to_end();
        assert_eq!(body.len(), 0, "the client was told not to send");
    });

    let user = wrong();
    // A client that waits only briefly for the 100 would send all the same, on a machine that is slow.
    let args = ["-u", &user, "--expect100-timeout", "60", "-H", "Expect: 100-continue", "-T", file.to_str().unwrap()];
    let (tap, result) = both(&origin, &args);

    result.assert_status(401);
    let record = tap.record();
    assert_finding(&record, "credentials-rejected", "error");
    assert_untouched(&record);
    drop(tap);
    origin.finish();
}

#[test]
fn an_expected_100_goes_back_before_the_body() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upload");
    let hash = large_file(&file, 2);
    let origin = Origin::start(move |conn| {
        let head = conn.read_head().unwrap();
        assert_eq!(head.get("expect").as_deref(), Some("100-continue"));
        conn.write(b"HTTP/1.1 100 Continue\r\n\r\n");
        let mut hasher = blake3::Hasher::new();
        conn.stream_body(2 * MIB, |bytes| {
            hasher.update(bytes);
        });
        assert_eq!(hasher.finalize(), hash);
        conn.write(&hello());
        assert!(conn.read_to_end().is_empty());
    });

    let user = right();
    let args = ["-u", &user, "--expect100-timeout", "60", "-H", "Expect: 100-continue", "-T", file.to_str().unwrap()];
    let (tap, result) = both(&origin, &args);

    result.assert_status(200);
    assert!(result.heads.starts_with("HTTP/1.1 100 Continue\r\n"), "{result:#?}");
    let record = tap.record();
    assert_ok(&record);
    assert_status(&record, 200);
    drop(tap);
    origin.finish();
}

/// A backend that refuses each signature, when it has read the whole body.
fn refuses_signatures() -> Origin {
    Origin::start(|conn| {
        while let Some(head) = conn.read_head() {
            if head.get("expect").is_some() {
                conn.write(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            conn.read_body(&head);
            conn.write(&answer("403 Forbidden", &["Content-Type: application/xml"], SIGNATURE_REFUSED));
        }
    })
}

const SIGNATURE_REFUSED: &str = "<Error><Code>SignatureDoesNotMatch</Code></Error>";

/// A request that is signed, with the hash of `hashed` and the given framing and body behind it.
fn signed_for(hashed: &[u8], framing: &str, body: &[u8]) -> Vec<u8> {
    let hash = hex(&payload::of(hashed));
    let head = format!(
        "PUT /bucket/a HTTP/1.1\r\nHost: s3.example\r\n{framing}\r\nX-Amz-Date: 20261124T120000Z\r\n\
         X-Amz-Content-Sha256: {hash}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={}\r\n\r\n",
        "0123456789abcdef".repeat(4)
    );
    [head.as_bytes(), body].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const PAYLOAD_RULE: &str = "sigv4-payload-hash-mismatch";

fn has_payload_finding(record: &serde_json::Value) -> bool {
    findings(record).iter().any(|finding| finding["rule"] == PAYLOAD_RULE)
}

#[test]
fn a_right_hash_of_the_body_is_no_cause_of_a_refusal() {
    let origin = refuses_signatures();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("body");
    large_file(&file, 1);
    let from_file = format!("@{}", file.display());
    let large = std::fs::read(&file).unwrap();
    for (data, body) in [("{\"id\":17}", &b"{\"id\":17}"[..]), ("", b""), (&from_file, &large)] {
        let tap = Tap::start(&origin.url());
        let url = tap.url("/bucket/a");
        // Older ones do not send it by themselves.
        let hash = format!("X-Amz-Content-Sha256: {}", hex(&payload::of(body)));
        let signed = ["--aws-sigv4", "aws:amz:us-east-1:s3", "-u", &right(), "--data-binary", data];
        let fields = ["-H", "Expect:", "-H", "Content-Type: text/plain", "-H", &hash];
        let result = curl(&[&signed[..], &fields, &[&url]].concat());
        result.assert_status(403);
        let record = tap.record();
        assert_eq!(header_values(&record["request"], "X-Amz-Content-Sha256").len(), 1, "{record:#}");
        assert!(!has_payload_finding(&record), "{record:#}");
    }
}

#[test]
fn a_hash_of_another_body_is_found() {
    const CHUNKED: &str = "Transfer-Encoding: chunked";
    let origin = refuses_signatures();
    let send = |request: &[u8]| {
        let tap = Tap::start(&origin.url());
        let mut client = Client::connect(tap.addr());
        client.send(request);
        client.close_write();
        client.read_to_end();
        (tap.record(), tap)
    };
    let (sound, chunks) = (b"{\"id\":17}", b"4\r\n{\"id\r\n6;a=b\r\n\":17 }\r\n0\r\n\r\n");

    let (record, tap) = send(&signed_for(sound, "Content-Length: 10", b"{\"id\":17 }"));
    assert_finding(&record, PAYLOAD_RULE, "error");
    assert_eq!(findings(&record)[0]["certainty"], "certain", "{record:#}");
    drop(tap);

    // What is hashed is the body, without the framing of its chunks.
    let (record, tap) = send(&signed_for(sound, CHUNKED, chunks));
    assert_finding(&record, PAYLOAD_RULE, "error");
    drop(tap);
    let (record, tap) = send(&signed_for(b"{\"id\":17 }", CHUNKED, chunks));
    assert!(!has_payload_finding(&record), "{record:#}");
    drop(tap);

    let large = vec![b'a'; MIB as usize];
    let framing = format!("Content-Length: {MIB}");
    let (record, tap) = send(&signed_for(&large, &framing, &large));
    assert!(!has_payload_finding(&record), "{record:#}");
    drop(tap);
    let (record, tap) = send(&signed_for(b"", &framing, &large));
    assert_finding(&record, PAYLOAD_RULE, "error");
    drop(tap);
}

#[test]
fn a_large_body_is_hashed_and_not_kept() {
    let origin = Origin::start(|conn| {
        let head = conn.read_head().unwrap();
        conn.stream_body(head.content_length().unwrap(), |_| {});
        conn.write(&answer("403 Forbidden", &["Content-Type: application/xml"], SIGNATURE_REFUSED));
        assert!(conn.read_to_end().is_empty());
    });
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    client.send(signed_for(b"", &format!("Content-Length: {}", LARGE * MIB), b""));
    for _ in 0..LARGE {
        client.send(vec![b'a'; MIB as usize]);
    }
    client.close_write();
    client.read_to_end();
    assert_finding(&tap.record(), PAYLOAD_RULE, "error");
    assert!(tap.peak_memory_kib() < MEMORY_LIMIT_KIB, "{} KiB", tap.peak_memory_kib());
}

#[test]
fn a_body_that_was_not_seen_whole_has_no_hash() {
    let origin = Origin::start(|conn| {
        conn.read_head().unwrap();
        conn.read_exact(4);
        conn.write(&answer("403 Forbidden", &["Connection: close"], ""));
    });
    let tap = Tap::start(&origin.url());
    let mut client = Client::connect(tap.addr());
    client.send(signed_for(b"half", "Content-Length: 8", b"half"));
    client.close_write();
    client.read_to_end();
    let record = tap.record();
    assert_status(&record, 403);
    assert!(!has_payload_finding(&record), "{record:#}");
}

const LARGE: u64 = 100;
/// A tap that kept a body would need more than the body's size.
const MEMORY_LIMIT_KIB: u64 = 64 * 1024;

#[test]
fn a_large_upload_passes_whole_and_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upload");
    let hash = large_file(&file, LARGE);
    let seen = Arc::new(Mutex::new(None));
    let origin = Origin::start({
        let seen = Arc::clone(&seen);
        move |conn| {
            let head = conn.read_head().unwrap();
            if head.get("expect").is_some() {
                conn.write(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            let length = head.content_length().unwrap();
            let mut hasher = blake3::Hasher::new();
            conn.stream_body(length, |bytes| {
                hasher.update(bytes);
            });
            *seen.lock().unwrap() = Some((length, hasher.finalize()));
            conn.write(&hello());
            assert!(conn.read_to_end().is_empty());
        }
    });
    let tap = Tap::start(&origin.url());

    let result = curl(&["-u", &right(), "-T", file.to_str().unwrap(), &tap.url("/upload")]);

    result.assert_status(200);
    assert_eq!(*seen.lock().unwrap(), Some((LARGE * MIB, hash)));
    assert_ok(&tap.record());
    assert!(tap.peak_memory_kib() < MEMORY_LIMIT_KIB, "{} KiB", tap.peak_memory_kib());
}

#[test]
fn a_large_download_passes_whole_and_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("download");
    let origin = Origin::start(|conn| {
        conn.read_head().unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", LARGE * MIB);
        conn.write(head.as_bytes());
        for part in 0..LARGE {
            conn.write(&chunk(part));
        }
        assert!(conn.read_to_end().is_empty());
    });
    let tap = Tap::start(&origin.url());

    let result = curl(&["-u", &right(), "-o", file.to_str().unwrap(), &tap.url("/download")]);

    result.assert_status(200);
    let mut hasher = blake3::Hasher::new();
    for part in 0..LARGE {
        hasher.update(&chunk(part));
    }
    let mut got = blake3::Hasher::new();
    got.update_reader(std::fs::File::open(&file).unwrap()).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), LARGE * MIB);
    assert_eq!(got.finalize(), hasher.finalize());
    assert_ok(&tap.record());
    assert!(tap.peak_memory_kib() < MEMORY_LIMIT_KIB, "{} KiB", tap.peak_memory_kib());
}

const WEBSOCKET_REQUEST: &str = "GET /feed HTTP/1.1\r\n\
    Host: feed.example\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n";
// Key and answer are those of RFC 6455 1.3.
const WEBSOCKET_ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A short frame of RFC 6455 5.2, final; clients mask theirs.
fn frame(opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    let mut frame = vec![0x80 | opcode, length | if mask.is_some() { 0x80 } else { 0 }];
    frame.extend(mask.unwrap_or_default().iter().take(if mask.is_some() { 4 } else { 0 }));
    let mask = mask.unwrap_or_default();
    frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]));
    frame
}

#[test]
fn a_websocket_carries_frames_both_ways() {
    const TEXT: u8 = 1;
    const CLOSE: u8 = 8;
    // What passes now is no HTTP any more, whatever it looks like.
    const LOOKS_LIKE_HTTP: &[u8] = b"GET /not-a-request HTTP/1.1\r\nHost: x\r\n\r\n";
    let from_client = frame(TEXT, Some([1, 2, 3, 4]), b"ping");
    let from_server = frame(TEXT, None, LOOKS_LIKE_HTTP);
    let close_by_client = frame(CLOSE, Some([0; 4]), &[3, 232]);
    let close_by_server = frame(CLOSE, None, &[3, 232]);
    // A mask of zeros leaves the payload as it is: the client's bytes look like a request too.
    let disguised = frame(TEXT, Some([0; 4]), LOOKS_LIKE_HTTP);

    let origin = Origin::start({
        let (from_client, from_server) = (from_client.clone(), from_server.clone());
        let (disguised, close_by_client) = (disguised.clone(), close_by_client.clone());
        let close_by_server = close_by_server.clone();
        move |conn| {
            let head = conn.read_head().unwrap();
            assert_eq!(head.get("authorization"), Some(format!("Bearer {BEARER_TOKEN}")));
            // The first frame rides in the packet of the handshake's answer.
            conn.write(&[WEBSOCKET_ANSWER, &from_server].concat());
            assert_eq!(conn.read_exact(from_client.len()), from_client);
            assert_eq!(conn.read_exact(disguised.len()), disguised);
            conn.write(&from_server);
            assert_eq!(conn.read_exact(close_by_client.len()), close_by_client);
            conn.write(&close_by_server);
        }
    });
    let tap = Tap::start(&origin.url());

    let mut client = Client::connect(tap.addr());
    client.send(format!("{WEBSOCKET_REQUEST}Authorization: Bearer {BEARER_TOKEN}\r\n\r\n"));
    assert_eq!(client.read_exact(WEBSOCKET_ANSWER.len()), WEBSOCKET_ANSWER);
    assert_eq!(client.read_exact(from_server.len()), from_server);
    client.send_bytewise(&from_client).send(&disguised);
    assert_eq!(client.read_exact(from_server.len()), from_server);
    client.send(&close_by_client);
    assert_eq!(client.read_to_end(), close_by_server);
    drop(client);

    let record = tap.record();
    assert_outcome(&record, "upgraded");
    assert_status(&record, 101);
    assert_verdict(&record, "ok");
    assert_no_alarm(&record);
    assert_untouched(&record);
    assert_eq!(header_values(&record["request"], "Upgrade"), ["websocket"]);
    drop(tap);
    origin.finish();
}

#[test]
fn a_websocket_that_is_refused_is_diagnosed_as_any_request() {
    let origin = Origin::reply(answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"feed\""], ""));
    let tap = Tap::start(&origin.url());

    let mut client = Client::connect(tap.addr());
    client.send(format!("{WEBSOCKET_REQUEST}\r\n"));
    let (head, _) = client.read_response();
    assert_eq!(head.status(), 401);

    let record = tap.record();
    assert_finding(&record, "credentials-absent", "info");
    assert_outcome(&record, "complete");
}
