//! A token that was refused: what the server said of it, and what the tokens are like that it accepts.

use super::{is_called_invalid, tokens};
use crate::auth::Jwt;
use crate::exchange::View;
use crate::exchange::view::Offered;
use crate::memory::{Memory, TokenKind};
use crate::rules::credentials::{is_refused, is_refused_by_grpc};
use crate::rules::evidence::{clip, with_answer, with_credentials};
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
    if normal::is_token_endpoint(view) {
        return None;
    }
    let said = words::said(view).or_else(|| words::said_in_grpc(view).filter(|_| is_refused_by_grpc(view)));
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
        let is_about_token = view.status() == 401 && self.said.is_none() && self.jwt.defects.is_empty();
        let has_error = view.challenges(false).any(|challenge| challenge.param("error").is_some());
        let history = memory.history_here(view, self.offered.fingerprint);
        let has_worked = history.is_some_and(|history| history.last_accepted.is_some());
        let is_open = memory.answers_here(view).without.is_some_and(|(_, status)| (200..300).contains(&status));
        if !is_about_token || (has_error && !is_called_invalid(view)) || has_worked || is_open || !self.is_in_time(view)
        {
            return Vec::new();
        }
        memory.tokens_accepted(view)
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

/// The longest that a claim takes in a sentence.
const CLAIM: usize = 48;

/// The value of a claim as it may be shown, in one line.
pub(super) fn shown(view: &View<'_>, text: &str) -> String {
    let text = view.redactor().text(text);
    let mut short: String = text.chars().take(CLAIM).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(CLAIM).is_some() {
        short.push('…');
    }
    short
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
