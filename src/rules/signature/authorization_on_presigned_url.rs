//! A signed URL and Authorization in one request.

use super::aws::{self, parameter};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "authorization-on-presigned-url",
    family: Family::Signature,
    severity: Severity::Error,
    title: "Authorization was sent along with a signed URL",
    why: "A signed URL is a way to log in by itself, and object stores refuse a request that has two of them. It comes about \
          where a service answers with a redirect to a store, and the client sends its token there too, as it has just done \
          for the service.",
    fix: "Take Authorization off for requests to signed URLs; behind a redirect to another host no client should send it. If \
          the service's host and the store's are one to the client, as behind this tap, do not follow the redirect through it.",
    spec: &[
        Spec::Document(
            "AWS Signature Version 4, query parameters",
            "https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html",
        ),
        Spec::rfc(9110, "15.4"),
    ],
    supersedes: &["credentials-rejected", "known-error-text", "multiple-credentials", "scheme-case"],
    examples: &[
        Example::fires("S3 says so", S3),
        Example::fires("Azure refuses without saying why", AZURE),
        Example::quiet("a signed URL alone", ALONE),
        Example::quiet("a store that looks at one of them", CONTENT),
    ],
    check: Check::Failure(check),
};

static SAID: Phrases = Phrases::of(&["Only one auth mechanism allowed"]);

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let offered = view.authorization().filter(|_| aws::is_refused(view))?;
    let name = ["X-Amz-Signature", "X-Goog-Signature"].into_iter().find(|name| parameter(view, name).is_some());
    // `sig` is a name that anybody may use; with its version it is Azure's.
    let is_azure =
        || parameter(view, "sig").is_some() && parameter(view, "sv").is_some() && parameter(view, "se").is_some();
    let name = name.or_else(|| is_azure().then_some("sig"))?;
    let said = aws::said(view, &SAID);
    let certainty = if said.is_some() { Certainty::Certain } else { Certainty::Likely };
    let summary = "the URL is signed, and Authorization is there as well: the store takes one of them";
    let found = RULE.found(certainty, summary).at(At::Client).header("authorization");
    let found = with_credentials(found, view, offered).because(format!("request: {name} in the query"));
    let found = with_answer(found, view);
    Some(match said {
        Some(word) => found.because(format!("text: {word}")),
        None => found,
    })
}

const S3: &str = r#"> GET /bucket/a.txt?X-Amz-Signature=6629fae49393a05397450978507c4ef1 HTTP/1.1
> Host: s3.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 400 Bad Request
< Content-Type: application/xml
<
< <Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified</Message></Error>
"#;

const AZURE: &str = r#"> GET /container/a.txt?sv=2024-11-04&se=2026-11-24T14%3A00%3A00Z&sr=b&sp=r&sig=AbCdEf0123456789AbCdEf0123456789AbCdEf01234%3D HTTP/1.1
> Host: account.blob.core.windows.net
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 403 Forbidden
"#;

const ALONE: &str = r#"> GET /bucket/a.txt?X-Amz-Signature=6629fae49393a05397450978507c4ef1 HTTP/1.1
> Host: s3.example
< HTTP/1.1 200 OK
"#;

const CONTENT: &str = r#"> GET /bucket/a.txt?X-Amz-Signature=6629fae49393a05397450978507c4ef1 HTTP/1.1
> Host: minio.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
