//! Which sightings are of one request, where no hop header tells.
//!
//! A gateway may drop headers that it does not know. What is left are the ids by which programs follow a request through
//! their logs, and then method, path, time and credentials. That two requests look alike is no proof that they are one:
//! it counts only where no other request fits.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Join;
use crate::exchange::Exchange;
use crate::exchange::view::path_of;
use crate::wire::RawHead;

/// Fields that carry the id of a trace, whatever else they say, with the byte that ends it and its place among the parts.
const TRACES: [(&str, u8, usize); 4] =
    [("traceparent", b'-', 1), ("x-b3-traceid", b'-', 0), ("uber-trace-id", b':', 0), ("x-amzn-trace-id", b';', 0)];

/// Fields that carry the id of a request.
const IDS: [&str; 5] = ["x-request-id", "x-correlation-id", "request-id", "x-amzn-requestid", "cf-ray"];

/// How much earlier than the outer one an inner request may seem to begin, for clocks that are read on two threads.
const SLACK: SignedDuration = SignedDuration::from_millis(20);

/// By what a request may be known again.
pub struct Marks {
    /// When it began, by the clock of its tap.
    pub time: Timestamp,
    /// How long it took.
    pub total: Duration,
    /// The method.
    pub method: Vec<u8>,
    /// The path, without its query.
    pub path: Vec<u8>,
    /// The ids of traces.
    pub traces: Vec<Vec<u8>>,
    /// The ids of requests.
    pub ids: Vec<Vec<u8>>,
    /// What stands for who sends it.
    pub credentials: Option<Vec<u8>>,
}

impl Marks {
    /// The marks of an exchange.
    pub fn of(exchange: &Exchange) -> Self {
        let head = &exchange.request.head;
        let line = head.request_line();
        Marks {
            time: exchange.time,
            total: exchange.timing.total,
            method: line.method.to_vec(),
            path: path_of(line.target).to_vec(),
            credentials: head.value("authorization").map(<[u8]>::to_vec),
            ..Self::ids_of(head)
        }
    }

    fn ids_of(head: &RawHead) -> Self {
        let values = |name: &str| head.value(name).filter(|value| value.len() >= 8).map(<[u8]>::to_vec);
        Marks {
            time: Timestamp::UNIX_EPOCH,
            total: Duration::ZERO,
            method: Vec::new(),
            path: Vec::new(),
            traces: TRACES.iter().filter_map(|(name, end, at)| trace_of(&values(name)?, *end, *at)).collect(),
            ids: IDS.iter().filter_map(|name| values(name)).collect(),
            credentials: None,
        }
    }

    /// The marks of a request of which only texts are known, as a record has them. `value` gives that of a field, where it can
    /// be compared.
    pub fn of_record<'a>(
        (time, total): (Timestamp, Duration),
        method: &str,
        target: &str,
        value: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        let long = |name: &str| value(name).filter(|value| value.len() >= 8).map(|value| value.as_bytes().to_vec());
        // Of an id that is masked, the parts are gone, and what is equal stays equal.
        let trace = |value: Vec<u8>, end: u8, at: usize| match value.starts_with(b"<redacted") {
            true => Some(value),
            false => trace_of(&value, end, at),
        };
        Marks {
            time,
            total,
            method: method.as_bytes().to_vec(),
            path: path_of(target.as_bytes()).to_vec(),
            traces: TRACES.iter().filter_map(|(name, end, at)| trace(long(name)?, *end, *at)).collect(),
            ids: IDS.iter().filter_map(|name| long(name)).collect(),
            credentials: value("authorization").map(|value| value.as_bytes().to_vec()),
        }
    }
}

fn trace_of(value: &[u8], end: u8, at: usize) -> Option<Vec<u8>> {
    let part = value.split(|byte| *byte == end).nth(at)?;
    (part.len() >= 8).then(|| part.to_ascii_lowercase())
}

/// Whether an inner request began while an outer one was running. `ahead` is how far the inner clock is ahead of the outer
/// one.
pub fn overlaps(outer: &Marks, inner: &Marks, ahead: SignedDuration) -> bool {
    let began = inner.time.duration_since(outer.time) - ahead;
    let total = SignedDuration::try_from(outer.total).unwrap_or(SignedDuration::MAX);
    began >= -SLACK && began <= total.saturating_add(SLACK)
}

/// How well an inner request fits an outer one. `ahead` is how far the inner clock is ahead of the outer one.
pub fn fit(outer: &Marks, inner: &Marks, ahead: SignedDuration) -> Option<Join> {
    if !overlaps(outer, inner, ahead) {
        return None;
    }
    let shares = |one: &[Vec<u8>], other: &[Vec<u8>]| one.iter().any(|id| other.contains(id));
    if shares(&outer.traces, &inner.traces) {
        return Some(Join::TraceId);
    }
    if shares(&outer.ids, &inner.ids) {
        return Some(Join::RequestId);
    }
    // A gateway passes ids on or makes them anew, but one that both have and that differs speaks against it.
    let differs = |one: &[Vec<u8>], other: &[Vec<u8>]| !one.is_empty() && !other.is_empty() && !shares(one, other);
    if differs(&outer.traces, &inner.traces) || outer.method != inner.method || !is_alike(&outer.path, &inner.path) {
        return None;
    }
    let other_credentials = match (&outer.credentials, &inner.credentials) {
        (Some(outer), Some(inner)) => outer != inner,
        _ => false,
    };
    (!other_credentials).then_some(Join::Likeness)
}

/// Whether one path is the other, or the other with a prefix put before it.
fn is_alike(one: &[u8], other: &[u8]) -> bool {
    let (long, short) = if one.len() >= other.len() { (one, other) } else { (other, one) };
    long == short || (short.len() > 1 && short.starts_with(b"/") && long.ends_with(short))
}

/// For each inner request the outer one that it belongs to. One outer request may have several, which a gateway made of
/// it; that two only look alike counts where nothing else does.
pub fn match_up(outers: &[&Marks], inners: &[&Marks], ahead: SignedDuration) -> Vec<Option<(usize, Join)>> {
    let fits: Vec<Vec<(usize, Join)>> = inners
        .iter()
        .map(|inner| {
            let fits = outers.iter().enumerate().filter_map(|(at, outer)| Some((at, fit(outer, inner, ahead)?)));
            let mut fits: Vec<_> = fits.collect();
            let best = fits.iter().map(|(_, join)| *join).max();
            fits.retain(|(_, join)| Some(*join) == best);
            fits
        })
        .collect();
    let rivals = |outer: usize| fits.iter().filter(|fits| fits.iter().any(|(at, _)| *at == outer)).count();
    fits.iter()
        .map(|fits| match fits.as_slice() {
            [(outer, Join::Likeness)] if rivals(*outer) > 1 => None,
            [only] => Some(*only),
            // One trace can hold several requests; time and path tell them apart only where they do so plainly.
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::transcript;

    fn marks(text: &str) -> Marks {
        Marks::of(&transcript::parse(&format!("{text}\n< HTTP/1.1 200 OK\n")).unwrap()[0])
    }

    const ID: &str = "> GET /a HTTP/1.1\n> X-Request-Id: 0123456789\n";

    #[test]
    fn ids_count_more_than_looks() {
        let trace = |span: &str, path: &str| {
            marks(&format!(
                "> GET {path} HTTP/1.1\n> traceparent: 00-0af7651916cd43dd8448eb211c80319c-{span}-01\n> X-Request-Id: 0123456789\n"
            ))
        };
        let (outer, inner) = (trace("b7ad6b7169203331", "/a"), trace("00f067aa0ba902b7", "/b"));
        assert_eq!(fit(&outer, &inner, SignedDuration::ZERO), Some(Join::TraceId));
        assert_eq!(fit(&marks(ID), &inner, SignedDuration::ZERO), Some(Join::RequestId));
        assert_eq!(fit(&marks("> GET /a HTTP/1.1"), &marks(ID), SignedDuration::ZERO), Some(Join::Likeness));
        assert_eq!(
            fit(&marks("> GET /api/a HTTP/1.1"), &marks("> GET /a HTTP/1.1"), SignedDuration::ZERO),
            Some(Join::Likeness)
        );
        for other in ["> POST /a HTTP/1.1", "> GET /b HTTP/1.1", "* later 3s\n> GET /a HTTP/1.1"] {
            assert_eq!(fit(&marks("> GET /a HTTP/1.1"), &marks(other), SignedDuration::ZERO), None, "{other}");
        }
        let later = marks("* later 3s\n> GET /a HTTP/1.1");
        assert_eq!(fit(&marks("> GET /a HTTP/1.1"), &later, SignedDuration::from_secs(3)), Some(Join::Likeness));
        let sent = |token: &str| marks(&format!("> GET /a HTTP/1.1\n> Authorization: Bearer {token}"));
        assert_eq!(fit(&sent("abcdefgh"), &sent("ijklmnop"), SignedDuration::ZERO), None);
    }

    #[test]
    fn what_fits_twice_is_not_joined() {
        let (one, two) = (marks("> GET /a HTTP/1.1"), marks("> GET /a HTTP/1.1"));
        let other = marks("> GET /c HTTP/1.1");
        let zero = SignedDuration::ZERO;
        assert_eq!(match_up(&[&one, &other], &[&two], zero), [Some((0, Join::Likeness))]);
        assert_eq!(match_up(&[&one, &two], &[&marks("> GET /a HTTP/1.1")], zero), [None]);
        assert_eq!(match_up(&[&one], &[&two, &marks("> GET /a HTTP/1.1")], zero), [None, None]);
        // Retries of a gateway share the id of the request.
        let joined = match_up(&[&marks(ID)], &[&marks(ID), &marks(ID)], zero);
        assert_eq!(joined, [Some((0, Join::RequestId)), Some((0, Join::RequestId))]);
    }
}
