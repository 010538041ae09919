//! Nothing was sent, and the server asked for it. Every handshake starts so.

use crate::exchange::View;
use crate::memory::{Accepted, Memory, Unanswered};
use crate::rules::evidence::{clock, with_answer};
use crate::rules::normal;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-absent",
    family: Family::Status,
    severity: Severity::Warning,
    title: "Refused, and no credentials were in the request",
    why: "The request had nothing in it that says who sends it, so the server asked. Most handshakes begin like this, and \
          the client comes back with what was asked for. It is a fault where the client never does, or where it used to \
          send credentials to the same place without being asked, and does not even when it is asked.",
    fix: "If the client should be logged in, look at what it sends: it has no credentials for this host, or something \
          before this tap takes them away. A second tap before the gateway shows which.",
    spec: &[Spec::rfc(9110, "11.6.1"), Spec::rfc(9110, "15.5.2")],
    supersedes: &[],
    examples: &[
        Example::fires("the start of a handshake", START),
        Example::fires("credentials were there a moment ago", GONE),
        Example::fires("somebody like this client had credentials a moment ago", GONE_ELSEWHERE),
        Example::fires("a cookie in their place", COOKIE),
        Example::quiet("the handshake goes on", ANSWERED),
        Example::quiet("some requests with credentials and some without", MIXED),
        Example::quiet("a client that waits for the challenge on each connection", WAITS),
    ],
    check: Check::Failure(check),
};

const START: &str = r#"> GET /v2/ HTTP/1.1
> Host: registry.example
> User-Agent: docker/27.3.1
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="https://auth.example/token",service="registry.example"
"#;

const GONE: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /api/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
> GET /api/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const GONE_ELSEWHERE: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* new connection
> GET /api/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
> GET /api/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const MIXED: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /api/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
> GET /api/orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
> GET /api/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const COOKIE: &str = r#"> GET /api/orders HTTP/1.1
> Host: api.example
> Cookie: session=8f14e45fceea167a
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const ANSWERED: &str = r#"> GET /files/ HTTP/1.1
> Host: files.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="files", charset="UTF-8"
> GET /files/ HTTP/1.1
> Host: files.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
"#;

const WAITS: &str = r#"> GET /repo.git/info/refs HTTP/1.1
> Host: git.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="git"
> GET /repo.git/info/refs HTTP/1.1
> Host: git.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 200 OK
* new connection
> GET /repo.git/info/refs HTTP/1.1
> Host: git.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="git"
"#;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    if !view.is_refused() || !view.offered().is_empty() || view.is_preflight() {
        return Vec::new();
    }
    let by_proxy = view.status() == 407;
    let challenges = view.challenges(by_proxy);
    let mut schemes: Vec<_> =
        challenges.map(|challenge| view.redactor().name(challenge.scheme_as_sent.as_bytes())).collect();
    schemes.dedup();
    let asked = match schemes.as_slice() {
        [] if view.status() == 403 => "and the answer is 403, which does not ask for any".to_owned(),
        [] => "and the answer does not say what is wanted".to_owned(),
        schemes => format!("and the server asks for {}", schemes.join(" or ")),
    };
    let none = if view.request().has("cookie") { "no credentials but a cookie" } else { "no credentials" };
    if view.request().is_cut() {
        return vec![cut(view, none)];
    }
    if let Some((accepted, challenge)) = normal::stopped_sending(view, memory) {
        return vec![lost(view, accepted, challenge, none)];
    }
    let found = RULE.found(Certainty::Certain, format!("the request had {none}, {asked}"));
    let found = found.because(format!("request: {none} in {} fields", view.request().fields().len()));
    let found = with_answer(found, view);
    if let Some(ignored) = normal::ignored_challenges(view, memory) {
        let fix = "Give the client credentials for this host, or find out what takes them away before this tap.";
        let found = found.because(format!("before: {ignored} challenges in a row without an answer"));
        return vec![found.fix(fix).at(At::Client)];
    }
    vec![found.severity(Severity::Info)]
}

/// What was not recorded may have been credentials.
fn cut(view: &View<'_>, none: &str) -> Finding {
    let request = view.request();
    let summary = "the request's head was recorded only up to the limit, and credentials may be behind it";
    let found = RULE.found(Certainty::Possible, summary).severity(Severity::Info).at(At::Unknown);
    let fields = request.fields().len();
    let found =
        found.because(format!("request: {none} in the first {fields} fields of a head of {} bytes", request.size()));
    with_answer(found, view)
        .fix(format!("Give `--head-limit` more than {} bytes and look at the same request again.", request.size()))
}

/// One connection is one client, unless a gateway shares it among several. An address and a User-Agent may be many.
fn lost(view: &View<'_>, accepted: Accepted, challenge: Unanswered, none: &str) -> Finding {
    let connection = view.exchange().client.connection;
    let is_same = accepted.connection == connection && challenge.connection == connection && !view.request().has("via");
    let found = if is_same {
        let summary = "this client's credentials were accepted here before, and now there are none";
        RULE.found(Certainty::Certain, summary)
    } else {
        let who = "a client with this address and User-Agent";
        RULE.found(Certainty::Possible, format!("{who} had credentials accepted here before, and now there are none"))
    };
    let on = if is_same { "this route, on this connection" } else { "this route" };
    let found = found.at(At::Unknown).because(format!("before: accepted at {} on {on}", clock(accepted.time)));
    let found = found.because(format!("before: challenged at {}, and not answered", clock(challenge.ended)));
    with_answer(found.because(format!("request: {none}")), view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::diagnose::Diagnoser;
    use crate::exchange::redact::Redactor;
    use crate::exchange::transcript;

    /// What is found in the last exchange, which has to be this rule's.
    fn last(text: &str) -> Finding {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"absent"), []);
        let mut diagnoser = Diagnoser::default();
        let exchanges = transcript::parse(text).unwrap();
        let diagnoses: Vec<_> =
            exchanges.iter().map(|exchange| diagnoser.diagnose(&View::new(exchange, &redactor))).collect();
        let found = diagnoses.last().and_then(|diagnosis| diagnosis.main()).unwrap().clone();
        assert_eq!(found.rule.name, RULE.name);
        found
    }

    #[test]
    fn only_one_connection_is_surely_one_client() {
        let found = last(GONE);
        assert_eq!((found.severity, found.certainty), (Severity::Warning, Certainty::Certain));
        for text in [GONE_ELSEWHERE.to_owned(), GONE.replace("> Host", "> Via: 1.1 edge\n> Host")] {
            let found = last(&text);
            assert_eq!((found.severity, found.certainty), (Severity::Warning, Certainty::Possible));
            assert!(found.summary.starts_with("a client with this address and User-Agent "), "{}", found.summary);
        }
    }

    #[test]
    fn a_cookie_is_named() {
        let with_cookie = GONE.replace("< HTTP/1.1 401", "> Cookie: a=b\n< HTTP/1.1 401");
        for text in [COOKIE, &with_cookie] {
            let found = last(text);
            assert!(found.evidence.iter().any(|line| line.text.contains("but a cookie")), "{:?}", found.evidence);
        }
    }

    #[test]
    fn of_a_head_that_was_cut_nothing_is_certain() {
        let pad = format!("> X-Pad: {}\n< HTTP/1.1 401", "a".repeat(1 << 20));
        let answer = START.replace("< HTTP/1.1 401", &pad);
        let found = last(&answer);
        assert_eq!((found.severity, found.certainty), (Severity::Info, Certainty::Possible));
        assert!(found.summary.contains("only up to the limit") && found.fix.contains("`--head-limit`"));
        // Neither that credentials were lost nor that a challenge was ignored can be told.
        let lost = GONE.replace("< HTTP/1.1 401", &pad);
        assert_eq!(last(&lost).severity, Severity::Info);
        let ignored = [&answer.replace("GET", "POST").repeat(6), ""].concat();
        assert_eq!(last(&ignored).severity, Severity::Info);
    }
}
