//! A value whose scheme is missing or is parted from the secret by something else than a space.

use super::{called, fault, first_with, foremost, is_refused, written};
use crate::auth::{DefectKind, Detail, Scheme};
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::{Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// A value whose scheme is missing, or is not followed by a space.
pub static RULE: Rule = Rule {
    name: "scheme-malformed",
    family: Family::Credentials,
    severity: Severity::Error,
    title: "The scheme is missing or not followed by a space",
    why: "Credentials are a scheme, a space, and then the secret. A server that finds no scheme cannot know what the \
          rest is meant to be, and most take it for no credentials at all.",
    fix: "Write the scheme, one space, and the secret: `Authorization: Bearer <the token>`. If the API is known to take \
          the bare value, look at the value instead.",
    spec: &[Spec::rfc(9110, "11.4"), Spec::rfc(6750, "2.1")],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "scheme-case"],
    examples: &[
        Example::fires("a token without a scheme", RAW),
        Example::fires("a key without a scheme, with a challenge that names one", RAW_KEY),
        Example::fires("a colon behind the scheme", COLON),
        Example::fires("an equals sign behind the scheme", EQUALS),
        Example::fires("a tab behind the scheme", TAB),
        Example::fires("a comma behind the scheme", COMMA),
        Example::fires("no space at all", GLUED),
        Example::fires_beside("several spaces, which are legal, and a refusal", SPACES_REFUSED),
        Example::quiet("an API that takes the bare value", RAW_ACCEPTED),
        Example::quiet("a server that puts up with the colon", COLON_ACCEPTED),
        Example::quiet("several spaces, which are legal, and a success", SPACES),
    ],
    check: Check::Exchange(check),
};

const SEPARATORS: [DefectKind; 5] = [
    DefectKind::SchemeColon,
    DefectKind::SchemeEquals,
    DefectKind::SchemeComma,
    DefectKind::SchemeTab,
    DefectKind::SchemeGlued,
];

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let wrong = first_with(view, &SEPARATORS).and_then(|(offered, defects)| {
        let instead = match foremost(&SEPARATORS, &defects)? {
            DefectKind::SchemeColon => "a colon follows",
            DefectKind::SchemeEquals => "an equals sign follows",
            DefectKind::SchemeComma => "a comma follows",
            DefectKind::SchemeTab => "a tab follows",
            _ => "no space follows",
        };
        let scheme = &offered.credentials.scheme_as_sent;
        let summary = format!("in {} {instead} the word {scheme}, where one space belongs", called(offered));
        let fix =
            format!("Write one space behind {scheme}, and nothing else: `{}: {scheme} <secret>`.", field(offered));
        Some(fault(&RULE, view, offered, Certainty::Certain, summary, &defects).fix(fix))
    });
    let raw = || written(view).find_map(|offered| check_raw(view, offered));
    wrong.or_else(raw).or_else(|| check_spaces(view)).into_iter().collect()
}

/// Several spaces are legal, but there are servers that split at the first one.
fn check_spaces(view: &View<'_>) -> Option<Finding> {
    let (offered, defects) = first_with(view, &[DefectKind::SchemeSeveralSpaces])?;
    if !is_refused(view, offered) {
        return None;
    }
    let scheme = &offered.credentials.scheme_as_sent;
    let summary =
        format!("in {} several spaces follow {scheme}, which is allowed but confuses some servers", called(offered));
    let found = fault(&RULE, view, offered, Certainty::Possible, summary, &defects).severity(Severity::Info);
    Some(found.fix(format!("Send one space behind {scheme} and see whether the answer changes.")))
}

/// A value without a scheme. Some APIs want just that, so it takes a refusal, and a challenge to be more than a guess.
fn check_raw(view: &View<'_>, offered: &Offered) -> Option<Finding> {
    let credentials = &offered.credentials;
    let kinds = [DefectKind::SchemeAbsent];
    let defects: Vec<_> = credentials.defects.iter().filter(|defect| kinds.contains(&defect.kind)).copied().collect();
    if defects.is_empty() || !(is_refused(view, offered) || view.status() == 400) {
        return None;
    }
    let by_proxy = offered.place == OfferedIn::ProxyAuthorization;
    let mut wanted: Vec<&Scheme> = view.challenges(by_proxy).map(|challenge| &challenge.scheme).collect();
    wanted.dedup();
    let is_jwt = matches!(credentials.detail, Detail::Jwt(_));
    let certainty = match view.status() {
        403 if wanted.is_empty() && !is_jwt => Certainty::Possible,
        _ => Certainty::Likely,
    };
    let scheme = match wanted.as_slice() {
        [scheme] => scheme.usual_spelling().unwrap_or("Bearer"),
        _ => "Bearer",
    };
    let what = if is_jwt { "a token" } else { "a value" };
    let summary = format!("{} has {what} but no scheme, such as the word {scheme}, before it", called(offered));
    let fix = format!(
        "Write the scheme before the value: `{}: {scheme} <the value>`. Some APIs do take the bare value; if this is \
         one of them, the value itself was refused.",
        field(offered)
    );
    Some(fault(&RULE, view, offered, certainty, summary, &defects).fix(fix))
}

fn field(offered: &Offered) -> &'static str {
    if offered.place == OfferedIn::ProxyAuthorization { "Proxy-Authorization" } else { "Authorization" }
}

const RAW: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: {jwt {\"alg\":\"RS256\"} {\"sub\":\"1\"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const RAW_KEY: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: 9944b09199c62bcf9418ad846dd0e4bb
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Token
<
< {\"detail\":\"Authentication credentials were not provided.\"}
";

const COLON: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer:tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const EQUALS: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer=tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 403 Forbidden
";

const TAB: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer{hex 09}tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const COMMA: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer, tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const GLUED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer{jwt {\"alg\":\"RS256\"} {\"sub\":\"1\"}}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm=\"api\"
";

const RAW_ACCEPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: 9944b09199c62bcf9418ad846dd0e4bb
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const COLON_ACCEPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer: tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 200 OK
< Content-Type: application/json
";

const SPACES_REFUSED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer   tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer error=\"invalid_token\"
";

const SPACES: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer   tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 204 No Content
";
