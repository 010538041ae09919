//! What a hop changed, as data: one difference, one value.

/// One difference between what two taps saw of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In which message.
    pub side: Side,
    /// What the thing that differs is there for.
    pub kind: Kind,
    /// The name of the field, in lower case; of a query parameter with `?` before it; `:method`, `:target` or `:status`
    /// for what is no field; `*` where it is about all names.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// How it looked before the hop, as it may be shown.
    pub before: Option<Told>,
    /// How it looked behind the hop, as it may be shown.
    pub after: Option<Told>,
    /// Whether it follows from what was recorded. Where only fingerprints and lengths are known, that a value was cut is a
    /// guess, for example.
    pub is_sure: bool,
}

/// Which message a difference is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The request: before the hop is the outer tap.
    Request,
    /// The answer: before the hop is the inner tap.
    Answer,
}

/// What a field, or something else in a message, is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Authorization, Proxy-Authorization, keys in fields and parameters of their own, DPoP proofs.
    Credentials,
    /// WWW-Authenticate, Proxy-Authenticate, Authentication-Info, DPoP-Nonce.
    Challenge,
    /// Cookie and Set-Cookie.
    Cookie,
    /// Host, or what stands for it over HTTP/2.
    Host,
    /// The request target and its parameters, and the method.
    Target,
    /// The status code.
    Status,
    /// Origin and the fields of CORS.
    Cors,
    /// Forwarded, X-Forwarded-…, X-Real-IP: what the backend learns of the way before the gateway.
    Forwarded,
    /// Something else that a signature of the request covers.
    Signed,
    /// Location, which sends the client somewhere.
    Location,
    /// What belongs to one connection and changes on every hop (RFC 9110 7.6.1), such as Connection, and what every
    /// gateway adds or makes anew, such as Via, Date and Server.
    Plumbing,
    /// Any other field.
    Other,
}

/// What became of something between two taps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not there any more.
    Removed,
    /// It was not there before.
    Added,
    /// The same value stands under another name, which is given as spelled.
    Renamed(String),
    /// Other credentials stand in its place. The old ones may still be there under another name, which is given.
    Replaced {
        /// The field in which the old value stands now, as spelled.
        kept_in: Option<String>,
    },
    /// The same thing, written in another way.
    Rewritten(Rewrite),
    /// Another value.
    Changed,
    /// The name alone is spelled in another way. With `all`, so is every name that could be.
    Recased {
        /// Whether it happened to all names.
        all: bool,
        /// The form that the names have now.
        to: NameCase,
    },
    /// Its line stands there more often than before, with the same value.
    Duplicated {
        /// Lines before.
        from: usize,
        /// Lines behind.
        to: usize,
    },
    /// Several lines became one.
    Merged {
        /// Lines before.
        lines: usize,
    },
    /// One line became several.
    Split {
        /// Lines behind.
        lines: usize,
    },
    /// Equal lines were dropped until fewer were left.
    Thinned {
        /// Lines before.
        from: usize,
        /// Lines behind.
        to: usize,
    },
    /// The lines of this name stand in another order.
    Reordered,
    /// It stands behind the body now.
    MovedToTrailer,
}

/// How the same thing can be written in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rewrite {
    /// It ends early, after so many bytes.
    Cut {
        /// The length that is left, in bytes.
        at: usize,
    },
    /// White space was added, taken away or changed.
    WhiteSpace,
    /// Quotes were put around it or taken off.
    Quotes,
    /// The scheme's letters are in another case.
    SchemeCase,
    /// Another scheme stands before the same secret.
    Scheme,
    /// Percent signs were decoded or put in.
    Percent,
    /// The other alphabet of base64, or its padding.
    Base64,
    /// Characters outside ASCII in another encoding.
    Charset,
    /// Something was put behind or before it.
    Extended,
    /// Letters in another case, and nothing else.
    LetterCase,
    /// Of a target: a prefix of the path was taken off or put on.
    PathPrefix,
    /// Of a target: slashes or dots in the path were normalised.
    PathNormalised,
    /// Of a target: absolute form became origin form, or the reverse.
    TargetForm,
    /// Of a host: the port was taken off or put on.
    Port,
}

/// How the letters of names are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameCase {
    /// `x-api-key`.
    Lower,
    /// `X-Api-Key`.
    Title,
    /// `X-API-KEY`.
    Upper,
    /// In no regular way, or the names differ in it.
    Mixed,
}

/// How something looked at a tap, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The name as spelled; empty for what has none.
    pub name: String,
    /// The value as it may be shown: `Bearer jwt#7f3a (812 bytes)`.
    pub value: String,
    /// What else may be said of it, such as `issuer https://login.example`.
    pub about: Vec<String>,
}

impl Told {
    /// Name and value as a line of text: `Authorization: Bearer jwt#7f3a (812 bytes)`.
    pub fn text(&self) -> String {
        match self.name.as_str() {
            "" => self.value.clone(),
            name => format!("{name}: {}", self.value),
        }
    }
}

impl Side {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
        }
    }
}

impl Kind {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Challenge => "challenge",
            Self::Cookie => "cookie",
            Self::Host => "host",
            Self::Target => "target",
            Self::Status => "status",
            Self::Cors => "cors",
            Self::Forwarded => "forwarded",
            Self::Signed => "signed",
            Self::Location => "location",
            Self::Plumbing => "plumbing",
            Self::Other => "other",
        }
    }
}

impl Change {
    /// The name by which records call it.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Added => "added",
            Self::Renamed(_) => "renamed",
            Self::Replaced { .. } => "replaced",
            Self::Rewritten(rewrite) => rewrite.id(),
            Self::Changed => "changed",
            Self::Recased { .. } => "recased",
            Self::Duplicated { .. } => "duplicated",
            Self::Merged { .. } => "merged",
            Self::Split { .. } => "split",
            Self::Thinned { .. } => "thinned",
            Self::Reordered => "reordered",
            Self::MovedToTrailer => "moved-to-trailer",
        }
    }

    /// What happened, for a sentence whose subject is the field.
    pub fn text(&self) -> String {
        match self {
            Self::Removed => "was removed".to_owned(),
            Self::Added => "was added".to_owned(),
            Self::Renamed(to) => format!("was renamed to {to}"),
            Self::Replaced { kept_in: None } => "was replaced by another".to_owned(),
            Self::Replaced { kept_in: Some(name) } => format!("was replaced by another, and moved to {name}"),
            Self::Rewritten(rewrite) => rewrite.text(),
            Self::Changed => "was changed".to_owned(),
            Self::Recased { all: false, to } => format!("has its name {}", to.text()),
            Self::Recased { all: true, to } => format!("have their names {}", to.text()),
            Self::Duplicated { from, to } => format!("was duplicated: {from} became {to}"),
            Self::Merged { lines } => format!("was merged: {lines} lines became one"),
            Self::Split { lines } => format!("was split into {lines} lines"),
            Self::Thinned { from, to } => format!("lost equal lines: {from} became {to}"),
            Self::Reordered => "stands in another order".to_owned(),
            Self::MovedToTrailer => "was moved behind the body".to_owned(),
        }
    }
}

impl Rewrite {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Cut { .. } => "cut",
            Self::WhiteSpace => "white-space",
            Self::Quotes => "quotes",
            Self::SchemeCase => "scheme-case",
            Self::Scheme => "scheme",
            Self::Percent => "percent",
            Self::Base64 => "base64",
            Self::Charset => "charset",
            Self::Extended => "extended",
            Self::LetterCase => "letter-case",
            Self::PathPrefix => "path-prefix",
            Self::PathNormalised => "path-normalised",
            Self::TargetForm => "target-form",
            Self::Port => "port",
        }
    }

    /// What happened, for a sentence whose subject is the field.
    pub fn text(self) -> String {
        match self {
            Self::Cut { at } => return format!("was cut after {at} bytes"),
            Self::WhiteSpace => "got other white space",
            Self::Quotes => "got or lost quotes",
            Self::SchemeCase => "has its scheme in other letters",
            Self::Scheme => "has another scheme before the same secret",
            Self::Percent => "was percent-decoded or encoded",
            Self::Base64 => "was put into another form of base64",
            Self::Charset => "was put into another character encoding",
            Self::Extended => "got something added",
            Self::LetterCase => "is in other letters",
            Self::PathPrefix => "got or lost a prefix of its path",
            Self::PathNormalised => "has its path normalised",
            Self::TargetForm => "has another form",
            Self::Port => "got or lost its port",
        }
        .to_owned()
    }
}

impl NameCase {
    /// How names in it look, for a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::Lower => "in lower case",
            Self::Title => "in Title-Case",
            Self::Upper => "in UPPER CASE",
            Self::Mixed => "in another case",
        }
    }
}
