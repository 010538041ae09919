//! An Access-Control-Allow-Origin that no browser takes.

use super::{CORS_CHECK, is_same_origin};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::with_named;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Place, Rule, Severity};
use crate::wire::RawHead;

/// The rule.
pub static RULE: Rule = Rule {
    name: "cors-origin-invalid",
    family: Family::Cors,
    severity: Severity::Error,
    title: "Access-Control-Allow-Origin has a value that browsers refuse",
    why: "A browser compares the value with the page's origin, letter by letter. Two values, a list, another origin, or a \
          star together with cookies make it hide the answer, and the page sees a network error in place of the status. \
          Two values come about where a gateway and the application both add the field.",
    fix: "Let one place answer for CORS. It has to repeat the request's Origin if that is allowed, with `Vary: Origin`.",
    spec: &[CORS_CHECK],
    supersedes: &[],
    examples: &[
        Example::fires("gateway and application both add it", TWICE),
        Example::fires("a star and cookies", STAR),
        Example::fires("another origin", OTHER),
        Example::quiet("a star without cookies", PUBLIC),
        Example::quiet("the origin of the page", SAME),
    ],
    check: Check::Exchange(check),
};

const TWICE: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 200 OK
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Allow-Origin: *
"#;

const STAR: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Cookie: session=c2Vzc2lvbg
< HTTP/1.1 200 OK
< Access-Control-Allow-Origin: *
< Access-Control-Allow-Credentials: true
"#;

const OTHER: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Sec-Fetch-Mode: cors
> Sec-Fetch-Site: cross-site
< HTTP/1.1 200 OK
< Access-Control-Allow-Origin: https://app.example/
"#;

const PUBLIC: &str = r#"> GET /api/news HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 200 OK
< Access-Control-Allow-Origin: *
"#;

const SAME: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
< HTTP/1.1 200 OK
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Allow-Credentials: true
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let (Some(response), Some(origin)) = (view.response(), view.request().value("origin")) else { return Vec::new() };
    if is_same_origin(view, origin) {
        return Vec::new();
    }
    let values: Vec<&[u8]> = response.head.values("access-control-allow-origin").collect();
    let (summary, severity) = match values.as_slice() {
        [] => return Vec::new(),
        [_, _, ..] => ("Access-Control-Allow-Origin stands in the answer twice", Severity::Error),
        [one] if one.contains(&b',') => ("Access-Control-Allow-Origin has two values in one", Severity::Error),
        [b"*"] if !allows_credentials(&response.head) => return Vec::new(),
        [b"*"] if view.request().has("cookie") => {
            ("a star does not allow requests with cookies, and this one has some", Severity::Error)
        }
        // Without cookies or a client certificate the star is taken; a tap can't see what the page meant.
        [b"*"] => ("a star does not go together with Access-Control-Allow-Credentials", Severity::Info),
        [one] if *one == origin => return Vec::new(),
        [one] => (difference(one, origin), Severity::Error),
    };
    let found = RULE.found(Certainty::Certain, summary).at(At::Backend).severity(severity);
    let found = with_named(found.header("access-control-allow-origin"), view, Message::Request, "origin");
    let fields = response.head.fields().filter(|field| field.is("access-control-allow-origin")).take(3);
    let found = fields.fold(found, |found, field| {
        let value = view.redactor().field(field.name, field.value);
        let place = Place { message: Message::Response, field: field.index, byte: None };
        found.because_of(format!("response: Access-Control-Allow-Origin: {value}"), place)
    });
    vec![with_named(found, view, Message::Response, "access-control-allow-credentials")]
}

fn allows_credentials(head: &RawHead) -> bool {
    head.value("access-control-allow-credentials") == Some(b"true")
}

fn difference(one: &[u8], origin: &[u8]) -> &'static str {
    let without_slash = one.strip_suffix(b"/").unwrap_or(one);
    let after_scheme = |url: &[u8]| memchr::memmem::find(url, b"://").and_then(|at| url.get(at..)).map(<[u8]>::to_vec);
    if without_slash == origin {
        "Access-Control-Allow-Origin has a slash at its end, and an origin has none"
    } else if without_slash.eq_ignore_ascii_case(origin) {
        "Access-Control-Allow-Origin differs from the page's origin in capitals"
    } else if after_scheme(one) == after_scheme(origin) && after_scheme(one).is_some() {
        "Access-Control-Allow-Origin differs from the page's origin in http and https"
    } else {
        "Access-Control-Allow-Origin names another origin than the page's"
    }
}
