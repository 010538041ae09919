//! Which status was answered, by whom, and whether it says what is meant.

pub mod credentials_absent;
pub mod credentials_rejected;
pub mod error_on_bad_credentials;
pub mod failure_in_200;
pub mod forbidden_without_credentials;
pub mod grpc_auth_status;
pub mod handshake_step;
pub mod hidden_not_found;
pub mod known_error_text;
pub mod login_redirect_for_api;
pub mod manifest_without_credentials;
pub mod method_auth_differs;
pub mod not_an_auth_failure;
pub mod proxy_auth_status_confused;
pub mod upstream_failed;
