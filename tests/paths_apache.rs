//! Apache between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::canaries::{PASSWORD, WRONG_BEARER_TOKEN};
use common::head::answer;
use common::path::{bearer, orders};
use common::{Apache, Origin, Path, Server, curl};

/// A proxy for everything, with these directives.
fn apache(directives: &str) -> impl FnOnce(&str) -> Server + use<> {
    custom(&format!("ProxyPass / http://@APP@/\n{directives}"))
}

/// A configuration in which `@APP@` stands for the inner tap.
fn custom(directives: &str) -> impl FnOnce(&str) -> Server + use<> {
    let directives = directives.to_owned();
    move |app| {
        // SHA-1 in the form that htpasswd -s writes, so that the test needs no other program.
        let users = "alice:{SHA}".to_owned() + &sha1_base64(PASSWORD) + "\n";
        Apache::start(&directives.replace("@APP@", app), &[("users", &users), ("login.html", "please log in\n")])
    }
}

fn sha1_base64(text: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut openssl = Command::new(common::servers::program("openssl"))
        .args(["dgst", "-sha1", "-binary"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let digest = openssl.wait_with_output().unwrap().stdout;
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest)
}

/// What Apache adds to every request that it proxies.
const ADDED: [&str; 3] =
    ["request x-forwarded-for added", "request x-forwarded-host added", "request x-forwarded-server added"];

const STAFF: &str =
    "<Location />\nAuthType Basic\nAuthName staff\nAuthUserFile @DIR@/users\nRequire valid-user\n</Location>\n";

fn alice() -> String {
    format!("alice:{PASSWORD}")
}

fn wrong() -> String {
    format!("Authorization: Bearer {WRONG_BEARER_TOKEN}")
}

fn with_added<'a>(others: &[&'a str]) -> Vec<&'a str> {
    [&ADDED[..], others].concat()
}

#[test]
fn a_header_that_is_unset() {
    let origin = orders();
    let path = Path::start(apache("RequestHeader unset Authorization"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped").assert_fix("RequestHeader unset");
    way.assert_changes(&with_added(&["request authorization removed", "request host changed"]));
    way.assert_evidence(&["hop", "Apache"]);
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization:"), "{}", origin.received_text());
}

#[test]
fn a_header_that_is_set() {
    let origin = orders();
    let path = Path::start(apache("RequestHeader set Authorization \"Basic b2Y6dGhlLWdhdGV3YXk=\""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-replaced").assert_fix("RequestHeader set");
    way.assert_changes(&with_added(&["request authorization replaced", "request host changed"]));
}

#[test]
fn a_header_that_is_edited() {
    let origin = orders();
    let path = Path::start(apache("RequestHeader edit Authorization ^Bearer bearer"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_verdict("credentials-rewritten", "error", "likely", "hop:edge>app");
    way.assert_changes(&with_added(&["request authorization scheme-case", "request host changed"]));
}

#[test]
fn a_header_that_is_appended_to() {
    let origin = orders();
    let path = Path::start(apache("RequestHeader append Authorization \"Basic b2Y6dGhlLWdhdGV3YXk=\""), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-rewritten");
    way.assert_changes(&with_added(&["request authorization extended", "request host changed"]));
}

#[test]
fn a_challenge_that_is_unset() {
    let origin = orders();
    let path =
        Path::start(apache("Header always unset WWW-Authenticate\nHeader unset WWW-Authenticate"), &origin.url());

    let result = curl(&[&path.url("/v1")]);

    result.assert_status(401);
    assert_eq!(result.header("www-authenticate"), None);
    let way = path.way(1);
    way.assert_hop_error("challenge-changed").assert_fix("Header unset WWW-Authenticate");
    way.assert_changes(&with_added(&["answer www-authenticate removed", "request host changed"]));
}

#[test]
fn a_challenge_that_is_edited() {
    let origin = orders();
    let path = Path::start(
        apache("Header always edit WWW-Authenticate orders kitchen\nHeader edit WWW-Authenticate orders kitchen"),
        &origin.url(),
    );

    curl(&["-H", &wrong(), &path.url("/v1")]).assert_status(401);

    let way = path.way(1);
    assert_eq!(way.assert_beside("challenge-changed")["severity"], "warning");
    way.assert_changes(&with_added(&["answer www-authenticate changed", "request host changed"]));
}

#[test]
fn a_page_of_its_own_in_place_of_the_refusal() {
    let origin = Origin::reply(answer("403 Forbidden", &[], "not yours"));
    let directives = "ProxyPass / http://@APP@/\nProxyErrorOverride On\nErrorDocument 403 https://login.example/";
    let path = Path::start(custom(directives), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(302);

    path.way(1).assert_hop_error("status-rewritten").assert_fix("ProxyErrorOverride");
}

#[test]
fn a_page_that_takes_the_challenge_along() {
    let origin = orders();
    let directives =
        "ProxyPass /login.html !\nProxyPass / http://@APP@/\nProxyErrorOverride On\nErrorDocument 401 /login.html";
    let path = Path::start(custom(directives), &origin.url());

    let result = curl(&["-H", &wrong(), &path.url("/v1")]);

    result.assert_status(401);
    // Apache keeps the challenge of the answer that it replaces.
    assert!(result.header("www-authenticate").is_some(), "{}", result.heads);
    let way = path.way(1);
    assert!(!way.changes().iter().any(|change| change.starts_with("answer www-authenticate")), "{:?}", way.changes());
}

#[test]
fn a_password_for_apache_goes_on_to_a_backend_that_wants_a_token() {
    let origin = orders();
    let path = Path::start(apache(STAFF), &origin.url());

    curl(&["--anyauth", "-u", &alice(), &path.url("/v1")]).assert_status(401);

    let ways = path.ways(&[0, 1]);
    assert_eq!(ways[0].assert_beside("refusal-origin")["at"], "hop:edge>app");
    ways[1].assert_verdict("gateway-credential-leaked", "error", "likely", "hop:edge>app");
    ways[1].assert_fix("RequestHeader unset Authorization");
}

#[test]
fn a_password_that_apache_asks_for_and_keeps_to_itself() {
    let origin = Origin::reply(answer("200 OK", &[], "fine\n"));
    let path = Path::start(apache(&format!("{STAFF}RequestHeader unset Authorization")), &origin.url());

    curl(&["--anyauth", "-u", &alice(), &path.url("/v1")]).assert_status(200);

    let ways = path.ways(&[0, 1]);
    ways[0].assert_healthy();
    ways[1].assert_healthy().assert_changes(&with_added(&["request authorization removed", "request host changed"]));
}

#[test]
fn a_wrong_password_that_apache_refuses_itself() {
    let origin = orders().may_be_unused();
    let path = Path::start(apache(STAFF), &origin.url());

    curl(&["-u", "alice:of-somebody-else", &path.url("/v1")]).assert_status(401);

    let finding = path.way(0).assert_beside("refusal-origin").clone();
    assert_eq!((&finding["at"], &finding["certainty"]), (&"hop:edge>app".into(), &"certain".into()));
    assert!(finding["fix"].as_str().unwrap().contains("Require"), "{finding:#}");
}

const SIGNATURE: &str = "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261126/us-east-1/s3/aws4_request, \
     SignedHeaders=host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

#[test]
fn the_host_of_a_signed_request_is_changed() {
    let origin = Origin::reply(answer("403 Forbidden", &[], "<Code>SignatureDoesNotMatch</Code>"));
    let path = Path::start(apache("ProxyPreserveHost Off"), &origin.url());

    curl(&["-H", SIGNATURE, "-H", "Host: files.example", &path.url("/b/a.txt")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed").assert_fix("ProxyPreserveHost On");
    way.assert_changes(&with_added(&["request host changed"]));
}

#[test]
fn a_prefix_of_a_signed_path_is_taken_off() {
    let origin = Origin::reply(answer("403 Forbidden", &[], "<Code>SignatureDoesNotMatch</Code>"));
    let path = Path::start(custom("ProxyPass /storage/ http://@APP@/\nProxyPreserveHost On"), &origin.url());

    curl(&["-H", SIGNATURE, &path.url("/storage/b/a.txt")]).assert_status(403);

    let way = path.way(1);
    way.assert_hop_error("signed-part-changed").assert_fix("ProxyPass");
    way.assert_changes(&with_added(&["request :target path-prefix"]));
}

#[test]
fn a_plain_way_through_apache() {
    let origin = orders();
    let path = Path::start(apache("ProxyPreserveHost On"), &origin.url());

    curl(&[&path.url("/v1")]).assert_status(401);
    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    for way in path.ways(&[1, 1]) {
        way.assert_healthy().assert_join("hop-header").assert_changes(&ADDED);
    }
}

#[test]
fn http2_to_the_inner_tap() {
    let origin = orders();
    let path = Path::start(custom("ProxyPass / h2c://@APP@/\nProxyPreserveHost On"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1")]).assert_status(200);

    let way = path.way(1);
    assert_eq!(way.app[0]["request"]["version"], "HTTP/2");
    way.assert_healthy().assert_join("hop-header").assert_changes(&ADDED);
}
