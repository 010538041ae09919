//! What was made for one who logged in comes out of a cache for others.

use crate::exchange::View;
use crate::memory::{Handed, Memory};
use crate::rules::evidence::{clock, with_field, with_named, with_sent};
use crate::rules::session::cached_refusal::mark_of_cache;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "authorised-response-shared",
    family: Family::Session,
    severity: Severity::Error,
    title: "An answer for one who logged in is served to others from a cache",
    why: "A shared cache must not keep the answer to a request with Authorization unless the answer allows it (RFC 9111 \
          3.5). One that was told to ignore Authorization and Set-Cookie, or to which the application says `public` or \
          `s-maxage`, gives what one user may see to everybody who asks for the same address.",
    fix: "Send `Cache-Control: private` or `no-store` with answers that need a login, and take their paths out of the cache. \
          Then empty the cache: what is in it is served until it is too old.",
    spec: &[Spec::rfc(9111, "3.5"), Spec::rfc(9111, "5.2.2.7")],
    supersedes: &[],
    examples: &[
        Example::fires("served to nobody in particular, with the same entity tag", NOBODY),
        Example::fires("served to nobody in particular, with the age of that answer", AGE),
        Example::fires("served to one who was refused before", REFUSED),
        Example::quiet("public, so that it could be served to others", PUBLIC),
        Example::quiet("a file that nobody has to log in for", ASSET),
        Example::quiet("the same user again, out of the cache", OWN),
        Example::quiet("not out of a cache", MISS),
    ],
    check: Check::Exchange(check),
};

/// Seconds by which an age may differ from what the two requests are apart: it counts whole seconds.
const AGE_OFF: i64 = 2;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    served(view, memory).or_else(|| allowed(view, memory)).into_iter().collect()
}

/// An answer that was made for other credentials.
fn served(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    if !view.is_success() {
        return None;
    }
    let guarded = memory.guarded_here(view)?;
    let refused = guarded.refused?;
    let mark = mark_of_cache(view)?;
    let own = view.main_credentials().map(|offered| offered.fingerprint);
    // Somebody whose own answer it is gets what is his.
    let given = guarded.given.iter().find(|given| is_that(view, memory, given))?;
    if guarded.given.iter().any(|given| Some(given.to) == own) || given.time < refused {
        return None;
    }
    let is_anonymous = own.is_none() && !view.request().has("cookie") && !view.request().is_cut();
    let was_refused =
        own.is_some_and(|own| memory.history_here(view, own).is_some_and(|history| history.refused_since.is_some()));
    let (summary, severity) = match (is_anonymous, was_refused) {
        (true, _) => ("an answer that was made for a login is served to a request without any", Severity::Error),
        (_, true) => {
            ("an answer that was made for others is served to credentials that were refused here", Severity::Error)
        }
        // A gateway may have looked at these credentials before it looked into its cache.
        _ => ("an answer that was made for other credentials is served from a cache", Severity::Info),
    };
    let found = RULE.found(Certainty::Certain, summary).severity(severity).header("authorization");
    let found = with_field(found, view, Message::Response, mark, &format!("{}, ", view.status()));
    let found = with_sent(found, view)
        .because(format!("history: refused without credentials at {}", clock(refused)))
        .because(format!("history: answered well to other credentials at {}", clock(given.time)));
    Some(with_named(found, view, Message::Response, "cache-control"))
}

/// Whether this answer is the one that was given then: by its entity tag, or by its age.
fn is_that(view: &View<'_>, memory: &Memory, given: &Handed) -> bool {
    let etag = memory.etag(view);
    if etag.is_some() && etag == given.etag {
        return true;
    }
    let age = view.response().and_then(|response| response.head.value("age"));
    let age = age.and_then(|age| std::str::from_utf8(age).ok()?.trim().parse::<i64>().ok()).filter(|age| *age > 0);
    let apart = view.exchange().time.as_second() - given.time.as_second();
    etag.is_none() && given.etag.is_none() && age.is_some_and(|age| (apart - age).abs() <= AGE_OFF)
}

/// An answer to credentials that tells every cache to keep it.
fn allowed(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    view.authorization().filter(|_| view.is_success())?;
    let head = &view.response()?.head;
    let refused = head.has("cache-control").then(|| memory.guarded_here(view)).flatten()?.refused?;
    let has = |name: &str| directive(view, name).is_some();
    let is_zero = |name: &str| directive(view, name).is_some_and(|value| value == "0");
    let is_kept_apart = ["private", "no-store", "no-cache"].iter().any(|name| has(name))
        || head.lists("vary", "authorization")
        || head.lists("vary", "*")
        || is_zero("s-maxage")
        || (is_zero("max-age") && !has("s-maxage"));
    if is_kept_apart || !(has("public") || has("s-maxage")) {
        return None;
    }
    let found = RULE
        .found(Certainty::Certain, "this place needs a login, and its answer lets every cache keep it for others")
        .severity(Severity::Info)
        .at(At::Backend)
        .header("cache-control");
    let found = with_sent(with_named(found, view, Message::Response, "cache-control"), view);
    Some(found.because(format!("history: refused without credentials at {}", clock(refused))))
}

/// The value of a directive of Cache-Control, empty where it has none.
fn directive(view: &View<'_>, name: &str) -> Option<String> {
    let head = &view.response()?.head;
    head.values("cache-control").find_map(|value| {
        let value = String::from_utf8_lossy(value).into_owned();
        value.split(',').find_map(|part| {
            let (known, value) = part.split_once('=').unwrap_or((part, ""));
            known.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
        })
    })
}

const NOBODY: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
* client addr 10.0.0.9
> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
< X-Cache: HIT
"#;

const AGE: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* later 40s
* client addr 10.0.0.9
> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 200 OK
< Age: 40
"#;

const REFUSED: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Bearer 8xLOxBtZp8mHjdn8CtSLzQ
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Bearer 8xLOxBtZp8mHjdn8CtSLzQ
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
< X-Cache: Hit from edge
"#;

const PUBLIC: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
< Cache-Control: public, max-age=300
"#;

const ASSET: &str = r#"> GET /logo.png HTTP/1.1
> Host: app.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
< Cache-Control: public, max-age=300
> GET /logo.png HTTP/1.1
> Host: app.example
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
< X-Cache: HIT
"#;

const OWN: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
< X-Cache: HIT
"#;

const MISS: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
* client addr 10.0.0.9
> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 200 OK
< ETag: "5f1c-8a"
< X-Cache: MISS
"#;
