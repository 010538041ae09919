//! What shows only over several requests.

pub mod authorised_response_shared;
pub mod cached_refusal;
pub mod challenge_ignored;
pub mod cookie_and_header_conflict;
pub mod cookie_unstorable;
pub mod credential_stopped_working;
pub mod refresh_no_effect;
pub mod refresh_token_raced;
pub mod replica_disagreement;
pub mod same_credential_retried;
pub mod session_cookie_not_returned;
pub mod stale_token_kept;
