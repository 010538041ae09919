//! The metrics on the admin listener: what is counted, in a form that scrapers read, with labels of closed sets only.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use authtap::rules::RULES;
use common::canaries::{API_KEY, BEARER_TOKEN, assert_no_secret};
use common::head::answer;
use common::path::ReservedPort;
use common::{Client, DEADLINE, Head, Origin, Tap, wait_for};

fn scrape(tap: &Tap) -> (Head, String) {
    let text = tap.stderr();
    let (_, rest) = text.split_once("health on http://").unwrap();
    let admin: SocketAddr = rest.split('/').next().unwrap().parse().unwrap();
    let mut client = Client::connect(admin);
    let (head, body) = client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").read_response();
    (head, String::from_utf8(body).unwrap())
}

/// Every series with its value, read strictly: each family has its HELP and TYPE before its lines, and stands once.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    let mut families: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(families.iter().all(|(known, _)| known != name), "{name} stands twice");
            families.push((name.to_owned(), kind.to_owned()));
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no series: {line:?}"));
        let (family, kind) = families.last().expect("a TYPE before the first series");
        let base = name.split('{').next().unwrap();
        let rest = base.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{base} is not of {family}"));
        match kind.as_str() {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&rest), "{line}"),
            _ => assert!(["counter", "gauge"].contains(&kind.as_str()) && rest.is_empty(), "{line}"),
        }
        assert!(series.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{name} stands twice");
    }
    series
}

fn send(addr: SocketAddr, request: &str) {
    let mut client = Client::connect(addr);
    client.send(request).close_write();
    client.read_until_gone();
}

/// The series as soon as so many requests are counted in all.
fn counted(tap: &Tap, requests: u64) -> BTreeMap<String, f64> {
    wait_for("the counts", DEADLINE, || {
        let (head, text) = scrape(tap);
        assert_eq!(head.get("content-type").as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
        assert_no_secret(&text);
        let series = parse(&text);
        let all: f64 =
            series.iter().filter(|(name, _)| name.starts_with("authtap_requests_total{")).map(|(_, n)| n).sum();
        (all as u64 >= requests).then_some(series)
    })
}

#[test]
fn requests_findings_and_times_are_counted_by_tap() {
    let origin = Origin::start(|conn| {
        while let Some(head) = conn.read_head() {
            let refused = answer("401 Unauthorized", &["WWW-Authenticate: Bearer"], "no credentials provided");
            conn.write(&if head.target() == "/fine" { answer("200 OK", &[], "") } else { refused });
        }
    });
    let dead = ReservedPort::new();
    let taps = [format!("up@127.0.0.1:0={}", origin.url()), format!("down@127.0.0.1:0=http://{}", dead.addr())];
    let tap = Tap::run(&["--admin", "127.0.0.1:0", "--no-hop-header"], &[&taps[0], &taps[1]]);
    let (up, down) = (tap.addresses()[0].addr, tap.addresses()[1].addr);
    send(up, "GET /fine HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..2 {
        send(up, &format!("GET /v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {BEARER_TOKEN}\r\n\r\n"));
    }
    send(down, "GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut open = Client::connect(up);
    open.send("GET /fine HTTP/1.1\r\nHost: a\r\n\r\n").read_response();

    let series = counted(&tap, 5);
    let of = |name: &str| series.get(name).copied().unwrap_or_else(|| panic!("no {name} in {series:#?}"));
    assert_eq!(of(r#"authtap_requests_total{tap="up",code="200"}"#), 2.0);
    assert_eq!(of(r#"authtap_requests_total{tap="up",code="401"}"#), 2.0);
    assert_eq!(of(r#"authtap_requests_total{tap="down",code="502"}"#), 1.0);
    assert_eq!(of(r#"authtap_findings_total{tap="up",rule="credentials-reported-missing"}"#), 2.0);
    assert_eq!(of(r#"authtap_findings_total{tap="down",rule="upstream-failed"}"#), 1.0);
    assert_eq!(of(r#"authtap_request_duration_seconds_count{tap="up"}"#), 4.0);
    assert_eq!(of(r#"authtap_request_duration_seconds_bucket{tap="up",le="+Inf"}"#), 4.0);
    assert_eq!(of(r#"authtap_connections_open{tap="up"}"#), 1.0);
    assert_eq!(of("authtap_records_dropped_total"), 0.0);
    assert_eq!(of(&format!(r#"authtap_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"))), 1.0);
}

#[test]
fn nothing_that_a_peer_sends_makes_a_series() {
    let origin = Origin::start(|conn| {
        while let Some(head) = conn.read_head() {
            let status = head.target().trim_start_matches("/status/").split(['/', '?']).next().unwrap().to_owned();
            conn.write(&answer(&format!("{status} {API_KEY}"), &["WWW-Authenticate: Odd realm=\"a\""], "no"));
        }
    });
    let tap = Tap::start_with(&origin.url(), &["--admin", "127.0.0.1:0"]);
    for number in 0..30 {
        let status = if number % 2 == 0 { 401 } else { 999 };
        send(
            tap.addr(),
            &format!(
                "METHOD{number} /status/{status}/{number}?api_key={API_KEY} HTTP/1.1\r\nHost: host-{number}.example\r\n\
                 Authorization: Scheme{number} {BEARER_TOKEN}\r\nX-{number}: a\r\n\r\n"
            ),
        );
    }
    let series = counted(&tap, 30);
    assert_eq!(series[r#"authtap_requests_total{tap="tap",code="other"}"#], 15.0);
    assert_eq!(series[r#"authtap_requests_total{tap="tap",code="401"}"#], 15.0);
    for name in series.keys() {
        let labels = name.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap();
            let value = value.trim_matches('"');
            let is_closed = match label {
                "tap" => value == "tap",
                "code" => ["401", "other"].contains(&value),
                "rule" => RULES.iter().any(|rule| rule.name == value),
                "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
                "version" => value == env!("CARGO_PKG_VERSION"),
                _ => false,
            };
            assert!(is_closed, "{name}");
        }
    }
}

#[test]
fn records_that_a_full_disk_does_not_take_are_counted() {
    let origin = Origin::reply(answer("200 OK", &[], ""));
    let tap = Tap::start_with(&origin.url(), &["--admin", "127.0.0.1:0", "--record", "/dev/full"]);
    send(tap.addr(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("the loss", DEADLINE, || (counted(&tap, 1)["authtap_records_dropped_total"] == 1.0).then_some(()));
}
