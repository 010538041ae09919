//! The body that passed is not the one whose hash the client signed.

use super::aws::{self, signed};
use crate::exchange::View;
use crate::exchange::payload::{self, Hash};
use crate::hops::Crossing;
use crate::memory::Memory;
use crate::rules::evidence::clip;
use crate::rules::hop::{at, by_join, with_answers, with_hop};
use crate::rules::phrases::Phrases;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "sigv4-payload-hash-mismatch",
    family: Family::Signature,
    severity: Severity::Error,
    title: "The body is not the one whose hash was signed",
    why: "The client computes the SHA-256 of the body, sends it in X-Amz-Content-Sha256, and signs it with the rest. The \
          server computes it again over what arrives. Where a library writes the body after it was signed, or something \
          on the way rewrites or compresses it, the two differ, and the server refuses the signature though the key is good.",
    fix: "Sign the very bytes that are sent: serialise and compress the body first, and read a stream from its start. If the \
          client does so, look for what changes the body before this tap. Where the service allows it, UNSIGNED-PAYLOAD over \
          TLS leaves the body out of the signature.",
    spec: &[
        Spec::Document(
            "AWS Signature Version 4",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html",
        ),
        Spec::Document(
            "Amazon S3 error responses",
            "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
        ),
    ],
    supersedes: &["credentials-rejected", "known-error-text"],
    examples: &[
        Example::fires("the body was written anew after it was signed", REWRITTEN),
        Example::fires("the hash of nothing with a body", EMPTY),
        Example::fires("a hop wrote the body anew", HOP),
        Example::quiet("the hash is right", RIGHT),
        Example::quiet("the body is not signed", UNSIGNED),
        Example::quiet("another body, and the server does not mind", ACCEPTED),
    ],
    check: Check::Both(check, check_hop),
};

/// With these the server says that it did not come to the body: it does not know the key, or the time is over.
static OTHER_FAULTS: Phrases = Phrases::of(&[
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "ExpiredToken",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "RequestExpired",
    "Signature expired",
    "AuthorizationHeaderMalformed",
    "MissingAuthenticationToken",
]);

/// With these it says that it did.
static SAID: Phrases =
    Phrases::of(&["XAmzContentSHA256Mismatch", "SignatureDoesNotMatch", "signature we calculated does not match"]);

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    check_one(view).into_iter().collect()
}

fn check_one(view: &View<'_>) -> Option<Finding> {
    let signed = signed(view).filter(|signed| !signed.is_presigned && aws::is_refused(view))?;
    let named = payload::named(view.request())?;
    let body = &view.exchange().request.body;
    let passed = body.sha256.filter(|passed| *passed != named)?;
    if aws::said(view, &OTHER_FAULTS).is_some() {
        return None;
    }
    let summary = if named == payload::of(b"") {
        "x-amz-content-sha256 is the hash of an empty body, and the request has one"
    } else {
        "x-amz-content-sha256 is not the hash of the body that came with it"
    };
    let found = RULE.found(Certainty::Certain, summary).at(At::Client);
    let found = aws::show(found, view, &signed, aws::said(view, &SAID)).header("x-amz-content-sha256");
    let found = found.because(format!("request: X-Amz-Content-Sha256: {}", start_of(&named)));
    Some(found.because(format!("tap: a body of {} bytes passed, with the hash {}", body.size, start_of(&passed))))
}

fn check_hop(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    changed_on_the_way(crossing).into_iter().collect()
}

/// The body had its hash before the hop, and has it no more behind it.
fn changed_on_the_way(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let (outer, inner) = (crossing.outer.view?, attempt.inner.view?);
    let named = payload::named(outer.request()).filter(|named| payload::named(inner.request()) == Some(*named))?;
    let (before, behind) = (&outer.exchange().request.body, &inner.exchange().request.body);
    if before.sha256 != Some(named) {
        return None;
    }
    // With another signature the gateway answers for what it signed.
    let signature = |view: &View<'_>| view.authorization().map(|offered| offered.fingerprint);
    if signature(outer) != signature(inner) {
        return None;
    }
    check_one(inner)?;
    let (from, to) = (&crossing.outer.tap, crossing.inner_tap);
    let found = RULE
        .found(by_join(attempt.join), format!("the body is signed, and was changed between {from} and {to}"))
        .at(at(crossing))
        .header("x-amz-content-sha256")
        .because(format!("request: X-Amz-Content-Sha256: {}", start_of(&named)))
        .because(clip(format!("{from}: a body of {} bytes, with that hash", before.size)))
        .because(clip(format!("{to}: a body of {} bytes, with another one", behind.size)));
    let fix = "Have the gateway pass the body on byte for byte: no new serialisation, no filter, no other coding.";
    Some(with_hop(with_answers(found, crossing), crossing, &[]).fix(fix))
}

/// So much of a hash as tells it from another one, and too little to try out what a short body was.
fn start_of(hash: &Hash) -> String {
    let mut text: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    text.push('…');
    text
}

const REWRITTEN: &str = r#"> PUT /bucket/a.json HTTP/1.1
> Host: s3.example
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: 121d74d2d78e44c19273f7053442d4b098d2e93894da34d64728a89fa2651738
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
> Content-Type: application/json
>
> {"id": 17, "state": "new"}
< HTTP/1.1 400 Bad Request
< Content-Type: application/xml
<
< <Error><Code>XAmzContentSHA256Mismatch</Code><Message>The provided 'x-amz-content-sha256' header does not match what was computed.</Message></Error>
"#;

const EMPTY: &str = r#"> POST / HTTP/1.1
> Host: es.example
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/es/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
> Content-Type: application/json
>
> {"query":{"match_all":{}}}
< HTTP/1.1 403 Forbidden
"#;

const HOP: &str = r#"* tap edge
> PUT /bucket/a.json HTTP/1.1
> Host: s3.example
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: 121d74d2d78e44c19273f7053442d4b098d2e93894da34d64728a89fa2651738
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
>
> {"id":17,"state":"new"}
< HTTP/1.1 403 Forbidden
* tap app
> PUT /bucket/a.json HTTP/1.1
> Host: s3.example
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: 121d74d2d78e44c19273f7053442d4b098d2e93894da34d64728a89fa2651738
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
>
> {"id": 17, "state": "new"}
< HTTP/1.1 403 Forbidden
"#;

const RIGHT: &str = r#"> PUT /bucket/a.json HTTP/1.1
> Host: s3.example
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: 121d74d2d78e44c19273f7053442d4b098d2e93894da34d64728a89fa2651738
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
>
> {"id":17,"state":"new"}
< HTTP/1.1 200 OK
"#;

const UNSIGNED: &str = r#"> PUT /bucket/a.json HTTP/1.1
> Host: s3.example
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: UNSIGNED-PAYLOAD
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
>
> {"id":17,"state":"new"}
< HTTP/1.1 200 OK
"#;

const ACCEPTED: &str = r#"> POST / HTTP/1.1
> Host: lax.example
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: 121d74d2d78e44c19273f7053442d4b098d2e93894da34d64728a89fa2651738
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
>
> {"id": 17, "state": "new"}
< HTTP/1.1 200 OK
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::redact::Redactor;
    use crate::exchange::transcript;

    fn count(text: &str) -> usize {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"payload"), []);
        let exchange = transcript::parse(text).unwrap().remove(0);
        check(&View::new(&exchange, &redactor), &Memory::default()).len()
    }

    #[test]
    fn a_refusal_with_the_right_hash_has_another_cause() {
        assert_eq!(count(&RIGHT.replace("200 OK", "403 Forbidden")), 0);
        assert_eq!(count(&UNSIGNED.replace("200 OK", "403 Forbidden")), 0);
        assert_eq!(count(&ACCEPTED.replace("200 OK", "403 Forbidden")), 1);
    }

    #[test]
    fn what_streams_or_was_not_seen_whole_is_left() {
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for other in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", &hash[1..]] {
            assert_eq!(count(&EMPTY.replace(hash, other)), 0, "{other}");
        }
        assert_eq!(count(EMPTY), 1);
        assert_eq!(count(&EMPTY.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")), 0);
        assert_eq!(count(&EMPTY.replace("> POST", "* outcome client-gone\n> POST")), 0);
    }

    #[test]
    fn a_server_that_did_not_come_to_the_body_names_its_own_reason() {
        let answer =
            |code: &str| format!("{EMPTY}< Content-Type: application/xml\n<\n< <Error><Code>{code}</Code></Error>\n");
        assert_eq!(count(&answer("InvalidAccessKeyId")), 0);
        assert_eq!(count(&answer("SignatureDoesNotMatch")), 1);
    }
}
