//! NTLM on a connection that many requests share at once.

use super::NTLM_OVER_HTTP;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "ntlm-over-http2",
    family: Family::Connection,
    severity: Severity::Error,
    title: "NTLM was tried over HTTP/2",
    why: "NTLM authenticates a connection by three messages that follow each other on it. Over HTTP/2 many requests share a \
          connection at once, so it is not defined there: servers refuse, or ask for HTTP/1.1 instead.",
    fix: "Let the client use HTTP/1.1 for this server (`curl --http1.1`), or take NTLM off the offer where HTTP/2 is spoken; \
          Kerberos within Negotiate works.",
    spec: &[NTLM_OVER_HTTP, Spec::rfc(9113, "7")],
    supersedes: &["credentials-rejected", "ntlm-connection-broken"],
    examples: &[
        Example::fires("the first message", FIRST),
        Example::quiet("over HTTP/1.1", HTTP1),
        Example::quiet("Kerberos over HTTP/2", KERBEROS),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let is_tried = view.is_http2() && view.ntlm_sent().is_some();
    // A server that answers the first message goes on with it all the same.
    let goes_on = view.ntlm_asked().is_some();
    let Some(offered) = view.main_credentials().filter(|_| is_tried && !goes_on && view.is_refused()) else {
        return Vec::new();
    };
    let found = RULE.found(Certainty::Certain, "the client tried NTLM over HTTP/2, where it is not defined");
    let found = with_credentials(found.at(At::Client).header("authorization"), view, offered);
    vec![with_answer(found.because("request: HTTP/2"), view)]
}

const FIRST: &str = r#"> GET /site HTTP/2
> :authority: intranet.example
> authorization: NTLM {ntlm 1}
< HTTP/2 401
< www-authenticate: NTLM
"#;

const HTTP1: &str = r#"> GET /site HTTP/1.1
> Host: intranet.example
> Authorization: NTLM {ntlm 1}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: NTLM {ntlm 2}
"#;

const KERBEROS: &str = r#"> GET /site HTTP/2
> :authority: intranet.example
> authorization: Negotiate {base64 not a message of NTLM at all}
< HTTP/2 200
"#;
