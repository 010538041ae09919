//! The tap before a real Apache httpd.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::process::Command;

use common::canaries::{BEARER_TOKEN, PASSWORD, WRONG_PASSWORD};
use common::record::{
    assert_finding, assert_no_alarm, assert_ok, assert_outcome, assert_status, assert_verdict, header_names,
    header_values, scheme,
};
use common::servers::program;
use common::{Apache, Server, Tap, curl};

/// Knows of a credential only what the server hands on in its environment.
const SCRIPT: &str = r#"#!/bin/sh
if [ -z "$HTTP_AUTHORIZATION" ]; then
    printf 'Status: 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="orders"\r\n'
    printf 'Content-Type: application/json\r\n\r\n'
    printf '{"detail":"Authentication credentials were not provided."}'
else
    printf 'Content-Type: application/json\r\n\r\n{"orders":[]}'
fi
"#;

fn with_cgi(pass_auth: &str) -> Server {
    Apache::start(
        &format!(
            r#"
ScriptAlias /api/ "@DIR@/cgi/"
<Directory "@DIR@/cgi">
    Require all granted
    CGIPassAuth {pass_auth}
</Directory>
"#
        ),
        &[("cgi/orders", SCRIPT)],
    )
}

#[test]
fn a_credential_that_never_reaches_the_script_is_reported_missing() {
    let apache = with_cgi("Off");
    let direct = curl(&["--oauth2-bearer", BEARER_TOKEN, &apache.url("/api/orders")]);
    direct.assert_status(401);

    let tap = Tap::start(&apache.url(""));
    let result = curl(&["--oauth2-bearer", BEARER_TOKEN, &tap.url("/api/orders")]);

    result.assert_status(401);
    assert_eq!(result.body(), direct.body());
    let record = tap.record();
    assert_finding(&record, "credentials-reported-missing", "error");
    assert_eq!(scheme(&record), "bearer");
    assert_eq!(record["diagnosis"]["findings"][0]["certainty"], "likely");
    let text = record["response"]["error_body"]["text"].as_str().unwrap();
    assert!(text.contains("credentials were not provided"), "{text}");
}

#[test]
fn the_same_script_is_content_once_it_is_given_the_header() {
    let apache = with_cgi("On");
    curl(&["--oauth2-bearer", BEARER_TOKEN, &apache.url("/api/orders")]).assert_status(200);

    let tap = Tap::start(&apache.url(""));
    let result = curl(&["--oauth2-bearer", BEARER_TOKEN, &tap.url("/api/orders")]);

    result.assert_status(200);
    assert_eq!(result.body(), r#"{"orders":[]}"#);
    assert_ok(&tap.record());
}

#[test]
fn the_same_script_may_well_miss_what_was_not_sent() {
    let apache = with_cgi("On");
    let tap = Tap::start(&apache.url(""));

    curl(&[&tap.url("/api/orders")]).assert_status(401);

    assert_finding(&tap.record(), "credentials-absent", "info");
}

fn with_digest() -> Server {
    let hashed = md5(&format!("alice:orders:{PASSWORD}"));
    Apache::start(
        r#"
<Location "/">
    AuthType Digest
    AuthName "orders"
    AuthDigestProvider file
    AuthUserFile "@DIR@/users"
    Require valid-user
</Location>
"#,
        &[("users", &format!("alice:orders:{hashed}\n")), ("hello", "hello\n")],
    )
}

/// Digest files hold the MD5 of user, realm and password.
fn md5(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("text");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(program("openssl")).args(["dgst", "-md5", "-r"]).arg(&file).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_digest_handshake_is_healthy() {
    let apache = with_digest();
    let user = format!("alice:{PASSWORD}");
    curl(&["--digest", "-u", &user, &apache.url("/hello")]).assert_status(200);

    let tap = Tap::start(&apache.url(""));
    let result = curl(&["--digest", "-u", &user, &tap.url("/hello")]);

    result.assert_status(200);
    assert_eq!(result.body(), "hello\n");
    let records = tap.records(2);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_eq!(records[0]["response"]["challenges"][0]["scheme"], "digest");
    assert_ok(&records[1]);
    assert_eq!(scheme(&records[1]), "digest");
    assert_eq!(header_values(&records[1]["response"], "Authentication-Info").len(), 1);
}

#[test]
fn a_digest_with_a_wrong_password_is_a_rejected_credential() {
    let apache = with_digest();
    let user = format!("alice:{WRONG_PASSWORD}");
    curl(&["--digest", "-u", &user, &apache.url("/hello")]).assert_status(401);

    let tap = Tap::start(&apache.url(""));
    curl(&["--digest", "-u", &user, &tap.url("/hello")]).assert_status(401);

    let records = tap.records(2);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_finding(&records[1], "credentials-rejected", "error");
}

/// HTTP/2 without TLS, open at `/open`, behind a password at `/closed`.
fn with_h2c() -> Server {
    Apache::start(
        r#"
Protocols h2c http/1.1
Header always set X-Spoken "expr=%{SERVER_PROTOCOL}"
<Directory "@DIR@/open">
    Require all granted
</Directory>
<Directory "@DIR@/closed">
    AuthType Basic
    AuthName "orders"
    AuthUserFile "@DIR@/users"
    Require valid-user
</Directory>
"#,
        &[("users", &format!("alice:{}\n", apr1(PASSWORD))), ("open/hello", "hello\n"), ("closed/hello", "hello\n")],
    )
}

fn apr1(password: &str) -> String {
    let output =
        Command::new(program("openssl")).args(["passwd", "-apr1", "-salt", "salt", password]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn an_upgrade_to_h2c_passes_through() {
    let apache = with_h2c();
    let direct = curl(&["--http2", &apache.url("/open/hello")]);
    direct.assert_status(200);
    assert!(direct.heads.starts_with("HTTP/1.1 101 "), "{direct:#?}");

    let tap = Tap::start(&apache.url(""));
    let result = curl(&["--http2", &tap.url("/open/hello")]);

    result.assert_status(200);
    assert_eq!((result.body().as_str(), result.http_version.as_str()), ("hello\n", "2"));
    assert!(result.heads.starts_with("HTTP/1.1 101 "), "{result:#?}");
    let record = tap.record();
    assert_outcome(&record, "upgraded");
    assert_status(&record, 101);
    assert_verdict(&record, "ok");
    assert_no_alarm(&record);
    assert_eq!(record["request"]["version"], "HTTP/1.1");
    assert_eq!(header_values(&record["request"], "Upgrade"), ["h2c"]);
}

#[test]
fn h2c_with_prior_knowledge_is_http2_on_both_sides() {
    let apache = with_h2c();
    let user = format!("alice:{PASSWORD}");
    let direct = curl(&["--http2-prior-knowledge", "-u", &user, &apache.url("/closed/hello")]);
    direct.assert_status(200);
    assert_eq!(direct.header("x-spoken").as_deref(), Some("HTTP/2.0"));

    let tap = Tap::start(&apache.url(""));
    let result = curl(&["--http2-prior-knowledge", "-u", &user, &tap.url("/closed/hello")]);

    result.assert_status(200);
    assert_eq!((result.body().as_str(), result.http_version.as_str()), ("hello\n", "2"));
    assert_eq!(result.header("x-spoken").as_deref(), Some("HTTP/2.0"));
    let record = tap.record();
    assert_verdict(&record, "ok");
    assert_no_alarm(&record);
    assert_outcome(&record, "complete");
    assert_eq!(record["request"]["version"], "HTTP/2");
    assert_eq!(record["response"]["version"], "HTTP/2");
    let names = header_names(&record["request"]);
    assert!(names.contains(&"authorization"), "{names:?}");
}

#[test]
fn h2c_with_prior_knowledge_and_no_credentials_starts_a_handshake() {
    let apache = with_h2c();
    let tap = Tap::start(&apache.url(""));

    curl(&["--http2-prior-knowledge", &tap.url("/closed/hello")]).assert_status(401);

    let record = tap.record();
    assert_finding(&record, "credentials-absent", "info");
    assert_eq!(record["request"]["version"], "HTTP/2");
}
