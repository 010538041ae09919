//! The harness itself: a check that can't fail proves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use common::canaries::{ALL, API_KEY, PASSWORD, assert_no_secret};
use common::head::answer;
use common::{Client, Origin};

fn fails(test: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(test)).is_err()
}

#[test]
fn secrets_are_found_however_they_are_spelled() {
    for secret in ALL {
        let hex = secret.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
        let percent = secret.replace('+', "%2b").replace('/', "%2f").replace('=', "%3d");
        let spelled = [
            (*secret).to_owned(),
            secret.to_uppercase(),
            secret[..secret.len() / 2].to_owned(),
            secret[secret.len() / 2..].to_owned(),
            hex,
            percent,
            STANDARD.encode(secret),
            STANDARD.encode(format!("alice:{secret}")),
            STANDARD.encode(format!("al:{secret}\n")),
            STANDARD.encode(format!("alic:{secret}--")),
            URL_SAFE_NO_PAD.encode(format!("{{\"k\":\"{secret}\"}}")),
        ];
        for text in spelled {
            assert!(fails(|| assert_no_secret(&format!("before {text} after"))), "overlooked: {text}");
        }
    }
}

#[test]
fn harmless_text_has_no_secret() {
    assert_no_secret("");
    assert_no_secret("Bearer <redacted fp=3fa9c1d2 len=812>, Basic realm=\"orders\", YWxpY2U6, alice, X-Api-Key");
}

#[test]
fn an_origin_hears_every_byte_and_answers_each_request() {
    let origin = Origin::reply(answer("200 OK", &[], "hello"));
    let requests = "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n";

    let mut client = Client::connect(origin.addr());
    client.send_bytewise(requests);
    for _ in 0..2 {
        let (head, body) = client.read_response();
        assert_eq!((head.status(), body.as_slice()), (200, &b"hello"[..]));
    }
    drop(client);

    assert_eq!(origin.finish(), [requests.as_bytes()]);
}

#[test]
fn an_origin_that_nobody_calls_fails_its_test() {
    assert!(fails(|| drop(Origin::reply("x"))));
    drop(Origin::reply("x").may_be_unused());
}

#[test]
fn a_panic_in_a_script_fails_its_test() {
    let origin = Origin::start(|conn| {
        let head = conn.read_head().unwrap();
        assert_eq!(head.get("x-api-key").as_deref(), Some(API_KEY));
    });
    Client::exchange(origin.addr(), format!("GET / HTTP/1.1\r\nX-Api-Key: {PASSWORD}\r\n\r\n"));
    assert!(fails(|| drop(origin)));
}

#[test]
fn an_origin_can_end_with_a_reset() {
    let origin = Origin::start(|conn| {
        conn.read_head().unwrap();
        conn.reset_at_end();
    });
    let mut client = Client::connect(origin.addr());
    client.send("GET / HTTP/1.1\r\n\r\n");
    let error = common::read_once(&mut client.stream(), &mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn an_origin_does_not_wait_for_peers_that_stay() {
    let origin = Origin::reply(answer("200 OK", &[], ""));
    let mut client = Client::connect(origin.addr());
    client.send("GET / HTTP/1.1\r\n\r\n").read_response();
    assert_eq!(origin.finish().len(), 1);
    assert!(client.read_to_end().is_empty());
}
