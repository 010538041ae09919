//! Where a redirect leads, and what gets lost on the way.

pub mod authorization_lost_on_redirect;
pub mod login_redirect_loop;
pub mod redirect_changes_origin;
pub mod redirect_slash_with_credentials;

use super::Spec;

/// By which browsers, and what is made like them, take Authorization off a request that is redirected.
const REDIRECT_FETCH: Spec =
    Spec::Document("Fetch: HTTP-redirect fetch", "https://fetch.spec.whatwg.org/#http-redirect-fetch");
