//! A token that arrives without its signature, which somebody before took off.

use super::tokens;
use crate::auth::{Defect, DefectKind};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::credentials::{fault, foremost};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A signed token whose signature is gone.
pub static RULE: Rule = Rule {
    name: "jwt-signature-removed",
    family: Family::Token,
    severity: Severity::Error,
    title: "The signature of the token was taken off",
    why: "The token says that it is signed, and has no signature any more. Cloud Run and other services of Google check \
          the token themselves and then write SIGNATURE_REMOVED_BY_GOOGLE in its place, so that the application cannot \
          pass it on. An application that checks it once more has nothing to check.",
    fix: "Behind Cloud Run, send the token for the platform in X-Serverless-Authorization, and the one for the \
          application in Authorization. Otherwise find who cut the token behind its second dot.",
    spec: &[
        Spec::rfc(7515, "5.2"),
        Spec::Document(
            "Cloud Run, service-to-service authentication",
            "https://cloud.google.com/run/docs/authenticating/service-to-service",
        ),
    ],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "jwt-malformed", "scheme-case"],
    examples: &[
        Example::fires("removed by Google", GOOGLE),
        Example::fires("nothing behind the second dot", EMPTY),
        Example::quiet("removed by Google, and the application trusts the platform", TRUSTED),
        Example::quiet("a token that is not signed and says so", UNSIGNED),
    ],
    check: Check::Exchange(check),
};

const KINDS: [DefectKind; 2] = [DefectKind::JwtSignatureRemoved, DefectKind::JwtSignatureEmpty];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let found = tokens(view).find_map(|(offered, jwt)| {
        let all = jwt.defects.iter().filter(|defect| KINDS.contains(&defect.kind));
        let defects: Vec<Defect> =
            all.map(|defect| Defect { kind: defect.kind, at: offered.credentials.secret_at + defect.at }).collect();
        let is_google = foremost(&KINDS, &defects)? == DefectKind::JwtSignatureRemoved;
        let summary = match is_google {
            true => "a Google service took the signature off the token before it came here",
            false => "the token arrived without its signature",
        };
        let found = fault(&RULE, view, offered, Certainty::Certain, summary, &defects);
        let alg = jwt.header.alg.as_deref().map(|alg| view.redactor().text(alg));
        let found = match alg {
            Some(alg) => found.because(format!("the token's header says alg={alg}")),
            None => found,
        };
        Some(if is_google {
            found.at(At::Backend)
        } else {
            found.at(At::Unknown).fix(
                "Compare the token with the one that the login server gave out. If that has a third part, find who cut \
                 it: a log that was copied from, a variable that ends at a dot, a gateway.",
            )
        })
    });
    found.into_iter().collect()
}

const GOOGLE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"iss\":\"https://accounts.google.com\"} \"SIGNATURE_REMOVED_BY_GOOGLE\"}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const EMPTY: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"sub\":\"1\"} \"\"}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const TRUSTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"iss\":\"https://accounts.google.com\"} \"SIGNATURE_REMOVED_BY_GOOGLE\"}
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const UNSIGNED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"none\"} {\"sub\":\"1\"} \"\"}
< HTTP/1.1 200 OK
< Content-Type: application/json
";
