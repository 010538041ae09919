//! Credentials in the encoding of URLs, which headers do not have.

use super::{called, fault, first_with};
use crate::auth::DefectKind;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// Credentials that were percent-encoded as if they were part of a URL.
pub static RULE: Rule = Rule {
    name: "credentials-percent-encoded",
    family: Family::Credentials,
    severity: Severity::Error,
    title: "The credentials are percent-encoded",
    why: "Percent-encoding is for URLs. Nobody decodes a header, so `%20` is no space and `%3D` is no equals sign. Mostly \
          a variable is written in the encoded form that one tool wants, and another tool sends it as it is: telemetry \
          exporters with `OTEL_EXPORTER_OTLP_HEADERS` are known for both.",
    fix: "Give the client the value as it has to stand in the header, with a real space behind the scheme. Where an \
          exporter wants it encoded, use a version that decodes it.",
    spec: &[
        Spec::rfc(9110, "11.4"),
        Spec::Document(
            "OpenTelemetry Protocol Exporter",
            "https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables",
        ),
    ],
    supersedes: &[
        "basic-undecodable",
        "credentials-rejected",
        "credentials-reported-missing",
        "scheme-case",
        "scheme-malformed",
        "token-bad-character",
    ],
    examples: &[
        Example::fires("an encoded space behind Bearer", SPACE),
        Example::fires("an encoded space behind Basic", BASIC_SPACE),
        Example::fires("encoded padding at the end of a token", PADDING),
        Example::fires("encoded padding within Basic", BASIC_PADDING),
        Example::quiet("a signature that is encoded by its scheme", PARAMETER),
        Example::quiet("an encoded space, and nobody minds", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Some((offered, defects)) = first_with(view, &[DefectKind::CredentialsPercentEncoded]) else {
        return Vec::new();
    };
    let is_space = defects.iter().any(|defect| defect.at < offered.credentials.secret_at);
    let summary = if is_space {
        let scheme = &offered.credentials.scheme_as_sent;
        format!("in {} %20 stands behind {scheme} where a space belongs", called(offered))
    } else {
        format!("the secret in {} is percent-encoded, which nobody decodes in a header", called(offered))
    };
    vec![fault(&RULE, view, offered, Certainty::Certain, summary, &defects)]
}

const SPACE: &str = "\
> POST /v1/traces HTTP/1.1
> Host: otlp.example
> Authorization: Bearer%20tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"otlp\"
";

const BASIC_SPACE: &str = "\
> POST /v1/traces HTTP/1.1
> Host: otlp.example
> Authorization: Basic%20{basic user:pass}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"otlp\"
";

const PADDING: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA%3D%3D
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const BASIC_PADDING: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic dXNlcjpwYQ%3D%3D
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const PARAMETER: &str = "\
> GET /photos HTTP/1.1
> Host: api.example
> Authorization: OAuth realm=\"photos\", oauth_signature=\"74KNZJeDHnMBp0EMJ9ZHt%2FXKycU%3D\"
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const ACCEPTED: &str = "\
> POST /v1/traces HTTP/1.1
> Host: otlp.example
> Authorization: Bearer%20tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
< Content-Type: application/json
";
