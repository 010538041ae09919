//! Caddy between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::path::{bearer, orders};
use common::{Caddy, Path, curl};

#[test]
fn a_header_that_caddy_takes_off() {
    let origin = orders();
    let path = Path::start(
        |app| Caddy::start(&format!("reverse_proxy {app} {{\nheader_up -Authorization\n}}"), &[]),
        &origin.url(),
    );

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&[
        "answer www-authenticate recased",
        "request accept-encoding added",
        "request authorization removed",
        "request x-forwarded-for added",
        "request x-forwarded-host added",
        "request x-forwarded-proto added",
    ]);
    way.assert_fix("header_up");
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}
