//! gRPC says no in its own status, under HTTP 200, or is told no by somebody who does not speak gRPC.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_sent};
use crate::rules::normal::is_grpc;
use crate::rules::words;
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Place, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "grpc-auth-status",
    family: Family::Status,
    severity: Severity::Error,
    title: "A gRPC call was refused",
    why: "A gRPC server answers 200 and puts its own status behind the body: 16 is UNAUTHENTICATED, 7 is PERMISSION_DENIED. Logs \
          that know HTTP show a success. And where a gateway answers 401 or 403 without a grpc-status, the client makes \
          up a status from it and shows nothing of the text.",
    fix: "Send the token as metadata with the key `authorization`, in lower case. If a gateway refused, let it answer \
          gRPC requests with grpc-status.",
    spec: &[
        Spec::Document("gRPC status codes", "https://github.com/grpc/grpc/blob/master/doc/statuscodes.md"),
        Spec::Document(
            "gRPC: HTTP to gRPC status code mapping",
            "https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md",
        ),
    ],
    supersedes: &["credentials-rejected", "credentials-absent"],
    examples: &[
        Example::fires("UNAUTHENTICATED in the trailers", TRAILERS),
        Example::fires("a gateway answers 401", GATEWAY),
        Example::quiet("the call went well", OK),
        Example::quiet("another status of gRPC", NOT_FOUND),
    ],
    check: Check::Exchange(check),
};

const TRAILERS: &str = r#"* client h2
> POST /shop.Orders/List HTTP/2
> :authority: api.example
> content-type: application/grpc
> te: trailers
> authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/2 200
< content-type: application/grpc
<+ grpc-status: 16
<+ grpc-message: token is expired
"#;

const GATEWAY: &str = r#"* client h2
> POST /shop.Orders/List HTTP/2
> :authority: api.example
> content-type: application/grpc
> te: trailers
> authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/2 401
< www-authenticate: Bearer error="invalid_token"
"#;

const OK: &str = r#"* client h2
> POST /shop.Orders/List HTTP/2
> :authority: api.example
> content-type: application/grpc
> te: trailers
> authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/2 200
< content-type: application/grpc
<+ grpc-status: 0
"#;

const NOT_FOUND: &str = r#"* client h2
> POST /shop.Orders/Get HTTP/2
> :authority: api.example
> content-type: application/grpc
> te: trailers
< HTTP/2 200
< content-type: application/grpc
< grpc-status: 5
"#;

fn check(view: &View<'_>, _: &Memory) -> Vec<Finding> {
    let Some(response) = view.response() else { return Vec::new() };
    let (found, text) = match (response.status, view.grpc_status()) {
        (200, Some(b"16")) => (found(view, "the call was refused: gRPC says UNAUTHENTICATED, under HTTP 200"), "16"),
        (200, Some(b"7")) => (found(view, "the call is not allowed: gRPC says PERMISSION_DENIED, under HTTP 200"), "7"),
        (401 | 403, None) if is_grpc(view) => {
            let summary = format!("a gRPC call got a plain HTTP {}, which gRPC clients can't read", response.status);
            (found(view, &summary), "none")
        }
        _ => return Vec::new(),
    };
    let place = response.head.fields().find(|field| field.is("grpc-status"));
    let line = format!("response: {}, grpc-status: {text}", response.status);
    let mut found = match place {
        Some(field) => found.because_of(line, Place { message: Message::Response, field: field.index, byte: None }),
        None => found.because(line),
    };
    if let Some(message) = words::grpc_message(view) {
        found = found.because(format!("response: grpc-message: {}", clip(view.redactor().text(&message))));
    }
    match words::said_in_grpc(view) {
        Some(said) => vec![found.because(format!("so: {}", said.cause)).fix(said.fix)],
        None => vec![found],
    }
}

fn found(view: &View<'_>, summary: &str) -> Finding {
    let found = RULE.found(Certainty::Certain, summary).at(At::Backend).header("grpc-status");
    let at = if view.main_credentials().is_some() { At::Backend } else { At::Unknown };
    with_sent(found, view).at(at)
}
