//! nginx between two taps, configured wrongly and rightly.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::canaries::PASSWORD;
use common::path::{bearer, orders};
use common::{Nginx, Path, Server, curl};

/// A location `/` before the inner tap, with these directives.
fn nginx(directives: &str) -> impl FnOnce(&str) -> Server {
    let directives = directives.to_owned();
    move |app| {
        Nginx::start(
            &format!("server {{ listen @ADDR@; location / {{ proxy_pass http://{app}; {directives} }} }}"),
            &[("users", &format!("alice:{{PLAIN}}{PASSWORD}\n"))],
        )
    }
}

#[test]
fn an_emptied_authorization_is_named_with_its_hop() {
    let origin = orders();
    let path = Path::start(nginx("proxy_set_header Authorization \"\";"), &origin.url());

    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    let way = path.way(1);
    way.assert_hop_error("credentials-stripped");
    way.assert_changes(&["request authorization removed", "request host changed"]);
    way.assert_evidence(&["edge in", "Authorization: Bearer token#"]).assert_evidence(&["app  in", "(none)"]);
    way.assert_fix("proxy_set_header");
    assert!(!origin.received_text().to_ascii_lowercase().contains("authorization"), "{}", origin.received_text());
}
