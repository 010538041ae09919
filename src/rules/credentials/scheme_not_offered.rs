//! Credentials of a scheme that the server's challenge does not name.

use super::{is_refused, written};
use crate::auth::Scheme;
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::evidence::{with_answer, with_credentials, with_named};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// Credentials of a scheme that none of the challenges names.
pub static RULE: Rule = Rule {
    name: "scheme-not-offered",
    family: Family::Credentials,
    severity: Severity::Warning,
    title: "The server asks for another scheme than the client sent",
    why: "The challenge of a 401 lists the schemes that the server takes, and the one that the client used is not among \
          them. Either the client has the wrong kind of credentials, or somebody else answered: a gateway with a login \
          of its own, while the credentials were meant for the application behind it. A few servers name a scheme \
          that they do not take.",
    fix: "Find out who wrote the challenge. If it is the application, send the scheme that it asks for. If it is a \
          gateway before it, both want the same header: take the gateway's login away for this route, or give it \
          another header.",
    spec: &[Spec::rfc(9110, "11.6.1"), Spec::rfc(9110, "15.5.2")],
    supersedes: &["credentials-rejected", "credentials-reported-missing", "scheme-case"],
    examples: &[
        Example::fires("Bearer where Token is asked for", TOKEN),
        Example::fires("a gateway's Basic login before an application that takes tokens", GATEWAY),
        Example::fires("Basic where a proxy asks for Negotiate", PROXY),
        Example::quiet("the scheme is one of two", ONE_OF_TWO),
        Example::quiet("another scheme is named, and the answer is a success", ACCEPTED),
        Example::quiet("NTLM begun where Negotiate is offered", NTLM),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    let (by_proxy, place) = match view.status() {
        401 => (false, OfferedIn::Authorization),
        407 => (true, OfferedIn::ProxyAuthorization),
        _ => return Vec::new(),
    };
    let sent: Vec<(&Offered, &Scheme)> = written(view)
        .filter(|offered| offered.place == place && is_refused(view, offered))
        .filter_map(|offered| Some((offered, offered.credentials.scheme.as_ref()?)))
        .collect();
    let wanted: Vec<_> =
        view.challenges(by_proxy).filter(|challenge| challenge.scheme != Scheme::PrivateToken).collect();
    let fits = |sent: &Scheme| wanted.iter().any(|challenge| are_one_for_clients(sent, &challenge.scheme));
    let Some((offered, scheme)) = sent.first().copied().filter(|_| !wanted.is_empty()) else { return Vec::new() };
    let has_worked =
        |offered: &Offered| memory.history(offered.fingerprint).is_some_and(|history| history.last_accepted.is_some());
    if sent.iter().any(|(offered, scheme)| fits(scheme) || has_worked(offered)) {
        return Vec::new();
    }
    let mut names: Vec<String> =
        wanted.iter().map(|challenge| view.redactor().name(challenge.scheme_as_sent.as_bytes()).into_owned()).collect();
    names.dedup();
    names.truncate(4);
    let summary = format!(
        "the client sent {}, but the server asks for {}",
        offered.credentials.scheme_as_sent,
        names.join(" or ")
    );
    let found = RULE.found(Certainty::Likely, summary).at(At::Unknown).header(&offered.name);
    let found = with_answer(with_credentials(found, view, offered), view);
    let found = with_named(found, view, Message::Response, "server");
    let is_token = matches!(scheme, Scheme::Bearer | Scheme::Dpop | Scheme::Token | Scheme::ApiKey);
    vec![match wanted.as_slice() {
        [only] if only.scheme == Scheme::Basic && is_token => found.fix(
            "Look for a gateway with a password of its own (`auth_basic` in nginx, `AuthType Basic` in Apache, a \
             basicAuth middleware) before the application. It and the application want the same header; take one of \
             the two logins away for this route.",
        ),
        _ => found,
    }]
}

/// Whether a client that was asked for one may answer with the other.
fn are_one_for_clients(sent: &Scheme, asked: &Scheme) -> bool {
    let pairs = [(Scheme::Ntlm, Scheme::Negotiate), (Scheme::Bearer, Scheme::Dpop)];
    let is_pair = |(one, other): &(Scheme, Scheme)| (sent == one && asked == other) || (sent == other && asked == one);
    sent == asked || pairs.iter().any(is_pair)
}

const TOKEN: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer 9944b09199c62bcf9418ad846dd0e4bb
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Token
< Content-Type: application/json
<
< {\"detail\":\"Authentication credentials were not provided.\"}
";

const GATEWAY: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Bearer tGzv3JOkF0XG5Qx2TlKWIA
< HTTP/1.1 401 Unauthorized
< Server: nginx/1.27.0
< WWW-Authenticate: Basic realm=\"staging\"
";

const PROXY: &str = "\
> GET http://api.example/ HTTP/1.1
> Host: api.example
> Proxy-Authorization: Basic {basic user:pass}
< HTTP/1.1 407 Proxy Authentication Required
< Proxy-Authenticate: Negotiate
";

const ONE_OF_TWO: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic user:pass}
< HTTP/1.1 200 OK
< WWW-Authenticate: Bearer realm=\"api\", Basic realm=\"api\"
";

const ACCEPTED: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: Basic {basic user:pass}
< HTTP/1.1 200 OK
< WWW-Authenticate: Bearer realm=\"api\"
";

const NTLM: &str = "\
> GET /api HTTP/1.1
> Host: api.example
> Authorization: NTLM {ntlm 1}
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Negotiate {ntlm 2}
";
