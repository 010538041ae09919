//! The login sends the browser back, and the application sends it to the login again.

use jiff::SignedDuration;

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_field};
use crate::rules::status::login_redirect_for_api::is_login;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "login-redirect-loop",
    family: Family::Redirect,
    severity: Severity::Error,
    title: "The browser goes round between login and application",
    why: "The login succeeds and sends the browser back, but the application sees nobody who is logged in and sends it to \
          the login again. The session does not get from one to the other: its cookie is not stored or not sent back \
          (Secure over http, another Domain or Path, SameSite, too large), or the server that reads it does not know it, \
          because it has another secret or no share in the session store.",
    fix: "Look at the answer that sends the browser back: does it set a cookie, and does the next request have it? If not, \
          compare the cookie's Domain, Path, Secure and SameSite with the address that the browser uses. If it has, see \
          that all replicas share the secret and the session store.",
    spec: &[Spec::rfc(6265, "5.3"), Spec::rfc(6265, "5.4"), Spec::rfc(9110, "15.4")],
    supersedes: &["login-redirect-for-api", "session-cookie-not-returned"],
    examples: &[
        Example::fires("the session cookie is not sent back", NOT_SENT),
        Example::fires("the session cookie is not understood", NOT_KNOWN),
        Example::quiet("the second time it works", WORKS),
        Example::quiet("somebody reloads a page", RELOADED),
        Example::quiet("each hour a login", HOURLY),
    ],
    check: Check::Failure(check),
};

/// So many times back and away again; a second login may be asked for on purpose, for a page that needs more.
const ROUNDS: u32 = 3;
/// The redirect back and the request that follows it.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(10);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let response = view.response().filter(|response| matches!(response.status, 302 | 303 | 307))?;
    let location = response.head.fields().find(|field| field.is("location"))?;
    if !is_login(location.value) || is_login(view.path()) {
        return None;
    }
    let back = memory.follows_redirect(view)?;
    let bounces = memory.bounces_here(view)?;
    let rounds = bounces.count.saturating_add(1);
    if rounds < ROUNDS || view.exchange().time.duration_since(back.time) > AT_ONCE {
        return None;
    }
    let story = match bounces.cookies_came_back(view) {
        Some(false) => "and the cookie that was set on the way is not sent back",
        Some(true) => "though the cookie that was set on the way is sent back",
        None => "and each time it is not logged in there",
    };
    let summary = format!("the browser came back from the login {rounds} times, {story}");
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend).header("location");
    let since = bounces.first.map(|first| format!(" since {}", clock(first))).unwrap_or_default();
    let found = found.because(format!("before: {rounds} redirects to this path{since}, the last with {}", back.status));
    let has_cookie = if view.request().has("cookie") { "request: a cookie" } else { "request: no cookie" };
    let found = with_field(
        found.because(has_cookie),
        view,
        Message::Response,
        location.index,
        &format!("{}, ", response.status),
    );
    Some(match bounces.cookies_came_back(view) {
        Some(false) => found.fix(
            "See why the browser does not send the cookie back: Secure needs https in the browser, Domain and Path have to \
             fit the address that it uses, SameSite=Strict keeps it away after the way over the login server, and a cookie \
             of more than 4 KiB is not stored.",
        ),
        Some(true) => found.fix(
            "See why the application does not know the session that it gets: replicas with different secrets or without a \
             common session store, a cookie that another application sets under the same name, or a clock that is off.",
        ),
        None => found,
    })
}

const NOT_SENT: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
> GET /callback?code=a HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /orders
< Set-Cookie: session=c2Vzc2lvbg; Secure; HttpOnly
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
> GET /callback?code=b HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /orders
< Set-Cookie: session=c2Vzc2lvbh; Secure; HttpOnly
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
> GET /callback?code=c HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /orders
< Set-Cookie: session=c2Vzc2lvbi; Secure; HttpOnly
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
"#;

const NOT_KNOWN: &str = r#"> GET / HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login
> GET /login HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /
< Set-Cookie: session=c2Vzc2lvbg
> GET / HTTP/1.1
> Host: app.example
> Accept: text/html
> Cookie: session=c2Vzc2lvbg
< HTTP/1.1 302 Found
< Location: /login
> GET /login HTTP/1.1
> Host: app.example
> Accept: text/html
> Cookie: session=c2Vzc2lvbg
< HTTP/1.1 302 Found
< Location: /
< Set-Cookie: session=c2Vzc2lvbh
> GET / HTTP/1.1
> Host: app.example
> Accept: text/html
> Cookie: session=c2Vzc2lvbh
< HTTP/1.1 302 Found
< Location: /login
> GET /login HTTP/1.1
> Host: app.example
> Accept: text/html
> Cookie: session=c2Vzc2lvbh
< HTTP/1.1 302 Found
< Location: /
< Set-Cookie: session=c2Vzc2lvbi
> GET / HTTP/1.1
> Host: app.example
> Accept: text/html
> Cookie: theme=dark; session=c2Vzc2lvbi
< HTTP/1.1 302 Found
< Location: /login
"#;

const WORKS: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login
> GET /login HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /orders
< Set-Cookie: session=c2Vzc2lvbg
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login?level=2
> GET /login?level=2 HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /orders
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 200 OK
"#;

const RELOADED: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: https://login.example/authorize?client_id=app
"#;

const HOURLY: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login
> GET /login HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /orders
* later 1h
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login
> GET /login HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /orders
* later 1h
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login
> GET /login HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /orders
* later 1h
> GET /orders HTTP/1.1
> Host: app.example
> Accept: text/html
< HTTP/1.1 302 Found
< Location: /login
"#;
