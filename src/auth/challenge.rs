//! `WWW-Authenticate` and `Proxy-Authenticate`: one field value to challenges (RFC 9110 11.3, 11.6.1, 11.7.1).
//!
//! A comma parts both parameters and challenges, so what a word is can only be told from what follows it: a name has
//! `=` behind it, a scheme has not. Deviations from the grammar are listed in `parameter`; in addition a word after a
//! scheme without `=` is dropped where it can't be read as anything.

use std::fmt;

use super::challenge_meaning;
use super::defect::{Defect, DefectKind, Defects};
use super::negotiate::{self, Message};
use super::parameter::{AuthParam, Cursor, push_param, read_param};
use super::scheme::Scheme;
use super::token::{is_tchar, is_whitespace, token68_length};

/// How much of a field is analysed. Servers that send more are none that a client could answer either.
const LONGEST_FIELD: usize = 8 * 1024;
/// How many challenges of a field are analysed.
const MOST_CHALLENGES: usize = 100;

/// One scheme that a server offers, with its parameters (RFC 9110 11.3).
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme.
    pub scheme: Scheme,
    /// The name of the scheme as it was sent.
    pub scheme_as_sent: String,
    /// The single value that stands in place of parameters (RFC 9110 11.2). Not to be shown.
    pub token68: Option<String>,
    /// The parameters in their order, duplicates included.
    pub params: Vec<AuthParam>,
    /// What is wrong with this challenge.
    pub defects: Vec<Defect>,
    /// Offset of the scheme in the field value.
    pub at: usize,
}

impl Challenge {
    /// The value of the first parameter of that name; the name in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|param| param.name == name).map(|param| param.value.as_str())
    }

    /// What a Negotiate or NTLM challenge carries, if it carries anything (RFC 4559 4.1).
    pub fn message(&self) -> Option<Message> {
        let is_bound = matches!(self.scheme, Scheme::Negotiate | Scheme::Ntlm);
        self.token68.as_ref().filter(|_| is_bound).map(|token68| negotiate::parse_message(token68.as_bytes()))
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge")
            .field("scheme", &self.scheme)
            .field("token68", &self.token68.as_ref().map(String::len))
            .field("params", &self.params)
            .field("defects", &self.defects)
            .field("at", &self.at)
            .finish()
    }
}

/// What one field value says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenges {
    /// The challenges in their order.
    pub challenges: Vec<Challenge>,
    /// What is wrong with the field apart from single challenges.
    pub defects: Vec<Defect>,
}

/// Reads the value of one `WWW-Authenticate` or `Proxy-Authenticate` field (RFC 9110 11.6.1, 11.7.1).
pub fn parse_challenges(value: &[u8]) -> Challenges {
    let mut reader = Reader::new(value);
    while reader.read_element() {}
    reader.finish()
}

/// A challenge that is being read.
struct Open {
    challenge: Challenge,
    defects: Defects,
    /// Whether a comma followed the scheme without space, which leaves the parameters to nobody by the grammar.
    comma_after_scheme: Option<usize>,
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    done: Vec<Challenge>,
    open: Option<Open>,
    field: Defects,
}

impl<'a> Reader<'a> {
    fn new(value: &'a [u8]) -> Self {
        let mut field = Defects::default();
        let mut cursor = Cursor::new(value.get(..LONGEST_FIELD).unwrap_or(value), 0);
        if value.len() > LONGEST_FIELD {
            field.push(DefectKind::ChallengesTooLong, LONGEST_FIELD);
            cursor.cut = true;
        }
        Self { cursor, done: Vec::new(), open: None, field }
    }

    /// Reads a scheme or a parameter; `false` at the end.
    fn read_element(&mut self) -> bool {
        self.cursor.skip(|byte| is_whitespace(byte) || byte == b',');
        if self.cursor.is_at_end() {
            return false;
        }
        let at = self.cursor.position();
        let ahead = self.cursor.look_at_word();
        if ahead.word.is_empty() {
            self.defects().push(DefectKind::ElementUnreadable, at);
            self.cursor.skip_element();
        } else if ahead.equals || (ahead.quote && self.open.is_some() && Scheme::known(ahead.word).is_none()) {
            self.read_parameter(at);
        } else {
            return self.read_scheme(at);
        }
        true
    }

    fn read_parameter(&mut self, at: usize) {
        let Some(open) = &mut self.open else {
            self.field.push_once(DefectKind::SchemeMissing, at);
            read_param(&mut self.cursor, &mut self.field);
            return;
        };
        if let Some(comma) = open.comma_after_scheme.take() {
            open.defects.push(DefectKind::CommaAfterScheme, comma);
        }
        if open.challenge.token68.is_some() {
            open.defects.push_once(DefectKind::Token68AndParameters, at);
        }
        if let Some(param) = read_param(&mut self.cursor, &mut open.defects) {
            push_param(&mut open.challenge.params, param, &mut open.defects);
        }
    }

    fn read_scheme(&mut self, at: usize) -> bool {
        self.close();
        if self.done.len() == MOST_CHALLENGES {
            self.field.push(DefectKind::ChallengesTooMany, at);
            return false;
        }
        let name = self.cursor.skip(is_tchar);
        let mut open = Open {
            challenge: Challenge {
                scheme: Scheme::parse(name),
                scheme_as_sent: String::from_utf8_lossy(name).into_owned(),
                token68: None,
                params: Vec::new(),
                defects: Vec::new(),
                at,
            },
            defects: Defects::default(),
            comma_after_scheme: None,
        };
        let after = self.cursor.position();
        match self.cursor.peek() {
            None => {}
            Some(b',') => open.comma_after_scheme = Some(after),
            Some(b' ' | b'\t') => {
                if self.cursor.skip(is_whitespace).contains(&b'\t') {
                    open.defects.push(DefectKind::SchemeTab, after);
                }
                read_after_scheme(&mut self.cursor, &mut open);
            }
            Some(b':') => {
                open.defects.push(DefectKind::SchemeColon, after);
                self.cursor.advance(1);
                self.cursor.skip(is_whitespace);
                read_after_scheme(&mut self.cursor, &mut open);
            }
            Some(_) => {
                open.defects.push(DefectKind::ElementUnreadable, after);
                self.cursor.skip_element();
            }
        }
        self.open = Some(open);
        true
    }

    fn close(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        // What was cut off may have been the very parameter whose absence would be reported.
        if !(self.cursor.cut && self.cursor.is_at_end()) {
            challenge_meaning::check(&open.challenge, &mut open.defects);
        }
        open.challenge.defects = open.defects.finish();
        self.done.push(open.challenge);
    }

    /// Where defects of the present place go: to the challenge that is being read, or else to the field.
    fn defects(&mut self) -> &mut Defects {
        match &mut self.open {
            Some(open) => &mut open.defects,
            None => &mut self.field,
        }
    }

    fn finish(mut self) -> Challenges {
        self.close();
        if self.done.is_empty() {
            self.field.push(DefectKind::ChallengesEmpty, 0);
        }
        Challenges { challenges: self.done, defects: self.field.finish() }
    }
}

/// Reads a token68, or makes sure that what follows the scheme is a parameter or another scheme.
fn read_after_scheme(cursor: &mut Cursor<'_>, open: &mut Open) {
    let rest = cursor.rest();
    let length = token68_length(rest);
    let text = rest.get(..length).unwrap_or_default();
    let after = rest.iter().skip(length).find(|&&byte| !is_whitespace(byte));
    let ends_here = matches!(after, None | Some(b','));
    let ahead = cursor.look_at_word();
    let is_scheme = Scheme::known(ahead.word).is_some() && !ahead.equals;
    let is_name = ahead.equals || (ahead.quote && !ahead.word.is_empty());
    // `realm=` fits the grammar of token68, but in a scheme that takes parameters it is one without a value.
    let is_parameter = text.ends_with(b"=") && !text.ends_with(b"==") && takes_parameters(&open.challenge.scheme);
    if length > 0 && ends_here && !is_scheme && !is_parameter {
        open.challenge.token68 = Some(String::from_utf8_lossy(text).into_owned());
        cursor.advance(length);
    } else if is_scheme {
        open.defects.push(DefectKind::CommaMissing, cursor.position());
    } else if !is_name && !ends_at_comma(cursor) {
        open.defects.push(DefectKind::ElementUnreadable, cursor.position());
        cursor.skip_element();
    }
}

fn ends_at_comma(cursor: &Cursor<'_>) -> bool {
    matches!(cursor.peek(), None | Some(b','))
}

/// The schemes of which it is known that their challenge is a list of parameters.
pub(super) fn takes_parameters(scheme: &Scheme) -> bool {
    scheme.takes_parameters() || matches!(scheme, Scheme::Basic | Scheme::Bearer | Scheme::Dpop)
}

#[cfg(test)]
#[path = "challenge_tests.rs"]
pub(crate) mod tests;
