//! A line with credentials or a challenge that is not written as HTTP wants it.

use crate::exchange::Version;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_answer};
use crate::rules::field_names::is_about_credentials;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Place, Rule, Severity, Spec};
use crate::wire::{Field, HeadDefect, HeadDefectKind, RawHead};

/// The rule.
pub static RULE: Rule = Rule {
    name: "field-line-malformed",
    family: Family::Transport,
    severity: Severity::Error,
    title: "The header line with the credentials or the challenge is malformed",
    why: "One program reads a malformed line as it was meant, the next one drops it, a third answers 400. So the same \
          request works directly and fails behind a gateway. Usual causes are a name put together by hand, a value with \
          a line break at its end, and text that was copied out of a document.",
    fix: "Write the line as `Name: value` in plain ASCII: no space before the colon, no line break within, CR and LF at \
          the end. Let an HTTP library write it.",
    spec: &[Spec::rfc(9112, "5"), Spec::rfc(9112, "5.1"), Spec::rfc(9112, "5.2"), Spec::rfc(9110, "5.5")],
    supersedes: &["credentials-rejected", "credentials-absent", "credentials-reported-missing"],
    examples: &[
        Example::fires("a space before the colon", SPACE),
        Example::fires("no colon", NO_COLON),
        Example::fires("the value goes on in a second line", FOLDED),
        Example::fires("a challenge whose line ends with LF alone", CHALLENGE),
        Example::quiet("a lower-case name and no space is fine", FINE),
    ],
    check: Check::Exchange(check),
};

const SPACE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization : Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 400 Bad Request
"#;

const NO_COLON: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const FOLDED: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> X-Api-Key: 0b5a7c2e9d1f4a3c8e6b
>  7c1d
< HTTP/1.1 400 Bad Request
"#;

const CHALLENGE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="orders"{hex 0a}Server: old
"#;

const FINE: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> authorization:Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let mut found = Vec::new();
    if view.exchange().request.version != Version::Http2 {
        found.extend(first(view, Message::Request, view.request()));
    }
    if let Some(response) = view.response().filter(|response| response.version != Version::Http2) {
        found.extend(first(view, Message::Response, &response.head));
    }
    found
}

/// The first malformed line of a head that is about credentials.
fn first(view: &View<'_>, message: Message, head: &RawHead) -> Option<Finding> {
    let (first, field) = head.defects().iter().find_map(|defect| {
        let field = defect.field.and_then(|index| head.fields().nth(index))?;
        let words = words(defect.kind)?;
        is_about_credentials(field.line).then_some((words, field))
    })?;
    let of_line = head.defects().iter().filter(|defect| defect.field == Some(field.index));
    let defects: Vec<&HeadDefect> = of_line.filter(|defect| words(defect.kind).is_some()).collect();
    let severity = match view.status() {
        400..500 => Severity::Error,
        _ if view.is_success() => Severity::Info,
        _ => Severity::Warning,
    };
    // RFC 9112 5.1 makes a server answer 400 to a space before the colon; of others it is not known who minds.
    let is_certain = severity < Severity::Error || view.status() == 400;
    let certainty = if is_certain { Certainty::Certain } else { Certainty::Likely };
    let (side, at) = match message {
        Message::Request => ("request", At::Client),
        Message::Response => ("response", At::Backend),
    };
    let name = shown_name(view, field);
    let found = RULE.found(certainty, format!("in the {name} line {first}")).at(at).severity(severity);
    let found = defects.iter().fold(found.header(&name), |found, defect| {
        let text = format!("{side}: {name}: byte {} of the head: {}", defect.at, defect.kind.id());
        found.because_of(text, Place { message, field: field.index, byte: None })
    });
    Some(with_answer(found, view))
}

/// The name, or its start where there is no colon and the secret is part of it.
fn shown_name(view: &View<'_>, field: Field<'_>) -> String {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let length = field.line.iter().take(40).take_while(|byte| is_name(byte)).count();
    clip(view.redactor().name(field.line.get(..length).unwrap_or_default()))
}

fn words(kind: HeadDefectKind) -> Option<&'static str> {
    Some(match kind {
        HeadDefectKind::NoColon => "there is no colon, so that it is no header at all",
        HeadDefectKind::SpaceBeforeColon => "a space stands before the colon",
        HeadDefectKind::NameCharacter => "the name has a character that no name may have",
        HeadDefectKind::FoldedValue => "the value goes on in a second line, which servers refuse today",
        HeadDefectKind::BareLf => "the line ends with LF alone, which strict parsers refuse",
        HeadDefectKind::BareCr => "there is a CR that no LF follows",
        HeadDefectKind::Nul => "there is a NUL byte",
        // In a value these are for the rules on credentials, which know what the value means.
        _ => return None,
    })
}
