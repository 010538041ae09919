//! Who asked is told that all went well, and what was answered is a refusal.

use serde_json::Value;

use super::login_redirect_for_api::is_login;
use crate::exchange::View;
use crate::exchange::body::is_api_request;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_named, with_sent};
use crate::rules::json::Top;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec, normal};

/// The rule.
pub static RULE: Rule = Rule {
    name: "failure-in-200",
    family: Family::Status,
    severity: Severity::Warning,
    title: "A refusal is answered with status 200",
    why: "Clients, caches and monitors go by the status. With 200 a client takes the login page or the error for the data and \
          fails later, where it reads it; a token is not renewed, since no 401 asks for it; and no graph shows the refusals. It \
          comes about where an authentication proxy or a framework shows its login page to whoever asks, and where an API has a \
          status of its own in the body.",
    fix: "Let the refusal have the status 401 with a challenge, or 403. For the paths of an API, turn off the login page of the \
          proxy or framework, so that it answers 401 there.",
    spec: &[Spec::rfc(9110, "15.5.2"), Spec::rfc(9110, "15.3.1")],
    supersedes: &[],
    examples: &[
        Example::fires("a token is answered with a login page", PAGE),
        Example::fires("a script gets a page that goes to the login server", SAML),
        Example::fires_beside("the status stands in the body", CODE),
        Example::fires_beside("the error stands in the body", ERROR),
        Example::quiet("a browser loads the login page", BROWSER),
        Example::quiet("a program fetches the login page", LOGIN),
        Example::quiet("a page with a form to change the password", CHANGE),
        Example::quiet("an error of GraphQL", GRAPHQL),
        Example::quiet("an error of JSON-RPC", JSON_RPC),
        Example::quiet("data about refusals", DATA),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    // A login answers in its page or its body whether it went well.
    let Some(text) = view.answer_text().filter(|_| view.status() == 200 && !is_login(view.path())) else {
        return Vec::new();
    };
    let kind = view.response().and_then(|response| response.head.value("content-type")).unwrap_or_default();
    let found = match kind.to_ascii_lowercase().starts_with(b"text/html") {
        true => login_page(view, text),
        false => refusal_in_json(view, text),
    };
    found.map(Finding::about_success).into_iter().collect()
}

fn login_page(view: &View<'_>, text: &str) -> Option<Finding> {
    if !is_api_request(view.request()) {
        return None;
    }
    let form = login_form(text)?;
    let summary = match view.main_credentials() {
        Some(_) => "the request had credentials, and got a login page with status 200 all the same",
        None => "a program asked, and got a login page with status 200 instead of a refusal",
    };
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend);
    let found = with_named(with_sent(found, view), view, Message::Request, "accept");
    Some(with_named(found, view, Message::Response, "content-type").because(format!("body: {form}")))
}

/// What makes a whole page one to log in on. A piece of a page is what its script asked for.
fn login_form(text: &str) -> Option<&'static str> {
    const PASSWORDS: [&str; 3] = ["type=\"password\"", "type='password'", "type=password"];
    const TITLES: [&str; 5] = ["sign in", "sign-in", "log in", "login", "log on"];
    let page = text.to_ascii_lowercase();
    let start = page.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if !start.starts_with("<!doctype html") && !start.starts_with("<html") || !page.contains("<form") {
        return None;
    }
    if page.contains("name=\"samlrequest\"") {
        return Some("an HTML page with a form that goes on to a login server (SAMLRequest)");
    }
    let title = || {
        let (_, rest) = page.split_once("<title>")?;
        rest.split('<').next().map(str::trim)
    };
    match PASSWORDS.iter().map(|password| page.matches(password).count()).sum() {
        1 => Some("an HTML page with a form that asks for a password"),
        0 if title().is_some_and(|title| TITLES.iter().any(|word| title.starts_with(word))) => {
            Some("an HTML page with a form, whose title asks for a login")
        }
        // Who changes a password is asked for several.
        _ => None,
    }
}

fn refusal_in_json(view: &View<'_>, text: &str) -> Option<Finding> {
    let top = Top::read(text).filter(|top| top.is_whole)?;
    if normal::is_page_load(view) || !is_envelope(&top) {
        return None;
    }
    let (name, word) = refusal(&top)?;
    let summary = format!("the status is 200, and the body says {word}");
    let found = RULE.found(Certainty::Likely, summary).severity(Severity::Info).at(At::Backend);
    let found = with_sent(found, view).because("response: 200");
    Some(found.because(clip(format!("body: {name}={}", view.redactor().text(word)))))
}

/// Whether an object holds an error and nothing else: data may have a status of its own.
fn is_envelope(top: &Top) -> bool {
    const NAMES: [&str; 25] = [
        "code",
        "status",
        "statusCode",
        "status_code",
        "error",
        "errorCode",
        "error_code",
        "error_description",
        "errorMessage",
        "message",
        "msg",
        "detail",
        "details",
        "reason",
        "title",
        "type",
        "instance",
        "success",
        "ok",
        "timestamp",
        "path",
        "data",
        "result",
        "requestId",
        "traceId",
    ];
    let is_empty = |name: &str| top.get(name).is_none_or(Value::is_null);
    let went_well = |name: &str| top.get(name).is_some_and(|value| value == true);
    top.names().all(|name| NAMES.contains(&name))
        && is_empty("data")
        && is_empty("result")
        && !went_well("success")
        && !went_well("ok")
}

/// The member that refuses, and what it says, in words of ours.
fn refusal(top: &Top) -> Option<(&'static str, &'static str)> {
    let status = ["code", "status", "statusCode", "status_code"].into_iter().find_map(|name| {
        let value = top.get(name)?;
        match value.as_u64().or_else(|| value.as_str()?.parse().ok())? {
            401 => Some((name, "401")),
            403 => Some((name, "403")),
            _ => None,
        }
    });
    status.or_else(|| {
        let word = top.get("error")?.as_str()?.trim();
        let known = ["unauthorized", "forbidden"].into_iter().find(|known| word.eq_ignore_ascii_case(known))?;
        Some(("error", known))
    })
}

const PAGE: &str = r#"> GET /api/orders HTTP/1.1
> Host: app.example
> Accept: */*
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
< Content-Type: text/html; charset=utf-8
<
< <!DOCTYPE html>
< <html><head><title>Acme</title></head><body>
< <form action="/login" method="post"><input name="user"><input name="pass" type="password"></form>
< </body></html>
"#;

const SAML: &str = r#"> GET /api/orders HTTP/1.1
> Host: app.example
> Accept: application/json
< HTTP/1.1 200 OK
< Content-Type: text/html
<
< <html><body onload="document.forms[0].submit()"><form method="post" action="https://login.example/saml">
< <input type="hidden" name="SAMLRequest" value="fVHLTsMwELz7Kyzf4zgOUKhWpZWqUqlVI0QLVzYmbKil2A5eJ+LvSdsLXOA4OzM7s7vZ"></form></body></html>
"#;

const CODE: &str = r#"> GET /api/orders HTTP/1.1
> Host: app.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
< Content-Type: application/json
< Content-Length: 52
<
< {"code":401,"msg":"please log in first","data":null}
"#;

const ERROR: &str = r#"> GET /api/orders HTTP/1.1
> Host: app.example
> Accept: application/json
< HTTP/1.1 200 OK
< Content-Type: application/json
< Content-Length: 48
<
< {"error":"Forbidden","message":"not your order"}
"#;

const BROWSER: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html,application/xhtml+xml,*/*;q=0.8
< HTTP/1.1 200 OK
< Content-Type: text/html
<
< <!DOCTYPE html><html><body><form action="/login"><input type="password"></form></body></html>
"#;

const LOGIN: &str = r#"> GET /login HTTP/1.1
> Host: app.example
> Accept: application/json
< HTTP/1.1 200 OK
< Content-Type: text/html
<
< <!DOCTYPE html><html><body><form action="/login"><input type="password"></form></body></html>
"#;

const CHANGE: &str = r#"> GET /account HTTP/1.1
> Host: app.example
> X-Requested-With: XMLHttpRequest
< HTTP/1.1 200 OK
< Content-Type: text/html
<
< <!DOCTYPE html><html><body><form><input type="password"><input type="password"></form></body></html>
"#;

const GRAPHQL: &str = r#"> POST /graphql HTTP/1.1
> Host: app.example
> Accept: application/json
> Content-Type: application/json
< HTTP/1.1 200 OK
< Content-Type: application/json
< Content-Length: 85
<
< {"data":null,"errors":[{"message":"unauthorized","extensions":{"code":"FORBIDDEN"}}]}
"#;

const JSON_RPC: &str = r#"> POST /rpc HTTP/1.1
> Host: app.example
> Accept: application/json
> Content-Type: application/json
< HTTP/1.1 200 OK
< Content-Type: application/json
< Content-Length: 70
<
< {"jsonrpc":"2.0","id":1,"error":{"code":401,"message":"unauthorized"}}
"#;

const DATA: &str = r#"> GET /api/checks/7 HTTP/1.1
> Host: app.example
> Accept: application/json
< HTTP/1.1 200 OK
< Content-Type: application/json
< Content-Length: 72
<
< {"url":"https://shop.example/admin","status":401,"error":"unauthorized"}
"#;
