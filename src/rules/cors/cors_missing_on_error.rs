//! The page may read what succeeds, and not why it fails.

use super::{CORS_CHECK, is_browser, is_same_origin};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer, with_named};
use crate::rules::normal;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity};

/// The rule.
pub static RULE: Rule = Rule {
    name: "cors-missing-on-error",
    family: Family::Cors,
    severity: Severity::Warning,
    title: "A refusal lacks the CORS fields that successes have",
    why: "A browser shows a page the answer from another origin only where it has Access-Control-Allow-Origin, whatever the \
          status. Where a gateway or a filter refuses before the CORS layer has its turn, the page sees a network error in \
          place of 401 or 403: it can't refresh its token or ask for a login, and the console speaks of CORS.",
    fix: "Add the CORS fields to refusals as well: put the CORS layer outside of authentication, in nginx write \
          `add_header … always`, in Amazon API Gateway add them to the gateway responses.",
    spec: &[CORS_CHECK],
    supersedes: &["credentials-absent"],
    examples: &[
        Example::fires("the gateway refuses before the application adds them", REFUSED),
        Example::fires("the preflight was answered", PREFLIGHT),
        Example::fires_beside("a token that is not taken", TOKEN),
        Example::quiet("the refusal has them", HAS),
        Example::quiet("the page asks its own server", OWN),
        Example::quiet("nothing there answers other origins", NONE),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let response = view.response().filter(|_| matches!(view.status(), 401 | 403))?;
    let origin = view.request().value("origin")?;
    let has_field = response.head.has("access-control-allow-origin") || response.head.is_cut();
    // A form that a page sends elsewhere becomes a page of its own, which no script reads.
    let is_read = !view.is_preflight() && !is_same_origin(view, origin) && !normal::is_page_load(view);
    if has_field || !is_read {
        return None;
    }
    let before = memory.readable_here(view)?;
    let status = response.status;
    let summary =
        format!("the {status} has no Access-Control-Allow-Origin: the page sees a network error and not the refusal");
    // Other programs may send Origin as well, and heed none of this.
    let is_surely_browser = is_browser(view) || before.is_preflight;
    let certainty = if is_surely_browser { Certainty::Certain } else { Certainty::Likely };
    let found = RULE.found(certainty, summary).at(At::Backend).header("access-control-allow-origin");
    let found = with_answer(with_named(found, view, Message::Request, "origin"), view);
    let what = if before.is_preflight { "the preflight" } else { "this route" };
    let story = format!(
        "before: {what} answered this origin {} with Access-Control-Allow-Origin at {}",
        before.status,
        clock(before.time)
    );
    Some(found.because(story))
}

const REFUSED: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
< Access-Control-Allow-Origin: https://app.example
* later 20m
> GET /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const PREFLIGHT: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: POST
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Allow-Methods: GET, POST
> POST /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Content-Type: application/json
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const TOKEN: &str = r#"> GET /api/news HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 200 OK
< Access-Control-Allow-Origin: *
> GET /api/news HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const HAS: &str = r#"> GET /api/news HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 200 OK
< Access-Control-Allow-Origin: *
> GET /api/news HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 401 Unauthorized
< Access-Control-Allow-Origin: *
< WWW-Authenticate: Bearer realm="orders"
"#;

const OWN: &str = r#"> POST /api/news HTTP/1.1
> Host: app.example
> Origin: https://app.example
< HTTP/1.1 200 OK
< Access-Control-Allow-Origin: https://app.example
> POST /api/news HTTP/1.1
> Host: app.example
> Origin: https://app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const NONE: &str = r#"> GET /api/news HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 200 OK
> GET /api/news HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;
