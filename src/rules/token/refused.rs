//! A token that was refused: what the server said of it, and what the tokens are like that it accepts.

use super::{is_called_invalid, tokens};
use crate::auth::{Checked, Jwt};
use crate::exchange::View;
use crate::exchange::given::Given;
use crate::exchange::view::Offered;
use crate::memory::{Memory, TokenKind};
use crate::rules::credentials::{is_refused, is_refused_by_grpc};
use crate::rules::evidence::{clip, with_answer, with_credentials};
pub(super) use crate::rules::evidence::{shown, variant};
use crate::rules::words::{self, Meaning, Words};
use crate::rules::{Finding, normal};

/// A JSON web token, and that it was refused.
pub(super) struct Refused<'v> {
    pub(super) offered: &'v Offered,
    pub(super) jwt: &'v Jwt,
    /// What the answer says in words that are known.
    pub(super) said: Option<&'static Words>,
}

/// The token that this refusal is about, if it is one that can be read.
pub(super) fn refused<'v>(view: &'v View<'_>) -> Option<Refused<'v>> {
    // Most exchanges have none, which costs nothing to see.
    tokens(view).next().filter(|_| !normal::is_token_endpoint(view))?;
    let by_grpc = || is_refused_by_grpc(view).then(|| words::said_in_grpc(view)).flatten();
    let said = words::said(view).or_else(by_grpc);
    let is_main = |offered: &Offered| view.main_credentials().is_some_and(|main| std::ptr::eq(main, offered));
    // Beside other credentials it takes the server's word that it is the token.
    let (offered, jwt) = tokens(view)
        .find(|(offered, _)| is_main(offered))
        .or_else(|| said.and_then(|_| tokens(view).next()))
        .filter(|(offered, _)| said.is_some() || is_refused(view, offered))?;
    Some(Refused { offered, jwt, said })
}

impl Refused<'_> {
    /// What the server said, if it means that.
    pub(super) fn says(&self, meaning: Meaning) -> Option<&'static Words> {
        self.said.filter(|said| said.meaning == meaning)
    }

    /// The kinds of tokens that are accepted here, where nothing is known that would explain this refusal otherwise.
    ///
    /// The token is whole and within its time, was never accepted here, and the answer is about the token and says nothing
    /// else of it. Where requests without a token are accepted as well, those of others tell nothing.
    pub(super) fn accepted_instead<'m>(&self, view: &View<'_>, memory: &'m Memory) -> Vec<&'m TokenKind> {
        let is_open = memory.answers_here(view).without.is_some_and(|(_, status)| (200..300).contains(&status));
        if view.status() != 401 || self.said.is_some() || is_open || !self.is_unexplained(view, memory) {
            return Vec::new();
        }
        memory.tokens_accepted(view)
    }

    /// Whether the token is whole, within its time and was never accepted here, and the refusal is about the token.
    fn is_unexplained(&self, view: &View<'_>, memory: &Memory) -> bool {
        let has_error = view.challenges(false).any(|challenge| challenge.param("error").is_some());
        let is_about_token = match has_error {
            true => is_called_invalid(view),
            // Of a 403 the right may be missing as well.
            false => view.status() == 401 || is_refused_by_grpc(view),
        };
        let history = memory.history_here(view, self.offered.fingerprint);
        let has_worked = history.is_some_and(|history| history.last_accepted.is_some());
        is_about_token && self.jwt.defects.is_empty() && !has_worked && self.is_in_time(view)
    }

    /// What the operator said of the service, if it may explain this refusal: the answer says nothing else than that, or
    /// nothing at all.
    pub(super) fn given<'m>(&self, view: &View<'_>, memory: &'m Memory, meaning: Meaning) -> Option<&'m Given> {
        let given = memory.given();
        let agrees = self.said.is_none_or(|said| said.meaning == meaning);
        (!given.is_empty() && agrees && self.is_unexplained(view, memory)).then_some(given)
    }

    /// What became of holding the signature against the keys that the operator gave, if it may explain this refusal. A
    /// token of an issuer that is not trusted has other keys, and that is another fault.
    pub(super) fn by_keys(&self, view: &View<'_>, memory: &Memory, meaning: Meaning) -> Option<Checked> {
        let given = self.given(view, memory, meaning)?;
        let iss = self.jwt.claims.as_ref().and_then(|claims| claims.iss.as_deref());
        // The server goes by other keys than those that were given.
        let is_contradicted = self.is_accepted(view, memory, |kind| kind.contradicts_keys);
        if given.trusts(iss) == Some(false) || is_contradicted {
            return None;
        }
        view.check_signature(self.offered, self.jwt, given)
    }

    /// Whether tokens are accepted here that are like this one in who made them and in that.
    pub(super) fn is_accepted(&self, view: &View<'_>, memory: &Memory, same: impl Fn(&TokenKind) -> bool) -> bool {
        let iss = self.jwt.claims.as_ref().and_then(|claims| claims.iss.as_deref());
        memory.tokens_accepted(view).into_iter().any(|kind| kind.iss.as_deref() == iss && same(kind))
    }

    fn is_in_time(&self, view: &View<'_>) -> bool {
        let now = view.server_time().as_second();
        let Some(claims) = &self.jwt.claims else { return false };
        claims.exp.is_none_or(|exp| exp.0 > now) && claims.nbf.is_none_or(|nbf| nbf.0 <= now)
    }

    /// Adds what was sent, what the token says in one claim, what was answered, and the words that were recognised.
    pub(super) fn show(&self, found: Finding, view: &View<'_>, claims: &[(&str, String)]) -> Finding {
        let found = with_credentials(found.header(&self.offered.name), view, self.offered);
        let found = claims.iter().fold(found, |found, (name, value)| {
            super::point(found, format!("token: {name}={value}"), self.offered, None)
        });
        let found = with_answer(found, view);
        match self.said {
            Some(said) => found.because(format!("text: {}", clip(said.phrase))),
            None => found,
        }
    }

    /// What the token says of who made it, as it may be shown.
    pub(super) fn iss(&self, view: &View<'_>) -> Option<String> {
        self.jwt.claims.as_ref()?.iss.as_deref().map(|iss| shown(view, iss))
    }
}

/// What the server would have wanted, where its text says so behind that phrase.
pub(super) fn expected(view: &View<'_>, phrase: &str) -> Option<String> {
    if !phrase.ends_with("expected:") {
        return None;
    }
    let behind = |text: &str| {
        let (_, rest) = text.split_once(phrase)?;
        let end = rest.find(['"', '<', '\n', '}', ',']).unwrap_or(rest.len());
        let value = rest.get(..end)?.trim().trim_end_matches('\\');
        (!value.is_empty()).then(|| value.chars().take(200).collect::<String>())
    };
    let params = view.challenges(view.status() == 407).flat_map(|challenge| &challenge.params);
    view.error_text().and_then(behind).or_else(|| params.into_iter().find_map(|param| behind(&param.value)))
}
