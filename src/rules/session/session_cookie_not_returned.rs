//! The login set a cookie, and the browser does not send it back.

use crate::exchange::View;
use crate::memory::{Memory, NotReturned, SameSite};
use crate::rules::evidence::{clock, with_answer, with_field};
use crate::rules::normal::{self, Normal};
use crate::rules::status::login_redirect_for_api::is_login;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "session-cookie-not-returned",
    family: Family::Session,
    severity: Severity::Warning,
    title: "A session cookie was set and did not come back",
    why: "The login worked and set a cookie, and the next request for which it was meant lacks it, so that the server sees \
          nobody who is logged in. By its Path, Domain, Secure and age it should be there. What then keeps it back is the \
          browser or the script: a `fetch` without credentials, SameSite, cookies that are blocked, or a client that keeps \
          none. Another password changes nothing.",
    fix: "Look in the developer tools whether the cookie was stored, and why not. A script that asks another origin needs \
          `credentials: \"include\"`; a cookie that has to go with requests of another site needs `SameSite=None; Secure`; \
          a program needs a place to keep cookies in.",
    spec: &[
        Spec::Document(
            "Cookies: HTTP State Management Mechanism, 5.8",
            "https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-5.8",
        ),
        Spec::rfc(6265, "5.4"),
    ],
    // No challenge could name a login by cookie.
    supersedes: &["challenge-missing", "credentials-absent", "forbidden-without-credentials", "login-redirect-for-api"],
    examples: &[
        Example::fires("the login's cookie is missing in the next request", LOGIN),
        Example::fires("the way back from a login elsewhere", CALLBACK),
        Example::fires("a new session cookie each time", EACH_TIME),
        Example::quiet("the cookie comes back", RETURNED),
        Example::quiet("the cookie is for another path", OTHER_PATH),
        Example::quiet("the session is over", OVER),
        Example::quiet("a colleague behind the same address", COLLEAGUE),
        Example::quiet("a program that keeps no cookies", PROGRAM),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    // With other credentials the request does not count on the cookie.
    if !is_refused(view) || !view.offered().is_empty() {
        return None;
    }
    let missing = memory.session_not_returned(view)?;
    // A probe, a search for metadata or a wrong password is refused with the cookie as well.
    if !matches!(normal::recognise(view, memory), None | Some(Normal::HandshakeStart | Normal::LoginRedirect)) {
        return None;
    }
    let summary = match (missing.is_login, missing.is_set_again) {
        (true, false) => "the login set a session cookie, and this request of the same client lacks it".to_owned(),
        (true, true) => "the login's session cookie did not come back, and the answer sets another one".to_owned(),
        (false, _) => {
            let times = missing.times.saturating_add(1);
            format!("the server set a new session cookie {times} times, and the client returned none of them")
        }
    };
    let found = RULE.found(Certainty::Likely, summary).at(At::Client).header("cookie");
    let what = if missing.is_login { "a login, answered" } else { "a request, answered" };
    let found = found.because(format!(
        "before: {what} {} at {} on this connection with a session cookie{}",
        missing.status,
        clock(missing.set),
        attributes(&missing)
    ));
    let sent = if view.request().has("cookie") { "request: cookies, but not this one" } else { "request: no cookie" };
    let found = found.because(sent);
    let location = view.response().and_then(|response| response.head.fields().find(|field| field.is("location")));
    let found = match location.filter(|_| (300..400).contains(&view.status())) {
        Some(field) => with_field(found, view, Message::Response, field.index, &format!("{}, ", view.status())),
        None => with_answer(found, view),
    };
    Some(if missing.same_site == Some(SameSite::None) && missing.is_secure {
        found.fix(
            "See whether the browser stores the cookie: with SameSite=None it is one of another site, and those are blocked \
             by many browsers. A script needs `credentials: \"include\"` too, and a program a place to keep cookies in.",
        )
    } else {
        found
    })
}

/// Those that decide whether it is sent.
fn attributes(missing: &NotReturned) -> String {
    let same_site = match missing.same_site {
        Some(SameSite::None) => "; SameSite=None",
        Some(SameSite::Lax) => "; SameSite=Lax",
        Some(SameSite::Strict) => "; SameSite=Strict",
        None => "",
    };
    let secure = if missing.is_secure { "; Secure" } else { "" };
    let domain = if missing.has_domain { "; Domain=…" } else { "" };
    format!("{secure}{same_site}{domain}")
}

/// Whether the answer is 401 or 403, or leads to a login.
fn is_refused(view: &View<'_>) -> bool {
    match view.status() {
        401 | 403 => true,
        302 | 303 | 307 => {
            let location = view.response().and_then(|response| response.head.value("location"));
            location.is_some_and(is_login) && !is_login(view.path())
        }
        _ => false,
    }
}

const LOGIN: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
> Content-Type: application/json
>
> {"user":"anna"}
< HTTP/1.1 200 OK
< Content-Type: application/json
< Set-Cookie: session=kX81mQ02pLz7Rt55; Path=/; Secure; HttpOnly
> GET /api/orders HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
> Accept: application/json
< HTTP/1.1 401 Unauthorized
"#;

const CALLBACK: &str = r#"* client tls
> GET /callback?code=c0de&state=s1 HTTP/1.1
> Host: app.example
> Sec-Fetch-Mode: navigate
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /
< Set-Cookie: sid=kX81mQ02pLz7Rt55; Path=/; Secure; HttpOnly
> GET / HTTP/1.1
> Host: app.example
> Sec-Fetch-Mode: navigate
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
"#;

const EACH_TIME: &str = r#"* client tls
> GET /start HTTP/1.1
> Host: app.example
> Sec-Fetch-Mode: navigate
> Accept: text/html
< HTTP/1.1 200 OK
< Set-Cookie: JSESSIONID=aaaaaaaaaaaaaaaaaaaaaaaa; Path=/; Secure; HttpOnly
> POST /cart HTTP/1.1
> Host: app.example
> Sec-Fetch-Mode: cors
> Sec-Fetch-Site: same-origin
< HTTP/1.1 200 OK
< Set-Cookie: JSESSIONID=bbbbbbbbbbbbbbbbbbbbbbbb; Path=/; Secure; HttpOnly
> POST /order HTTP/1.1
> Host: app.example
> Sec-Fetch-Mode: cors
> Sec-Fetch-Site: same-origin
< HTTP/1.1 403 Forbidden
< Set-Cookie: JSESSIONID=cccccccccccccccccccccccc; Path=/; Secure; HttpOnly
"#;

const RETURNED: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
< HTTP/1.1 303 See Other
< Location: /orders
< Set-Cookie: session=kX81mQ02pLz7Rt55; Path=/; Secure; HttpOnly
> GET /orders HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
> Cookie: session=kX81mQ02pLz7Rt55
< HTTP/1.1 200 OK
"#;

const OTHER_PATH: &str = r#"* client tls
> POST /admin/login HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
< HTTP/1.1 303 See Other
< Location: /admin/
< Set-Cookie: session=kX81mQ02pLz7Rt55; Path=/admin; Secure; HttpOnly
> GET /account HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login
"#;

const OVER: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
< HTTP/1.1 303 See Other
< Location: /
< Set-Cookie: session=kX81mQ02pLz7Rt55; Path=/; Max-Age=60; Secure; HttpOnly
* later 2m
> GET /account HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login
"#;

const COLLEAGUE: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
< HTTP/1.1 303 See Other
< Location: /
< Set-Cookie: session=kX81mQ02pLz7Rt55; Path=/; Secure; HttpOnly
* new connection
> GET /account HTTP/1.1
> Host: shop.example
> User-Agent: Mozilla/5.0
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login
"#;

const PROGRAM: &str = r#"* client tls
> POST /login HTTP/1.1
> Host: shop.example
> User-Agent: python-requests/2.32.3
< HTTP/1.1 200 OK
< Content-Type: application/json
< Set-Cookie: session=kX81mQ02pLz7Rt55; Path=/; Secure; HttpOnly
> GET /api/orders HTTP/1.1
> Host: shop.example
> User-Agent: python-requests/2.32.3
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="shop"
"#;

#[cfg(test)]
#[path = "session_cookie_tests.rs"]
mod tests;
