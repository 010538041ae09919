//! Which exchanges are health probes: they are counted, and not shown while nothing is wrong with them.

use super::filter::{Filter, Heads};
use super::shown::Shown;
use crate::error::Error;
use crate::rules::Finding;

/// The word for showing probes of the usual kinds too.
const NONE: &str = "none";

/// What counts as a probe beside the usual kinds, or in place of them.
#[derive(Default)]
pub struct Probes {
    shows_usual: bool,
    more: Vec<Filter>,
}

impl Probes {
    /// Reads the values of `--quiet-probes`.
    ///
    /// # Errors
    /// The word that is not understood, and what would be.
    pub fn parse(values: &[String]) -> Result<Self, Error> {
        let option = "--quiet-probes";
        let mut probes = Probes::default();
        for value in values {
            match value.trim() {
                NONE => probes.shows_usual = true,
                // An expression without words holds for everything, and would silence all.
                "" => {
                    return Err(Error::usage(format!("{option} is empty")).advice("path:/ping, agent:Prefix, or none"));
                }
                words => probes.more.push(Filter::parse(option, words)?),
            }
        }
        Ok(probes)
    }

    /// Whether it is the usual kinds, and no others.
    pub(super) fn are_usual(&self) -> bool {
        !self.shows_usual && self.more.is_empty()
    }

    /// Decides whether it is one.
    pub(super) fn mark(&self, shown: &mut Shown, findings: &[Finding], heads: &(impl Heads + ?Sized)) {
        shown.is_probe &= !self.shows_usual;
        shown.is_probe |= self.more.iter().any(|filter| filter.holds(shown, findings, heads));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::redact::Redactor;
    use crate::exchange::{View, transcript};

    fn is_probe(values: &[&str], path: &str) -> bool {
        let text = format!("> GET {path} HTTP/1.1\n> Host: x\n> User-Agent: Robot/2\n< HTTP/1.1 200 OK\n");
        let exchange = transcript::parse(&text).unwrap().remove(0);
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
        let view = View::new(&exchange, &redactor);
        let mut shown = Shown::of(&view);
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        Probes::parse(&values).unwrap().mark(&mut shown, &[], std::slice::from_ref(&view));
        shown.is_probe
    }

    #[test]
    fn the_usual_probes_and_those_of_the_user() {
        assert!(is_probe(&[], "/healthz") && !is_probe(&[], "/status"));
        assert!(is_probe(&["path:/status method:GET"], "/status") && is_probe(&["path:/status"], "/healthz"));
        assert!(!is_probe(&["path:/status method:HEAD"], "/status"));
        assert!(is_probe(&["path:/a", "agent:Robot/"], "/status"));
        assert!(!is_probe(&["none"], "/healthz") && is_probe(&["none", "path:/ping"], "/ping"));
    }

    #[test]
    fn a_wrong_word_is_named() {
        for (value, words) in [("", "empty"), ("ping", "\"ping\""), ("none path:/a", "\"none\"")] {
            let error = Probes::parse(&[value.to_owned()]).err().unwrap().to_string();
            assert!(error.contains(words) && error.contains("--quiet-probes"), "{value}: {error}");
        }
    }
}
