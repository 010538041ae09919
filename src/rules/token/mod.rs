//! What a token says of itself, and whether its signature fits the keys that were given.

pub mod clock_skew;
pub mod jwks_stale;
pub mod jwt_alg_unexpected;
pub mod jwt_audience_mismatch;
pub mod jwt_issuer_mismatch;
pub mod jwt_key_unknown;
pub mod jwt_malformed;
pub mod jwt_signature_invalid;
pub mod jwt_signature_removed;
pub mod jwt_truncated;
mod refused;
pub mod scope_insufficient;
pub mod sender_constraint_missing;
pub mod token_expired;
pub mod token_not_yet_valid;
pub mod wrong_token_kind;

use jiff::Timestamp;

use super::credentials::{is_refused_by_grpc, point};
use super::evidence::{clip, with_credentials};
use super::phrases::Phrases;
use super::{Finding, Message, Place, Rule, normal};
use crate::auth::{Checked, Detail, Jwt, NumericDate};
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::{At, Certainty};

/// By how much a server's clock may differ, in seconds, before a token is called expired against its word.
const TOLERANCE: i64 = 60;
/// By how much two clocks may differ, in seconds, before it is worth a word.
const CLOCKS_AGREE: i64 = 30;

/// The tokens of a request that can be read, in the order in which they stand. A form's are left out: what is sent to a
/// token endpoint may well have ended.
pub(super) fn tokens<'v>(view: &'v View<'_>) -> impl Iterator<Item = (&'v Offered, &'v Jwt)> {
    let all = view.offered().iter().filter(|offered| !matches!(offered.place, OfferedIn::Form | OfferedIn::Trailer));
    all.filter_map(|offered| match &offered.credentials.detail {
        Detail::Jwt(jwt) => Some((offered, jwt.as_ref())),
        _ => None,
    })
}

/// The two clocks of an exchange.
struct Clocks {
    /// That of the server: the Date of its answer, if it made the answer for this request.
    server: Option<Timestamp>,
    /// That of the tap, when the answer came.
    tap: Timestamp,
}

impl Clocks {
    fn of(view: &View<'_>) -> Self {
        let age = view.response().and_then(|response| response.head.value("age"));
        let is_cached = age.is_some_and(|age| age.trim_ascii() != b"0");
        let exchange = view.exchange();
        let waited = exchange.timing.first_byte.unwrap_or_default();
        Clocks {
            server: view.response_date().filter(|_| !is_cached),
            tap: exchange.time.checked_add(waited).unwrap_or(exchange.time),
        }
    }

    /// The clock by which the server decides, as far as it is known.
    fn deciding(&self) -> Timestamp {
        self.server.unwrap_or(self.tap)
    }

    /// By how many seconds the two differ, where that is worth a word.
    fn gap(&self) -> Option<i64> {
        let gap = self.server?.as_second() - self.tap.as_second();
        (gap.abs() > CLOCKS_AGREE).then_some(gap)
    }

    /// Adds what the clocks say.
    fn show(&self, found: Finding, view: &View<'_>) -> Finding {
        let found = match (self.server, view.response()) {
            (Some(_), Some(response)) => match response.head.fields().find(|field| field.is("date")) {
                Some(field) => {
                    let value = view.redactor().field(field.name, field.value);
                    let place = Place { message: Message::Response, field: field.index, byte: None };
                    found.because_of(format!("Date: {value}"), place)
                }
                None => found,
            },
            _ if view.response_date().is_some() => {
                found.because("the answer came out of a cache, so its Date tells nothing")
            }
            _ => found.because("the answer has no Date"),
        };
        let text = match self.gap() {
            Some(gap) if gap > 0 => format!("the server's clock is {} ahead of the tap's", span(gap)),
            Some(gap) => format!("the server's clock is {} behind the tap's", span(-gap)),
            None if self.server.is_some() => {
                format!("tap's clock: {}, the two agree within {CLOCKS_AGREE} s", seconds(self.tap))
            }
            None => format!("tap's clock: {}", seconds(self.tap)),
        };
        found.because(text)
    }
}

/// A limit of a token's validity: until when, or from when on.
struct Limit {
    rule: &'static Rule,
    /// The name of the claim.
    claim: &'static str,
    /// Its value.
    at: fn(&Jwt) -> Option<NumericDate>,
    /// How many seconds the token is beyond its limit at that time; negative while it is valid.
    beyond: fn(limit: i64, now: i64) -> i64,
    /// Words with which servers say so, in lower case.
    words: Phrases,
    /// The sentence for the user, of the time beyond the limit and of whose clock tells it.
    summary: fn(span: &str, is_server_time: bool) -> String,
}

/// Finds a token that was refused outside of its validity.
///
/// Servers allow some leeway, so only more than a minute counts, or less where the server itself says that this is why,
/// or at least that it is the token, and was past the limit by its own clock.
fn out_of_time(limit: &Limit, view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let by_grpc = is_refused_by_grpc(view);
    // To look for words in an answer takes longer than to see that no token has a limit.
    if normal::is_token_endpoint(view) || !tokens(view).any(|(_, jwt)| (limit.at)(jwt).is_some()) {
        return None;
    }
    let said = said(view, &limit.words);
    // Some frameworks answer so to a token that has ended; the text has to say it.
    let is_odd_refusal = matches!(view.status(), 400 | 422 | 440 | 498) && said.is_some();
    if !(view.is_refused() || by_grpc || is_odd_refusal) {
        return None;
    }
    let clocks = Clocks::of(view);
    let (offered, jwt, at, beyond) = tokens(view).find_map(|(offered, jwt)| {
        let at = (limit.at)(jwt)?;
        // What is in milliseconds, or before anybody issued tokens, is no time that was meant.
        at.timestamp().filter(|_| at.0 > 0)?;
        let beyond = (limit.beyond)(at.0, clocks.deciding().as_second());
        let is_token = clocks.server.is_some() && is_called_invalid(view);
        let agrees = said.is_some() || is_token || stopped_at_limit(memory, offered, at);
        (beyond > if agrees { 0 } else { TOLERANCE }).then_some((offered, jwt, at, beyond))
    })?;
    let by_tap = (limit.beyond)(at.0, clocks.tap.as_second());
    let by_both = beyond > TOLERANCE && by_tap > TOLERANCE;
    let is_beside = view.authorization().is_some_and(|main| !std::ptr::eq(main, offered));
    let certainty = match (clocks.server, clocks.gap()) {
        _ if is_beside && said.is_none() => Certainty::Likely,
        // With 403 the token may have been taken and the rights be missing.
        _ if view.status() == 403 && said.is_none() => Certainty::Likely,
        (Some(_), Some(_)) if !by_both => Certainty::Likely,
        (None, _) if said.is_none() => Certainty::Likely,
        // Only the history speaks for it, or an error that has other reasons as well.
        _ if beyond <= TOLERANCE && said.is_none() => Certainty::Likely,
        _ => Certainty::Certain,
    };
    let place = if by_both || clocks.gap().is_none() { At::Client } else { At::Unknown };
    let mut summary = (limit.summary)(&span(beyond), clocks.server.is_some());
    if !by_both && clocks.gap().is_some() {
        summary.push_str(", by its own clock");
    }
    let found = limit.rule.found(certainty, summary).at(place).header(&offered.name);
    let found = with_credentials(found, view, offered);
    let found = point(found, format!("{}={}", limit.claim, numeric(at)), offered, None);
    let found = match jwt.claims.as_ref().and_then(|claims| claims.iss.as_deref()) {
        Some(iss) => found.because(format!("iss={}", clip(view.redactor().text(iss)))),
        None => found,
    };
    let found = clocks.show(found, view);
    let found = match with_challenge(found, view) {
        (found, true) => found,
        (found, false) => found.because(format!("response: {}", view.status())),
    };
    let found = match said {
        Some(Said { word, in_body: true }) => found.because(format!("the answer's text says \"{word}\"")),
        _ => found,
    };
    let signature = match view.check_signature(offered, jwt, memory.given()) {
        Some(Checked::Fits { .. }) => Some("signature: fits a key that was given"),
        Some(Checked::Fails | Checked::FitsAnother { .. }) => {
            Some("signature: does not fit the key that was given, which is another fault")
        }
        // A key that signed long ago may be gone by now.
        _ => None,
    };
    let found = signature.into_iter().fold(found, Finding::because);
    let accepted = memory.history(offered.fingerprint).and_then(|history| history.last_accepted);
    let found = match accepted {
        Some(time) => found.because(format!("before: accepted at {}", seconds(time))),
        None => found,
    };
    Some(if by_both || clocks.gap().is_none() {
        found
    } else {
        found.fix(
            "Compare the clocks first: the server's and the tap's differ, and by one of them the token is valid. \
             Set the wrong one right, with NTP or chrony; then look at the token.",
        )
    })
}

/// Whether the server calls the token invalid, which is its error for one that is out of its time (RFC 6750 3.1).
fn is_called_invalid(view: &View<'_>) -> bool {
    view.challenges(view.status() == 407).any(|challenge| challenge.param("error") == Some("invalid_token"))
}

/// Whether the history of this credential agrees: it was taken until the limit, and refused ever since.
fn stopped_at_limit(memory: &Memory, offered: &Offered, limit: NumericDate) -> bool {
    let Some(history) = memory.history(offered.fingerprint) else { return false };
    let accepted = history.last_accepted.is_some_and(|time| time.as_second() <= limit.0 + TOLERANCE);
    let refused = history.refused_since.is_none_or(|time| time.as_second() >= limit.0);
    accepted && refused
}

/// What the server said that agrees with a rule.
#[derive(Clone, Copy)]
struct Said {
    word: &'static str,
    in_body: bool,
}

/// The first of these words that a challenge or the body of the refusal has.
fn said(view: &View<'_>, words: &Phrases) -> Option<Said> {
    let find = |text: &str| words.first_in(&text.to_ascii_lowercase());
    let params = view.challenges(view.status() == 407).flat_map(|challenge| &challenge.params);
    let said = params.filter(|param| param.name.starts_with("error")).find_map(|param| find(&param.value));
    if let Some(word) = said {
        return Some(Said { word, in_body: false });
    }
    let by_grpc = || {
        let response = view.response()?;
        let trailer = response.trailers.as_ref().and_then(|trailers| trailers.value("grpc-message"));
        find(&String::from_utf8_lossy(trailer.or_else(|| response.head.value("grpc-message"))?))
    };
    view.error_text().and_then(find).or_else(by_grpc).map(|word| Said { word, in_body: true })
}

/// Adds what a challenge gives as the reason; whether there was one.
fn with_challenge(found: Finding, view: &View<'_>) -> (Finding, bool) {
    let reason = view.challenged().iter().find_map(|field| {
        let challenge = field.challenges.iter().find(|challenge| challenge.param("error").is_some())?;
        Some((field, challenge))
    });
    let Some((field, challenge)) = reason else { return (found, false) };
    let mut text = view.redactor().name(challenge.scheme_as_sent.as_bytes()).into_owned();
    for name in ["error", "error_description"] {
        if let Some(value) = challenge.param(name) {
            let comma = if text.contains('=') { "," } else { "" };
            text.push_str(&format!("{comma} {name}=\"{}\"", view.redactor().text(value)));
        }
    }
    let name = if field.by_proxy { "Proxy-Authenticate" } else { "WWW-Authenticate" };
    let place = Place { message: Message::Response, field: field.field, byte: Some(challenge.at) };
    (found.because_of(format!("{name}: {}", clip(&text)), place), true)
}

/// A time to the second.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

fn numeric(date: NumericDate) -> String {
    date.timestamp().map_or_else(|| date.0.to_string(), |time| time.to_string())
}

/// A number of seconds in the two largest units that it has: `14 min 3 s`.
fn span(seconds: i64) -> String {
    const UNITS: [(&str, i64); 4] = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let first = UNITS.iter().position(|(_, size)| seconds >= *size).unwrap_or(UNITS.len() - 1);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, size) in UNITS.iter().skip(first).take(2) {
        if rest / size > 0 || parts.is_empty() {
            parts.push(format!("{} {name}", rest / size));
        }
        rest %= size;
    }
    parts.join(" ")
}

#[cfg(test)]
mod refused_tests;
#[cfg(test)]
mod tests;
