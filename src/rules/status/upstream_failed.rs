//! No answer came, and it was not the client that left.

use crate::exchange::{Outcome, Step, View};
use crate::memory::Memory;
use crate::rules::evidence::clip;
use crate::rules::{At, Certainty, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "upstream-failed",
    family: Family::Status,
    severity: Severity::Error,
    title: "The upstream gave no whole answer",
    why: "The tap could not reach the upstream, or the connection broke before the answer had passed. It says nothing about \
          the credentials: nobody looked at them, or nobody could say so.",
    fix: "See that the upstream runs and listens at the address that the tap was given, and what its own log says for \
          this time.",
    spec: &[Spec::rfc(9110, "15.6.3"), Spec::rfc(9110, "15.6.5"), Spec::rfc(9209, "2.3")],
    supersedes: &["credentials-absent", "credentials-rejected"],
    examples: &[
        Example::fires("nothing listens there", REFUSED),
        Example::fires("the certificate is not trusted", TLS),
        Example::quiet("the client went away", GONE),
    ],
    check,
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

const GONE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
* outcome client-gone
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Outcome::UpstreamFailed(failure) = &view.exchange().outcome else { return Vec::new() };
    let found = RULE.found(Certainty::Certain, failure.step.text()).at(At::Backend);
    let found = found.because(format!("step: {}", failure.step.id()));
    let found = match failure.reason.is_empty() {
        true => found,
        false => found.because(format!("reason: {}", clip(&failure.reason))),
    };
    let found = found.because(format!("upstream: {}", clip(&view.exchange().tap.upstream_url)));
    let found = match view.response() {
        Some(response) => found.because(format!("response: {}, and broke off", response.status)),
        None => found.because("response: none"),
    };
    vec![match fix(failure.step, &failure.reason) {
        Some(fix) => found.fix(fix),
        None => found,
    }]
}

fn fix(step: Step, reason: &str) -> Option<&'static str> {
    Some(match step {
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
        Step::Send | Step::Closed | Step::Reset => return None,
    })
}
