//! Basic credentials that are not the base64 of a user name, a colon and a password.

use super::{fault, first_with, foremost};
use crate::auth::DefectKind;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// Basic credentials that cannot be decoded, or give no user and password when they are.
pub static RULE: Rule = Rule {
    name: "basic-undecodable",
    family: Family::Credentials,
    severity: Severity::Error,
    title: "The Basic credentials cannot be decoded",
    why: "Basic wants `user:password` in base64, as one unbroken value in the standard alphabet. Anything else a server \
          cannot take apart, and it refuses without looking at the password.",
    fix: "Make the value anew: `printf %s 'user:password' | base64 -w0`, or let the client do it with `curl -u user`.",
    spec: &[Spec::rfc(7617, "2")],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "scheme-case"],
    examples: &[
        Example::fires("user and password as they are", PLAIN),
        Example::fires("something that is no base64", NOT_BASE64),
        Example::fires("the alphabet for URLs", URL_SAFE),
        Example::fires("no colon in what was decoded", NO_COLON),
        Example::fires("a control character in the password", CONTROL),
        Example::fires("base64 that is wrapped into lines", WRAPPED),
        Example::fires("padding that is missing", UNPADDED),
        Example::quiet("a colon within the password", COLON),
        Example::quiet("padding that is missing, and nobody minds", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

const KINDS: [DefectKind; 6] = [
    DefectKind::BasicNotEncoded,
    DefectKind::BasicNotBase64,
    DefectKind::BasicLineWrapped,
    DefectKind::BasicUrlSafe,
    DefectKind::BasicColonMissing,
    DefectKind::BasicControlCharacter,
];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let wrong = first_with(view, &KINDS).and_then(|(offered, defects)| {
        let summary = summary(foremost(&KINDS, &defects)?);
        Some(fault(&RULE, view, offered, Certainty::Certain, summary, &defects))
    });
    wrong.or_else(|| check_padding(view)).into_iter().collect()
}

/// Many servers do without padding, so it is not shown that this one does not.
fn check_padding(view: &View<'_>) -> Option<Finding> {
    let (offered, defects) = first_with(view, &[DefectKind::BasicPaddingMissing])?;
    let summary = "the Basic credentials end without their = signs, which strict servers do not take";
    let found = fault(&RULE, view, offered, Certainty::Certain, summary, &defects);
    let severity = found.severity.min(Severity::Warning);
    Some(found.severity(severity).fix("Keep the = signs at the end of the base64: some tool or a copy took them off."))
}

fn summary(kind: DefectKind) -> &'static str {
    match kind {
        DefectKind::BasicNotEncoded => "user name and password were sent as they are, not in base64",
        DefectKind::BasicNotBase64 => "what follows Basic is not base64",
        DefectKind::BasicLineWrapped => {
            "the Basic credentials are broken up by white space, as by a tool that wraps lines"
        }
        DefectKind::BasicUrlSafe => "the Basic credentials use the base64 alphabet that is meant for URLs",
        DefectKind::BasicColonMissing => "the Basic credentials have no colon between user name and password",
        _ => "the user name or password has a control character in it",
    }
}

const PLAIN: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic user:correct-horse
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const NOT_BASE64: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic dXNl*cjpwYXNz
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const URL_SAFE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic dXNlcjo_Pz8_
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const NO_COLON: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {base64 correct-horse}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const CONTROL: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic user:pa{hex 07}ss}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const WRAPPED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic dXNlcjpj b3JyZWN0
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const UNPADDED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic dXNlcjpwYQ
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const COLON: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic user:correct:horse}
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const ACCEPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic dXNlcjpwYQ
< HTTP/1.1 200 OK
< Content-Type: application/json
";
