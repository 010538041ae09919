//! What shows only over several requests.

pub mod cached_refusal;
pub mod cookie_unstorable;
pub mod credential_stopped_working;
pub mod refresh_token_raced;
pub mod replica_disagreement;
pub mod same_credential_retried;
pub mod stale_token_kept;
