//! Envoy between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::canaries::{API_KEY, BEARER_TOKEN, PASSWORD, SESSION, WRONG_BEARER_TOKEN};
use common::head::answer;
use common::path::{At, bearer, http1, orders};
use common::{Client, DEADLINE, Envoy, Origin, Path, Server, curl, wait_for};

/// The public half of the key that signed the tokens below; nobody has the other half any more.
const JWKS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k1", "x": "LPtshkj7wXTz2144p1mtQ19Q4ZVCVLbu9winJ1hex7k", "y": "h2NdgAShoVmcNG3Cfvalc1GVsmmCVblb2eAscsszTqc"}]}"#;
/// For alice, until the year 2100.
const JWT: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhbGljZSIsImF1ZCI6Im9yZGVycyIsImV4cCI6NDEwMjQ0NDgwMH0.1H6FHjfglgh2oYN-tI-G45Z0kI7sVpTQrCaDP38xHI7D0UMMxNaQhPE7uggguLKE86j23oUXKuFnuS7noHH-jw";
/// The same until November 2023.
const EXPIRED_JWT: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhbGljZSIsImF1ZCI6Im9yZGVycyIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.unn6rQg8PJvt5O-CDuZ2mtGfoIXTYATHrHFb8651Vh6ZrntHoV5dOwlpRy1C4Nkkuty0bk2wYWzL3HaEfY2etA";

/// What Envoy adds to every request, beside its own plumbing.
const ADDED: &str = "request x-forwarded-proto added";

/// HTTP/2 to the cluster, without TLS.
const H2_CLUSTER: &str = r#"typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
    explicit_http_config: {http2_protocol_options: {}}}},"#;

/// An HTTP filter of Envoy's own.
fn filter(kind: &str, config: &str) -> String {
    format!(
        r#"{{name: it, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.{kind}, {config}}}}},"#
    )
}

/// Takes tokens of one issuer, on all paths.
fn jwt_authn(provider: &str) -> String {
    let jwks = JWKS.replace('"', "\\\"");
    filter(
        "jwt_authn.v3.JwtAuthentication",
        &format!(
            "providers: {{login: {{issuer: \"https://login.example\", {provider} local_jwks: {{inline_string: \
             \"{jwks}\"}}}}}}, rules: [{{match: {{prefix: /}}, requires: {{provider_name: login}}}}]"
        ),
    )
}

/// A script in Lua.
fn lua(script: &str) -> String {
    filter("lua.v3.Lua", &format!("default_source_code: {{inline_string: \"{script}\"}}"))
}

/// Asks the cluster `auth` first.
fn ext_authz(response: &str) -> String {
    filter(
        "ext_authz.v3.ExtAuthz",
        &format!(
            "http_service: {{server_uri: {{uri: \"http://auth.internal\", cluster: auth, timeout: 10s}}, \
             authorization_response: {{{response}}}}}"
        ),
    )
}

/// The cluster `auth`.
fn auth_cluster(service: &Origin) -> String {
    format!("{{name: auth, connect_timeout: 5s, {}}},", Envoy::endpoint(&service.addr().to_string()))
}

/// Envoy with these filters.
fn filtered(filters: String) -> impl FnOnce(&str) -> Server {
    move |app| Envoy { filters: &filters, ..Envoy::default() }.start(app, &[])
}

/// Envoy with an authorization service; `response` says what of its answers is used.
fn guarded(service: &Origin, response: &str) -> impl FnOnce(&str) -> Server {
    let (filters, clusters) = (ext_authz(response), auth_cluster(service));
    move |app| Envoy { filters: &filters, clusters: &clusters, ..Envoy::default() }.start(app, &[])
}

/// Envoy with these options of its last route.
fn routed(last_route: &'static str) -> impl FnOnce(&str) -> Server {
    move |app| Envoy { last_route, ..Envoy::default() }.start(app, &[])
}

/// Envoy with these options of the last route's action.
fn acting(action: &'static str) -> impl FnOnce(&str) -> Server {
    move |app| Envoy { action, ..Envoy::default() }.start(app, &[])
}

/// A backend that takes the token of this file, and asks for one otherwise.
fn jwt_orders() -> Origin {
    Origin::serve(|head| match head.get("authorization") {
        Some(value) if value == format!("Bearer {JWT}") => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""),
    })
}

/// Nothing that the program wrote has one of the tokens in it.
fn assert_no_token<G>(path: &Path<G>) {
    let record = std::fs::read_to_string(path.tap.record_file()).unwrap();
    for text in [path.tap.stdout(), path.tap.stderr(), record] {
        for token in [JWT, EXPIRED_JWT] {
            common::canaries::assert_secret_absent(token, &text);
        }
    }
}

/// Nothing like a field of this name reached the backend.
fn assert_not_received(origin: &Origin, name: &str) {
    let received = origin.received_text().to_ascii_lowercase();
    assert!(!received.contains(&format!("\n{name}:")), "{received}");
}

/// A backend that takes the token where it is the only one.
fn orders_of_only_one() -> Origin {
    Origin::serve(|head| {
        let sent = head.fields().into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        match sent.collect::<Vec<_>>().as_slice() {
            [(_, value)] if *value == format!("Bearer {BEARER_TOKEN}") => answer("200 OK", &[], "fine\n"),
            _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""),
        }
    })
}

/// A backend that looks its key up letter by letter.
fn keyed() -> Origin {
    Origin::serve(|head| match head.get_exact("X-Api-Key") {
        Some(key) if key == API_KEY => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &[], "{\"error\": \"missing API key\"}"),
    })
}

// What goes wrong with the client's credentials.

#[test]
fn a_route_that_removes_the_header() {
    let origin = orders();
    let path = Path::start(routed("request_headers_to_remove: [authorization],"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["request authorization removed", ADDED]);
    way.assert_fix("request_headers_to_remove");
    assert_not_received(&origin, "authorization");
}

#[test]
fn a_token_that_jwt_authn_takes_off_before_a_backend_that_wants_it() {
    let origin = jwt_orders();
    let path = Path::start(filtered(jwt_authn("")), &origin.url());

    curl(&["-H", &format!("Authorization: Bearer {JWT}"), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["request authorization removed", ADDED]);
    way.assert_evidence(&["edge in", "Authorization: Bearer jwt#"]).assert_evidence(&["app  in", "(none)"]);
    way.assert_fix("forward: true");
    assert_not_received(&origin, "authorization");
    assert_no_token(&path);
}

#[test]
fn a_token_that_jwt_authn_turns_into_a_header_of_its_own() {
    let origin = jwt_orders();
    let path = Path::start(filtered(jwt_authn("forward_payload_header: x-jwt-payload,")), &origin.url());

    curl(&["-H", &format!("Authorization: Bearer {JWT}"), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["request authorization removed", ADDED, "request x-jwt-payload added"]);
    assert_not_received(&origin, "authorization");
    assert_no_token(&path);
}

#[test]
fn a_refusal_by_jwt_authn_of_a_request_without_a_token() {
    let origin = jwt_orders().may_be_unused();
    let path = Path::start(filtered(jwt_authn("")), &origin.url());

    let answer = curl(&[&path.url("/v1/orders")]);
    answer.assert_status(401);
    assert_eq!(answer.body(), "Jwt is missing");

    let way = path.way(0);
    way.assert_healthy();
    let refusal = way.assert_beside("refusal-origin");
    assert_eq!(refusal["summary"], "the gateway refused by itself: no request arrived at app");
    assert_eq!(refusal["at"], "hop:edge>app");
}

#[test]
fn a_refusal_by_jwt_authn_of_a_token_that_has_expired() {
    let origin = jwt_orders().may_be_unused();
    let path = Path::start(filtered(jwt_authn("forward: true,")), &origin.url());

    let answer = curl(&["-H", &format!("Authorization: Bearer {EXPIRED_JWT}"), &path.url("/v1/orders")]);
    answer.assert_status(401);
    assert_eq!(answer.body(), "Jwt is expired");

    let way = path.way(0);
    way.assert_verdict("token-expired", "error", "certain", "client");
    way.assert_beside("refusal-origin");
    assert_no_token(&path);
}

#[test]
fn a_refusal_by_jwt_authn_of_what_is_no_token_of_its_kind() {
    let origin = jwt_orders().may_be_unused();
    let path = Path::start(filtered(jwt_authn("forward: true,")), &origin.url());

    let answer = curl(&["-H", &bearer(), &path.url("/v1/orders")]);
    answer.assert_status(401);
    assert_eq!(answer.body(), "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections");

    let way = path.way(0);
    way.assert_verdict("wrong-token-kind", "error", "certain", "client");
    way.assert_beside("refusal-origin");
}

#[test]
fn a_refusal_by_the_authorization_service() {
    let service =
        Origin::reply(answer("401 Unauthorized", &["WWW-Authenticate: Bearer error=\"invalid_token\""], "no"));
    let origin = orders().may_be_unused();
    let path = Path::start(guarded(&service, ""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(0);
    way.assert_verdict("credentials-rejected", "error", "likely", "hop:edge>app");
    way.assert_evidence(&["no request arrived at app"]).assert_fix("ext_authz");
}

#[test]
fn a_prohibition_by_the_authorization_service() {
    let service = Origin::reply(answer("403 Forbidden", &[], "not you"));
    let origin = orders().may_be_unused();
    let path = Path::start(guarded(&service, ""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(403);

    let way = path.way(0);
    way.assert_verdict("refusal-origin", "info", "certain", "hop:edge>app");
    way.assert_fix("ext_authz");
}

#[test]
fn a_challenge_of_the_authorization_service_that_a_script_takes_off() {
    let service = Origin::reply(answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""));
    let origin = orders().may_be_unused();
    let script = "function envoy_on_response(it) it:headers():remove('www-authenticate') end";
    let (filters, clusters) = (lua(script) + &ext_authz(""), auth_cluster(&service));
    let envoy = Envoy { filters: &filters, clusters: &clusters, ..Envoy::default() };
    let path = Path::start(|app| envoy.start(app, &[]), &origin.url());

    let answer = curl(&[&path.url("/v1/orders")]);
    answer.assert_status(401);
    assert_eq!(answer.header("www-authenticate"), None);

    let way = path.way(0);
    way.assert_verdict("challenge-missing", "warning", "certain", "hop:edge>app");
    way.assert_beside("refusal-origin");
}

#[test]
fn a_challenge_of_the_authorization_service_that_is_on_no_list() {
    let fields = ["WWW-Authenticate: Bearer realm=\"orders\"", "X-Reason: no token"];
    let service = Origin::reply(answer("401 Unauthorized", &fields, ""));
    let origin = orders().may_be_unused();
    let path = Path::start(guarded(&service, "allowed_client_headers: {patterns: [{exact: x-other}]}"), &origin.url());

    // The challenge goes through all the same.
    let answer = curl(&[&path.url("/v1/orders")]);
    answer.assert_status(401);
    assert_eq!(answer.header("www-authenticate").as_deref(), Some("Bearer realm=\"orders\""));
    assert_eq!(answer.header("x-reason"), None);

    path.way(0).assert_healthy();
}

#[test]
fn an_authorization_service_whose_own_token_takes_the_place_of_the_clients() {
    let own = format!("Authorization: Bearer {WRONG_BEARER_TOKEN}");
    let service = Origin::reply(answer("200 OK", &[&own], ""));
    let origin = orders();
    let path =
        Path::start(guarded(&service, "allowed_upstream_headers: {patterns: [{exact: authorization}]}"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&["request authorization replaced", ADDED]);
    way.assert_fix("allowed_upstream_headers");
}

#[test]
fn a_token_of_the_route_in_place_of_the_clients() {
    let origin = orders();
    let path = Path::start(
        routed(
            "request_headers_to_add: [{header: {key: authorization, value: Basic Z2F0ZXdheTp4}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}],",
        ),
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    way.assert_changes(&["request authorization replaced", ADDED]);
    way.assert_evidence(&["edge in", "Authorization: Bearer token#"])
        .assert_evidence(&["app  in", "authorization: Basic"]);
    way.assert_fix("OVERWRITE_IF_EXISTS_OR_ADD");
}

#[test]
fn a_second_token_beside_the_clients() {
    let origin = orders_of_only_one();
    let path = Path::start(
        routed(
            "request_headers_to_add: [{header: {key: authorization, value: Basic Z2F0ZXdheTp4}, append_action: APPEND_IF_EXISTS_OR_ADD}],",
        ),
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    // Envoy writes what it appends into the same line.
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&["request authorization extended", ADDED]);
    way.assert_evidence(&["app  in", "authorization: Bearer token#", ", and 19 bytes more"]);
    way.assert_fix("APPEND_IF_EXISTS_OR_ADD");
}

#[test]
fn a_token_that_a_script_appends_to_the_clients_in_one_line() {
    let origin = orders();
    let script = "function envoy_on_request(it) local h = it:headers() \
                  h:replace('authorization', h:get('authorization') .. ', Basic Z2F0ZXdheTp4') end";
    let path = Path::start(filtered(lua(script)), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&["request authorization extended", ADDED]);
}

#[test]
fn a_script_that_moves_the_token_to_another_header() {
    let origin = orders();
    let script = "function envoy_on_request(it) local h = it:headers() \
                  h:add('x-forwarded-authorization', h:get('authorization')) h:remove('authorization') end";
    let path = Path::start(filtered(lua(script)), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-moved");
    way.assert_changes(&["request authorization renamed", ADDED]);
    way.assert_evidence(&["app  in", "x-forwarded-authorization: Bearer"]);
    assert_not_received(&origin, "authorization");
}

#[test]
fn a_script_that_decodes_the_token() {
    let origin = orders();
    let script = "function envoy_on_request(it) local h = it:headers() \
                  h:replace('authorization', (h:get('authorization'):gsub('%+', ' '))) end";
    let path = Path::start(filtered(lua(script)), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&["request authorization percent", ADDED]);
}

#[test]
fn a_cookie_that_the_route_removes() {
    let origin = Origin::serve(|head| match head.get("cookie") {
        Some(value) if value == format!("session={SESSION}") => answer("200 OK", &[], "fine\n"),
        _ => answer("302 Found", &["Location: /login"], ""),
    });
    let path = Path::start(routed("request_headers_to_remove: [cookie],"), &origin.url());

    curl(&["-H", &format!("Cookie: session={SESSION}"), &path.url("/me")]).assert_status(302);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["request cookie removed", ADDED]);
    assert_not_received(&origin, "cookie");
}

#[test]
fn a_key_in_a_name_of_other_letters_than_the_backend_looks_for() {
    let origin = keyed();
    let path = Path::start(routed(""), &origin.url());

    curl(&["-H", &format!("X-Api-Key: {API_KEY}"), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("header-name-recased", "warning", "likely", "hop:edge>app");
    way.assert_evidence(&["edge in", "X-Api-Key"]).assert_evidence(&["app  in", "x-api-key"]);
    way.assert_fix("preserve_case");
    way.assert_changes(&[ADDED]);
    assert!(origin.received_text().contains("\nx-api-key: "), "{}", origin.received_text());
}

#[test]
fn credentials_for_envoys_basic_auth_that_go_on_to_the_backend() {
    let origin = orders();
    // What htpasswd -s writes.
    let users = "alice:{SHA}GJeSVZ61OXbABtauk8psXNtjyMM=";
    let path = Path::start(
        filtered(filter("basic_auth.v3.BasicAuth", &format!("users: {{inline_string: \"{users}\"}}"))),
        &origin.url(),
    );

    curl(&[&path.url("/v1/orders")]).assert_status(401);
    // That nothing arrives is known after a while; it is by its own challenge that the gateway is found out.
    path.tap.records(1);
    curl(&["-u", &format!("alice:{PASSWORD}"), &path.url("/v1/orders")]).assert_status(401);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_verdict("gateway-credential-leaked", "error", "likely", "hop:edge>app");
    ways[1].assert_changes(&[ADDED]);
}

#[test]
fn a_policy_of_rbac_that_keeps_the_request_back() {
    let origin = orders().may_be_unused();
    let rbac = "rules: {action: ALLOW, policies: {admins: {permissions: [{any: true}], principals: [{header: {name: \
                x-role, string_match: {exact: admin}}}]}}}";
    let path = Path::start(filtered(filter("rbac.v3.RBAC", rbac)), &origin.url());

    let answer = curl(&["-H", &bearer(), &path.url("/v1/orders")]);
    answer.assert_status(403);
    assert_eq!(answer.body(), "RBAC: access denied");

    let way = path.way(0);
    way.assert_verdict("known-error-text", "error", "certain", "hop:edge>app");
    way.assert_evidence(&["RBAC: access denied"]).assert_fix("Look for the policy that denies");
    assert!(way.assert_beside("refusal-origin")["fix"].as_str().unwrap().contains("`rbac`"));
}

// What goes wrong with signatures.

#[test]
fn a_host_that_the_route_rewrites_under_a_signature() {
    let origin = Origin::serve(|head| match head.get("host") {
        Some(host) if host == "orders.internal" => answer(
            "403 Forbidden",
            &["Content-Type: application/xml"],
            "<Error><Code>SignatureDoesNotMatch</Code></Error>",
        ),
        _ => answer("200 OK", &[], "fine\n"),
    });
    let path = Path::start(acting("host_rewrite_literal: orders.internal,"), &origin.url());

    let key = format!("AKIAIOSFODNN7EXAMPLE:{PASSWORD}");
    curl(&["--aws-sigv4", "aws:amz:us-east-1:s3", "-u", &key, &path.url("/bucket/a.txt")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    way.assert_changes(&[ADDED, "request host changed"]);
    way.assert_fix("host_rewrite_literal");
}

#[test]
fn a_prefix_that_the_route_rewrites_under_a_digest() {
    let origin = Origin::serve(|head| match head.get("authorization") {
        Some(value) if value.contains(&format!("uri=\"{}\"", head.target())) => answer("200 OK", &[], "fine\n"),
        _ => answer(
            "401 Unauthorized",
            &[
                "WWW-Authenticate: Digest realm=\"orders\", qop=\"auth\", algorithm=MD5, nonce=\"dcd98b7102dd2f0e8b11d0f6\"",
            ],
            "",
        ),
    });
    let path = Path::start(acting("prefix_rewrite: /v2/,"), &origin.url());

    curl(&["--digest", "-u", &format!("alice:{PASSWORD}"), &path.url("/orders")]).assert_status(401);

    let ways = path.ways(&[1, 1]);
    ways[0].assert_healthy();
    ways[1].assert_hop_error("signed-part-changed");
    ways[1].assert_changes(&["request :target path-prefix", ADDED]);
    ways[1].assert_fix("prefix_rewrite");
}

// What goes wrong with the backend's answer.

#[test]
fn a_challenge_that_the_route_removes() {
    let origin = orders();
    let path = Path::start(routed("response_headers_to_remove: [www-authenticate],"), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("challenge-changed");
    way.assert_changes(&["answer www-authenticate removed", ADDED]);
    way.assert_evidence(&["app  out", "WWW-Authenticate: Bearer realm=\"orders\""])
        .assert_evidence(&["edge out", "(none)"]);
    way.assert_fix("response_headers_to_remove");
}

#[test]
fn a_refusal_that_a_script_makes_a_prohibition() {
    let origin = orders();
    let script = "function envoy_on_response(it) local h = it:headers() \
                  if h:get(':status') == '401' then h:replace(':status', '403') end end";
    let path = Path::start(filtered(lua(script)), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_changes(&["answer :status changed", ADDED]);
    way.assert_evidence(&["app out", "401"]).assert_evidence(&["edge out", "403"]);
}

#[test]
fn a_refusal_that_a_script_hides_as_not_found() {
    let origin = orders();
    let script = "function envoy_on_response(it) local h = it:headers() \
                  if h:get(':status') == '401' then h:replace(':status', '404') h:remove('www-authenticate') end end";
    let path = Path::start(filtered(lua(script)), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(404);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    way.assert_changes(&["answer :status changed", "answer www-authenticate removed", ADDED]);
}

#[test]
fn a_refusal_of_envoys_own_that_it_answers_with_another_status() {
    let origin = jwt_orders().may_be_unused();
    let filters = jwt_authn("");
    let manager = "local_reply_config: {mappers: [{filter: {status_code_filter: {comparison: {op: EQ, value: \
                   {default_value: 401, runtime_key: none}}}}, status_code: 403}]},";
    let envoy = Envoy { manager, filters: &filters, ..Envoy::default() };
    let path = Path::start(|app| envoy.start(app, &[]), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(403);

    let way = path.way(0);
    way.assert_verdict("forbidden-without-credentials", "warning", "likely", "hop:edge>app");
    way.assert_beside("refusal-origin");
}

// What goes right.

#[test]
fn nothing_but_what_envoy_always_does() {
    let origin = orders();
    let path = Path::start(routed(""), &origin.url());

    curl(&[&path.url("/v1/orders")]).assert_status(401);
    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    for way in path.ways(&[1, 1]) {
        way.assert_healthy().assert_changes(&[ADDED]).assert_join("hop-header");
    }
}

#[test]
fn a_token_that_jwt_authn_passes_on() {
    let origin = jwt_orders();
    let path = Path::start(filtered(jwt_authn("forward: true,")), &origin.url());

    curl(&["-H", &format!("Authorization: Bearer {JWT}"), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[ADDED]);
    assert_no_token(&path);
}

#[test]
fn a_token_that_jwt_authn_takes_off_before_a_backend_that_trusts_it() {
    let origin = Origin::reply(answer("200 OK", &[], "fine\n"));
    let path = Path::start(filtered(jwt_authn("")), &origin.url());

    curl(&["-H", &format!("Authorization: Bearer {JWT}"), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy().assert_changes(&["request authorization removed", ADDED]);
    assert_eq!(way.assert_beside("credentials-stripped")["severity"], "info");
    assert_not_received(&origin, "authorization");
    assert_no_token(&path);
}

#[test]
fn an_authorization_service_that_lets_the_request_pass() {
    let service = Origin::reply(answer("200 OK", &["X-User: alice"], ""));
    let origin = orders();
    let path = Path::start(guarded(&service, "allowed_upstream_headers: {patterns: [{exact: x-user}]}"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[ADDED, "request x-user added"]);
}

#[test]
fn a_token_that_the_authorization_service_exchanges_for_one_that_the_backend_takes() {
    let own = format!("Authorization: Bearer {BEARER_TOKEN}");
    let service = Origin::reply(answer("200 OK", &[&own], ""));
    let origin = orders();
    let response = "allowed_upstream_headers: {patterns: [{exact: authorization}]}";
    let path = Path::start(guarded(&service, response), &origin.url());

    curl(&["-H", &format!("Authorization: Bearer {WRONG_BEARER_TOKEN}"), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy().assert_changes(&[ADDED, "request authorization replaced"]);
    assert_eq!(way.assert_beside("credentials-replaced")["severity"], "info");
}

#[test]
fn names_whose_letters_envoy_is_told_to_keep() {
    let origin = keyed();
    let manager = "http_protocol_options: {header_key_format: {stateful_formatter: {name: preserve_case, typed_config: \
                   {\"@type\": type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.\
                   PreserveCaseFormatterConfig}}}},";
    let cluster = "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: \
                   {\"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, \
                   explicit_http_config: {http_protocol_options: {header_key_format: {stateful_formatter: {name: \
                   preserve_case, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.http.\
                   header_formatters.preserve_case.v3.PreserveCaseFormatterConfig}}}}}}},";
    let envoy = Envoy { manager, cluster, ..Envoy::default() };
    let path = Path::start(|app| envoy.start(app, &[]), &origin.url());

    curl(&["-H", &format!("X-Api-Key: {API_KEY}"), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[ADDED]);
}

#[test]
fn names_that_envoy_writes_in_the_letters_that_the_backend_looks_for() {
    let origin = keyed();
    let cluster = "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: \
                   {\"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, \
                   explicit_http_config: {http_protocol_options: {header_key_format: {proper_case_words: {}}}}}},";
    let envoy = Envoy { cluster, ..Envoy::default() };
    let path = Path::start(|app| envoy.start(app, &[]), &origin.url());

    curl(&["-H", &format!("x-api-key: {API_KEY}"), &path.url("/v1/orders")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[ADDED, "request x-api-key recased"]);
}

#[test]
fn http2_before_envoy_and_http1_behind() {
    let origin = orders();
    let path = Path::start(|app| At("h2c", routed("")(app)), &origin.url());

    let answer = curl(&["--http2-prior-knowledge", "-H", &bearer(), &path.url("/v1/orders")]);
    answer.assert_status(200);
    assert_eq!(answer.http_version, "2");

    let way = path.way(1);
    way.assert_healthy().assert_changes(&[ADDED]);
    assert_eq!(
        (&way.edge["request"]["version"], &way.app[0]["request"]["version"]),
        (&"HTTP/2".into(), &"HTTP/1.1".into())
    );
}

#[test]
fn http1_before_envoy_and_http2_behind() {
    let origin = http1(|head| match head.get("authorization") {
        Some(value) if value == format!("Bearer {BEARER_TOKEN}") => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer"], ""),
    });
    let envoy = Envoy { cluster: H2_CLUSTER, ..Envoy::default() };
    let path = Path::start(|app| envoy.start(app, &[]), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy().assert_changes(&[ADDED]);
    assert_eq!(
        (&way.edge["request"]["version"], &way.app[0]["request"]["version"]),
        (&"HTTP/1.1".into(), &"HTTP/2".into())
    );
}

#[test]
fn cookies_in_crumbs_over_http2() {
    let origin = Origin::serve(|head| match head.get("cookie") {
        Some(value) if value.contains(SESSION) => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer"], ""),
    });
    let path = Path::start(|app| At("h2c", routed("")(app)), &origin.url());

    let cookies = format!("Cookie: theme=dark; session={SESSION}");
    curl(&["--http2-prior-knowledge", "-H", &cookies, &path.url("/me")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&[ADDED]);
}

#[test]
fn many_clients_whose_requests_share_a_connection_behind_envoy() {
    const CLIENTS: usize = 24;
    // All of them are on their way before the first is answered.
    let arrived = AtomicUsize::new(0);
    let origin = http1(move |head| {
        arrived.fetch_add(1, Ordering::SeqCst);
        wait_for("all clients", DEADLINE, || (arrived.load(Ordering::SeqCst) == CLIENTS).then_some(()));
        let number = head.target().rsplit('/').next().unwrap().parse::<usize>().unwrap();
        match head.get("authorization") {
            Some(value) if value == format!("Bearer {BEARER_TOKEN}{number}") => answer("200 OK", &[], "fine\n"),
            _ => answer("500 Internal Server Error", &[], "somebody else's token\n"),
        }
    });
    let envoy = Envoy { cluster: H2_CLUSTER, ..Envoy::default() };
    let path = Path::start(|app| envoy.start(app, &[]), &origin.url());

    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let path = &path;
            scope.spawn(move || {
                let request = format!(
                    "GET /v1/orders/{number} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {BEARER_TOKEN}{number}\r\n\r\n"
                );
                let mut client = Client::connect(path.tap.addr());
                let (head, body) = client.send(request).read_response();
                assert_eq!((head.status(), body.as_slice()), (200, b"fine\n".as_slice()));
            });
        }
    });

    let ways = path.ways(&[1; CLIENTS]);
    for way in &ways {
        way.assert_healthy().assert_changes(&[ADDED]).assert_join("hop-header");
        let (edge, app) = (&way.edge["request"], &way.app[0]["request"]);
        assert_eq!(edge["target"], app["target"]);
        assert_eq!(edge["credentials"][0]["fingerprint"], app["credentials"][0]["fingerprint"]);
        assert_eq!(way.app[0]["client"]["connection"], ways[0].app[0]["client"]["connection"]);
    }
}

#[test]
fn an_attempt_that_fails_and_another_that_does_not() {
    let count = AtomicUsize::new(0);
    let origin = Origin::serve(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => answer("503 Service Unavailable", &[], ""),
        _ => answer("200 OK", &[], "fine\n"),
    });
    let path = Path::start(acting("retry_policy: {retry_on: 5xx, num_retries: 2},"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let way = path.way(2);
    way.assert_healthy().assert_changes(&[ADDED]);
    let statuses: Vec<_> = way.app.iter().map(|app| app["response"]["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [503, 200]);
}

#[test]
fn attempts_that_fail_one_like_the_other() {
    let origin = Origin::reply(answer("503 Service Unavailable", &[], ""));
    let path = Path::start(acting("retry_policy: {retry_on: 5xx, num_retries: 2},"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(503);

    // The servers fail, and nothing of it has to do with authentication.
    path.way(3).assert_healthy().assert_changes(&[ADDED]);
}

#[test]
fn a_refusal_that_envoy_tries_again() {
    let origin = orders();
    let retry = "retry_policy: {retry_on: retriable-status-codes, retriable_status_codes: [401], num_retries: 2},";
    let path = Path::start(acting(retry), &origin.url());

    curl(&["-H", &format!("Authorization: Bearer {WRONG_BEARER_TOKEN}"), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(3);
    way.assert_verdict("credentials-rejected", "error", "likely", "backend");
    way.assert_changes(&[ADDED]);
    way.assert_fix("as they were sent");
}

#[test]
fn a_preflight_that_envoy_answers_by_itself() {
    let origin = orders();
    let filters = filter("cors.v3.Cors", "");
    let last_route = "typed_per_filter_config: {it: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.cors.v3.\
                      CorsPolicy, allow_origin_string_match: [{prefix: \"https://\"}], allow_methods: \"GET\", \
                      allow_headers: \"authorization\"}},";
    let envoy = Envoy { filters: &filters, last_route, ..Envoy::default() };
    let path = Path::start(|app| envoy.start(app, &[]), &origin.url());

    let from = "Origin: https://shop.example";
    let asks = ["Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"];
    let preflight = curl(&["-X", "OPTIONS", "-H", from, "-H", asks[0], "-H", asks[1], &path.url("/v1/orders")]);
    preflight.assert_status(200);
    curl(&["-H", from, "-H", &bearer(), &path.url("/v1/orders")]).assert_status(200);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_healthy().assert_changes(&[ADDED, "answer access-control-allow-origin added"]);
}

#[test]
fn a_web_socket() {
    let origin = Origin::start(|conn| {
        let Some(head) = conn.read_head() else { return };
        assert_eq!(head.get("authorization"), Some(format!("Bearer {BEARER_TOKEN}")));
        conn.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let said = conn.read_exact(4);
        conn.write(&said);
    });
    let manager = "upgrade_configs: [{upgrade_type: websocket}],";
    let envoy = Envoy { manager, ..Envoy::default() };
    let path = Path::start(|app| envoy.start(app, &[]), &origin.url());

    let mut client = Client::connect(path.tap.addr());
    client.send(format!(
        "GET /chat HTTP/1.1\r\nHost: a\r\n{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        bearer()
    ));
    assert_eq!(client.read_head().status(), 101);
    client.send(b"ping");
    assert_eq!(client.read_exact(4), b"ping");
    drop(client);

    let way = path.way(1);
    way.assert_healthy().assert_changes(&[ADDED]);
    assert_eq!(way.edge["outcome"], "upgraded");
}
