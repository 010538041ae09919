//! A signature of AWS that covers fields which every hop may change.

use super::aws::{self, signed};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::with_named;
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "sigv4-fragile-header-signed",
    family: Family::Signature,
    severity: Severity::Warning,
    title: "The AWS signature covers a header that gateways change",
    why: "The client signs each field of its request that it lists. Some fields are there for the hops: a gateway sets \
          Accept-Encoding, answers Expect, and adds to Via and X-Forwarded-For, as it is meant to. If such a field is signed, the \
          signature is broken by the first hop that does its work.",
    fix: "Let the client sign Host, the X-Amz-* fields and Content-Type, and no others: in the AWS SDKs the list of fields that \
          are not signed can be extended. Or let the request pass the gateways before it is signed.",
    spec: &[
        Spec::Document(
            "AWS Signature Version 4",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html",
        ),
        Spec::rfc(9110, "7.6"),
    ],
    supersedes: &["credentials-rejected", "known-error-text"],
    examples: &[
        Example::fires("Accept-Encoding is signed, and the signature does not match", ENCODING),
        Example::fires("a field for the hops", FORWARDED),
        Example::quiet("it is signed, and nobody changed it", ACCEPTED),
        Example::quiet("what AWS wants to be signed", USUAL),
    ],
    check: Check::Failure(check),
};

/// How AWS and others say that they calculated another signature.
static SAID: Phrases = Phrases::of(&[
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match",
    "InvalidSignatureException",
]);

/// Fields that hops set, add or take off.
const FRAGILE: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let signed = signed(view).filter(|_| aws::is_refused(view))?;
    let said = aws::said(view, &SAID)?;
    let is_signed = |name: &&&str| signed.signed_headers.iter().any(|signed| signed == **name);
    let fragile: Vec<&str> = FRAGILE.iter().filter(is_signed).copied().take(4).collect();
    let first = fragile.first()?;
    let names = fragile.join(", ");
    let summary = format!("the signature does not match, and it covers {names}, which gateways change");
    let found = RULE.found(Certainty::Likely, summary).at(At::Client);
    let found = aws::show(found, view, &signed, Some(said)).because(format!("signed: {names}"));
    Some(match view.request().has(first) {
        true => with_named(found, view, Message::Request, first),
        // It is covered, and already gone.
        false => found.because(format!("request: {first} is signed and not there")),
    })
}

const ENCODING: &str = r#"> GET /bucket/a.txt HTTP/1.1
> Host: s3.example
> Accept-Encoding: gzip
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=accept-encoding;host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
< Content-Type: application/xml
<
< <Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the signature you provided.</Message></Error>
"#;

const FORWARDED: &str = r#"> GET /prod/orders HTTP/1.1
> Host: a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> X-Forwarded-For: 10.0.0.7
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/execute-api/aws4_request, SignedHeaders=host;x-amz-date;x-forwarded-for, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
< X-Amzn-ErrorType: InvalidSignatureException
"#;

const ACCEPTED: &str = r#"> GET /bucket/a.txt HTTP/1.1
> Host: s3.example
> Accept-Encoding: gzip
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=accept-encoding;host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
"#;

const USUAL: &str = r#"> GET /bucket/a.txt HTTP/1.1
> Host: s3.example
> Accept-Encoding: gzip
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: UNSIGNED-PAYLOAD
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
"#;
