//! nginx between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, SESSION, WRONG_PASSWORD};
use common::head::answer;
use common::path::{At, SIGNATURE, bearer, fine, orders, signed, store};
use common::record::header_values;
use common::servers::free_port;
use common::{Client, Nginx, Origin, Path, Server, cert, curl, ntlm};

/// A location `/` before the inner tap, with these directives.
fn nginx(directives: &str) -> impl FnOnce(&str) -> Server + use<> {
    server(&format!("location / {{ proxy_pass http://@APP@; {directives} }}"))
}

/// A server block with this in it; `@APP@` stands for the address of the inner tap.
fn server(directives: &str) -> impl FnOnce(&str) -> Server + use<> {
    http(&format!("server {{ listen @ADDR@; root @DIR@; {directives} }}"))
}

/// The same with the whole `http` block.
fn http(block: &str) -> impl FnOnce(&str) -> Server + use<> {
    let block = block.to_owned();
    move |app| {
        Nginx::start(
            &block.replace("@APP@", app),
            &[
                ("users", &format!("alice:{{PLAIN}}{PASSWORD}\n")),
                ("401.html", "<html>log in first</html>\n"),
                ("login.html", "<html><form action=\"/login\"></form></html>\n"),
            ],
        )
    }
}

/// nginx asks for a password by itself.
const AUTH_BASIC: &str = "auth_basic \"staff\"; auth_basic_user_file @DIR@/users;";

fn user(password: &str) -> String {
    format!("alice:{password}")
}

/// A service that says of every request that it may pass, and whose it is.
const PASSES: &str = "200 OK";
const REFUSES: &str = "401 Unauthorized";

/// A sub-request before each request, to `@AUTH@`.
const AUTH_REQUEST: &str = r"
    location / {
        auth_request /check;
        auth_request_set $user $upstream_http_x_user;
        proxy_set_header X-User $user;
        proxy_pass http://@APP@;
    }
    location = /check {
        internal;
        proxy_pass http://@AUTH@;
        proxy_pass_request_body off;
        proxy_set_header Content-Length '';
    }
";

fn auth_service(status: &'static str) -> Origin {
    Origin::serve(move |_| match status {
        REFUSES => answer(status, &["WWW-Authenticate: Bearer realm=\"auth\""], ""),
        _ => answer(status, &["X-User: alice"], ""),
    })
}

/// Sub-requests that go to a service which no tap sees.
fn auth_request(service: &Origin) -> impl FnOnce(&str) -> Server + use<> {
    server(&AUTH_REQUEST.replace("@AUTH@", &service.addr().to_string()))
}

/// Sub-requests that take the way of all others, past the inner tap.
fn auth_request_past_the_tap() -> impl FnOnce(&str) -> Server + use<> {
    server(&AUTH_REQUEST.replace("@AUTH@", "@APP@"))
}

/// A backend with its authentication service in one.
fn with_check(status: &'static str) -> Origin {
    Origin::serve(move |head| match (head.target().as_str(), status) {
        ("/check", REFUSES) => answer(status, &["WWW-Authenticate: Bearer realm=\"auth\""], ""),
        ("/check", _) => answer(status, &["X-User: alice"], ""),
        _ => answer("200 OK", &[], "fine\n"),
    })
}

// What is configured wrongly.

#[test]
fn an_emptied_authorization_is_named_with_its_hop() {
    let origin = orders();
    let path = Path::start(nginx("proxy_set_header Authorization \"\";"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["request authorization removed", "request host changed"]);
    way.assert_evidence(&["edge in", "Authorization: Bearer token#"]).assert_evidence(&["app  in", "(none)"]);
    way.assert_fix("proxy_set_header");
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}

/// The server hands a header on under another name; a location with a line of its own inherits none of that.
const INHERITED: &str = r"
    proxy_set_header Host $http_host;
    proxy_set_header Authorization $http_x_forwarded_authorization;
    location /heir { proxy_pass http://@APP@; }
    location / { proxy_set_header X-Real-IP $remote_addr; proxy_pass http://@APP@; }
";

#[test]
fn a_location_with_a_header_of_its_own_inherits_none() {
    let origin = orders();
    let path = Path::start(server(INHERITED), &origin.url());
    let header = format!("X-Forwarded-{}", bearer());

    curl(&["-H", &header, &path.url("/heir")]).assert_status(200);
    curl(&["-H", &header, &path.url("/v1/orders")]).assert_status(401);

    let ways = path.ways(&[1, 1]);
    ways[0].assert_changes(&["request authorization added"]).assert_healthy();
    ways[1].assert_changes(&["request host changed", "request x-real-ip added"]);
    ways[1].assert_verdict("auth-header-name-suspect", "warning", "likely", "unknown");
    ways[1].assert_beside("refusal-origin");
    let arrived = String::from_utf8(origin.received().pop().unwrap()).unwrap();
    assert!(!arrived.contains("\r\nAuthorization:"), "{arrived}");
}

#[test]
fn an_inherited_host_that_is_lost_breaks_the_signature() {
    let origin = store("/photos/1.jpg");
    let path = Path::start(server(INHERITED.replace("X-Real-IP", "X-Forwarded-For").as_str()), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/photos/1.jpg")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&["request host changed", "request x-forwarded-for added"]);
    way.assert_fix("$http_host");
    path.assert_absent(SIGNATURE);
}

#[test]
fn a_key_in_a_name_with_an_underscore_is_dropped() {
    for name in ["api_key", "X_Api_Key"] {
        let origin = Origin::serve(move |head| match head.get(name) {
            Some(key) if key == API_KEY => answer("200 OK", &[], "fine\n"),
            _ => answer("401 Unauthorized", &["WWW-Authenticate: ApiKey realm=\"orders\""], "missing api key"),
        });
        let path = Path::start(nginx(""), &origin.url());

        curl(&["-H", &format!("{name}: {API_KEY}"), &path.url("/v1/orders")]).assert_status(401);

        let way = path.way(1);
        way.assert_hop_error("credentials-stripped");
        let removed = format!("request {} removed", name.to_ascii_lowercase());
        way.assert_changes(&["request host changed", &removed]);
        way.assert_fix("underscores_in_headers on");
        assert!(!origin.received_text().contains(API_KEY), "{}", origin.received_text());
    }
}

#[test]
fn a_password_for_nginx_goes_on_to_who_wants_a_token() {
    let origin = orders();
    let path = Path::start(nginx(AUTH_BASIC), &origin.url());

    curl(&["--anyauth", "-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(401);

    let ways = path.ways(&[0, 1]);
    // The first is the start of a handshake with nginx.
    ways[0].assert_healthy();
    ways[1].assert_verdict("gateway-credential-leaked", "error", "likely", "hop:edge>app");
    ways[1].assert_changes(&["request host changed"]);
    ways[1].assert_evidence(&["the gateway itself asked", "basic"]).assert_fix("proxy_set_header Authorization \"\"");
}

#[test]
fn a_wrong_password_is_refused_by_nginx_itself() {
    let origin = orders().may_be_unused();
    let path = Path::start(nginx(AUTH_BASIC), &origin.url());

    curl(&["-u", &user(WRONG_PASSWORD), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(0);
    way.assert_verdict("credentials-rejected", "error", "likely", "hop:edge>app");
    way.assert_evidence(&["the gateway refused by itself: no request arrived at app"]);
    way.assert_fix("auth_basic").assert_beside("refusal-origin");
    assert_eq!(origin.received_text(), "");
}

#[test]
fn an_auth_request_that_refuses_is_a_refusal_of_nginx() {
    let (origin, service) = (orders().may_be_unused(), auth_service(REFUSES));
    let path = Path::start(auth_request(&service), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(0);
    way.assert_verdict("credentials-rejected", "error", "likely", "hop:edge>app");
    way.assert_evidence(&["the gateway refused by itself: no request arrived at app"]);
    way.assert_fix("auth_request").assert_beside("refusal-origin");
}

#[test]
fn an_auth_request_that_refuses_past_the_inner_tap() {
    let origin = with_check(REFUSES);
    let path = Path::start(auth_request_past_the_tap(), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    assert_eq!(way.app[0]["request"]["target"], "/check");
    way.assert_verdict("credentials-rejected", "error", "likely", "backend");
    way.assert_evidence(&["the backend refused another target than the client's"]);
    way.assert_changes(&["answer content-type added", "request :target changed", "request host changed"]);
    way.assert_beside("refusal-origin");
}

#[test]
fn an_auth_request_whose_service_fails() {
    let (origin, service) = (orders().may_be_unused(), auth_service("500 Internal Server Error"));
    let path = Path::start(auth_request(&service), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(500);

    // That it has to do with credentials can't be seen.
    path.way(0).assert_healthy();
}

#[test]
fn an_auth_request_whose_service_fails_past_the_inner_tap() {
    let origin = with_check("500 Internal Server Error");
    let path = Path::start(auth_request_past_the_tap(), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(500);

    let way = path.way(1);
    way.assert_changes(&[
        "answer content-type added",
        "answer x-user removed",
        "request :target changed",
        "request host changed",
    ]);
    way.assert_healthy();
}

#[test]
fn a_refusal_becomes_a_login_page() {
    let origin = orders();
    let directives = "location / { proxy_pass http://@APP@; proxy_intercept_errors on; error_page 401 = @login; }
                      location @login { rewrite ^ /login.html break; }";
    let path = Path::start(server(directives), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(200);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_evidence(&["app out", "401"]).assert_evidence(&["edge out", "200"]).assert_fix("proxy_intercept_errors");
}

#[test]
fn a_refusal_becomes_a_redirect_to_a_login() {
    let origin = orders();
    let directives = "location / { proxy_pass http://@APP@; proxy_intercept_errors on; error_page 401 = @login; }
                      location @login { return 302 https://login.example/; }";
    let path = Path::start(server(directives), &origin.url());

    curl(&["-H", "Accept: application/json", &path.url("/v1/orders")]).assert_status(302);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_fix("error_page");
}

#[test]
fn a_refusal_becomes_a_forbidden() {
    let origin = orders();
    let directives = "location / { proxy_pass http://@APP@; proxy_intercept_errors on; error_page 401 =403 /401.html; }
                      location = /401.html {}";
    let path = Path::start(server(directives), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
}

/// A backend that offers two schemes, each in a line of its own.
fn two_schemes() -> Origin {
    let challenges = ["WWW-Authenticate: Bearer realm=\"orders\"", "WWW-Authenticate: Basic realm=\"orders\""];
    Origin::reply(answer("401 Unauthorized", &challenges, ""))
}

#[test]
fn an_error_page_keeps_one_challenge_of_two() {
    let origin = two_schemes();
    let directives = "location / { proxy_pass http://@APP@; proxy_intercept_errors on; error_page 401 /401.html; }
                      location = /401.html {}";
    let path = Path::start(server(directives), &origin.url());

    let result = curl(&[&path.url("/v1/orders")]);
    result.assert_status(401);
    assert!(result.body().contains("log in first"), "{}", result.body());

    let way = path.way(1);
    way.assert_verdict("challenge-changed", "warning", "certain", "hop:edge>app");
    way.assert_evidence(&["edge out", "(not this one)"]).assert_evidence(&["app  out", "Basic realm=\"orders\""]);
    way.assert_fix("error_page 401");
}

#[test]
fn an_error_page_of_its_own_challenge() {
    let origin = orders();
    let directives = "location / {
                          proxy_pass http://@APP@; proxy_hide_header WWW-Authenticate;
                          add_header WWW-Authenticate 'Basic realm=\"portal\"' always;
                      }";
    let path = Path::start(server(directives), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("challenge-changed", "warning", "certain", "hop:edge>app");
    way.assert_changes(&["answer www-authenticate changed", "request host changed"]);
    way.assert_fix("add_header");
}

#[test]
fn a_hidden_challenge() {
    let origin = orders();
    let path = Path::start(nginx("proxy_hide_header WWW-Authenticate;"), &origin.url());

    let result = curl(&[&path.url("/v1/orders")]);
    result.assert_status(401);
    assert_eq!(result.header("www-authenticate"), None);

    let way = path.way(1);
    way.assert_hop_error("challenge-changed");
    way.assert_changes(&["answer www-authenticate removed", "request host changed"]);
    way.assert_evidence(&["edge out", "(none)"]).assert_evidence(&["app  out", "Bearer realm=\"orders\""]);
    way.assert_fix("proxy_hide_header WWW-Authenticate");
}

/// A cache for whatever `valid` says.
fn cached(valid: &str) -> String {
    format!(
        "proxy_cache_path @DIR@/cache keys_zone=all:1m;
         server {{
             listen @ADDR@;
             location / {{ proxy_pass http://@APP@; proxy_cache all; proxy_cache_valid {valid}; }}
         }}"
    )
}

#[test]
fn a_cached_refusal_is_given_to_who_has_a_good_token() {
    let origin = orders();
    let path = Path::start(http(&cached("any 1m")), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(401);
    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let ways = path.ways(&[1, 0]);
    ways[0].assert_healthy();
    ways[1].assert_verdict("cached-refusal", "error", "likely", "hop:edge>app");
    ways[1].assert_fix("proxy_cache_valid");
    assert!(!origin.received_text().contains(BEARER_TOKEN), "{}", origin.received_text());
}

#[test]
fn a_host_without_its_port_breaks_a_signature() {
    let origin = store("/photos/1.jpg");
    let path = Path::start(nginx("proxy_set_header Host $host;"), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/photos/1.jpg")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&["request host port"]);
    way.assert_evidence(&["edge in", "bucket.example:9000"]).assert_evidence(&["app  in", "Host: bucket.example"]);
    way.assert_fix("$http_host");
    path.assert_absent(SIGNATURE);
}

#[test]
fn a_prefix_that_is_cut_off_breaks_a_signature() {
    let origin = store("/s3/photos/1.jpg");
    let directives = "location /s3/ { proxy_pass http://@APP@/; proxy_set_header Host $http_host; }";
    let path = Path::start(server(directives), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/s3/photos/1.jpg")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&["request :target path-prefix"]);
    way.assert_evidence(&["edge in", "/s3/photos/1.jpg"]).assert_fix("proxy_pass");
    path.assert_absent(SIGNATURE);
}

#[test]
fn a_path_that_is_normalised_breaks_a_signature() {
    let origin = store("/photos//1%2B.jpg");
    let directives = "location / { proxy_pass http://@APP@/; proxy_set_header Host $http_host; }";
    let path = Path::start(server(directives), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/photos//1%2B.jpg")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&["request :target path-normalised"]);
    path.assert_absent(SIGNATURE);
}

#[test]
fn digest_names_another_path_than_arrives() {
    let origin = Origin::serve(|head| match head.get("authorization") {
        Some(value) if value.contains(&format!("uri=\"{}\"", head.target())) => answer("200 OK", &[], "fine\n"),
        // RFC 7616 3.4.6 leaves the choice between this and 400.
        _ => answer(
            "401 Unauthorized",
            &["WWW-Authenticate: Digest realm=\"orders\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c0\", qop=\"auth\""],
            "",
        ),
    });
    let path = Path::start(server("location /api/ { proxy_pass http://@APP@/; }"), &origin.url());

    curl(&["--digest", "-u", &user(PASSWORD), &path.url("/api/orders")]).assert_status(401);

    let ways = path.ways(&[1, 1]);
    ways[0].assert_healthy();
    ways[1].assert_hop_error("signed-part-changed");
    ways[1].assert_changes(&["request :target path-prefix", "request host changed"]);
    ways[1].assert_evidence(&["edge in", "/api/orders"]).assert_evidence(&["app  in", "/orders"]);
}

#[test]
fn a_proof_of_possession_names_another_host_than_arrives() {
    // No one verifies its signature.
    let part = |json: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
    let proof = format!(
        "{}.{}.{}",
        part(r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}"#),
        part(r#"{"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://api.example/v1/orders","iat":1795694400}"#),
        part("canary.signature-of-a-proof/quagga+mandolin"),
    );
    let origin = Origin::serve(|head| match head.get("host") {
        Some(host) if host == "api.example" => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: DPoP error=\"invalid_dpop_proof\""], ""),
    });
    let path = Path::start(nginx(""), &origin.url());
    let headers = ["Host: api.example".to_owned(), bearer().replace("Bearer", "DPoP"), format!("DPoP: {proof}")];

    curl(&["-H", &headers[0], "-H", &headers[1], "-H", &headers[2], &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&["request host changed"]).assert_fix("$http_host");
    path.assert_absent(&proof);
}

#[test]
fn credentials_of_nginx_take_the_place_of_the_clients() {
    let origin = orders();
    let own = STANDARD.encode(format!("gateway:{WRONG_PASSWORD}"));
    let path = Path::start(nginx(&format!("proxy_set_header Authorization \"Basic {own}\";")), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&["request authorization replaced", "request host changed"]);
    way.assert_evidence(&["behind:", "user gateway"]).assert_fix("delete the line");
    assert!(!origin.received_text().contains(BEARER_TOKEN), "{}", origin.received_text());
}

#[test]
fn a_token_out_of_the_query_is_not_decoded() {
    let origin = orders();
    let path = Path::start(nginx("proxy_set_header Authorization \"Bearer $arg_access_token\";"), &origin.url());
    let encoded = BEARER_TOKEN.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");

    curl(&[&path.url(&format!("/v1/orders?access_token={encoded}"))]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&["request authorization added", "request host changed"]);
    way.assert_summary("access_token");
    assert!(origin.received_text().contains(&format!("Authorization: Bearer {encoded}\r\n")));
}

#[test]
fn a_token_that_is_moved_to_another_header() {
    let origin = orders();
    let directives = "proxy_set_header X-Original-Authorization $http_authorization;
                      proxy_set_header Authorization \"\";";
    let path = Path::start(nginx(directives), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-moved");
    way.assert_changes(&["request authorization renamed", "request host changed"]);
    way.assert_evidence(&["edge in", "  Authorization: Bearer token#"]);
    way.assert_evidence(&["app  in", "  X-Original-Authorization: Bearer token#"]);
    assert!(!origin.received_text().contains("\r\nAuthorization:"), "{}", origin.received_text());
}

#[test]
fn an_own_token_leaves_the_clients_under_another_name() {
    let origin = orders();
    let own = STANDARD.encode(format!("gateway:{WRONG_PASSWORD}"));
    let directives = format!(
        "proxy_set_header X-Forwarded-Authorization $http_authorization;
         proxy_set_header Authorization \"Basic {own}\";"
    );
    let path = Path::start(nginx(&directives), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&["request authorization replaced", "request host changed"]);
    way.assert_evidence(&["the client's own stands in X-Forwarded-Authorization"]);
}

/// A backend that knows its users by a cookie, and sends others to a login.
fn with_session() -> Origin {
    Origin::serve(|head| match head.get("cookie") {
        Some(value) if value.contains(SESSION) => answer("200 OK", &[], "fine\n"),
        _ => answer("302 Found", &["Location: /login"], ""),
    })
}

#[test]
fn an_emptied_cookie() {
    let origin = with_session();
    let path = Path::start(nginx("proxy_set_header Cookie \"\";"), &origin.url());

    curl(&["-H", &format!("Cookie: session={SESSION}"), &path.url("/v1/orders")]).assert_status(302);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["request cookie removed", "request host changed"]).assert_fix("proxy_set_header");
    assert!(!origin.received_text().contains(SESSION), "{}", origin.received_text());
}

#[test]
fn no_headers_at_all() {
    let origin = orders();
    let path = Path::start(nginx("proxy_pass_request_headers off;"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    // With all the others, that of the taps is gone, and what is left to go by is that nothing else fits.
    let way = path.way(1);
    way.assert_join("likeness");
    way.assert_verdict("credentials-stripped", "error", "possible", "hop:edge>app");
    way.assert_changes(&[
        "request accept removed",
        "request authorization removed",
        "request host changed",
        "request user-agent removed",
    ]);
    way.assert_fix("proxy_pass_request_headers off");
}

#[test]
fn an_authorization_in_two_lines_is_refused_by_nginx_itself() {
    let origin = orders().may_be_unused();
    let path = Path::start(nginx(""), &origin.url());

    curl(&["-H", &bearer(), "-H", &bearer(), &path.url("/v1/orders")]).assert_status(400);

    let way = path.way(0);
    way.assert_verdict("multiple-credentials", "error", "certain", "unknown");
    assert_eq!(origin.received_text(), "");
}

/// Connections to the backend are kept, and belong to nobody.
const POOLED: &str = r#"
    upstream app { server @APP@; keepalive 4; }
    server {
        listen @ADDR@;
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }
    }
"#;

#[test]
fn a_connection_on_which_somebody_logged_in_serves_another_client() {
    let origin = ntlm::intranet();
    let path = Path::start(http(POOLED), &origin.url());
    let (mut alice, mut bob) = (Client::connect(path.tap.addr()), Client::connect(path.tap.addr()));

    assert_eq!(ntlm::get(&mut alice, Some(1)), 401);
    assert_eq!(ntlm::get(&mut alice, Some(3)), 200);
    assert_eq!(ntlm::get(&mut bob, None), 200);

    let ways = path.ways(&[1, 1, 1]);
    ways[0].assert_healthy();
    ways[1].assert_healthy();
    ways[2].assert_hop_error("authenticated-connection-shared");
    ways[2].assert_changes(&[]).assert_evidence(&["app in", "logged in by NTLM"]).assert_fix("`keepalive`");
}

#[test]
fn connections_that_end_behind_each_answer_break_ntlm() {
    let origin = ntlm::intranet();
    let path = Path::start(nginx(""), &origin.url());
    let mut alice = Client::connect(path.tap.addr());

    assert_eq!(ntlm::get(&mut alice, Some(1)), 401);
    assert_eq!(ntlm::get(&mut alice, Some(3)), 401);

    let ways = path.ways(&[1, 1]);
    ways[0].assert_healthy();
    ways[1].assert_hop_error("ntlm-connection-broken");
    ways[1].assert_changes(&["request host changed"]).assert_evidence(&["app in", "first message on connection"]);
    ways[1].assert_fix("ends its connection to the backend behind each answer");
}

/// Both taps serve TLS, and the backend behind them does not.
fn with_tls(directives: &str, origin: &Origin) -> Path {
    let (cert, key) = (cert("localhost.pem"), cert("localhost.key"));
    let location = format!("location / {{ proxy_pass https://@APP@; proxy_set_header Host $http_host; {directives} }}");
    Path::start_with(&["--tls-cert", &cert, "--tls-key", &key], server(&location), &origin.url())
}

/// A backend that redirects to an address that it makes up from what it was told.
fn redirecting() -> Origin {
    Origin::serve(|head| {
        let scheme = head.get("x-forwarded-proto").unwrap_or_else(|| "http".to_owned());
        let host = head.get("host").unwrap_or_default();
        answer("301 Moved Permanently", &[&format!("Location: {scheme}://{host}/v1/orders/")], "")
    })
}

#[test]
fn a_backend_that_is_not_told_of_tls_redirects_without() {
    let origin = redirecting();
    let path = with_tls("", &origin);

    curl(&["-k", "-H", &bearer(), &path.url("/v1/orders")]).assert_status(301);

    let way = path.way(1);
    way.assert_verdict("forwarded-context-missing", "error", "likely", "hop:edge>app");
    way.assert_changes(&[]);
    way.assert_evidence(&["X-Forwarded-Proto: (none)"]).assert_fix("proxy_set_header X-Forwarded-Proto $scheme");
}

// What is configured rightly.

#[test]
fn a_backend_that_is_told_of_tls_redirects_with() {
    let origin = redirecting();
    let path = with_tls("proxy_set_header X-Forwarded-Proto https;", &origin);

    curl(&["-k", "-H", &bearer(), &path.url("/v1/orders")]).assert_status(301);

    path.way(1).assert_healthy().assert_changes(&["request x-forwarded-proto added"]);
}

#[test]
fn what_passes_with_its_host_is_healthy() {
    let origin = orders();
    let path = Path::start(nginx("proxy_set_header Host $http_host;"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders?page=2")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[]).assert_join("hop-header");
    assert!(origin.received_text().contains(&format!("\r\n{}\r\n", bearer())), "{}", origin.received_text());
}

#[test]
fn what_passes_with_nothing_set_is_healthy() {
    let origin = orders();
    let path = Path::start(nginx(""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&["request host changed"]);
}

#[test]
fn a_signature_over_what_passes_is_healthy() {
    let origin = store("/photos/1.jpg");
    let path = Path::start(nginx("proxy_set_header Host $http_host;"), &origin.url());
    let [host, date, authorization] = signed("x-amz-date");

    curl(&["-H", &host, "-H", &date, "-H", &authorization, &path.url("/photos/1.jpg")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[]);
    path.assert_absent(SIGNATURE);
}

#[test]
fn a_password_that_nginx_consumes_is_healthy() {
    let origin = fine();
    let path = Path::start(nginx(&format!("{AUTH_BASIC} proxy_set_header Authorization \"\";")), &origin.url());

    curl(&["--anyauth", "-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(200);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_healthy().assert_changes(&["request authorization removed", "request host changed"]);
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}

#[test]
fn a_password_that_nginx_and_the_backend_share_is_healthy() {
    let origin = fine();
    let path = Path::start(nginx(AUTH_BASIC), &origin.url());

    curl(&["-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&["request host changed"]);
}

#[test]
fn an_auth_request_that_passes_is_healthy() {
    let (origin, service) = (fine(), auth_service(PASSES));
    let path = Path::start(auth_request(&service), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&["request host changed", "request x-user added"]);
    assert!(origin.received_text().contains("X-User: alice\r\n"), "{}", origin.received_text());
}

#[test]
fn an_auth_request_that_passes_past_the_inner_tap_is_healthy() {
    let origin = with_check(PASSES);
    let path = Path::start(auth_request_past_the_tap(), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(2);
    way.assert_healthy().assert_changes(&["request host changed", "request x-user added"]);
}

#[test]
fn connections_that_are_kept_carry_each_request_to_its_own() {
    const CLIENTS: usize = 6;
    let origin = Origin::serve(|head| answer("200 OK", &["Content-Type: text/plain"], &head.target()));
    let path = Path::start(http(POOLED), &origin.url());

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
        way.assert_healthy().assert_changes(&[]).assert_join("hop-header");
        assert_eq!(way.app[0]["request"]["target"], way.edge["request"]["target"]);
    }
}

#[test]
fn an_answer_that_nginx_compresses_is_healthy() {
    let origin = Origin::reply(answer("200 OK", &["Content-Type: text/plain", "ETag: \"a1\""], &"fine ".repeat(400)));
    let path = Path::start(nginx("gzip on; gzip_types text/plain; gzip_proxied any;"), &origin.url());

    curl(&["--compressed", "-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[
        "answer content-encoding added",
        "answer etag extended",
        "request host changed",
    ]);
}

#[test]
fn a_handshake_that_passes_is_healthy() {
    let origin = Origin::serve(|head| match head.get("authorization") {
        Some(value) if value == format!("Basic {}", STANDARD.encode(user(PASSWORD))) => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"orders\""], ""),
    });
    let path = Path::start(nginx(""), &origin.url());

    curl(&["--anyauth", "-u", &user(PASSWORD), &path.url("/v1/orders")]).assert_status(200);

    let ways = path.ways(&[1, 1]);
    for way in &ways {
        way.assert_healthy().assert_changes(&["request host changed"]);
    }
}

#[test]
fn the_next_of_two_servers_is_healthy() {
    let origin = orders();
    let closed = free_port();
    let block = format!(
        "upstream app {{ server 127.0.0.1:{closed}; server @APP@; }}
         server {{ listen @ADDR@; location / {{ proxy_pass http://app; proxy_set_header Host $http_host; }} }}"
    );
    let path = Path::start(http(&block), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[]);
}

/// A backend that closes its first connection without an answer, and then takes the token.
fn failing_once() -> Origin {
    let connections = AtomicUsize::new(0);
    Origin::start(move |conn| {
        let is_first = connections.fetch_add(1, Ordering::SeqCst) == 0;
        while let Some(head) = conn.read_head() {
            if is_first {
                return;
            }
            conn.write(&match head.get("authorization") {
                Some(value) if value == format!("Bearer {BEARER_TOKEN}") => answer("200 OK", &[], "fine\n"),
                _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""),
            });
        }
    })
}

#[test]
fn a_request_that_nginx_sends_again_is_served() {
    let origin = failing_once();
    let block = "upstream app { server @APP@; server @APP@; }
                 server { listen @ADDR@; location / {
                     proxy_pass http://app; proxy_next_upstream error timeout http_502; } }";
    let path = Path::start(http(block), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(2);
    assert_eq!(way.edge["diagnosis"]["verdict"], "ok", "{:#}", way.edge);
    assert_eq!(way.app[0]["diagnosis"]["verdict"], "upstream-failed", "{:#}", way.app[0]);
    assert_eq!(way.app[1]["diagnosis"]["verdict"], "ok", "{:#}", way.app[1]);
    // The screen has one line for all of it, on which that is a warning.
    let told = path.tap.stop().stdout;
    assert!(told.contains("! 200 GET /v1/orders") && told.contains("upstream-failed"), "{told}");
    way.assert_changes(&["request host changed"]);
}

#[test]
fn a_good_answer_out_of_the_cache_is_healthy() {
    let origin = fine();
    let path = Path::start(http(&cached("200 1m")), &origin.url());

    for _ in 0..2 {
        curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);
    }

    let ways = path.ways(&[1, 0]);
    ways[0].assert_healthy().assert_changes(&["request host changed"]);
    ways[1].assert_healthy();
}

#[test]
fn a_cookie_that_passes_is_healthy() {
    let origin = with_session();
    let path = Path::start(nginx("proxy_set_header Host $http_host;"), &origin.url());

    curl(&["-H", &format!("Cookie: theme=dark; session={SESSION}"), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[]);
}

#[test]
fn an_upgrade_that_passes_is_healthy() {
    let origin = Origin::start(|conn| {
        let head = conn.read_head().unwrap();
        assert_eq!(head.get("upgrade").as_deref(), Some("websocket"));
        conn.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
    });
    let directives = "proxy_http_version 1.1; proxy_set_header Host $http_host;
                      proxy_set_header Connection upgrade; proxy_set_header Upgrade $http_upgrade;";
    let path = Path::start(nginx(directives), &origin.url());
    let mut client = Client::connect(path.tap.addr());

    client.send(format!(
        "GET /socket HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{}\r\n\r\n",
        bearer()
    ));
    assert_eq!(client.read_head().status(), 101);
    assert_eq!(client.read_to_end(), b"hello");

    path.way(1).assert_healthy().assert_changes(&[]);
}

#[test]
fn http2_before_nginx_is_healthy() {
    let origin = orders();
    let block = "server { listen @ADDR@ http2; location / { proxy_pass http://@APP@; proxy_set_header Host $host; } }";
    let start = http(block);
    let path = Path::start(|app| At("h2c", start(app)), &origin.url());

    curl(&["--http2-prior-knowledge", "-H", &bearer(), "-H", "X-Request-Kind: List", &path.url("/v1/orders")])
        .assert_status(200);

    let way = path.way(1);
    way.assert_healthy().assert_changes(&["request host port"]);
    assert_eq!(way.edge["request"]["version"], "HTTP/2");
    assert_eq!(header_values(&way.app[0]["request"], "authorization").len(), 1);
}

#[test]
fn a_question_about_the_credentials_that_nobody_understands_ends_in_a_server_error() {
    // What is asked is behind the inner tap as well, and has no such page.
    let origin = Origin::reply(answer("404 Not Found", &[], "no such page"));
    let path = Path::start(
        |app| {
            Nginx::start(
                &format!(
                    "server {{ listen @ADDR@;
                         location / {{ auth_request /check; proxy_pass http://{app}; }}
                         location = /check {{ internal; proxy_pass http://{app}; proxy_pass_request_body off;
                                              proxy_set_header Content-Length ''; }} }}"
                ),
                &[],
            )
        },
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(500);

    let way = path.way(1);
    way.assert_hop_error("error-on-bad-credentials").assert_fix("auth_request");
    way.assert_summary("made a 500 of the 404");
}
