//! How a challenge is written: what a refusal says about the way to log in.

pub mod bearer_error_misused;
pub mod challenge_malformed;
pub mod challenge_missing;
pub mod challenge_renamed;

use crate::exchange::View;

/// The field in which the challenges of this status belong: by whether it is a proxy's, and by name.
fn place_of_challenges(view: &View<'_>) -> Option<(bool, &'static str)> {
    match view.status() {
        401 => Some((false, "WWW-Authenticate")),
        407 => Some((true, "Proxy-Authenticate")),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
