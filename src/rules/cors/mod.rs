//! What browsers ask for before and after a request across origins.

pub mod cors_origin_invalid;
pub mod preflight_authorization_not_allowed;
pub mod preflight_redirected;
pub mod preflight_rejected;

use super::Spec;

/// The algorithm that browsers run before a request that is not simple.
const PREFLIGHT: Spec =
    Spec::Document("Fetch: CORS-preflight fetch", "https://fetch.spec.whatwg.org/#cors-preflight-fetch-0");
/// The algorithm by which browsers decide whether a script may read an answer.
const CORS_CHECK: Spec = Spec::Document("Fetch: CORS check", "https://fetch.spec.whatwg.org/#concept-cors-check");
