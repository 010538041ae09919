//! A 403 to a request that was not logged in, where 401 is meant.

use super::not_an_auth_failure::other_reason;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_answer};
use crate::rules::normal;
use crate::rules::words::{self, Meaning};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "forbidden-without-credentials",
    family: Family::Status,
    severity: Severity::Warning,
    title: "403 to a request that was not logged in",
    why: "403 says that who asks is known, or does not matter, and may not. A client takes it as final: it does not log \
          in, and does not refresh its token. Where the text says that a login is missing, 401 with a challenge is meant. \
          Frameworks answer 403 where no authenticator names a challenge.",
    fix: "Answer 401 with a WWW-Authenticate line. In Django REST framework, put an authenticator that has a challenge \
          first in the list; in Spring Security, set an AuthenticationEntryPoint.",
    spec: &[Spec::rfc(9110, "15.5.2"), Spec::rfc(9110, "15.5.4")],
    supersedes: &["credentials-absent"],
    examples: &[
        Example::fires("Django REST framework with session authentication first", DJANGO),
        Example::quiet("a page that is closed to all", CLOSED),
        Example::quiet("a firewall refuses", FIREWALL),
    ],
    check: Check::Failure(check),
};

const DJANGO: &str = r#"> GET /api/orders/ HTTP/1.1
> Host: api.example
> Accept: application/json
< HTTP/1.1 403 Forbidden
< Content-Type: application/json
<
< {"detail":"Authentication credentials were not provided."}
"#;

const CLOSED: &str = r#"> GET /internal/ HTTP/1.1
> Host: api.example
< HTTP/1.1 403 Forbidden
< Content-Type: text/html
<
< <h1>Forbidden</h1><p>You don't have permission to access this resource.</p>
"#;

const FIREWALL: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 403 Forbidden
< Server: cloudflare
< cf-mitigated: challenge
< Content-Type: text/html
<
< <title>Just a moment...</title> You must log in
"#;

/// Words with which a text speaks of a missing login, in lower case.
const SPEAKS_OF_LOGIN: [&str; 10] = [
    "not authenticated",
    "unauthenticated",
    "authentication required",
    "authentication is required",
    "login required",
    "please log in",
    "must log in",
    "must be logged in",
    "not logged in",
    "please sign in",
];

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let sent = !view.offered().is_empty() || view.request().has("cookie") || client_certificate(view);
    // Credentials may stand where nothing was recorded.
    let may_have_sent = sent || view.request().is_cut();
    if view.status() != 403
        || may_have_sent
        || normal::recognise(view, memory).is_some()
        || other_reason(view).is_some()
    {
        return Vec::new();
    }
    let said = words::said(view).filter(|said| said.meaning == Meaning::NoCredentials);
    let text = view.error_text().unwrap_or_default();
    let phrase = match said.map(|said| said.phrase).or_else(|| words::says_none_came(view)) {
        Some(phrase) => phrase,
        None => {
            let lower = text.to_lowercase();
            match SPEAKS_OF_LOGIN.iter().find(|phrase| text.len() < 4096 && lower.contains(**phrase)) {
                Some(phrase) => phrase,
                None => return Vec::new(),
            }
        }
    };
    let summary = "the server answers 403 where it means 401: nobody was logged in";
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend).because("request: no credentials, no cookie");
    vec![with_answer(found, view).because(format!("text: {}", clip(phrase)))]
}

fn client_certificate(view: &View<'_>) -> bool {
    view.exchange().client.tls.as_ref().is_some_and(|tls| tls.peer_certificate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::redact::Redactor;
    use crate::exchange::transcript;

    #[test]
    fn a_head_that_was_cut_does_not_show_that_nobody_was_logged_in() {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"forbidden"), []);
        let pad = format!("> X-Pad: {}\n< HTTP/1.1 403", "a".repeat(1 << 20));
        for (text, expected) in [(DJANGO.to_owned(), 1), (DJANGO.replace("< HTTP/1.1 403", &pad), 0)] {
            let exchange = transcript::parse(&text).unwrap().remove(0);
            assert_eq!(check(&View::new(&exchange, &redactor), &Memory::default()).len(), expected);
        }
    }
}
