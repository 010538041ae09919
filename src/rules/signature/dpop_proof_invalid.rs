//! A DPoP proof that does not fit its request, its token or its key.

use super::clocks::{Clocks, seconds, span};
use super::dpop::{Proven, refused};
use crate::auth::{Detail, access_token_hash};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::clip;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "dpop-proof-invalid",
    family: Family::Signature,
    severity: Severity::Error,
    title: "The DPoP proof does not fit the request",
    why: "A proof is made anew for each request: it names the method, the URL, the time and the hash of the token, and holds the \
          public key to which the token is bound. A client that keeps a proof, that makes it with another key after a restart, \
          or that leaves a part out, sends one that no server may take.",
    fix: "Make a fresh proof for each request with the method, the URL without its query, the present time, a new `jti`, and the \
          `ath` of the token that goes with it, signed with the key that was used when the token was asked for.",
    spec: &[Spec::rfc(9449, "4.2"), Spec::rfc(9449, "4.3"), Spec::rfc(9449, "7.1"), Spec::rfc(7638, "3")],
    supersedes: &["credentials-rejected", "known-error-text", "sender-constraint-missing", "scheme-case"],
    examples: &[
        Example::fires("a proof for another method", METHOD),
        Example::fires("the hash of another token", HASH),
        Example::fires("no hash of the token", NO_HASH),
        Example::fires("another key than the token's", KEY),
        Example::fires("ten minutes old", OLD),
        Example::fires("two proofs", TWO),
        Example::fires("something that is no proof", NONE),
        Example::quiet("a proof that fits", FITS),
        Example::quiet("the server wants its own nonce in it", NONCE),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(proven) = refused(view, memory) else { return Vec::new() };
    let Some(fault) = fault(view, &proven) else { return old(view, &proven).into_iter().collect() };
    let found = RULE.found(Certainty::Certain, fault.summary).at(At::Client);
    vec![proven.show(found, view, fault.evidence)]
}

struct Fault {
    summary: String,
    evidence: String,
}

fn found(summary: impl Into<String>, evidence: impl Into<String>) -> Option<Fault> {
    Some(Fault { summary: summary.into(), evidence: evidence.into() })
}

/// What a server has to refuse, by RFC 9449 4.3.
fn fault(view: &View<'_>, proven: &Proven<'_>) -> Option<Fault> {
    let count = view.request().values("dpop").count();
    if count > 1 {
        return found("the request has more than one DPoP proof", format!("{count} lines"));
    }
    let jwt = &proven.proof.jwt;
    let Some(claims) = proven.claims().filter(|_| jwt.parts == 3) else {
        return found(
            "the DPoP header holds no proof: it is not a signed JSON web token",
            format!("{} parts", jwt.parts),
        );
    };
    if jwt.header.typ.as_deref() != Some("dpop+jwt") {
        let typ = jwt.header.typ.as_deref().map(|typ| view.redactor().text(typ));
        let evidence = clip(format!("typ={}", typ.as_deref().unwrap_or("(none)")));
        return found("the DPoP header holds a token of another type than dpop+jwt", evidence);
    }
    let alg = jwt.header.alg.as_deref().unwrap_or_default();
    if alg.eq_ignore_ascii_case("none") || matches!(alg, "HS256" | "HS384" | "HS512") {
        return found("the DPoP proof is not signed with a private key", format!("alg={alg}"));
    }
    if proven.proof.has_private_key {
        return found("the DPoP proof gives the private key away", "jwk has a private part");
    }
    if !jwt.header.has_key {
        return found("the DPoP proof has no public key in it", "no jwk in its header");
    }
    let parts = [
        ("htm", claims.htm.is_some()),
        ("htu", claims.htu.is_some()),
        ("iat", claims.iat.is_some()),
        ("jti", claims.jti.is_some()),
    ];
    if let Some((name, _)) = parts.iter().find(|(_, is_there)| !is_there) {
        return found(format!("the DPoP proof has no {name}"), format!("no {name}"));
    }
    let method = String::from_utf8_lossy(view.method());
    if claims.htm.as_deref().is_some_and(|htm| htm != method) {
        let htm = view.redactor().name(claims.htm.as_deref().unwrap_or_default().as_bytes());
        let method = view.redactor().name(view.method());
        return found(format!("the DPoP proof is for {htm}, and the request is a {method}"), format!("htm={htm}"));
    }
    let token = proven.token?;
    match claims.ath.as_deref() {
        None => return found("the DPoP proof does not name the token that it goes with", "no ath"),
        Some(ath) if ath != access_token_hash(token.credentials.secret.expose()) => {
            return found("the DPoP proof was made for another token", "ath is not the hash of the token");
        }
        Some(_) => {}
    }
    let Detail::Jwt(token) = &token.credentials.detail else { return None };
    let (bound, own) = (token.claims.as_ref()?.confirmed_key.as_deref()?, proven.proof.thumbprint.as_deref()?);
    if bound == own {
        return None;
    }
    found(
        "the DPoP proof is signed with another key than the token is bound to",
        "the key's thumbprint is not the token's cnf.jkt",
    )
}

/// What servers take for fresh is theirs to say; nobody is known to take five minutes, nor, where it is the proof, one.
fn old(view: &View<'_>, proven: &Proven<'_>) -> Option<Finding> {
    let iat = proven.claims()?.iat?.timestamp()?;
    let clocks = Clocks::of(view);
    let apart = clocks.deciding().as_second().saturating_sub(iat.as_second());
    if apart.abs() <= if proven.is_blamed { 60 } else { 300 } {
        return None;
    }
    let which = if apart > 0 { "before" } else { "after" };
    let whose = if clocks.server.is_some() { "the server's clock" } else { "this tap's clock" };
    let is_server = clocks.tap_agrees(iat);
    let summary = format!("the DPoP proof was made {} {which} {whose}", span(apart.abs()));
    let found = RULE.found(Certainty::Likely, summary).at(if is_server { At::Backend } else { At::Client });
    let found = clocks.show(proven.show(found, view, format!("iat={}", seconds(iat))), view);
    Some(match (is_server, apart > 0) {
        (true, _) => {
            found.fix("Set the server's clock: the client's agrees with the tap's, and the server's Date does not.")
        }
        (false, true) => {
            found.fix("Make a fresh proof for each request, and set the client's clock with NTP or chrony.")
        }
        (false, false) => found.fix("Set the client's clock with NTP or chrony: its proofs come from the future."),
    })
}

const METHOD: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const HASH: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP 2YotnFZFEjr1zCsicMWpAA
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_token", algs="ES256"
"#;

const NO_HASH: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const KEY: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP {jwt {"alg":"HS256"} {"exp":1795530000,"cnf":{"jkt":"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}} "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"uVFZbahEusi8P7Ku8Llpz3LQyXesm_7xgGSO0JCzCgs"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_token", algs="ES256"
"#;

const OLD: &str = r#"* time 2026-11-24T12:10:00Z
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:10:00 GMT
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const TWO: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.c2lnbmF0dXJl
> DPoP: eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.c2lnbmF0dXJm
< HTTP/1.1 400 Bad Request
< Content-Type: application/json
<
< {"error":"invalid_dpop_proof"}
"#;

const NONE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: undefined
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const FITS: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 200 OK
"#;

const NONCE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"POST","htu":"http://api.example/orders","iat":1795521600}}
< HTTP/1.1 401 Unauthorized
< DPoP-Nonce: eyJ7S_zG.eyJH0-Z.HX4w-7v
< WWW-Authenticate: DPoP error="use_dpop_nonce", algs="ES256"
"#;
