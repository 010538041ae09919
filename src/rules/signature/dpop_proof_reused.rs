//! A DPoP proof that was sent before.

use super::dpop::refused;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::clock;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "dpop-proof-reused",
    family: Family::Signature,
    severity: Severity::Warning,
    title: "The DPoP proof was sent with an earlier request",
    why: "A proof is good for one request. Servers keep the `jti` of those that they have seen, so that nobody can use a proof \
          that was overheard, and refuse one that comes again. A client that keeps its headers for several requests, or a library \
          that repeats a request as it was, sends it again.",
    fix: "Make a proof with a new `jti` for each request, and for each repetition of one.",
    spec: &[Spec::rfc(9449, "4.2"), Spec::rfc(9449, "11.1")],
    supersedes: &["credentials-rejected", "known-error-text", "scheme-case"],
    examples: &[
        Example::fires("the second request is refused", TWICE),
        Example::quiet("a server that does not mind", CONTENT),
        Example::quiet("the request was repeated, since no answer came", RETRY),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(proven) = refused(view, memory) else { return Vec::new() };
    let Some(before) = memory.proof_sent_before(view) else { return Vec::new() };
    let text = view.error_text().unwrap_or_default().to_ascii_lowercase();
    let mut params = view.challenges(false).flat_map(|challenge| &challenge.params);
    let says = |text: &str| text.contains("jti") || text.contains("replay") || text.contains("already used");
    let is_said = says(&text) || params.any(|param| says(&param.value.to_ascii_lowercase()));
    let certainty = if is_said { Certainty::Certain } else { Certainty::Likely };
    let summary = format!("the DPoP proof was sent before, at {}, and is good for one request", clock(before));
    let found = RULE.found(certainty, summary).at(At::Client);
    vec![proven.show(found, view, format!("its jti was in a request at {}", clock(before)))]
}

const TWICE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const CONTENT: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 200 OK
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 200 OK
"#;

const RETRY: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
* unanswered
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 200 OK
"#;
