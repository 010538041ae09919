//! Signatures of requests, judged without their keys.

pub mod signed_part_changed;
