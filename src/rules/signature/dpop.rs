//! The DPoP proof of a request that was refused.

use crate::auth::{Claims, DpopProof, Scheme, parse_dpop};
use crate::exchange::View;
use crate::exchange::view::Offered;
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials};
use crate::rules::{Finding, Message, Place, normal};

/// A proof and what it goes with.
pub(super) struct Proven<'v> {
    pub(super) proof: DpopProof,
    /// The field line that it stands in.
    field: usize,
    /// The token that it goes with, if one was sent; at the token endpoint there is none.
    pub(super) token: Option<&'v Offered>,
    /// Whether the server says that it is the proof.
    pub(super) is_blamed: bool,
}

/// The proof of a request, if it was refused for a reason that can be the proof.
pub(super) fn refused<'v>(view: &'v View<'_>, memory: &Memory) -> Option<Proven<'v>> {
    let field = view.request().fields().find(|field| field.is("dpop"))?;
    // That the server wants a nonce of its own is a step of the handshake (RFC 9449 8).
    if normal::recognise(view, memory).is_some_and(normal::Normal::is_step) {
        return None;
    }
    let is_blamed = blames_proof(view);
    if !is_blamed && view.status() != 401 {
        return None;
    }
    let token = view.authorization();
    let token = token.filter(|offered| offered.credentials.scheme == Some(Scheme::Dpop));
    Some(Proven { proof: parse_dpop(field.value), field: field.index, token, is_blamed })
}

fn blames_proof(view: &View<'_>) -> bool {
    let by_challenge = view.challenges(false).any(|challenge| challenge.param("error") == Some("invalid_dpop_proof"));
    let by_body = || view.error_text().is_some_and(|text| text.contains("invalid_dpop_proof"));
    matches!(view.status(), 400 | 401) && (by_challenge || by_body())
}

impl Proven<'_> {
    pub(super) fn claims(&self) -> Option<&Claims> {
        self.proof.jwt.claims.as_ref()
    }

    /// Adds what was sent, a line about the proof, and the answer.
    pub(super) fn show(&self, found: Finding, view: &View<'_>, text: String) -> Finding {
        let found = match self.token {
            Some(offered) => with_credentials(found.header("dpop"), view, offered),
            None => found.header("dpop"),
        };
        let place = Place { message: Message::Request, field: self.field, byte: None };
        with_answer(found.because_of(format!("DPoP: {text}"), place), view)
    }
}
