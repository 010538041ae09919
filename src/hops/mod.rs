//! What happened between two taps: sightings of one request, and how they differ.
//!
//! A [`Sighting`] is what one tap saw of a request and its answer; [`compare()`] names the differences between two of them;
//! a [`Crossing`] is a request's way over one hop, with all that is known of it. Sightings come from three sources: live
//! exchanges, where the bytes themselves can be compared; hop headers, which carry fingerprints (see [`trace`]); and
//! records, in which only what may be shown is left. The less a source knows, the less is claimed.

pub mod compare;
pub mod crossing;
pub mod difference;
pub mod digest;
mod fields;
pub mod from_header;
pub mod from_record;
pub mod from_view;
pub mod join;
pub mod kinds;
pub mod report;
pub mod rewrite;
pub mod sighting;
pub mod trace;

pub use compare::compare;
pub use crossing::{Attempt, Crossing, Join};
pub use difference::{Change, Difference, Kind, NameCase, Rewrite, Side, Told};
pub use report::HopReport;
pub use sighting::{Answer, Credential, Extent, Line, Message, Sighting, Value};
