//! The server itself says in known words what is wrong.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_answer, with_sent};
use crate::rules::normal;
use crate::rules::words::{self, Meaning};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "known-error-text",
    family: Family::Status,
    severity: Severity::Error,
    title: "The text of the refusal names its cause",
    why: "Servers and gateways say in fixed words why they refuse, in the body or in a parameter of the challenge, where \
          clients rarely show it. authtap knows the words of many products and says what each of them means.",
    fix: "Follow the text: it comes from the program that took the decision.",
    spec: &[Spec::rfc(9110, "15.5"), Spec::rfc(6750, "3")],
    supersedes: &["credentials-rejected", "credentials-absent", "scheme-not-offered"],
    examples: &[
        Example::fires("Envoy knows no such audience", ENVOY),
        Example::fires("AWS does not know the session token", AWS),
        Example::fires("ASP.NET Core says it in the challenge", DOTNET),
        Example::quiet("the same words in a document", DOCUMENT),
        Example::quiet("a text that says nothing", NOTHING),
    ],
    check: Check::Exchange(check),
};

const ENVOY: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< Content-Type: text/plain
< Server: istio-envoy
<
< Audiences in Jwt are not allowed
"#;

const AWS: &str = r#"> POST / HTTP/1.1
> Host: sts.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< Content-Type: application/json
<
< {"message":"The security token included in the request is invalid."}
"#;

const DOTNET: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< Server: Kestrel
< WWW-Authenticate: Bearer error="invalid_token", error_description="The signature key was not found"
"#;

const DOCUMENT: &str = r#"> GET /wiki/errors HTTP/1.1
> Host: wiki.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
< Content-Type: text/html
<
< Audiences in Jwt are not allowed
"#;

const NOTHING: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< Content-Type: text/plain
< WWW-Authenticate: Bearer realm="orders"
<
< Unauthorized
"#;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let Some(said) = words::said(view) else { return Vec::new() };
    // That nothing came is known better by other rules, and of a handshake's start the text says nothing new.
    if said.meaning == Meaning::NoCredentials || normal::recognise(view, memory).is_some_and(normal::Normal::is_step) {
        return Vec::new();
    }
    let found = RULE.found(Certainty::Certain, said.cause).at(at(said.meaning)).fix(said.fix);
    vec![with_answer(with_sent(found, view), view).because(format!("text: {}", clip(said.phrase)))]
}

/// Where to go first. Of a setting that has two sides the text does not say which one is wrong.
fn at(meaning: Meaning) -> At {
    match meaning {
        Meaning::KeysUnreachable | Meaning::Policy => At::Backend,
        Meaning::Audience | Meaning::Issuer | Meaning::Signature | Meaning::KeyUnknown | Meaning::Algorithm => {
            At::Unknown
        }
        Meaning::NotYetValid => At::Unknown,
        Meaning::NoCredentials => At::Unknown,
        Meaning::Expired
        | Meaning::Malformed
        | Meaning::WrongScheme
        | Meaning::WrongHeader
        | Meaning::TwoMechanisms
        | Meaning::Unknown
        | Meaning::Revoked => At::Client,
    }
}
