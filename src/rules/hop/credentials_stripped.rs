//! Credentials went into a hop and did not come out.

use super::{Topic, Verdict, at, backend, name_of, side_by_side, weigh, with_answers, with_fix, with_hop};
use crate::hops::{Change, Crossing, Kind, Side, Value};
use crate::memory::Memory;
use crate::rules::{At, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-stripped",
    family: Family::Hop,
    severity: Severity::Error,
    title: "The credentials were removed between two taps",
    why: "The client sent its credentials, and the request that arrived behind the gateway had none. Gateways drop them for \
          many reasons: a line of their configuration, a name with an underscore, an authentication of their own that \
          consumes what it has checked, a rewrite to another location that sets its headers anew.",
    fix: "Look in the gateway's configuration for what removes this header on the way to the backend, and delete it. If the \
          gateway checks the credentials itself, let it pass them on, or the backend trust the gateway.",
    spec: &[Spec::rfc(9110, "11.6.2"), Spec::rfc(9110, "7.6.1")],
    supersedes: &[
        "credentials-absent",
        "credentials-rejected",
        "credentials-reported-missing",
        "forbidden-without-credentials",
        "known-error-text",
        "auth-header-name-suspect",
        "login-redirect-for-api",
        "scheme-not-offered",
        "refusal-origin",
    ],
    examples: &[
        Example::fires("nginx empties Authorization", NGINX),
        Example::fires("a key in a header with underscores", UNDERSCORE),
        Example::fires("the cookie is dropped", COOKIE),
        Example::fires("the client names the header in Connection", NAMED),
        Example::quiet("the gateway consumes what it has checked, and the backend is content", CONSUMED),
        Example::quiet("the credentials get through", THROUGH),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let mut removed: Vec<_> = attempt
        .differences
        .iter()
        .filter(|difference| difference.side == Side::Request && difference.change == Change::Removed)
        .filter(|difference| matches!(difference.kind, Kind::Credentials | Kind::Cookie))
        .collect();
    removed.sort_by_key(|difference| (difference.kind, difference.name != "authorization"));
    let first = *removed.first()?;
    // Where credentials are left, a cookie less is a fact, and no reason for a refusal that is known of.
    if first.kind == Kind::Cookie && !attempt.inner.credentials.is_empty() {
        return None;
    }
    let (severity, certainty) = weigh(crossing, attempt.join, first.is_sure)?;
    let name = name_of(first);
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let found = RULE
        .found(certainty, format!("the client sent {name}, and it was removed between {outer} and {inner}"))
        .severity(severity)
        .at(at(crossing))
        .header(&first.name);
    let found = side_by_side(found, crossing, first);
    let is_named = is_named_in_connection(crossing, &first.name);
    let found = match is_named {
        true => found.because(format!("{outer} in   Connection names {name}")),
        false => found,
    };
    let found = with_hop(with_answers(found, crossing), crossing, &[first]);
    if is_named && backend(crossing) != Verdict::Accepted {
        return Some(found.at(At::Client).fix(
            "Have the client, or what is before it, take the header's name out of Connection: a gateway has to remove what \
             is named there (RFC 9110 7.6.1).",
        ));
    }
    let topic = if first.name.contains('_') { Topic::Underscore } else { Topic::FieldRemoved };
    Some(match backend(crossing) {
        Verdict::Accepted => found.fix(
            "Nothing to do while the backend is content: the gateway seems to have checked the credentials itself.",
        ),
        _ => with_fix(found, crossing, topic, None),
    })
}

/// Whether the client itself says that the field is for the next hop alone.
fn is_named_in_connection(crossing: &Crossing<'_>, name: &str) -> bool {
    let fields = crossing.outer.request.fields.iter().filter(|line| line.name.eq_ignore_ascii_case("connection"));
    let texts = fields.filter_map(|line| match &line.value {
        Value::Seen(secret) => Some(String::from_utf8_lossy(secret.expose()).into_owned()),
        Value::Shown(text) => Some(text.clone()),
        Value::Digest { .. } => None,
    });
    texts.into_iter().any(|text| text.split(',').any(|named| named.trim().eq_ignore_ascii_case(name)))
}

const NGINX: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Server: nginx/1.25.3
< WWW-Authenticate: Bearer realm="orders"
* tap app
> GET /v1/orders HTTP/1.0
> Host: api
> X-Real-IP: 10.2.3.4
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const UNDERSCORE: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> X_Api_Key: kX81mQ02pLz7Rt55
< HTTP/1.1 403 Forbidden
< Server: nginx/1.25.3
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 403 Forbidden
"#;

const COOKIE: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Cookie: session=kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const NAMED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Connection: close, Authorization
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const CONSUMED: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> X-Forwarded-User: anna
< HTTP/1.1 200 OK
"#;

const THROUGH: &str = r#"* tap edge
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* tap app
> GET /v1/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
