//! A refusal that comes out of a cache.

use crate::exchange::View;
use crate::hops::Crossing;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials, with_field};
use crate::rules::hop::{Topic, Verdict, at, told, with_fix};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "cached-refusal",
    family: Family::Session,
    severity: Severity::Error,
    title: "The refusal comes out of a cache",
    why: "A cache before the backend keeps a refusal that somebody else got, and gives it to everybody who asks for the same \
          address, whatever their credentials. The backend never sees these requests.",
    fix: "Keep refusals out of the cache, and have the backend send `Cache-Control: no-store` with them.",
    spec: &[Spec::rfc(9111, "3"), Spec::rfc(9111, "4"), Spec::rfc(9111, "3.5")],
    supersedes: &[
        "refusal-origin",
        "credentials-rejected",
        "credentials-absent",
        "credentials-reported-missing",
        "forbidden-without-credentials",
    ],
    examples: &[
        Example::fires("an answer with an age", AGE),
        Example::fires("a cache that says so", HIT),
        Example::fires("the backend's earlier refusal, without a request to the backend", REPEATED),
        Example::quiet("a cache that did not have it", MISS),
        Example::quiet("a good answer out of the cache", GOOD),
    ],
    check: Check::Both(check, check_hop),
};

/// Fields in which caches say whether they had the answer.
const MARKS: [&str; 6] =
    ["x-cache", "cf-cache-status", "x-cache-status", "x-proxy-cache", "cache-status", "x-drupal-cache"];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    if !view.is_refused() {
        return None;
    }
    let field = mark_of_cache(view)?;
    let found = RULE.found(Certainty::Certain, "the refusal comes out of a cache: the backend was not asked");
    let found = with_field(found.at(At::Unknown).header("age"), view, Message::Response, field, "");
    let found = with_answer(found, view);
    Some(match view.main_credentials() {
        Some(offered) => with_credentials(found, view, offered),
        None => found,
    })
}

/// The field of the answer that says that it comes out of a cache: an age, or a word of the cache.
pub(super) fn mark_of_cache(view: &View<'_>) -> Option<usize> {
    let head = &view.response()?.head;
    let age = head.fields().filter(|field| field.is("age")).find(|field| {
        let digits = std::str::from_utf8(field.value).ok();
        digits.and_then(|age| age.trim().parse::<u64>().ok()).is_some_and(|age| age > 0)
    });
    let hit = || {
        head.fields().find(|field| {
            MARKS.iter().any(|name| field.is(name))
                && field
                    .value
                    .to_ascii_lowercase()
                    .split(|byte| !byte.is_ascii_alphanumeric())
                    .any(|word| word == b"hit")
        })
    };
    age.or_else(hit).map(|field| field.index)
}

fn check_hop(crossing: &Crossing<'_>, memory: &Memory) -> Vec<Finding> {
    check_way(crossing, memory).into_iter().collect()
}

fn check_way(crossing: &Crossing<'_>, memory: &Memory) -> Option<Finding> {
    let is_unasked = crossing.attempts.is_empty() && crossing.running == 0 && crossing.is_certain;
    if !is_unasked || told(crossing) != Verdict::Refused || !memory.hops().backend_refused_so(crossing) {
        return None;
    }
    let inner = crossing.inner_tap;
    let found = RULE
        .found(
            Certainty::Likely,
            format!("the refusal is one that the backend gave before: nothing was asked at {inner}"),
        )
        .at(at(crossing))
        .because(format!("{inner}: nothing came of this request"))
        .because("the same refusal came from the backend to an earlier request for this address");
    Some(with_fix(found, crossing, Topic::Cache, None))
}

const AGE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Age: 31
< WWW-Authenticate: Bearer realm="orders"
"#;

const HIT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< X-Cache: Hit from cloudfront
"#;

const REPEATED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
< Content-Length: 0
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
< Content-Length: 0
* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
< Content-Length: 0
"#;

const MISS: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< Age: 0
< X-Cache: MISS
< WWW-Authenticate: Bearer realm="orders"
"#;

const GOOD: &str = r#"> GET /logo.png HTTP/1.1
> Host: api.example
< HTTP/1.1 200 OK
< Age: 31
< X-Cache: HIT
"#;
