//! The challenge says what to do next, and the client does not do it.

use jiff::SignedDuration;

use crate::exchange::View;
use crate::memory::{Memory, Named, Step};
use crate::rules::evidence::{clock, with_answer, with_sent};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "challenge-ignored",
    family: Family::Session,
    severity: Severity::Error,
    title: "The challenge names the next step and the client does not take it",
    why: "Some refusals say exactly what is missing: a newer nonce, the server's nonce in the proof, a token with other \
          claims. A client that does not read them sends the same thing again and is refused for ever, though its \
          credentials are good.",
    fix: "Have the client read WWW-Authenticate of the refusal and answer it, or take a newer version of its library that \
          does. A new login or another password changes nothing.",
    spec: &[
        Spec::rfc(7616, "3.3"),
        Spec::rfc(9449, "8"),
        Spec::rfc(9449, "9"),
        Spec::rfc(9470, "3"),
        Spec::rfc(6750, "3.1"),
        Spec::Document(
            "Microsoft identity platform: claims challenges",
            "https://learn.microsoft.com/en-us/entra/identity-platform/claims-challenge",
        ),
    ],
    supersedes: &[
        "handshake-step",
        "credentials-rejected",
        "same-credential-retried",
        "credential-stopped-working",
        "known-error-text",
    ],
    examples: &[
        Example::fires("the old Digest nonce again after a stale one", STALE),
        Example::fires("the old Digest nonce again, and nothing was said of stale", CHANGED),
        Example::fires("the proof lacks the nonce that was asked for", DPOP),
        Example::fires("the same token three times after a claims challenge", CLAIMS),
        Example::fires_beside("the same token three times without the scope", SCOPE),
        Example::quiet("the new nonce is answered", ANSWERED),
        Example::quiet("the nonce is put into the proof", PROVEN),
        Example::quiet("two requests at once with one nonce", AT_ONCE),
    ],
    check: Check::Failure(check),
};

/// Another thread of the client may have sent its request before it knew of the refusal of the first.
const KNOWN_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// A token is often sent once more before another one is got.
const TOKEN_TIMES: u32 = 2;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    if view.is_success() {
        return None;
    }
    let (step, named) = memory.step_named_before(view)?;
    if !knew(view, &named) {
        return None;
    }
    let needed = if matches!(step, Step::DigestNonce | Step::DpopNonce) { 1 } else { TOKEN_TIMES };
    if named.times < needed {
        return None;
    }
    let times = named.times.saturating_add(1);
    // A program can't answer for its user, and can't give itself a scope: that it asks again may be all that it can do.
    let (summary, severity, fix) = match step {
        Step::DigestNonce => (
            "the server offered a new nonce, and the client sent the old one again".to_owned(),
            Severity::Error,
            "Have the client take the nonce of the newest challenge, whether it says `stale=true` or not.",
        ),
        Step::DpopNonce => (
            "the server asked for its nonce in the DPoP proof, and the client sent a proof without one again"
                .to_owned(),
            Severity::Error,
            "Have the client put the value of DPoP-Nonce into the proof as `nonce`, send the request once more, and keep the \
             value for the next ones.",
        ),
        Step::Claims => (
            format!("the challenge asks for a token with other claims, and the same token came {times} times"),
            Severity::Error,
            "Have the client get a new token with the `claims` of the challenge, or stop saying that it can (in Azure, the \
             client capability cp1).",
        ),
        Step::UserAuthentication => (
            format!("the challenge asks for another login of the user, and the same token came {times} times"),
            Severity::Warning,
            "Have the client send the user to the login with the `acr_values` or `max_age` of the challenge.",
        ),
        Step::Scope => (
            format!("the challenge asks for another scope, and the same token came {times} times"),
            Severity::Warning,
            "Have the client ask for a new authorization with the scope of the challenge. A refresh gives no more than what \
             was granted (RFC 6749 6).",
        ),
    };
    let found = RULE.found(Certainty::Certain, summary).severity(severity).at(At::Client).header("www-authenticate");
    let found = found.fix(fix).because(format!("history: the same step was named since {}", clock(named.first)));
    Some(with_answer(with_sent(found, view), view))
}

/// Whether the client had the earlier answer when it sent this request.
fn knew(view: &View<'_>, named: &Named) -> bool {
    let exchange = view.exchange();
    let since = exchange.time.duration_since(named.ended);
    let is_same_connection = exchange.client.connection == named.connection && !view.is_http2();
    since >= KNOWN_AFTER || (is_same_connection && since >= SignedDuration::ZERO)
}

const STALE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="n1", uri="/orders", qop=auth, nc=00000001, cnonce="c1", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="n2", qop="auth", stale=true
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="n1", uri="/orders", qop=auth, nc=00000002, cnonce="c2", response="7629fae49393a05397450978507c4ef2"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="n3", qop="auth", stale=true
"#;

const CHANGED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="n1", uri="/orders", qop=auth, nc=00000001, cnonce="c1", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="n2", qop="auth"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="n1", uri="/orders", qop=auth, nc=00000002, cnonce="c2", response="7629fae49393a05397450978507c4ef2"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="n3", qop="auth"
"#;

const DPOP: &str = r#"* client tls
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"a1","htm":"POST","htu":"https://login.example/oauth2/token","iat":1795521600}}
>
> grant_type=client_credentials
< HTTP/1.1 400 Bad Request
< DPoP-Nonce: eyJ7S_zG.eyJH0-Z.HX4w-7v
< Content-Type: application/json
<
< {"error":"use_dpop_nonce"}
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"a2","htm":"POST","htu":"https://login.example/oauth2/token","iat":1795521601}}
>
> grant_type=client_credentials
< HTTP/1.1 400 Bad Request
< DPoP-Nonce: eyJ7S_zG.eyJH0-Z.HX4w-7v
< Content-Type: application/json
<
< {"error":"use_dpop_nonce"}
"#;

const CLAIMS: &str = r#"> GET /me HTTP/1.1
> Host: graph.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="
> GET /me HTTP/1.1
> Host: graph.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="
> GET /me HTTP/1.1
> Host: graph.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="
"#;

const SCOPE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer error="insufficient_scope", scope="orders:read"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer error="insufficient_scope", scope="orders:read"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< WWW-Authenticate: Bearer error="insufficient_scope", scope="orders:read"
"#;

const ANSWERED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="n1", uri="/orders", qop=auth, nc=00000001, cnonce="c1", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="n2", qop="auth", stale=true
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="n2", uri="/orders", qop=auth, nc=00000001, cnonce="c2", response="7629fae49393a05397450978507c4ef2"
< HTTP/1.1 200 OK
"#;

const PROVEN: &str = r#"* client tls
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"a1","htm":"POST","htu":"https://login.example/oauth2/token","iat":1795521600}}
>
> grant_type=client_credentials
< HTTP/1.1 400 Bad Request
< DPoP-Nonce: eyJ7S_zG.eyJH0-Z.HX4w-7v
< Content-Type: application/json
<
< {"error":"use_dpop_nonce"}
> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"a2","htm":"POST","htu":"https://login.example/oauth2/token","iat":1795521601,"nonce":"eyJ7S_zG.eyJH0-Z.HX4w-7v"}}
>
> grant_type=client_credentials
< HTTP/1.1 200 OK
"#;

const AT_ONCE: &str = r#"* time 2026-11-24T12:00:00Z
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="n1", uri="/orders", qop=auth, nc=00000001, cnonce="c1", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="n2", qop="auth", stale=true
* time 2026-11-24T12:00:00Z
* new connection
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="orders", nonce="n1", uri="/orders", qop=auth, nc=00000002, cnonce="c2", response="7629fae49393a05397450978507c4ef2"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Digest realm="orders", nonce="n2", qop="auth", stale=true
"#;
