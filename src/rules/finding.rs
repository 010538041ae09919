//! What a rule says: a finding, how bad it is, how sure, where to go, and on what evidence.

use std::borrow::Cow;
use std::fmt;

use super::Rule;
use crate::hops::HopReport;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Wrong, but not shown to be the cause.
    Warning,
    /// This is why the exchange failed, or it cannot work.
    Error,
}

impl Severity {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// How sure the stated cause is, not how sure the observation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// A guess worth a look.
    Possible,
    /// The evidence speaks for it, and something else could have the same look.
    Likely,
    /// Follows from what was recorded.
    Certain,
}

impl Certainty {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// The place to go and fix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// The client.
    Client,
    /// The backend, or whoever answered in its place.
    Backend,
    /// The tap itself: how it was set up, or its machine.
    Tap,
    /// Something between two taps, such as `hop:edge>app`.
    Hop(String, String),
    /// The evidence does not tell.
    Unknown,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Backend => f.write_str("backend"),
            Self::Tap => f.write_str("tap"),
            Self::Hop(from, to) => write!(f, "hop:{from}>{to}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Which message a piece of evidence is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// The request's head.
    Request,
    /// The response's head.
    Response,
}

/// Where in a message the evidence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The message.
    pub message: Message,
    /// The field line, from 0.
    pub field: usize,
    /// The byte of the field's value, where one byte is the point.
    pub byte: Option<usize>,
}

/// One piece of evidence: a short line that may be shown, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The line. It never holds a secret.
    pub text: String,
    /// Where it was read.
    pub place: Option<Place>,
}

/// One rule that matched, with its evidence.
#[derive(Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How bad it is here; a rule may say less than its own severity, never more.
    pub severity: Severity,
    /// How sure the cause is.
    pub certainty: Certainty,
    /// Where to go and fix.
    pub at: At,
    /// The field that it is about, in lower case.
    pub header: Option<String>,
    /// One sentence for a person, without a full stop.
    pub summary: String,
    /// What was recorded that shows it.
    pub evidence: Vec<Evidence>,
    /// What to do, where it is more special than the rule's own fix.
    pub fix: Cow<'static, str>,
    /// Whether the fault is the success itself: what it says. Of other findings a success proves that they did no harm.
    pub is_about_success: bool,
}

impl Finding {
    /// A finding of `rule` with the rule's own severity and fix.
    pub(super) fn new(rule: &'static Rule, certainty: Certainty, summary: String) -> Self {
        Finding {
            rule,
            severity: rule.severity,
            certainty,
            at: At::Unknown,
            header: None,
            summary,
            evidence: Vec::new(),
            fix: Cow::Borrowed(rule.fix),
            is_about_success: false,
        }
    }

    /// Says that a success is itself the fault, so that it proves nothing against the finding.
    pub fn about_success(mut self) -> Self {
        self.is_about_success = true;
        self
    }

    /// Says where to go.
    pub fn at(mut self, at: At) -> Self {
        self.at = at;
        self
    }

    /// Says which field it is about.
    pub fn header(mut self, name: impl AsRef<str>) -> Self {
        self.header = Some(name.as_ref().to_ascii_lowercase());
        self
    }

    /// Says less than the rule's own severity.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Adds a line of evidence that has no place in a field.
    pub fn because(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(Evidence { text: text.into(), place: None });
        self
    }

    /// Adds a line of evidence out of a field.
    pub fn because_of(mut self, text: impl Into<String>, place: Place) -> Self {
        self.evidence.push(Evidence { text: text.into(), place: Some(place) });
        self
    }

    /// Gives a more special fix than the rule's own.
    pub fn fix(mut self, fix: impl Into<Cow<'static, str>>) -> Self {
        self.fix = fix.into();
        self
    }
}

/// All that was found in one exchange.
#[derive(Clone, Default)]
pub struct Diagnosis {
    /// What was found; the finding that explains the exchange best is the first.
    pub findings: Vec<Finding>,
    /// The rules that could not be run because of a fault of their own. The others were.
    pub failed: Vec<&'static str>,
    /// Whether the answer was a refusal: 401, 403 or 407.
    pub is_refusal: bool,
    /// Whether no rule was run, because none was wanted.
    pub is_left_out: bool,
}

/// The verdict where no rule was run.
pub const NOT_DIAGNOSED: &str = "not-diagnosed";

impl Diagnosis {
    /// The finding that the verdict names. Something merely worth knowing is one only where it explains a refusal.
    pub fn main(&self) -> Option<&Finding> {
        self.findings.first().filter(|finding| self.is_refusal || finding.severity > Severity::Info)
    }

    /// The name of the rule that explains the exchange best, or `ok`, or [`NOT_DIAGNOSED`].
    pub fn verdict(&self) -> &'static str {
        if self.is_left_out {
            return NOT_DIAGNOSED;
        }
        self.main().map_or("ok", |finding| finding.rule.name)
    }

    /// How bad the worst finding is.
    pub fn severity(&self) -> Option<Severity> {
        self.findings.first().map(|finding| finding.severity)
    }
}

/// What is wrong with a request that one tap saw or several.
#[derive(Default)]
pub struct RequestDiagnosis {
    /// What is wrong with each of its exchanges, in their order; with it, what the hops before and behind did.
    pub each: Vec<Diagnosis>,
    /// All of it together, as a person is told.
    pub whole: Diagnosis,
    /// What the hops did, from the client on.
    pub hops: Vec<HopReport>,
}
