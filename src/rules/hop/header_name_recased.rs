//! Names of header fields came out of a hop in other letters.

use super::{Topic, Verdict, at, backend, by_join, with_answers, with_fix, with_hop};
use crate::hops::{Change, Crossing, Difference, Message, NameCase, Side};
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec, evidence, products, words};

/// The rule.
pub static RULE: Rule = Rule {
    name: "header-name-recased",
    family: Family::Hop,
    severity: Severity::Warning,
    title: "A header's name changed case between two taps",
    why: "Names of header fields are compared without regard to case, so a gateway may spell them as it likes, and over \
          HTTP/2 they have to be in lower case. An application that looks a name up letter by letter does not find it then. \
          That is the application's fault, and shows only behind such a gateway.",
    fix: "In the application, look the name up without regard to case. Until then, have the gateway keep the spelling.",
    spec: &[Spec::rfc(9110, "5.1")],
    supersedes: &["credentials-reported-missing", "known-error-text", "credentials-rejected", "challenge-missing"],
    examples: &[
        Example::fires("the backend says that no key came", MISSED),
        Example::fires_beside("all names in lower case", ALL),
        Example::fires_beside("one name in other letters", ONE),
        Example::quiet("the backend is content", CONTENT),
        Example::quiet("the backend speaks HTTP/2", HTTP2),
    ],
    check: Check::Hop(check),
};

fn check(crossing: &Crossing<'_>, _: &Memory) -> Vec<Finding> {
    check_one(crossing).into_iter().collect()
}

fn check_one(crossing: &Crossing<'_>) -> Option<Finding> {
    if backend(crossing) != Verdict::Refused {
        return None;
    }
    let attempt = crossing.last()?;
    // What was not sent can't be looked up in the wrong letters.
    let sent = crossing.outer.credentials.iter().find(|sent| sent.place.id() == "header")?;
    let difference = attempt.differences.iter().find(|difference| is_recased(difference, &sent.name))?;
    let line = |message: &Message| {
        let line = message.fields.iter().find(|line| line.name.eq_ignore_ascii_case(&sent.name))?;
        Some(format!("{}: {}", line.name, sent.label))
    };
    let (before, behind) = (line(&crossing.outer.request)?, line(&attempt.inner.request)?);
    let is_missed = is_missed(crossing);
    // That the backend saw none although it arrived makes the spelling a likely cause; that it refused, only a possible one.
    let (severity, certainty) = if is_missed.is_some() {
        (Severity::Warning, Certainty::Likely)
    } else {
        (Severity::Info, Certainty::Possible)
    };
    let (outer, inner) = (&crossing.outer.tap, crossing.inner_tap);
    let summary = format!("{} arrived, but its name changed case between {outer} and {inner}", sent.name);
    let width = outer.len().max(inner.len());
    let found = RULE
        .found(by_join(attempt.join).min(certainty), summary)
        .severity(severity)
        .at(at(crossing))
        .header(sent.name.to_ascii_lowercase())
        .because(evidence::clip(format!("{outer:<width$} in   {before}")))
        .because(evidence::clip(format!("{inner:<width$} in   {behind}")));
    let found = match is_missed {
        Some(phrase) => found.because(evidence::clip(format!("text: {phrase}"))),
        None => found,
    };
    let found = with_hop(with_answers(found, crossing), crossing, &[difference]);
    let found =
        found.at(at(crossing)).because("legal: names are compared without regard to case, so the application errs");
    Some(match &difference.change {
        Change::Recased { all: true, to: NameCase::Lower } if products::product(crossing).is_none() => found.fix(LOWER),
        _ => with_fix(found, crossing, Topic::NameCase, None),
    })
}

/// The words in which the backend says that no credentials came, where all that were sent have arrived.
fn is_missed(crossing: &Crossing<'_>) -> Option<&'static str> {
    let attempt = crossing.last()?;
    let has_arrived = crossing.outer.credentials.iter().all(|sent| {
        attempt.inner.credentials.iter().any(|arrived| {
            arrived.secret == sent.secret
                && arrived.scheme == sent.scheme
                && arrived.name.eq_ignore_ascii_case(&sent.name)
        })
    });
    // A backend that looks for another field misses that one, however it is spelled.
    let view = attempt.inner.view.or(crossing.outer.view).filter(|_| has_arrived)?;
    let wants = words::said(view).and_then(|said| said.wants);
    words::none_came(view).filter(|_| wants.is_none_or(|wanted| view.request().has(wanted)))
}

/// What to do where the gateway does not say which of those that write all names so it is.
const LOWER: &str = "In the application, look the name up without regard to case. Until then, have the gateway keep the \
    spelling: HAProxy with `h1-case-adjust` and `option h1-case-adjust-bogus-server`, Envoy with a `header_key_format`.";

fn is_recased(difference: &Difference, name: &str) -> bool {
    let is_about_it = difference.name.eq_ignore_ascii_case(name) || difference.name == "*";
    difference.side == Side::Request && is_about_it && matches!(difference.change, Change::Recased { .. })
}

const MISSED: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> User-Agent: curl/8.5.0
> X-Api-Key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
< Content-Type: text/plain
<
< missing api key
* tap app
> GET /orders HTTP/1.1
> host: api.example
> user-agent: curl/8.5.0
> x-api-key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
< Content-Type: text/plain
<
< missing api key
"#;

const ALL: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> User-Agent: curl/8.5.0
> Accept: */*
> X-Api-Key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
* tap app
> GET /orders HTTP/1.1
> host: api.example
> user-agent: curl/8.5.0
> accept: */*
> x-api-key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
"#;

const ONE: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> X-API-Key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
* tap app
> GET /orders HTTP/1.1
> Host: api.example
> X-Api-Key: kX81mQ02pLz7Rt55
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: ApiKey realm="orders"
"#;

const CONTENT: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> X-Api-Key: kX81mQ02pLz7Rt55
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/1.1
> host: api.example
> x-api-key: kX81mQ02pLz7Rt55
< HTTP/1.1 200 OK
"#;

const HTTP2: &str = r#"* tap edge
> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
* tap app
> GET /orders HTTP/2
> :authority: api.example
> authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/2 200
"#;
