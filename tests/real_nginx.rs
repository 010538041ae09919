//! The tap before and behind a real nginx.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, WRONG_PASSWORD};
use common::head::answer;
use common::record::{
    assert_finding, assert_no_alarm, assert_ok, assert_outcome, assert_status, assert_untouched, assert_verdict,
    findings, header_names, header_values, scheme,
};
use common::{Nginx, Origin, Server, Tap, cert, curl};

/// One location behind a password; `{PLAIN}` spares the tests a hash.
fn with_auth_basic() -> Server {
    Nginx::start(
        r#"
        server {
            listen @ADDR@;
            root @DIR@;
            location / {
                auth_basic "orders";
                auth_basic_user_file @DIR@/users;
            }
        }
        "#,
        &[("users", &format!("alice:{{PLAIN}}{PASSWORD}\n")), ("hello", "hello\n")],
    )
}

fn user(password: &str) -> String {
    format!("alice:{password}")
}

#[test]
fn auth_basic_without_credentials_is_the_start_of_a_handshake() {
    let nginx = with_auth_basic();
    let direct = curl(&[&nginx.url("/hello")]);
    direct.assert_status(401);

    let tap = Tap::start(&nginx.url(""));
    let result = curl(&[&tap.url("/hello")]);

    result.assert_status(401);
    assert_eq!(result.body(), direct.body());
    assert_eq!(result.header("www-authenticate").as_deref(), Some("Basic realm=\"orders\""));
    let record = tap.record();
    assert_finding(&record, "credentials-absent", "info");
    assert_status(&record, 401);
    assert_eq!(record["response"]["challenges"][0]["scheme"], "basic");
    assert_eq!(record["response"]["challenges"][0]["params"]["realm"], "orders");
}

#[test]
fn auth_basic_with_the_right_password_is_healthy() {
    let nginx = with_auth_basic();
    curl(&["-u", &user(PASSWORD), &nginx.url("/hello")]).assert_status(200);

    let tap = Tap::start(&nginx.url(""));
    let result = curl(&["-u", &user(PASSWORD), &tap.url("/hello")]);

    result.assert_status(200);
    assert_eq!(result.body(), "hello\n");
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(scheme(&record), "basic");
    // Header names of HTTP/1 are recorded as they are spelled.
    assert_eq!(header_names(&record["request"]), ["Host", "Authorization", "User-Agent", "Accept"]);
}

#[test]
fn auth_basic_with_a_wrong_password_is_a_rejected_credential() {
    let nginx = with_auth_basic();
    curl(&["-u", &user(WRONG_PASSWORD), &nginx.url("/hello")]).assert_status(401);

    let tap = Tap::start(&nginx.url(""));
    curl(&["-u", &user(WRONG_PASSWORD), &tap.url("/hello")]).assert_status(401);

    assert_finding(&tap.record(), "credentials-rejected", "error");
}

#[test]
fn anyauth_asks_first_and_is_healthy_all_the_same() {
    let nginx = with_auth_basic();
    curl(&["--anyauth", "-u", &user(PASSWORD), &nginx.url("/hello")]).assert_status(200);

    let tap = Tap::start(&nginx.url(""));
    curl(&["--anyauth", "-u", &user(PASSWORD), &tap.url("/hello")]).assert_status(200);

    let records = tap.records(2);
    assert_finding(&records[0], "credentials-absent", "info");
    assert_ok(&records[1]);
    // curl keeps its connection for the second leg, and so the tap keeps the one behind it.
    assert_eq!(records[0]["client"]["connection"], records[1]["client"]["connection"]);
    assert_eq!(records[0]["upstream"]["connection"], records[1]["upstream"]["connection"]);
    assert_eq!(records[1]["upstream"]["reused"], true);
}

/// The sub-request's 401 decides, but nginx has no challenge to hand on.
fn with_auth_request() -> Server {
    Nginx::start(
        r"
        server {
            listen @ADDR@;
            root @DIR@;
            location / {
                auth_request /check;
            }
            location = /check {
                internal;
                proxy_pass http://unix:@DIR@/auth.sock;
                proxy_pass_request_body off;
                proxy_set_header Content-Length '';
            }
        }
        server {
            listen unix:@DIR@/auth.sock;
            return 401;
        }
        ",
        &[("hello", "hello\n")],
    )
}

#[test]
fn auth_request_without_a_challenge_leaves_the_client_without_one() {
    let nginx = with_auth_request();
    let direct = curl(&[&nginx.url("/hello")]);
    direct.assert_status(401);
    assert_eq!(direct.header("www-authenticate"), None, "{direct:#?}");

    let tap = Tap::start(&nginx.url(""));
    let result = curl(&[&tap.url("/hello")]);
    result.assert_status(401);
    assert_eq!(result.header("www-authenticate"), None);
    curl(&["--oauth2-bearer", BEARER_TOKEN, &tap.url("/hello")]).assert_status(401);

    let records = tap.records(2);
    // curl is no client that waits for a challenge, so the cause is not shown to be its lack.
    assert_finding(&records[0], "challenge-missing", "warning");
    // Where credentials were sent, their refusal is what matters, and the missing challenge stands beside it.
    assert_finding(&records[1], "credentials-rejected", "error");
    assert!(findings(&records[1]).iter().any(|finding| finding["rule"] == "challenge-missing"), "{:#}", records[1]);
    for record in records {
        assert_eq!(record["response"]["challenges"].as_array().map_or(0, Vec::len), 0);
    }
}

/// Takes a key by one name only, as an application behind a gateway does.
fn wants_api_key() -> Origin {
    Origin::serve(|head| match head.get("api_key") {
        Some(key) if key == API_KEY => answer("200 OK", &["Content-Type: text/plain"], "hello\n"),
        _ => answer(
            "401 Unauthorized",
            &["WWW-Authenticate: ApiKey realm=\"orders\"", "Content-Type: application/json"],
            r#"{"error":"missing api key"}"#,
        ),
    })
}

fn before(origin: &Origin, underscores: &str) -> Server {
    Nginx::start(
        &format!(
            "server {{ listen @ADDR@; underscores_in_headers {underscores}; location / {{ proxy_pass {}; }} }}",
            origin.url()
        ),
        &[],
    )
}

#[test]
fn a_name_with_an_underscore_does_not_survive_nginx() {
    let origin = wants_api_key();
    let header = format!("api_key: {API_KEY}");
    curl(&["-H", &header, &origin.url()]).assert_status(200);
    origin.forget();
    let nginx = before(&origin, "off");
    curl(&["-H", &header, &nginx.url("/v1")]).assert_status(401);

    let tap = Tap::start(&nginx.url(""));
    let result = curl(&["-H", &header, &tap.url("/v1")]);

    result.assert_status(401);
    let record = tap.record();
    assert_finding(&record, "auth-header-name-suspect", "warning");
    assert_eq!(header_values(&record["request"], "api_key").len(), 1);
    assert_untouched(&record);
    // The tap sent it; nginx did not.
    let arrived = origin.received_text();
    assert!(arrived.contains("GET /v1 "), "{arrived}");
    assert!(!arrived.contains("api_key") && !arrived.contains(API_KEY), "{arrived}");
}

#[test]
fn a_name_with_an_underscore_is_no_fault_where_it_works() {
    let origin = wants_api_key();
    let nginx = before(&origin, "on");
    let tap = Tap::start(&nginx.url(""));

    curl(&["-H", &format!("api_key: {API_KEY}"), &tap.url("/v1")]).assert_status(200);

    assert_ok(&tap.record());
    assert!(origin.received_text().contains(&format!("api_key: {API_KEY}")));
}

/// Says in its answer which protocol it was spoken to in.
fn with_tls() -> Server {
    Nginx::start(
        r#"
        server {
            listen @ADDR@ ssl http2;
            ssl_certificate @CERTS@/localhost.pem;
            ssl_certificate_key @CERTS@/localhost.key;
            add_header X-Spoken $server_protocol always;
            root @DIR@;
            location / {
                auth_basic "orders";
                auth_basic_user_file @DIR@/users;
            }
        }
        "#,
        &[("users", &format!("alice:{{PLAIN}}{PASSWORD}\n")), ("hello", "hello\n")],
    )
}

fn tls_tap(nginx: &Server) -> Tap {
    let (cert, key, ca) = (cert("localhost.pem"), cert("localhost.key"), cert("ca.pem"));
    Tap::start_with(&nginx.https_url(""), &["--tls-cert", &cert, "--tls-key", &key, "--cacert", &ca])
}

#[test]
fn http2_over_tls_is_http2_on_both_sides() {
    let nginx = with_tls();
    let (ca, user) = (cert("ca.pem"), user(PASSWORD));
    let direct = curl(&["--http2", "--cacert", &ca, "-u", &user, &nginx.https_url("/hello")]);
    direct.assert_status(200);
    assert_eq!((direct.http_version.as_str(), direct.header("x-spoken").as_deref()), ("2", Some("HTTP/2.0")));

    let tap = tls_tap(&nginx);
    // `-k`, for what is tested is not curl's trust; the next test is without.
    let result = curl(&["--http2", "-k", "-u", &user, &tap.url("/hello")]);

    result.assert_status(200);
    assert_eq!(result.body(), "hello\n");
    assert_eq!((result.http_version.as_str(), result.header("x-spoken").as_deref()), ("2", Some("HTTP/2.0")));
    let record = tap.record();
    assert_verdict(&record, "ok");
    assert_no_alarm(&record);
    assert_outcome(&record, "complete");
    assert_eq!(record["request"]["version"], "HTTP/2");
    assert_eq!(record["response"]["version"], "HTTP/2");
    assert_eq!(header_values(&record["request"], "authorization").len(), 1);
    assert!(!record["client"]["tls"].is_null() && !record["upstream"]["tls"].is_null(), "{record:#}");
}

#[test]
fn http1_over_tls_stays_http1_on_both_sides() {
    let nginx = with_tls();
    let tap = tls_tap(&nginx);

    let result = curl(&["--http1.1", "--cacert", &cert("ca.pem"), "-u", &user(PASSWORD), &tap.url("/hello")]);

    result.assert_status(200);
    assert_eq!((result.http_version.as_str(), result.header("x-spoken").as_deref()), ("1.1", Some("HTTP/1.1")));
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(record["request"]["version"], "HTTP/1.1");
    assert_eq!(record["response"]["version"], "HTTP/1.1");
}

#[test]
fn http2_refusals_are_diagnosed_as_those_of_http1() {
    let nginx = with_tls();
    let tap = tls_tap(&nginx);
    let (ca, right, wrong) = (cert("ca.pem"), user(PASSWORD), user(WRONG_PASSWORD));

    curl(&["--http2", "--cacert", &ca, &tap.url("/hello")]).assert_status(401);
    curl(&["--http2", "--cacert", &ca, "-u", &wrong, &tap.url("/hello")]).assert_status(401);
    curl(&["--http2", "--cacert", &ca, "--anyauth", "-u", &right, &tap.url("/hello")]).assert_status(200);

    let records = tap.records(4);
    assert!(records.iter().all(|record| record["request"]["version"] == "HTTP/2"));
    assert_finding(&records[0], "credentials-absent", "info");
    assert_finding(&records[1], "credentials-rejected", "error");
    assert_finding(&records[2], "credentials-absent", "info");
    assert_verdict(&records[3], "ok");
    assert_no_alarm(&records[3]);
}
