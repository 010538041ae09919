//! Two taps in two processes, as on two machines: they believe each other by a key, and tell each other in the hop header
//! what they saw.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;

use common::canaries::{BEARER_TOKEN, WRONG_BEARER_TOKEN};
use common::gateway::{Message, changing, gateway};
use common::path::{Gateway, ReservedPort, bearer, orders};
use common::record::{assert_finding, assert_no_alarm, findings, verdict};
use common::{Client, Envoy, Tap, curl};
use serde_json::Value;
use tempfile::TempDir;

/// Two processes around a gateway.
struct Machines<G> {
    edge: Tap,
    app: Tap,
    gateway: G,
    _dir: TempDir,
    _port: ReservedPort,
}

const KEY: &str = "an operator's key, the same on both machines";

impl<G: Gateway> Machines<G> {
    fn start(gateway: impl FnOnce(&str) -> G, origin: &str) -> Self {
        Self::with_keys([KEY, KEY], &[], gateway, origin)
    }

    fn with_keys(keys: [&str; 2], options: &[&str], gateway: impl FnOnce(&str) -> G, origin: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = [0, 1].map(|at| {
            let file = dir.path().join(format!("hop-{at}.key"));
            fs::write(&file, keys[at]).unwrap();
            file.to_str().unwrap().to_owned()
        });
        let port = ReservedPort::new();
        let gateway = gateway(&port.addr().to_string());
        let tap = |file: &str, peers: &str, tap: String| {
            Tap::run(&[&["--hop-key-file", file, "--hop-peers", peers], options].concat(), &[&tap])
        };
        let app = tap(&files[1], "before", format!("app@{}={origin}", port.addr()));
        let edge = tap(&files[0], "behind", format!("edge@127.0.0.1:0={}", gateway.upstream()));
        Self { edge, app, gateway, _dir: dir, _port: port }
    }

    /// The only record of each.
    fn records(&self) -> (Value, Value) {
        (self.edge.record(), self.app.record())
    }
}

fn changes(record: &Value) -> Vec<String> {
    let changes = record["hops"][0]["changes"].as_array().unwrap_or_else(|| panic!("no hop in {record:#}"));
    let text = |change: &Value| format!("{} {} {}", change["in"], change["name"], change["change"]).replace('"', "");
    changes.iter().filter(|change| change["kind"] != "plumbing").map(text).collect()
}

fn stripping(request: &mut Message) {
    request.take("authorization");
}

#[test]
fn both_taps_name_the_hop_that_took_the_header_off() {
    let origin = orders();
    let machines = Machines::start(|app| changing(app, stripping), &origin.url());

    let result = curl(&["-H", &bearer(), &machines.edge.url("/v1?token=x")]);

    result.assert_status(401);
    let (edge, app) = machines.records();
    assert_eq!(edge["path_id"], app["path_id"]);
    assert_eq!(app["parent_id"], edge["id"]);
    for record in [&edge, &app] {
        assert_finding(record, "credentials-stripped", "error");
        let finding = &findings(record)[0];
        assert_eq!((&finding["at"], &finding["certainty"]), (&"hop:edge>app".into(), &"certain".into()), "{record:#}");
        assert_eq!(changes(record), ["request authorization removed"], "{record:#}");
        assert_eq!(record["hops"][0]["join"], "hop-header");
    }
    // What the taps tell each other is for nobody else.
    assert!(!result.heads.to_ascii_lowercase().contains("authtap"), "{}", result.heads);
    assert!(!origin.received_text().to_ascii_lowercase().contains("authtap"), "{}", origin.received_text());
    let between = machines.gateway.received_text();
    let line = between.lines().find(|line| line.starts_with("Authtap-Hop: ")).unwrap();
    assert!(line.len() <= "Authtap-Hop: ".len() + 1024, "{line}");
    assert!(!line.contains(BEARER_TOKEN));
}

#[test]
fn what_the_hop_did_to_the_answer_is_known_to_the_outer_tap() {
    let origin = orders();
    let machines = Machines::start(
        |app| {
            gateway(app, |request, send| {
                let mut answer = send(&request);
                answer.take("www-authenticate");
                answer.start_line = "HTTP/1.1 403 Forbidden".to_owned();
                answer
            })
        },
        &origin.url(),
    );

    curl(&["-H", &format!("Authorization: Bearer {WRONG_BEARER_TOKEN}"), &machines.edge.url("/v1")]).assert_status(403);

    let (edge, app) = machines.records();
    assert_eq!(changes(&edge), ["answer :status changed", "answer www-authenticate removed"]);
    assert!(["status-rewritten", "challenge-changed"].contains(&verdict(&edge)), "{edge:#}");
    assert_eq!(findings(&edge)[0]["at"], "hop:edge>app");
    // The inner tap saw all of the request come as it was sent, and nothing of what became of its answer.
    assert!(changes(&app).is_empty(), "{app:#}");
    assert_eq!(app["response"]["status"], 401);
}

#[test]
fn values_are_compared_by_their_fingerprints() {
    let origin = orders();
    let other = format!("Bearer {WRONG_BEARER_TOKEN}");
    let machines = Machines::start(
        |app| {
            changing(app, move |request| {
                request.set("authorization", other.clone());
                request.rename("x-api-key", "x-key-of-old");
            })
        },
        &origin.url(),
    );

    curl(&["-H", &bearer(), &machines.edge.url("/v1")]).assert_status(401);

    let (edge, app) = machines.records();
    for record in [&edge, &app] {
        assert_finding(record, "credentials-replaced", "error");
        assert_eq!(changes(record), ["request authorization replaced"], "{record:#}");
    }
}

#[test]
fn what_is_healthy_is_healthy_at_both() {
    let origin = orders();
    let machines = Machines::start(
        |app| {
            changing(app, |request| {
                request.add("X-Forwarded-For", "10.0.0.7");
                request.set("host", "internal.example");
            })
        },
        &origin.url(),
    );

    let mut client = Client::connect(machines.edge.addr());
    for number in 0..5 {
        client.send(format!("GET /v1/{number} HTTP/1.1\r\nHost: api.example\r\n{}\r\n\r\n", bearer()));
        let (head, _) = client.read_response();
        assert_eq!(head.status(), 200);
        assert_eq!(head.get("authtap-hop"), None);
    }

    for record in machines.edge.records(5).iter().chain(&machines.app.records(5)) {
        assert_no_alarm(record);
        assert_eq!(changes(record), ["request host changed", "request x-forwarded-for added"], "{record:#}");
    }
}

#[test]
fn without_the_same_key_nothing_is_believed_and_all_is_taken_off() {
    let origin = orders();
    let machines = Machines::with_keys(
        [KEY, "another key of the same length or more"],
        &[],
        |app| changing(app, stripping),
        &origin.url(),
    );

    let result = curl(&["-H", &bearer(), &machines.edge.url("/v1")]);

    result.assert_status(401);
    let (edge, app) = machines.records();
    assert!(edge["hops"].is_null() && app["hops"].is_null(), "{edge:#}{app:#}");
    assert_eq!(app["hop_header_ignored"], "it is not authenticated by our key");
    assert_ne!(edge["path_id"], app["path_id"]);
    assert!(!origin.received_text().to_ascii_lowercase().contains("authtap"), "{}", origin.received_text());
    assert!(!result.heads.to_ascii_lowercase().contains("authtap"), "{}", result.heads);
    let stopped = machines.app.stop();
    assert!(stopped.stdout.contains("1 hop header was not believed"), "{}", stopped.stdout);
}

#[test]
fn a_header_that_is_played_again_is_believed_a_few_times_and_then_not() {
    let origin = orders();
    let machines = Machines::start(|app| changing(app, |_| {}), &origin.url());
    curl(&["-H", &bearer(), &machines.edge.url("/v1")]).assert_status(200);
    let between = machines.gateway.received_text();
    let genuine = between.lines().find(|line| line.starts_with("Authtap-Hop: ")).unwrap();

    for _ in 0..8 {
        let request = format!("GET /v1 HTTP/1.1\r\nHost: x\r\n{genuine}\r\n\r\n");
        let (head, _) = Client::connect(machines.app.addr()).send(request).read_response();
        assert_eq!(head.status(), 401);
        // Who plays it again learns nothing of what this tap saw, once it is not believed.
    }

    let records = machines.app.records(9);
    let ignored: Vec<_> = records.iter().filter_map(|record| record["hop_header_ignored"].as_str()).collect();
    assert_eq!(ignored, ["it came too often"; 5]);
}

#[test]
fn an_answer_is_believed_only_for_the_request_that_it_belongs_to() {
    let origin = orders();
    let machines = Machines::start(
        |app| {
            let kept = std::sync::Mutex::new(None::<Message>);
            gateway(app, move |request, send| {
                // A cache that keeps the hop header with the answer.
                let mut kept = kept.lock().unwrap();
                kept.get_or_insert_with(|| send(&request)).clone()
            })
        },
        &origin.url(),
    );

    curl(&[&machines.edge.url("/v1")]).assert_status(401);
    let second = curl(&["-H", &bearer(), &machines.edge.url("/v1")]);

    second.assert_status(401);
    assert!(!second.heads.to_ascii_lowercase().contains("authtap"), "{}", second.heads);
    let records = machines.edge.records(2);
    assert!(records[0]["hops"].is_array() && records[1]["hops"].is_null(), "{records:#?}");
    let stopped = machines.edge.stop();
    assert!(stopped.stdout.contains("1 hop header was not believed"), "{}", stopped.stdout);
}

#[test]
fn a_client_that_writes_the_header_to_the_outer_tap_is_not_believed() {
    let origin = orders();
    let machines = Machines::start(|app| changing(app, |_| {}), &origin.url());
    curl(&["-H", &bearer(), &machines.edge.url("/v1")]).assert_status(200);
    let between = machines.gateway.received_text();
    let genuine = between.lines().find(|line| line.starts_with("Authtap-Hop: ")).unwrap().to_owned();

    curl(&["-H", &bearer(), "-H", &genuine, &machines.edge.url("/v1")]).assert_status(200);

    let records = machines.edge.records(2);
    assert_eq!(records[1]["hop_header_ignored"], "a client wrote it: there is no tap before this one");
    assert_eq!(records[1]["path_id"], records[1]["id"]);
    // The tap's own header went on all the same.
    let inner = machines.app.records(2);
    assert_eq!(inner[1]["path_id"], records[1]["path_id"]);
}

#[test]
fn a_large_request_still_has_a_small_header() {
    let origin = orders();
    let machines = Machines::start(|app| changing(app, stripping), &origin.url());
    let mut fields = String::new();
    for number in 0..60 {
        fields.push_str(&format!("X-Forwarded-For: 10.0.{number}.1\r\nX-Api-Key: key-number-{number}-of-many\r\n"));
    }
    let request = format!("GET /v1 HTTP/1.1\r\nHost: x\r\n{}\r\n{fields}\r\n", bearer());

    let (head, _) = Client::connect(machines.edge.addr()).send(request).read_response();

    assert_eq!(head.status(), 401);
    let between = machines.gateway.received_text();
    let line = between.lines().find(|line| line.starts_with("Authtap-Hop: ")).unwrap();
    assert!(line.len() <= "Authtap-Hop: ".len() + 1024, "{} bytes", line.len());
    let (edge, app) = machines.records();
    for record in [edge, app] {
        assert_finding(&record, "credentials-stripped", "error");
        assert_eq!(changes(&record), ["request authorization removed"], "{record:#}");
    }
}

/// HTTP/2 on both sides of Envoy, which takes the header off.
#[test]
fn over_http2_it_is_the_same() {
    let origin = orders();
    let envoy = Envoy {
        last_route: "request_headers_to_remove: [authorization],",
        cluster: r#"typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type":
            type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
            explicit_http_config: {http2_protocol_options: {}}}},"#,
        ..Envoy::default()
    };
    let machines = Machines::start(|app| common::path::At("h2c", envoy.start(app, &[])), &origin.url());

    let result = curl(&["--http2-prior-knowledge", "-H", &bearer(), &machines.edge.url("/v1")]);

    result.assert_status(401);
    assert_eq!(result.http_version, "2");
    assert!(!result.heads.to_ascii_lowercase().contains("authtap"), "{}", result.heads);
    assert!(!origin.received_text().to_ascii_lowercase().contains("authtap"), "{}", origin.received_text());
    let (edge, app) = machines.records();
    for record in [&edge, &app] {
        assert_eq!(record["request"]["version"], "HTTP/2");
        assert_finding(record, "credentials-stripped", "error");
        assert_eq!(findings(record)[0]["at"], "hop:edge>app");
        assert_eq!(changes(record), ["request authorization removed", "request x-forwarded-proto added"], "{record:#}");
    }
}

#[test]
fn a_key_without_a_place_and_a_place_without_a_key_are_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("hop.key");
    fs::write(&key, KEY).unwrap();
    let short = dir.path().join("short.key");
    fs::write(&short, "short").unwrap();
    for (options, said) in [
        (vec!["--hop-peers", "before"], "--hop-peers needs --hop-key-file"),
        (vec!["--hop-key-file", key.to_str().unwrap()], "--hop-key-file needs --hop-peers"),
        (vec!["--hop-key-file", short.to_str().unwrap(), "--hop-peers", "before"], "has less than 16 bytes"),
        (vec!["--hop-key-file", "/no/such/file", "--hop-peers", "before"], "/no/such/file"),
    ] {
        let output = common::tap::command().args(&options).arg("127.0.0.1:0=http://127.0.0.1:9").output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(said) && !text.contains(KEY), "{options:?}: {text}");
        assert_eq!(output.status.code(), Some(if said.starts_with('/') { 1 } else { 2 }), "{text}");
    }
}
