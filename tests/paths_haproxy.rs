//! HAProxy between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, WRONG_BEARER_TOKEN};
use common::head::answer;
use common::ntlm;
use common::path::{At, bearer, orders};
use common::{Client, Haproxy, Origin, Path, Server, curl};

/// A frontend with these directives, before one server with these options.
fn haproxy(directives: &'static str, server: &'static str) -> impl FnOnce(&str) -> Server {
    move |app| {
        Haproxy::start(
            &format!(
                "frontend in\n    bind @ADDR@\n    default_backend app\nbackend app\n    {directives}\n    \
                 server app {app} {server}\n"
            ),
            &[],
        )
    }
}

/// Knows its header by one spelling only.
fn case_sensitive() -> Origin {
    Origin::serve(|head| match head.get_exact("X-Api-Key") {
        Some(key) if key == API_KEY => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: ApiKey realm=\"orders\""], "missing api key"),
    })
}

#[test]
fn a_header_that_is_deleted() {
    let origin = orders();
    let path = Path::start(haproxy("http-request del-header Authorization", ""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["answer * recased", "request * recased", "request authorization removed"]);
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}

#[test]
fn a_header_that_is_replaced() {
    let origin = orders();
    let path =
        Path::start(haproxy("http-request set-header Authorization \"Bearer of-the-gateway-1\"", ""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&["answer * recased", "request * recased", "request authorization replaced"]);
    way.assert_evidence(&["edge in", "Bearer token#"]).assert_evidence(&["app  in", "Bearer token#"]);
}

#[test]
fn a_second_header_beside_the_first() {
    let origin = orders();
    let path =
        Path::start(haproxy("http-request add-header Authorization \"Basic b2Y6dGhlLWdhdGV3YXk=\"", ""), &origin.url());

    curl(&["-H", &format!("Authorization: Bearer {WRONG_BEARER_TOKEN}"), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&["answer * recased", "request * recased", "request authorization added"]);
    assert_eq!(origin.received_text().to_ascii_lowercase().matches("\r\nauthorization:").count(), 2);
}

#[test]
fn a_value_that_is_cut() {
    let origin = orders();
    let path =
        Path::start(haproxy("http-request replace-header Authorization ^(Bearer\\ .{12}).*$ \\1", ""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&["answer * recased", "request * recased", "request authorization cut"]);
    assert_eq!(way.change("request", "authorization")["text"], "was cut after 19 bytes");
    assert!(origin.received_text().contains(&format!("authorization: Bearer {}\r\n", &BEARER_TOKEN[..12])));
}

#[test]
fn a_challenge_that_is_deleted() {
    let origin = orders();
    let path = Path::start(haproxy("http-response del-header WWW-Authenticate", ""), &origin.url());

    let result = curl(&[&path.url("/v1")]);

    result.assert_status(401);
    assert_eq!(result.header("www-authenticate"), None);
    let way = path.way(1);
    way.assert_hop_error("challenge-changed");
    way.assert_changes(&["answer www-authenticate removed", "request * recased"]);
}

#[test]
fn a_status_that_is_rewritten() {
    let origin = orders();
    let path = Path::start(haproxy("http-response set-status 404 if { status 401 }", ""), &origin.url());

    curl(&["-H", &format!("Authorization: Bearer {WRONG_BEARER_TOKEN}"), &path.url("/v1")]).assert_status(404);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_changes(&["answer * recased", "answer :status changed", "request * recased"]);
}

#[test]
fn names_in_lower_case_before_a_strict_backend() {
    let origin = case_sensitive();
    let path = Path::start(haproxy("", ""), &origin.url());

    curl(&["-H", &format!("X-Api-Key: {API_KEY}"), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_changes(&["answer * recased", "request * recased"]);
    way.assert_verdict("header-name-recased", "warning", "likely", "hop:edge>app").assert_fix("h1-case-adjust");
    way.assert_evidence(&["edge in", "X-Api-Key: key#"]).assert_evidence(&["app  in", "x-api-key: key#"]);
    way.assert_evidence(&["hop", "HAProxy"]);
    assert!(origin.received_text().contains(&format!("\r\nx-api-key: {API_KEY}\r\n")));
}

#[test]
fn with_case_adjusted_the_strict_backend_is_content() {
    let origin = case_sensitive();
    let path = Path::start(
        |app| {
            Haproxy::start(
                &format!(
                    "global\n    h1-case-adjust x-api-key X-Api-Key\nfrontend in\n    bind @ADDR@\n    default_backend app\n\
                     backend app\n    option h1-case-adjust-bogus-server\n    server app {app}\n"
                ),
                &[],
            )
        },
        &origin.url(),
    );

    curl(&["-H", &format!("X-Api-Key: {API_KEY}"), &path.url("/v1")]).assert_status(200);

    path.way(1).assert_healthy();
}

#[test]
fn a_password_that_haproxy_asks_for_itself() {
    let origin = orders().may_be_unused();
    let path = Path::start(
        |app| {
            Haproxy::start(
                &format!(
                    "userlist staff\n    user alice insecure-password {PASSWORD}\nfrontend in\n    bind @ADDR@\n    \
                     http-request auth realm orders unless {{ http_auth(staff) }}\n    default_backend app\n\
                     backend app\n    server app {app}\n"
                ),
                &[],
            )
        },
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let finding = path.way(0).assert_beside("refusal-origin").clone();
    assert_eq!((&finding["at"], &finding["certainty"]), (&"hop:edge>app".into(), &"certain".into()));
}

#[test]
fn a_password_for_haproxy_that_goes_on_to_a_backend_that_wants_a_token() {
    let origin = orders();
    let path = Path::start(
        |app| {
            Haproxy::start(
                &format!(
                    "userlist staff\n    user alice insecure-password {PASSWORD}\nfrontend in\n    bind @ADDR@\n    \
                     http-request auth realm orders unless {{ http_auth(staff) }}\n    default_backend app\n\
                     backend app\n    server app {app}\n"
                ),
                &[],
            )
        },
        &origin.url(),
    );
    curl(&[&path.url("/v1")]).assert_status(401);
    curl(&["-u", &format!("alice:{PASSWORD}"), &path.url("/v1")]).assert_status(401);

    let ways = path.ways(&[0, 1]);

    ways[1].assert_verdict("gateway-credential-leaked", "error", "likely", "hop:edge>app");
    ways[1].assert_changes(&["answer * recased", "request * recased"]);
}

#[test]
fn nothing_but_the_case_of_names_changes_on_a_plain_way() {
    let origin = orders();
    let path = Path::start(haproxy("option forwardfor", ""), &origin.url());

    curl(&[&path.url("/v1")]).assert_status(401);
    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    for way in path.ways(&[1, 1]) {
        way.assert_healthy().assert_join("hop-header");
        assert!(way.changes().contains(&"request x-forwarded-for added".to_owned()), "{:?}", way.changes());
    }
}

#[test]
fn a_header_that_haproxy_consumes_and_the_backend_does_not_need() {
    let origin = Origin::reply(answer("200 OK", &[], "fine\n"));
    let path = Path::start(haproxy("http-request del-header Authorization", ""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy();
    assert_eq!(way.assert_beside("credentials-stripped")["severity"], "info");
}

#[test]
fn attempts_that_haproxy_repeats_belong_to_one_request() {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = answered.clone();
    let origin = Origin::start(move |conn| {
        conn.read_head().unwrap();
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        let reply = match is_first {
            true => answer("503 Service Unavailable", &["Connection: close"], ""),
            false => answer("200 OK", &["Connection: close"], "fine\n"),
        };
        conn.write(&reply);
    });
    let path = Path::start(haproxy("retry-on 503\n    retries 2", ""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let way = path.way(2);
    way.assert_healthy().assert_join("hop-header");
    assert_eq!(way.hop()["requests"], 2);
}

#[test]
fn pooled_connections_keep_each_request_apart() {
    let origin = orders();
    let path = Path::start(haproxy("http-reuse always", "pool-max-conn 1"), &origin.url());
    let mut clients: Vec<Client> = (0..6).map(|_| Client::connect(path.tap.addr())).collect();
    for round in 0..4 {
        for (number, client) in clients.iter_mut().enumerate() {
            let wrong = format!("Authorization: Bearer {WRONG_BEARER_TOKEN}");
            let header = if number % 2 == 0 { bearer() } else { wrong };
            client.send(format!("GET /v1/{round}/{number} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n"));
            let (head, _) = client.read_response();
            assert_eq!(head.status(), if number % 2 == 0 { 200 } else { 401 });
        }
    }

    let ways = path.ways(&[1; 24]);

    for way in &ways {
        way.assert_join("hop-header");
        assert!(way.changes().iter().all(|change| change.ends_with(" recased")), "{:?}", way.changes());
        assert_eq!(way.edge["request"]["target"], way.app[0]["request"]["target"]);
        let fingerprint = |record: &serde_json::Value| record["request"]["credentials"][0]["fingerprint"].clone();
        assert_eq!(fingerprint(&way.edge), fingerprint(&way.app[0]));
    }
    let connections: std::collections::BTreeSet<_> =
        ways.iter().map(|way| way.app[0]["client"]["connection"].as_u64().unwrap()).collect();
    assert!(connections.len() < 6, "HAProxy is to share its connections: {connections:?}");
}

#[test]
fn haproxy_keeps_the_connection_of_an_ntlm_handshake_to_its_client() {
    let origin = ntlm::careless_site();
    let path = Path::start(haproxy("http-reuse always", "pool-max-conn 1"), &origin.url());
    let mut first = Client::connect(path.tap.addr());
    assert_eq!(ntlm::handshake(&mut first), [401, 401, 200]);
    let mut second = Client::connect(path.tap.addr());
    assert_eq!(ntlm::ask(&mut second, None), 401);
    assert_eq!(ntlm::ask(&mut first, None), 200);

    for way in path.ways(&[1; 5]) {
        way.assert_healthy().assert_join("hop-header");
    }
}

#[test]
fn a_connection_that_closes_behind_each_answer_breaks_an_ntlm_handshake() {
    let origin = ntlm::careless_site();
    let path = Path::start(haproxy("option http-server-close\n    http-reuse never", ""), &origin.url());
    let mut client = Client::connect(path.tap.addr());
    assert_eq!(ntlm::handshake(&mut client), [401, 401, 401]);

    let ways = path.ways(&[1; 3]);

    ways[2].assert_hop_error("ntlm-connection-broken");
    let connection = |way: &common::Way| way.app[0]["client"]["connection"].as_u64().unwrap();
    let (first, last) = (connection(&ways[1]), connection(&ways[2]));
    ways[2].assert_evidence(&[&format!("first message on connection {first}, last one on {last}")]);
}

#[test]
fn over_http2_on_either_side_lower_case_is_no_change() {
    let origin = case_sensitive();
    for (front, server, upstream, args) in [
        ("proto h2", "", "h2c", &["--http2-prior-knowledge"][..]),
        ("", "proto h2", "http", &[]),
        ("proto h2", "proto h2", "h2c", &["--http2-prior-knowledge"]),
    ] {
        let path = Path::start(
            |app| {
                let config = format!(
                    "frontend in\n    bind @ADDR@ {front}\n    default_backend app\nbackend app\n    server app {app} {server}\n"
                );
                At(upstream, Haproxy::start(&config, &[]))
            },
            &origin.url(),
        );
        let (header, url) = (format!("X-Api-Key: {API_KEY}"), path.url("/v1"));

        let result = curl(&[args, &["-H", &header, &url]].concat());

        assert_eq!(result.exit, 0, "{result:#?}");
        let way = path.way(1);
        let is_http2 = |record: &serde_json::Value| record["request"]["version"] == "HTTP/2";
        assert_eq!((is_http2(&way.edge), is_http2(&way.app[0])), (!front.is_empty(), !server.is_empty()));
        way.assert_join("hop-header").assert_changes(&[]);
    }
}
