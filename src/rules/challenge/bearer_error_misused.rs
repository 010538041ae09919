//! An error code in a Bearer challenge that does not go with the request, the status or any specification.

use crate::auth::{Challenge, Scheme};
use crate::exchange::View;
use crate::exchange::view::Challenged;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_sent};
use crate::rules::normal::{self, Normal};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Place, Rule, Severity, Spec};

/// An `error` in a challenge for tokens that clients will draw the wrong conclusion from.
pub static RULE: Rule = Rule {
    name: "bearer-error-misused",
    family: Family::Challenge,
    severity: Severity::Warning,
    title: "The error in the Bearer challenge does not fit",
    why: "By the error code a client decides what to do: get a new token, ask for more rights, or give up. The code is for \
          requests that had a token, and each code has its status. A client that is told that its token is invalid when \
          it sent none, or that the rights are missing with a 401, does the wrong thing, often in a loop.",
    fix: "Send no `error` where no token came: `WWW-Authenticate: Bearer realm=\"api\"`. Send invalid_token with 401, \
          insufficient_scope with 403, invalid_request with 400.",
    spec: &[Spec::rfc(6750, "3"), Spec::rfc(6750, "3.1"), Spec::rfc(9449, "7.1"), Spec::rfc(9470, "3")],
    supersedes: &[],
    examples: &[
        Example::fires("an invalid token, where none was sent", NONE_SENT),
        Example::fires_beside("missing rights, with 401", SCOPE),
        Example::fires_beside("an invalid token, with 403", FORBIDDEN),
        Example::fires_beside("an invalid request, with 401", REQUEST),
        Example::fires_beside("a code that no specification knows", UNKNOWN),
        Example::fires_beside("a code that belongs to the token endpoint", ELSEWHERE),
        Example::quiet("no token and no error", START),
        Example::quiet("a nonce is asked for, which is a step", NONCE),
        Example::quiet("a success", SUCCESS),
    ],
    check: Check::Exchange(check),
};

/// The codes for answers of a resource, with the status of each (RFC 6750 3.1, RFC 9449 7.1 and 9, RFC 9470 3; the
/// claims challenge of Microsoft Entra).
const CODES: [(&str, u16); 7] = [
    ("insufficient_claims", 401),
    ("insufficient_scope", 403),
    ("insufficient_user_authentication", 401),
    ("invalid_dpop_proof", 401),
    ("invalid_request", 400),
    ("invalid_token", 401),
    ("use_dpop_nonce", 401),
];

/// Codes that are specified, but for answers of the login server (RFC 6749 4.1.2.1 and 5.2, OpenID Connect Core
/// 3.1.2.6).
const OF_LOGIN_SERVER: [&str; 12] = [
    "access_denied",
    "consent_required",
    "interaction_required",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "login_required",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
];

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let normal = normal::recognise(view, memory);
    let is_exempt = matches!(normal, Some(Normal::TokenEndpoint | Normal::Preflight | Normal::DpopNonceAsked));
    if view.status() < 400 || is_exempt {
        return Vec::new();
    }
    let fields = view.challenged().iter().filter(|field| !field.by_proxy);
    let mut challenges = fields.flat_map(|field| field.challenges.iter().map(move |challenge| (field, challenge)));
    challenges.find_map(|(field, challenge)| check_one(view, field, challenge)).into_iter().collect()
}

fn check_one(view: &View<'_>, field: &Challenged, challenge: &Challenge) -> Option<Finding> {
    if !matches!(challenge.scheme, Scheme::Bearer | Scheme::Dpop) {
        return None;
    }
    let param = challenge.params.iter().find(|param| param.name == "error")?;
    let code = clip(view.redactor().text(&param.value));
    let known = CODES.iter().find(|(known, _)| *known == param.value);
    let status = view.status();
    let summary = match known {
        _ if !has_sent_anything(view) => format!("the server says {code}, though nothing was sent that it could mean"),
        None if OF_LOGIN_SERVER.contains(&param.value.as_str()) => {
            format!("the server says {code}, which is a code of login servers and means nothing here")
        }
        None => format!("the server says {}, a code that no specification knows", short(&code)),
        Some((_, right)) if *right != status && !is_registry(challenge, status) => {
            format!("the server says {code} with status {status}, where {right} belongs")
        }
        Some(_) => return None,
    };
    let name = "WWW-Authenticate";
    let scheme = challenge.scheme.usual_spelling().unwrap_or_default();
    let place = Place { message: Message::Response, field: field.field, byte: Some(param.at) };
    let found = RULE.found(Certainty::Certain, summary).at(At::Backend).header(name);
    let found = found.because_of(format!("response: {status}, {name}: {scheme} error=\"{code}\""), place);
    Some(with_sent(found, view))
}

/// A code that may be a whole text, as short as a sentence wants it.
fn short(code: &str) -> String {
    const LONGEST: usize = 40;
    if code.chars().count() <= LONGEST { code.to_owned() } else { code.chars().take(LONGEST).chain(['…']).collect() }
}

/// Whether the request had anything that the server may have taken for a token: a field, the query, a cookie, a proof,
/// a certificate.
fn has_sent_anything(view: &View<'_>) -> bool {
    let certificate = view.exchange().client.tls.as_ref().is_some_and(|tls| tls.peer_certificate);
    // What is not known of a head may have been sent.
    !view.offered().is_empty()
        || view.request().is_cut()
        || view.request().has("cookie")
        || view.request().has("dpop")
        || certificate
}

/// A registry of container images says that rights are missing with 401, because its clients get a token for each
/// scope they need, and go on.
fn is_registry(challenge: &Challenge, status: u16) -> bool {
    status == 401 && challenge.param("service").is_some() && challenge.param("realm").is_some()
}

const NONE_SENT: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\", error=\"invalid_token\"
";

const SCOPE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"insufficient_scope\", scope=\"write\"
";

const FORBIDDEN: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const REQUEST: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_request\"
";

const UNKNOWN: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"token_is_bad\"
";

const ELSEWHERE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_grant\"
";

const START: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const NONCE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: DPoP tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< DPoP-Nonce: eyJ7S_zG.eyJH0-Z.HX4w-7v
< WWW-Authenticate: DPoP error=\"use_dpop_nonce\"
";

const SUCCESS: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
< WWW-Authenticate: Bearer error=\"invalid_token\"
";
