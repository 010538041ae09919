//! Apache httpd between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, WRONG_PASSWORD};
use common::head::answer;
use common::path::{SIGNATURE, bearer, fine, orders, signed, store};
use common::record::header_names;
use common::servers::program;
use common::{Apache, Client, Origin, Path, Server, curl, ntlm};

/// Everything goes to the inner tap, with these directives beside.
fn apache(directives: &str) -> impl FnOnce(&str) -> Server + use<> {
    only(&format!("ProxyPass / http://@APP@/\n{directives}"))
}

/// These directives alone; `@APP@` stands for the address of the inner tap.
fn only(directives: &str) -> impl FnOnce(&str) -> Server + use<> {
    let directives = directives.to_owned();
    move |app| {
        Apache::start(
            &directives.replace("@APP@", app),
            &[("users", &format!("alice:{}\n", apr1(PASSWORD))), ("errors/401.html", "<html>log in first</html>\n")],
        )
    }
}

fn apr1(password: &str) -> String {
    let output =
        std::process::Command::new(program("openssl")).args(["passwd", "-apr1", "-salt", "salt", password]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// Apache asks for a password by itself.
const AUTH_BASIC: &str = r#"
<Location "/">
    AuthType Basic
    AuthName "staff"
    AuthUserFile "@DIR@/users"
    Require valid-user
</Location>
"#;

fn user(password: &str) -> String {
    format!("alice:{password}")
}

/// What mod_proxy does to each request, and `changes` beside.
fn beside<'a>(changes: &[&'a str]) -> Vec<&'a str> {
    let always = [
        "request host changed",
        "request x-forwarded-for added",
        "request x-forwarded-host added",
        "request x-forwarded-server added",
    ];
    always.iter().chain(changes).copied().collect()
}

/// The same where it passes the client's Host on.
fn with_host_beside<'a>(changes: &[&'a str]) -> Vec<&'a str> {
    beside(changes).into_iter().skip(1).collect()
}

// What is configured wrongly.

#[test]
fn an_unset_authorization() {
    let origin = orders();
    let path = Path::start(apache("RequestHeader unset Authorization"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&beside(&["request authorization removed"]));
    way.assert_evidence(&["hop", "Apache"]).assert_fix("RequestHeader unset");
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}

#[test]
fn an_authorization_of_apache_in_place_of_the_clients() {
    let origin = orders();
    let own = STANDARD.encode(format!("gateway:{WRONG_PASSWORD}"));
    let path = Path::start(apache(&format!("RequestHeader set Authorization \"Basic {own}\"")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&beside(&["request authorization replaced"]));
    way.assert_evidence(&["behind:", "user gateway"]).assert_fix("RequestHeader set");
    assert!(!origin.received_text().contains(BEARER_TOKEN), "{}", origin.received_text());
}

#[test]
fn a_pattern_that_cuts_a_token_at_its_slash() {
    let origin = orders();
    // Meant for a path, and applied to every header that was thought of.
    let path = Path::start(apache("RequestHeader edit Authorization \"/[^/]*$\" \"\""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&beside(&["request authorization cut"]));
    way.assert_fix("edit");
    assert!(origin.received_text().contains("Authorization: Bearer canary-Jv40+lighthouse\r\n"));
}

#[test]
fn a_scheme_that_is_edited_into_other_letters() {
    // Looks for the scheme letter by letter, which is its own fault.
    let origin = orders();
    let path = Path::start(apache("RequestHeader edit Authorization ^Bearer bearer"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("credentials-rewritten", "error", "likely", "hop:edge>app");
    way.assert_changes(&beside(&["request authorization scheme-case"]));
}

#[test]
fn an_authorization_that_is_appended_to() {
    let origin = orders();
    let own = STANDARD.encode(format!("gateway:{WRONG_PASSWORD}"));
    let path = Path::start(apache(&format!("RequestHeader append Authorization \"Basic {own}\"")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&beside(&["request authorization extended"]));
}

#[test]
fn a_second_authorization() {
    let origin = Origin::serve(|head| match head.fields().iter().filter(|(name, _)| name == "Authorization").count() {
        1 => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""),
    });
    let own = STANDARD.encode(format!("gateway:{WRONG_PASSWORD}"));
    let path = Path::start(apache(&format!("RequestHeader add Authorization \"Basic {own}\"")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&beside(&["request authorization added"]));
    way.assert_summary("a second Authorization");
    way.assert_evidence(&["edge in", "(not this one)"]);
}

#[test]
fn an_authorization_in_two_lines_becomes_one() {
    let origin = orders();
    let path = Path::start(apache(""), &origin.url());

    curl(&["-H", &bearer(), "-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&beside(&["request authorization merged"]));
}

#[test]
fn an_authorization_that_the_client_names_in_connection() {
    let origin = orders();
    let path = Path::start(apache(""), &origin.url());

    curl(&["-H", &bearer(), "-H", "Connection: close, Authorization", &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("credentials-stripped", "error", "certain", "client");
    way.assert_changes(&beside(&["request authorization removed"]));
    way.assert_evidence(&["edge in", "Connection names Authorization"]).assert_fix("out of Connection");
}

#[test]
fn an_unset_challenge() {
    let origin = orders();
    let path = Path::start(apache("Header unset WWW-Authenticate"), &origin.url());

    let result = curl(&[&path.url("/v1/orders")]);
    result.assert_status(401);
    assert_eq!(result.header("www-authenticate"), None);

    let way = path.way(1);
    way.assert_hop_error("challenge-changed");
    way.assert_changes(&beside(&["answer www-authenticate removed"]));
    way.assert_evidence(&["app  out", "Bearer realm=\"orders\""]).assert_fix("Header unset WWW-Authenticate");
}

#[test]
fn an_edited_challenge() {
    let origin = orders();
    let path = Path::start(apache("Header edit WWW-Authenticate ^Bearer Negotiate"), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("challenge-changed", "warning", "certain", "hop:edge>app");
    way.assert_changes(&beside(&["answer www-authenticate changed"]));
    way.assert_evidence(&["edge out", "Negotiate"]).assert_fix("Header edit");
}

#[test]
fn a_password_for_apache_goes_on_to_who_wants_a_token() {
    let origin = orders();
    let path = Path::start(apache(AUTH_BASIC), &origin.url());

    curl(&["--anyauth", "-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(401);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_verdict("gateway-credential-leaked", "error", "likely", "hop:edge>app");
    ways[1].assert_changes(&beside(&[])).assert_fix("RequestHeader unset Authorization");
}

#[test]
fn a_wrong_password_is_refused_by_apache_itself() {
    let origin = orders().may_be_unused();
    let path = Path::start(apache(AUTH_BASIC), &origin.url());

    curl(&["-u", &user(WRONG_PASSWORD), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(0);
    way.assert_verdict("credentials-rejected", "error", "likely", "hop:edge>app");
    way.assert_evidence(&["the gateway refused by itself: no request arrived at app"]);
    way.assert_fix("AuthType").assert_beside("refusal-origin");
    assert_eq!(origin.received_text(), "");
}

#[test]
fn an_error_document_elsewhere_makes_a_redirect_of_a_refusal() {
    let origin = Origin::reply(answer("403 Forbidden", &["Content-Type: application/json"], "{\"error\":\"role\"}"));
    let directives = "ProxyErrorOverride On\nErrorDocument 403 https://login.example/\n";
    let path = Path::start(apache(directives), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(302);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_evidence(&["app out", "403"]).assert_evidence(&["edge out", "302"]).assert_fix("ProxyErrorOverride On");
}

#[test]
fn another_host_than_was_signed() {
    let origin = store("/photos/1.jpg");
    let path = Path::start(apache(""), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/photos/1.jpg")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&beside(&[]));
    way.assert_evidence(&["edge in", "bucket.example:9000"]).assert_fix("ProxyPreserveHost On");
    path.assert_absent(SIGNATURE);
}

#[test]
fn another_path_than_was_signed() {
    let origin = store("/s3/photos/1.jpg");
    let path = Path::start(only("ProxyPreserveHost On\nProxyPass /s3/ http://@APP@/"), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/s3/photos/1.jpg")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&with_host_beside(&["request :target path-prefix"]));
    way.assert_fix("ProxyPass");
    path.assert_absent(SIGNATURE);
}

#[test]
fn a_signed_field_that_apache_writes_anew() {
    let origin = Origin::serve(|head| match head.get("x-forwarded-for") {
        Some(value) if value == "203.0.113.7" => answer("200 OK", &[], "fine\n"),
        _ => answer("403 Forbidden", &[], "<Error><Code>SignatureDoesNotMatch</Code></Error>"),
    });
    let path = Path::start(apache("ProxyPreserveHost On"), &origin.url());
    let [host, date, authorization] = signed("x-amz-date;x-forwarded-for");
    let headers = ["-H", &host, "-H", &date, "-H", &authorization, "-H", "X-Forwarded-For: 203.0.113.7"];

    curl(&[&headers[..], &[&path.url("/photos/1.jpg")]].concat()).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&[
        "request x-forwarded-for extended",
        "request x-forwarded-host added",
        "request x-forwarded-server added",
    ]);
    path.assert_absent(SIGNATURE);
}

#[test]
fn a_backend_that_redirects_to_its_internal_address() {
    let origin = Origin::serve(|head| {
        let host = head.get("host").unwrap();
        answer("301 Moved Permanently", &[&format!("Location: http://{host}/v1/orders/")], "")
    });
    let path = Path::start(apache("ProxyAddHeaders Off"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(301);

    let way = path.way(1);
    way.assert_verdict("forwarded-context-missing", "error", "likely", "hop:edge>app");
    way.assert_changes(&["request host changed"]);
    way.assert_evidence(&["X-Forwarded-Proto, X-Forwarded-Host: (none)"]).assert_fix("ProxyPreserveHost On");
}

#[test]
fn a_connection_on_which_somebody_logged_in_serves_another_client() {
    let origin = ntlm::intranet();
    let path = Path::start(apache(""), &origin.url());
    let (mut alice, mut bob) = (Client::connect(path.tap.addr()), Client::connect(path.tap.addr()));

    assert_eq!(ntlm::get(&mut alice, Some(1)), 401);
    assert_eq!(ntlm::get(&mut alice, Some(3)), 200);
    assert_eq!(ntlm::get(&mut bob, None), 200);

    let ways = path.ways(&[1, 1, 1]);
    ways[1].assert_healthy();
    ways[2].assert_hop_error("authenticated-connection-shared");
    ways[2].assert_changes(&beside(&[]));
}

// What is configured rightly.

#[test]
fn what_passes_is_healthy() {
    let origin = orders();
    let path = Path::start(apache(""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&beside(&[])).assert_join("hop-header");
    assert!(origin.received_text().contains(&format!("\r\n{}\r\n", bearer())), "{}", origin.received_text());
}

#[test]
fn a_key_in_a_name_with_an_underscore_passes() {
    let origin = Origin::serve(|head| match head.get_exact("api_key") {
        Some(key) if key == API_KEY => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: ApiKey realm=\"orders\""], ""),
    });
    let path = Path::start(apache(""), &origin.url());

    curl(&["-H", &format!("api_key: {API_KEY}"), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&beside(&[]));
}

#[test]
fn a_signature_over_what_passes_is_healthy() {
    let origin = store("/photos/1.jpg");
    let path = Path::start(apache("ProxyPreserveHost On\nProxyAddHeaders Off"), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/photos/1.jpg")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[]);
    path.assert_absent(SIGNATURE);
}

#[test]
fn a_password_that_apache_consumes_is_healthy() {
    let origin = fine();
    let path = Path::start(apache(&format!("{AUTH_BASIC}RequestHeader unset Authorization")), &origin.url());

    curl(&["--anyauth", "-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(200);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_healthy().assert_changes(&beside(&["request authorization removed"]));
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}

#[test]
fn a_user_whom_apache_names_is_healthy() {
    let origin = Origin::serve(|head| match head.get("x-remote-user") {
        Some(user) if user == "alice" => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"orders\""], ""),
    });
    let directives = "RequestHeader set X-Remote-User expr=%{REMOTE_USER}\nRequestHeader unset Authorization";
    let path = Path::start(apache(&format!("{AUTH_BASIC}{directives}")), &origin.url());

    curl(&["-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(200);

    path.way(1)
        .assert_healthy()
        .assert_changes(&beside(&["request authorization removed", "request x-remote-user added"]));
}

#[test]
fn a_handshake_that_passes_is_healthy() {
    let origin = Origin::serve(|head| match head.get("authorization") {
        Some(value) if value == format!("Basic {}", STANDARD.encode(user(PASSWORD))) => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"orders\""], ""),
    });
    let path = Path::start(apache(""), &origin.url());

    curl(&["--anyauth", "-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(200);

    for way in path.ways(&[1, 1]) {
        way.assert_healthy().assert_changes(&beside(&[]));
    }
}

#[test]
fn an_error_document_for_another_failure_leaves_refusals_alone() {
    let origin = orders();
    let path = Path::start(apache("ProxyErrorOverride On 404\nErrorDocument 404 \"nothing there\""), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(401);

    path.way(1).assert_healthy().assert_changes(&beside(&[]));
}

/// Pages of Apache's own in place of the backend's.
const OVERRIDE: &str = "ProxyPass /errors !\nProxyErrorOverride On\nErrorDocument 401 /errors/401.html\n";

#[test]
fn an_error_document_keeps_the_challenge_of_the_refusal() {
    let origin = orders();
    let path = Path::start(only(&format!("{OVERRIDE}ProxyPass / http://@APP@/")), &origin.url());

    let result = curl(&[&path.url("/v1/orders")]);
    result.assert_status(401);
    assert!(result.body().contains("log in first"), "{}", result.body());

    assert_eq!(result.header("www-authenticate").as_deref(), Some("Bearer realm=\"orders\""));

    path.way(1).assert_healthy().assert_changes(&beside(&[
        "answer accept-ranges added",
        "answer etag added",
        "answer last-modified added",
    ]));
}

#[test]
fn http2_behind_apache_is_healthy() {
    let origin = orders();
    let path = Path::start(only("ProxyPass / h2c://@APP@/\n"), &origin.url());

    curl(&["-H", &bearer(), "-H", "X-Request-Kind: List", &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(1);
    assert_eq!(way.app[0]["request"]["version"], "HTTP/2");
    assert!(header_names(&way.app[0]["request"]).contains(&"x-request-kind"));
    way.assert_healthy().assert_changes(&beside(&[]));
}

#[test]
fn connections_that_are_kept_carry_each_request_to_its_own() {
    const CLIENTS: usize = 4;
    let origin = Origin::serve(|head| answer("200 OK", &["Content-Type: text/plain"], &head.target()));
    let path = Path::start(apache(""), &origin.url());

    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let addr = path.tap.addr();
            scope.spawn(move || {
                let mut client = Client::connect(addr);
                for page in 0..3 {
                    let target = format!("/clients/{number}/{page}");
                    client.send(format!("GET {target} HTTP/1.1\r\nHost: api.example\r\n{}\r\n\r\n", bearer()));
                    assert_eq!(client.read_response().1, target.as_bytes());
                }
            });
        }
    });

    for way in path.ways(&[1; CLIENTS * 3]) {
        way.assert_healthy().assert_changes(&beside(&[])).assert_join("hop-header");
        assert_eq!(way.app[0]["request"]["target"], way.edge["request"]["target"]);
    }
}
