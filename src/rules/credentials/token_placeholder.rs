//! A text that stands for a secret which nobody filled in.

use super::{called, fault};
use crate::auth::{DefectKind, Placeholder};
use crate::exchange::View;
use crate::exchange::view::OfferedIn;
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A placeholder in the place of a secret.
pub static RULE: Rule = Rule {
    name: "token-placeholder",
    family: Family::Credentials,
    severity: Severity::Error,
    title: "A placeholder was sent in place of the secret",
    why: "The name of a variable, a gap in a template, a text out of a manual, or what a program writes for a value that \
          it does not have. The secret itself never got into the request.",
    fix: "Find what should have put the secret there, and why it did not: an unset variable, quotes that keep the shell \
          from filling it in, a template that was not rendered, a token read before the login had ended.",
    spec: &[Spec::rfc(6750, "2.1"), Spec::rfc(9110, "11.4")],
    supersedes: &[
        "basic-undecodable",
        "credentials-rejected",
        "credentials-reported-missing",
        "jwt-malformed",
        "scheme-case",
        "scheme-malformed",
        "token-bad-character",
    ],
    examples: &[
        Example::fires("a shell variable", SHELL),
        Example::fires("a variable of Windows", WINDOWS),
        Example::fires("a gap in a template", TEMPLATE),
        Example::fires("angle brackets of a manual", BRACKETS),
        Example::fires("words of a manual", MANUAL),
        Example::fires("undefined, out of JavaScript", UNDEFINED),
        Example::fires("an object of JavaScript", OBJECT),
        Example::fires("null for both user and password", BASIC),
        Example::fires("no scheme, and None", NO_SCHEME),
        Example::fires("a key in a header of its own", KEY),
        Example::fires("a token in the query", QUERY),
        Example::quiet("a token that merely has such letters in it", LETTERS),
        Example::quiet("a user who is called null", USER),
        Example::quiet("undefined, where no token is needed", ACCEPTED),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let found = view.offered().iter().find_map(|offered| {
        let placeholder = offered.credentials.placeholder?;
        // A form may have any text in a field that is called like a token.
        if matches!(offered.place, OfferedIn::Form | OfferedIn::Userinfo) {
            return None;
        }
        let credentials = &offered.credentials;
        let kinds = [DefectKind::TokenPlaceholder];
        let defects: Vec<_> =
            credentials.defects.iter().filter(|defect| kinds.contains(&defect.kind)).copied().collect();
        let (what, fix) = describe(placeholder);
        let summary = format!("{} holds {what}, not a secret", called(offered));
        let found = fault(&RULE, view, offered, Certainty::Certain, summary, &defects);
        Some(found.because(format!("placeholder: {}", placeholder.id())).fix(fix))
    });
    found.into_iter().collect()
}

/// What the placeholder is, and what to do about it.
pub(in crate::rules) fn describe(placeholder: Placeholder) -> (&'static str, &'static str) {
    match placeholder {
        Placeholder::ShellVariable => (
            "the name of a shell variable",
            "Let the shell fill it in: single quotes keep it from doing so, and so do most configuration files. Use \
             double quotes, or a tool that renders the file.",
        ),
        Placeholder::WindowsVariable => (
            "the name of a Windows variable",
            "Only cmd.exe fills in %NAME%. In PowerShell write $env:NAME, elsewhere put the secret there yourself.",
        ),
        Placeholder::Template => (
            "a gap of a template that was never filled in",
            "See why the template was not rendered: a variable of another name, another environment selected, a file \
             that was deployed as it is.",
        ),
        Placeholder::Brackets | Placeholder::Manual => {
            ("a placeholder out of a manual", "Put the real secret there, without brackets around it.")
        }
        Placeholder::MissingValue | Placeholder::Boolean => (
            "what a program writes for a value it does not have",
            "The client built the header before it had a token. See where it reads the token, and send no header as \
             long as there is none.",
        ),
        Placeholder::Object => (
            "what JavaScript writes for an object",
            "The client joined an object to the text. Take the token out of it first, or wait for the promise that it is.",
        ),
    }
}

const SHELL: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer ${API_TOKEN}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const WINDOWS: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer %API_TOKEN%
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const TEMPLATE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer {{token}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const BRACKETS: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer <token>
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const MANUAL: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer YOUR_API_KEY
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const UNDEFINED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer undefined
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const OBJECT: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer [object Promise]
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const BASIC: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic null:null}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"api\"
";

const NO_SCHEME: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: None
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const KEY: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> X-Api-Key: <your key>
< HTTP/1.1 403 Forbidden
";

const QUERY: &str = "\
> GET /ws?access_token=null HTTP/1.1
> Host: api.example
> Upgrade: websocket
> Connection: Upgrade
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const LETTERS: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer undefined-4f1a-nullable
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const USER: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic null:correct-horse}
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const ACCEPTED: &str = "\
> GET /public HTTP/1.1
> Host: api.example
> Authorization: Bearer undefined
< HTTP/1.1 200 OK
< Content-Type: application/json
";
