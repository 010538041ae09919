//! Everything looks right, and the answer is still no: then it is the credential itself.

use crate::auth::Detail;
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::evidence::{called, clip, clock, with_answer, with_credentials};
use crate::rules::normal::{self, Normal};
use crate::rules::{At, Certainty, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-rejected",
    family: Family::Status,
    severity: Severity::Error,
    title: "The credentials arrived, and the server does not take them",
    why: "No other rule found a fault: as far as this tap can see the credentials went out whole and well-formed, in a \
          form that the server asks for. What remains is what they are: a wrong password, a key of another environment, a \
          token that was withdrawn or is meant for somebody else, or a server that checks with old keys.",
    fix: "Try the same credentials directly against the server, past everything in between. If they fail there as well, \
          replace them. If they work, compare what arrives: put a second tap right before the server.",
    spec: &[Spec::rfc(9110, "15.5.2"), Spec::rfc(9110, "15.5.4")],
    supersedes: &[],
    examples: &[
        Example::fires("a wrong password", PASSWORD),
        Example::fires("it worked until a moment ago", STOPPED),
        Example::fires("refused without a challenge", BARE),
        Example::quiet("the client corrects the password", CORRECTED),
        Example::quiet("the token endpoint judges by its own rules", TOKEN_ENDPOINT),
    ],
    check,
};

const PASSWORD: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:00:00 GMT
< WWW-Authenticate: Basic realm="orders", charset="UTF-8"
"#;

const STOPPED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* later 5m
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error="invalid_token"
"#;

const BARE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> X-Api-Key: 0b5a7c2e9d1f4a3c8e6b
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
<
< {"error":"wrong",
<  "hint":"see the portal"}
"#;

const CORRECTED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders", charset="UTF-8"
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const TOKEN_ENDPOINT: &str = r#"> POST /oauth2/token HTTP/1.1
> Host: login.example
> Content-Type: application/x-www-form-urlencoded
> Authorization: Basic {basic billing:correct horse}
>
> grant_type=client_credentials
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
< WWW-Authenticate: Basic realm="login"
<
< {"error":"invalid_client"}
"#;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    if !view.is_refused() || view.is_preflight() {
        return Vec::new();
    }
    let Some(offered) = judged(view) else { return Vec::new() };
    match normal::recognise(view, memory) {
        Some(Normal::TokenEndpoint) => {
            let summary = "the token endpoint does not take the client's own id and secret, or the grant";
            let found = RULE.found(Certainty::Likely, summary).severity(Severity::Info).at(At::Client);
            return vec![with_answer(with_credentials(found, view, offered), view)];
        }
        Some(_) => return Vec::new(),
        None => {}
    }
    let what = called(view, offered);
    let history = memory.history(offered.fingerprint);
    let worked = history.and_then(|history| history.last_accepted);
    let (certainty, summary) = match (view.status(), worked) {
        (403, _) => (Certainty::Possible, format!("{what} went out whole, and does not allow this")),
        (_, Some(at)) => (Certainty::Likely, format!("{what} worked until {} and is refused since", clock(at))),
        (_, None) => (Certainty::Likely, format!("{what} went out whole and well-formed, and the server refuses it")),
    };
    let found = with_answer(with_credentials(RULE.found(certainty, summary), view, offered), view);
    let found = with_words(found, view);
    let found = ruled_out(found.header(&offered.name), view, offered);
    vec![told_by_history(found, view, offered, memory)]
}

/// The credentials that this answer is about: those for a proxy where a proxy refuses, or where there are no others.
fn judged<'v>(view: &'v View<'_>) -> Option<&'v Offered> {
    let for_proxy = view.offered().iter().find(|offered| offered.place == OfferedIn::ProxyAuthorization);
    if view.status() == 407 {
        return for_proxy;
    }
    let for_server = view.offered().iter().find(|offered| offered.place != OfferedIn::ProxyAuthorization);
    view.authorization().or(for_server).or(for_proxy)
}

/// Adds the beginning of what the server says in the body, in one line. A page for people says nothing of use there.
fn with_words(found: Finding, view: &View<'_>) -> Finding {
    const QUOTED: usize = 100;
    let Some(text) = view.error_text() else { return found };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_page = line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("<html"))
        || line.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"));
    if line.is_empty() || is_page {
        return found;
    }
    // Before it is cut: of a secret that is cut off, the rest would not be known again.
    let shown = view.redactor().text(&view.without_echoes(line));
    let mut quoted: String = shown.chars().take(QUOTED).collect();
    if shown.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    found.because(format!("body: {}", clip(&quoted)))
}

/// What was looked at and is not the cause, since that is half of the work.
fn ruled_out(mut found: Finding, view: &View<'_>, offered: &Offered) -> Finding {
    let scheme = offered.credentials.scheme.as_ref();
    let mut challenges = view.challenges(view.status() == 407);
    if let Some(asked) = challenges.find(|challenge| Some(&challenge.scheme) == scheme) {
        found = found.because(format!("not the scheme: {} is asked for", asked.scheme_as_sent));
    }
    if offered.credentials.defects.iter().all(|defect| !defect.kind.is_grave()) {
        found = found.because("not the spelling: no fault in the header as it passed here");
    }
    if let Detail::Jwt(jwt) = &offered.credentials.detail
        && let Some(claims) = &jwt.claims
        && let Some(exp) = claims.exp.and_then(|exp| exp.timestamp())
        && exp > view.server_time()
        && claims.nbf.and_then(|nbf| nbf.timestamp()).is_none_or(|nbf| nbf <= view.server_time())
    {
        found = found.because(format!("not the time: the token is valid until {}", exp.strftime("%F %H:%M:%SZ")));
    }
    if let Some(date) = view.response_date() {
        let apart = (date.as_second() - view.exchange().time.as_second()).abs();
        if apart <= 5 {
            found = found.because(format!("not the clock: the server's Date is within {}s of ours", apart.max(1)));
        }
    }
    found
}

fn told_by_history(mut found: Finding, view: &View<'_>, offered: &Offered, memory: &Memory) -> Finding {
    if let Some(history) = memory.history(offered.fingerprint)
        && let Some(since) = history.refused_since
    {
        found = found.because(format!("before: refused {} times since {}", history.refusals, clock(since)));
    }
    match memory.others_accepted(view, offered.fingerprint) {
        Some(at) => found.because(format!("others: other credentials worked here at {}", clock(at))),
        None => found,
    }
}
