//! What servers and gateways say when they refuse: a dictionary of literal error texts, and what each of them means.
//!
//! It is data, with its source beside each entry. To add one: put the shortest part of the text that no other product's
//! text has, and nothing else has to be changed. Where several match, the longest is taken.

mod entries;

use std::sync::LazyLock;

use super::phrases::Phrases;
use crate::exchange::View;

pub(super) use entries::WORDS;

/// One text and its meaning.
pub(super) struct Words {
    /// A literal part of the text, as the product writes it.
    pub(super) phrase: &'static str,
    /// Where it stands.
    pub(super) place: Where,
    /// What it says.
    pub(super) meaning: Meaning,
    /// Who says so.
    pub(super) product: &'static str,
    /// The field in which the product looks for credentials, where it is not Authorization.
    pub(super) wants: Option<&'static str>,
    /// The cause, as a sentence without a full stop.
    pub(super) cause: &'static str,
    /// What to do, in sentences.
    pub(super) fix: &'static str,
    /// Where it was read; for those who check the entry, and printed nowhere.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) source: &'static str,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// In the body of the answer.
    Body,
    /// In a parameter of a challenge.
    Challenge,
    /// In either, or in grpc-message.
    Anywhere,
}

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Meaning {
    /// No credentials arrived.
    NoCredentials,
    /// The token ran out.
    Expired,
    /// The token is not valid yet.
    NotYetValid,
    /// The token is for somebody else.
    Audience,
    /// The token was made by somebody who is not trusted here.
    Issuer,
    /// The signature does not fit the key.
    Signature,
    /// The key that signed the token is not known.
    KeyUnknown,
    /// The server could not get the keys.
    KeysUnreachable,
    /// The token's algorithm is not allowed.
    Algorithm,
    /// The token or the header can't be read.
    Malformed,
    /// The scheme or the form of the header is not the one that is wanted.
    WrongScheme,
    /// Another field is wanted.
    WrongHeader,
    /// Two credentials came at once.
    TwoMechanisms,
    /// The user, password or key is not known.
    Unknown,
    /// The token was withdrawn.
    Revoked,
    /// Who it is was understood, and a policy says no.
    Policy,
}

/// The text in the answer that says most, if the dictionary knows one. The answer has to be a 4xx with a small body.
pub(super) fn said(view: &View<'_>) -> Option<&'static Words> {
    let index = view.words(|| {
        let said = |place: Where, text: &str| longest_in(text, |known| known == Where::Anywhere || known == place);
        let texts = texts(view)?;
        texts.iter().filter_map(|(place, text)| said(*place, text)).max_by_key(says_most)
    });
    WORDS.get(index?)
}

/// The phrases of all entries, in their order.
static PHRASES: LazyLock<Phrases> = LazyLock::new(|| Phrases::of_each(WORDS.iter().map(|words| words.phrase)));

/// The entry that says most, of those whose phrase is in a text and whose place is the right one.
fn longest_in(text: &str, is_place: impl Fn(Where) -> bool) -> Option<usize> {
    let is_right = |index: &usize| WORDS.get(*index).is_some_and(|words| is_place(words.place));
    PHRASES.all_in(text).map(|(index, _)| index).filter(is_right).max_by_key(says_most)
}

/// The longer phrase says more.
fn says_most(index: &usize) -> (usize, usize) {
    (WORDS.get(*index).map_or(0, |words| words.phrase.len()), *index)
}

/// What applications write by hand where no credentials came, in lower case. Each of them is the whole point of the text
/// that it stands in, so that no product has to be known.
static BY_HAND: Phrases = Phrases::of(&[
    "no token provided",
    "token not provided",
    "missing token",
    "token missing",
    "token is missing",
    "no authorization header",
    "missing authorization header",
    "authorization header missing",
    "authorization header is missing",
    "authorization header required",
    "authorization header is required",
    "missing bearer token",
    "no bearer token",
    "api key is missing",
    "missing api key",
    "no api key provided",
    "credentials were not provided",
    "no credentials provided",
]);

/// The words by which a body says that no credentials came, where the dictionary does not know the product.
pub(super) fn says_none_came(view: &View<'_>) -> Option<&'static str> {
    let response = view.response().filter(|response| response.body.size <= LARGEST_BODY)?;
    let is_refusal = matches!(response.status, 400 | 401 | 403);
    BY_HAND.first_in(&view.error_text().filter(|_| is_refusal)?.to_ascii_lowercase())
}

/// The words of the answer that say that no credentials came, whoever wrote them.
pub(super) fn none_came(view: &View<'_>) -> Option<&'static str> {
    match said(view) {
        Some(said) => (said.meaning == Meaning::NoCredentials).then_some(said.phrase),
        None => says_none_came(view),
    }
}

/// Larger bodies are documents, in which such words can stand for other reasons.
const LARGEST_BODY: u64 = 4096;

fn texts(view: &View<'_>) -> Option<Vec<(Where, String)>> {
    let response = view.response().filter(|response| (400..500).contains(&response.status))?;
    let mut texts = Vec::new();
    if response.body.size <= LARGEST_BODY {
        // Some servers print their JSON for people, with a space behind the colon.
        texts.extend(view.error_text().map(|text| (Where::Body, text.replace("\": \"", "\":\""))));
    }
    for challenge in view.challenged().iter().flat_map(|field| field.challenges.iter()) {
        let texts_of = challenge.params.iter().map(|param| &param.value).filter(|value| value.len() >= SHORTEST);
        texts.extend(texts_of.map(|value| (Where::Challenge, value.clone())));
    }
    Some(texts)
}

/// No phrase is shorter, so that it can be told from others.
const SHORTEST: usize = 10;

/// The grpc-message of the answer, with its percent-encoding undone (gRPC over HTTP/2, Responses).
pub(super) fn grpc_message(view: &View<'_>) -> Option<String> {
    let response = view.response()?;
    let trailers = response.trailers.as_ref().and_then(|trailers| trailers.value("grpc-message"));
    let value = trailers.or_else(|| response.head.value("grpc-message"))?;
    Some(percent_encoding::percent_decode(value).decode_utf8_lossy().into_owned())
}

/// The text in a gRPC answer that says most, if the dictionary knows one.
pub(super) fn said_in_grpc(view: &View<'_>) -> Option<&'static Words> {
    let text = grpc_message(view)?;
    WORDS.get(longest_in(&text, |place| place != Where::Challenge)?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn entries_are_whole() {
        let mut phrases = HashSet::new();
        let mut products = HashSet::new();
        for words in WORDS {
            assert!(phrases.insert(words.phrase), "{} is there twice", words.phrase);
            products.insert(words.product);
            assert!(words.phrase.len() >= SHORTEST, "{} is too short to be told from others", words.phrase);
            assert!(words.source.starts_with("https://"), "{}", words.phrase);
            assert!(!words.cause.ends_with('.') && words.cause.len() < 120, "{}", words.cause);
            assert!(words.fix.ends_with('.') && words.fix.starts_with(char::is_uppercase), "{}", words.fix);
        }
        assert!(WORDS.len() >= 80 && products.len() >= 30, "{} of {}", WORDS.len(), products.len());
    }
}
