//! A good token of the wrong kind: an ID token, a refresh token, a proof, or one that the server cannot read.

use super::refused::shown;
use super::{Said, said, tokens, with_challenge};
use crate::auth::{Detail, Jwt, Scheme};
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::{Memory, is_id_token};
use crate::rules::credentials::{is_refused, point};
use crate::rules::evidence::with_credentials;
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, normal};

/// A token that was made for another purpose.
pub static RULE: Rule = Rule {
    name: "wrong-token-kind",
    family: Family::Token,
    severity: Severity::Error,
    title: "The token is of another kind than the one that is wanted",
    why: "A login gives out several tokens: the ID token tells the client who has logged in, the refresh token goes back to \
          the login server, and the access token alone is for APIs. They look alike. Some login servers also give out an \
          access token without structure, or an encrypted one, as long as no API is named to them.",
    fix: "Send the `access_token` of the login server's answer. If it is not a JSON web token and the API wants one, ask for \
          it with the API's `audience`, `resource` or scope.",
    spec: &[
        Spec::Document("OpenID Connect Core 2", "https://openid.net/specs/openid-connect-core-1_0.html#IDToken"),
        Spec::rfc(9068, "2.1"),
        Spec::rfc(9068, "4"),
        Spec::rfc(6749, "1.5"),
    ],
    supersedes: &[
        "credentials-rejected",
        "credentials-reported-missing",
        "jwt-audience-mismatch",
        "known-error-text",
        "scheme-case",
        "scheme-not-offered",
    ],
    examples: &[
        Example::fires("an ID token", ID),
        Example::fires("a refresh token that says so", REFRESH),
        Example::fires("an ID token of Cognito", COGNITO),
        Example::fires("a token without structure, and the server wants three parts", OPAQUE),
        Example::fires("a token that only the login server can read", ENCRYPTED),
        Example::quiet("an encrypted token for a server that takes it", ENCRYPTED_TAKEN),
        Example::quiet("an access token", ACCESS),
        Example::quiet("an ID token for a service that takes them", ACCEPTED),
        Example::quiet("a refresh token at the token endpoint", TOKEN_ENDPOINT),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    if normal::is_token_endpoint(view) {
        return Vec::new();
    }
    by_claims(view, memory).or_else(|| by_text(view)).into_iter().collect()
}

fn by_claims(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let bearer = |offered: &Offered| {
        offered.place == OfferedIn::Authorization
            && matches!(offered.credentials.scheme, Some(Scheme::Bearer | Scheme::Dpop))
    };
    let (offered, jwt) = tokens(view).find(|(offered, _)| bearer(offered) && is_refused(view, offered))?;
    let kind = Kind::of(jwt)?;
    // Of a 403 the right may be missing as well; a server that calls the token itself wrong says so.
    let is_about_token = view.status() != 403 || super::is_called_invalid(view);
    let history = memory.history_here(view, offered.fingerprint);
    let takes_it = history.is_some_and(|history| history.last_accepted.is_some())
        || (kind.is_id_token && memory.tokens_accepted(view).iter().any(|kind| kind.is_id_token));
    if kind.is_encrypted && !is_unread(view) {
        return None;
    }
    if !is_about_token || takes_it || (kind.is_id_token && wants_id_tokens(view, jwt)) {
        return None;
    }
    let summary = match kind.is_encrypted {
        true => "the token is encrypted, and this server does not seem to be the one that can read it".to_owned(),
        false => format!("the client sent {} in place of an access token", kind.name),
    };
    let found = RULE.found(Certainty::Likely, summary).at(At::Client).header(&offered.name);
    let found = with_credentials(found, view, offered);
    let found = point(found, format!("token: {}", kind.sign), offered, None);
    let aud = jwt.claims.as_ref().map(|claims| claims.aud.join(", ")).filter(|aud| !aud.is_empty());
    let found = match aud {
        Some(aud) => point(found, format!("token: aud={}", shown(view, &aud)), offered, None),
        None => found,
    };
    Some(with_reason(found, view))
}

/// Whether the server calls the token invalid and tells nothing of its inside.
fn is_unread(view: &View<'_>) -> bool {
    let is_described = view.challenges(false).any(|challenge| challenge.param("error_description").is_some());
    super::is_called_invalid(view) && !is_described
}

/// What a token was made for, if it is not access.
struct Kind {
    name: &'static str,
    /// By what it is known.
    sign: &'static str,
    is_id_token: bool,
    is_encrypted: bool,
}

impl Kind {
    fn of(jwt: &Jwt) -> Option<Self> {
        let id = |sign| Some(Kind { name: "an ID token", sign, is_id_token: true, is_encrypted: false });
        let other = |name, sign| Some(Kind { name, sign, is_id_token: false, is_encrypted: false });
        if jwt.encrypted && jwt.header.enc.is_some() {
            let kind = other("an encrypted token", "it has five parts, and enc in its header");
            return kind.map(|kind| Kind { is_encrypted: true, ..kind });
        }
        let claims = jwt.claims.as_ref()?;
        let typ = jwt.header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        match typ.as_str() {
            // Such a header says in so many words what it is.
            "at+jwt" | "application/at+jwt" => return None,
            "dpop+jwt" => return other("a DPoP proof", "its header has typ=dpop+jwt"),
            "logout+jwt" => return other("a logout token", "its header has typ=logout+jwt"),
            _ => {}
        }
        let kind = claims.kind.as_deref().unwrap_or_default().to_ascii_lowercase();
        match kind.as_str() {
            "refresh" => other("a refresh token", "it says of itself that it is for refreshing"),
            "offline" => other("a refresh token", "it says of itself that it is for offline use"),
            "id" => id("it says of itself that it is an ID token"),
            "access" | "bearer" => None,
            _ if claims.has_access_token_hash => id("it has at_hash, which only ID tokens have"),
            _ if is_id_token(claims) => id("it has a nonce and no scope"),
            _ => None,
        }
    }
}

/// Whether it is known of the server that it takes ID tokens: Google's and Amazon's front ends, and Kubernetes.
fn wants_id_tokens(view: &View<'_>, jwt: &Jwt) -> bool {
    let iss = jwt.claims.as_ref().and_then(|claims| claims.iss.as_deref()).unwrap_or_default();
    let is_google = iss.trim_start_matches("https://") == "accounts.google.com";
    let segment = view.path().split(|byte| *byte == b'/').nth(1).unwrap_or_default();
    let agent = view.request().value("user-agent").unwrap_or_default();
    let is_kubernetes = matches!(segment, b"api" | b"apis" | b"version") && agent.starts_with(b"kubectl/");
    let by_amazon = view.response().is_some_and(|response| response.head.has("x-amz-apigw-id"));
    is_google || is_kubernetes || by_amazon || view.request().has("x-amzn-oidc-data")
}

/// Words of those who want a JSON web token and got something without its dots.
const ENCRYPTED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..c29tZWl2.c29tZWNpcGhlcnRleHQ.c29tZXRhZw
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const ENCRYPTED_TAKEN: &str = r#"> GET /userinfo HTTP/1.1
> Host: login.example
> Authorization: Bearer eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..c29tZWl2.c29tZWNpcGhlcnRleHQ.c29tZXRhZw
< HTTP/1.1 200 OK
"#;

static WANTS_JWT: Phrases = Phrases::of(&[
    "jwt is not in the form of header.payload.signature",
    "jwt malformed",
    "not enough segments",
    "token contains an invalid number of segments",
    "invalid compact jws",
    "jwt must have three segments",
    "jwt strings must contain exactly 2 period characters",
]);

/// A token without structure, or an encrypted one, where the server wants to read it.
fn by_text(view: &View<'_>) -> Option<Finding> {
    let offered = view.authorization().filter(|offered| offered.credentials.scheme == Some(Scheme::Bearer))?;
    if offered.credentials.placeholder.is_some()
        || offered.credentials.defects.iter().any(|defect| defect.kind.is_grave())
    {
        return None;
    }
    let summary = match &offered.credentials.detail {
        Detail::Opaque => "the server wants a JSON web token, and the token has no such structure",
        Detail::Jwt(jwt) if jwt.encrypted => "the server wants a token that it can read, and this one is encrypted",
        _ => return None,
    };
    let Said { word, .. } = said(view, &WANTS_JWT).filter(|_| (400..500).contains(&view.status()))?;
    let found = RULE.found(Certainty::Certain, summary).at(At::Client).header(&offered.name);
    let found = with_reason(with_credentials(found, view, offered), view);
    Some(found.because(format!("the answer's text says \"{word}\"")))
}

fn with_reason(found: Finding, view: &View<'_>) -> Finding {
    match with_challenge(found, view) {
        (found, true) => found,
        (found, false) => found.because(format!("response: {}", view.status())),
    }
}

const ID: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1","typ":"JWT"} {"iss":"https://login.example/","aud":"web-shop","at_hash":"x","nonce":"n","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const REFRESH: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"HS512","kid":"a1"} {"iss":"https://login.example/","aud":"https://login.example/","typ":"Refresh","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders", error="invalid_token"
"#;

const COGNITO: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a","token_use":"id","exp":1795530000}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const OPAQUE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Content-Type: text/plain
< Server: istio-envoy
< WWW-Authenticate: Bearer realm="https://api.example/orders", error="invalid_token"
<
< Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections
"#;

const ACCESS: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://login.example/","typ":"Bearer","nonce":"n","scope":"openid orders","exp":1795530000}}
< HTTP/1.1 200 OK
"#;

const ACCEPTED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256","kid":"a1"} {"iss":"https://accounts.google.com","aud":"orders","at_hash":"x","exp":1795530000}}
< HTTP/1.1 200 OK
"#;

const TOKEN_ENDPOINT: &str = r#"> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
> Authorization: Bearer {jwt {"alg":"HS512","kid":"a1"} {"iss":"https://login.example/","typ":"Refresh","exp":1795530000}}
>
> grant_type=refresh_token
< HTTP/1.1 400 Bad Request
< Content-Type: application/json
<
< {"error":"invalid_request"}
"#;
