//! A password outside of ASCII, which each side may put into bytes in its own way.

use super::{fault, first_with};
use crate::auth::{DefectKind, Scheme};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// Basic credentials outside of ASCII that are refused where no charset was named.
pub static RULE: Rule = Rule {
    name: "basic-charset-ambiguous",
    family: Family::Credentials,
    severity: Severity::Warning,
    title: "The user name or password has letters outside of ASCII, and no charset is agreed on",
    why: "Basic is older than any rule about letters such as ü: one client sends them in UTF-8, another in Latin-1, and the \
          server compares bytes. A server says with `charset=\"UTF-8\"` in its challenge which one it wants; this one does not. \
          The right password, in the wrong bytes, looks like a wrong one.",
    fix: "Try a password of ASCII letters alone: if it is taken, the charset is the cause. Then let the server name \
          `charset=\"UTF-8\"`, and the client send UTF-8.",
    spec: &[Spec::rfc(7617, "2.1"), Spec::rfc(7617, "3")],
    supersedes: &["credentials-rejected", "scheme-case"],
    examples: &[
        Example::fires("in Latin-1", LATIN),
        Example::fires("in UTF-8", UTF_8),
        Example::quiet("accepted", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    const KINDS: [DefectKind; 2] = [DefectKind::BasicNotAsciiUtf8, DefectKind::BasicNotAsciiLatin1];
    let (offered, defects) = first_with(view, &KINDS)?;
    let by_proxy = view.status() == 407;
    let challenge = view.challenges(by_proxy).find(|challenge| challenge.scheme == Scheme::Basic)?;
    let names_utf8 = challenge.param("charset").is_some_and(|charset| charset.eq_ignore_ascii_case("UTF-8"));
    let is_utf8 = defects.iter().any(|defect| defect.kind == DefectKind::BasicNotAsciiUtf8);
    if !matches!(view.status(), 401 | 407)
        || (names_utf8 && is_utf8)
        || offered.credentials.defects.iter().any(|defect| defect.kind.is_grave())
    {
        return None;
    }
    let summary = match (names_utf8, is_utf8) {
        (true, _) => "the server wants UTF-8, and the user name or password is in another charset",
        (false, true) => "the user name or password has letters in UTF-8, and the server may compare it in Latin-1",
        (false, false) => "the user name or password has letters in Latin-1, and the server may want UTF-8",
    };
    let certainty = if names_utf8 { Certainty::Likely } else { Certainty::Possible };
    Some(fault(&RULE, view, offered, certainty, summary, &defects))
}

const LATIN: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:gr{hex fc}ne wiese}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
"#;

const UTF_8: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:grüne wiese}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"
"#;

const ACCEPTED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:grüne wiese}
< HTTP/1.1 200 OK
"#;
