//! A signature of AWS that was made for another day, region or service.

use super::aws::{self, Signed, signed};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "sigv4-scope-mismatch",
    family: Family::Signature,
    severity: Severity::Error,
    title: "The AWS signature is for another day, region or service",
    why: "The key that signs is made of the secret key, the day, the region and the service, and the signature names all of \
          them. It is good for these alone. A client with another region in its settings, or with a service of its own \
          making, gets a refusal that speaks of the signature.",
    fix: "Set the client's region and service to those of the host that it asks: AWS_REGION, or the region and the signing name \
          of the endpoint.",
    spec: &[
        Spec::Document(
            "AWS Signature Version 4",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html",
        ),
        Spec::Document(
            "AWS: troubleshoot signed requests",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html",
        ),
    ],
    supersedes: &["credentials-rejected", "known-error-text"],
    examples: &[
        Example::fires("another region, and S3 says so", REGION),
        Example::fires("another region than in the name of the host", HOST),
        Example::fires("another service than in the name of the host", SERVICE),
        Example::fires("another day than in X-Amz-Date", DAY),
        Example::quiet("a host of another maker", CUSTOM),
        Example::quiet("the same region", SAME),
    ],
    check: Check::Failure(check),
};

static SAID: Phrases = Phrases::of(&[
    "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError",
    "Credential should be scoped to a valid region",
    "Credential should be scoped to correct service",
    "Date in Credential scope does not match",
]);

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let signed = signed(view).filter(|_| aws::is_refused(view))?;
    let said = aws::said(view, &SAID).filter(|said| is_about_scope(view, said));
    let seen = by_day(view, &signed).or_else(|| by_host(view, &signed));
    let summary = match (&seen, said) {
        (Some((summary, _)), _) => summary.clone(),
        (None, Some(_)) => match expected_region(view) {
            Some(region) => format!("the signature is for another region: the server expects {region}"),
            None => "the server says that the signature is for another day, region or service".to_owned(),
        },
        (None, None) => return None,
    };
    let certainty = if said.is_some() { Certainty::Certain } else { Certainty::Likely };
    let found = aws::show(RULE.found(certainty, summary).at(At::Client), view, &signed, said);
    Some(match seen {
        Some((_, evidence)) => found.because(evidence),
        None => found,
    })
}

/// The first two of the texts are of other faults as well.
fn is_about_scope(view: &View<'_>, said: &str) -> bool {
    let text = view.error_text().unwrap_or_default();
    !said.starts_with("Authorization") || text.contains("expecting") || text.contains("region")
}

/// The region that S3 names: `the region 'us-east-1' is wrong; expecting 'eu-west-1'`.
fn expected_region(view: &View<'_>) -> Option<String> {
    let (_, rest) = view.error_text()?.split_once("expecting '")?;
    let (region, _) = rest.split_once('\'')?;
    is_region(region).then(|| region.to_owned())
}

/// The day of the scope is not that of the time.
fn by_day(view: &View<'_>, signed: &Signed<'_>) -> Option<(String, String)> {
    let (date, time) = (signed.date.as_deref()?, signed.time?);
    let day = time.strftime("%Y%m%d").to_string();
    let is_day = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    // Of a Date that somebody put in later, the client knew nothing.
    let is_own = signed.is_presigned || view.request().has("x-amz-date");
    if !is_day || !is_own || day == date {
        return None;
    }
    let summary = format!("the signature is for the day {date}, and its time is of {day}");
    Some((summary, format!("signed at: {time}")))
}

/// Another region or service than the host's name says.
fn by_host(view: &View<'_>, signed: &Signed<'_>) -> Option<(String, String)> {
    let host = view.authority()?.to_ascii_lowercase();
    let host = host.split(':').next().unwrap_or_default();
    let labels: Vec<&str> = host.strip_suffix(".amazonaws.com")?.split('.').collect();
    let region = labels.last().copied().filter(|label| is_region(label))?;
    let service = labels.len().checked_sub(2).and_then(|at| labels.get(at)).copied();
    let evidence = format!("request: Host: {host}");
    // What is written as a name is shown; anything else may be a key out of its place.
    let theirs = signed.region.as_deref().filter(|region| is_region(region))?;
    if theirs != region {
        return Some((format!("the signature is for the region {theirs}, and the host is in {region}"), evidence));
    }
    let known = |name: &str| SERVICES.iter().copied().find(|service| *service == name);
    let (host_service, own) = (service.and_then(known)?, signed.service.as_deref().and_then(known)?);
    (host_service != own)
        .then(|| (format!("the signature is for the service {own}, and the host is of {host_service}"), evidence))
}

/// Services that are called the same in the host and in the scope.
const SERVICES: [&str; 9] =
    ["dynamodb", "execute-api", "kinesis", "kms", "lambda", "s3", "secretsmanager", "sns", "sqs"];

/// `eu-west-1`, `us-gov-east-1`.
fn is_region(label: &str) -> bool {
    let mut parts = label.split('-');
    let first = parts.next().is_some_and(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_lowercase()));
    let rest: Vec<&str> = parts.collect();
    let Some((number, names)) = rest.split_last() else { return false };
    let is_name = |part: &&str| (2..=12).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase());
    first
        && number.len() == 1
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && (1..=2).contains(&names.len())
        && names.iter().all(is_name)
}

const REGION: &str = r#"> GET /bucket/a.txt HTTP/1.1
> Host: s3.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 400 Bad Request
< Content-Type: application/xml
< Server: AmazonS3
<
< <Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message><Region>eu-west-1</Region></Error>
"#;

const HOST: &str = r#"> POST / HTTP/1.1
> Host: sqs.eu-west-1.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/sqs/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
"#;

const SERVICE: &str = r#"> GET /prod/orders HTTP/1.1
> Host: a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
< Content-Type: application/json
<
< {"message":"Credential should be scoped to correct service: 'execute-api'. "}
"#;

const DAY: &str = r#"> GET /bucket/a.txt HTTP/1.1
> Host: s3.example
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
"#;

const CUSTOM: &str = r#"> GET /bucket/a.txt HTTP/1.1
> Host: account.r2.cloudflarestorage.com
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=0123abcd/20261124/auto/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
"#;

const SAME: &str = r#"> POST / HTTP/1.1
> Host: sqs.eu-west-1.amazonaws.com
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/eu-west-1/sqs/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
"#;
