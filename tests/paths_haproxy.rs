//! HAProxy between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, WRONG_PASSWORD};
use common::head::answer;
use common::path::{At, SIGNATURE, bearer, fine, orders, signed, store};
use common::record::header_names;
use common::{Client, Haproxy, Origin, Path, Server, curl, ntlm};

/// Everything goes to the inner tap, with these lines in the frontend and in the backend.
#[derive(Default)]
struct Proxy<'a> {
    /// Before the frontend.
    sections: &'a str,
    bind: &'a str,
    frontend: &'a str,
    backend: &'a str,
    server: &'a str,
}

impl Proxy<'_> {
    fn before(&self, app: &str) -> Server {
        let Self { sections, bind, frontend, backend, server } = self;
        Haproxy::start(
            &format!(
                "{sections}\nfrontend in\n    bind @ADDR@ {bind}\n    {frontend}\n    default_backend app\n\
                 backend app\n    {backend}\n    server app {app} {server}\n"
            ),
            &[],
        )
    }
}

/// With this line in the frontend.
fn haproxy(frontend: &str) -> impl FnOnce(&str) -> Server {
    move |app| Proxy { frontend, ..Proxy::default() }.before(app)
}

/// HAProxy asks for a password by itself.
fn staff() -> String {
    format!("userlist staff\n    user alice insecure-password {PASSWORD}")
}

const AUTH: &str = "http-request auth realm staff unless { http_auth(staff) }";

fn user(password: &str) -> String {
    format!("alice:{password}")
}

/// Knows its header by one spelling only.
fn case_sensitive() -> Origin {
    Origin::serve(|head| match head.get_exact("X-Api-Key") {
        Some(key) if key == API_KEY => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: ApiKey realm=\"orders\""], "missing api key"),
    })
}

fn key() -> String {
    format!("X-Api-Key: {API_KEY}")
}

// What is configured wrongly.

#[test]
fn names_in_lower_case_before_who_minds() {
    let origin = case_sensitive();
    let path = Path::start(haproxy(""), &origin.url());

    curl(&["-H", &key(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("header-name-recased", "warning", "likely", "hop:edge>app");
    way.assert_changes(&[]).assert_evidence(&["edge in", "X-Api-Key"]).assert_evidence(&["app  in", "x-api-key"]);
    way.assert_evidence(&["text: ", "api key"]).assert_fix("h1-case-adjust");
    assert!(origin.received_text().contains(&format!("\r\nx-api-key: {API_KEY}\r\n")), "{}", origin.received_text());
}

#[test]
fn a_deleted_authorization() {
    let origin = orders();
    let path = Path::start(haproxy("http-request del-header Authorization"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["request authorization removed"]);
    way.assert_evidence(&["edge in", "Authorization: Bearer token#"]).assert_evidence(&["app  in", "(none)"]);
    way.assert_evidence(&["HAProxy write all names so"]).assert_fix("If the gateway is HAProxy: ");
    way.assert_fix("http-request del-header");
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}

#[test]
fn an_authorization_of_haproxy_in_place_of_the_clients() {
    let origin = orders();
    let own = STANDARD.encode(format!("gateway:{WRONG_PASSWORD}"));
    let line = format!("http-request set-header Authorization \"Basic {own}\"");
    let path = Path::start(haproxy(&line), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&["request authorization replaced"]);
    way.assert_evidence(&["before:", "scheme Bearer"]).assert_evidence(&["behind:", "user gateway"]);
    assert!(!origin.received_text().contains(BEARER_TOKEN), "{}", origin.received_text());
}

#[test]
fn a_second_authorization() {
    let origin = Origin::serve(|head| match head.fields().iter().filter(|(name, _)| name == "authorization").count() {
        1 => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""),
    });
    let own = STANDARD.encode(format!("gateway:{WRONG_PASSWORD}"));
    let line = format!("http-request add-header Authorization \"Basic {own}\"");
    let path = Path::start(haproxy(&line), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&["request authorization added"]);
    way.assert_summary("a second authorization");
}

#[test]
fn a_pattern_that_cuts_a_token_at_its_slash() {
    let origin = orders();
    let line = "http-request replace-header Authorization ([^/]*)/.* \\1";
    let path = Path::start(haproxy(line), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&["request authorization cut"]);
    way.assert_summary("was cut after");
    assert!(origin.received_text().contains("\r\nauthorization: Bearer canary-Jv40+lighthouse\r\n"));
}

#[test]
fn a_scheme_that_is_put_before_a_key() {
    let origin = case_sensitive();
    let line = "http-request set-header Authorization \"Bearer %[req.hdr(X-Api-Key)]\"";
    let path = Path::start(
        |app| Proxy { frontend: line, backend: "http-request del-header X-Api-Key", ..Proxy::default() }.before(app),
        &origin.url(),
    );

    curl(&["-H", &key(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-moved");
    way.assert_changes(&["request x-api-key renamed"]);
}

#[test]
fn another_path_than_was_signed() {
    let origin = store("/s3/photos/1.jpg");
    let line = "http-request replace-path /s3(/.*) \\1";
    let path = Path::start(haproxy(line), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/s3/photos/1.jpg")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&["request :target path-prefix"]).assert_evidence(&["app  in", "/photos/1.jpg"]);
    path.assert_absent(SIGNATURE);
}

#[test]
fn another_host_than_was_signed() {
    let origin = store("/photos/1.jpg");
    let path = Path::start(haproxy("http-request set-header Host s3.internal"), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/photos/1.jpg")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&["request host changed"]).assert_evidence(&["app  in", "s3.internal"]);
    path.assert_absent(SIGNATURE);
}

#[test]
fn a_request_that_haproxy_denies() {
    let origin = orders().may_be_unused();
    let path = Path::start(haproxy("http-request deny if { path_beg /v1 }"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(403);

    let way = path.way(0);
    way.assert_verdict("refusal-origin", "info", "certain", "hop:edge>app");
    assert_eq!(way.assert_beside("credentials-rejected")["severity"], "info");
    assert_eq!(origin.received_text(), "");
}

#[test]
fn a_deleted_challenge() {
    let origin = orders();
    let path = Path::start(haproxy("http-response del-header WWW-Authenticate"), &origin.url());

    let result = curl(&[&path.url("/v1/orders")]);
    result.assert_status(401);
    assert_eq!(result.header("www-authenticate"), None);

    let way = path.way(1);
    way.assert_hop_error("challenge-changed");
    way.assert_changes(&["answer www-authenticate removed"]);
    way.assert_evidence(&["app  out", "Bearer realm=\"orders\""]).assert_evidence(&["edge out", "(none)"]);
}

#[test]
fn a_status_that_is_set() {
    let origin = orders();
    let path = Path::start(haproxy("http-response set-status 403 if { status 401 }"), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_changes(&["answer :status changed"]);
    way.assert_evidence(&["app out", "401"])
        .assert_evidence(&["edge out", "403"])
        .assert_fix("http-response set-status");
}

#[test]
fn a_wrong_password_is_refused_by_haproxy_itself() {
    let origin = orders().may_be_unused();
    let path =
        Path::start(|app| Proxy { sections: &staff(), frontend: AUTH, ..Proxy::default() }.before(app), &origin.url());

    curl(&["-u", &user(WRONG_PASSWORD), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(0);
    way.assert_verdict("credentials-rejected", "error", "likely", "hop:edge>app");
    way.assert_evidence(&["the gateway refused by itself: no request arrived at app"]);
    way.assert_beside("refusal-origin");
    assert_eq!(origin.received_text(), "");
}

#[test]
fn a_password_for_haproxy_goes_on_to_who_wants_a_token() {
    let origin = orders();
    let path =
        Path::start(|app| Proxy { sections: &staff(), frontend: AUTH, ..Proxy::default() }.before(app), &origin.url());

    curl(&["--anyauth", "-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(401);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_verdict("gateway-credential-leaked", "error", "likely", "hop:edge>app");
    ways[1].assert_changes(&[]).assert_fix("http-request del-header Authorization");
}

#[test]
fn a_connection_that_ends_behind_each_answer_breaks_ntlm() {
    let origin = ntlm::intranet();
    let backend = "option http-server-close";
    let path = Path::start(|app| Proxy { backend, ..Proxy::default() }.before(app), &origin.url());
    let mut alice = Client::connect(path.tap.addr());

    assert_eq!(ntlm::get(&mut alice, Some(1)), 401);
    assert_eq!(ntlm::get(&mut alice, Some(3)), 401);

    let ways = path.ways(&[1, 1]);
    ways[0].assert_healthy();
    ways[1].assert_hop_error("ntlm-connection-broken");
    ways[1].assert_changes(&[]).assert_evidence(&["app in", "first message on connection", "last one on"]);
    ways[1].assert_fix("option http-keep-alive");
}

// What is configured rightly.

#[test]
fn what_passes_is_healthy() {
    let origin = orders();
    let path = Path::start(haproxy(""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[]).assert_join("hop-header");
    assert!(origin.received_text().contains(&format!("\r\nauthorization: Bearer {BEARER_TOKEN}\r\n")));
}

#[test]
fn a_signature_over_what_passes_is_healthy() {
    let origin = store("/photos//1.jpg");
    let path = Path::start(haproxy("http-request set-header X-Forwarded-Proto http"), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/photos//1.jpg")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&["request x-forwarded-proto added"]);
    path.assert_absent(SIGNATURE);
}

#[test]
fn an_authorization_that_the_client_names_in_connection_passes() {
    let origin = orders();
    let path = Path::start(haproxy(""), &origin.url());

    curl(&["-H", &bearer(), "-H", "Connection: close, Authorization", &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[]);
}

#[test]
fn a_spelling_that_is_brought_back() {
    let origin = case_sensitive();
    let path = Path::start(
        |app| {
            Proxy {
                sections: "global\n    h1-case-adjust x-api-key X-Api-Key",
                backend: "option h1-case-adjust-bogus-server",
                ..Proxy::default()
            }
            .before(app)
        },
        &origin.url(),
    );

    curl(&["-H", &key(), &path.url("/v1/orders")]).assert_status(200);

    // The others stay in lower case.
    path.way(1).assert_healthy().assert_changes(&["request accept recased", "request user-agent recased"]);
    assert!(origin.received_text().contains(&format!("\r\nX-Api-Key: {API_KEY}\r\n")), "{}", origin.received_text());
}

#[test]
fn a_password_that_haproxy_consumes_is_healthy() {
    let origin = fine();
    let frontend = format!("{AUTH}\n    http-request del-header Authorization");
    let path = Path::start(
        |app| Proxy { sections: &staff(), frontend: &frontend, ..Proxy::default() }.before(app),
        &origin.url(),
    );

    curl(&["--anyauth", "-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(200);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_healthy().assert_changes(&["request authorization removed"]);
}

#[test]
fn connections_that_haproxy_keeps_for_their_client_carry_ntlm() {
    // It shares none on which it saw a challenge for NTLM, even where it is told to.
    for backend in ["http-reuse never", "http-reuse safe", "http-reuse always"] {
        let origin = ntlm::intranet();
        let path = Path::start(|app| Proxy { backend, ..Proxy::default() }.before(app), &origin.url());
        let (mut alice, mut bob) = (Client::connect(path.tap.addr()), Client::connect(path.tap.addr()));

        assert_eq!(ntlm::get(&mut alice, Some(1)), 401, "{backend}");
        assert_eq!(ntlm::get(&mut bob, None), 401, "{backend}");
        assert_eq!(ntlm::get(&mut alice, Some(3)), 200, "{backend}");
        assert_eq!(ntlm::get(&mut bob, None), 401, "{backend}");

        for way in path.ways(&[1, 1, 1, 1]) {
            way.assert_healthy().assert_changes(&[]);
        }
    }
}

#[test]
fn a_handshake_that_passes_is_healthy() {
    let origin = Origin::serve(|head| match head.get("authorization") {
        Some(value) if value == format!("Basic {}", STANDARD.encode(user(PASSWORD))) => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"orders\""], ""),
    });
    let path = Path::start(haproxy(""), &origin.url());

    curl(&["--anyauth", "-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(200);

    for way in path.ways(&[1, 1]) {
        way.assert_healthy().assert_changes(&[]);
    }
}

#[test]
fn http2_before_haproxy_is_healthy() {
    let origin = orders();
    let path = Path::start(|app| At("h2c", Proxy { bind: "proto h2", ..Proxy::default() }.before(app)), &origin.url());

    curl(&["--http2-prior-knowledge", "-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(1);
    assert_eq!(
        (&way.edge["request"]["version"], &way.app[0]["request"]["version"]),
        (&"HTTP/2".into(), &"HTTP/1.1".into())
    );
    way.assert_healthy().assert_changes(&[]);
}

#[test]
fn http2_behind_haproxy_recases_nothing() {
    let origin = orders();
    let path = Path::start(|app| Proxy { server: "proto h2", ..Proxy::default() }.before(app), &origin.url());

    curl(&["-H", "Authorization: Bearer none-of-ours", "-H", "X-Request-Kind: List", &path.url("/v1/orders")])
        .assert_status(401);

    let way = path.way(1);
    assert_eq!(
        (&way.edge["request"]["version"], &way.app[0]["request"]["version"]),
        (&"HTTP/1.1".into(), &"HTTP/2".into())
    );
    assert!(header_names(&way.app[0]["request"]).contains(&"x-request-kind"));
    way.assert_verdict("credentials-rejected", "error", "likely", "backend");
    way.assert_changes(&[]);
    way.assert_silent("header-name-recased");
}

#[test]
fn a_request_that_haproxy_sends_again_is_served() {
    let attempts = AtomicUsize::new(0);
    let origin = Origin::serve(move |_| match attempts.fetch_add(1, Ordering::SeqCst) {
        0 => answer("503 Service Unavailable", &[], ""),
        _ => answer("200 OK", &[], "fine\n"),
    });
    let path = Path::start(
        |app| Proxy { backend: "retries 3\n    retry-on 503", ..Proxy::default() }.before(app),
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(2);
    way.assert_healthy().assert_changes(&[]);
    assert_eq!(way.hop()["requests"], 2);
}

#[test]
fn a_refusal_that_haproxy_tried_again_is_served() {
    let attempts = AtomicUsize::new(0);
    let origin = Origin::serve(move |_| match attempts.fetch_add(1, Ordering::SeqCst) {
        0 => answer("401 Unauthorized", &["WWW-Authenticate: Bearer error=\"invalid_token\""], ""),
        _ => answer("200 OK", &[], "fine\n"),
    });
    let path = Path::start(
        |app| Proxy { backend: "retries 3\n    retry-on 401", ..Proxy::default() }.before(app),
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(2);
    assert_eq!(way.edge["diagnosis"]["verdict"], "ok", "{:#}", way.edge);
}
