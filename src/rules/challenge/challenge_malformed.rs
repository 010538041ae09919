//! A challenge that breaks the grammar, so that clients read it differently or not at all.

use super::place_of_challenges;
use crate::auth::{Challenge, Defect, DefectKind, Scheme};
use crate::exchange::View;
use crate::exchange::view::Challenged;
use crate::memory::Memory;
use crate::rules::evidence::clip;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Place, Rule, Severity, Spec};

/// A challenge that breaks the grammar, or lacks what its scheme requires.
pub static RULE: Rule = Rule {
    name: "challenge-malformed",
    family: Family::Challenge,
    severity: Severity::Warning,
    title: "The challenge is malformed",
    why: "A challenge is a scheme and a list of parameters with commas between them; values that are more than a word \
          stand in double quotes. What breaks this, each client reads in its own way: some drop the one challenge, some \
          all of them, and then the login does not even start.",
    fix: "Write the challenge like this: `WWW-Authenticate: Basic realm=\"api\", charset=\"UTF-8\"`.",
    spec: &[Spec::rfc(9110, "11.2"), Spec::rfc(9110, "11.3"), Spec::rfc(9110, "11.6.1"), Spec::rfc(7617, "2")],
    supersedes: &[],
    examples: &[
        Example::fires("single quotes", SINGLE_QUOTES),
        Example::fires("a missing comma", COMMA),
        Example::fires("a parameter that is there twice", TWICE),
        Example::fires("Basic without a realm", NO_REALM),
        Example::fires("a realm with spaces and no quotes", SPACES),
        Example::fires("a charset other than UTF-8", CHARSET),
        Example::fires("parameters without a scheme", NO_SCHEME),
        Example::fires("a quote that is never closed", OPEN),
        Example::fires_beside("a realm without quotes that is one word", WORD),
        Example::quiet("the message of Negotiate, which is no parameter", NEGOTIATE),
        Example::quiet("a parameter that nobody knows", UNKNOWN),
        Example::quiet("single quotes on a success", SUCCESS),
    ],
    check: Check::Exchange(check),
};

/// How many defects are listed; who needs more has to read the field.
const LISTED: usize = 4;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    if view.is_preflight() {
        return Vec::new();
    }
    let by_proxy = place_of_challenges(view).map(|(by_proxy, _)| by_proxy);
    let wrong = view.challenged().iter().find_map(|field| {
        let defects = defects(field, |kind| kind.is_grave() && kind != DefectKind::ChallengesEmpty);
        let severity = if by_proxy == Some(field.by_proxy) { Severity::Warning } else { Severity::Info };
        found(view, field, &defects, severity)
    });
    let odd = || {
        let mut fields = view.challenged().iter().filter(|field| by_proxy == Some(field.by_proxy));
        fields.find_map(|field| {
            let defects = defects(field, |kind| kind == DefectKind::RealmNotQuoted);
            found(view, field, &defects, Severity::Info)
        })
    };
    wrong.or_else(odd).into_iter().collect()
}

/// The defects of a field and of its challenges, in the order of the bytes.
fn defects(field: &Challenged, wanted: impl Fn(DefectKind) -> bool) -> Vec<Defect> {
    let of_challenges = field.challenges.iter().flat_map(|challenge: &Challenge| &challenge.defects);
    let all = field.defects.iter().chain(of_challenges);
    let mut found: Vec<Defect> = all.filter(|defect| wanted(defect.kind)).copied().collect();
    found.sort_by_key(|defect| defect.at);
    found
}

fn found(view: &View<'_>, challenged: &Challenged, defects: &[Defect], severity: Severity) -> Option<Finding> {
    let first = defects.first()?;
    let field = view.response()?.head.fields().nth(challenged.field)?;
    let name = if challenged.by_proxy { "Proxy-Authenticate" } else { "WWW-Authenticate" };
    let summary = match first.kind {
        DefectKind::RealmNotQuoted => format!("in {name} {}", first.kind.text()),
        DefectKind::RealmMissing => "the server's challenge has no realm, which its scheme requires".to_owned(),
        DefectKind::NonceMissing => "the server's challenge has no nonce, which its scheme requires".to_owned(),
        kind => format!("the server's challenge is malformed: {}", kind.text()),
    };
    let place = |byte: Option<usize>| Place { message: Message::Response, field: field.index, byte };
    let value = view.redactor().field(name.as_bytes(), field.value);
    let status = view.status();
    let found = RULE.found(Certainty::Certain, summary).at(At::Backend).header(name).severity(severity);
    let found =
        found.because_of(format!("response: {status}, {name}, as it can be read: {}", clip(&value)), place(None));
    let found = defects.iter().take(LISTED).fold(found, |found, defect| {
        found.because_of(format!("defect at byte {}: {}", defect.at, defect.kind.text()), place(Some(defect.at)))
    });
    let found = match defects.len().checked_sub(LISTED) {
        Some(more @ 1..) => found.because(format!("and {more} more")),
        _ => found,
    };
    Some(match challenged.challenges.first().map(|challenge| &challenge.scheme) {
        Some(Scheme::Bearer | Scheme::Dpop) => found.fix(format!(
            "Write the challenge like this: `{name}: Bearer realm=\"api\", error=\"invalid_token\"`, with the error only \
             where a token was sent."
        )),
        Some(Scheme::Basic) | None => {
            found.fix(format!("Write the challenge like this: `{name}: Basic realm=\"api\", charset=\"UTF-8\"`."))
        }
        Some(_) => found.fix("Put commas between the parameters and double quotes around each value."),
    })
}

const SINGLE_QUOTES: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm='orders'
";

const COMMA: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"orders\" scope=\"read\"
";

const TWICE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"orders\", realm=\"shop\"
";

const NO_REALM: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic
";

const SPACES: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=My Orders
";

const CHARSET: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"orders\", charset=\"ISO-8859-1\"
";

const NO_SCHEME: &str = "\
> GET /userinfo HTTP/1.1
> Host: login.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: realm=\"orders\"
";

const OPEN: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"orders
";

const WORD: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=orders
";

const NEGOTIATE: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Negotiate YIIBAAYGKwYBBQUC
< HTTP/1.1 200 OK
< WWW-Authenticate: Negotiate oRQwEqADCgEAoQsGCSqGSIb3EgECAg==
";

const UNKNOWN: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm=\"orders\", flavour=\"new\"
";

const SUCCESS: &str = "\
> GET /api HTTP/1.1
> Host: api.example
< HTTP/1.1 200 OK
< WWW-Authenticate: Basic realm='orders'
";
