//! No answer came, and it was not the client that left.

use crate::exchange::{Outcome, Step, View};
use crate::memory::Memory;
use crate::rules::evidence::clip;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "upstream-failed",
    family: Family::Status,
    severity: Severity::Error,
    title: "The upstream gave no whole answer",
    why: "The tap could not reach the upstream, or the connection broke before the answer had passed. It says nothing about \
          the credentials: nobody looked at them, or nobody could say so.",
    fix: "See which step failed. If nobody could be reached, see that the upstream runs and listens at the address that \
          the tap was given; if it broke off, look what its own log says for this time.",
    spec: &[Spec::rfc(9110, "15.6.3"), Spec::rfc(9110, "15.6.5"), Spec::rfc(9209, "2.3")],
    supersedes: &["credentials-absent", "credentials-rejected"],
    examples: &[
        Example::fires("nothing listens there", REFUSED),
        Example::fires("the certificate is not trusted", TLS),
        Example::fires("it breaks off within its answer", BROKEN),
        Example::quiet("the client went away", GONE),
    ],
    check: Check::Exchange(check),
};

const REFUSED: &str = r#"* upstream http://10.0.0.9:3000
> GET /orders HTTP/1.1
> Host: api.example
* outcome upstream-failed connect connection refused
"#;

const TLS: &str = r#"* upstream https://api.example
> GET /orders HTTP/1.1
> Host: api.example
* outcome upstream-failed tls invalid peer certificate: UnknownIssuer
"#;

const BROKEN: &str = r#"> GET /report HTTP/1.1
> Host: api.example
* outcome upstream-failed closed
< HTTP/1.1 200 OK
< Content-Length: 90000
"#;

const GONE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
* outcome client-gone
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Outcome::UpstreamFailed(failure) = &view.exchange().outcome else { return Vec::new() };
    if view.request().start_line().starts_with(TLS_HANDSHAKE) {
        return vec![tls_to_plain_port(view)];
    }
    let found = RULE.found(Certainty::Certain, failure.step.text()).at(At::Backend);
    let found = found.because(format!("step: {}", failure.step.id()));
    let found = match failure.reason.is_empty() {
        true => found,
        false => found.because(format!("reason: {}", clip(&failure.reason))),
    };
    let found = found.because(format!("upstream: {}", clip(view.exchange().upstream_url())));
    let found = match view.response() {
        Some(response) => found.because(format!("response: {}, and broke off", response.status)),
        None => found.because("response: none"),
    };
    vec![found.fix(fix(failure.step, &failure.reason, view.response().is_some()))]
}

/// How a TLS connection begins (RFC 8446 5.1).
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];

/// Clients of container registries try TLS first and go on without it, so that it may be as it should be.
fn tls_to_plain_port(view: &View<'_>) -> Finding {
    let found = RULE.found(Certainty::Certain, "the client spoke TLS, and this port speaks plain HTTP");
    let found = found.severity(Severity::Info).at(At::Client).because("request: begins like a handshake of TLS");
    let found = found.because(format!("upstream: {}", clip(view.exchange().upstream_url())));
    found.fix("Let the client ask for http:// here, or start the tap with `--tls`.")
}

/// What to do; `answered` is whether the head of the answer had come.
fn fix(step: Step, reason: &str, answered: bool) -> &'static str {
    match step {
        Step::Dns => "See that the upstream's name is spelled right, and that this machine's resolver knows it.",
        Step::Connect | Step::ConnectTimeout => {
            "See that the upstream runs, that it listens at this address and port, and that no firewall is between."
        }
        Step::Tls if reason.contains("certificate") || reason.contains("Issuer") => {
            "Give the tap the authority that signed the upstream's certificate (`--cacert FILE`), and see that the name \
             in the certificate is the one in the upstream's URL."
        }
        Step::Tls => "See that the upstream speaks TLS at this port, in version 1.2 or 1.3.",
        Step::ResponseTimeout => {
            "Look what the upstream was waiting for at this time: a database, an identity provider."
        }
        Step::Malformed => "See that the upstream speaks HTTP at this port, and not TLS or another protocol.",
        Step::Send if answered => {
            "The upstream answered before it had read the whole request. See whether it limits the size of a body or \
             refuses early, and what its log says for this time."
        }
        Step::Send => {
            "See what the upstream's log says for this time: it ended the connection while the request was on its way. \
             It may have restarted, or it limits the size of a request."
        }
        Step::Closed | Step::Reset if answered => {
            "The upstream broke off within its answer. Look in its log for a crash or a worker that ran out of time, and \
             at its timeouts for sending."
        }
        Step::Closed | Step::Reset => {
            "The upstream took the connection and gave no answer. Look in its log for a crash or a worker that ran out of \
             time, and at its keep-alive timeout, which may be over just when a request comes."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::redact::Redactor;
    use crate::exchange::transcript;

    #[test]
    fn tls_to_a_plain_port_is_not_the_upstreams_fault() {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
        let text = "> \u{16}\u{3}\u{1} x HTTP/1.1\n> Host: a\n* outcome upstream-failed closed\n";
        let exchange = transcript::parse(text).unwrap().remove(0);
        let found = check(&View::new(&exchange, &redactor), &Memory::default());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity, &found[0].at), (Severity::Info, &At::Client));
    }

    #[test]
    fn who_has_answered_runs_and_listens() {
        for step in [Step::Send, Step::Closed, Step::Reset] {
            let (before, within) = (fix(step, "", false), fix(step, "", true));
            assert_ne!(before, within);
            for text in [before, within] {
                assert!(!text.contains("listens") && text.contains("log"), "{text}");
            }
        }
    }
}
