//! A message of which it is not clear where it ends.

use crate::exchange::{Direction, View};
use crate::memory::Memory;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};
use crate::wire::Lost;

/// The rule.
pub static RULE: Rule = Rule {
    name: "framing-ambiguous",
    family: Family::Transport,
    severity: Severity::Warning,
    title: "Two programs may disagree on where this message ends",
    why: "Where a message says its length twice, or in a way that can be read in two ways, a gateway and the server behind \
          it may cut the stream at different places. Then a request is answered with the credentials of another one, or \
          refused for no visible reason; attackers do it on purpose. The tap passes such bytes on and stops reading along.",
    fix: "Let the sender give one Content-Length, or `Transfer-Encoding: chunked` alone. If you do not know the sender, \
          take it for an attack.",
    spec: &[Spec::rfc(9112, "6.3"), Spec::rfc(9112, "11.2")],
    supersedes: &[],
    examples: &[
        Example::fires("two lengths", TWO_LENGTHS),
        Example::fires("a length and chunks", LENGTH_AND_CHUNKS),
        Example::quiet("one length", ONE_LENGTH),
    ],
    check: Check::Exchange(check),
};

const TWO_LENGTHS: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Content-Length: 13
> Content-Length: 5
>
> {"article":7}
< HTTP/1.1 400 Bad Request
"#;

const LENGTH_AND_CHUNKS: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Content-Length: 13
> Transfer-Encoding: chunked
>
> {"article":7}
* unanswered
"#;

const ONE_LENGTH: &str = r#"> POST /orders HTTP/1.1
> Host: api.example
> Content-Length: 13
>
> {"article":7}
< HTTP/1.1 201 Created
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Some(lost) = view.exchange().lost.filter(|lost| is_about_length(lost.why)) else { return Vec::new() };
    let severity = if view.is_success() { Severity::Info } else { Severity::Warning };
    let at = match lost.direction {
        Direction::Request => At::Client,
        Direction::Response => At::Backend,
    };
    let summary = format!("it is not clear where the {} ends: {}", lost.direction.id(), lost.why.text());
    vec![
        RULE.found(Certainty::Certain, summary)
            .at(at)
            .severity(severity)
            .because(format!("{}: {}", lost.direction.id(), lost.why.id()))
            .because("tap: the bytes went on unchanged; later exchanges of this connection are not recorded"),
    ]
}

fn is_about_length(why: Lost) -> bool {
    match why {
        Lost::SeveralLengths
        | Lost::LengthMalformed
        | Lost::LengthAndEncoding
        | Lost::EncodingMalformed
        | Lost::EncodingInHttp10
        | Lost::FramingFieldMalformed
        | Lost::ChunkSizeMalformed
        | Lost::ChunkEndMalformed => true,
        Lost::NotHttp
        | Lost::HeadTooLarge
        | Lost::ResponseUnasked
        | Lost::TooMuchBeforeUpgrade
        | Lost::AnsweredEarly => false,
    }
}
