//! A tap with its inspector page, opened in a browser, and traffic that shows something there.

use super::browser::Browser;
use super::canaries::{API_KEY, BEARER_TOKEN};
use super::gateway::changing;
use super::head::answer;
use super::{Client, Origin, Path, Tap};

/// The link of the page, which the program prints once.
pub fn link(tap: &Tap) -> String {
    let stderr = tap.stderr();
    let (_, rest) = stderr.split_once("Watch it at ").unwrap_or_else(|| panic!("no link in {stderr}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

pub fn send(tap: &Tap, request: &str) {
    let mut client = Client::connect(tap.addr());
    client.send(request);
    client.read_response();
}

pub fn get(tap: &Tap, target: &str, fields: &[&str]) {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    send(
        tap,
        &format!(
            "GET {target} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: probe/1\r\n{fields}Connection: close\r\n\r\n"
        ),
    );
}

/// A page of a tap, opened by its link.
pub fn open(tap: &Tap) -> Browser {
    let mut browser = Browser::start(1280, 800);
    browser.go(&link(tap));
    browser.wait("document.querySelector('.status.live')");
    browser
}

pub const INSPECT: [&str; 1] = ["--inspect=:0"];

/// A token that ran out in 2023, whose signature nobody checks.
pub const EXPIRED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJhdWQiOiJvcmRlcnMtYXBpIiwiZ\
                       XhwIjoxNzAwMDAwMDAwLCJpYXQiOjE2OTk5OTY0MDB9.c2lnbmF0dXJlLW9mLXRoaXJ0eS10d28tYnl0ZXMtaGVyZSE";

/// A gateway that loses credentials on one path, spells a name in its own way, and adds one of its own.
pub fn shop() -> Path<Origin> {
    let backend = Origin::serve(|head| {
        let bearer = head.get("authorization").unwrap_or_default();
        let key = head.get_exact("X-Api-Key").unwrap_or_default();
        match head.target().as_str() {
            "/mcp" => answer("401 Unauthorized", &["Content-Type: application/json"], "{\"error\":\"unauthorized\"}"),
            "/v1/broken" => answer("500 Internal Server Error", &[], ""),
            _ if bearer == format!("Bearer {BEARER_TOKEN}") || key == API_KEY => {
                answer("200 OK", &["Content-Type: text/plain", "Server: shop/1.0"], "fine\n")
            }
            _ if bearer.contains("eyJ") => answer(
                "401 Unauthorized",
                &[
                    "WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"expired\"",
                    "Content-Type: text/plain",
                ],
                "the token is expired\n",
            ),
            _ => answer("401 Unauthorized", &["WWW-Authenticate: Bearer realm=\"orders\""], "no credentials\n"),
        }
    });
    let url = backend.url();
    let path = Path::start_with(
        &INSPECT,
        |app| {
            changing(app, |request| {
                request.set("X-Forwarded-For", "192.0.2.7");
                request.set("Host", "backend.internal");
                if request.start_line.contains("/v1/admin") {
                    request.take("authorization");
                }
                for (name, _) in &mut request.fields {
                    if name == "X-Api-Key" {
                        *name = "x-api-key".to_owned();
                    }
                }
            })
        },
        &url,
    );
    // It has to stay as long as the taps.
    Box::leak(Box::new(backend.may_be_unused()));
    path
}

/// Some healthy calls, and some of most kinds of trouble.
pub fn traffic(tap: &Tap) {
    let bearer = format!("Authorization: Bearer {BEARER_TOKEN}");
    for number in 0..12 {
        get(tap, &format!("/v1/orders/{number}?page={number}"), &[&bearer]);
    }
    for number in 0..3 {
        get(tap, &format!("/v1/admin/users/{number}"), &[&bearer, "Accept: application/json"]);
    }
    get(tap, "/v1/catalogue", &[&format!("X-Api-Key: {API_KEY}")]);
    for _ in 0..4 {
        get(tap, "/v1/orders", &[&format!("Authorization: Bearer {EXPIRED}")]);
    }
    send(tap, "POST /mcp HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    get(tap, "/v1/broken", &[&bearer]);
}

pub const SENT: usize = 12 + 3 + 1 + 4 + 1 + 1;

pub fn shop_in_browser() -> (Path<Origin>, Browser) {
    let path = shop();
    traffic(&path.tap);
    path.tap.records(2 * SENT);
    let mut browser = open(&path.tap);
    browser.wait(&format!("document.querySelector('#count').innerText === '{SENT} requests'"));
    (path, browser)
}
