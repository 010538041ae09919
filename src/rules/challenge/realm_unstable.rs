//! Each path has a realm of its own, so that a browser asks for the password again and again.

use jiff::SignedDuration;

use crate::auth::Scheme;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_answer};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "realm-unstable",
    family: Family::Challenge,
    severity: Severity::Warning,
    title: "The realm changes with the path",
    why: "A realm names the area for which a password is good. Browsers and other clients keep one password for each realm of \
          a host; where the realm is made of the request's path, every page is an area of its own, and the client asks for \
          the password that it was given a moment ago.",
    fix: "Send one fixed realm for all that is guarded by the same passwords.",
    spec: &[Spec::rfc(9110, "11.5"), Spec::rfc(7617, "2.2")],
    supersedes: &["credentials-absent"],
    examples: &[
        Example::fires("the realm is the path", PATHS),
        Example::quiet("a few areas with names of their own", AREAS),
        Example::quiet("one realm for all", ONE),
    ],
    check: Check::Failure(check),
};

/// So many other realms of the host show that it is no area of its own.
const OTHERS: usize = 2;
/// The password that is asked for again was given not long ago.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    if view.status() != 401 || !view.offered().is_empty() {
        return None;
    }
    let challenge = view.challenges(false).find(|challenge| is_for_passwords(&challenge.scheme))?;
    let realm = challenge.params.iter().find(|param| param.name == "realm")?;
    let path = std::str::from_utf8(view.path()).ok()?.trim_matches('/');
    if path.is_empty() || !realm.value.contains(path) {
        return None;
    }
    let others = memory.other_realms(view, &realm.value);
    let sent = memory.client(view)?.last_sent.as_ref()?;
    let is_asked_again = sent.accepted
        && sent.scheme.as_ref().is_some_and(is_for_passwords)
        && view.exchange().time.duration_since(sent.time) <= WINDOW;
    if others < OTHERS || !is_asked_again {
        return None;
    }
    let summary = "the realm is made of the path, so that clients ask for the same password again for each";
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend).header("www-authenticate");
    let found = found.because(clip(format!("realm: {}", view.redactor().param(realm))));
    let found = found.because(format!("before: {others} other realms on this host, and a password that was accepted"));
    Some(with_answer(found, view))
}

fn is_for_passwords(scheme: &Scheme) -> bool {
    matches!(scheme, Scheme::Basic | Scheme::Digest)
}

const PATHS: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="/orders"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
> GET /bills HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="/bills"
> GET /bills HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
> GET /stock/list HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="/stock/list"
"#;

const AREAS: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="Orders"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
> GET /bills HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="Bills"
> GET /bills HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
> GET /admin HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="Administration"
"#;

const ONE: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
* new connection
> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
"#;
