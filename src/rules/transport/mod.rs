//! How credentials travel: whether they come at all, where they stand in the message, and how often.

pub mod auth_header_name_suspect;
pub mod authorization_misplaced;
pub mod credentials_in_url;
pub mod credentials_over_cleartext;
pub mod credentials_reported_missing;
pub mod field_line_malformed;
pub mod framing_ambiguous;
pub mod header_section_too_large;
pub mod multiple_credentials;
pub mod proxy_authorization_at_origin;
pub mod wrong_credential_header;
