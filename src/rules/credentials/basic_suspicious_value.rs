//! Basic credentials that are well formed and still not what their sender meant.

use super::{fault, first_with, foremost, is_refused, point};
use crate::auth::{DefectKind, Detail};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::clip;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A password that ends in a line break, or credentials that were encoded twice.
pub static RULE: Rule = Rule {
    name: "basic-suspicious-value",
    family: Family::Credentials,
    severity: Severity::Warning,
    title: "The Basic credentials decode to something odd",
    why: "The base64 is sound, but what is in it is hardly meant: a line break at the end, which `echo` and editors add, \
          or base64 once more, because two programs encoded it.",
    fix: "Make the value with `printf %s 'user:password' | base64 -w0`: `echo` without `-n` adds a line break. If the \
          client encodes by itself, give it user and password as they are.",
    spec: &[Spec::rfc(7617, "2")],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "scheme-case"],
    examples: &[
        Example::fires("a line break behind the password", NEWLINE),
        Example::fires("encoded twice", TWICE),
        Example::quiet("a line break, and nobody minds", ACCEPTED),
        Example::quiet("an empty user name, as some APIs want it", NO_USER),
    ],
    check: Check::Failure(check),
};

const KINDS: [DefectKind; 2] = [DefectKind::BasicEncodedTwice, DefectKind::BasicEndsInNewline];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let found = first_with(view, &KINDS).filter(|(offered, _)| is_refused(view, offered));
    let found = found.and_then(|(offered, defects)| {
        let summary = match foremost(&KINDS, &defects)? {
            DefectKind::BasicEncodedTwice => "user name and password were put into base64 twice",
            _ => "the password ends in a line break, which the server takes for a part of it",
        };
        let found = fault(&RULE, view, offered, Certainty::Likely, summary, &defects);
        Some(match &offered.credentials.detail {
            Detail::Basic(basic) => match basic.user().filter(|user| !user.is_empty()) {
                Some(user) => {
                    point(found, format!("user name: {}", clip(user.escape_debug().to_string())), offered, None)
                }
                None => found,
            },
            _ => found,
        })
    });
    found.into_iter().collect()
}

const NEWLINE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic user:correct-horse{hex 0a}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const TWICE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {base64 {basic user:correct-horse}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const ACCEPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic user:correct-horse{hex 0a}}
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const NO_USER: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic :correct-horse}
< HTTP/1.1 200 OK
< Content-Type: application/json
";
