//! A token that is bound to a key or a certificate, sent without the proof that the sender has it.

use super::refused::refused;
use crate::auth::Scheme;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A bound token without its proof.
pub static RULE: Rule = Rule {
    name: "sender-constraint-missing",
    family: Family::Token,
    severity: Severity::Error,
    title: "The token is bound to a key, and the request does not prove that the client has it",
    why: "The token says in `cnf` that only the holder of a key or of a certificate may use it, so that a stolen one is of no \
          use. With a key of DPoP the request has to carry a proof in the DPoP header and the scheme DPoP; with a certificate \
          the TLS connection has to have been made with it. Where either is missing, the token is refused as if it were stolen.",
    fix: "For DPoP send `Authorization: DPoP <token>` and a fresh proof in `DPoP`. For a certificate let the connection to the \
          server be made with it, or let who ends TLS tell the server of it in a header that it trusts.",
    spec: &[Spec::rfc(9449, "7.1"), Spec::rfc(9449, "6.1"), Spec::rfc(8705, "3")],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "scheme-case", "scheme-not-offered"],
    examples: &[
        Example::fires("a token for DPoP as a Bearer token", BEARER),
        Example::fires("no proof beside the token", NO_PROOF),
        Example::fires("the tap itself ends the TLS connection", TAP),
        Example::quiet("the server does not insist", CONTENT),
        Example::quiet("the token with its proof", PROOF),
        Example::quiet("TLS with the certificate ended before the tap", BEFORE),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let refused = refused(view).filter(|refused| refused.said.is_none())?;
    let is_about_token = view.status() != 403 || super::is_called_invalid(view);
    let claims = refused.jwt.claims.as_ref().filter(|_| is_about_token)?;
    let bound = |what: &str| vec![("cnf", what.to_owned())];
    if claims.confirmed_key.is_some() {
        let is_dpop = refused.offered.credentials.scheme == Some(Scheme::Dpop);
        let has_proof = view.request().has("dpop");
        let summary = match (is_dpop, has_proof) {
            (true, true) => return None,
            (true, false) => "the token is bound to a key, and the request has no DPoP proof",
            (false, true) => "the token is bound to a key and was sent as a Bearer token: it wants the scheme DPoP",
            (false, false) => "the token is bound to a key and was sent as a Bearer token, without a DPoP proof",
        };
        let found = refused.show(RULE.found(Certainty::Likely, summary).at(At::Client), view, &bound("a key (jkt)"));
        return Some(found.because(if has_proof { "request: DPoP is there" } else { "request: no DPoP header" }));
    }
    claims.confirmed_certificate.as_ref()?;
    // Where TLS ended before the tap, the certificate was shown there, and what is told of it has many names.
    let tls = view.exchange().client.tls.as_ref().filter(|tls| !tls.peer_certificate)?;
    if view.request().fields().any(|field| tells_of_certificate(field.name)) {
        return None;
    }
    let summary = "the token is bound to a client certificate, and the TLS connection that had it ends at this tap";
    let found =
        refused.show(RULE.found(Certainty::Likely, summary).at(At::Tap), view, &bound("a certificate (x5t#S256)"));
    let found = found.because(format!("connection: {} with the client, without a certificate", tls.version));
    Some(found.fix(
        "Put the tap behind what ends TLS with client certificates, and let that tell the server of the certificate in a \
         header. If the client connects to the tap on purpose, see that it shows its certificate to the server itself.",
    ))
}

/// Whether a field has the look of one in which a gateway tells of the client's certificate.
fn tells_of_certificate(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    memchr::memmem::find(&name, b"cert").is_some()
        || name.starts_with(b"ssl-client")
        || name.starts_with(b"x-ssl-client")
}

const BEARER: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795530000,"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_token", algs="ES256"
"#;

const NO_PROOF: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP {jwt {"alg":"RS256"} {"exp":1795530000,"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const TAP: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795530000,"cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const CONTENT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795530000,"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}}
< HTTP/1.1 200 OK
"#;

const PROOF: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP {jwt {"alg":"RS256"} {"exp":1795530000,"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}}
> DPoP: a.b.c
< HTTP/1.1 200 OK
"#;

const BEFORE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> X-Forwarded-Client-Cert: Hash=468ed33be74eee6556d90c0149c1309e
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795530000,"cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}}
< HTTP/1.1 200 OK
"#;
