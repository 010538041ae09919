//! A scheme that is there twice, because both the client and its user wrote it.

use super::{called, fault, first_with, foremost};
use crate::auth::DefectKind;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A scheme, or the field's own name, that is there once more.
pub static RULE: Rule = Rule {
    name: "scheme-repeated",
    family: Family::Credentials,
    severity: Severity::Error,
    title: "The scheme is written twice",
    why: "A library puts the scheme before the token by itself, and the configured token begins with it as well. The \
          server takes the second one for a part of the token, which then is none that it knows.",
    fix: "Keep the bare token in the configuration, without `Bearer`, and let the library add the scheme; or the other \
          way round, but not both.",
    spec: &[Spec::rfc(9110, "11.4"), Spec::rfc(6750, "2.1")],
    supersedes: &[
        "credentials-empty",
        "credentials-rejected",
        "credentials-reported-missing",
        "scheme-case",
        "scheme-malformed",
        "token-bad-character",
    ],
    examples: &[
        Example::fires("Bearer twice", TWICE),
        Example::fires("Basic twice", BASIC_TWICE),
        Example::fires("Bearer twice and no token at all", NO_TOKEN),
        Example::fires("two schemes in a row", MIXED),
        Example::fires("the name of the header within its value", NAME),
        Example::quiet("a token whose letters are those of a scheme", WORD),
        Example::quiet("Bearer twice, and nobody minds", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

const KINDS: [DefectKind; 2] = [DefectKind::SchemeRepeated, DefectKind::FieldNameInValue];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let found = first_with(view, &KINDS).and_then(|(offered, defects)| {
        let scheme = &offered.credentials.scheme_as_sent;
        let summary = match foremost(&KINDS, &defects)? {
            DefectKind::FieldNameInValue => {
                format!("the value of {} begins with the header's own name", called(offered))
            }
            _ => format!("in {} a second scheme stands behind {scheme}, where the secret belongs", called(offered)),
        };
        let found = fault(&RULE, view, offered, Certainty::Certain, summary, &defects);
        Some(match foremost(&[DefectKind::SchemeRepeated], &defects) {
            Some(_) => found,
            None => found.fix("Configure the value alone: what is before the colon is added by the client."),
        })
    });
    found.into_iter().collect()
}

const TWICE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer Bearer {jwt {\"alg\":\"RS256\"} {\"sub\":\"1\"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const BASIC_TWICE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic Basic {basic user:pass}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const NO_TOKEN: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer Bearer
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const MIXED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer Basic {basic user:pass}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const NAME: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const WORD: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer Basic
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const ACCEPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
< Content-Type: application/json
";
