//! A scheme in an unusual spelling, which some servers refuse though they may not.

use super::{called, fault, first_with, is_refused};
use crate::auth::{DefectKind, Scheme};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A scheme that is not in its registered spelling, and a refusal that nothing else explains.
pub static RULE: Rule = Rule {
    name: "scheme-case",
    family: Family::Credentials,
    severity: Severity::Info,
    title: "The scheme is in an unusual spelling",
    why: "Schemes are compared without regard to case, so `bearer` is as good as `Bearer`. But some servers compare \
          letter by letter, and then say that the credentials are wrong or missing.",
    fix: "Send the scheme in its registered spelling and see whether the answer changes. If it does, the server is at \
          fault: it has to compare schemes without regard to case.",
    spec: &[Spec::rfc(9110, "11.1")],
    supersedes: &[],
    examples: &[
        Example::fires_beside("bearer in lower case", LOWER),
        Example::fires_beside("BASIC in capitals", UPPER),
        Example::quiet("bearer in lower case, and it is accepted", ACCEPTED),
        Example::quiet("Bearer as registered", REGISTERED),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Some((offered, _)) = first_with(view, &[DefectKind::SchemeSpelling]) else { return Vec::new() };
    let Some(usual) = offered.credentials.scheme.as_ref().and_then(Scheme::registered_spelling) else {
        return Vec::new();
    };
    if !is_refused(view, offered) {
        return Vec::new();
    }
    let summary = format!(
        "{} says {}, not {usual}, which is allowed but confuses some servers",
        called(offered),
        offered.credentials.scheme_as_sent
    );
    vec![fault(&RULE, view, offered, Certainty::Possible, summary, &[])]
}

const LOWER: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const UPPER: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: BASIC {basic user:pass}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const ACCEPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const REGISTERED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
< Content-Type: application/json
";
