//! A temporary key of AWS without the session token that goes with it.

use super::aws::{self, signed};
use crate::auth::Placeholder;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "sigv4-session-token-missing",
    family: Family::Signature,
    severity: Severity::Error,
    title: "A temporary AWS key was used without its session token",
    why: "Keys that begin with ASIA are temporary: they come from a role or a login in three parts, and AWS knows the key only \
          together with the third one, the session token. A configuration that has room for two parts loses it.",
    fix: "Send the session token in X-Amz-Security-Token: set AWS_SESSION_TOKEN beside the other two, or let the client take all \
          three from the role by itself.",
    spec: &[
        Spec::Document(
            "AWS: use temporary credentials",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_use-resources.html",
        ),
        Spec::Document(
            "AWS: unique identifiers",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids",
        ),
    ],
    supersedes: &["credentials-rejected", "known-error-text"],
    examples: &[
        Example::fires("S3 does not know the key", S3),
        Example::fires("in a presigned URL", PRESIGNED),
        Example::quiet("all three parts", WHOLE),
        Example::quiet("a permanent key", PERMANENT),
    ],
    check: Check::Failure(check),
};

/// How AWS says that it does not know a key.
static SAID: Phrases = Phrases::of(&[
    "InvalidAccessKeyId",
    "The AWS Access Key Id you provided does not exist in our records",
    "UnrecognizedClientException",
    "The security token included in the request is invalid",
]);

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Some(signed) = signed(view).filter(|signed| signed.is_temporary) else { return Vec::new() };
    // A program that has none may still write the field.
    let stands_for_none = view.request().value("x-amz-security-token").and_then(Placeholder::recognise);
    if signed.has_session_token && stands_for_none.is_none() {
        return Vec::new();
    }
    if !aws::is_refused(view) {
        return Vec::new();
    }
    let said = aws::said(view, &SAID);
    // Others who speak the protocol may call their keys as they like.
    let certainty = match (said, aws::is_by_aws(view)) {
        (Some(_), true) => Certainty::Certain,
        _ => Certainty::Likely,
    };
    let summary = match stands_for_none {
        Some(_) => "the key is a temporary one (ASIA…), and a placeholder stands where its session token belongs",
        None => "the key is a temporary one (ASIA…), and its session token is not in the request",
    };
    let found = aws::show(RULE.found(certainty, summary).at(At::Client), view, &signed, said);
    vec![match stands_for_none {
        Some(placeholder) => {
            found.because(format!("request: X-Amz-Security-Token is a placeholder ({})", placeholder.id()))
        }
        None => found.because("request: X-Amz-Security-Token is neither in a header nor in the query"),
    }]
}

const S3: &str = r#"> GET /a.txt HTTP/1.1
> Host: bucket.s3.eu-west-1.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20261124/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
< Content-Type: application/xml
< Server: AmazonS3
<
< <Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not exist in our records.</Message></Error>
"#;

const PRESIGNED: &str = r#"> GET /a.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAIOSFODNN7EXAMPLE%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261124T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef HTTP/1.1
> Host: bucket.s3.eu-west-1.amazonaws.com
< HTTP/1.1 403 Forbidden
"#;

const WHOLE: &str = r#"> GET /a.txt HTTP/1.1
> Host: bucket.s3.eu-west-1.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> X-Amz-Security-Token: IQoJb3JpZ2luX2VjEXAMPLETOKEN
> Authorization: AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20261124/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
"#;

const PERMANENT: &str = r#"> GET /a.txt HTTP/1.1
> Host: bucket.s3.eu-west-1.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
"#;
