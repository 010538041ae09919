//! Traffic that looks like a failure and is none.
//!
//! Handshakes begin with a refusal, health probes are refused on purpose, a login form answers 401 to a wrong password.
//! An exchange that one of these explains may carry something worth knowing, never a warning about its credentials.
//!
//! Two more things are normal and need no recogniser: names in lower case over HTTP/2, where [`View::is_http2`] tells,
//! and the absence of Authorization in a preflight and behind a redirect to another origin.

use jiff::Timestamp;

use crate::auth::{DefectKind, Detail, NtlmStep, Scheme};
use crate::exchange::View;
use crate::memory::{Accepted, Memory, Unanswered};

use super::field_names;

/// Why an exchange is as it should be, though the answer is not a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Normal {
    /// Nothing was sent, and a sound challenge came back: how every handshake starts, and how clients work that never
    /// send credentials first (docker, git, NuGet, Maven, .NET).
    HandshakeStart,
    /// A message of NTLM that another one follows: only the answer to the last one is a decision (MS-NTHT).
    NtlmStep,
    /// A leg of Negotiate that another one follows (RFC 4559 5).
    NegotiateStep,
    /// The Digest nonce was too old; a new one came (RFC 7616 3.3).
    DigestNonceStale,
    /// The server asks for its own nonce in the DPoP proof (RFC 9449 8, 9).
    DpopNonceAsked,
    /// A token was in use until its time ran out. Clients learn so from the first refusal, and renew it.
    TokenRanOut,
    /// A client looks for OAuth metadata where it may be (RFC 8414 3, RFC 9728 3); not each place has it.
    Discovery,
    /// A preflight, which never carries credentials (Fetch, CORS-preflight request).
    Preflight,
    /// A health probe, refused as was intended.
    HealthProbe,
    /// A token of Privacy Pass is asked for (RFC 9577 2.1).
    PrivateTokenAsked,
    /// What browsers fetch on their own: the icon, source maps.
    BrowserExtra,
    /// The token endpoint judges by the rules of OAuth (RFC 6749 5.2); its Basic credentials are the client's own.
    TokenEndpoint,
    /// Somebody logs out, and the refusal makes the browser forget the password.
    Logout,
    /// A page load is sent to the login page.
    LoginRedirect,
    /// A wrong password in a login form.
    LoginForm,
}

impl Normal {
    /// The name in kebab case.
    pub fn id(self) -> &'static str {
        match self {
            Self::HandshakeStart => "handshake-start",
            Self::NtlmStep => "ntlm-step",
            Self::NegotiateStep => "negotiate-step",
            Self::DigestNonceStale => "digest-nonce-stale",
            Self::DpopNonceAsked => "dpop-nonce-asked",
            Self::TokenRanOut => "token-ran-out",
            Self::Discovery => "discovery",
            Self::Preflight => "preflight",
            Self::HealthProbe => "health-probe",
            Self::PrivateTokenAsked => "private-token-asked",
            Self::BrowserExtra => "browser-extra",
            Self::TokenEndpoint => "token-endpoint",
            Self::Logout => "logout",
            Self::LoginRedirect => "login-redirect",
            Self::LoginForm => "login-form",
        }
    }

    /// Whether it explains a refusal, so that nothing about its credentials or its status is a fault.
    pub fn is_about_authentication(self) -> bool {
        self != Self::LoginRedirect
    }

    /// Whether it is a step of a handshake that the client goes on with.
    pub fn is_step(self) -> bool {
        matches!(self, Self::NtlmStep | Self::NegotiateStep | Self::DigestNonceStale | Self::DpopNonceAsked)
    }
}

/// What normal pattern explains this exchange, if any does.
pub fn recognise(view: &View<'_>, memory: &Memory) -> Option<Normal> {
    if view.is_preflight() {
        return Some(Normal::Preflight);
    }
    if let Some(step) = step(view) {
        return Some(step);
    }
    if ran_out(view, memory) {
        return Some(Normal::TokenRanOut);
    }
    let nothing_sent = view.offered().is_empty();
    let refused = view.is_refused();
    if refused && nothing_sent && is_probe(view) {
        return Some(Normal::HealthProbe);
    }
    if is_token_endpoint(view) && matches!(view.status(), 400 | 401) {
        return Some(Normal::TokenEndpoint);
    }
    if nothing_sent && matches!(view.status(), 401 | 403 | 404) && is_discovery(view) {
        return Some(Normal::Discovery);
    }
    let never_sent = || memory.client(view).is_none_or(|client| client.last_sent.is_none());
    if refused && nothing_sent && is_browser_extra(view) && never_sent() {
        return Some(Normal::BrowserExtra);
    }
    if view.status() == 401 && is_logout(view) {
        return Some(Normal::Logout);
    }
    if matches!(view.status(), 401 | 403) && nothing_sent && is_login_form(view) {
        return Some(Normal::LoginForm);
    }
    if matches!(view.status(), 302 | 303 | 307) && is_page_load(view) {
        return Some(Normal::LoginRedirect);
    }
    if matches!(view.status(), 401 | 407)
        && nothing_sent
        && is_sound_challenge(view)
        && !has_traces(view)
        && !is_grpc(view)
        && (view.status() != 407 || is_for_proxy(view))
        && !(is_manifest(view) && memory.is_logged_in(view))
    {
        if stopped_sending(view, memory).is_some() || ignored_challenges(view, memory).is_some() {
            return None;
        }
        let private = view.challenge(&Scheme::PrivateToken).is_some();
        return Some(if private { Normal::PrivateTokenAsked } else { Normal::HandshakeStart });
    }
    None
}

/// The steps of handshakes that take several exchanges.
fn step(view: &View<'_>) -> Option<Normal> {
    if !matches!(view.status(), 400 | 401 | 407) {
        return None;
    }
    let sent = view.main_credentials()?;
    // Type 1 answered by type 2. Type 1 answered by a bare challenge once more is none: that handshake does not go on.
    if view.ntlm_sent() == Some(NtlmStep::Negotiate) && view.ntlm_asked() == Some(NtlmStep::Challenge) {
        return Some(Normal::NtlmStep);
    }
    let scheme = sent.credentials.scheme.as_ref()?;
    let by_proxy = view.status() == 407;
    let mut challenges = view.challenges(by_proxy);
    match scheme {
        Scheme::Negotiate => {
            let goes_on =
                challenges.any(|challenge| challenge.scheme == Scheme::Negotiate && challenge.token68.is_some());
            let refused = view.ntlm_sent() == Some(NtlmStep::Authenticate);
            (goes_on && !refused).then_some(Normal::NegotiateStep)
        }
        Scheme::Digest => {
            let stale = challenges.find(|challenge| challenge.scheme == Scheme::Digest)?.param("stale")?;
            stale.eq_ignore_ascii_case("true").then_some(Normal::DigestNonceStale)
        }
        _ => asks_for_dpop_nonce(view).then_some(Normal::DpopNonceAsked),
    }
}

/// How long after its end a token is refused for the first time, if a client uses it every now and then.
const RAN_OUT_SECONDS: i64 = 600;

/// Whether this is the first refusal of a token that was accepted here until it ended, by both clocks. The second one is
/// a client that does not renew its token.
fn ran_out(view: &View<'_>, memory: &Memory) -> bool {
    let Some(offered) = view.main_credentials().filter(|_| view.status() == 401) else { return false };
    let Detail::Jwt(jwt) = &offered.credentials.detail else { return false };
    let exp = jwt.claims.as_ref().and_then(|claims| claims.exp?.timestamp());
    let (Some(exp), Some(history)) = (exp, memory.history_here(view, offered.fingerprint)) else { return false };
    let since = |time: Timestamp| time.as_second() - exp.as_second();
    let is_over = |time: Timestamp| (0..=RAN_OUT_SECONDS).contains(&since(time));
    let was_good = history.last_accepted.is_some_and(|accepted| since(accepted) <= 0);
    was_good && history.refused_since.is_none() && is_over(view.server_time()) && is_over(view.exchange().time)
}

fn asks_for_dpop_nonce(view: &View<'_>) -> bool {
    let Some(response) = view.response() else { return false };
    let by_challenge = || view.challenges(false).any(|challenge| challenge.param("error") == Some("use_dpop_nonce"));
    let by_body = || view.error_text().is_some_and(|text| text.contains("use_dpop_nonce"));
    response.head.has("dpop-nonce") && (by_challenge() || by_body())
}

/// Whether what the client is asked for can be understood and answered.
fn is_sound_challenge(view: &View<'_>) -> bool {
    let by_proxy = view.status() == 407;
    let mut fields = view.challenged().iter().filter(|field| field.by_proxy == by_proxy).peekable();
    let is_grave = |kind: DefectKind| kind.is_grave();
    fields.peek().is_some()
        && fields.all(|field| {
            !field.challenges.is_empty()
                && !field.defects.iter().any(|defect| is_grave(defect.kind))
                && field
                    .challenges
                    .iter()
                    .all(|challenge| !challenge.defects.iter().any(|defect| is_grave(defect.kind)))
        })
}

/// Whether something in the request was meant to be credentials, though it is none.
fn has_traces(view: &View<'_>) -> bool {
    let request = view.request();
    request.fields().any(|field| field_names::suspect(field.name).is_some()) || field_names::hides_credentials(request)
}

/// After so many challenges without an answer a client is taken for one that will never answer.
const IGNORED: u32 = 5;
/// Credentials that were accepted longer ago say nothing about now.
const RECENT_SECONDS: i64 = 600;

/// When this client last had credentials accepted at the same place without having been asked, if now there are none.
/// That is no start of a handshake: something took them away.
pub(super) fn lost_credentials(view: &View<'_>, memory: &Memory) -> Option<Accepted> {
    // Of a head that was cut nobody knows what it lacks.
    let is_bare = view.offered().is_empty() && !view.request().is_cut();
    let accepted = memory.accepted_unasked(view).filter(|_| is_bare)?;
    (view.exchange().time.as_second() - accepted.time.as_second() <= RECENT_SECONDS).then_some(accepted)
}

/// The same, where the client was challenged here since and does not answer. One that sends some of its requests with
/// credentials and others without answers, or is content with the refusal of a first one.
pub(super) fn stopped_sending(view: &View<'_>, memory: &Memory) -> Option<(Accepted, Unanswered)> {
    lost_credentials(view, memory).zip(memory.left_unanswered(view))
}

/// How many challenges in a row this client has left without an answer, if it is a program that asks for data and not
/// a probe, a scanner, or a browser that shows its prompt.
pub(super) fn ignored_challenges(view: &View<'_>, memory: &Memory) -> Option<u32> {
    let ignored = memory.client(view).map(|client| client.ignored).filter(|ignored| *ignored >= IGNORED)?;
    let accepts_json = view.request().value("accept").is_some_and(|accept| accept.starts_with(b"application/json"));
    let wants_data = accepts_json || !matches!(view.method(), b"GET" | b"HEAD" | b"OPTIONS");
    (wants_data && !view.request().is_cut() && is_sound_challenge(view) && !is_probe(view)).then_some(ignored)
}

/// Whether the request may be one for a forward proxy: there the target is a whole URL or an authority (RFC 9112 3.2), and in
/// HTTP/2 both look alike.
pub(super) fn is_for_proxy(view: &View<'_>) -> bool {
    view.method() == b"CONNECT" || view.is_http2() || !matches!(view.target().first(), Some(b'/' | b'*'))
}

/// Whether a browser asks for the manifest of a web application, which it does without credentials. Nobody answers that
/// challenge.
pub(super) fn is_manifest(view: &View<'_>) -> bool {
    let by_name = || view.path().ends_with(b".webmanifest") || ends_in_word(view.path(), &["manifest.json"]);
    view.method() == b"GET"
        && match view.request().value("sec-fetch-dest") {
            Some(dest) => dest.eq_ignore_ascii_case(b"manifest"),
            None => by_name(),
        }
}

fn contains(text: &[u8], word: &str) -> bool {
    memchr::memmem::find(&text.to_ascii_lowercase(), word.as_bytes()).is_some()
}

/// Whether the request comes from a health checker that names itself.
pub(super) fn is_probe(view: &View<'_>) -> bool {
    const PROBES: [&str; 4] = ["kube-probe/", "elb-healthchecker/", "googlehc/", "consul health check"];
    view.request().value("user-agent").is_some_and(|agent| PROBES.iter().any(|probe| contains(agent, probe)))
}

/// Whether the request is one for tokens (RFC 6749 3.2): there Basic carries the client's own id and secret.
pub(super) fn is_token_endpoint(view: &View<'_>) -> bool {
    let names_grant = || {
        let form = view.exchange().request.body.start.as_ref();
        form.is_some_and(|form| contains(form, "grant_type="))
    };
    view.method() == b"POST"
        && (ends_in_word(view.path(), &["token", "oauth2", "introspect", "revoke"]) && is_form(view) || names_grant())
}

/// Whether a gRPC client asks, which reads grpc-status and no challenge.
pub(super) fn is_grpc(view: &View<'_>) -> bool {
    let kind = view.request().value("content-type").unwrap_or_default().to_ascii_lowercase();
    kind.starts_with(b"application/grpc") && !kind.starts_with(b"application/grpc-web")
}

fn is_form(view: &View<'_>) -> bool {
    view.request().value("content-type").is_some_and(|value| contains(value, "application/x-www-form-urlencoded"))
}

fn ends_in_word(path: &[u8], words: &[&str]) -> bool {
    let last = path.rsplit(|byte| *byte == b'/').find(|segment| !segment.is_empty()).unwrap_or_default();
    words.iter().any(|word| last.eq_ignore_ascii_case(word.as_bytes()))
}

fn is_discovery(view: &View<'_>) -> bool {
    const PLACES: [&str; 3] = ["oauth-protected-resource", "oauth-authorization-server", "openid-configuration"];
    contains(view.path(), "/.well-known/") && PLACES.iter().any(|place| contains(view.path(), place))
}

fn is_browser_extra(view: &View<'_>) -> bool {
    let path = view.path();
    let names = ["favicon.ico", "apple-touch-icon.png", "apple-touch-icon-precomposed.png", "robots.txt"];
    ends_in_word(path, &names) || path.ends_with(b".js.map") || path.ends_with(b".css.map")
}

fn is_logout(view: &View<'_>) -> bool {
    ends_in_word(view.path(), &["logout", "logoff", "signout", "sign-out", "sign_out"])
}

/// Whether the request is a login, whose answer is about what its body says and not about a field.
fn is_login_form(view: &View<'_>) -> bool {
    const LOGINS: [&str; 9] =
        ["login", "signin", "sign-in", "sign_in", "log-in", "authenticate", "session", "sessions", "password"];
    view.method() == b"POST" && ends_in_word(view.path(), &LOGINS) && view.challenges(false).next().is_none()
}

/// Whether a browser loads a page, as opposed to a script or a program that wants data.
pub(super) fn is_page_load(view: &View<'_>) -> bool {
    let request = view.request();
    match request.value("sec-fetch-mode") {
        Some(mode) => mode.eq_ignore_ascii_case(b"navigate"),
        None => request.value("accept").is_some_and(|accept| {
            let first = accept.split(|byte| *byte == b',').next().unwrap_or_default();
            contains(first, "text/html") || contains(first, "application/xhtml+xml")
        }),
    }
}

#[cfg(test)]
#[path = "normal_tests.rs"]
mod tests;
