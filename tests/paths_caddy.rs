//! Caddy between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::process::Command;

use common::canaries::{API_KEY, PASSWORD, WRONG_BEARER_TOKEN};
use common::head::answer;
use common::path::{bearer, orders};
use common::servers::program;
use common::{Caddy, Origin, Path, Server, curl};

/// What Caddy adds to every request, and how it spells what it passes back.
const ADDED: [&str; 5] = [
    "answer www-authenticate recased",
    "request accept-encoding added",
    "request x-forwarded-for added",
    "request x-forwarded-host added",
    "request x-forwarded-proto added",
];

/// The same for what is served: Caddy guesses the type of what has none.
const SERVED: [&str; 5] = [
    "answer content-type added",
    "request accept-encoding added",
    "request x-forwarded-for added",
    "request x-forwarded-host added",
    "request x-forwarded-proto added",
];

/// A site in which `@APP@` stands for the inner tap.
fn site(directives: &str) -> impl FnOnce(&str) -> Server + use<> {
    let directives = directives.to_owned();
    move |app| Caddy::start(&directives.replace("@APP@", app), &[])
}

/// A proxy for everything, with these subdirectives.
fn proxy(subdirectives: &str) -> impl FnOnce(&str) -> Server + use<> {
    site(&format!("reverse_proxy @APP@ {{\n{subdirectives}\n}}"))
}

/// A password that Caddy asks for itself.
fn basicauth() -> String {
    let hashed = Command::new(program("caddy")).args(["hash-password", "--plaintext", PASSWORD]).output().unwrap();
    format!("basicauth {{\nalice {}\n}}\n", String::from_utf8(hashed.stdout).unwrap().trim())
}

/// The usual changes of a refusal, and these.
fn with<'a>(others: &[&'a str]) -> Vec<&'a str> {
    [&ADDED[..], others].concat()
}

fn wrong() -> String {
    format!("Authorization: Bearer {WRONG_BEARER_TOKEN}")
}

fn alice() -> String {
    format!("alice:{PASSWORD}")
}

/// Takes whatever comes.
fn content() -> Origin {
    Origin::reply(answer("200 OK", &[], "fine\n"))
}

#[test]
fn a_header_that_caddy_takes_off() {
    let origin = orders();
    let path = Path::start(proxy("header_up -Authorization"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped").assert_fix("header_up").assert_evidence(&["hop", "Caddy"]);
    way.assert_changes(&with(&["request authorization removed"]));
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}

#[test]
fn a_header_that_caddy_sets() {
    let origin = orders();
    let path = Path::start(proxy("header_up Authorization \"Basic b2Y6dGhlLWdhdGV3YXk=\""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced").assert_changes(&with(&["request authorization replaced"]));
}

#[test]
fn a_second_header_that_caddy_adds() {
    let origin = orders();
    let path = Path::start(proxy("header_up +Authorization \"Basic b2Y6dGhlLWdhdGV3YXk=\""), &origin.url());

    curl(&["-H", &wrong(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced").assert_changes(&with(&["request authorization added"]));
    assert_eq!(origin.received_text().matches("\r\nAuthorization: ").count(), 2);
}

#[test]
fn a_token_that_caddy_cuts() {
    let origin = orders();
    let path = Path::start(proxy("header_up Authorization \"^(Bearer .{10}).*$\" \"$1\""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten").assert_changes(&with(&["request authorization cut"]));
    assert_eq!(way.change("request", "authorization")["text"], "was cut after 17 bytes");
}

#[test]
fn a_challenge_that_caddy_takes_off() {
    let origin = orders();
    let path = Path::start(proxy("header_down -WWW-Authenticate"), &origin.url());

    let result = curl(&[&path.url("/v1")]);

    result.assert_status(401);
    assert_eq!(result.header("www-authenticate"), None);
    let way = path.way(1);
    way.assert_hop_error("challenge-changed").assert_fix("header_down");
    assert!(way.changes().contains(&"answer www-authenticate removed".to_owned()), "{:?}", way.changes());
}

#[test]
fn a_refusal_that_caddy_answers_in_its_own_way() {
    let origin = orders();
    let path = Path::start(
        proxy("@refused status 401\nhandle_response @refused {\nredir https://login.example/ 302\n}"),
        &origin.url(),
    );

    curl(&["-H", &wrong(), &path.url("/v1")]).assert_status(302);

    path.way(1).assert_hop_error("status-rewritten");
}

#[test]
fn a_password_for_caddy_goes_on_to_a_backend_that_wants_a_token() {
    let origin = orders();
    let path = Path::start(site(&format!("{}reverse_proxy @APP@", basicauth())), &origin.url());

    curl(&["--anyauth", "-u", &alice(), &path.url("/v1")]).assert_status(401);

    let ways = path.ways(&[0, 1]);
    assert_eq!(ways[0].assert_beside("refusal-origin")["at"], "hop:edge>app");
    ways[1].assert_verdict("gateway-credential-leaked", "error", "likely", "hop:edge>app");
}

#[test]
fn a_password_that_caddy_asks_for_and_keeps_to_itself() {
    let origin = content();
    let path = Path::start(
        site(&format!("{}reverse_proxy @APP@ {{\nheader_up -Authorization\n}}", basicauth())),
        &origin.url(),
    );

    curl(&["--anyauth", "-u", &alice(), &path.url("/v1")]).assert_status(200);

    let ways = path.ways(&[0, 1]);
    ways.iter().for_each(|way| {
        way.assert_healthy();
    });
    assert_eq!(ways[1].assert_beside("credentials-stripped")["severity"], "info");
}

#[test]
fn a_wrong_password_that_caddy_refuses_itself() {
    let origin = content().may_be_unused();
    let path = Path::start(site(&format!("{}reverse_proxy @APP@", basicauth())), &origin.url());

    curl(&["-u", "alice:of-somebody-else", &path.url("/v1")]).assert_status(401);

    let finding = path.way(0).assert_beside("refusal-origin").clone();
    assert_eq!((&finding["at"], &finding["certainty"]), (&"hop:edge>app".into(), &"certain".into()));
}

#[test]
fn forward_auth_that_refuses() {
    let origin = content().may_be_unused();
    let service = orders();
    let directives = format!("forward_auth {} {{\nuri /check\n}}\nreverse_proxy @APP@", service.addr());
    let path = Path::start(site(&directives), &origin.url());

    curl(&["-H", &wrong(), &path.url("/v1")]).assert_status(401);

    let finding = path.way(0).assert_beside("refusal-origin").clone();
    assert_eq!(finding["summary"], "the gateway refused by itself: no request arrived at app");
}

#[test]
fn forward_auth_that_allows() {
    let origin = content();
    let service = Origin::reply(answer("200 OK", &["Remote-User: alice"], ""));
    let directives =
        format!("forward_auth {} {{\nuri /check\ncopy_headers Remote-User\n}}\nreverse_proxy @APP@", service.addr());
    let path = Path::start(site(&directives), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let way = path.way(1);
    way.assert_healthy();
    assert!(way.changes().contains(&"request remote-user added".to_owned()), "{:?}", way.changes());
}

const SIGNATURE: &str = "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261126/us-east-1/s3/aws4_request, \
     SignedHeaders=host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

/// Refuses signatures, as S3 does where what arrived is not what was signed.
fn storage() -> Origin {
    Origin::reply(answer("403 Forbidden", &[], "<Error><Code>SignatureDoesNotMatch</Code></Error>"))
}

#[test]
fn a_prefix_of_a_signed_path_is_stripped() {
    let origin = storage();
    let path = Path::start(site("uri strip_prefix /storage\nreverse_proxy @APP@"), &origin.url());

    curl(&["-H", SIGNATURE, &path.url("/storage/b/a.txt")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed");
    assert!(way.changes().contains(&"request :target path-prefix".to_owned()), "{:?}", way.changes());
}

#[test]
fn the_host_of_a_signed_request_is_set() {
    let origin = storage();
    let path = Path::start(proxy("header_up Host internal.example"), &origin.url());

    curl(&["-H", SIGNATURE, "-H", "Host: files.example", &path.url("/b/a.txt")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed").assert_evidence(&["app  in", "internal.example"]);
}

#[test]
fn names_in_title_case_before_a_backend_that_knows_its_own_spelling_alone() {
    let origin = Origin::serve(|head| match head.get_exact("x-api-key") {
        Some(key) if key == API_KEY => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: ApiKey realm=\"orders\""], "missing api key"),
    });
    let path = Path::start(proxy(""), &origin.url());

    curl(&["-H", &format!("x-api-key: {API_KEY}"), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("header-name-recased", "warning", "likely", "hop:edge>app");
    way.assert_evidence(&["edge in", "x-api-key: key#"]).assert_evidence(&["app  in", "X-Api-Key: key#"]);
}

#[test]
fn a_plain_way_through_caddy() {
    let origin = orders();
    let path = Path::start(proxy(""), &origin.url());

    curl(&[&path.url("/v1")]).assert_status(401);
    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let ways = path.ways(&[1, 1]);
    ways[0].assert_healthy().assert_join("hop-header").assert_changes(&ADDED);
    ways[1].assert_healthy().assert_join("hop-header").assert_changes(&SERVED);
}

#[test]
fn http2_to_the_inner_tap() {
    let origin = orders();
    let path = Path::start(site("reverse_proxy h2c://@APP@"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let way = path.way(1);
    assert_eq!(way.app[0]["request"]["version"], "HTTP/2");
    way.assert_healthy().assert_join("hop-header").assert_changes(&SERVED);
}
