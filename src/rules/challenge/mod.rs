//! How a challenge is written: what a refusal says about the way to log in.

pub mod bearer_error_misused;
pub mod browser_popup;
pub mod challenge_malformed;
pub mod challenge_missing;
pub mod challenge_multi_hazard;
pub mod challenge_renamed;
pub mod digest_algorithm_unsupported;
pub mod oauth_metadata_mismatch;
pub mod realm_unstable;
pub mod resource_metadata_missing;
pub mod resource_metadata_wrong;
pub mod token_service_url_wrong;

use crate::exchange::View;
use crate::exchange::location::{Address, Leads};

/// The field in which the challenges of this status belong: by whether it is a proxy's, and by name.
fn place_of_challenges(view: &View<'_>) -> Option<(bool, &'static str)> {
    match view.status() {
        401 => Some((false, "WWW-Authenticate")),
        407 => Some((true, "Proxy-Authenticate")),
        _ => None,
    }
}

/// What is wrong with an address that a challenge sends its reader to, compared with the one that the reader asked: in
/// words, as the end of a sentence. Between two taps a gateway may still write it anew, and what it did is judged there.
fn address_fault(view: &View<'_>, url: &str) -> Option<&'static str> {
    if view.exchange().tap.position.index > 0 {
        return None;
    }
    let authority = url.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let host = authority.map(|authority| authority.split(':').next().unwrap_or_default()).unwrap_or_default();
    let has_gap =
        host.starts_with('.') || host.contains("..") || host.strip_suffix('.').is_some_and(|h| !h.contains('.'));
    if authority.is_some_and(|authority| !authority.starts_with('[')) && (host.is_empty() || has_gap) {
        return Some("lacks a part of its host");
    }
    let (asked, named) = (Address::of_request(view)?, Address::parse(url)?);
    let is_downgraded = asked.scheme == Some("https") && named.scheme == Some("http");
    match asked.leads(&named) {
        Leads::ToInternalHost => Some("names a host that is known only inside"),
        _ if is_downgraded => Some("is http, and the client came over https"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
