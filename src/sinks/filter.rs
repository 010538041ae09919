//! Which exchanges are told: `--filter "status:4xx path:/api -client:10.0.0.7"`.
//!
//! An expression is a list of words, all of which have to hold; one with `-` before it must not hold.

use super::shown::Shown;
use crate::error::Error;
use crate::rules::{Finding, find, near};

/// What the words look like.
const FORM: &str = "status:401, status:4xx, status:none, rule:NAME, method:GET, path:/prefix, client:ADDRESS, agent:PREFIX, \
                    header:NAME; - before one turns it round";

/// An expression that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filter(Vec<Word>);

#[derive(Debug, PartialEq, Eq)]
struct Word {
    is_turned: bool,
    test: Test,
}

#[derive(Debug, PartialEq, Eq)]
enum Test {
    /// The status, from the first to the last.
    Status(u16, u16),
    NoStatus,
    Rule(&'static str),
    Method(String),
    Path(String),
    Client(String),
    Header(String),
    /// What the User-Agent begins with.
    Agent(String),
}

/// What a filter asks of the heads of an exchange.
pub trait Heads {
    /// Whether the request or its answer has a field of that name.
    fn has_header(&self, name: &str) -> bool;

    /// Whether the request's User-Agent begins so.
    fn agent_begins(&self, prefix: &str) -> bool;
}

impl Filter {
    /// Reads the expression of an option; one without words holds for all.
    ///
    /// # Errors
    /// The word that is not understood, and what would be.
    pub fn parse(option: &str, text: &str) -> Result<Self, Error> {
        text.split_whitespace().map(|word| Word::parse(option, word)).collect::<Result<_, _>>().map(Filter)
    }

    /// Whether the exchange is one of those that are meant.
    pub fn holds(&self, shown: &Shown, findings: &[Finding], heads: &(impl Heads + ?Sized)) -> bool {
        self.0.iter().all(|word| {
            let holds = match &word.test {
                Test::Status(from, to) => shown.status.is_some_and(|status| (*from..=*to).contains(&status)),
                Test::NoStatus => shown.status.is_none(),
                Test::Rule(name) => findings.iter().any(|finding| finding.rule.name == *name),
                Test::Method(method) => shown.method == *method,
                Test::Path(prefix) => shown.path().starts_with(prefix),
                Test::Client(addr) => shown.client == *addr,
                Test::Header(name) => heads.has_header(name),
                Test::Agent(prefix) => heads.agent_begins(prefix),
            };
            holds != word.is_turned
        })
    }
}

impl Word {
    fn parse(option: &str, text: &str) -> Result<Self, Error> {
        let wrong = |what: String| Error::usage(format!("{option}: {what}"));
        let (is_turned, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let unknown = || wrong(format!("{text:?} is not understood")).advice(FORM);
        let (name, value) = rest.split_once(':').filter(|(_, value)| !value.is_empty()).ok_or_else(unknown)?;
        let test = match name {
            "status" => status(value).ok_or_else(unknown)?,
            "rule" => Test::Rule(find(value).map(|rule| rule.name).ok_or_else(|| {
                let advice = match near(value).as_slice() {
                    [] => "authtap rules lists them all".to_owned(),
                    near => format!("rule:{}", near.join(", or rule:")),
                };
                wrong(format!("there is no rule {value:?}")).advice(advice)
            })?),
            "method" => Test::Method(value.to_owned()),
            "path" => Test::Path(value.to_owned()),
            "client" => Test::Client(value.trim_matches(['[', ']']).to_owned()),
            "agent" => Test::Agent(value.to_owned()),
            "header" => Test::Header(value.to_ascii_lowercase()),
            _ => return Err(unknown()),
        };
        Ok(Word { is_turned, test })
    }
}

fn status(value: &str) -> Option<Test> {
    if value == "none" {
        return Some(Test::NoStatus);
    }
    if let Some(class) = value.strip_suffix("xx") {
        let first = class.parse::<u16>().ok().filter(|class| (1..=9).contains(class))? * 100;
        return Some(Test::Status(first, first + 99));
    }
    let status = value.parse().ok().filter(|status| (100..=999).contains(status))?;
    Some(Test::Status(status, status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::diagnose::Diagnoser;
    use crate::exchange::redact::Redactor;
    use crate::exchange::{View, transcript};

    const EXCHANGE: &str = "> GET /api/v1?a=1 HTTP/1.1\n> Host: x\n> User-Agent: curl/8\n> Authorization: Bearer Bearer 2YotnFZFEjr1zCsicMWpAA\n\
                            < HTTP/1.1 401 Unauthorized\n< WWW-Authenticate: Bearer realm=\"a\"\n";

    fn holds(filter: &str) -> bool {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
        let exchange = transcript::parse(EXCHANGE).unwrap().remove(0);
        let view = View::new(&exchange, &redactor);
        let findings = Diagnoser::default().diagnose(&view).findings;
        Filter::parse("--filter", filter).unwrap().holds(&Shown::of(&view), &findings, std::slice::from_ref(&view))
    }

    #[test]
    fn every_word_has_to_hold() {
        for held in [
            "",
            "status:401",
            "status:4xx",
            "-status:none",
            "rule:scheme-repeated",
            "method:GET",
            "path:/api",
            "-path:/apis",
            "header:AUTHORIZATION",
            "-header:cookie",
            "agent:curl/",
            "status:4xx method:GET -rule:token-expired path:/",
        ] {
            assert!(holds(held), "{held}");
            if !held.contains([' ', '-']) && !held.is_empty() {
                assert!(!holds(&format!("-{held}")), "-{held}");
            }
        }
        for other in
            ["status:403", "status:5xx", "status:none", "method:POST", "client:10.0.0.1", "status:4xx method:PUT"]
        {
            assert!(!holds(other), "{other}");
        }
    }

    #[test]
    fn a_word_that_is_not_understood_is_named() {
        for (text, words) in [
            ("401", "\"401\" is not understood"),
            ("status:", "\"status:\""),
            ("status:abc", "\"status:abc\""),
            ("status:0xx", "\"status:0xx\""),
            ("code:401", "status:401"),
            ("rule:challenge-mising", "rule:challenge-missing"),
        ] {
            let error = Filter::parse("--filter", text).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("--filter"), "{text}: {error}");
        }
    }
}
