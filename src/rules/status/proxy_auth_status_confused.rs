//! 407 from a server that is no proxy to its client, or 401 from one that is.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::with_answer;
use crate::rules::normal;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "proxy-auth-status-confused",
    family: Family::Status,
    severity: Severity::Error,
    title: "407 and 401 are confused",
    why: "407 asks for credentials for the proxy that a client was told to use, and 401 for those of the server. A reverse \
          proxy is the server, as far as its clients know: they have no proxy to log in to, show an error in place of a \
          prompt, and never answer a 407. The other way round, a client does not take a 401 of its proxy for the proxy's.",
    fix: "Let a gateway that asks for a login answer 401 with WWW-Authenticate, and look for the credentials in \
          Authorization. A forward proxy answers 407 with Proxy-Authenticate.",
    spec: &[Spec::rfc(9110, "15.5.8"), Spec::rfc(9110, "11.7.1")],
    supersedes: &["challenge-missing", "credentials-absent", "credentials-rejected", "proxy-authorization-at-origin"],
    examples: &[
        Example::fires("a gateway answers 407", GATEWAY),
        Example::fires("credentials were sent, and the gateway wants those for a proxy", SENT),
        Example::fires("a proxy answers 401", PROXY),
        Example::quiet("a forward proxy asks for a login", FORWARD),
        Example::quiet("a tunnel is asked for, and a login for it", TUNNEL),
    ],
    check: Check::Exchange(check),
};

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let (summary, fix) = match view.status() {
        407 if !normal::is_for_proxy(view) => (
            "the server answers 407 as if it were the client's proxy, and no client answers that",
            "Answer 401 with WWW-Authenticate, and look for the credentials in Authorization. If the 407 comes from a forward \
             proxy by which the gateway reaches its backend, give the gateway the credentials for it.",
        ),
        401 if view.method() == b"CONNECT" => (
            "the proxy answers 401 to CONNECT, and clients log in to a proxy only when it answers 407",
            "Answer 407 with Proxy-Authenticate, and look for the credentials in Proxy-Authorization.",
        ),
        _ => return Vec::new(),
    };
    let target = if view.method() == b"CONNECT" { "CONNECT" } else { "a path, as for a server and not for a proxy" };
    let found = RULE.found(Certainty::Certain, summary).at(At::Backend).fix(fix);
    vec![with_answer(found.because(format!("request target: {target}")), view)]
}

const GATEWAY: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
< HTTP/1.1 407 Proxy Authentication Required
< Proxy-Authenticate: Basic realm="gate"
"#;

const SENT: &str = r#"> GET /orders HTTP/1.1
> Host: app.example
> Authorization: Basic {basic anna:correct horse}
< HTTP/1.1 407 Proxy Authentication Required
< Content-Type: text/plain
"#;

const PROXY: &str = r#"> CONNECT api.example:443 HTTP/1.1
> Host: api.example:443
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Basic realm="proxy"
"#;

const FORWARD: &str = r#"> GET http://api.example/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 407 Proxy Authentication Required
< Proxy-Authenticate: Basic realm="proxy"
"#;

const TUNNEL: &str = r#"> CONNECT api.example:443 HTTP/1.1
> Host: api.example:443
< HTTP/1.1 407 Proxy Authentication Required
< Proxy-Authenticate: Basic realm="proxy"
"#;
