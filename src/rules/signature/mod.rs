//! Signatures of requests, judged without their keys.

pub mod digest_nonce_not_shared;
pub mod signed_part_changed;
