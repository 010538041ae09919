//! A request's way over one hop.

use super::{Difference, Kind, Side, Sighting};

/// A request's way over one hop: what the tap before it saw, what arrived behind it, and what differs.
pub struct Crossing<'a> {
    /// What the tap before the hop saw.
    pub outer: &'a Sighting<'a>,
    /// The name of the tap behind the hop.
    pub inner_tap: &'a str,
    /// What arrived behind the hop, in the order in which it came: nothing, where the gateway answered itself; several,
    /// where it tried again.
    pub attempts: Vec<Attempt<'a>>,
    /// How many requests arrived behind the hop that were not over when this was told.
    pub running: usize,
    /// Whether what did not arrive would have been seen: the tap announced the request to the next one, and nothing of what
    /// the taps saw was lost.
    pub is_certain: bool,
}

/// One request that a gateway made of the one that it got.
pub struct Attempt<'a> {
    /// What the tap behind the hop saw.
    pub inner: &'a Sighting<'a>,
    /// How it is known that both belong together.
    pub join: Join,
    /// What differs, in the order of the outer request and then of the inner answer.
    pub differences: Vec<Difference>,
}

/// How it is known that two sightings are of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Join {
    /// Method, path, time and fingerprints fit, and those of no other request do.
    Likeness,
    /// Both have the same request id.
    RequestId,
    /// Both have the same trace id.
    TraceId,
    /// The hop header says so.
    HopHeader,
}

impl Join {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Likeness => "likeness",
            Self::RequestId => "request-id",
            Self::TraceId => "trace-id",
            Self::HopHeader => "hop-header",
        }
    }

    /// How it is said in evidence.
    pub fn text(self) -> &'static str {
        match self {
            Self::Likeness => "method, path, time and fingerprints fit, and no other request's do",
            Self::RequestId => "the same request id was seen at both taps",
            Self::TraceId => "the same trace id was seen at both taps",
            Self::HopHeader => "the same request was seen at both taps",
        }
    }
}

impl<'a> Crossing<'a> {
    /// The attempt whose answer went back: the last.
    pub fn last(&self) -> Option<&Attempt<'a>> {
        self.attempts.last()
    }

    /// The differences of the last attempt in that message and of that kind.
    pub fn differences(&self, side: Side, kind: Kind) -> impl Iterator<Item = &Difference> {
        let differences = self.last().map(|attempt| attempt.differences.as_slice()).unwrap_or_default();
        differences.iter().filter(move |difference| difference.side == side && difference.kind == kind)
    }
}
