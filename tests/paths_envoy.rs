//! Envoy between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::path::{bearer, orders};
use common::{Envoy, Path, curl};

#[test]
fn a_route_that_removes_the_header() {
    let origin = orders();
    let envoy = Envoy { last_route: "request_headers_to_remove: [authorization],", ..Envoy::default() };
    let path = Path::start(|app| envoy.start(app, &[]), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["request authorization removed", "request x-forwarded-proto added"]);
    way.assert_fix("request_headers_to_remove");
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}
