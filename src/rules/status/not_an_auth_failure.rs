//! A 403 or 401 that has nothing to do with who asks.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_answer, with_named};
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "not-an-auth-failure",
    family: Family::Status,
    severity: Severity::Info,
    title: "The refusal is not about the credentials",
    why: "Firewalls, bot checks, limits of rate and the protection of forms against other sites refuse with 403 too, and now \
          and then with 401. The credentials may be perfectly good: another login, another token or another role changes \
          nothing.",
    fix: "Look where the refusal comes from: in the firewall's log, at the limits of the account, or at the token of the form.",
    spec: &[
        Spec::rfc(9110, "15.5.4"),
        Spec::rfc(6585, "4"),
        Spec::Document(
            "Cloudflare: Detect a Challenge Page response",
            "https://developers.cloudflare.com/cloudflare-challenges/challenge-types/challenge-pages/detect-response/",
        ),
    ],
    supersedes: &["credentials-absent", "forbidden-without-credentials"],
    examples: &[
        Example::fires("Cloudflare wants to know whether a person asks", CLOUDFLARE),
        Example::fires("the firewall of CloudFront", CLOUDFRONT),
        Example::fires("a form without its token", CSRF),
        Example::fires("a browser that hides its origin", NULL_ORIGIN),
        Example::fires("the limit of rate is used up", LIMIT),
        Example::fires("a text that speaks of the limit", LIMIT_IN_TEXT),
        Example::quiet("a right is missing, and the limit is far", RIGHT),
        Example::quiet("the API is about limits", ABOUT_LIMITS),
    ],
    check: Check::Exchange(check),
};

/// Why a refusal is not about who asks.
pub(super) struct Reason {
    certainty: Certainty,
    at: At,
    summary: &'static str,
    /// The field that tells, in the request or in the answer.
    field: Option<(Message, &'static str)>,
    /// The words of the body that tell.
    words: Option<&'static str>,
    fix: &'static str,
}

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Some(reason) = other_reason(view) else { return Vec::new() };
    let found = RULE.found(reason.certainty, reason.summary).at(reason.at).fix(reason.fix);
    let found = match reason.field {
        Some((message, name)) => with_named(found.header(name), view, message, name),
        None => found,
    };
    let found = match reason.words {
        Some(words) => found.because(clip(format!("text: {words}"))),
        None => found,
    };
    vec![with_answer(found, view)]
}

/// Why this refusal is not about who asks, where its own marks say so.
pub(super) fn other_reason(view: &View<'_>) -> Option<Reason> {
    let response = view.response().filter(|response| matches!(response.status, 401 | 403))?;
    // A challenge that names an error of the token leaves no doubt that the token was judged.
    if view.challenges(false).any(|challenge| challenge.param("error").is_some()) {
        return None;
    }
    // Larger bodies are documents, in which such words can stand for other reasons.
    let text = view.error_text().filter(|_| response.body.size <= 16 * 1024).unwrap_or_default().to_ascii_lowercase();
    let head = &response.head;
    if head.value("cf-mitigated").is_some_and(|value| value.eq_ignore_ascii_case(b"challenge")) {
        return Some(Reason {
            certainty: Certainty::Certain,
            at: At::Backend,
            summary: "Cloudflare asks whether a person is there, and the request did not get to the server",
            field: Some((Message::Response, "cf-mitigated")),
            words: None,
            fix: "Programs can't pass that check. In Cloudflare, exempt this path or this client from challenges (WAF custom \
                  rule with the action Skip), or call the server by a way that does not lead through it.",
        });
    }
    if text.contains("request blocked.") && (text.contains("cloudfront") || is_cloudfront(view)) {
        return Some(Reason {
            certainty: Certainty::Certain,
            at: At::Backend,
            summary: "the firewall of CloudFront blocked the request, and it did not get to the server",
            field: None,
            words: Some("Request blocked."),
            fix: "Look in AWS WAF, at the sampled requests of the web ACL, which rule blocked it; size and content of the \
                  request matter there as well as its address.",
        });
    }
    cross_site(view, &text).or_else(|| limited(view, &text))
}

fn is_cloudfront(view: &View<'_>) -> bool {
    let head = view.response().map(|response| &response.head);
    head.is_some_and(|head| head.has("x-amz-cf-id") || head.value("server") == Some(b"CloudFront"))
}

/// The protection against requests that another site makes in the name of its visitor.
fn cross_site(view: &View<'_>, text: &str) -> Option<Reason> {
    static WORDS: Phrases = Phrases::of(&[
        "csrf verification failed",
        "csrf failed",
        "csrf token",
        "csrf_token",
        "csrf-token",
        "csrf check failed",
        "csrf protection",
        "_xsrf",
        "xsrf token",
    ]);
    let words = WORDS.first_in(text)?;
    let hides_origin = view.request().value("origin") == Some(b"null");
    Some(if hides_origin {
        Reason {
            certainty: Certainty::Certain,
            at: At::Unknown,
            summary: "the browser hid its origin, and the protection against forged requests refuses that",
            field: Some((Message::Request, "origin")),
            words: Some(words),
            fix: "Take `Referrer-Policy: no-referrer` out of the page's answers, for which `same-origin` or `strict-origin` \
                  does as well, and see that the page is in no sandboxed frame.",
        }
    } else {
        Reason {
            certainty: Certainty::Certain,
            at: At::Unknown,
            summary: "the protection against forged requests (CSRF) refuses, not the login",
            field: None,
            words: Some(words),
            fix: "Send the token that the page or the cookie holds, in the field that the framework looks for. Behind a \
                  gateway see that Host, Origin and X-Forwarded-Proto arrive as the application expects, and that it trusts \
                  its public address (Django: CSRF_TRUSTED_ORIGINS).",
        }
    })
}

/// A limit on how often or how much one may ask.
fn limited(view: &View<'_>, text: &str) -> Option<Reason> {
    const REMAINING: [&str; 3] = ["x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining"];
    static WORDS: Phrases = Phrases::of(&[
        "rate limit exceeded",
        "exceeded a secondary rate limit",
        "api rate limit",
        "rate limited",
        "too many requests",
        "quota exceeded",
    ]);
    const FIX: &str = "Ask less often, wait as long as Retry-After or the limit's own field says, or have the limit raised. \
                       For the server: 429 is the status that says it.";
    let head = &view.response()?.head;
    let used_up = REMAINING.iter().find(|name| head.value(name) == Some(b"0"));
    let words = WORDS.first_in(text);
    // Nothing but a limit lets one try again after some time, unless it is the answer to a login.
    let wait = head.has("retry-after") && view.challenged().is_empty();
    let field = used_up.copied().or(wait.then_some("retry-after"));
    // On a 401 the counter may have run out by chance while the credentials are wrong.
    let is_sure = words.is_some() || (used_up.is_some() && view.status() == 403);
    if words.is_none() && field.is_none() {
        return None;
    }
    Some(Reason {
        certainty: if is_sure { Certainty::Certain } else { Certainty::Likely },
        at: At::Client,
        summary: "a limit on how often one may ask is used up, and that is why it refuses",
        field: field.map(|name| (Message::Response, name)),
        words,
        fix: FIX,
    })
}

const CLOUDFLARE: &str = r#"> POST /oauth/token HTTP/1.1
> Host: login.example
> Authorization: Basic {basic billing:correct horse}
< HTTP/1.1 403 Forbidden
< Server: cloudflare
< cf-mitigated: challenge
< Content-Type: text/html
<
< <title>Just a moment...</title>
"#;

const CLOUDFRONT: &str = r#"> POST /login HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< Server: CloudFront
< Content-Type: text/html
<
< <H1>403 ERROR</H1><H2>The request could not be satisfied.</H2> Request blocked. We can't connect to the server.
"#;

const CSRF: &str = r#"> POST /api/orders/ HTTP/1.1
> Host: app.example
> Cookie: sessionid=c2Vzc2lvbg
< HTTP/1.1 403 Forbidden
< Content-Type: application/json
<
< {"detail":"CSRF Failed: CSRF token missing."}
"#;

const NULL_ORIGIN: &str = r#"> POST /login/ HTTP/1.1
> Host: app.example
> Origin: null
> Cookie: csrftoken=c2Vzc2lvbg
< HTTP/1.1 403 Forbidden
< Content-Type: text/html
<
< <h1>Forbidden</h1><p>CSRF verification failed. Request aborted.</p>
"#;

const LIMIT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< X-RateLimit-Limit: 60
< X-RateLimit-Remaining: 0
< Content-Type: application/json
<
< {"message":"forbidden"}
"#;

const LIMIT_IN_TEXT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 403 Forbidden
< Content-Type: application/json
<
< {"message":"API rate limit exceeded for 203.0.113.7."}
"#;

const RIGHT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 403 Forbidden
< X-RateLimit-Remaining: 58
< Content-Type: application/json
<
< {"message":"Resource not accessible by integration"}
"#;

const ABOUT_LIMITS: &str = r#"> GET /limits HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
< X-RateLimit-Remaining: 0
< Content-Type: application/json
<
< {"message":"API rate limit exceeded"}
"#;
