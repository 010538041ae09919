//! Credentials went out, and the server says that there were none: something between takes them away.

use crate::auth::Scheme;
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::evidence::{called, clip, with_answer, with_credentials};
use crate::rules::words::{self, Meaning, Words};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-reported-missing",
    family: Family::Transport,
    severity: Severity::Error,
    title: "Credentials were sent, and the server says that none came",
    why: "The credentials passed this tap, and the text of the refusal says that the code which checks them saw nothing. \
          Behind this tap something drops the header, renames it, or hands the request on without it: a gateway, a \
          rewrite, an authentication proxy, a web server that does not give Authorization to the application.",
    fix: "Look at each hop between this tap and the application for what it does with Authorization. A second tap right \
          before the application shows in one request which hop it is.",
    spec: &[Spec::rfc(9110, "11.6.2")],
    supersedes: &["credentials-rejected"],
    examples: &[
        Example::fires("Django never saw the token", DJANGO),
        Example::fires("a bare challenge where the server usually says what is wrong", BARE),
        Example::quiet("nothing was sent, and the server says so", NONE),
        Example::quiet("the same words under a success", SUCCESS),
    ],
    check: Check::Exchange(check),
};

const DJANGO: &str = r#"> GET /api/orders/ HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Server: Apache
< Content-Type: application/json
< WWW-Authenticate: Bearer realm="api"
<
< {"detail":"Authentication credentials were not provided."}
"#;

const BARE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer bm90IHRoaXMgb25l
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="api", error="invalid_token"
> POST /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="api"
"#;

const NONE: &str = r#"> GET /api/orders/ HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
< WWW-Authenticate: Bearer realm="api"
<
< {"detail":"Authentication credentials were not provided."}
"#;

const SUCCESS: &str = r#"> GET /api/help HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
< Content-Type: application/json
<
< {"example":"Authentication credentials were not provided."}
"#;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    if !(400..500).contains(&view.status()) || view.is_preflight() {
        return Vec::new();
    }
    let Some(offered) = view.main_credentials() else { return Vec::new() };
    if offered.credentials.secret.is_empty() || offered.place == OfferedIn::ProxyAuthorization {
        return Vec::new();
    }
    if let Some(said) = words::said(view).filter(|said| said.meaning == Meaning::NoCredentials) {
        // A server that looks for another scheme or another field says "none" as well; those have rules of their own.
        let elsewhere = said.wants.is_some_and(|wanted| !view.request().has(wanted));
        if elsewhere || is_of_other_scheme(view, offered) {
            return Vec::new();
        }
        return vec![by_text(view, offered, said)];
    }
    if let Some(phrase) = words::says_none_came(view).filter(|_| words::said(view).is_none()) {
        if is_of_other_scheme(view, offered) {
            return Vec::new();
        }
        let summary = format!("{} went out, and the answer's text says that none came", called(view, offered));
        let found = RULE.found(Certainty::Likely, summary).header(&offered.name).at(At::Unknown);
        let found = with_answer(with_credentials(found, view, offered), view);
        return vec![found.because(format!("text: {phrase}"))];
    }
    if is_bare_where_others_are_not(view, offered, memory) {
        let summary = "the answer names no error, as if no token had come, though this route names one otherwise";
        let found = with_answer(with_credentials(RULE.found(Certainty::Likely, summary), view, offered), view);
        return vec![
            found.because("before: a refused token got a challenge with `error` on this route").header(&offered.name),
        ];
    }
    Vec::new()
}

/// Whether the answer says that no credentials came, though some did.
pub(in crate::rules) fn is_reported(view: &View<'_>, memory: &Memory) -> bool {
    !check(view, memory).is_empty()
}

fn by_text(view: &View<'_>, offered: &Offered, said: &Words) -> Finding {
    let summary = format!("{} went out, and {} says that none came", called(view, offered), said.product);
    let found = RULE.found(Certainty::Likely, summary).header(&offered.name).at(At::Unknown);
    let found = with_answer(with_credentials(found, view, offered), view);
    found.because(format!("text: {}", clip(said.phrase))).because(format!("so: {}", said.cause)).fix(said.fix)
}

/// Whether the answer asks for schemes, and not for the one that was sent.
fn is_of_other_scheme(view: &View<'_>, offered: &Offered) -> bool {
    let mut challenges = view.challenges(false).peekable();
    let fits = |asked: &Scheme| match &offered.credentials.scheme {
        Some(sent) => sent == asked,
        // A key in a field of its own has no scheme; servers that want one make up a name for it.
        None => matches!(asked, Scheme::ApiKey | Scheme::Other(_)),
    };
    challenges.peek().is_some() && !challenges.any(|challenge| fits(&challenge.scheme))
}

/// RFC 6750 3: a challenge has no `error` where no token came. Servers that never send one say nothing by that.
fn is_bare_where_others_are_not(view: &View<'_>, offered: &Offered, memory: &Memory) -> bool {
    let is_bearer = offered.credentials.scheme == Some(Scheme::Bearer) && offered.place == OfferedIn::Authorization;
    let bare = view.challenge(&Scheme::Bearer).is_some_and(|challenge| challenge.param("error").is_none());
    view.status() == 401 && is_bearer && bare && memory.names_bearer_errors(view)
}
