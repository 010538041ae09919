//! Clients that speak gRPC, MCP, and a browser's scripts, through the tap.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;

use common::canaries::{BEARER_TOKEN, WRONG_BEARER_TOKEN};
use common::head::answer;
use common::process::Process;
use common::record::{assert_finding, assert_no_alarm, assert_ok, assert_verdict};
use common::servers::program;
use common::tools::{Ran, command, run, start, tool};
use common::{DEADLINE, Origin, Tap, wait_for};
use serde_json::Value;

fn python(home: &Path, script: &str, args: &[&str]) -> std::process::Command {
    fs::write(home.join("script.py"), script).unwrap();
    let mut python = command(&tool("python"), home);
    python.arg("script.py").args(args);
    python
}

// gRPC

/// Answers each call with what it was sent, if the token is right.
const GRPC_SERVER: &str = r#"
import sys
from concurrent import futures

import grpc


def say(request, context):
    if dict(context.invocation_metadata()).get("authorization") != "Bearer " + sys.argv[1]:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "token is not valid")
    return request


methods = {"Say": grpc.unary_unary_rpc_method_handler(say)}
server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("probe.Echo", methods),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
"#;

const GRPC_CLIENT: &str = r#"
import sys

import grpc

with grpc.insecure_channel(sys.argv[1], options=[("grpc.enable_http_proxy", 0)]) as channel:
    say = channel.unary_unary("/probe.Echo/Say")
    try:
        print(say(b"hello", metadata=[("authorization", "Bearer " + sys.argv[2])], timeout=30).decode())
    except grpc.RpcError as error:
        print(error.code().name)
        sys.exit(1)
"#;

fn grpc_server(home: &Path) -> (Process, String) {
    let server = start(python(home, GRPC_SERVER, &[BEARER_TOKEN]));
    let port = server.stdout.wait_until(DEADLINE, |text| text.strip_suffix('\n').map(str::to_owned));
    let port = port.unwrap_or_else(|| panic!("the gRPC server does not run: {}", server.stderr.text()));
    (server, format!("http://127.0.0.1:{port}"))
}

#[test]
fn grpc_with_the_right_token_and_a_wrong_one() {
    let (home, at_client) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_server, url) = grpc_server(home.path());
    let call = |tap: &Tap, token: &str| -> Ran {
        run(python(at_client.path(), GRPC_CLIENT, &[&tap.addr().to_string(), token]))
    };

    let tap = Tap::start(&url);
    assert_eq!(call(&tap, BEARER_TOKEN).assert_fine().stdout, "hello\n");
    let record = tap.record();
    assert_ok(&record);
    assert_eq!(record["request"]["version"], "HTTP/2");
    drop(tap);

    let tap = Tap::start(&url);
    assert_eq!(call(&tap, WRONG_BEARER_TOKEN).assert_failed().stdout, "UNAUTHENTICATED\n");
    assert_finding(&tap.record(), "grpc-auth-status", "error");
}

// A browser

/// A page that asks another origin, with a token.
fn page(api: &str) -> Origin {
    let page = format!(
        "<!DOCTYPE html><title>a</title><script>\
         fetch('{api}', {{method: 'PUT', headers: {{Authorization: 'Bearer {BEARER_TOKEN}'}}}})\
         .catch(() => 0)</script>"
    );
    Origin::serve(move |head| match head.target().as_str() {
        "/" => answer("200 OK", &["Content-Type: text/html; charset=utf-8"], &page),
        _ => answer("404 Not Found", &[], ""),
    })
}

/// Opens the page until the test has seen enough.
fn browse(home: &Path, url: &str) -> Process {
    let mut chromium = command(&program("chromium"), home);
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    chromium.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    chromium.args(["--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-port=0"]);
    chromium.arg(format!("--user-data-dir={}", home.join("profile").display())).arg(url);
    start(chromium)
}

#[test]
fn a_browser_asks_before_it_sends_a_token() {
    let home = tempfile::tempdir().unwrap();
    let api = Origin::serve(|head| match head.method().as_str() {
        "OPTIONS" => answer(
            "204 No Content",
            &[
                &format!("Access-Control-Allow-Origin: {}", head.get("origin").unwrap()),
                "Access-Control-Allow-Methods: PUT",
                "Access-Control-Allow-Headers: Authorization",
            ],
            "",
        ),
        _ => answer("200 OK", &[&format!("Access-Control-Allow-Origin: {}", head.get("origin").unwrap())], "fine\n"),
    });
    let tap = Tap::start(&api.url());
    let page = page(&tap.url("/cart"));

    let _chromium = browse(home.path(), &page.url());

    let records = tap.records_within(2, 2 * DEADLINE);
    records.iter().for_each(assert_ok);
    assert_eq!((&records[0]["request"]["method"], &records[1]["request"]["method"]), (&"OPTIONS".into(), &"PUT".into()));
}

#[test]
fn a_preflight_that_has_to_log_in_ends_a_browsers_call() {
    let home = tempfile::tempdir().unwrap();
    let api = Origin::serve(|head| match head.get("authorization") {
        Some(_) => answer("200 OK", &[], "fine\n"),
        None => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"cart\""], ""),
    });
    let tap = Tap::start(&api.url());
    let page = page(&tap.url("/cart"));

    let _chromium = browse(home.path(), &page.url());

    let records = tap.records_within(1, 2 * DEADLINE);
    assert_finding(&records[0], "preflight-rejected", "error");
}
