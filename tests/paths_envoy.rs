//! Envoy between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::canaries::{API_KEY, BEARER_TOKEN, SESSION, WRONG_BEARER_TOKEN, assert_secret_absent};
use common::head::answer;
use common::path::{At, bearer, orders};
use common::{Client, Envoy, Origin, Path, Server, curl};

/// What Envoy adds to every request over HTTP/1, when all names are in lower case.
const ADDED: [&str; 1] = ["request x-forwarded-proto added"];

/// HTTP/2 towards the inner tap.
const HTTP2: &str = r#"typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type":
    type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
    explicit_http_config: {http2_protocol_options: {}}}},"#;

/// A filter by its name and what it is told.
fn filter(name: &str, kind: &str, options: &str) -> String {
    format!(
        r#"{{name: {name}, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.{kind}, {options}}}}},"#
    )
}

fn lua(code: &str) -> String {
    let code = code.replace('\n', "\\n").replace('"', "\\\"");
    filter("lua", "lua.v3.Lua", &format!(r#"default_source_code: {{inline_string: "{code}"}}"#))
}

fn started(envoy: Envoy<'_>, origin: &Origin) -> Path<Server> {
    Path::start(|app| envoy.start(app, &[]), &origin.url())
}

fn with_filters(filters: &str, origin: &Origin) -> Path<Server> {
    started(Envoy { filters, ..Envoy::default() }, origin)
}

fn wrong() -> String {
    format!("Authorization: Bearer {WRONG_BEARER_TOKEN}")
}

/// Takes whatever comes.
fn content() -> Origin {
    Origin::reply(answer("200 OK", &[], "fine\n"))
}

#[test]
fn a_route_that_removes_the_header() {
    let origin = orders();
    let path =
        started(Envoy { last_route: "request_headers_to_remove: [authorization],", ..Envoy::default() }, &origin);

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped").assert_fix("request_headers_to_remove");
    way.assert_evidence(&["hop", "Envoy"]);
    assert!(way.changes().contains(&"request authorization removed".to_owned()), "{:?}", way.changes());
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}

#[test]
fn a_route_that_overwrites_the_header() {
    let origin = orders();
    let path = started(
        Envoy {
            last_route: r#"request_headers_to_add: [{header: {key: authorization, value: "Basic b2Y6dGhlLWdhdGV3YXk="},
                append_action: OVERWRITE_IF_EXISTS_OR_ADD}],"#,
            ..Envoy::default()
        },
        &origin,
    );

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    assert!(way.changes().contains(&"request authorization replaced".to_owned()), "{:?}", way.changes());
    way.assert_evidence(&["before: scheme Bearer", "behind: scheme Basic"]);
}

#[test]
fn a_route_that_appends_to_the_header() {
    let origin = orders();
    let path = started(
        Envoy {
            last_route: r#"request_headers_to_add: [{header: {key: authorization, value: "Basic b2Y6dGhlLWdhdGV3YXk="},
                append_action: APPEND_IF_EXISTS_OR_ADD}],"#,
            ..Envoy::default()
        },
        &origin,
    );

    curl(&["-H", &wrong(), &path.url("/v1")]).assert_status(401);

    // Envoy puts it into the same line, behind a comma.
    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    assert!(way.changes().contains(&"request authorization extended".to_owned()), "{:?}", way.changes());
    assert!(origin.received_text().contains(",Basic b2Y6dGhlLWdhdGV3YXk=\r\n"), "{}", origin.received_text());
}

#[test]
fn a_route_that_removes_the_cookie() {
    let origin = orders();
    let path = started(Envoy { last_route: "request_headers_to_remove: [cookie],", ..Envoy::default() }, &origin);

    curl(&["-H", &format!("Cookie: session={SESSION}"), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    assert!(way.changes().contains(&"request cookie removed".to_owned()), "{:?}", way.changes());
}

#[test]
fn a_route_that_removes_the_challenge() {
    let origin = orders();
    let path =
        started(Envoy { last_route: "response_headers_to_remove: [www-authenticate],", ..Envoy::default() }, &origin);

    let result = curl(&[&path.url("/v1")]);

    result.assert_status(401);
    assert_eq!(result.header("www-authenticate"), None);
    let way = path.way(1);
    way.assert_hop_error("challenge-changed");
    assert!(way.changes().contains(&"answer www-authenticate removed".to_owned()), "{:?}", way.changes());
}

/// Knows its header by one spelling only.
fn case_sensitive() -> Origin {
    Origin::serve(|head| match head.get_exact("X-Api-Key") {
        Some(key) if key == API_KEY => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: ApiKey realm=\"orders\""], "missing api key"),
    })
}

#[test]
fn names_in_lower_case_before_a_strict_backend() {
    let origin = case_sensitive();
    let path = started(Envoy::default(), &origin);

    curl(&["-H", &format!("X-Api-Key: {API_KEY}"), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("header-name-recased", "warning", "likely", "hop:edge>app");
    way.assert_fix("header_key_format").assert_evidence(&["hop", "Envoy"]);
    assert_eq!(way.change("request", "*")["text"], "have their names in lower case");
    assert!(origin.received_text().contains(&format!("\r\nx-api-key: {API_KEY}\r\n")));
}

#[test]
fn with_the_case_preserved_the_strict_backend_is_content() {
    let origin = case_sensitive();
    const FORMAT: &str = r#"header_key_format: {stateful_formatter: {name: preserve_case, typed_config: {"@type":
        type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig}}}"#;
    let manager = format!("http_protocol_options: {{{FORMAT}}},");
    let cluster = format!(
        r#"typed_extension_protocol_options: {{envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {{"@type":
        type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
        explicit_http_config: {{http_protocol_options: {{{FORMAT}}}}}}}}},"#
    );
    let path = started(Envoy { manager: &manager, cluster: &cluster, ..Envoy::default() }, &origin);

    curl(&["-H", &format!("X-Api-Key: {API_KEY}"), &path.url("/v1")]).assert_status(200);

    path.way(1).assert_healthy().assert_changes(&ADDED);
}

/// Good until 2100, and signed with the key that the gateway knows.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJhdWQiOiJvcmRlcnMiLCJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwMH0.Gnyrof2S_fV7vnbB7EYtNywyuykYph60HlOV-DMorqg";
/// The same, run out in 2020.
const EXPIRED: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJhdWQiOiJvcmRlcnMiLCJzdWIiOiJhbGljZSIsImV4cCI6MTYwMDAwMDAwMH0.tmC9oLGKNt_kLYb9zpUvSYJSPO5Ziktzmfx9VHUicr0";

/// Checks tokens, and passes them on or not.
fn jwt_authn(forward: bool) -> String {
    let keys = r#"{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"k1\",\"k\":\"Y2FuYXJ5LWhzMjU2LWtleS1vZi10aGUtdGVzdHMtMDEyMzQ1Njc4OQ\"}]}"#;
    let provider = format!(
        r#"{{issuer: "https://login.example", audiences: [orders], forward: {forward}, local_jwks: {{inline_string: "{keys}"}}}}"#
    );
    filter(
        "jwt",
        "jwt_authn.v3.JwtAuthentication",
        &format!(
            r#"providers: {{login: {provider}}}, rules: [{{match: {{prefix: "/"}}, requires: {{provider_name: login}}}}]"#
        ),
    )
}

/// Takes the token, and asks for it otherwise.
fn wants_token() -> Origin {
    Origin::serve(|head| match head.get("authorization") {
        Some(value) if value == format!("Bearer {TOKEN}") => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], ""),
    })
}

#[test]
fn jwt_authn_takes_the_token_off_that_the_backend_wants() {
    let origin = wants_token();
    let path = with_filters(&jwt_authn(false), &origin);

    curl(&["-H", &format!("Authorization: Bearer {TOKEN}"), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped").assert_fix("forward: true");
    assert!(way.changes().contains(&"request authorization removed".to_owned()), "{:?}", way.changes());
    way.assert_evidence(&["edge in", "Bearer jwt#"]);
    assert_secret_absent(&TOKEN[TOKEN.len() - 40..], &path.tap.stop().stdout);
}

#[test]
fn jwt_authn_that_passes_the_token_on() {
    let origin = wants_token();
    let path = with_filters(&jwt_authn(true), &origin);

    curl(&["-H", &format!("Authorization: Bearer {TOKEN}"), &path.url("/v1")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy();
    assert!(!way.changes().iter().any(|change| change.contains("authorization")), "{:?}", way.changes());
}

#[test]
fn jwt_authn_that_keeps_the_token_from_a_backend_that_trusts_it() {
    let origin = content();
    let path = with_filters(&jwt_authn(false), &origin);

    curl(&["-H", &format!("Authorization: Bearer {TOKEN}"), &path.url("/v1")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy();
    assert_eq!(way.assert_beside("credentials-stripped")["severity"], "info");
}

#[test]
fn jwt_authn_that_refuses_by_itself() {
    let origin = content().may_be_unused();
    let path = with_filters(&jwt_authn(false), &origin);

    curl(&[&path.url("/v1")]).assert_status(401);
    curl(&["-H", &format!("Authorization: Bearer {EXPIRED}"), &path.url("/v1")]).assert_status(401);

    let ways = path.ways(&[0, 0]);
    for way in &ways {
        let finding = way.assert_beside("refusal-origin");
        assert_eq!((&finding["at"], &finding["certainty"]), (&"hop:edge>app".into(), &"certain".into()));
        assert!(finding["fix"].as_str().unwrap().contains("jwt_authn"), "{finding:#}");
    }
    ways[0].assert_healthy();
    assert_eq!(common::record::verdict(&ways[1].edge), "token-expired");
}

/// Asks a service about every request.
fn ext_authz(service: &Origin, options: &str) -> (String, String) {
    let cluster = format!("{{name: auth, connect_timeout: 5s, {}}},", Envoy::endpoint(&service.addr().to_string()));
    let service = format!(
        r#"http_service: {{server_uri: {{uri: "http://{}", cluster: auth, timeout: 5s}}, {options}}}"#,
        service.addr()
    );
    (filter("ext_authz", "ext_authz.v3.ExtAuthz", &service), cluster)
}

#[test]
fn ext_authz_that_denies() {
    let origin = content().may_be_unused();
    let service = Origin::reply(answer("403 Forbidden", &[], "not you"));
    let (filters, clusters) = ext_authz(&service, "");
    let path = started(Envoy { filters: &filters, clusters: &clusters, ..Envoy::default() }, &origin);

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(403);

    let finding = path.way(0).assert_beside("refusal-origin").clone();
    assert_eq!(finding["summary"], "the gateway refused by itself: no request arrived at app");
    assert!(finding["fix"].as_str().unwrap().contains("ext_authz"), "{finding:#}");
}

#[test]
fn ext_authz_that_allows() {
    let origin = orders();
    let service = content();
    let (filters, clusters) = ext_authz(&service, "");
    let path = started(Envoy { filters: &filters, clusters: &clusters, ..Envoy::default() }, &origin);

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy();
    assert!(!way.changes().iter().any(|change| change.contains("authorization removed")), "{:?}", way.changes());
}

#[test]
fn ext_authz_whose_service_puts_another_token_in() {
    let origin = orders();
    let service = Origin::reply(answer("200 OK", &["Authorization: Bearer of-the-service-41"], ""));
    let options =
        "authorization_response: {allowed_upstream_headers: {patterns: [{exact: authorization, ignore_case: true}]}}";
    let (filters, clusters) = ext_authz(&service, options);
    let path = started(Envoy { filters: &filters, clusters: &clusters, ..Envoy::default() }, &origin);

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced");
    assert!(way.changes().contains(&"request authorization replaced".to_owned()), "{:?}", way.changes());
}

#[test]
fn rbac_that_denies() {
    let origin = content().may_be_unused();
    let rbac = filter(
        "rbac",
        "rbac.v3.RBAC",
        "rules: {action: DENY, policies: {all: {permissions: [{any: true}], principals: [{any: true}]}}}",
    );
    let path = with_filters(&rbac, &origin);

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(403);

    let way = path.way(0);
    assert_eq!(way.assert_beside("refusal-origin")["at"], "hop:edge>app");
}

#[test]
fn a_script_that_moves_the_credentials() {
    let origin = orders();
    let code = "function envoy_on_request(handle) local value = handle:headers():get('authorization') \
                if value then handle:headers():add('x-original-authorization', value) \
                handle:headers():remove('authorization') end end";
    let path = with_filters(&lua(code), &origin);

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-moved");
    assert_eq!(way.change("request", "authorization")["text"], "was renamed to x-original-authorization");
}

#[test]
fn a_script_that_cuts_the_token() {
    let origin = orders();
    let code = "function envoy_on_request(handle) local value = handle:headers():get('authorization') \
                handle:headers():replace('authorization', string.sub(value, 1, 24)) end";
    let path = with_filters(&lua(code), &origin);

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    assert_eq!(way.change("request", "authorization")["text"], "was cut after 24 bytes");
    assert!(origin.received_text().contains(&format!("authorization: Bearer {}\r\n", &BEARER_TOKEN[..17])));
}

#[test]
fn a_script_that_hides_the_refusal() {
    let origin = orders();
    let code = "function envoy_on_response(handle) if handle:headers():get(':status') == '401' then \
                handle:headers():replace(':status', '404') handle:headers():remove('www-authenticate') end end";
    let path = with_filters(&lua(code), &origin);

    curl(&["-H", &wrong(), &path.url("/v1")]).assert_status(404);

    let way = path.way(1);
    way.assert_hop_error("status-rewritten");
    assert!(way.changes().contains(&"answer :status changed".to_owned()), "{:?}", way.changes());
}

const SIGNATURE: &str = "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261126/us-east-1/s3/aws4_request, \
     SignedHeaders=host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

/// Refuses signatures, as S3 does where what arrived is not what was signed.
fn storage() -> Origin {
    Origin::reply(answer("403 Forbidden", &[], "<Error><Code>SignatureDoesNotMatch</Code></Error>"))
}

#[test]
fn the_host_of_a_signed_request_is_rewritten() {
    let origin = storage();
    let path = started(Envoy { action: "host_rewrite_literal: internal.example,", ..Envoy::default() }, &origin);

    curl(&["-H", SIGNATURE, "-H", "Host: files.example", &path.url("/b/a.txt")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed").assert_evidence(&["app  in", "internal.example"]);
    assert!(way.changes().contains(&"request host changed".to_owned()), "{:?}", way.changes());
}

#[test]
fn the_path_of_a_signed_request_is_rewritten() {
    let origin = storage();
    let routes = r#"{match: {prefix: "/storage/"}, route: {cluster: app, prefix_rewrite: "/"}},"#;
    let path = started(Envoy { routes, ..Envoy::default() }, &origin);

    curl(&["-H", SIGNATURE, &path.url("/storage/b/a.txt")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    assert!(way.changes().contains(&"request :target path-prefix".to_owned()), "{:?}", way.changes());
}

#[test]
fn a_plain_way_through_envoy() {
    let origin = orders();
    let path = started(Envoy::default(), &origin);

    curl(&[&path.url("/v1")]).assert_status(401);
    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    for way in path.ways(&[1, 1]) {
        way.assert_healthy().assert_join("hop-header");
        assert!(way.changes().iter().all(|change| change.ends_with("recased") || ADDED.contains(&change.as_str())));
    }
}

#[test]
fn http2_on_one_side_or_on_both() {
    for (front, cluster) in [("http", HTTP2), ("h2c", ""), ("h2c", HTTP2)] {
        let origin = orders();
        let envoy = Envoy { cluster, ..Envoy::default() };
        let path = Path::start(|app| At(front, envoy.start(app, &[])), &origin.url());
        let (header, url) = (bearer(), path.url("/v1"));
        let version: &[&str] = if front == "h2c" { &["--http2-prior-knowledge"] } else { &[] };

        curl(&[version, &["-H", &header, &url]].concat()).assert_status(200);

        let way = path.way(1);
        let versions = [&way.edge, &way.app[0]].map(|record| record["request"]["version"] == "HTTP/2");
        assert_eq!(versions, [front == "h2c", !cluster.is_empty()]);
        // Names in lower case are no change there.
        way.assert_healthy().assert_join("hop-header").assert_changes(&ADDED);
    }
}

#[test]
fn many_requests_at_once_over_one_connection_are_kept_apart() {
    let origin = orders();
    let path = started(Envoy { cluster: HTTP2, ..Envoy::default() }, &origin);
    std::thread::scope(|scope| {
        for number in 0..24 {
            let addr = path.tap.addr();
            scope.spawn(move || {
                let token =
                    if number % 3 == 0 { BEARER_TOKEN.to_owned() } else { format!("{WRONG_BEARER_TOKEN}{number}") };
                let request = format!("GET /v1/{number} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
                let (head, _) = Client::connect(addr).send(request).read_response();
                assert_eq!(head.status(), if number % 3 == 0 { 200 } else { 401 });
            });
        }
    });

    let ways = path.ways(&[1; 24]);

    let connections: std::collections::BTreeSet<_> =
        ways.iter().map(|way| way.app[0]["client"]["connection"].as_u64().unwrap()).collect();
    assert_eq!(connections.len(), 1, "Envoy is to send all of them over one connection");
    for way in &ways {
        way.assert_join("hop-header").assert_changes(&ADDED);
        assert_eq!(way.edge["request"]["target"], way.app[0]["request"]["target"]);
        let fingerprint = |record: &serde_json::Value| record["request"]["credentials"][0]["fingerprint"].clone();
        assert_eq!(fingerprint(&way.edge), fingerprint(&way.app[0]));
    }
}

#[test]
fn attempts_that_envoy_repeats_belong_to_one_request() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let origin = Origin::serve(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => answer("503 Service Unavailable", &[], ""),
        _ => answer("200 OK", &[], "fine\n"),
    });
    let path = started(
        Envoy {
            action: "retry_policy: {retry_on: 5xx, num_retries: 3, retry_back_off: {base_interval: 0.001s}},",
            ..Envoy::default()
        },
        &origin,
    );

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let way = path.way(3);
    way.assert_healthy().assert_join("hop-header");
    assert_eq!(way.hop()["requests"], 3);
    assert_eq!(count.load(Ordering::SeqCst), 3);
}
