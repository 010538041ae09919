//! The inspector page in a browser: every view, as it is used.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::browser::Browser;
use common::canaries::{API_KEY, BEARER_TOKEN, WRONG_BEARER_TOKEN, assert_no_secret};
use common::gateway::changing;
use common::head::answer;
use common::path::orders;
use common::{Client, Origin, Path, Tap};
use serde_json::{Value, json};

/// The link of the page, which the program prints once.
fn link(tap: &Tap) -> String {
    let stderr = tap.stderr();
    let (_, rest) = stderr.split_once("Watch it at ").unwrap_or_else(|| panic!("no link in {stderr}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

fn send(tap: &Tap, request: &str) {
    let mut client = Client::connect(tap.addr());
    client.send(request);
    client.read_response();
}

fn get(tap: &Tap, target: &str, fields: &[&str]) {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    send(
        tap,
        &format!(
            "GET {target} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: probe/1\r\n{fields}Connection: close\r\n\r\n"
        ),
    );
}

/// A page of a tap, opened by its link.
fn open(tap: &Tap) -> Browser {
    let mut browser = Browser::start(1280, 800);
    browser.go(&link(tap));
    browser.wait("document.querySelector('.status.live')");
    browser
}

const INSPECT: [&str; 1] = ["--inspect=:0"];

#[test]
fn an_empty_page_says_what_to_do_and_hears_of_exchanges() {
    let origin = orders();
    let tap = Tap::start_with(&origin.url(), &INSPECT);
    let mut browser = open(&tap);
    browser.wait("document.querySelector('#empty').innerText.includes('Point your client at')");
    assert!(browser.text("document.querySelector('#empty').innerText").contains(&tap.url("")));
    browser.picture("empty");
    // The token is not left where it would be copied from.
    assert_eq!(browser.text("location.hash"), "#/exchanges");

    get(&tap, "/v1/orders/17", &[&format!("Authorization: Bearer {BEARER_TOKEN}")]);
    browser.wait("document.querySelectorAll('.row:not([hidden])').length === 1");
    get(&tap, "/v1/orders/18", &[&format!("Authorization: Bearer {WRONG_BEARER_TOKEN}")]);
    browser.wait("document.querySelectorAll('.row:not([hidden])').length === 2");
    // The latest stands first.
    let first = browser.text("document.querySelector('[aria-posinset=\"1\"]').innerText");
    assert!(first.contains("401") && first.contains("/v1/orders/18"), "{first}");
    browser.assert_no_complaint();
}
