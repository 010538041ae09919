//! Lines of evidence that many rules need: what was sent, what was answered.

use jiff::Timestamp;

use super::{Finding, Message, Place};
use crate::exchange::View;
use crate::exchange::redact::Redactor;
use crate::exchange::view::{Offered, OfferedIn};
use crate::wire::RawHead;

/// The longest that a line of evidence quotes of a field or a text.
const QUOTED: usize = 120;

/// Adds `request: Authorization: Bearer jwt#7f3a (812 bytes)`.
pub(super) fn with_credentials(found: Finding, view: &View<'_>, offered: &Offered) -> Finding {
    let text = offered.line(|| line_of(view, offered));
    match offered.field {
        Some(field) => found.because_of(text, Place { message: Message::Request, field, byte: None }),
        None => found.because(text),
    }
}

fn line_of(view: &View<'_>, offered: &Offered) -> String {
    let label = match (offered.length, view.label(offered)) {
        (0, _) => "(empty)".to_owned(),
        // A short length would help to guess.
        (length, label) if length < Redactor::SHORT => label,
        (length, label) => format!("{label} ({length} bytes)"),
    };
    let name = view.redactor().name(offered.name.as_bytes());
    match offered.place {
        OfferedIn::Query => format!("request: {name} in the query: {label}"),
        OfferedIn::Form => format!("request: {name} in the form: {label}"),
        OfferedIn::Userinfo => format!("request: in the URL before the host: {label}"),
        OfferedIn::Trailer => format!("request: behind the body: {name}: {label}"),
        _ => ["request: ", &name, ": ", &label].concat(),
    }
}

/// Adds the credentials that matter most, or that there are none, as far as the head is known.
pub(super) fn with_sent(found: Finding, view: &View<'_>) -> Finding {
    match view.main_credentials() {
        Some(offered) => with_credentials(found, view, offered),
        None if view.request().is_cut() => found.because("request: whether there were credentials is not known"),
        None if view.request().has("cookie") => found.because("request: no credentials but a cookie"),
        None => found.because("request: no credentials"),
    }
}

/// Adds the status with the first challenge, or that there is none.
pub(super) fn with_answer(found: Finding, view: &View<'_>) -> Finding {
    let Some(response) = view.response() else { return found.because("response: none was seen") };
    if let Some(challenged) = view.challenged().first() {
        let (message, field) = (Message::Response, challenged.field);
        let line = || field_line(view, message, field, &format!("{}, ", response.status)).unwrap_or_default();
        return found.because_of(challenged.line(line), Place { message, field, byte: None });
    }
    match response.status {
        401 => found.because("response: 401, no WWW-Authenticate"),
        407 => found.because("response: 407, no Proxy-Authenticate"),
        status => found.because(format!("response: {status}")),
    }
}

/// Adds a field as it may be shown: `response: 302, Location: https://…`; `before` stands between message and name.
pub(super) fn with_field(found: Finding, view: &View<'_>, message: Message, field: usize, before: &str) -> Finding {
    match field_line(view, message, field, before) {
        Some(text) => found.because_of(text, Place { message, field, byte: None }),
        None => found,
    }
}

fn field_line(view: &View<'_>, message: Message, field: usize, before: &str) -> Option<String> {
    let (side, head) = head_of(view, message)?;
    let line = head.fields().nth(field)?;
    let value = match message {
        Message::Request => view.shown_in_request(&line),
        Message::Response => view.shown_in_response(&line),
    };
    Some(clip([side, ": ", before, &view.redactor().name(line.name), ": ", &value].concat()))
}

/// Adds the first field of that name, if there is one.
pub(super) fn with_named(found: Finding, view: &View<'_>, message: Message, name: &str) -> Finding {
    let index = head_of(view, message).and_then(|(_, head)| head.fields().find(|field| field.is(name)));
    match index {
        Some(field) => with_field(found, view, message, field.index, ""),
        None => found,
    }
}

fn head_of<'a>(view: &View<'a>, message: Message) -> Option<(&'static str, &'a RawHead)> {
    match message {
        Message::Request => Some(("request", view.request())),
        Message::Response => view.response().map(|response| ("response", &response.head)),
    }
}

/// The start of a text, in one line and without control characters.
pub(super) fn clip(text: impl Into<String>) -> String {
    let text = text.into();
    if text.len() <= QUOTED && !text.bytes().any(|byte| byte.is_ascii_control() || !byte.is_ascii()) {
        return text;
    }
    let mut clipped: String = text.chars().take(QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTED).is_some() {
        clipped.push('…');
    }
    clipped
}

/// `03:04:10Z`, as far as a reader in an incident needs it.
pub(super) fn clock(time: Timestamp) -> String {
    const DAY: i64 = 24 * 60 * 60;
    let second = time.as_second().rem_euclid(DAY);
    format!("{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// What to call credentials in a sentence: `the Bearer token`, `the key in X-Api-Key`.
pub(super) fn called(view: &View<'_>, offered: &Offered) -> String {
    use crate::auth::Scheme;
    let name = || view.redactor().name(offered.name.as_bytes());
    match (offered.place, &offered.credentials.scheme) {
        (OfferedIn::KeyField, None) => format!("the key in {}", name()),
        (OfferedIn::Query, _) => format!("the {} in the query", name()),
        (OfferedIn::Form, _) => format!("the {} in the form", name()),
        (OfferedIn::Userinfo, _) => "the password in the URL".to_owned(),
        (_, Some(Scheme::Basic)) => "the user name and password".to_owned(),
        (_, Some(Scheme::Bearer)) => "the Bearer token".to_owned(),
        (_, Some(scheme)) => format!("the {} credentials", scheme.usual_spelling().unwrap_or("unknown")),
        (_, None) => format!("the value of {}", name()),
    }
}

/// In which small way two issuers, audiences or other URLs differ, if they are meant to be one.
pub(super) fn variant(one: &str, other: &str) -> Option<&'static str> {
    let bare = |text: &str| text.trim_end_matches('/').to_owned();
    let parts = |text: &str| {
        let (scheme, rest) = text.split_once("://")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Some((scheme.to_ascii_lowercase(), host.to_ascii_lowercase(), bare(path)))
    };
    if one == other {
        return None;
    }
    if bare(one) == bare(other) {
        return Some("by the slash at its end alone");
    }
    if one.eq_ignore_ascii_case(other) {
        return Some("by upper and lower case alone");
    }
    match (parts(one)?, parts(other)?) {
        ((scheme, host, path), (scheme2, host2, path2)) if host == host2 && path == path2 && scheme != scheme2 => {
            Some("by http in place of https")
        }
        // A path of its own, such as a realm's, shows that the same login server is meant.
        ((_, host, path), (_, host2, path2)) if host != host2 && path == path2 && path.len() > 1 => {
            Some("by its host alone")
        }
        _ => None,
    }
}

/// The longest that a claim or a URL takes in a sentence.
const CLAIM: usize = 48;

/// A claim or a URL as it may be shown, in one line.
pub(super) fn shown(view: &View<'_>, text: &str) -> String {
    let text = view.redactor().text(text);
    let mut short: String = text.chars().take(CLAIM).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(CLAIM).is_some() {
        short.push('…');
    }
    short
}
