//! authtap: a transparent reverse proxy that finds out why HTTP authentication fails.

pub mod auth;
