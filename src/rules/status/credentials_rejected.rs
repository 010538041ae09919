//! Everything looks right, and the answer is still no: then it is the credential itself.

use super::not_an_auth_failure::other_reason;
use crate::auth::{Checked, DefectKind, Detail, Jwt, NtlmStep, Scheme};
use crate::exchange::View;
use crate::exchange::given::Given;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::evidence::{called, clip, clock, with_answer, with_credentials};
use crate::rules::normal::{self, Normal};
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-rejected",
    family: Family::Status,
    severity: Severity::Error,
    title: "The credentials arrived, and the server does not take them",
    why: "No other rule found a fault: as far as this tap can see the credentials went out whole and well-formed, in a \
          form that the server asks for. What remains is what they are: a wrong password, a key of another environment, a \
          token that was withdrawn or is meant for somebody else, or a server that checks with old keys. A 403 is \
          milder: there the server mostly knows who asks, and a right, a role or a scope is missing.",
    fix: "Try the same credentials directly against the server, past everything in between. If they fail there as well, \
          replace them. If they work, compare what arrives: put a second tap right before the server.",
    spec: &[Spec::rfc(9110, "15.5.2"), Spec::rfc(9110, "15.5.4")],
    supersedes: &[],
    examples: &[
        Example::fires("a wrong password", PASSWORD),
        Example::fires("it worked until a moment ago", STOPPED),
        Example::fires("refused without a challenge", BARE),
        Example::fires("a token that ended a moment ago", JUST_ENDED),
        Example::fires("NTLM inside of Negotiate, which the server does not take", NTLM),
        Example::fires("403 from an API that knows who asks", RIGHTS),
        Example::fires("S3 denies access", S3),
        Example::quiet("403 by a limit of rate", LIMITED),
        Example::quiet("the client corrects the password", CORRECTED),
        Example::quiet("the token endpoint judges by its own rules", TOKEN_ENDPOINT),
    ],
    check: Check::Failure(check),
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

const JUST_ENDED: &str = r#"* time 2026-11-24T12:00:20Z
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer {jwt {"alg":"RS256"} {"exp":1795521600}}
< HTTP/1.1 401 Unauthorized
< Date: Tue, 24 Nov 2026 12:00:20 GMT
< WWW-Authenticate: Bearer realm="orders"
"#;

const NTLM: &str = r#"> GET /share HTTP/1.1
> Host: files.example
> Authorization: Negotiate {ntlm 1}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate
"#;

const RIGHTS: &str = r#"> DELETE /orders/7 HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< Content-Type: application/json
<
< {"error":"forbidden"}
"#;

const S3: &str = r#"> GET /bucket/a.txt HTTP/1.1
> Host: s3.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< Content-Type: application/xml
<
< <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>
"#;

const LIMITED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< Content-Type: application/json
<
< {"message":"You have exceeded a secondary rate limit. Please wait a few minutes."}
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
    if !view.is_refused() || view.is_preflight() || other_reason(view).is_some() {
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
    let found = if is_about_rights(view) { rights(view, offered) } else { refused(view, offered, memory) };
    let found = with_answer(with_credentials(found.header(&offered.name), view, offered), view);
    let found = ruled_out(with_words(found, view), view, offered, memory);
    vec![told_by_history(found, view, offered, memory)]
}

/// The answer 401 or 407, or a 403 that calls the token itself wrong.
fn refused(view: &View<'_>, offered: &Offered, memory: &Memory) -> Finding {
    if is_ntlm_in_negotiate(view, offered) {
        let summary =
            "the server does not take NTLM inside of Negotiate: it did not go on with the client's first message";
        return RULE.found(Certainty::Likely, summary).because("no credentials yet: NTLM message 1 of 3").fix(
            "Clients take NTLM where they have no Kerberos ticket for the server. See that this one gets it: the name in the \
             URL needs a service principal (SPN), and the client has to reach the domain controller. Or let the server \
             take NTLM.",
        );
    }
    let what = called(view, offered);
    let (are, them) = if is_plural(offered) { ("are", "them") } else { ("is", "it") };
    let history = memory.history_here(view, offered.fingerprint);
    let summary = match history.and_then(|history| history.last_accepted) {
        Some(at) => format!("{what} worked until {} and {are} refused since", clock(at)),
        None if !offered.credentials.defects.is_empty() => {
            format!("{what} went out whole, and the server refuses {them}")
        }
        None => format!("{what} went out whole and well-formed, and the server refuses {them}"),
    };
    RULE.found(Certainty::Likely, summary)
}

/// Whether credentials are called by a plural: the user name and password, the Digest credentials.
fn is_plural(offered: &Offered) -> bool {
    let is_in_field = !matches!(offered.place, OfferedIn::Query | OfferedIn::Form | OfferedIn::Userinfo);
    is_in_field && offered.credentials.scheme.as_ref().is_some_and(|scheme| *scheme != Scheme::Bearer)
}

/// Whether the first message of NTLM was sent in Negotiate, and the answer begins anew instead of going on with it.
fn is_ntlm_in_negotiate(view: &View<'_>, offered: &Offered) -> bool {
    offered.credentials.scheme == Some(Scheme::Negotiate)
        && view.ntlm_sent() == Some(NtlmStep::Negotiate)
        && view.ntlm_asked().is_none()
        && view.challenges(view.status() == 407).any(|challenge| challenge.scheme == Scheme::Negotiate)
}

/// Whether the answer is about what these credentials allow: 403, unless the server calls the token itself wrong.
fn is_about_rights(view: &View<'_>) -> bool {
    let mut challenges = view.challenges(false);
    view.status() == 403 && !challenges.any(|challenge| challenge.param("error") == Some("invalid_token"))
}

/// 403 says that who asks is known, or does not matter, and may not (RFC 9110 15.5.4). Some servers also answer so to
/// credentials that they do not take.
fn rights(view: &View<'_>, offered: &Offered) -> Finding {
    let what = called(view, offered);
    let summary = format!("403, not 401: {what} may be good, and only lack the right to do this");
    let found = RULE.found(Certainty::Possible, summary).fix(
        "Look up what right, role or scope this request needs, and whether these credentials have it; the server's log \
         says more. If it answers 403 to wrong credentials as well, which a made-up value shows, check them next.",
    );
    found.severity(if speaks_of_rights(view) { Severity::Warning } else { Severity::Info })
}

/// Whether a 403 has to do with who asks, as far as it can be seen: firewalls and limits of rate answer so too.
fn speaks_of_rights(view: &View<'_>) -> bool {
    static WORDS: Phrases = Phrases::of(&[
        "access denied",
        "access_denied",
        "accessdenied",
        "api key",
        "authenti",
        "authoriz",
        "credential",
        "invalid token",
        "not allowed",
        "permission",
        "permitted",
        "privilege",
        "role",
        "scope",
    ]);
    if view.challenges(false).next().is_some() {
        return true;
    }
    let text = view.error_text().unwrap_or_default().to_ascii_lowercase();
    // The error's own name, where a program wrote it; a page has the word in its heading, whatever the reason.
    let is_named = !text.trim_start().starts_with('<') && text.contains("forbidden");
    is_named || WORDS.first_in(&text).is_some()
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
    let text = view.error_text().unwrap_or_default().trim_start();
    let begins = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if text.is_empty() || begins("<html") || begins("<!doctype") {
        return found;
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // Before it is cut: of a secret that is cut off, the rest would not be known again.
    let shown = view.redactor().text(&view.without_echoes(line));
    let mut quoted: String = shown.chars().take(QUOTED).collect();
    if shown.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    found.because(format!("body: {}", clip(&quoted)))
}

/// What was looked at and is not the cause, since that is half of the work.
fn ruled_out(mut found: Finding, view: &View<'_>, offered: &Offered, memory: &Memory) -> Finding {
    let scheme = offered.credentials.scheme.as_ref();
    let mut challenges = view.challenges(view.status() == 407);
    if let Some(asked) = challenges.find(|challenge| Some(&challenge.scheme) == scheme) {
        found = found.because(format!("not the scheme: {} is asked for", asked.scheme_as_sent));
    }
    if let Some(spelling) = spelling(view, offered) {
        found = found.because(spelling);
    }
    if let Detail::Jwt(jwt) = &offered.credentials.detail
        && let Some(claims) = &jwt.claims
        && let Some(exp) = claims.exp.and_then(|exp| exp.timestamp())
    {
        let now = view.server_time();
        let late = now.as_second().saturating_sub(exp.as_second());
        let has_begun = claims.nbf.and_then(|nbf| nbf.timestamp()).is_none_or(|nbf| nbf <= now);
        if exp > now && has_begun {
            found = found.because(format!("not the time: the token is valid until {}", exp.strftime("%F %H:%M:%SZ")));
        } else if (1..=60).contains(&late) {
            found = found.because(format!("the time: exp was {late} s before the answer; servers allow some leeway"));
        }
    }
    if let Detail::Jwt(jwt) = &offered.credentials.detail {
        found = by_given(view, offered, jwt, memory.given()).into_iter().fold(found, Finding::because);
    }
    if let Some(date) = view.response_date() {
        let apart = (date.as_second() - view.exchange().time.as_second()).abs();
        if apart <= 5 {
            found = found.because(format!("not the clock: the server's Date is within {}s of ours", apart.max(1)));
        }
    }
    found
}

/// What holds of a token by what the operator gave.
fn by_given(view: &View<'_>, offered: &Offered, jwt: &Jwt, given: &Given) -> Vec<String> {
    let claims = jwt.claims.as_ref();
    let mut holds = Vec::new();
    if let Some(Checked::Fits { .. }) = view.check_signature(offered, jwt, given) {
        holds.push("not the signature: it fits a key that was given".to_owned());
    }
    if given.trusts(claims.and_then(|claims| claims.iss.as_deref())) == Some(true) {
        holds.push("not the issuer: it is the one that was given".to_owned());
    }
    if claims.and_then(|claims| given.is_meant(&claims.aud)) == Some(true) {
        holds.push("not the audience: it is the one that was given".to_owned());
    }
    holds
}

/// What can be said of how the credentials are written; grave defects have rules of their own.
fn spelling(view: &View<'_>, offered: &Offered) -> Option<String> {
    let defects = &offered.credentials.defects;
    if defects.iter().any(|defect| defect.kind.is_grave()) {
        return None;
    }
    let Some(minor) = defects.first() else {
        return Some("not the spelling: no fault in the header as it passed here".to_owned());
    };
    let usual = offered.credentials.scheme.as_ref().and_then(Scheme::registered_spelling);
    Some(match (minor.kind, usual) {
        (DefectKind::SchemeSpelling, Some(usual)) => {
            let sent = view.redactor().name(offered.credentials.scheme_as_sent.as_bytes());
            format!("the spelling: the scheme is written {sent}, which is legal, but some servers want {usual}")
        }
        _ => format!("the spelling: {}", minor.kind.text()),
    })
}

fn told_by_history(mut found: Finding, view: &View<'_>, offered: &Offered, memory: &Memory) -> Finding {
    if let Some(history) = memory.history_here(view, offered.fingerprint)
        && let Some(since) = history.refused_since
    {
        found = found.because(format!("before: refused {} times since {}", history.refusals, clock(since)));
    }
    match memory.others_accepted(view, offered.fingerprint) {
        Some(at) => found.because(format!("others: other credentials worked here at {}", clock(at))),
        None => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::credentials::tests::found;

    fn one(text: &str) -> Finding {
        let found = found(&RULE, text);
        assert_eq!(found.len(), 1, "{text}");
        found.into_iter().next().unwrap()
    }

    fn evidence(finding: &Finding) -> String {
        finding.evidence.iter().map(|evidence| evidence.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_403_is_about_rights_and_no_error() {
        for (answer, severity, certainty) in [
            ("<\n< {\"error\":\"forbidden\"}\n", Severity::Warning, Certainty::Possible),
            ("<\n< You need the role admin\n", Severity::Warning, Certainty::Possible),
            ("<\n< Please come back tomorrow\n", Severity::Info, Certainty::Possible),
            ("<\n< <html><h1>403 Forbidden</h1></html>\n", Severity::Info, Certainty::Possible),
            ("", Severity::Info, Certainty::Possible),
            // The server speaks of the token itself.
            ("< WWW-Authenticate: Bearer error=\"invalid_token\"\n", Severity::Error, Certainty::Likely),
        ] {
            let text =
                format!("> GET / HTTP/1.1\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n< HTTP/1.1 403 x\n{answer}");
            let finding = one(&text);
            assert_eq!((finding.severity, finding.certainty), (severity, certainty), "{text}");
            assert_eq!(finding.fix == RULE.fix, severity == Severity::Error, "{}", finding.fix);
        }
    }

    #[test]
    fn the_spelling_is_ruled_out_only_where_it_is_flawless() {
        for (value, expected) in [
            ("Bearer 2YotnFZFEjr1zCsicMWpAA", "not the spelling: no fault"),
            (
                "bearer 2YotnFZFEjr1zCsicMWpAA",
                "the scheme is written bearer, which is legal, but some servers want Bearer",
            ),
            ("Bearer  2YotnFZFEjr1zCsicMWpAA", "the spelling: several spaces follow the scheme"),
        ] {
            let finding = one(&format!(
                "> GET / HTTP/1.1\n> Authorization: {value}\n< HTTP/1.1 401 x\n< WWW-Authenticate: Bearer realm=\"a\"\n"
            ));
            let shown = evidence(&finding);
            assert!(shown.contains(expected), "{shown}");
            assert_eq!(
                shown.contains("not the spelling"),
                finding.summary.contains("well-formed"),
                "{}",
                finding.summary
            );
        }
    }

    #[test]
    fn a_token_that_has_just_ended_is_said_to_have() {
        let shown = evidence(&one(JUST_ENDED));
        assert!(shown.contains("exp was 20 s before the answer; servers allow some leeway"), "{shown}");
        assert!(!shown.contains("not the time"), "{shown}");
    }

    #[test]
    fn sentences_agree_in_number() {
        for (fields, expected) in [
            (
                "Authorization: Basic {basic anna:correct horse}",
                "the user name and password went out whole and well-formed, and the server refuses them",
            ),
            (
                "Authorization: NTLM {ntlm 3}",
                "the NTLM credentials went out whole and well-formed, and the server refuses them",
            ),
            (
                "Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA",
                "the Bearer token went out whole and well-formed, and the server refuses it",
            ),
            (
                "X-Api-Key: 0b5a7c2e9d1f4a3c8e6b",
                "the key in X-Api-Key went out whole and well-formed, and the server refuses it",
            ),
        ] {
            assert_eq!(one(&format!("> GET / HTTP/1.1\n> {fields}\n< HTTP/1.1 401 x\n")).summary, expected);
        }
        let finding = one(NTLM);
        assert!(
            finding.summary.starts_with("the server does not take NTLM inside of Negotiate"),
            "{}",
            finding.summary
        );
        assert!(finding.fix.contains("Kerberos"));
    }

    #[test]
    fn what_happened_on_another_route_is_no_history() {
        const TOKEN: &str = "> Host: a\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n";
        let accepted = |path: &str| format!("> GET {path} HTTP/1.1\n{TOKEN}< HTTP/1.1 200 OK\n");
        let refused = |path: &str| {
            format!(
                "> GET {path} HTTP/1.1\n{TOKEN}< HTTP/1.1 401 x\n< WWW-Authenticate: Bearer error=\"invalid_token\"\n"
            )
        };
        assert!(one(&(accepted("/orders") + &refused("/orders"))).summary.contains("worked until"));
        assert!(!one(&(accepted("/orders") + &refused("/reports"))).summary.contains("worked until"));
    }
}
