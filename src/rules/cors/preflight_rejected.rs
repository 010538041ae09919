//! The browser asks whether it may ask, and is told to log in first.

use super::PREFLIGHT;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_named};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity};

/// The rule.
pub static RULE: Rule = Rule {
    name: "preflight-rejected",
    family: Family::Cors,
    severity: Severity::Error,
    title: "A preflight was refused",
    why: "Before a request across origins with Authorization, a browser sends OPTIONS without any credentials. The answer \
          has to be a 2xx, or the real request is never sent and the page sees a network error. Where authentication \
          stands before the code that answers for CORS, each preflight is refused; and where nothing answers for CORS, \
          OPTIONS is a method that the route does not have.",
    fix: "Let OPTIONS requests with Access-Control-Request-Method through without credentials: put the CORS layer before \
          authentication, or leave OPTIONS out of it in the gateway.",
    spec: &[PREFLIGHT],
    supersedes: &["credentials-absent", "forbidden-without-credentials"],
    examples: &[
        Example::fires("authentication comes before CORS", UNAUTHORIZED),
        Example::fires("the framework has no OPTIONS for the route", NOT_ALLOWED),
        Example::fires("a server that knows no OPTIONS at all", NOT_IMPLEMENTED),
        Example::quiet("it is answered", ANSWERED),
        Example::quiet("an OPTIONS that is no preflight", PLAIN),
    ],
    check: Check::Failure(check),
};

const UNAUTHORIZED: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: GET
> Access-Control-Request-Headers: authorization
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="api"
"#;

const NOT_ALLOWED: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: PUT
> Access-Control-Request-Headers: authorization
< HTTP/1.1 405 Method Not Allowed
< Allow: GET, PUT
"#;

const NOT_IMPLEMENTED: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: GET
< HTTP/1.1 501 Not Implemented
"#;

const ANSWERED: &str = r#"> OPTIONS /api/orders HTTP/1.1
> Host: api.example
> Origin: https://app.example
> Access-Control-Request-Method: GET
> Access-Control-Request-Headers: authorization
< HTTP/1.1 204 No Content
< Access-Control-Allow-Origin: https://app.example
< Access-Control-Allow-Headers: authorization
"#;

const PLAIN: &str = r#"> OPTIONS /dav/ HTTP/1.1
> Host: files.example
> User-Agent: davfs2/1.7
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="files"
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let status = view.status();
    if !view.is_preflight() || !((400..500).contains(&status) || status == 501) {
        return Vec::new();
    }
    // A 403 without anything about logging in may be the server's answer to this origin, meant as it is.
    let is_refused_on_purpose = status == 403 && view.challenged().is_empty();
    let certainty = if is_refused_on_purpose { Certainty::Likely } else { Certainty::Certain };
    let summary = match status {
        401 | 407 => format!("the preflight was answered {status}, and preflights never carry credentials"),
        403 => "the preflight was answered 403, so the real request is never sent".to_owned(),
        404 | 405 | 501 => {
            format!("the preflight was answered {status}: the route has no OPTIONS handler and no CORS layer")
        }
        _ => format!("the preflight was answered {status}, so the real request is never sent"),
    };
    let found = RULE.found(certainty, summary).at(At::Backend);
    let found = with_named(found, view, Message::Request, "origin");
    let found = with_named(found, view, Message::Request, "access-control-request-method");
    let found = with_named(found, view, Message::Request, "access-control-request-headers");
    let found = with_answer(found, view);
    vec![match status {
        404 | 405 | 501 => found.fix(
            "Give the server a CORS layer that covers this route, before its router, or let the route answer OPTIONS with \
             204 and the Access-Control-Allow fields. See as well that the path is one that the server has.",
        ),
        _ => found,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::redact::Redactor;
    use crate::exchange::transcript;

    #[test]
    fn a_route_without_options_is_no_matter_of_authentication() {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"preflight"), []);
        for (text, expected) in
            [(UNAUTHORIZED, "before authentication"), (NOT_ALLOWED, "OPTIONS with"), (NOT_IMPLEMENTED, "OPTIONS with")]
        {
            let exchange = transcript::parse(text).unwrap().remove(0);
            let found = check(&View::new(&exchange, &redactor), &Memory::default());
            let fix: Vec<_> = found.iter().map(|finding| finding.fix.as_ref()).collect();
            assert!(fix.len() == 1 && fix.iter().all(|fix| fix.contains(expected)), "{text}: {fix:?}");
        }
    }
}
