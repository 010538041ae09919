//! More than one set of credentials in one request: whoever reads it picks one, and not always the same.

use crate::auth::Scheme;
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Place, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "multiple-credentials",
    family: Family::Transport,
    severity: Severity::Error,
    title: "Credentials are in the request more than once",
    why: "Authorization is a single value. Where it stands twice, or has two credentials joined by a comma, one program \
          takes the first, another the last, a third refuses. It comes about where a client sets the header and a \
          library or a gateway adds its own, or where a proxy joins two lines into one.",
    fix: "Find out who adds the second one, and let one of the two take the other's place. Send a token in one way only: \
          in Authorization, and not in the query or the body as well.",
    spec: &[Spec::rfc(9110, "5.3"), Spec::rfc(9110, "11.6.2"), Spec::rfc(6750, "2")],
    supersedes: &["credentials-rejected", "credentials-reported-missing"],
    examples: &[
        Example::fires("two lines", TWO_LINES),
        Example::fires("two credentials in one line", JOINED),
        Example::fires("the token in the header and in the query", HEADER_AND_QUERY),
        Example::quiet("commas within Digest", DIGEST),
        Example::quiet("a subscription key beside a token", KEY_AND_TOKEN),
    ],
    check: Check::Exchange(check),
};

const TWO_LINES: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic gateway:correct horse}
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const JOINED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic gateway:correct horse}, Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
"#;

const HEADER_AND_QUERY: &str = r#"> GET /orders?access_token=2YotnFZFEjr1zCsicMWpAA HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 400 Bad Request
< WWW-Authenticate: Bearer error="invalid_request"
"#;

const DIGEST: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="bm9uY2U", uri="/orders", qop=auth, nc=00000001, cnonce="Y25vbmNl", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 200 OK
"#;

const KEY_AND_TOKEN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Ocp-Apim-Subscription-Key: 0b5a7c2e9d1f4a3c8e6b
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let lines = || view.offered().iter().filter(|offered| offered.place == OfferedIn::Authorization);
    let found = match (lines().next(), lines().count()) {
        (Some(_), count @ 2..) => {
            let summary = format!("Authorization stands in the request {count} times");
            let found = RULE.found(Certainty::Certain, summary).header("authorization");
            lines().take(4).fold(found, |found, offered| with_credentials(found, view, offered))
        }
        (Some(one), _) if !one.credentials.joined.is_empty() => joined(view, one),
        (Some(one), _) => match second_way(view, one) {
            Some(other) => {
                let summary = format!("the same request carries a token in Authorization and in its {}", way(other));
                let certainty = if view.status() == 400 { Certainty::Certain } else { Certainty::Likely };
                let found = RULE.found(certainty, summary).header("authorization");
                with_credentials(with_credentials(found, view, one), view, other)
            }
            None => return Vec::new(),
        },
        (None, _) => match same_in_two_fields(view) {
            Some((one, other)) => {
                let summary = format!("the same key is in {} and in {}", one.name, other.name);
                let found = RULE.found(Certainty::Likely, summary).header(&one.name);
                with_credentials(with_credentials(found, view, one), view, other)
            }
            None => return Vec::new(),
        },
    };
    vec![with_answer(found, view).at(At::Unknown).severity(severity(view))]
}

/// Where the request went well, whoever reads it is content with what was picked.
fn severity(view: &View<'_>) -> Severity {
    match view.status() {
        400 | 401 | 403 | 407 => Severity::Error,
        _ if view.is_success() => Severity::Info,
        _ => Severity::Warning,
    }
}

fn joined(view: &View<'_>, one: &Offered) -> Finding {
    let found = RULE.found(Certainty::Certain, "two credentials are joined by a comma in one Authorization line");
    let found = with_credentials(found.header("authorization"), view, one);
    one.credentials.joined.iter().take(3).fold(found, |found, next| {
        let text = format!("request: behind a comma: {}", next.scheme.usual_spelling().unwrap_or("another scheme"));
        match one.field {
            Some(field) => found.because_of(text, Place { message: Message::Request, field, byte: Some(next.at) }),
            None => found.because(text),
        }
    })
}

/// A bearer token that stands in the query or the form as well (RFC 6750 2 allows one way). Two different secrets may
/// have two purposes, unless the parameter is the one of bearer tokens.
fn second_way<'v>(view: &'v View<'_>, one: &Offered) -> Option<&'v Offered> {
    let is_bearer = one.credentials.scheme == Some(Scheme::Bearer);
    view.offered().iter().find(|other| {
        let is_way = matches!(other.place, OfferedIn::Query | OfferedIn::Form);
        let is_bearer_parameter = other.name.eq_ignore_ascii_case("access_token");
        is_way && (other.fingerprint == one.fingerprint || (is_bearer && is_bearer_parameter))
    })
}

fn way(offered: &Offered) -> &'static str {
    if offered.place == OfferedIn::Form { "body" } else { "query" }
}

fn same_in_two_fields<'v>(view: &'v View<'_>) -> Option<(&'v Offered, &'v Offered)> {
    let keys: Vec<&Offered> = view.offered().iter().filter(|o| o.place == OfferedIn::KeyField).collect();
    keys.iter().enumerate().find_map(|(number, one)| {
        let later = keys.iter().skip(number + 1);
        let mut same = later.filter(|other| other.fingerprint == one.fingerprint && !one.credentials.secret.is_empty());
        same.next().map(|other| (*one, *other))
    })
}
