//! A client showed its certificate to the gateway's side, and the backend learned nothing of it.

use crate::hops::{Crossing, Kind};
use crate::memory::Memory;
use crate::rules::hop::{Verdict, at, backend, by_join, with_answers, with_hop};
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "client-certificate-not-forwarded",
    family: Family::Connection,
    severity: Severity::Error,
    title: "The client's certificate did not reach the backend",
    why: "A certificate belongs to the TLS connection of the client, which ends at the gateway, or at this tap. A backend \
          that wants to know it has to be told in a header: Client-Cert, X-Forwarded-Client-Cert, or one of the product's own.",
    fix: "Have the gateway send the certificate on in a header that the backend knows and trusts, such as Client-Cert \
          (RFC 9440), and take that header off what clients send.",
    spec: &[Spec::rfc(9440, "2"), Spec::rfc(8705, "3")],
    supersedes: &["credentials-absent", "forbidden-without-credentials", "refusal-origin"],
    examples: &[
        Example::fires("the backend refuses", REFUSED),
        Example::quiet("it is told in a header", TOLD),
        Example::quiet("the backend does not mind", CONTENT),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let inner = attempt.inner;
    let is_told = inner.request.fields.iter().any(|line| {
        let name = line.name.to_ascii_lowercase();
        crate::hops::kinds::kind_of(&name, crate::hops::Side::Request) == Kind::Forwarded
            && (name.contains("cert") || name.starts_with("ssl-client"))
    });
    let is_lost = crossing.outer.client_certificate && !inner.client_certificate && !is_told;
    // Other credentials that arrived may be what the backend minds.
    if !is_lost || !inner.credentials.is_empty() || backend(crossing) != Verdict::Refused {
        return None;
    }
    let (outer, tap) = (&crossing.outer.tap, crossing.inner_tap);
    let found = RULE
        .found(
            by_join(attempt.join).min(Certainty::Likely),
            format!("the client showed a certificate at {outer}, and nothing at {tap} tells of it"),
        )
        .at(at(crossing))
        .because(format!("{outer} in   TLS with a client certificate"))
        .because(format!("{tap} in   no certificate, and no header with one"));
    Some(with_hop(with_answers(found, crossing), crossing, &[]))
}

const REFUSED: &str = r#"* tap edge
* client tls certificate
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 403 Forbidden
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 403 Forbidden
"#;

const TOLD: &str = r#"* tap edge
* client tls certificate
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> X-Forwarded-Client-Cert: Hash=468ed33be74eee6556d90c0149c1309e
< HTTP/1.1 200 OK
"#;

const CONTENT: &str = r#"* tap edge
* client tls certificate
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 200 OK
"#;
