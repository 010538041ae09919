//! What the inspector answers, to whom, and what it keeps.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::net::SocketAddr;
use std::process::Command;

use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, SESSION, WRONG_BEARER_TOKEN, assert_no_secret};
use common::head::answer;
use common::path::{ReservedPort, orders};
use common::process::Process;
use common::{Client, DEADLINE, Head, Origin, Tap, wait_for};
use serde_json::{Value, json};

/// Where the page is, and its token, as the link has them.
fn link(tap: &Tap) -> (SocketAddr, String) {
    let stderr = tap.stderr();
    let (_, rest) = stderr.split_once("Watch it at http://").unwrap_or_else(|| panic!("no link in {stderr}"));
    let (addr, token) = rest.split_whitespace().next().unwrap().split_once("/#token=").unwrap();
    (addr.parse().unwrap(), token.to_owned())
}

/// A request with these field lines.
fn ask(addr: SocketAddr, method: &str, target: &str, fields: &[&str]) -> (Head, String) {
    let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let mut client = Client::connect(addr);
    let (head, body) =
        client.send(format!("{method} {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")).read_response();
    (head, String::from_utf8(body).unwrap())
}

/// Asks as the page does.
fn api(tap: &Tap, target: &str) -> String {
    let (addr, token) = link(tap);
    let (head, body) = ask(addr, "GET", target, &[&format!("Host: {addr}"), &format!("Authorization: Bearer {token}")]);
    assert_eq!(head.status(), 200, "{target}: {body}");
    body
}

fn rows(tap: &Tap, after: u64) -> Value {
    serde_json::from_str(&api(tap, &format!("/api/rows?after={after}"))).unwrap()
}

fn get(tap: &Tap, target: &str, fields: &[&str]) {
    let (head, _) = ask(tap.addr(), "GET", target, &[&["Host: a"], fields].concat());
    assert!(head.status() > 0);
}

/// The rows, as soon as there are so many.
fn rows_of(tap: &Tap, count: usize) -> Value {
    wait_for("the rows", DEADLINE, || Some(rows(tap, 0)).filter(|rows| rows["rows"].as_array().unwrap().len() >= count))
}

fn tap_with(options: &[&str]) -> (Origin, Tap) {
    let origin = orders().may_be_unused();
    let tap = Tap::start_with(&origin.url(), &[&["--inspect=127.0.0.1:0"], options].concat());
    (origin, tap)
}

const PATHS: [&str; 5] =
    ["/api/about", "/api/rules", "/api/rows?after=0", "/api/records?in=1-9", "/api/entries?in=1-9"];

#[test]
fn without_the_token_nothing_is_told() {
    let (_origin, tap) = tap_with(&[]);
    get(&tap, "/v1/orders/4711", &[]);
    rows_of(&tap, 1);
    let (addr, token) = link(&tap);
    let host = format!("Host: {addr}");
    assert!(token.len() >= 22, "{token}");
    let cut = format!("Authorization: Bearer {}", &token[..token.len() - 1]);
    let longer = format!("Authorization: Bearer {token}A");
    let basic = format!("Authorization: Basic {token}");
    let cookie = format!("Cookie: token={token}");
    for path in PATHS {
        for fields in [vec![], vec![&cut], vec![&longer], vec![&basic], vec![&cookie]] {
            let fields: Vec<&str> = std::iter::once(&host).chain(fields).map(String::as_str).collect();
            let (head, body) = ask(addr, "GET", path, &fields);
            assert_eq!(head.status(), 401, "{path} {fields:?}: {body}");
            assert!(head.get("www-authenticate").unwrap().starts_with("Bearer"));
            assert!(!body.contains("4711") && !body.contains(&token), "{body}");
        }
        let (head, body) =
            ask(addr, "GET", &format!("{path}{}token={token}", if path.contains('?') { '&' } else { '?' }), &[&host]);
        assert_eq!(head.status(), 401, "a token in the address counts for nothing: {body}");
        api(&tap, path);
    }
    // The token is new for each run, and in no record.
    let (_other_origin, other) = tap_with(&[]);
    assert_ne!(link(&other).1, token);
    let stopped = tap.stop();
    assert!(!stopped.stdout.contains(&token));
}

#[test]
fn another_host_or_another_sites_page_is_refused() {
    let (_origin, tap) = tap_with(&[]);
    let (addr, token) = link(&tap);
    let port = addr.port();
    let bearer = format!("Authorization: Bearer {token}");
    let status = |path: &str, fields: &[&str]| {
        let (head, body) = ask(addr, "GET", path, &[&[bearer.as_str()], fields].concat());
        assert!(!body.contains("rows") || head.status() == 200);
        head.status()
    };
    for path in ["/", "/main.js", "/api/rows", "/nothing"] {
        let fine = if path == "/nothing" { 404 } else { 200 };
        for host in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "localhost:9"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")])
        {
            assert_eq!(status(path, &[&format!("Host: {host}")]), fine, "{path} {host}");
        }
        for host in [
            "evil.example".to_owned(),
            format!("evil.example:{port}"),
            format!("127.0.0.1.evil.example:{port}"),
            format!("localhost.evil.example:{port}"),
            format!("127.0.0.1:{port}@evil.example"),
            format!("0.0.0.0:{port}"),
            format!("192.168.0.1:{port}"),
            "127.1".to_owned(),
            String::new(),
        ] {
            assert_eq!(status(path, &[&format!("Host: {host}")]), 403, "{path} {host}");
        }
        assert_eq!(status(path, &["Host: localhost", "Host: localhost"]), 403, "{path}");
        let own = format!("Host: {addr}");
        assert_eq!(status(path, &[&own, &format!("Origin: http://{addr}")]), fine, "{path}");
        for origin in ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "http://localhost"] {
            assert_eq!(status(path, &[&own, &format!("Origin: {origin}")]), 403, "{path} {origin}");
        }
    }
    let own = format!("Host: {addr}");
    assert_eq!(status("/api/rows", &[&own, "Sec-Fetch-Site: same-origin"]), 200);
    assert_eq!(status("/api/rows", &[&own, "Sec-Fetch-Site: cross-site"]), 403);
    // Without a Host there is no HTTP/1.1, and an older version gets nothing either.
    let (head, _) = ask(addr, "GET", "/", &[]);
    assert_eq!(head.status(), 403);
}

#[test]
fn only_get_is_answered_and_each_answer_has_its_policy() {
    let (_origin, tap) = tap_with(&[]);
    let (addr, token) = link(&tap);
    let (host, bearer) = (format!("Host: {addr}"), format!("Authorization: Bearer {token}"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "FOO"] {
        for path in ["/", "/api/rows"] {
            let mut client = Client::connect(addr);
            client.send(format!("{method} {path} HTTP/1.1\r\n{host}\r\n{bearer}\r\nConnection: close\r\n\r\n"));
            let head = client.read_head();
            assert_eq!(head.status(), 405, "{method} {path}");
            assert!(head.get("access-control-allow-origin").is_none());
        }
    }
    for (path, fields) in [
        ("/", vec![&host]),
        ("/main.js", vec![&host]),
        ("/style.css", vec![&host]),
        ("/icon.svg", vec![&host]),
        ("/api/rows", vec![&host, &bearer]),
        ("/api/rows", vec![&host]),
        ("/nothing", vec![&host]),
        ("/../Cargo.toml", vec![&host]),
        ("/api/rows?after=x", vec![&host, &bearer]),
        ("/api/records?in=", vec![&host, &bearer]),
    ] {
        let fields: Vec<&str> = fields.into_iter().map(String::as_str).collect();
        let (head, body) = ask(addr, "GET", path, &fields);
        let policy = head.get("content-security-policy").unwrap_or_else(|| panic!("{path}"));
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.split("; ").any(|own| own == part), "{part} is not in {policy}");
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(head.get(name).as_deref(), Some(value), "{path}");
        }
        assert!(head.get("set-cookie").is_none());
        if head.status() == 200 && !path.starts_with("/api/") {
            assert!(!body.contains(&token) && !body.contains("http://www.example"), "{path}");
        }
    }
}

#[test]
fn no_secret_is_in_any_answer() {
    let origin = Origin::serve(|head| {
        let sent = head.get("authorization").unwrap_or_default();
        let cookie = format!("Set-Cookie: session={SESSION}; Path=/");
        let fields = ["WWW-Authenticate: Bearer realm=\"orders\"", "Content-Type: text/plain", cookie.as_str()];
        answer("401 Unauthorized", &fields, &format!("{sent} is not valid\n"))
    });
    let tap = Tap::start_with(&origin.url(), &["--inspect=127.0.0.1:0"]);
    for field in [
        format!("Authorization: Bearer {BEARER_TOKEN}"),
        format!("Authorization: Bearer {WRONG_BEARER_TOKEN}"),
        format!("X-Api-Key: {API_KEY}"),
        format!("Cookie: session={SESSION}"),
        format!("X-Unheard-Of: {PASSWORD}"),
    ] {
        get(&tap, &format!("/v1/orders?token={BEARER_TOKEN}&key={API_KEY}"), &[&field]);
    }
    rows_of(&tap, 5);
    for path in PATHS {
        assert_no_secret(&api(&tap, path));
    }
    let records = api(&tap, "/api/records?in=1-9");
    assert_eq!(records.lines().count(), 6, "{records}");
    assert!(records.contains("redacted"), "{records}");
}

#[test]
fn records_are_those_of_the_record_and_rows_are_short() {
    let (_origin, tap) = tap_with(&[]);
    for number in 0..5 {
        get(&tap, &format!("/v1/orders/{number}"), &[&format!("Authorization: Bearer {BEARER_TOKEN}")]);
    }
    let listed = rows_of(&tap, 5);
    assert_eq!((&listed["until"], &listed["next"], &listed["oldest"]), (&json!(5), &json!(6), &json!(1)));
    assert_eq!((&listed["dropped"], &listed["unseen"]), (&json!(0), &json!(0)));
    assert_eq!(rows(&tap, 3)["rows"].as_array().unwrap().len(), 2);
    let recorded = tap.records(5);
    let told = api(&tap, "/api/records?in=2,4-9,1");
    let numbers: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(numbers[0], json!({ "until": 1 }));
    for line in &numbers[1..] {
        let number = line["number"].as_u64().unwrap() as usize;
        assert_eq!(line["record"], recorded[number - 1]);
        let row = &listed["rows"][number - 1];
        assert_eq!((&row[0], &row[1]), (&json!(number), &recorded[number - 1]["id"]));
        assert!(row.to_string().len() < 400, "{row}");
    }
    assert_eq!(numbers.len(), 5);
    let entries = api(&tap, "/api/entries?in=1-5");
    assert_eq!(entries.lines().count(), 6);
    assert!(entries.contains("startedDateTime"));
    let rules: Value = serde_json::from_str(&api(&tap, "/api/rules")).unwrap();
    assert_eq!(rules.as_array().unwrap().len(), authtap::rules::RULES.len());
    let about: Value = serde_json::from_str(&api(&tap, "/api/about")).unwrap();
    assert_eq!(about["taps"][0]["url"], tap.url(""));
}

/// Whether something came that was not read yet.
fn has_answer(client: &Client) -> bool {
    client.stream().set_nonblocking(true).unwrap();
    let is_there = common::uninterrupted(|| client.stream().peek(&mut [0; 1])).is_ok();
    client.stream().set_nonblocking(false).unwrap();
    is_there
}

#[test]
fn who_waits_for_news_hears_of_them_at_once_and_many_who_wait_harm_nobody() {
    let (_origin, tap) = tap_with(&[]);
    let (addr, token) = link(&tap);
    let waiting = |_| {
        let mut client = Client::connect(addr);
        client.send(format!(
            "GET /api/rows?after=0&wait=25 HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {token}\r\n\r\n"
        ));
        client
    };
    // More than are let wait: those beyond are answered at once, with nothing.
    let mut waits: Vec<Client> = (0..24).map(waiting).collect();
    let mut told = Vec::new();
    wait_for("the answers to those who may not wait", DEADLINE, || {
        told.extend(waits.extract_if(.., |client| has_answer(client)));
        (told.len() >= 8).then_some(())
    });
    for mut client in told.drain(..) {
        let (head, body) = client.read_response();
        assert_eq!(head.status(), 200);
        assert!(String::from_utf8(body).unwrap().contains("\"rows\":[]"));
    }
    assert!(waits.len() == 16 && !waits.iter().any(has_answer));
    get(&tap, "/v1/orders", &[]);
    for mut client in waits {
        let (head, body) = client.read_response();
        let body = String::from_utf8(body).unwrap();
        assert!(head.status() == 200 && body.contains("/v1/orders"), "{body}");
    }
}

#[test]
fn when_secrets_are_masked_again_those_who_wait_hear_of_it_and_nothing_is_left() {
    let (_origin, tap) = tap_with(&["--show-secrets=3s"]);
    let (addr, token) = link(&tap);
    get(&tap, "/v1/orders/1", &[&format!("Authorization: Bearer {WRONG_BEARER_TOKEN}")]);
    let shown = rows_of(&tap, 1);
    assert_eq!(shown["shows_secrets"], json!(true), "{shown}");
    assert!(api(&tap, "/api/records?in=1").contains(WRONG_BEARER_TOKEN));
    let began = std::time::Instant::now();
    let mut client = Client::connect(addr);
    client.send(format!(
        "GET /api/rows?after=1&wait=25&secrets=true HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ));
    let (head, body) = client.read_response();
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    let news: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((head.status(), &news["shows_secrets"], &news["rows"]), (200, &json!(false), &json!([])), "{news}");
    wait_for("the end of it", DEADLINE, || tap.stderr().contains("secrets are masked again").then_some(()));
    // Who missed it does not wait.
    let late = api(&tap, "/api/rows?after=1&wait=25&secrets=true");
    assert!(late.contains("\"shows_secrets\":false"), "{late}");
    get(&tap, "/v1/orders/2", &[&format!("Authorization: Bearer {WRONG_BEARER_TOKEN}")]);
    rows_of(&tap, 1);
    for path in PATHS {
        assert_no_secret(&api(&tap, path));
    }
    assert_eq!(api(&tap, "/api/records?in=1-9").lines().count(), 2);
}

#[test]
fn those_without_the_token_do_not_keep_its_owner_out() {
    let (_origin, tap) = tap_with(&[]);
    let (addr, token) = link(&tap);
    let send = |text: String| {
        let mut client = Client::connect(addr);
        client.send(text);
        client
    };
    let mut owner =
        send(format!("GET /api/rows?after=0 HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {token}\r\n\r\n"));
    assert_eq!(owner.read_response().0.status(), 200);
    owner.send(format!(
        "GET /api/rows?after=0&wait=25 HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ));
    // Who is refused has to go at once.
    let mut refused = send(format!("GET /api/rows HTTP/1.1\r\nHost: {addr}\r\n\r\n"));
    let (head, _) = refused.read_response();
    assert_eq!((head.status(), head.get("connection").as_deref()), (401, Some("close")));
    // Some say nothing, some begin, and some have fetched the page, which anybody may.
    let mut others: Vec<Client> = (0..200)
        .map(|number| match number % 3 {
            0 => Client::connect(addr),
            1 => send(format!("GET / HTTP/1.1\r\nHost: {addr}\r\nX-")),
            _ => send(format!("GET /icon.svg HTTP/1.1\r\nHost: {addr}\r\n\r\n")),
        })
        .collect();
    for client in others.iter_mut().skip(2).step_by(3) {
        assert_eq!(client.read_response().0.status(), 200);
    }
    let began = std::time::Instant::now();
    rows(&tap, 0);
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    // They are gone after a while, however long they would stay, and the owner is not.
    for client in &others {
        wait_for("the end of a connection without the token", DEADLINE, || {
            // Most are told what is wrong with their request, which does not matter here.
            client.stream().set_nonblocking(true).unwrap();
            let mut bytes = [0; 1024];
            match std::io::Read::read(&mut client.stream(), &mut bytes) {
                Ok(0) => Some(()),
                Ok(_) => None,
                Err(error) => (error.kind() != std::io::ErrorKind::WouldBlock).then_some(()),
            }
        });
    }
    assert!(began.elapsed() > std::time::Duration::from_secs(5), "they were let stay for a while");
    get(&tap, "/v1/orders", &[]);
    assert_eq!(owner.read_response().0.status(), 200);
}

#[test]
fn the_ring_stays_within_its_bytes_while_traffic_goes_on() {
    let origin = Origin::reply(answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"a\""], ""));
    let tap =
        Tap::start_with(&origin.url(), &["--inspect=127.0.0.1:0", "--inspect-memory", "1MiB", "--show", "X-Noise"]);
    let mut client = Client::connect(tap.addr());
    // Lines that can't be packed well.
    let mut state = 7_u64;
    let mut noise = || {
        let mut text = "X-Noise: ".to_owned();
        while text.len() < 16_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(&format!("{:x}", state >> 8));
        }
        text + "\r\n"
    };
    let mut last = Value::Null;
    for round in 1..=6_u64 {
        for _ in 0..50 {
            client.send(format!("GET /v1/orders HTTP/1.1\r\nHost: a\r\n{}\r\n", noise()));
            assert_eq!(client.read_response().0.status(), 401);
        }
        last = wait_for("the rows", DEADLINE, || Some(rows(&tap, 0)).filter(|rows| rows["next"] == 50 * round + 1));
        assert!(last["bytes"].as_u64().unwrap() <= 1024 * 1024, "{}", last["bytes"]);
    }
    let dropped = last["dropped"].as_u64().unwrap();
    assert!(dropped > 50 && last["oldest"] == dropped + 1, "{dropped} {}", last["oldest"]);
    // The record has all of them.
    assert_eq!(tap.records(300).len(), 300);
    // What is gone is not there, and what comes after it is.
    let told = api(&tap, &format!("/api/records?in=1,{},300", dropped));
    assert_eq!(told.lines().count(), 2, "{}", &told[..200]);
}

#[test]
fn without_the_option_nothing_listens_and_nothing_is_said() {
    let origin = orders().may_be_unused();
    let tap = Tap::start(&origin.url());
    assert!(!tap.stderr().contains("Watch it at"), "{}", tap.stderr());
}

fn refused(options: &[&str]) -> String {
    let mut command: Command = common::tap::command();
    command.args(options);
    let mut process = Process::spawn(command).unwrap();
    let status = process.wait(DEADLINE);
    let stderr = process.stderr.whole(DEADLINE);
    assert!(matches!(status.code(), Some(1 | 2)), "{stderr}");
    stderr
}

#[test]
fn a_tap_that_would_lead_to_it_is_refused() {
    for (inspect, upstream) in [
        ("--inspect", "http://127.0.0.1:4040"),
        ("--inspect", "http://localhost:4040"),
        ("--inspect", "http://0.0.0.0:4040"),
        ("--inspect=0.0.0.0:4041", "http://127.0.0.2:4041"),
        ("--inspect=[::1]:4042", "http://[::1]:4042"),
        ("--admin=127.0.0.1:9901", "http://localhost:9901"),
    ] {
        let stderr = refused(&[inspect, &format!(":0={upstream}")]);
        assert!(stderr.contains("would be --") && stderr.contains("another port"), "{inspect} {upstream}: {stderr}");
    }
    // Another machine may have a listener of that port.
    let port = ReservedPort::new();
    let number = port.addr().port();
    let inspect = format!("--inspect=0.0.0.0:{number}");
    let tap = Tap::start_with(&format!("http://192.0.2.1:{number}"), &[&inspect]);
    assert!(tap.stderr().contains("Watch it at"), "{}", tap.stderr());
}

#[test]
fn a_port_that_is_taken_and_too_little_memory_are_told() {
    let port = ReservedPort::new();
    let _taken = port.listen();
    let stderr = refused(&[&format!("--inspect={}", port.addr()), ":0=http://127.0.0.1:9"]);
    assert!(stderr.contains("--inspect: cannot listen on") && stderr.contains("--inspect=:"), "{stderr}");
    let stderr = refused(&["--inspect=:0", "--inspect-memory", "4KiB", ":0=http://127.0.0.1:9"]);
    assert!(stderr.contains("--inspect-memory"), "{stderr}");
}

#[test]
fn beyond_loopback_it_says_that_others_may_read_along() {
    let origin = orders().may_be_unused();
    let tap = Tap::start_with(&origin.url(), &["--inspect=0.0.0.0:0"]);
    let stderr = tap.stderr();
    assert!(stderr.contains("WARNING: --inspect"), "{stderr}");
    assert!(stderr.contains("Watch it at http://127.0.0.1:"), "{stderr}");
}
