//! Credentials that are announced and not there: an empty field, or a scheme with nothing behind it.

use super::{called, fault};
use crate::auth::DefectKind;
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// Credentials that are announced and not there.
pub static RULE: Rule = Rule {
    name: "credentials-empty",
    family: Family::Credentials,
    severity: Severity::Error,
    title: "The credentials are empty",
    why: "The header is there, but it has no secret in it. Mostly the variable from which the client takes its token was \
          not set, or was read before the login had ended.",
    fix: "Find where the client gets its token and see why it was empty: an unset variable, a missing mount, a login \
          that has not finished. Better send no header at all than an empty one.",
    spec: &[Spec::rfc(9110, "11.4"), Spec::rfc(6750, "2.1")],
    supersedes: &[
        "credentials-absent",
        "credentials-rejected",
        "credentials-reported-missing",
        "scheme-case",
        "token-bad-character",
    ],
    examples: &[
        Example::fires("an empty header", EMPTY),
        Example::fires("a scheme alone", ALONE),
        Example::fires("a pair of quotes with nothing between", QUOTES),
        Example::fires("neither user nor password", NOBODY),
        Example::fires("an empty key", KEY),
        Example::quiet("no header, the start of a handshake", ABSENT),
        Example::quiet("an empty password, as with an API key for a user name", KEY_AS_USER),
        Example::quiet("a scheme alone, and nobody minds", ACCEPTED),
        Example::quiet("an empty key beside a token that is good", BESIDE),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    view.offered().iter().find_map(|offered| check_one(view, offered)).into_iter().collect()
}

fn check_one(view: &View<'_>, offered: &Offered) -> Option<Finding> {
    let credentials = &offered.credentials;
    let kinds = [DefectKind::CredentialsEmpty, DefectKind::SchemeAlone, DefectKind::BasicBothEmpty];
    let defects: Vec<_> = credentials.defects.iter().filter(|defect| kinds.contains(&defect.kind)).copied().collect();
    let summary = match offered.place {
        // `Bearer Bearer` is the fault of whoever wrote the scheme twice, and has a rule of its own.
        _ if credentials.has(DefectKind::SchemeRepeated) || credentials.has(DefectKind::FieldNameInValue) => None,
        OfferedIn::Authorization | OfferedIn::ProxyAuthorization => match credentials.scheme_as_sent.as_str() {
            "" if credentials.secret.is_empty() => Some(format!("{} is empty", called(offered))),
            scheme if credentials.secret.is_empty() => {
                Some(format!("in {} nothing follows the word {scheme}", called(offered)))
            }
            _ if credentials.has(DefectKind::BasicBothEmpty) => {
                Some("the client sent an empty user name and an empty password".to_owned())
            }
            _ => None,
        },
        // Beside other credentials an empty key is most likely an option that is not used.
        OfferedIn::KeyField if credentials.secret.is_empty() && view.offered().len() == 1 => {
            Some(format!("{} is empty", called(offered)))
        }
        _ => None,
    };
    Some(fault(&RULE, view, offered, Certainty::Certain, summary?, &defects))
}

const EMPTY: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization:
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const ALONE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const QUOTES: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer \"\"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const NOBODY: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic :}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const KEY: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> X-Api-Key:
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm=\"api\"
";

const ABSENT: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const KEY_AS_USER: &str = "\
> GET /v1/charges HTTP/1.1
> Host: api.example
> Authorization: Basic {basic c0ffee00c0ffee00c0ffee00:}
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const ACCEPTED: &str = "\
> GET /public HTTP/1.1
> Host: api.example
> Authorization: Bearer
< HTTP/1.1 200 OK
< Content-Type: text/plain
";

const BESIDE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> X-Api-Key:
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
< Content-Type: application/json
";
