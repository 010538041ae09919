//! How credentials are written: faults that show in the field itself, whatever the credentials would be good for.
//!
//! The grammar in `auth` has found the defects; the rules here say which of them explain a refusal, and in which words.

pub mod basic_charset_ambiguous;
pub mod basic_suspicious_value;
pub mod basic_undecodable;
pub mod credentials_empty;
pub mod credentials_percent_encoded;
pub mod digest_parameters_invalid;
pub mod scheme_case;
pub mod scheme_malformed;
pub mod scheme_not_offered;
pub mod scheme_repeated;
pub mod token_bad_character;
pub mod token_placeholder;

use super::evidence::{with_answer, with_credentials};
use super::{At, Certainty, Finding, Message, Place, Rule, Severity};
use crate::auth::{Defect, DefectKind};
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};

/// The credentials that are written as a scheme with a value behind it, in fields of the head.
pub(super) fn written<'v>(view: &'v View<'_>) -> impl Iterator<Item = &'v Offered> {
    view.offered().iter().filter(|offered| is_written(offered))
}

fn is_written(offered: &Offered) -> bool {
    matches!(offered.place, OfferedIn::Authorization | OfferedIn::ProxyAuthorization)
}

/// The first credentials that have defects of these kinds, with those defects.
pub(super) fn first_with<'v>(view: &'v View<'_>, kinds: &[DefectKind]) -> Option<(&'v Offered, Vec<Defect>)> {
    written(view).find_map(|offered| {
        let all = offered.credentials.defects.iter();
        let found: Vec<Defect> = all.filter(|defect| kinds.contains(&defect.kind)).copied().collect();
        (!found.is_empty()).then_some((offered, found))
    })
}

/// The kind that says most: the first in the order of `kinds` that is among the defects.
pub(super) fn foremost(kinds: &[DefectKind], defects: &[Defect]) -> Option<DefectKind> {
    kinds.iter().copied().find(|kind| defects.iter().any(|defect| defect.kind == *kind))
}

/// How bad a fault of these credentials is, by what came of the request.
///
/// A refusal, a "bad request" or a crash is what such a fault leads to. Where the request went well nothing is wrong
/// but the spelling, and of any other answer it is not shown that the credentials had a part in it.
pub(super) fn gravity(view: &View<'_>, offered: &Offered) -> Severity {
    let is_for_this_hop = offered.place != OfferedIn::ProxyAuthorization || view.status() == 407;
    match view.status() {
        _ if is_refused_by_grpc(view) => Severity::Error,
        100..=299 | 304 => Severity::Info,
        400 | 401 | 403 | 407 | 422 | 500 if is_for_this_hop => Severity::Error,
        _ => Severity::Warning,
    }
}

/// Whether the answer refuses these very credentials: Proxy-Authorization is for a 407 only.
pub(super) fn is_refused(view: &View<'_>, offered: &Offered) -> bool {
    match offered.place {
        OfferedIn::ProxyAuthorization => view.status() == 407,
        _ => matches!(view.status(), 401 | 403) || is_refused_by_grpc(view),
    }
}

/// Whether gRPC refuses under a status of 200: unauthenticated, or permission denied.
pub(super) fn is_refused_by_grpc(view: &View<'_>) -> bool {
    view.grpc_status().is_some_and(|status| matches!(status, b"16" | b"7"))
}

/// A finding about how these credentials are written: where they stood, what is wrong there, what was answered.
pub(super) fn fault(
    rule: &'static Rule,
    view: &View<'_>,
    offered: &Offered,
    certainty: Certainty,
    summary: impl Into<String>,
    defects: &[Defect],
) -> Finding {
    let severity = gravity(view, offered).min(rule.severity);
    let found = rule.found(certainty, summary).at(At::Client).header(&offered.name).severity(severity);
    let found = with_offered(found, view, offered);
    let found = defects.iter().fold(found, |found, defect| {
        let text = format!("defect at byte {}: {}", defect.at, defect.kind.text());
        point(found, text, offered, Some(defect.at))
    });
    with_answer(found, view)
}

/// Adds the credentials; of a scheme that has nothing behind it, that this is so.
fn with_offered(found: Finding, view: &View<'_>, offered: &Offered) -> Finding {
    let scheme = &offered.credentials.scheme_as_sent;
    if scheme.is_empty() || !offered.credentials.secret.is_empty() {
        return with_credentials(found, view, offered);
    }
    let name = view.redactor().name(offered.name.as_bytes());
    point(found, format!("request: {name}: {scheme}, and nothing after it"), offered, None)
}

/// Adds a line of evidence about the credentials, with its place if they stood in a field of the head.
pub(super) fn point(found: Finding, text: impl Into<String>, offered: &Offered, byte: Option<usize>) -> Finding {
    match offered.field {
        Some(field) => found.because_of(text, Place { message: Message::Request, field, byte }),
        None => found.because(text),
    }
}

/// What to call the field or parameter in a sentence, in its usual spelling.
pub(super) fn called(offered: &Offered) -> String {
    match offered.place {
        OfferedIn::Authorization | OfferedIn::Trailer => "the Authorization header".to_owned(),
        OfferedIn::ProxyAuthorization => "the Proxy-Authorization header".to_owned(),
        OfferedIn::KeyField => format!("the {} header", offered.name),
        OfferedIn::Query => format!("{} in the query", offered.name),
        OfferedIn::Form => format!("{} in the form", offered.name),
        OfferedIn::Userinfo => "the URL".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests;
