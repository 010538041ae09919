//! Tokens against keys: fetched from where they are published, found by the issuer's metadata, or given in files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::canaries::assert_secret_absent;
use common::head::answer;
use common::record::{assert_ok, assert_verdict, findings};
use common::{Origin, Tap, curl};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const SECRET: &str = "canary+Hs64/tambourine~okapi=";

/// A private key with its name.
struct Key {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Key {
    fn new(kid: &'static str, seed: u8) -> Self {
        Key { kid, pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap() }
    }

    fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.kid, "x": x})
    }

    fn sign(&self, claims: &Value) -> String {
        let text = unsigned(&json!({"alg": "EdDSA", "kid": self.kid}), claims);
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

fn signed_with_secret(secret: &str, claims: &Value) -> String {
    let text = unsigned(&json!({"alg": "HS256", "typ": "JWT"}), claims);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn set(keys: &[&Key]) -> String {
    json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()}).to_string()
}

/// Claims that are valid for a long time.
fn claims(iss: &str) -> Value {
    json!({"iss": iss, "aud": "orders-api", "sub": "anna", "exp": 4_000_000_000_u64})
}

const ISSUER: &str = "https://login.example/";

fn json_answer(body: &str) -> Vec<u8> {
    answer("200 OK", &["Content-Type: application/json"], body)
}

/// Serves these documents by path.
fn publisher(documents: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Origin {
    Origin::serve(move |head| match documents(&head.target()) {
        Some(document) => json_answer(&document),
        None => answer("404 Not Found", &[], ""),
    })
}

/// A service that takes these tokens and calls all others invalid.
fn service(accepted: &[&str]) -> Origin {
    let accepted: Vec<String> = accepted.iter().map(|token| format!("Bearer {token}")).collect();
    Origin::serve(move |head| match head.get("authorization") {
        Some(value) if accepted.contains(&value) => json_answer("[]"),
        _ => answer(
            "401 Unauthorized",
            &["WWW-Authenticate: Bearer realm=\"orders\", error=\"invalid_token\"", "Content-Type: application/json"],
            "{\"error\":\"invalid_token\"}",
        ),
    })
}

fn ask(tap: &Tap, token: &str) -> u16 {
    curl(&["-H", &format!("Authorization: Bearer {token}"), &tap.url("/v1/orders")]).status
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[track_caller]
fn assert_evidence(record: &Value, words: &str) {
    let evidence = findings(record)[0]["evidence"].to_string();
    assert!(evidence.contains(words), "{words:?} is not in {evidence}");
}

#[test]
fn a_token_with_other_claims_than_were_signed() {
    let key = Key::new("2026-a", 1);
    let good = key.sign(&claims(ISSUER));
    let (service, keys) = (service(&[&good]), set(&[&key]));
    let publisher = publisher(move |path| (path == "/keys").then(|| keys.clone()));
    let tap = Tap::start_with(&service.url(), &["--jwks", &format!("{}/keys", publisher.url())]);
    assert_eq!(ask(&tap, &good), 200);
    let mut parts: Vec<&str> = good.split('.').collect();
    let admin = URL_SAFE_NO_PAD.encode(json!({"iss": ISSUER, "sub": "root", "exp": 4_000_000_000_u64}).to_string());
    parts[1] = &admin;
    assert_eq!(ask(&tap, &parts.join(".")), 401);
    let records = tap.records(2);
    assert_ok(&records[0]);
    assert_verdict(&records[1], "jwt-signature-invalid");
    assert_eq!(findings(&records[1])[0]["certainty"], "certain");
    assert_evidence(&records[1], &format!("key from: {}/keys", publisher.url()));
}

#[test]
fn an_expired_token_is_held_against_the_keys_as_well() {
    let key = Key::new("2026-a", 1);
    let old = key.sign(&json!({"iss": ISSUER, "sub": "anna", "exp": 1_600_000_000}));
    let (message, _) = old.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode([7; 64]));
    let (service, keys) = (service(&[]), file(&set(&[&key])));
    let tap = Tap::start_with(&service.url(), &["--jwks", keys.path().to_str().unwrap()]);
    assert_eq!(ask(&tap, &old), 401);
    assert_eq!(ask(&tap, &forged), 401);
    let records = tap.records(2);
    for (record, words) in records.iter().zip(["signature: fits a key", "signature: does not fit the key"]) {
        assert_verdict(record, "token-expired");
        assert_evidence(record, words);
    }
}

#[test]
fn a_key_that_came_after_the_set_was_fetched_is_looked_for_again() {
    let (old, new, foreign) = (Key::new("2026-a", 1), Key::new("2026-b", 2), Key::new("staging", 3));
    let (first, second) = (old.sign(&claims(ISSUER)), new.sign(&claims(ISSUER)));
    let service = service(&[&first]);
    let published = Arc::new(Mutex::new(set(&[&old])));
    let documents = published.clone();
    let publisher = publisher(move |_| Some(documents.lock().unwrap().clone()));
    let tap = Tap::start_with(&service.url(), &["--issuer", ISSUER, "--jwks", &publisher.url()]);
    assert_eq!(ask(&tap, &first), 200);
    // A refusal makes the tap wait for the first set, which therefore has the old key alone.
    assert_eq!(ask(&tap, &old.sign(&json!({"iss": ISSUER, "exp": 4_000_000_001_u64}))), 401);
    tap.records(2);
    *published.lock().unwrap() = set(&[&old, &new]);
    assert_eq!(ask(&tap, &second), 401);
    let stale = tap.records(3).remove(2);
    assert_verdict(&stale, "jwks-stale");
    assert_evidence(&stale, "with kid=2026-a");
    assert_eq!(publisher.received().len(), 2);

    // Not every unknown name makes the tap ask.
    for number in 0..5 {
        assert_eq!(ask(&tap, &foreign.sign(&json!({"iss": ISSUER, "exp": 4_000_000_000_u64 + number}))), 401);
    }
    let records = tap.records(8);
    assert_verdict(&records[3], "jwt-key-unknown");
    assert_evidence(&records[3], "2 keys at http");
    assert_eq!(publisher.received().len(), 2);
}

#[test]
fn the_keys_are_found_by_the_issuers_metadata() {
    let key = Key::new("a", 1);
    let keys = set(&[&key]);
    let at = Arc::new(Mutex::new(String::new()));
    let issuer = at.clone();
    let publisher = publisher(move |path| {
        let issuer = issuer.lock().unwrap().clone();
        match path {
            "/.well-known/openid-configuration" => {
                Some(json!({"issuer": issuer, "jwks_uri": format!("{issuer}/certs")}).to_string())
            }
            "/certs" => Some(keys.clone()),
            _ => None,
        }
    });
    *at.lock().unwrap() = publisher.url();
    let service = service(&[]);
    let tap = Tap::start_with(&service.url(), &["--issuer", &publisher.url()]);
    assert_eq!(ask(&tap, &Key::new("b", 2).sign(&claims(&publisher.url()))), 401);
    let slash = format!("{}/", publisher.url());
    assert_eq!(ask(&tap, &key.sign(&claims(&slash))), 401);
    let records = tap.records(2);
    assert_verdict(&records[0], "jwt-key-unknown");
    assert_evidence(&records[0], "/certs, fetched at");
    assert_verdict(&records[1], "jwt-issuer-mismatch");
    assert!(findings(&records[1])[0]["summary"].as_str().unwrap().ends_with("by the slash at its end alone"));
}

#[test]
fn the_metadata_of_another_issuer_is_said_and_not_used() {
    let publisher = publisher(|_| Some(json!({"issuer": ISSUER, "jwks_uri": "http://127.0.0.1:1/"}).to_string()));
    let service = service(&[]);
    let tap = Tap::start_with(&service.url(), &["--issuer", &publisher.url()]);
    assert_eq!(ask(&tap, &Key::new("a", 1).sign(&claims(&publisher.url()))), 401);
    assert_verdict(&tap.record(), "credentials-rejected");
    let stderr = tap.stop().stderr;
    assert!(stderr.contains("is of another issuer, \"https://login.example/\""), "{stderr}");
}

#[test]
fn keys_that_cannot_be_had_are_said_once_and_hold_nobody_up() {
    // One that refuses, one that never answers, and one that answers with a page.
    let refuses = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/keys", refuses.local_addr().unwrap());
    drop(refuses);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}/keys", silent.local_addr().unwrap());
    let page = Origin::reply(answer("200 OK", &["Content-Type: text/html"], "<html>login</html>"));
    let service = service(&[]);
    let options = ["--jwks", &nobody, "--jwks", &silent_url, "--jwks", &page.url()];
    let tap = Tap::start_with(&service.url(), &options);
    let key = Key::new("a", 1);
    for number in 0..3 {
        assert_eq!(ask(&tap, &key.sign(&json!({"iss": ISSUER, "exp": 4_000_000_000_u64 + number}))), 401);
    }
    for record in tap.records(3) {
        assert_verdict(&record, "credentials-rejected");
        let took = record["timing"]["total_ms"].as_f64().unwrap();
        assert!(took < 1000.0, "the client waited for {took} ms");
    }
    let stderr = tap.stop().stderr;
    for words in [format!("no keys from {nobody}"), format!("{} is no set of keys: it is not JSON", page.url())] {
        assert_eq!(stderr.matches(&words).count(), 1, "{words} in {stderr}");
    }
}

#[test]
fn a_shared_secret_is_compared_and_never_shown() {
    let (right, claims) = (file(&format!("{SECRET}\n")), claims(ISSUER));
    let good = signed_with_secret(SECRET, &claims);
    // The line end of the file went into the server's secret, as it so often does.
    let bad = signed_with_secret(&format!("{SECRET}\n"), &claims);
    let public = Key::new("a", 1).sign(&claims);
    let service = service(&[&good]);
    let path = right.path().to_str().unwrap();
    let tap = Tap::start_with(&service.url(), &["--jwt-secret-file", path, "--audience", "billing-api"]);
    assert_eq!(ask(&tap, &bad), 401);
    assert_eq!(ask(&tap, &public), 401);
    assert_eq!(ask(&tap, &good), 200);
    let records = tap.records(3);
    for (record, rules) in records.iter().zip([
        vec!["jwt-audience-mismatch", "jwt-signature-invalid"],
        vec!["jwt-alg-unexpected", "jwt-audience-mismatch"],
        vec![],
    ]) {
        let found = findings(record).iter().filter(|finding| finding["severity"] == "error");
        let mut found: Vec<&str> = found.map(|finding| finding["rule"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, rules, "{record:#}");
    }
    let stopped = tap.stop();
    let all = format!("{}{}{}", stopped.stdout, stopped.stderr, serde_json::to_string(&records).unwrap());
    assert_secret_absent(SECRET, &all);
    let signature = good.rsplit('.').next().unwrap();
    assert_secret_absent(signature, &all);
}

/// What keeps the program from starting, with the exit code.
fn refused(options: &[&str]) -> (Option<i32>, String) {
    let output = common::tap::command().args(options).arg("http://127.0.0.1:9").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_holds_no_keys_is_named() {
    let (page, empty) = (file("<html>"), file("\n"));
    let (page, empty) = (page.path().to_str().unwrap(), empty.path().to_str().unwrap());
    for (options, code, words) in [
        (["--jwks", page], 1, "is no set of keys: it is not JSON"),
        (["--jwks", "no/such.json"], 1, "--jwks: cannot read no/such.json"),
        (["--jwks", "ftp://login.example/keys"], 2, "is no URL"),
        (["--jwks", "https://anna:hunter2@login.example/keys"], 2, "user name or password"),
        (["--jwt-secret-file", empty], 2, "is empty"),
        (["--public-url", "api.example"], 2, "is no URL"),
    ] {
        let (exit, stderr) = refused(&options);
        assert_eq!(exit, Some(code), "{options:?}: {stderr}");
        assert!(stderr.contains(words) && stderr.contains("try:"), "{options:?}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

#[test]
fn a_recording_is_held_against_keys_as_well() {
    let (key, other) = (Key::new("a", 1), Key::new("b", 2));
    let token = other.sign(&claims(ISSUER));
    let header = |name: &str, value: &str| json!({"name": name, "value": value});
    let archive = json!({"log": {"version": "1.2", "creator": {"name": "t", "version": "1"}, "entries": [{
        "startedDateTime": "2026-11-24T12:00:00Z",
        "time": 5,
        "request": {
            "method": "GET", "url": "https://api.example/orders", "httpVersion": "HTTP/1.1", "cookies": [],
            "queryString": [], "headersSize": -1, "bodySize": 0,
            "headers": [header("Host", "api.example"), header("Authorization", &format!("Bearer {token}"))],
        },
        "response": {
            "status": 401, "statusText": "Unauthorized", "httpVersion": "HTTP/1.1", "cookies": [], "redirectURL": "",
            "headersSize": -1, "bodySize": 0, "content": {"size": 0, "mimeType": ""},
            "headers": [header("WWW-Authenticate", "Bearer error=\"invalid_token\"")],
        },
        "cache": {}, "timings": {"send": 0, "wait": 5, "receive": 0},
    }]}});
    let (archive, keys) = (file(&archive.to_string()), file(&set(&[&key])));
    let paths = [archive.path(), keys.path()].map(|path| path.to_str().unwrap());
    let check = |options: &[&str]| {
        let output =
            common::tap::command().args(["check", paths[0], "--format", "json"]).args(options).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_verdict(&check(&[]), "credentials-rejected");
    assert_verdict(&check(&["--jwks", paths[1]]), "jwt-key-unknown");
    let published = set(&[&key]);
    let publisher = publisher(move |_| Some(published.clone()));
    assert_verdict(&check(&["--jwks", &publisher.url()]), "jwt-key-unknown");
    assert_verdict(&check(&["--issuer", "https://login.partner.example/", "--jwks", paths[1]]), "jwt-issuer-mismatch");
}
