//! A DPoP proof for another URL than the one that the server takes for its own.

use super::dpop::{Proven, refused};
use super::dpop_proof_invalid;
use crate::exchange::View;
use crate::exchange::view::path_of;
use crate::memory::Memory;
use crate::rules::evidence::clip;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "dpop-htu-mismatch",
    family: Family::Signature,
    severity: Severity::Error,
    title: "The DPoP proof is for another URL than the server sees",
    why: "A proof names the URL of its request, and the server compares it with the URL as it arrived. Behind a gateway that ends \
          TLS, sets another Host or takes a prefix off the path, the server sees another URL than the client asked for, \
          unless it is told the public one.",
    fix: "Tell the server its public URL: in its settings, or by X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-Prefix from a \
          gateway that it trusts. If nothing is between, let the client make the proof for the URL that it asks.",
    spec: &[Spec::rfc(9449, "4.2"), Spec::rfc(9449, "4.3")],
    supersedes: &["credentials-rejected", "known-error-text", "scheme-case"],
    examples: &[
        Example::fires("another path", PATH),
        Example::fires("another host", HOST),
        Example::fires("https before a gateway, http behind it", SCHEME),
        Example::fires("the tap itself sets another host", TAP),
        Example::fires("not the public URL that was given", PRIVATE),
        Example::fires("the public URL that was given, which the server does not know", PUBLIC),
        Example::quiet("a default port and capitals in the host", SAME),
        Example::quiet("the gateway tells the public URL", TOLD),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let proven = refused(view, memory)?;
    let htu = proven.claims()?.htu.as_deref()?;
    let (scheme, authority) = origin_of(htu)?;
    let (path, own) = (path_or_root(path_of(htu.as_bytes())), path_or_root(path_of(view.target())));
    let host = view.authority().map(|host| without_default_port(&host, &scheme))?;
    // Servers that compare with a URL of their settings do not look at what arrived.
    let certainty = if proven.is_blamed { Certainty::Certain } else { Certainty::Likely };
    if let Some(public) = memory.given().public_url.as_deref() {
        return by_public_url(view, &proven, htu, public, certainty);
    }
    let is_told = |name: &str, wanted: &str| {
        view.request().value(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted.as_bytes()))
    };
    if path != own && !view.request().has("x-forwarded-prefix") {
        return Some(show(
            RULE.found(certainty, "the DPoP proof is for another path than the request has"),
            view,
            &proven,
        ));
    }
    let edit = view.exchange().edits.iter().find(|edit| edit.what == "host");
    let arrives = edit.map_or_else(|| host.clone(), |edit| without_default_port(&edit.to, &scheme));
    if authority != arrives && !is_told("x-forwarded-host", &authority) && !view.request().has("forwarded") {
        if authority != host {
            let summary = "the DPoP proof is for another host than the request";
            return Some(show(RULE.found(certainty, summary), view, &proven));
        }
        // How the server knows its own name is not known, so that it takes its word.
        let summary = "the DPoP proof is for the Host that the client sent, and this tap set another one";
        let found =
            proven.is_blamed.then(|| show(RULE.found(Certainty::Likely, summary), view, &proven).at(At::Tap))?;
        return Some(found.fix(
            "Let the tap keep the client's Host with `--host keep`, or let the client connect under the name of the upstream.",
        ));
    }
    // What follows is how the server sees it, which takes its word that the proof is the reason.
    if !proven.is_blamed || path != own || view.request().has("forwarded") {
        return None;
    }
    // Where this token was accepted before, the server saw the same scheme. A proof that was sent twice is refused for that.
    let history = view.main_credentials().and_then(|offered| memory.history_here(view, offered.fingerprint));
    let has_worked = history.is_some_and(|history| history.last_accepted.is_some());
    // What is certainly wrong with the proof is why it was refused.
    let others = dpop_proof_invalid::RULE.check.exchange();
    let is_explained =
        others.is_some_and(|check| check(view, memory).iter().any(|finding| finding.certainty == Certainty::Certain));
    if has_worked || is_explained || memory.proof_sent_before(view).is_some() {
        return None;
    }
    by_scheme(view, &proven, &scheme)
}

/// The operator said under which URL clients reach the server, so that nothing has to be guessed.
fn by_public_url(
    view: &View<'_>,
    proven: &Proven<'_>,
    htu: &str,
    public: &str,
    certainty: Certainty,
) -> Option<Finding> {
    let prefix = path_of(public.as_bytes());
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    let own = path_or_root(path_of(view.target()));
    let path = path_or_root(path_of(htu.as_bytes()));
    let is_same_path = path == own || path == [prefix, &own].concat();
    let shown = |found: Finding| show(found, view, proven).because(clip(format!("given: --public-url {public}")));
    if origin_of(htu)? != origin_of(public)? {
        let summary = "the DPoP proof is for another host or scheme than the public URL that was given";
        return Some(shown(RULE.found(certainty, summary)).at(At::Client));
    }
    if !is_same_path {
        return Some(shown(RULE.found(certainty, "the DPoP proof is for another path than the request has")));
    }
    let (scheme, authority) = origin_of(htu)?;
    let arrives = view.exchange().edits.iter().find(|edit| edit.what == "host").map(|edit| edit.to.to_string());
    let arrives = without_default_port(&arrives.or_else(|| view.authority())?, &scheme);
    let is_tls = view.exchange().upstream.tls.is_some();
    // What the server sees otherwise, and takes its word that the proof is the reason.
    if !proven.is_blamed || (arrives == authority && (scheme == "https") == is_tls && path == own) {
        return None;
    }
    let summary = "the DPoP proof is for the public URL, as it should be, and the server sees another one";
    Some(shown(RULE.found(Certainty::Likely, summary)).at(At::Backend))
}

/// The client asked over TLS, and the server gets plain HTTP and is not told.
fn by_scheme(view: &View<'_>, proven: &Proven<'_>, scheme: &str) -> Option<Finding> {
    if scheme != "https" || view.request().has("x-forwarded-proto") || view.exchange().upstream.tls.is_some() {
        return None;
    }
    let by_tap = view.exchange().client.tls.is_some();
    let summary = match by_tap {
        true => "the DPoP proof is for https, which ends at this tap: the server is asked over http",
        false => "the DPoP proof is for https, and the request came over http without X-Forwarded-Proto",
    };
    let found = show(RULE.found(Certainty::Likely, summary), view, proven);
    Some(found.at(if by_tap { At::Tap } else { At::Unknown }))
}

fn show(found: Finding, view: &View<'_>, proven: &Proven<'_>) -> Finding {
    let htu = proven.claims().and_then(|claims| claims.htu.as_deref()).unwrap_or_default();
    let text = clip(format!("htu={}", view.redactor().target(htu.as_bytes())));
    let found = proven.show(found.at(At::Unknown), view, text);
    let host = view.authority().map(|host| view.redactor().authority(&host)).unwrap_or_default();
    let path = view.redactor().target(path_of(view.target()));
    let scheme = if view.exchange().client.tls.is_some() { "https" } else { "http" };
    found.because(clip(format!("request: {scheme}://{host}{path}")))
}

/// The scheme and the authority of a URL as they are compared: in lower case, without a default port (RFC 3986 6.2).
fn origin_of(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let scheme = scheme.to_ascii_lowercase();
    let authority = without_default_port(rest.get(..end)?, &scheme);
    Some((scheme, authority))
}

fn without_default_port(authority: &str, scheme: &str) -> String {
    let authority = authority.trim().to_ascii_lowercase();
    let port = if scheme == "https" { ":443" } else { ":80" };
    authority.strip_suffix(port).map(str::to_owned).unwrap_or(authority)
}

/// A path as it is compared: an empty one is the root, and what needs no percent-encoding has none (RFC 3986 6.2).
fn path_or_root(path: &[u8]) -> Vec<u8> {
    let path: Vec<u8> = percent_encoding::percent_decode(path).collect();
    if path.is_empty() { b"/".to_vec() } else { path }
}

const PATH: &str = r#"> GET /orders?page=2 HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://api.example/v1/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const HOST: &str = r#"> GET /orders HTTP/1.1
> Host: orders.internal:8080
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const SCHEME: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const TAP: &str = r#"* upstream https://api.example
* edited host api.example
> GET /orders HTTP/1.1
> Host: 127.0.0.1:8080
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://127.0.0.1:8080/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const SAME: &str = r#"* client tls
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://API.example:443/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 200 OK
"#;

const TOLD: &str = r#"> GET /orders HTTP/1.1
> Host: orders.internal:8080
> X-Forwarded-Host: api.example
> X-Forwarded-Proto: https
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://api.example/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 200 OK
"#;

const PRIVATE: &str = r#"* given public-url https://api.example/shop
> GET /orders HTTP/1.1
> Host: orders.internal
> X-Forwarded-Proto: https
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://orders.internal/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;

const PUBLIC: &str = r#"* given public-url https://api.example/shop
> GET /orders HTTP/1.1
> Host: orders.internal
> X-Forwarded-Proto: https
> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU
> DPoP: {jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://api.example/shop/orders","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: DPoP error="invalid_dpop_proof", algs="ES256"
"#;
