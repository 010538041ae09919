//! A signature of AWS that is too old or too new for the server's clock.

use super::aws::{self, signed};
use super::clocks::{Clocks, seconds, span};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "sigv4-clock-skew",
    family: Family::Signature,
    severity: Severity::Error,
    title: "The time in the AWS signature is too far from the server's clock",
    why: "AWS takes a signature for five minutes around the time in X-Amz-Date, S3 for fifteen. The client's clock is wrong, \
          as on a machine that slept or has no NTP, or the request waited in a queue or between retries after it was signed.",
    fix: "Set the client's clock with NTP or chrony. If it is right, sign the request anew before each attempt.",
    spec: &[
        Spec::Document(
            "AWS: troubleshoot signed requests",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html",
        ),
        Spec::Document(
            "Amazon S3 error responses",
            "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
        ),
    ],
    supersedes: &["credentials-rejected", "known-error-text"],
    examples: &[
        Example::fires("twenty minutes behind, and S3 says so", SKEWED),
        Example::fires("seven minutes behind, by the server's Date", BEHIND),
        Example::fires("it is the server's clock", SERVER),
        Example::quiet("a few seconds", CLOSE),
        Example::quiet("a server that does not look at it", ACCEPTED),
    ],
    check: Check::Failure(check),
};

static SAID: Phrases = Phrases::of(&[
    "RequestTimeTooSkewed",
    "Signature expired: ",
    "Signature not yet current: ",
    "difference between the request time and",
]);

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let signed = signed(view).filter(|signed| !signed.is_presigned && aws::is_refused(view))?;
    let time = signed.time?;
    let clocks = Clocks::of(view);
    let said = aws::said(view, &SAID);
    let apart = time.as_second() - clocks.deciding().as_second();
    // Servers that speak the protocol of S3 have its limit.
    let limit = if signed.service.as_deref() == Some("s3") { 900 } else { 300 };
    if said.is_none() && (apart.abs() <= limit || view.status() == 400) {
        return None;
    }
    let certainty = match (said, clocks.server) {
        (Some(_), _) => Certainty::Certain,
        // A 403 can have another reason as well.
        (None, _) => Certainty::Likely,
    };
    let which = if apart < 0 { "behind" } else { "ahead of" };
    let whose = if clocks.server.is_some() { "the server's clock" } else { "this tap's clock" };
    let summary = match apart.abs() > limit {
        true => format!("the signature's time is {} {which} {whose}", span(apart.abs())),
        false => "the server says that the signature's time is too far from its own".to_owned(),
    };
    let is_server = clocks.tap_agrees(time);
    let found = RULE.found(certainty, summary).at(if is_server { At::Backend } else { At::Client });
    let found = aws::show(found, view, &signed, said).because(format!("signed at: {}", seconds(time)));
    let found = clocks.show(found, view);
    Some(if is_server {
        found.fix("Set the server's clock: the client's agrees with the tap's, and the server's Date does not.")
    } else {
        found
    })
}

const SKEWED: &str = r#"* time 2026-11-24T12:20:00Z
> GET /bucket/a.txt HTTP/1.1
> Host: s3.example
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: UNSIGNED-PAYLOAD
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
< Date: Tue, 24 Nov 2026 12:20:00 GMT
< Content-Type: application/xml
<
< <Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message></Error>
"#;

const BEHIND: &str = r#"* time 2026-11-24T12:07:00Z
> POST / HTTP/1.1
> Host: sqs.eu-west-1.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/sqs/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
< Date: Tue, 24 Nov 2026 12:07:00 GMT
"#;

const SERVER: &str = r#"* time 2026-11-24T12:00:00Z
> GET /bucket/a.txt HTTP/1.1
> Host: minio.example:9000
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=minioadmin/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
< Date: Tue, 24 Nov 2026 14:00:00 GMT
"#;

const CLOSE: &str = r#"* time 2026-11-24T12:00:07Z
> GET /bucket/a.txt HTTP/1.1
> Host: s3.example
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 12:00:07 GMT
"#;

const ACCEPTED: &str = r#"* time 2026-11-24T13:00:00Z
> GET /bucket/a.txt HTTP/1.1
> Host: files.example
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 13:00:00 GMT
"#;
