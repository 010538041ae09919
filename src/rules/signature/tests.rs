//! What must not be said of a signed request that was refused.

use super::*;
use crate::rules::Rule;
use crate::rules::credentials::tests::found;

fn fires(rule: &Rule, text: &str) -> bool {
    !found(rule, text).is_empty()
}

const OURS: [&Rule; 12] = [
    &authorization_on_presigned_url::RULE,
    &bearer_or_basic_at_aws_iam::RULE,
    &digest_answer_inconsistent::RULE,
    &digest_uri_mismatch::RULE,
    &dpop_htu_mismatch::RULE,
    &dpop_proof_invalid::RULE,
    &dpop_proof_reused::RULE,
    &presigned_url_expired::RULE,
    &sigv4_clock_skew::RULE,
    &sigv4_fragile_header_signed::RULE,
    &sigv4_scope_mismatch::RULE,
    &sigv4_session_token_missing::RULE,
];

const PROOF: &str = r#"{jwt {"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}} {"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"http://a/b","iat":1795521600,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}}"#;

/// Requests in which nothing is wrong but the key or the password, whatever the answer.
fn sound() -> Vec<String> {
    let aws = |host: &str, scope: &str| {
        format!(
            "> GET /b HTTP/1.1\n> Host: {host}\n> X-Amz-Date: 20261124T120000Z\n> Authorization: AWS4-HMAC-SHA256 \
             Credential=AKIAIOSFODNN7EXAMPLE/20261124/{scope}/aws4_request, SignedHeaders=host;x-amz-date, Signature=0123456789abcdef\n"
        )
    };
    vec![
        aws("sqs.eu-west-1.amazonaws.com", "eu-west-1/sqs"),
        aws("s3.amazonaws.com", "us-east-1/s3"),
        aws("iam.amazonaws.com", "us-east-1/iam"),
        aws("bucket.s3-accelerate.amazonaws.com", "eu-west-1/s3"),
        aws("minio.example:9000", "garage/s3"),
        aws("search-a.eu-west-1.es.amazonaws.com", "eu-west-1/es"),
        "> GET /b?X-Amz-Credential=A%2F20261124%2Fauto%2Fs3%2Faws4_request&X-Amz-Date=20261124T120000Z&X-Amz-Expires=900&\
         X-Amz-SignedHeaders=host&X-Amz-Signature=0123 HTTP/1.1\n> Host: files.example\n"
            .to_owned(),
        "> GET /b?sig=abc&se=2020-01-01 HTTP/1.1\n> Host: a\n".to_owned(),
        "> GET /b?x=1 HTTP/1.1\n> Host: a\n> Authorization: Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"/b?x=1\", response=\"0\"\n"
            .to_owned(),
        format!("> GET /b?x=1 HTTP/1.1\n> Host: a\n> Authorization: DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU\n> DPoP: {PROOF}\n"),
        "> GET /b HTTP/1.1\n> Host: a\n> Authorization: Bearer abcdef\n".to_owned(),
    ]
}

#[test]
fn a_sound_signature_that_is_refused_is_left_to_others() {
    for request in sound() {
        for status in ["200", "400", "401", "403", "404", "500"] {
            for body in ["", "<\n< <Code>SignatureDoesNotMatch</Code>\n"] {
                let text = format!("{request}< HTTP/1.1 {status} x\n< Date: Tue, 24 Nov 2026 12:00:01 GMT\n{body}");
                for rule in OURS {
                    assert!(!fires(rule, &text), "{}: {text}", rule.name);
                }
            }
        }
    }
}

#[test]
fn the_host_of_the_tap_matters_where_it_is_signed() {
    let with = |signed: &str| {
        format!(
            "* edited host s3.example\n> GET /b HTTP/1.1\n> Host: localhost:8080\n> X-Amz-Date: 20261124T120000Z\n\
             > Authorization: AWS4-HMAC-SHA256 Credential=A/20261124/r/s3/aws4_request, SignedHeaders={signed}, Signature=01\n< HTTP/1.1 403 x\n"
        )
    };
    assert!(fires(&signed_part_changed::RULE, &with("host;x-amz-date")));
    assert!(!fires(&signed_part_changed::RULE, &with("x-amz-date")));
    assert!(!fires(&signed_part_changed::RULE, &with("host").replace("* edited host s3.example\n", "")));
    assert!(!fires(&signed_part_changed::RULE, &with("host").replace("s3.example", "localhost:8080")));
}

#[test]
fn a_nonce_that_is_given_out_again_is_counted_anew() {
    let challenge = "< HTTP/1.1 401 x\n< WWW-Authenticate: Digest realm=\"r\", nonce=\"same\", qop=\"auth\"\n";
    let answer = "> GET /b HTTP/1.1\n> Authorization: Digest username=\"u\", realm=\"r\", nonce=\"same\", uri=\"/b\", \
                  qop=auth, nc=00000001, cnonce=\"c\", response=\"0\"\n";
    let text = format!("> GET /b HTTP/1.1\n{challenge}{answer}{challenge}{answer}{challenge}");
    assert!(!fires(&digest_answer_inconsistent::RULE, &text));
    let text = format!("> GET /b HTTP/1.1\n{challenge}{answer}< HTTP/1.1 200 OK\n{answer}< HTTP/1.1 401 x\n");
    assert!(fires(&digest_answer_inconsistent::RULE, &text));
}
