//! The echo: an origin that shows what arrived, challenges on demand, and tells no secret.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::net::SocketAddr;

use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, SESSION, assert_no_secret};
use common::process::Process;
use common::record::{assert_no_alarm, assert_verdict};
use common::{Client, DEADLINE, Tap, curl};
use serde_json::Value;

struct Echo {
    process: Process,
    addr: SocketAddr,
}

impl Echo {
    fn start() -> Self {
        let mut command = common::tap::command();
        command.args(["echo", "127.0.0.1:0"]);
        let process = Process::spawn(command).unwrap();
        let addr = process.stderr.wait_until(DEADLINE, |said| {
            let (_, rest) = said.split_once("http://")?;
            rest.split_once(": ")?.0.parse().ok()
        });
        let addr = addr.unwrap_or_else(|| panic!("{}", process.stderr.text()));
        Echo { process, addr }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    fn answer(&self, request: impl AsRef<[u8]>) -> String {
        let answer = String::from_utf8(Client::exchange(self.addr, request)).unwrap();
        assert_no_secret(&answer);
        answer
    }
}

#[test]
fn what_arrived_is_shown_as_it_was_spelled_and_masked() {
    let echo = Echo::start();
    let answer = echo.answer(format!(
        "GET /v1/orders?page=2&api_key={API_KEY} HTTP/1.1\r\nHOST: a.example\r\nauthorization: bearer {BEARER_TOKEN}\r\n\
         Cookie: s={SESSION}\r\nAccept: b\r\naccept: a\r\nX-Odd : x\r\nX-Escape: a\x1b[31m\r\n\r\n"
    ));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\nDate: "), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!(lines[0], "This is what arrived.");
    assert!(lines[2].starts_with("GET /v1/orders?page=2&api_key=<redacted fp="), "{body}");
    assert_eq!(lines[3], "HOST: a.example");
    assert!(lines[4].starts_with("authorization: bearer <redacted fp="), "{body}");
    assert!(lines[5].starts_with("Cookie: ") && lines[5].contains("<redacted"), "{body}");
    assert_eq!(lines[6..8], ["Accept: b", "accept: a"]);
    assert!(!answer.contains('\x1b'), "{answer:?}");
    // A line that others refuse is shown, with what is wrong with it.
    assert!(lines[8].ends_with(" len<16>") && body.contains("! field 6: space-before-colon"), "{body}");
}

#[test]
fn json_has_the_request_as_records_have_it() {
    let echo = Echo::start();
    let token = format!("Authorization: Bearer {BEARER_TOKEN}");
    let result = curl(&["-H", "Accept: application/json", "-H", &token, "-d", "a=1", &echo.url("/v1")]);
    result.assert_status(200);
    assert_no_secret(&result.body());
    assert_eq!(result.header("content-type").as_deref(), Some("application/json"));
    let page: Value = serde_json::from_str(&result.body()).unwrap();
    let request = &page["request"];
    assert_eq!((&request["method"], &request["body_bytes"]), (&"POST".into(), &3.into()));
    assert_eq!(request["credentials"][0]["scheme"], "bearer");
    assert_eq!(request["credentials"][0]["length"], BEARER_TOKEN.len());
}

#[test]
fn it_challenges_and_takes_whatever_fits() {
    let echo = Echo::start();
    let user = format!("alice:{PASSWORD}");
    let token = format!("Authorization: Bearer {BEARER_TOKEN}");
    for (path, scheme, credentials) in [
        ("/basic", "Basic", ["-u", &user, "--basic"]),
        ("/bearer", "Bearer", ["-H", &token, "-s"]),
        ("/digest", "Digest", ["-u", &user, "--digest"]),
    ] {
        let bare = curl(&[&echo.url(path)]);
        bare.assert_status(401);
        assert!(bare.header("www-authenticate").unwrap().starts_with(&format!("{scheme} realm=\"authtap echo\"")));
        assert!(bare.body().starts_with("It takes "), "{}", bare.body());
        let mut args = credentials.to_vec();
        let url = echo.url(path);
        args.push(&url);
        let taken = curl(&args);
        taken.assert_status(200);
        assert_no_secret(&taken.body());
    }
    // An answer to a challenge of somebody else is none.
    let stale = "GET /digest HTTP/1.1\r\nHost: a\r\nAuthorization: Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"/digest\", \
                 response=\"0123456789abcdef0123456789abcdef\"\r\n\r\n";
    assert!(echo.answer(stale).starts_with("HTTP/1.1 401 "));
    let wrong = echo.answer(format!("GET /bearer HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {BEARER_TOKEN}\r\n\r\n"));
    assert!(wrong.starts_with("HTTP/1.1 401 "), "{wrong}");
}

#[test]
fn a_status_is_given_as_asked_for() {
    let echo = Echo::start();
    for status in [200, 204, 304, 403, 404, 407, 429, 503, 599] {
        curl(&[&echo.url(&format!("/status/{status}"))]).assert_status(status);
    }
    for odd in ["/status/100", "/status/abc", "/status/", "/status/4040"] {
        curl(&[&echo.url(odd)]).assert_status(400);
    }
    curl(&["--head", &echo.url("/status/404")]).assert_status(404);
}

#[test]
fn bodies_and_what_is_no_http_are_got_over() {
    let echo = Echo::start();
    let dir = tempfile::tempdir().unwrap();
    let upload = dir.path().join("upload");
    std::fs::write(&upload, vec![b'a'; 3 << 20]).unwrap();
    let file = format!("@{}", upload.display());
    let put = curl(&["-H", "Expect: 100-continue", "--data-binary", &file, &echo.url("/basic")]);
    put.assert_status(401);
    assert!(
        put.heads.starts_with("HTTP/1.1 100 Continue") && put.body().contains("(3145728 bytes of a body)"),
        "{put:#?}"
    );
    let chunked =
        echo.answer("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n");
    assert!(chunked.contains("(3 bytes of a body)") && chunked.contains("X-T: "), "{chunked}");
    let twice = echo.answer("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc");
    assert!(twice.contains("! not read to the end: there are several Content-Length fields"), "{twice}");
    let mut stranger = Client::connect(echo.addr);
    stranger.send("\x16\x03\x01\x02\x00\x01").close_write();
    stranger.read_until_gone();
    curl(&[&echo.url("/")]).assert_status(200);
}

#[test]
fn a_tap_before_it_finds_nothing_wrong() {
    let echo = Echo::start();
    let tap = Tap::start(&echo.url(""));
    let user = format!("alice:{PASSWORD}");
    curl(&["-u", &user, "--digest", &tap.url("/digest")]).assert_status(200);
    curl(&["-u", &user, &tap.url("/basic")]).assert_status(200);
    for record in tap.records(3) {
        assert_no_alarm(&record);
    }
    curl(&[&tap.url("/status/401")]).assert_status(401);
    assert_verdict(&tap.records(4)[3], "challenge-missing");
}

#[test]
fn it_ends_when_it_is_told_to_and_says_who_holds_its_port() {
    let mut echo = Echo::start();
    let output = common::tap::command().args(["echo", &echo.addr.to_string()]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("already in use") && said.contains("held by: authtap"), "{said}");
    let output = common::tap::command().args(["echo", "nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    echo.process.signal("TERM");
    assert_eq!(echo.process.wait(DEADLINE).code(), Some(0));
}
