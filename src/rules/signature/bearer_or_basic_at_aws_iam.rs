//! AWS wants a request to be signed, and got a token or a password.

use super::aws;
use crate::auth::{Detail, Scheme};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "bearer-or-basic-at-aws-iam",
    family: Family::Signature,
    severity: Severity::Error,
    title: "AWS reads Authorization as its own signature, and it is none",
    why: "Where a route of AWS is guarded by IAM, Authorization has to hold a signature of the request, and AWS looks for \
          key=value pairs in whatever is there. So does API Gateway for a path that it does not know. The application behind, \
          for which the token was meant, never sees the request.",
    fix: "Look at the route first: its stage and path have to exist, and its authorizer has to be the one that takes tokens (a \
          JWT, Cognito or Lambda authorizer, not IAM). If IAM is what guards it, sign the request (AWS4-HMAC-SHA256) and send \
          the token for the application under another name.",
    spec: &[
        Spec::Document(
            "AWS Signature Version 4",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html",
        ),
        Spec::Document(
            "API Gateway: control access",
            "https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-control-access-to-api.html",
        ),
    ],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "known-error-text", "scheme-case"],
    examples: &[
        Example::fires("a Bearer token", BEARER),
        Example::fires("a password", BASIC),
        Example::quiet("a signature", SIGNED),
    ],
    check: Check::Failure(check),
};

static SAID: Phrases = Phrases::of(&[
    "not a valid key=value pair",
    "Authorization header requires 'Credential' parameter",
    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header",
    "IncompleteSignature",
    "Unsupported Authorization Type",
]);

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let offered = view.authorization().filter(|_| (400..500).contains(&view.status()))?;
    let is_signature = matches!(offered.credentials.detail, Detail::SigV4(_))
        || offered.credentials.scheme == Some(Scheme::Aws4HmacSha256)
        || offered.credentials.scheme_as_sent.to_ascii_lowercase().starts_with("aws");
    let said = aws::said(view, &SAID).filter(|_| !is_signature)?;
    let what = match &offered.credentials.scheme {
        Some(Scheme::Bearer) => "a Bearer token",
        Some(Scheme::Basic) => "a user name and password",
        _ => "something else",
    };
    let summary = format!("AWS wants its own signature in Authorization, and the client sent {what}");
    let found = RULE.found(Certainty::Certain, summary).at(At::Unknown).header("authorization");
    Some(with_answer(with_credentials(found, view, offered), view).because(format!("text: {said}")))
}

const BEARER: &str = r#"> GET /prod/orders HTTP/1.1
> Host: a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
< Content-Type: application/json
< X-Amzn-ErrorType: IncompleteSignatureException
<
< {"message":"'2YotnFZFEjr1zCsicMWpAA' not a valid key=value pair (missing equal-sign) in Authorization header: 'Bearer 2YotnFZFEjr1zCsicMWpAA'."}
"#;

const BASIC: &str = r#"> GET /bucket/a.txt HTTP/1.1
> Host: s3.eu-west-1.amazonaws.com
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 400 Bad Request
< Content-Type: application/xml
<
< <Error><Code>InvalidArgument</Code><Message>Unsupported Authorization Type</Message></Error>
"#;

const SIGNED: &str = r#"> GET /prod/orders HTTP/1.1
> Host: a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/execute-api/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
"#;
