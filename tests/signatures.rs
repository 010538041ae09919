//! A request that is signed for real, and verified by a backend behind two taps: what taps tell each other spoils no signature.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::{Arc, Mutex};

use common::canaries::PASSWORD;
use common::gateway::changing;
use common::head::answer;
use common::record::assert_no_alarm;
use common::{Head, Origin, Path, curl};
use ring::{digest, hmac};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// What a parameter of the credentials says.
fn parameter(authorization: &str, name: &str) -> String {
    let (_, rest) = authorization.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("{name}: {authorization}"));
    rest.split(',').next().unwrap().trim().to_owned()
}

/// Whether the request is signed with that secret, as AWS' signature version 4 has it.
fn is_signed(head: &Head, body: &[u8], secret: &str) -> bool {
    let Some(authorization) = head.get("authorization") else { return false };
    let covered = parameter(&authorization, "SignedHeaders");
    let fields: String =
        covered.split(';').map(|name| format!("{name}:{}\n", head.get(name).unwrap_or_default())).collect();
    let (target, date) = (head.target(), head.get("x-amz-date").unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let payload = head.get("x-amz-content-sha256").unwrap_or_else(|| sha256(body));
    let request = format!("{}\n{path}\n{query}\n{fields}\n{covered}\n{payload}", head.method());
    let credential = parameter(&authorization, "Credential");
    let scope = credential.split_once('/').unwrap().1;
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(request.as_bytes()));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    hex(&mac(&key, &text)) == parameter(&authorization, "Signature")
}

/// A backend that verifies, and what it said of each request.
fn verifying() -> (Origin, Arc<Mutex<Vec<bool>>>) {
    let verdicts: Arc<Mutex<Vec<bool>>> = Arc::default();
    let kept = verdicts.clone();
    let origin = Origin::start(move |conn| {
        while let Some(head) = conn.read_head() {
            let body = conn.read_body(&head);
            let is_right = is_signed(&head, &body, PASSWORD);
            kept.lock().unwrap().push(is_right);
            conn.write(&match is_right {
                true => answer("200 OK", &[], "fine\n"),
                false => {
                    answer("403 Forbidden", &["Content-Type: application/xml"], "<Code>SignatureDoesNotMatch</Code>")
                }
            });
        }
    });
    (origin, verdicts)
}

fn send(url: &str) -> u16 {
    let user = format!("AKIAIOSFODNN7EXAMPLE:{PASSWORD}");
    curl(&["--aws-sigv4", "aws:amz:us-east-1:service", "--user", &user, "-H", "Host: bucket.example", "-d", "a=1", url])
        .status
}

#[test]
fn a_signature_holds_behind_two_taps_and_a_gateway_that_changes_nothing() {
    let (origin, verdicts) = verifying();
    // Without any tap, to see that the backend knows what it does.
    assert_eq!(send(&format!("{}/things?b=2", origin.url())), 200);
    let path = Path::start(|app| changing(app, |_| {}), &origin.url());
    assert_eq!(send(&path.url("/things?b=2")), 200);
    assert_eq!(*verdicts.lock().unwrap(), [true, true]);
    let records = path.tap.records(2);
    records.iter().for_each(assert_no_alarm);
    let joined = records.iter().find(|record| record["tap"] == "edge").unwrap();
    assert_eq!(joined["hops"][0]["join"], "hop-header", "{joined:#}");
}

#[test]
fn the_backend_of_these_tests_does_not_take_just_any_signature() {
    let (origin, verdicts) = verifying();
    let path =
        Path::start(|app| changing(app, |request| request.set("host", "other.example".to_owned())), &origin.url());
    assert_eq!(send(&path.url("/things")), 403);
    assert_eq!(*verdicts.lock().unwrap(), [false]);
}
