//! An MCP server does not say where its metadata is, and has none where clients look.

use crate::auth::Scheme;
use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clock, with_answer, with_named};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "resource-metadata-missing",
    family: Family::Challenge,
    severity: Severity::Error,
    title: "An MCP client can't find out where to log in",
    why: "An MCP client that gets a 401 looks for the metadata of the server: in resource_metadata of the challenge, or else \
          under `/.well-known/oauth-protected-resource`. Where neither is there, it does not know the login server, and gives \
          up or shows an error about discovery.",
    fix: "Serve the metadata and name it: `WWW-Authenticate: Bearer \
          resource_metadata=\"https://HOST/.well-known/oauth-protected-resource\"`. A gateway has to let that path through \
          without a login.",
    spec: &[
        Spec::rfc(9728, "5.1"),
        Spec::Document(
            "MCP: Authorization",
            "https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization",
        ),
    ],
    supersedes: &["credentials-absent"],
    examples: &[
        Example::fires("neither in the challenge nor where clients look", NEITHER),
        Example::quiet("it is where clients look", WELL_KNOWN),
        Example::quiet("the client found the login server in the older way", OLDER),
        Example::quiet("nobody has looked yet", UNKNOWN),
        Example::quiet("a client that has a token already", TOKEN),
        Example::quiet("an API that has nothing to do with MCP", API),
    ],
    check: Check::Failure(check),
};

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    let challenge = view.challenge(&Scheme::Bearer).filter(|_| view.status() == 401 && is_mcp(view))?;
    // Who has a token has found the login server.
    if challenge.param("resource_metadata").is_some() || !view.offered().is_empty() {
        return None;
    }
    let known = memory.well_known(view);
    // Either of both places is enough, so that nothing is wrong until a client has looked.
    let (time, status) = known.resource.filter(|(_, status)| *status >= 400 && !known.has_server)?;
    let summary = "neither the challenge nor the well-known path tells this MCP client where to log in";
    let found = RULE.found(Certainty::Likely, summary).at(At::Backend).header("www-authenticate");
    let found = with_named(found, view, Message::Request, "mcp-protocol-version");
    let found = with_answer(found, view).because("challenge: no resource_metadata");
    Some(
        found
            .because(format!("before: /.well-known/oauth-protected-resource was answered {status} at {}", clock(time))),
    )
}

/// Whether the client speaks MCP over HTTP.
fn is_mcp(view: &View<'_>) -> bool {
    let request = view.request();
    let is_named = || view.path().split(|byte| *byte == b'/').any(|segment| segment.eq_ignore_ascii_case(b"mcp"));
    request.has("mcp-protocol-version")
        || request.has("mcp-session-id")
        || (request.lists("accept", "text/event-stream") && is_named())
}

const NEITHER: &str = r#"> POST /mcp HTTP/1.1
> Host: tools.example
> Accept: application/json, text/event-stream
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="tools"
> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: tools.example
< HTTP/1.1 404 Not Found
> POST /mcp HTTP/1.1
> Host: tools.example
> Accept: application/json, text/event-stream
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="tools"
"#;

const WELL_KNOWN: &str = r#"> GET /.well-known/oauth-protected-resource/mcp HTTP/1.1
> Host: tools.example
< HTTP/1.1 404 Not Found
> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
> POST /mcp HTTP/1.1
> Host: tools.example
> Accept: application/json, text/event-stream
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="tools"
"#;

const OLDER: &str = r#"> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: tools.example
< HTTP/1.1 404 Not Found
> GET /.well-known/oauth-authorization-server HTTP/1.1
> Host: tools.example
< HTTP/1.1 200 OK
> POST /mcp HTTP/1.1
> Host: tools.example
> Accept: application/json, text/event-stream
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="tools"
"#;

const UNKNOWN: &str = r#"> POST /mcp HTTP/1.1
> Host: tools.example
> MCP-Protocol-Version: 2025-11-25
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="tools"
"#;

const API: &str = r#"> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: api.example
< HTTP/1.1 404 Not Found
> POST /orders HTTP/1.1
> Host: api.example
< HTTP/1.1 401 Unauthorized
< WWW-Authenticate: Bearer realm="orders"
"#;

const TOKEN: &str = r#"> GET /.well-known/oauth-protected-resource HTTP/1.1
> Host: tools.example
< HTTP/1.1 404 Not Found
> POST /mcp HTTP/1.1
> Host: tools.example
> Accept: application/json, text/event-stream
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;
