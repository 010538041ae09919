//! Clients of the web that talk in programs' ways, through the tap: gRPC, a browser's scripts, MCP with its login.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;

use common::canaries::{BEARER_TOKEN, WRONG_BEARER_TOKEN};
use common::head::answer;
use common::process::Process;
use common::record::{assert_finding, assert_no_alarm, assert_ok, scheme};
use common::servers::program;
use common::tools::{Ran, command, run, start, tool};
use common::{Conn, DEADLINE, Head, Origin, Tap, wait_for};
use serde_json::{Value, json};

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
    assert_eq!(
        (&records[0]["request"]["method"], &records[1]["request"]["method"]),
        (&"OPTIONS".into(), &"PUT".into())
    );
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

// MCP

const MCP_CLIENT: &str = r#"
import asyncio, sys
from urllib.parse import parse_qs, urlparse

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, TokenStorage
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata


class Storage:
    tokens = info = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.info

    async def set_client_info(self, info):
        self.info = info


state = None


async def redirect(url):
    global state
    state = parse_qs(urlparse(url).query).get("state", [None])[0]


async def callback():
    return AuthorizationCodeResult(code="c0de", state=state)


async def main():
    metadata = OAuthClientMetadata(client_name="probe", redirect_uris=["http://127.0.0.1/callback"])
    login = OAuthClientProvider(sys.argv[1], metadata, Storage(), redirect, callback)
    async with httpx2.AsyncClient(auth=login, trust_env=False) as http:
        async with streamable_http_client(sys.argv[1], http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                await session.send_ping()
                print("fine")


asyncio.run(main())
"#;

/// An MCP server with a login server beside it. `place` is what its challenge says of the metadata.
fn mcp_server(place: fn(&str) -> String, has_metadata: bool) -> Origin {
    Origin::start(move |conn: &mut Conn| {
        while let Some(head) = conn.read_head() {
            let body: Value = serde_json::from_slice(&conn.read_body(&head)).unwrap_or_default();
            conn.write(&mcp_answer(&head, &body, place, has_metadata));
        }
    })
}

fn mcp_answer(head: &Head, body: &Value, place: fn(&str) -> String, has_metadata: bool) -> Vec<u8> {
    let own = format!("http://{}", head.get("host").unwrap());
    let json = |status: &str, value: Value| answer(status, &["Content-Type: application/json"], &value.to_string());
    let target = head.target();
    match (head.method().as_str(), target.split('?').next().unwrap()) {
        (_, "/mcp") if head.get("authorization") != Some(format!("Bearer {BEARER_TOKEN}")) => {
            answer("401 Unauthorized", &[&format!("WWW-Authenticate: Bearer{}", place(&own))], "")
        }
        ("POST", "/mcp") if body["id"].is_null() => answer("202 Accepted", &[], ""),
        ("POST", "/mcp") => {
            let result = match body["method"].as_str() {
                Some("initialize") => json!({
                    "protocolVersion": body["params"]["protocolVersion"],
                    "capabilities": {},
                    "serverInfo": {"name": "probe", "version": "1"},
                }),
                _ => json!({}),
            };
            json("200 OK", json!({"jsonrpc": "2.0", "id": body["id"], "result": result}))
        }
        (_, "/mcp") => answer("405 Method Not Allowed", &["Allow: POST"], ""),
        ("GET", "/.well-known/oauth-protected-resource") if has_metadata => {
            json("200 OK", json!({"resource": format!("{own}/mcp"), "authorization_servers": [own]}))
        }
        ("GET", "/.well-known/oauth-authorization-server") if has_metadata => json(
            "200 OK",
            json!({
                "issuer": own,
                "authorization_endpoint": format!("{own}/authorize"),
                "token_endpoint": format!("{own}/token"),
                "registration_endpoint": format!("{own}/register"),
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            }),
        ),
        ("POST", "/register") if has_metadata => {
            let mut client = body.clone();
            client["client_id"] = "probe".into();
            json("201 Created", client)
        }
        ("POST", "/token") => {
            json("200 OK", json!({"access_token": BEARER_TOKEN, "token_type": "Bearer", "expires_in": 3600}))
        }
        _ => answer("404 Not Found", &[], ""),
    }
}

fn targets(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["request"]["target"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_mcp_client_logs_in() {
    // The challenge does not say where, so that the client tries one place after the other.
    let origin = mcp_server(|_| String::new(), true);
    let (tap, home) = (Tap::start(&origin.url()), tempfile::tempdir().unwrap());

    let ran = run(python(home.path(), MCP_CLIENT, &[&tap.url("/mcp")]));

    assert_eq!(ran.assert_fine().stdout, "fine\n");
    let records = wait_for("the last call", DEADLINE, || Some(tap.records_now()).filter(|records| records.len() >= 9));
    records.iter().for_each(assert_no_alarm);
    assert_finding(&records[0], "credentials-absent", "info");
    let seen = targets(&records);
    let place =
        |path: &str| seen.iter().position(|target| target == path).unwrap_or_else(|| panic!("{path}: {seen:?}"));
    assert!(place("/.well-known/oauth-protected-resource/mcp") < place("/.well-known/oauth-protected-resource"));
    assert_ok(&records[place("/token")]);
    assert_eq!(scheme(&records[place("/token") + 1]), "bearer");
    assert_ok(&records[place("/token") + 1]);
}

#[test]
fn an_mcp_client_is_sent_to_metadata_that_is_not_there() {
    let origin = mcp_server(|own| format!(" resource_metadata=\"{own}/elsewhere\""), false);
    let (tap, home) = (Tap::start(&origin.url()), tempfile::tempdir().unwrap());

    run(python(home.path(), MCP_CLIENT, &[&tap.url("/mcp")])).assert_failed();

    let (asked, sent) = wait_for("the client to go where it is sent", DEADLINE, || {
        let of = |path: &str| tap.records_now().into_iter().find(|record| record["request"]["target"] == path);
        Some((of("/mcp")?, of("/elsewhere")?))
    });
    assert_finding(&asked, "credentials-absent", "info");
    assert_finding(&sent, "resource-metadata-wrong", "error");
}
