//! What a gateway between two taps did to a request or to its answer.
//!
//! A change is certain as a fact where the same request was seen on both sides. Whether it is a fault is told by the
//! backend: what it accepts, somebody meant (RFC 9110 calls a reverse proxy a gateway, which may do as it likes).

pub mod challenge_changed;
pub mod credentials_moved;
pub mod credentials_replaced;
pub mod credentials_rewritten;
pub mod credentials_stripped;
pub mod forwarded_context_missing;
pub mod gateway_credential_leaked;
pub mod header_name_recased;
pub mod refusal_origin;
pub mod status_rewritten;

use super::products;
pub(super) use super::products::Topic;
use super::{At, Certainty, Finding, Severity};
use crate::hops::{Answer, Attempt, Change, Crossing, Difference, Extent, Join, Kind, Side, Told};

/// What became of the request behind the hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was refused for reasons of authentication: 401, 403 or 407, a redirect to a login, or their like in gRPC.
    Refused,
    /// It was served.
    Accepted,
    /// Something else was answered, which may hide a refusal: 404 and 400, 5xx.
    Other,
    /// No answer was seen.
    Unknown,
}

/// What the backend said to the last request that arrived.
pub(super) fn backend(crossing: &Crossing<'_>) -> Verdict {
    crossing.last().map_or(Verdict::Unknown, |attempt| verdict(attempt.inner.answer.as_ref()))
}

/// What the client was told.
pub(super) fn told(crossing: &Crossing<'_>) -> Verdict {
    verdict(crossing.outer.answer.as_ref())
}

fn verdict(answer: Option<&Answer>) -> Verdict {
    match answer {
        None => Verdict::Unknown,
        Some(answer) if answer.by_tap => Verdict::Unknown,
        Some(answer) if answer.is_success => Verdict::Accepted,
        Some(answer) => match answer.status {
            401 | 403 | 407 => Verdict::Refused,
            // Under a 2xx that is no success stands a grpc-status.
            200..=299 => Verdict::Refused,
            100..=199 | 304 => Verdict::Accepted,
            301..=303 | 307 | 308 if leads_to_login(answer) => Verdict::Refused,
            300..=399 => Verdict::Accepted,
            _ => Verdict::Other,
        },
    }
}

/// Whether a redirect goes to where one logs in.
fn leads_to_login(answer: &Answer) -> bool {
    const WORDS: [&str; 6] = ["login", "signin", "sign-in", "sso", "authorize", "oauth2"];
    let location = answer.message.fields.iter().find(|line| line.name.eq_ignore_ascii_case("location"));
    let text = location.map(|line| match &line.value {
        crate::hops::Value::Seen(secret) => String::from_utf8_lossy(secret.expose()).to_ascii_lowercase(),
        crate::hops::Value::Shown(text) => text.to_ascii_lowercase(),
        crate::hops::Value::Digest { .. } => String::new(),
    });
    text.is_some_and(|text| WORDS.iter().any(|word| text.contains(word)))
}

/// How sure a fact about a hop can be, by how both sides were joined.
pub(super) fn by_join(join: Join) -> Certainty {
    match join {
        Join::HopHeader => Certainty::Certain,
        Join::TraceId | Join::RequestId => Certainty::Likely,
        Join::Likeness => Certainty::Possible,
    }
}

/// How bad a change is, and how sure it is the cause, by what the backend said of it; `None` where nobody answered.
///
/// An answer such as 404 may be a refusal that hides itself (RFC 9110 15.5.4), or none at all.
pub(super) fn weigh(crossing: &Crossing<'_>, join: Join, is_sure: bool) -> Option<(Severity, Certainty)> {
    let certainty = if is_sure { by_join(join) } else { by_join(join).min(Certainty::Likely) };
    match backend(crossing) {
        Verdict::Refused => Some((Severity::Error, certainty)),
        Verdict::Accepted => Some((Severity::Info, certainty)),
        Verdict::Other => Some((Severity::Warning, certainty.min(Certainty::Likely))),
        Verdict::Unknown => None,
    }
}

/// The place between two taps.
pub(super) fn at(crossing: &Crossing<'_>) -> At {
    At::Hop(crossing.outer.tap.clone(), crossing.inner_tap.to_owned())
}

/// Adds what both taps saw of one thing, side by side.
pub(super) fn side_by_side(found: Finding, crossing: &Crossing<'_>, difference: &Difference) -> Finding {
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let (first, second) = match difference.side {
        Side::Request => ((outer, difference.before.as_ref()), (inner, difference.after.as_ref())),
        Side::Answer => ((outer, difference.after.as_ref()), (inner, difference.before.as_ref())),
    };
    let width = outer.len().max(inner.len());
    let way = if difference.side == Side::Request { "in" } else { "out" };
    let line = |name: &str, told: Option<&Told>, is_outer: bool| {
        let nothing = if has(crossing, difference, is_outer) { "(not this one)" } else { "(none)" };
        let text = told.map_or_else(|| nothing.to_owned(), Told::text);
        super::evidence::clip(format!("{name:<width$} {way:<3}  {text}"))
    };
    let found = found.because(line(first.0, first.1, true)).because(line(second.0, second.1, false));
    if !matches!(difference.change, Change::Replaced { .. }) {
        return found;
    }
    let about: Vec<String> = [("before", &difference.before), ("behind", &difference.after)]
        .into_iter()
        .filter_map(|(when, told)| told.as_ref().map(|told| (when, told)))
        .filter(|(_, told)| !told.about.is_empty())
        .map(|(when, told)| format!("{when}: {}", told.about.join(", ")))
        .collect();
    match about.is_empty() {
        true => found,
        false => found.because(super::evidence::clip(about.join("; "))),
    }
}

/// Whether a field of that name is there at all, on that side of the hop.
pub(super) fn has(crossing: &Crossing<'_>, difference: &Difference, is_outer: bool) -> bool {
    let sighting = if is_outer { Some(crossing.outer) } else { crossing.last().map(|attempt| attempt.inner) };
    let message = sighting.and_then(|sighting| match difference.side {
        Side::Request => Some(&sighting.request),
        Side::Answer => sighting.answer.as_ref().map(|answer| &answer.message),
    });
    message.is_some_and(|message| message.fields.iter().any(|line| line.name.eq_ignore_ascii_case(&difference.name)))
}

/// Adds what else the hop changed, which product it is, and how both sides were joined.
pub(super) fn with_hop(mut found: Finding, crossing: &Crossing<'_>, about: &[&Difference]) -> Finding {
    let Some(last) = crossing.last() else { return found };
    let width = crossing.outer.tap.len().max(crossing.inner_tap.len()) + 4;
    let others: Vec<String> = last
        .differences
        .iter()
        .filter(|other| other.kind != Kind::Plumbing && !about.iter().any(|about| std::ptr::eq(*about, *other)))
        .filter(|other| other.side == Side::Request)
        .map(briefly)
        .collect();
    let sent = &crossing.outer.request;
    let unchanged = match sent.extent {
        Extent::Whole | Extent::Cut => sent.fields.len().saturating_sub(touched(last)),
        Extent::Digest { .. } => 0,
    };
    if !others.is_empty() {
        let more = others.len().saturating_sub(4);
        let mut text = others.into_iter().take(4).collect::<Vec<_>>().join(", ");
        if more > 0 {
            text.push_str(&format!(", and {more} more"));
        }
        if unchanged > 0 {
            let headers = if unchanged == 1 { "header" } else { "headers" };
            text.push_str(&format!("; {unchanged} {headers} unchanged"));
        }
        found = found.because(super::evidence::clip(format!("{:<width$}  {text}", "also")));
    }
    if let Some((product, said)) = products::product(crossing) {
        found = found.because(super::evidence::clip(format!("{:<width$}  {} ({said})", "hop", product.name())));
    } else if let Some(kind) = products::speller(&last.differences) {
        found = found.because(format!("{:<width$}  {kind}", "hop"));
    }
    if last.join != Join::HopHeader {
        found = found.because(format!("{:<width$}  {}", "joined", last.join.text()));
    }
    found.at(at(crossing))
}

/// How many of the fields that were sent did not arrive as they were.
fn touched(attempt: &Attempt<'_>) -> usize {
    let of_request = attempt.differences.iter().filter(|difference| difference.side == Side::Request);
    of_request.filter(|difference| difference.before.is_some() && !difference.name.starts_with([':', '?', '*'])).count()
}

/// `+ X-Real-IP`, `Host api.example -> api`.
fn briefly(difference: &Difference) -> String {
    let name = [&difference.before, &difference.after]
        .into_iter()
        .flatten()
        .map(|told| told.name.as_str())
        .find(|name| !name.is_empty())
        .unwrap_or(match difference.name.as_str() {
            "*" => "all names",
            ":target" => "the target",
            ":method" => "the method",
            other => other,
        });
    if let (Kind::Host, Some(before), Some(after)) = (difference.kind, &difference.before, &difference.after) {
        return format!("Host {} -> {}", before.value, after.value);
    }
    match &difference.change {
        Change::Added => format!("+ {name}"),
        Change::Removed => format!("- {name}"),
        Change::Renamed(to) => format!("{name} -> {to}"),
        other => format!("{name} {}", other.id().replace('-', " ")),
    }
}

/// Gives the fix for the product that the hop is, where it is known, and else `general`.
pub(super) fn with_fix(
    found: Finding,
    crossing: &Crossing<'_>,
    topic: Topic,
    general: Option<&'static str>,
) -> Finding {
    let found = match general {
        Some(fix) => found.fix(fix),
        None => found,
    };
    if let Some((product, _)) = products::product(crossing) {
        return match products::fix(product, topic) {
            Some(fix) => found.fix(fix),
            None => found,
        };
    }
    let guess = crossing.last().and_then(|last| products::guess(&last.differences));
    match guess.and_then(|product| Some((product, products::fix(product, topic)?))) {
        Some((product, fix)) => {
            let text = format!("{} If the gateway is {}: {fix}", found.fix, product.name());
            found.fix(text)
        }
        None => found,
    }
}

/// Adds what was answered on both sides.
pub(super) fn with_answers(found: Finding, crossing: &Crossing<'_>) -> Finding {
    let status = |answer: Option<&Answer>| answer.map_or_else(|| "none".to_owned(), |answer| answer.status.to_string());
    let inner = crossing.last().and_then(|attempt| attempt.inner.answer.as_ref());
    let (one, other) = (status(inner), status(crossing.outer.answer.as_ref()));
    // A tap on another machine tells of its answer only where it is the one behind.
    match one == other || crossing.outer.answer.is_none() {
        true => found.because(format!("answer: {one} at {}", crossing.inner_tap)),
        false => found.because(format!("answer: {one} at {}, {other} at {}", crossing.inner_tap, crossing.outer.tap)),
    }
}

/// What the first of the two spelled, to name a field in a sentence.
pub(super) fn name_of(difference: &Difference) -> String {
    let told = difference.before.as_ref().or(difference.after.as_ref());
    told.map(|told| told.name.clone()).filter(|name| !name.is_empty()).unwrap_or_else(|| difference.name.clone())
}
