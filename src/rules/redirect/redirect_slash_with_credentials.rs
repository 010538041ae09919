//! A slash at the end makes a redirect of a request with credentials.

use crate::exchange::View;
use crate::exchange::location::{self, Leads};
use crate::exchange::view::path_of;
use crate::memory::Memory;
use crate::rules::evidence::{with_credentials, with_field};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "redirect-slash-with-credentials",
    family: Family::Redirect,
    severity: Severity::Warning,
    title: "A slash at the end redirects a request with credentials",
    why: "Frameworks send a request whose path has a slash too many or too few to the other spelling. Some clients drop \
          Authorization on every redirect, and most make a GET of a POST that is answered 301 or 302, so that the request \
          is refused or does something else.",
    fix: "Write the path in the client as the server spells it. In the server, switch the redirect off or register both \
          spellings: `redirect_slashes=False` in FastAPI, APPEND_SLASH in Django, `strict_slashes` in Flask.",
    spec: &[Spec::rfc(9110, "15.4"), Spec::rfc(9110, "15.4.2")],
    supersedes: &[],
    examples: &[
        Example::fires("a POST becomes a GET", POST),
        Example::fires_beside("a GET, which most clients repeat as it was", GET),
        Example::quiet("another path", OTHER),
        Example::quiet("without credentials", WITHOUT),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let offered = view.authorization()?;
    if location::redirect(view)? != Leads::SameOrigin {
        return None;
    }
    let field = view.response()?.head.fields().find(|field| field.is("location"))?;
    let (from, to) = (view.path(), path_of(field.value));
    let is_added = to.strip_suffix(b"/").is_some_and(|to| to == from && !from.is_empty());
    let is_taken = from.strip_suffix(b"/").is_some_and(|from| to == from && !to.is_empty());
    if !is_added && !is_taken {
        return None;
    }
    let what = if is_added { "no slash at its end" } else { "a slash at its end" };
    let is_changed = matches!(view.status(), 301 | 302) && !matches!(view.method(), b"GET" | b"HEAD" | b"OPTIONS");
    let (summary, severity) = if is_changed {
        let method = view.redactor().name(view.method()).into_owned();
        (
            format!("the path has {what}, and the redirect makes most clients send a GET in place of the {method}"),
            Severity::Warning,
        )
    } else {
        (format!("the path has {what}, and some clients drop Authorization on the redirect"), Severity::Info)
    };
    // That it is redirected for the slash is a fact; what the client makes of it is not known yet.
    let certainty = if is_changed { Certainty::Likely } else { Certainty::Possible };
    let found = RULE.found(certainty, summary).severity(severity).at(At::Client).header("location");
    let found = with_credentials(found, view, offered);
    Some(with_field(found, view, Message::Response, field.index, &format!("{}, ", view.status())))
}

const POST: &str = r#"> POST /api/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
> Content-Type: application/json
< HTTP/1.1 301 Moved Permanently
< Location: /api/orders/
"#;

const GET: &str = r#"> GET /api/orders/ HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 307 Temporary Redirect
< Location: http://api.example/api/orders
"#;

const OTHER: &str = r#"> POST /api/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 303 See Other
< Location: /api/orders/17
"#;

const WITHOUT: &str = r#"> POST /api/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 301 Moved Permanently
< Location: /api/orders/
"#;
