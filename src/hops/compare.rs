//! Names the differences between what two taps saw of one request.

use super::{Difference, Sighting};
use crate::auth::FingerprintKey;
use crate::exchange::redact::Redactor;

/// What the hop between `outer` and `inner` changed: in the request from the outer to the inner tap, in the answer from
/// the inner to the outer one. `key` is that under which fingerprints in digests were made.
pub fn compare(
    _outer: &Sighting<'_>,
    _inner: &Sighting<'_>,
    _redactor: &Redactor,
    _key: &FingerprintKey,
) -> Vec<Difference> {
    Vec::new()
}
