//! A character in a token that cannot have been meant: quotes, line ends, marks that no one sees.

use super::{fault, first_with, foremost, is_refused};
use crate::auth::DefectKind;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A character that does not belong in a token.
pub static RULE: Rule = Rule {
    name: "token-bad-character",
    family: Family::Credentials,
    severity: Severity::Error,
    title: "The token has a character that does not belong there",
    why: "Tokens are made of letters, digits and a few signs. Quotes come from configuration files, line ends from files \
          and `echo`, marks that no one sees from documents and chats. They become part of the token, which then is \
          another one than the server knows.",
    fix: "Copy the token anew from where it was made, into a plain text field, and take off quotes, spaces and line \
          ends. `printf %s \"$TOKEN\" | xxd` shows what is really in it.",
    spec: &[Spec::rfc(6750, "2.1"), Spec::rfc(9110, "5.5")],
    supersedes: &[
        "basic-undecodable",
        "credentials-rejected",
        "credentials-reported-missing",
        "jwt-malformed",
        "scheme-case",
    ],
    examples: &[
        Example::fires("quotes around the token", QUOTED),
        Example::fires("curly quotes of a text editor", CURLY),
        Example::fires("a no-break space", NO_BREAK),
        Example::fires("a byte order mark before the scheme", MARK),
        Example::fires("an invisible character of no width", ZERO_WIDTH),
        Example::fires("an ellipsis where the token was cut", ELLIPSIS),
        Example::fires("a space inside", SPACE),
        Example::fires("a control character", CONTROL),
        Example::fires("a line break, in a value that goes on in the next line", FOLDED),
        Example::fires("a letter outside ASCII", NOT_ASCII),
        Example::fires_beside("a character that only some servers take", RESERVED),
        Example::quiet("quotes that belong to a parameter", PARAMETER),
        Example::quiet("spaces around the value, which do not count", SURROUNDED),
        Example::quiet("quotes, and nobody minds", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

const KINDS: [DefectKind; 9] = [
    DefectKind::TokenLineBreak,
    DefectKind::TokenByteOrderMark,
    DefectKind::TokenZeroWidth,
    DefectKind::TokenNoBreakSpace,
    DefectKind::TokenEllipsis,
    DefectKind::TokenQuoted,
    DefectKind::TokenInnerSpace,
    DefectKind::TokenControlCharacter,
    DefectKind::TokenNotAscii,
];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let wrong = first_with(view, &KINDS).and_then(|(offered, defects)| {
        let summary = summary(foremost(&KINDS, &defects)?);
        Some(fault(&RULE, view, offered, Certainty::Certain, summary, &defects))
    });
    wrong.or_else(|| check_reserved(view)).into_iter().collect()
}

/// A character that bearer tokens may not have by the letter. Tokens with one are in use and work, where the server
/// has made them, so it is no more than a hint.
fn check_reserved(view: &View<'_>) -> Option<Finding> {
    let (offered, defects) = first_with(view, &[DefectKind::TokenReservedCharacter])?;
    let is_said_better = offered.credentials.has(DefectKind::CredentialsPercentEncoded);
    if !is_refused(view, offered) || is_said_better || offered.credentials.placeholder.is_some() {
        return None;
    }
    let summary = "the token has a character that a strict server does not take";
    let found = fault(&RULE, view, offered, Certainty::Possible, summary, &defects).severity(Severity::Info);
    Some(found.fix(
        "If the server itself makes such tokens this is not the cause. Otherwise see whether the token was cut out of \
         a longer text, or a separator got into it.",
    ))
}

fn summary(kind: DefectKind) -> &'static str {
    match kind {
        DefectKind::TokenLineBreak => "the credentials have a line break in them",
        DefectKind::TokenByteOrderMark => "the credentials have an invisible byte order mark in them",
        DefectKind::TokenZeroWidth => "the credentials have an invisible character in them",
        DefectKind::TokenNoBreakSpace => {
            "the credentials have a no-break space in them, which looks like a space and is none"
        }
        DefectKind::TokenEllipsis => "the token was cut: an ellipsis stands where the rest of it belongs",
        DefectKind::TokenQuoted => "quotes were sent with the credentials, as if they were part of them",
        DefectKind::TokenInnerSpace => "the token has a space inside, which no token may have",
        DefectKind::TokenControlCharacter => "the credentials have a control character in them",
        _ => "the credentials have a character outside ASCII in them",
    }
}

const QUOTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer \"tGzv3JOkF0XG5Qx2TlKWIA\"
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const CURLY: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer “tGzv3JOkF0XG5Qx2TlKWIA”
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const NO_BREAK: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer{hex c2a0}tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const MARK: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: {hex efbbbf}Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const ZERO_WIDTH: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0{hex e2808b}XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const ELLIPSIS: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIi…
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const SPACE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0 XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const CONTROL: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA{hex 1b}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const FOLDED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2
>  TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const NOT_ASCII: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0é
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const RESERVED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer 12|tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const PARAMETER: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Token token=\"tGzv3JOkF0XG5Qx2TlKWIA\"
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const SURROUNDED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization:   Bearer tGzv3JOkF0XG5Qx2TlKWIA  
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const ACCEPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer \"tGzv3JOkF0XG5Qx2TlKWIA\"
< HTTP/1.1 200 OK
< Content-Type: application/json
";
