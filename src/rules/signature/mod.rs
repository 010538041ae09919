//! Signatures of requests, judged without their keys.

mod aws;
mod clocks;
pub mod digest_nonce_not_shared;
pub mod signed_part_changed;
pub mod sigv4_clock_skew;
pub mod sigv4_scope_mismatch;
pub mod sigv4_session_token_missing;
