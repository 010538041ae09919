//! A signed URL that was used after its time.

use jiff::Timestamp;

use super::aws::{self, parameter, parse_time};
use super::clocks::{Clocks, seconds, span};
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "presigned-url-expired",
    family: Family::Signature,
    severity: Severity::Error,
    title: "The signed URL has expired",
    why: "Whoever has a signed URL may use it, and so it says until when it is good. Afterwards it is refused for ever. It was \
          kept too long: in a page that stayed open, in a queue, in a cache, in a mail. A URL that was signed with a temporary \
          key may end even earlier, together with that key.",
    fix: "Make a new URL when it is needed, and keep no page or answer with one in it for longer than the URL is good for. If \
          it has to last longer, sign it for longer.",
    spec: &[
        Spec::Document(
            "AWS Signature Version 4, query parameters",
            "https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html",
        ),
        Spec::Document(
            "Google Cloud Storage signed URLs",
            "https://cloud.google.com/storage/docs/authentication/signatures",
        ),
        Spec::Document(
            "Azure service SAS",
            "https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas",
        ),
    ],
    supersedes: &[
        "credentials-absent",
        "credentials-rejected",
        "forbidden-without-credentials",
        "known-error-text",
        "sigv4-clock-skew",
    ],
    examples: &[
        Example::fires("a URL of S3, five minutes too late", S3),
        Example::fires("a URL of Google", GOOGLE),
        Example::fires("a URL of Azure", AZURE),
        Example::quiet("a URL that is still good", GOOD),
        Example::quiet("an old one that nobody checks", UNCHECKED),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

/// Clocks may differ a little, and nobody says so where they agree that it was late.
const TOLERANCE: i64 = 5;

fn check_one(view: &View<'_>) -> Option<Finding> {
    if !aws::is_refused(view) {
        return None;
    }
    let (until, who) = until(view)?;
    let clocks = Clocks::of(view);
    let late = clocks.deciding().as_second() - until.as_second();
    static SAID: Phrases =
        Phrases::of(&["Request has expired", "ExpiredToken", "Signature not valid in the specified time frame"]);
    let said = aws::said(view, &SAID);
    if late <= if said.is_some() { 0 } else { TOLERANCE } {
        return None;
    }
    // A server that refuses a URL after its time needs no other reason.
    let certainty = if clocks.server.is_some() || said.is_some() { Certainty::Certain } else { Certainty::Likely };
    let summary = format!("the URL that {who} signed was good until {}, and came {} later", seconds(until), span(late));
    let found = RULE.found(certainty, summary).at(At::Client);
    let found = match view.offered().iter().find(|offered| offered.name.to_ascii_lowercase().ends_with("-signature")) {
        Some(offered) => with_credentials(found, view, offered),
        None => found.because("request: a signature in the query"),
    };
    let found = with_answer(found, view).because(format!("good until: {}", seconds(until)));
    let found = clocks.show(found, view);
    Some(match said {
        Some(word) => found.because(format!("text: {word}")),
        None => found,
    })
}

/// Until when a signed URL is good, and whose kind of signature it is.
fn until(view: &View<'_>) -> Option<(Timestamp, &'static str)> {
    for (who, signature, date, expires) in [
        ("AWS's client", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires"),
        ("Google's client", "X-Goog-Signature", "X-Goog-Date", "X-Goog-Expires"),
    ] {
        if parameter(view, signature).is_some() {
            let from = parse_time(parameter(view, date)?.as_bytes())?;
            let seconds: i64 =
                parameter(view, expires)?.parse().ok().filter(|seconds| (0..=31_536_000).contains(seconds))?;
            return Some((Timestamp::from_second(from.as_second().checked_add(seconds)?).ok()?, who));
        }
    }
    // A shared access signature names its version, and its end in the form of RFC 3339.
    if parameter(view, "sig").is_some() && parameter(view, "sv").is_some() {
        let end = parameter(view, "se")?;
        let end = if end.len() == 10 { format!("{end}T00:00:00Z") } else { end };
        return Some((end.parse().ok()?, "Azure's client"));
    }
    None
}

const S3: &str = r#"* time 2026-11-24T12:20:00Z
> GET /a.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261124T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef HTTP/1.1
> Host: bucket.s3.eu-west-1.amazonaws.com
< HTTP/1.1 403 Forbidden
< Date: Tue, 24 Nov 2026 12:20:00 GMT
< Content-Type: application/xml
<
< <Error><Code>AccessDenied</Code><Message>Request has expired</Message><X-Amz-Expires>900</X-Amz-Expires></Error>
"#;

const GOOGLE: &str = r#"* time 2026-11-24T13:20:00Z
> GET /bucket/a.txt?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=a%40b.iam.gserviceaccount.com%2F20261124%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20261124T120000Z&X-Goog-Expires=3600&X-Goog-SignedHeaders=host&X-Goog-Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef HTTP/1.1
> Host: storage.googleapis.com
< HTTP/1.1 400 Bad Request
< Date: Tue, 24 Nov 2026 13:20:00 GMT
"#;

const AZURE: &str = r#"* time 2026-11-24T13:20:00Z
> GET /container/a.txt?sv=2024-11-04&se=2026-11-24T12%3A00%3A00Z&sr=b&sp=r&sig=AbCdEf0123456789AbCdEf0123456789AbCdEf01234%3D HTTP/1.1
> Host: account.blob.core.windows.net
< HTTP/1.1 403 Forbidden
< Date: Tue, 24 Nov 2026 13:20:00 GMT
< Content-Type: application/xml
<
< <Error><Code>AuthenticationFailed</Code><AuthenticationErrorDetail>Signature not valid in the specified time frame</AuthenticationErrorDetail></Error>
"#;

const GOOD: &str = r#"* time 2026-11-24T12:10:00Z
> GET /a.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261124T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef HTTP/1.1
> Host: bucket.s3.eu-west-1.amazonaws.com
< HTTP/1.1 200 OK
< Date: Tue, 24 Nov 2026 12:10:00 GMT
"#;

const UNCHECKED: &str = r#"* time 2026-11-25T12:10:00Z
> GET /a.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test%2F20261124%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20261124T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef HTTP/1.1
> Host: files.example
< HTTP/1.1 200 OK
< Date: Wed, 25 Nov 2026 12:10:00 GMT
"#;
