//! What browsers ask for before and after a request across origins.

pub mod challenge_not_exposed;
pub mod cors_missing_on_error;
pub mod cors_origin_invalid;
pub mod preflight_authorization_not_allowed;
pub mod preflight_redirected;
pub mod preflight_rejected;
pub mod wildcard_does_not_cover_authorization;

use super::Spec;
use crate::exchange::View;

/// The algorithm that browsers run before a request that is not simple.
const PREFLIGHT: Spec =
    Spec::Document("Fetch: CORS-preflight fetch", "https://fetch.spec.whatwg.org/#cors-preflight-fetch-0");
/// The algorithm by which browsers decide whether a script may read an answer.
const CORS_CHECK: Spec = Spec::Document("Fetch: CORS check", "https://fetch.spec.whatwg.org/#concept-cors-check");

/// A page that asks its own server sends Origin with POST as well, and no CORS field matters to it.
pub(super) fn is_same_origin(view: &View<'_>, origin: &[u8]) -> bool {
    let site = view.request().value("sec-fetch-site");
    let authority = view.authority().unwrap_or_default().to_ascii_lowercase();
    let host = memchr::memmem::find(origin, b"://").and_then(|at| origin.get(at + 3..)).unwrap_or_default();
    site == Some(b"same-origin")
        || view.request().value("sec-fetch-mode") == Some(b"no-cors")
        || (!authority.is_empty() && host.eq_ignore_ascii_case(authority.as_bytes()))
}

/// Whether a browser sent it: these fields can't be set by a script, and other programs have no reason to.
fn is_browser(view: &View<'_>) -> bool {
    let agent = view.request().value("user-agent").unwrap_or_default();
    view.request().has("sec-fetch-mode") || agent.starts_with(b"Mozilla/")
}
