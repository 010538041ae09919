//! Signatures of requests, judged without their keys.

pub mod authorization_on_presigned_url;
mod aws;
pub mod bearer_or_basic_at_aws_iam;
mod clocks;
pub mod digest_answer_inconsistent;
pub mod digest_nonce_not_shared;
pub mod digest_uri_mismatch;
mod dpop;
pub mod dpop_htu_mismatch;
pub mod dpop_proof_invalid;
pub mod dpop_proof_reused;
pub mod presigned_url_expired;
pub mod signed_part_changed;
pub mod sigv4_clock_skew;
pub mod sigv4_fragile_header_signed;
pub mod sigv4_payload_hash_mismatch;
pub mod sigv4_scope_mismatch;
pub mod sigv4_session_token_missing;

#[cfg(test)]
mod tests;
