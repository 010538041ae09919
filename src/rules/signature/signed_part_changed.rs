//! A hop changed what a signature of the request covers.

use crate::exchange::View;
use crate::exchange::signed::signed;
use crate::hops::{Change, Crossing, Difference, Kind, Side};
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_answer, with_credentials};
use crate::rules::hop::{Topic, at, name_of, side_by_side, weigh, with_answers, with_fix, with_hop};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "signed-part-changed",
    family: Family::Signature,
    severity: Severity::Error,
    title: "A hop changed something that the request's signature covers",
    why: "The client signed its request: method, target, host and some header fields. A gateway then changed one of them, and \
          the backend, which computes the signature over what arrived, comes to another result. No key is needed to see it.",
    fix: "Have the gateway pass on what is signed as it came: Host with its port, the path and the query byte for byte, and \
          the fields that the signature lists. Or leave the field out of what is signed.",
    spec: &[
        Spec::rfc(9421, "2"),
        Spec::rfc(9110, "7.7"),
        Spec::Document(
            "AWS Signature Version 4",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html",
        ),
        Spec::rfc(7616, "3.4"),
        Spec::rfc(9449, "4.3"),
    ],
    supersedes: &[
        "credentials-rejected",
        "digest-uri-mismatch",
        "dpop-htu-mismatch",
        "forbidden-without-credentials",
        "known-error-text",
        "refusal-origin",
        "sigv4-fragile-header-signed",
    ],
    examples: &[
        Example::fires("the host of a request to S3", HOST),
        Example::fires("a field that the signature lists", FIELD),
        Example::fires("the path that Digest names", DIGEST),
        Example::fires("the tap itself sets another host", TAP),
        Example::fires("a field that the signature covers is not there", MISSING),
        Example::quiet("the gateway signs anew", RESIGNED),
        Example::quiet("what the signature covers is in another form, and accepted", FORMS),
        Example::quiet("what is not signed may change", UNSIGNED),
        Example::quiet("the tap sets another host, and the backend signs over its own name", TAP_ACCEPTED),
    ],
    check: Check::Both(check_tap, check),
};

fn check_tap(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    by_tap(view).or_else(|| missing(view)).into_iter().collect()
}

/// A field that the signature covers is not there, so that nobody can compute the signature that the client made.
fn missing(view: &View<'_>) -> Option<Finding> {
    if !matches!(view.status(), 400 | 401 | 403) || view.request().is_cut() {
        return None;
    }
    // A framing field is each connection's own, and over HTTP/2 there is none.
    let is_field = |name: &&String| {
        let framing = ["content-length", "transfer-encoding", "connection", "te"];
        !name.starts_with(['@', '(']) && !name.is_empty() && !framing.contains(&name.as_str())
    };
    let covered = signed(view);
    let name = covered.iter().filter(is_field).find(|name| !view.request().has(name))?;
    let summary = format!("the signature covers {name}, which the request does not have");
    let found = RULE.found(Certainty::Certain, summary).at(At::Unknown).header(name);
    let found = match view.main_credentials() {
        Some(offered) => with_credentials(found, view, offered),
        None => found.because("request: signed"),
    };
    let list = clip(format!("covered: {}", covered.join(" ")));
    Some(with_answer(found.because(list), view).fix(
        "Look for what takes the field off between the client and this tap: a gateway, or the client's own library behind \
         the step that signs. If the client never sends it, leave it out of what is signed.",
    ))
}

/// The tap itself set another Host than the client signed.
fn by_tap(view: &View<'_>) -> Option<Finding> {
    let edit = view.exchange().edits.iter().find(|edit| edit.what == "host" && edit.from != edit.to)?;
    let covered = signed(view);
    if !covered.iter().any(|name| name == "@authority") || !matches!(view.status(), 400 | 401 | 403) {
        return None;
    }
    let to = view.redactor().authority(&edit.to);
    let from = view.redactor().authority(&edit.from);
    // A DPoP proof names its URL, so that there is more to say of it.
    if view.request().has("dpop") {
        return None;
    }
    let found = RULE
        .found(Certainty::Likely, "the client signed the Host, and this tap sent another one on")
        .at(At::Tap)
        .header("host");
    let found = match view.main_credentials() {
        Some(offered) => with_credentials(found, view, offered),
        None => found.because("request: signed"),
    };
    let found = with_answer(found, view)
        .because(clip(format!("tap: Host: {from} became {to}")))
        .because(clip(format!("why: {}", edit.why)));
    Some(found.fix(
        "Let the tap keep the client's Host with `--host keep`, or let the client connect under the name of the upstream, so \
         that it signs that one.",
    ))
}

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    let attempt = crossing.last()?;
    let signed = &crossing.outer.signed;
    // Who puts another signature in the client's place signs what it has made of the request.
    let is_resigned = attempt.differences.iter().any(|difference| {
        difference.side == Side::Request
            && (difference.kind == Kind::Credentials || difference.name.starts_with("signature"))
            && matches!(
                difference.change,
                Change::Replaced { .. } | Change::Changed | Change::Removed | Change::Renamed(_)
            )
    });
    if signed.is_empty() || is_resigned {
        return None;
    }
    let difference = attempt.differences.iter().find(|difference| is_covered(difference, signed))?;
    let (severity, certainty) = weigh(crossing, attempt.join, difference.is_sure)?;
    if severity == Severity::Info {
        return None;
    }
    let name = match difference.name.as_str() {
        ":target" => "the target".to_owned(),
        ":method" => "the method".to_owned(),
        _ => name_of(difference),
    };
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let found = RULE
        .found(certainty, format!("{name} is signed, and {} between {outer} and {inner}", difference.change.text()))
        .severity(severity)
        .at(at(crossing))
        .header(&difference.name);
    let covers = signed.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if signed.len() > 6 { ", …" } else { "" };
    let found = found.because(format!("signed: {covers}{more}"));
    let found = side_by_side(found, crossing, difference);
    let found = with_hop(with_answers(found, crossing), crossing, &[difference]);
    let topic = match difference.kind {
        Kind::Host => Topic::Host,
        Kind::Target => Topic::Target,
        _ => Topic::FieldChanged,
    };
    Some(with_fix(found, crossing, topic, None))
}

fn is_covered(difference: &Difference, signed: &[String]) -> bool {
    let covers = |name: &str| signed.iter().any(|known| known == name);
    if difference.side != Side::Request || matches!(difference.change, Change::Recased { .. }) {
        return false;
    }
    match difference.kind {
        Kind::Host => covers("@authority"),
        Kind::Target if difference.name == ":method" => covers("@method"),
        Kind::Target if difference.name == ":target" => covers("@target") || covers("@path"),
        Kind::Target => covers("@target"),
        _ => covers(&difference.name),
    }
}

const HOST: &str = r#"* tap edge
> PUT /bucket/a.txt HTTP/1.1
> Host: files.example:8333
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: UNSIGNED-PAYLOAD
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
* tap app
> PUT /bucket/a.txt HTTP/1.1
> Host: files.example
> X-Amz-Date: 20261124T120000Z
> X-Amz-Content-Sha256: UNSIGNED-PAYLOAD
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
"#;

const FIELD: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Accept-Encoding: identity
> Signature-Input: sig1=("@method" "@authority" "accept-encoding");created=1795521600
> Signature: sig1=:MEUCIQDzNyI0123456789abcdefABCDEF0123456789==:
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Signature realm="a"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> Accept-Encoding: gzip
> Signature-Input: sig1=("@method" "@authority" "accept-encoding");created=1795521600
> Signature: sig1=:MEUCIQDzNyI0123456789abcdefABCDEF0123456789==:
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Signature realm="a"
"#;

const DIGEST: &str = r#"* tap edge
> GET /api/orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="a", nonce="dcd98b7102dd2f0e", uri="/api/orders", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 400 Bad Request
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Digest username="anna", realm="a", nonce="dcd98b7102dd2f0e", uri="/api/orders", response="6629fae49393a05397450978507c4ef1"
< HTTP/1.1 400 Bad Request
"#;

const RESIGNED: &str = r#"* tap edge
> GET /bucket/a.txt HTTP/1.1
> Host: files.example:8333
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
* tap app
> GET /bucket/a.txt HTTP/1.1
> Host: s3.example
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7GATEWAY/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210
< HTTP/1.1 200 OK
"#;

const UNSIGNED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Accept-Encoding: identity
> Signature-Input: sig1=("@method" "@authority");created=1795521600
> Signature: sig1=:MEUCIQDzNyI0123456789abcdefABCDEF0123456789==:
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> Accept-Encoding: gzip
> Signature-Input: sig1=("@method" "@authority");created=1795521600
> Signature: sig1=:MEUCIQDzNyI0123456789abcdefABCDEF0123456789==:
< HTTP/1.1 200 OK
"#;

const TAP: &str = r#"* upstream https://s3.example
* edited host s3.example
> GET /bucket/a.txt HTTP/1.1
> Host: 127.0.0.1:8080
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 403 Forbidden
< Content-Type: application/xml
<
< <Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the signature you provided.</Message></Error>
"#;

const TAP_ACCEPTED: &str = r#"* upstream https://s3.example
* edited host s3.example
> GET /bucket/a.txt HTTP/1.1
> Host: 127.0.0.1:8080
> X-Amz-Date: 20261124T120000Z
> Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
< HTTP/1.1 200 OK
"#;

const MISSING: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Content-Type: application/json
> Signature-Input: sig1=("@method" "@target-uri" "content-type" "content-digest");created=1795521600;keyid="billing"
> Signature: sig1=:MEUCIQDzNyI0123456789abcdefABCDEF0123456789==:
< HTTP/1.1 401 Unauthorized
< Content-Type: application/json
<
< {"error":"invalid signature"}
"#;

const FORMS: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Priority: u=1, i
> Signature-Input: sig1=("@method" "@query-param";name="page" "priority";key="u" "digest";tr);created=1795521600
> Signature: sig1=:MEUCIQDzNyI0123456789abcdefABCDEF0123456789==:
< HTTP/1.1 200 OK
"#;
