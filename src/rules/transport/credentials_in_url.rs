//! A secret in the URL, where every log on the way keeps it.

use crate::auth::looks_like_jwt;
use crate::exchange::View;
use crate::exchange::view::{Offered, OfferedIn};
use crate::memory::Memory;
use crate::rules::evidence::with_credentials;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "credentials-in-url",
    family: Family::Transport,
    severity: Severity::Warning,
    title: "A secret is part of the URL",
    why: "URLs are written into access logs, browser histories, referrers and error reports, by programs that nobody \
          thinks of as holding secrets. Whoever reads one of them can log in. Some servers also ignore what stands there.",
    fix: "Send the secret in a header, `Authorization: Bearer TOKEN` for a token, and treat those that were in URLs as \
          known to others.",
    spec: &[Spec::rfc(9110, "4.2.4"), Spec::rfc(6750, "2.3"), Spec::rfc(6750, "5.3")],
    supersedes: &[],
    examples: &[
        Example::fires("a token in the query", QUERY),
        Example::fires("user and password before the host", USERINFO),
        Example::quiet("a WebSocket has no other way in a browser", WEBSOCKET),
        Example::quiet("a signed URL", PRESIGNED),
    ],
    check: Check::Exchange(check),
};

const QUERY: &str = r#"> GET /orders?access_token=2YotnFZFEjr1zCsicMWpAA HTTP/1.1
> Host: api.example
< HTTP/1.1 200 OK
"#;

const USERINFO: &str = r#"> GET http://anna:hunter2hunter2@api.example/orders HTTP/1.1
> Host: api.example
< HTTP/1.1 200 OK
"#;

const WEBSOCKET: &str = r#"> GET /socket?access_token=2YotnFZFEjr1zCsicMWpAA HTTP/1.1
> Host: api.example
> Connection: Upgrade
> Upgrade: websocket
< HTTP/1.1 101 Switching Protocols
< Connection: Upgrade
< Upgrade: websocket
"#;

const PRESIGNED: &str = r#"> GET /bucket/a.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=6629fae49393a05397450978507c4ef1 HTTP/1.1
> Host: s3.example
< HTTP/1.1 200 OK
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let mut in_url = view.offered().iter().filter(|offered| is_in_url(offered));
    let Some(offered) = in_url.next() else { return Vec::new() };
    let (summary, severity) = match offered.place {
        OfferedIn::Userinfo => ("user and password stand in the URL, before the host".to_owned(), Severity::Warning),
        _ if has_no_other_way(view) => {
            (format!("the query carries a secret in {}, for want of another way", offered.name), Severity::Info)
        }
        _ => (format!("the query carries a secret in {}, where logs keep it", offered.name), severity(view, offered)),
    };
    let found = RULE.found(Certainty::Certain, summary).at(At::Client).severity(severity);
    vec![with_credentials(found, view, offered)]
}

/// A signature is good for its own URL and for a while; it is made to stand there.
fn is_in_url(offered: &Offered) -> bool {
    let is_signature = offered.name.to_ascii_lowercase().ends_with("-signature");
    matches!(offered.place, OfferedIn::Query | OfferedIn::Userinfo) && !is_signature
}

/// `token` is also what some call a page of a list or a one-time link.
fn severity(view: &View<'_>, offered: &Offered) -> Severity {
    let is_vague = offered.name.eq_ignore_ascii_case("token");
    let is_token = looks_like_jwt(offered.credentials.secret.expose());
    if is_vague && !is_token && !view.is_refused() { Severity::Info } else { Severity::Warning }
}

/// Scripts in a browser can't set headers on a WebSocket or an EventSource, and pages can't on an image.
fn has_no_other_way(view: &View<'_>) -> bool {
    let request = view.request();
    let is = |name: &str, wanted: &[u8]| request.value(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
    let loads = ["image", "video", "audio", "websocket"];
    is("upgrade", b"websocket")
        || is("accept", b"text/event-stream")
        || loads.iter().any(|load| is("sec-fetch-dest", load.as_bytes()))
}
