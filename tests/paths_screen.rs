//! What the screen shows where a hop between two taps is to blame: whole blocks, as text.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::canaries::API_KEY;
use common::head::answer;
use common::path::{bearer, orders};
use common::{Haproxy, Nginx, Origin, Path, Server, curl};

/// The first block on the screen, with ports, times, versions and fingerprints made steady.
fn block(path: Path<Server>) -> String {
    let ports = path.tap.addresses().iter().map(|tap| tap.addr.port()).chain([path.gateway.addr().port()]);
    let names = ["EDGE", "APP", "GATEWAY"];
    let ports: Vec<(String, &str)> = ports.map(|port| port.to_string()).zip(names).collect();
    path.tap.records(2);
    let printed = path.tap.stop().stdout;
    let block: Vec<&str> = printed.lines().take_while(|line| !line.contains(" with findings")).collect();
    let mut text = block.join("\n").trim_end().to_owned() + "\n";
    for (port, name) in ports {
        text = text.replace(&port, name);
    }
    let mut steady = String::new();
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once('#') {
        steady.push_str(before);
        let digits = behind.chars().take_while(char::is_ascii_hexdigit).count();
        // The number of an exchange stays; a fingerprint has four digits.
        steady.push_str(if digits == 4 { "#7f3a" } else { "#1" });
        rest = &behind[digits..];
    }
    steady.push_str(rest);
    // How long it took, in a column of its own.
    let took = steady.find("ms").unwrap();
    let start = steady[..took].rfind(' ').unwrap();
    steady.replace_range(start..took, " 1");
    let width = steady.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(width <= 80, "{width} columns:\n{steady}");
    steady
}

/// Both texts without the white space that depends on how long a number is.
#[track_caller]
fn assert_same(found: &str, expected: &str) {
    let folded =
        |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert_eq!(folded(found), folded(expected), "{found}");
}

#[test]
fn stripped_between_two_taps() {
    let origin = orders();
    let path = Path::start(
        |app| {
            let location = format!(
                "proxy_pass http://{app}; proxy_set_header Authorization \"\"; proxy_set_header X-Real-IP $remote_addr;"
            );
            Nginx::start(&format!("server_tokens off; server {{ listen @ADDR@; location / {{ {location} }} }}"), &[])
        },
        &origin.url(),
    );
    curl(&["-H", &bearer(), &path.url("/v1/orders")]).assert_status(401);

    assert_same(
        &block(path),
        r#"✗ 401 GET /v1/orders   1ms                              #1  credentials-stripped
  The client sent Authorization, and it was removed between edge and app.

    edge in   Authorization: Bearer token#7f3a (33 bytes)
    app  in   (none)
    answer: 401 at app
    also      Host 127.0.0.1:EDGE -> 127.0.0.1:APP, + X-Real-IP; 2 headers
              unchanged
    hop       nginx (server: nginx)
  Fix   nginx forwards this header unless told not to. In the location that
        proxies to the backend, look for `proxy_set_header … "";` with its name
        or `proxy_pass_request_headers off;`, and delete it. A location with a
        proxy_set_header of its own inherits none from above.
  Sure  certain; look between edge and app
"#,
    );
}

#[test]
fn case_mangled() {
    let origin = Origin::serve(|head| match head.get_exact("X-Api-Key") {
        Some(key) if key == API_KEY => answer("200 OK", &[], "fine\n"),
        _ => answer("401 Unauthorized", &["WWW-Authenticate: ApiKey realm=\"orders\""], "missing api key"),
    });
    let path = Path::start(
        |app| {
            let sections = "frontend in\n    bind @ADDR@\n    default_backend app\nbackend app\n    server app ";
            Haproxy::start(&format!("{sections}{app}\n"), &[])
        },
        &origin.url(),
    );
    curl(&["-H", &format!("X-Api-Key: {API_KEY}"), &path.url("/v1/orders")]).assert_status(401);

    assert_same(
        &block(path),
        r#"! 401 GET /v1/orders   1ms                              #1  header-name-recased
  X-Api-Key arrived, but its name changed case between edge and app.

    edge in   X-Api-Key: key#7f3a
    app  in   x-api-key: key#7f3a
    text: missing api key
    answer: 401 at app
    hop       Envoy and HAProxy write all names so
    legal: names are compared without regard to case, so the application errs
  Fix   In the application, look the name up without regard to case. Until then,
        have the gateway keep the spelling: HAProxy with `h1-case-adjust` and
        `option h1-case-adjust-bogus-server`, Envoy with a `header_key_format`.
  Sure  likely; look between edge and app
"#,
    );
}
