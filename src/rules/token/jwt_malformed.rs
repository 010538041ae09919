//! A token that begins like a JSON web token and is not one.

use super::tokens;
use crate::auth::{Defect, DefectKind};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::credentials::{fault, foremost};
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A JSON web token that cannot be read.
pub static RULE: Rule = Rule {
    name: "jwt-malformed",
    family: Family::Token,
    severity: Severity::Error,
    title: "The JSON web token is broken",
    why: "A JSON web token is three parts in base64url with dots between them, or five if it is encrypted, and its times \
          are numbers of seconds. A server that cannot read it does not get as far as the signature.",
    fix: "Compare what was sent with what the login server gave out: is it whole, and is it the token alone? Where the \
          token is of your own making, use a library for it, and give `exp`, `nbf` and `iat` as numbers of seconds.",
    spec: &[Spec::rfc(7515, "3"), Spec::rfc(7515, "7.1"), Spec::rfc(7519, "2")],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "scheme-case"],
    examples: &[
        Example::fires("two parts instead of three", TWO_PARTS),
        Example::fires("claims that are cut", CUT),
        Example::fires("claims that are no JSON", NOT_JSON),
        Example::fires("the standard alphabet of base64", ALPHABET),
        Example::fires("a time in milliseconds", MILLISECONDS),
        Example::fires("a time as a text", TEXT),
        Example::quiet("an encrypted token, of five parts", ENCRYPTED),
        Example::quiet("a token without structure", OPAQUE),
        Example::quiet("a time in milliseconds, and nobody minds", ACCEPTED),
        Example::quiet("a fraction of a second, which is allowed", FRACTION),
    ],
    check: Check::Exchange(check),
};

/// From what says most to what says least.
const KINDS: [DefectKind; 14] = [
    DefectKind::JwtPartCount,
    DefectKind::JwtHeaderNotBase64,
    DefectKind::JwtHeaderNotJson,
    DefectKind::JwtHeaderNotObject,
    DefectKind::JwtPayloadNotBase64,
    DefectKind::JwtPayloadNotJson,
    DefectKind::JwtPayloadNotObject,
    DefectKind::JwtSignatureNotBase64,
    DefectKind::JwtPartNotBase64,
    DefectKind::JwtStandardAlphabet,
    DefectKind::JwtPadding,
    DefectKind::JwtTimeInMilliseconds,
    DefectKind::JwtTimeNotNumber,
    DefectKind::JwtAlgorithmMissing,
];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let found = tokens(view).find_map(|(offered, jwt)| {
        let all = jwt.defects.iter().filter(|defect| KINDS.contains(&defect.kind));
        let defects: Vec<Defect> =
            all.map(|defect| Defect { kind: defect.kind, at: offered.credentials.secret_at + defect.at }).collect();
        let summary = match foremost(&KINDS, &defects)? {
            DefectKind::JwtPartCount => format!(
                "the token has {} {}, where a JSON web token has three",
                jwt.parts,
                if jwt.parts == 1 { "part" } else { "parts" }
            ),
            DefectKind::JwtTimeInMilliseconds => "the token gives a time in milliseconds, not in seconds".to_owned(),
            DefectKind::JwtTimeNotNumber => "the token gives a time as text, not as a number".to_owned(),
            DefectKind::JwtAlgorithmMissing => "the token does not say with which algorithm it was signed".to_owned(),
            kind => kind.text().replace("the token's third part", "the token's signature"),
        };
        let found = fault(&RULE, view, offered, Certainty::Certain, summary, &defects);
        Some(found)
    });
    found.into_iter().collect()
}

const TWO_PARTS: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const CUT: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiO.AAAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const NOT_JSON: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e3N1Yjp1c2VyfQ.AAAA
< HTTP/1.1 422 Unprocessable Content
";

const ALPHABET: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.ab+/AAAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const MILLISECONDS: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795525200000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const TEXT: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":\"1795525200\"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const ENCRYPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.BBBB.CCCC
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const OPAQUE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const ACCEPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795525200000}}
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const FRACTION: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {\"alg\":\"RS256\"} {\"exp\":1795525200.5}}
< HTTP/1.1 200 OK
< Content-Type: application/json
";
