//! Which status was answered, by whom, and whether it says what is meant.

pub mod credentials_absent;
pub mod credentials_rejected;
pub mod error_on_bad_credentials;
pub mod forbidden_without_credentials;
pub mod grpc_auth_status;
pub mod handshake_step;
pub mod known_error_text;
pub mod login_redirect_for_api;
pub mod upstream_failed;
