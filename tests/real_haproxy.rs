//! The tap before and behind a real HAProxy, which writes every header name in lower case.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::canaries::{API_KEY, PASSWORD, WRONG_PASSWORD};
use common::head::answer;
use common::record::{assert_finding, assert_ok, assert_status, assert_untouched, header_names, header_values};
use common::{Haproxy, Origin, Server, Tap, curl};

/// Knows its header by one spelling only. That is its fault, but not a rare one.
fn case_sensitive() -> Origin {
    Origin::serve(|head| match head.get_exact("X-Api-Key") {
        Some(key) if key == API_KEY => answer("200 OK", &["Content-Type: text/plain"], "hello\n"),
        _ => answer(
            "401 Unauthorized",
            &["WWW-Authenticate: ApiKey realm=\"orders\"", "Content-Type: text/plain"],
            "missing api key",
        ),
    })
}

fn before(upstream: &str) -> Server {
    let upstream = upstream.trim_start_matches("http://");
    Haproxy::start(
        &format!("frontend in\n    bind @ADDR@\n    default_backend app\nbackend app\n    server app {upstream}\n"),
        &[],
    )
}

#[test]
fn names_that_haproxy_recases_are_recorded_as_they_were_on_each_side() {
    let origin = case_sensitive();
    let header = format!("X-Api-Key: {API_KEY}");
    curl(&["-H", &header, &origin.url()]).assert_status(200);
    let direct = before(&origin.url());
    curl(&["-H", &header, &direct.url("/")]).assert_status(401);
    drop(direct);
    origin.forget();

    let inner = Tap::start(&origin.url());
    let haproxy = before(&inner.url(""));
    let outer = Tap::start(&haproxy.url(""));
    let result = curl(&["-H", &header, &outer.url("/v1")]);

    result.assert_status(401);
    assert_eq!(result.body(), "missing api key");

    let record = outer.record();
    assert_eq!(header_names(&record["request"]), ["Host", "User-Agent", "Accept", "X-Api-Key"]);
    assert_untouched(&record);
    assert_finding(&record, "credentials-reported-missing", "error");

    let record = inner.record();
    let names = header_names(&record["request"]);
    assert!(names.contains(&"x-api-key") && !names.contains(&"X-Api-Key"), "{names:?}");
    assert_eq!(header_values(&record["request"], "x-api-key").len(), 1);
    assert_untouched(&record);
    assert_status(&record, 401);

    // The lower case is HAProxy's: the inner tap only hands on what it got.
    let arrived = origin.received_text();
    assert!(arrived.contains(&format!("\r\nx-api-key: {API_KEY}\r\n")), "{arrived}");
}

#[test]
fn without_haproxy_between_the_spelling_arrives() {
    let origin = case_sensitive();
    let tap = Tap::start(&origin.url());

    curl(&["-H", &format!("X-Api-Key: {API_KEY}"), &tap.url("/v1")]).assert_status(200);

    assert_ok(&tap.record());
    assert!(origin.received_text().contains(&format!("\r\nX-Api-Key: {API_KEY}\r\n")));
}

#[test]
fn a_password_at_haproxy_itself() {
    let haproxy = Haproxy::start(
        &format!(
            r#"
userlist staff
    user alice insecure-password {PASSWORD}
frontend in
    bind @ADDR@
    http-request auth realm orders unless {{ http_auth(staff) }}
    http-request return status 200 content-type text/plain string "hello"
"#
        ),
        &[],
    );
    let (right, wrong) = (format!("alice:{PASSWORD}"), format!("alice:{WRONG_PASSWORD}"));
    curl(&[&haproxy.url("/")]).assert_status(401);
    curl(&["-u", &wrong, &haproxy.url("/")]).assert_status(401);
    curl(&["-u", &right, &haproxy.url("/")]).assert_status(200);

    let tap = Tap::start(&haproxy.url(""));
    curl(&[&tap.url("/")]).assert_status(401);
    curl(&["-u", &wrong, &tap.url("/")]).assert_status(401);
    curl(&["-u", &right, &tap.url("/")]).assert_status(200);

    let records = tap.records(3);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_finding(&records[1], "credentials-rejected", "error");
    assert_ok(&records[2]);
}
