//! Caddy between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, SESSION, WRONG_BEARER_TOKEN, WRONG_PASSWORD};
use common::head::answer;
use common::path::{bearer, http1, orders};
use common::record::findings;
use common::servers::program;
use common::{Caddy, Origin, Path, Server, curl};

/// What Caddy adds to every request of a client that names no encoding, beside its own plumbing.
const ADDED: [&str; 4] = [
    "request accept-encoding added",
    "request x-forwarded-for added",
    "request x-forwarded-host added",
    "request x-forwarded-proto added",
];

/// What it adds to an answer that has a body without a type.
const TYPED: &str = "answer content-type added";

/// What Caddy always does, and these.
fn with(changes: &[&'static str]) -> Vec<&'static str> {
    ADDED.iter().chain(changes).copied().collect()
}

/// A site with these directives, in which `@APP@` is the inner tap.
fn site(directives: &str) -> impl FnOnce(&str) -> Server + use<> {
    let directives = directives.to_owned();
    move |app| Caddy::start(&directives.replace("@APP@", app), &[])
}

/// A proxy to the inner tap, with these subdirectives.
fn proxy(subdirectives: &str) -> impl FnOnce(&str) -> Server + use<> {
    site(&format!("reverse_proxy @APP@ {{\n{subdirectives}\n}}"))
}

/// Alice's password, as Caddy keeps it.
fn basicauth() -> String {
    let output = Command::new(program("caddy")).args(["hash-password", "--plaintext", PASSWORD]).output().unwrap();
    let hash = String::from_utf8(output.stdout).unwrap();
    format!("basicauth {{\nalice {}\n}}\n", hash.trim())
}

/// Asks the service first, and goes on with these of its headers.
fn forward_auth(service: &Origin, copied: &str) -> String {
    format!("forward_auth {} {{\nuri /auth\n{copied}\n}}\nreverse_proxy @APP@\n", service.addr())
}

/// Alice and her password.
fn alice() -> String {
    format!("alice:{PASSWORD}")
}

/// Nothing like a field of this name reached the backend.
fn assert_not_received(origin: &Origin, name: &str) {
    let received = origin.received_text().to_ascii_lowercase();
    assert!(!received.contains(&format!("\n{name}:")), "{received}");
}

// What goes wrong with the client's credentials.

#[test]
fn a_header_that_caddy_takes_off() {
    let origin = orders();
    let path = Path::start(proxy("header_up -Authorization"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&with(&["answer www-authenticate recased", "request authorization removed"]));
    way.assert_fix("header_up");
    assert_not_received(&origin, "authorization");
}

#[test]
fn a_header_that_caddy_takes_off_before_it_proxies() {
    let origin = orders();
    let path = Path::start(site("request_header -Authorization\nreverse_proxy @APP@"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&with(&["answer www-authenticate recased", "request authorization removed"]));
    way.assert_fix("request_header");
    assert_not_received(&origin, "authorization");
}

#[test]
fn a_token_of_caddys_own_in_place_of_the_clients() {
    let origin = orders();
    let own = STANDARD.encode(format!("gateway:{WRONG_PASSWORD}"));
    let path = Path::start(proxy(&format!("header_up Authorization \"Basic {own}\"")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&with(&["answer www-authenticate recased", "request authorization replaced"]));
    way.assert_evidence(&["edge in", "Bearer token#"]).assert_evidence(&["app  in", "Basic"]);
    way.assert_evidence(&["scheme Bearer", "scheme Basic, user gateway"]).assert_fix("header_up");
}

#[test]
fn a_second_token_beside_the_clients() {
    // It takes the last one.
    let origin = Origin::serve(|head| {
        let sent = head.fields().into_iter().filter(|(name, _)| name == "Authorization");
        match sent.map(|(_, value)| value).next_back() {
            Some(value) if value == format!("Bearer {BEARER_TOKEN}") => answer("200 OK", &[], "fine\n"),
            _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""),
        }
    });
    let path = Path::start(proxy("header_up +Authorization \"Basic Z2F0ZXdheTp4\""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&with(&["answer www-authenticate recased", "request authorization added"]));
    way.assert_evidence(&["app  in", "Authorization: Basic"]).assert_fix("header_up");
}

#[test]
fn a_token_that_a_pattern_cuts() {
    let origin = orders();
    let path = Path::start(proxy("header_up Authorization \"^(Bearer .{12}).*$\" \"$1\""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&with(&["answer www-authenticate recased", "request authorization cut"]));
    way.assert_fix("header_up");
}

#[test]
fn a_token_that_caddy_moves_to_another_header() {
    let origin = orders();
    let moved = "header_up X-Forwarded-Authorization {http.request.header.Authorization}\nheader_up -Authorization";
    let path = Path::start(proxy(moved), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-moved");
    way.assert_changes(&with(&["answer www-authenticate recased", "request authorization renamed"]));
    way.assert_evidence(&["app  in", "X-Forwarded-Authorization: Bearer"]);
    assert_not_received(&origin, "authorization");
}

#[test]
fn a_cookie_that_caddy_takes_off() {
    let origin = Origin::serve(|head| match head.get("cookie") {
        Some(value) if value == format!("session={SESSION}") => answer("200 OK", &[], "fine\n"),
        _ => answer("302 Found", &["Location: /login"], ""),
    });
    let path = Path::start(proxy("header_up -Cookie"), &origin.url());

    curl(&["-H", &format!("Cookie: session={SESSION}"), &path.url("/me")]).assert_status(302);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&with(&["request cookie removed"]));
    assert_not_received(&origin, "cookie");
}

#[test]
fn a_key_in_a_name_of_other_letters_than_the_backend_looks_for() {
    let origin = Origin::serve(|head| match head.get_exact("x-api-key") {
        Some(key) if key == API_KEY => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &[], "{\"error\": \"missing API key\"}"),
    });
    let path = Path::start(proxy(""), &origin.url());

    curl(&["-H", &format!("x-api-key: {API_KEY}"), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("header-name-recased", "warning", "likely", "hop:edge>app");
    way.assert_changes(&with(&[TYPED, "request x-api-key recased"]));
    way.assert_evidence(&["edge in", "x-api-key"]).assert_evidence(&["app  in", "X-Api-Key"]);
    way.assert_fix("Title-Case");
    assert!(origin.received_text().contains("\nX-Api-Key: "), "{}", origin.received_text());
}

#[test]
fn a_password_for_caddy_that_goes_on_to_the_backend() {
    let origin = orders();
    let path = Path::start(site(&(basicauth() + "reverse_proxy @APP@")), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(401);
    // That nothing arrives is known after a while; it is by its own challenge that the gateway is found out.
    path.tap.records(1);
    curl(&["-u", &alice(), &path.url("/v1/orders")]).assert_status(401);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_verdict("gateway-credential-leaked", "error", "likely", "hop:edge>app");
    ways[1].assert_changes(&with(&["answer www-authenticate recased"]));
    ways[1].assert_fix("header_up -Authorization");
}

#[test]
fn a_password_that_caddy_takes_off_before_a_backend_that_wants_it() {
    let origin = Origin::serve(|head| match head.get("authorization") {
        Some(value) if value.starts_with("Basic ") => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"orders\""], ""),
    });
    let consumed = basicauth() + "reverse_proxy @APP@ {\nheader_up -Authorization\n}";
    let path = Path::start(site(&consumed), &origin.url());

    curl(&["-u", &alice(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&with(&["answer www-authenticate recased", "request authorization removed"]));
    assert_not_received(&origin, "authorization");
}

#[test]
fn a_wrong_password_that_caddy_itself_refuses() {
    let origin = orders().may_be_unused();
    let path = Path::start(site(&(basicauth() + "reverse_proxy @APP@")), &origin.url());

    curl(&["-u", &format!("alice:{WRONG_PASSWORD}"), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(0);
    way.assert_verdict("credentials-rejected", "error", "likely", "hop:edge>app");
    way.assert_evidence(&["no request arrived at app"]).assert_fix("basicauth");
}

#[test]
fn a_token_where_caddy_itself_wants_a_password() {
    let origin = orders().may_be_unused();
    let path = Path::start(site(&(basicauth() + "reverse_proxy @APP@")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(0);
    way.assert_verdict("scheme-not-offered", "warning", "likely", "hop:edge>app");
    way.assert_evidence(&["no request arrived at app"]);
}

#[test]
fn a_refusal_by_the_authorization_service() {
    let service = Origin::reply(answer("401 Unauthorized", &["WWW-Authenticate: Bearer error=\"invalid_token\""], ""));
    let origin = orders().may_be_unused();
    let path = Path::start(site(&forward_auth(&service, "")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(0);
    way.assert_verdict("credentials-rejected", "error", "likely", "hop:edge>app");
    way.assert_evidence(&["no request arrived at app"]).assert_fix("forward_auth");
}

#[test]
fn an_authorization_service_whose_own_token_takes_the_place_of_the_clients() {
    let own = format!("Authorization: Bearer {WRONG_BEARER_TOKEN}");
    let service = Origin::reply(answer("200 OK", &[&own], ""));
    let origin = orders();
    let path = Path::start(site(&forward_auth(&service, "copy_headers Authorization")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&with(&["answer www-authenticate recased", "request authorization replaced"]));
    way.assert_fix("copy_headers");
}

#[test]
fn an_authorization_service_without_a_token_to_copy() {
    let service = Origin::reply(answer("200 OK", &[], ""));
    let origin = orders();
    let path = Path::start(site(&forward_auth(&service, "copy_headers Authorization")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&with(&["answer www-authenticate recased", "request authorization replaced"]));
    way.assert_evidence(&["app in", "a gap of a template that was never filled in"]);
    // What is said of it at the inner tap is not the client's to mend.
    let placeholder = findings(&way.app[0]).iter().find(|finding| finding["rule"] == "token-placeholder");
    assert_eq!(placeholder.unwrap()["at"], "hop:edge>app");
    // This version of Caddy writes the gap itself where there is nothing to put into it.
    let received = origin.received_text();
    assert!(received.contains("\nAuthorization: {http.reverse_proxy.header.Authorization}\r"), "{received}");
}

// What goes wrong with signatures.

#[test]
fn a_prefix_that_caddy_strips_under_a_digest() {
    let origin = Origin::serve(|head| match head.get("authorization") {
        Some(value) if value.contains(&format!("uri=\"{}\"", head.target())) => answer("200 OK", &[], "fine\n"),
        _ => answer(
            "401 Unauthorized",
            &["WWW-Authenticate: Digest realm=\"a\", qop=\"auth\", algorithm=MD5, nonce=\"dcd98b7102dd2f0e8b11d0f6\""],
            "",
        ),
    });
    let path = Path::start(site("uri strip_prefix /api\nreverse_proxy @APP@"), &origin.url());

    curl(&["--digest", "-u", &alice(), &path.url("/api/orders")]).assert_status(401);

    let ways = path.ways(&[1, 1]);
    ways[0].assert_healthy();
    ways[1].assert_hop_error("signed-part-changed");
    ways[1].assert_changes(&with(&["answer www-authenticate recased", "request :target path-prefix"]));
    ways[1].assert_fix("strip_prefix");
}

#[test]
fn a_host_that_caddy_sets_under_a_signature() {
    let origin = Origin::serve(|head| match head.get("host") {
        Some(host) if host == "files.internal" => answer("403 Forbidden", &[], "SignatureDoesNotMatch"),
        _ => answer("200 OK", &[], "fine\n"),
    });
    let path = Path::start(proxy("header_up Host files.internal"), &origin.url());

    let key = format!("AKIAIOSFODNN7EXAMPLE:{PASSWORD}");
    curl(&["--aws-sigv4", "aws:amz:us-east-1:s3", "-u", &key, &path.url("/bucket/a.txt")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&with(&[TYPED, "request host changed"]));
    way.assert_fix("header_up Host");
}

#[test]
fn a_target_that_caddy_rewrites_under_a_signature() {
    let origin = Origin::reply(answer("403 Forbidden", &[], "SignatureDoesNotMatch"));
    let path = Path::start(site("rewrite * /files{uri}\nreverse_proxy @APP@"), &origin.url());

    let key = format!("AKIAIOSFODNN7EXAMPLE:{PASSWORD}");
    curl(&["--aws-sigv4", "aws:amz:us-east-1:s3", "-u", &key, &path.url("/bucket/a.txt")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&with(&[TYPED, "request :target path-prefix"]));
    way.assert_fix("rewrite");
}

// What goes wrong with the backend's answer.

#[test]
fn a_challenge_that_caddy_takes_off() {
    let origin = orders();
    let path = Path::start(proxy("header_down -WWW-Authenticate"), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("challenge-changed");
    way.assert_changes(&with(&["answer www-authenticate removed"]));
    way.assert_evidence(&["app  out", "WWW-Authenticate: Bearer"]).assert_evidence(&["edge out", "(none)"]);
    way.assert_fix("header_down");
}

#[test]
fn a_refusal_that_caddy_makes_a_prohibition() {
    let origin = orders();
    let path = Path::start(proxy("@401 status 401\nhandle_response @401 {\nrespond \"no\" 403\n}"), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_changes(&with(&[
        "answer :status changed",
        "answer content-type added",
        "answer www-authenticate removed",
    ]));
    way.assert_evidence(&["app out", "401"]).assert_evidence(&["edge out", "403"]).assert_fix("handle_response");
}

#[test]
fn a_refusal_that_caddy_makes_a_redirect_to_a_login() {
    let origin = orders();
    let path = Path::start(proxy("@401 status 401\nhandle_response @401 {\nredir * /login\n}"), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(302);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_changes(&with(&["answer :status changed", "answer location added", "answer www-authenticate removed"]));
    way.assert_fix("handle_response");
}

#[test]
fn a_refusal_whose_status_alone_caddy_replaces() {
    let origin = orders();
    let path = Path::start(proxy("@401 status 401\nreplace_status @401 404"), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(404);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_changes(&with(&["answer :status changed", "answer www-authenticate recased"]));
    way.assert_fix("replace_status");
}

// What goes right.

#[test]
fn nothing_but_what_caddy_always_does() {
    let origin = orders();
    let path = Path::start(proxy(""), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(401);
    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let ways = path.ways(&[1, 1]);
    ways[0].assert_healthy().assert_changes(&with(&["answer www-authenticate recased"]));
    ways[1].assert_healthy().assert_changes(&with(&[TYPED]));
    ways[1].assert_join("hop-header");
}

#[test]
fn a_client_that_names_its_encodings() {
    let origin = orders();
    let path = Path::start(proxy(""), &origin.url());

    curl(&["-H", "Accept-Encoding: gzip", "-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let changes = with(&[TYPED]);
    path.way(1).assert_healthy().assert_changes(&changes[1..]);
}

#[test]
fn a_password_that_caddy_checks_and_takes_off_before_a_backend_that_trusts_it() {
    let origin = Origin::reply(answer("200 OK", &[], "fine\n"));
    let consumed =
        basicauth() + "reverse_proxy @APP@ {\nheader_up -Authorization\nheader_up X-User {http.auth.user.id}\n}";
    let path = Path::start(site(&consumed), &origin.url());

    curl(&["--anyauth", "-u", &alice(), &path.url("/v1/orders")]).assert_status(200);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_healthy();
    ways[1].assert_changes(&with(&[TYPED, "request authorization removed", "request x-user added"]));
    assert_eq!(ways[1].assert_beside("credentials-stripped")["severity"], "info");
    assert_not_received(&origin, "authorization");
}

#[test]
fn a_password_that_caddy_and_the_backend_share() {
    let origin = Origin::serve(|head| match head.get("authorization") {
        Some(value) if value.starts_with("Basic ") => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"orders\""], ""),
    });
    let path = Path::start(site(&(basicauth() + "reverse_proxy @APP@")), &origin.url());

    curl(&["-u", &alice(), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&with(&[TYPED]));
}

#[test]
fn an_authorization_service_that_lets_the_request_pass() {
    let service = Origin::reply(answer("200 OK", &["X-User: alice"], ""));
    let origin = orders();
    let path = Path::start(site(&forward_auth(&service, "copy_headers X-User")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&with(&[TYPED, "request x-user added"]));
    // The service got to see the token, under the path that it is asked by.
    assert!(service.received_text().starts_with("GET /auth HTTP/1.1\r\n"), "{}", service.received_text());
}

#[test]
fn a_token_that_the_authorization_service_exchanges_for_one_that_the_backend_takes() {
    let own = format!("Authorization: Bearer {BEARER_TOKEN}");
    let service = Origin::reply(answer("200 OK", &[&own], ""));
    let origin = orders();
    let path = Path::start(site(&forward_auth(&service, "copy_headers Authorization")), &origin.url());

    curl(&["-H", &format!("Authorization: Bearer {WRONG_BEARER_TOKEN}"), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy().assert_changes(&with(&[TYPED, "request authorization replaced"]));
    assert_eq!(way.assert_beside("credentials-replaced")["severity"], "info");
}

#[test]
fn http2_behind_caddy() {
    let origin = http1(|head| match head.get("authorization") {
        Some(value) if value == format!("Bearer {BEARER_TOKEN}") => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer"], ""),
    });
    let path = Path::start(proxy("transport http {\nversions h2c 2\n}"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy().assert_changes(&with(&[TYPED]));
    assert_eq!(way.app[0]["request"]["version"], "HTTP/2");
}

#[test]
fn a_signature_on_which_caddy_keeps_its_hands_off() {
    let origin = Origin::reply(answer("200 OK", &[], "fine\n"));
    let path = Path::start(proxy(""), &origin.url());

    let key = format!("AKIAIOSFODNN7EXAMPLE:{PASSWORD}");
    curl(&["--aws-sigv4", "aws:amz:us-east-1:s3", "-u", &key, &path.url("/bucket/a%2Fb.txt?x=1&y=%20")])
        .assert_status(200);

    path.way(1).assert_healthy().assert_changes(&with(&[TYPED]));
}
