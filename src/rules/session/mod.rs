//! What shows only over several requests.

pub mod cached_refusal;
pub mod replica_disagreement;
