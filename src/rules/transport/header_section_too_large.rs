//! A request head that is larger than somebody on the way takes.

use crate::exchange::View;
use crate::memory::Memory;
use crate::rules::evidence::{clip, with_credentials, with_named};
use crate::rules::{At, Certainty, Check, Example, Family, Finding, Message, Rule, Severity, Spec};

/// The rule.
pub static RULE: Rule = Rule {
    name: "header-section-too-large",
    family: Family::Transport,
    severity: Severity::Error,
    title: "The header section is larger than the server takes",
    why: "Servers set aside a few kilobytes for the head of a request, mostly 8 or 16, and each hop has its own limit. A token \
          with many groups or roles in it, or cookies that pile up, exceed it, and the request fails for these users alone, \
          before anybody looks at the token.",
    fix: "Make the head smaller: leave groups and roles out of the token, or let it be a reference; clear old cookies. Or raise \
          the limit of the hop that answered: `large_client_header_buffers` in nginx, `LimitRequestFieldSize` in Apache, \
          `server.max-http-request-header-size` in Spring Boot, `--max-http-header-size` in Node.js.",
    spec: &[Spec::rfc(6585, "5"), Spec::rfc(9110, "5.4")],
    supersedes: &["credentials-rejected", "error-on-bad-credentials", "known-error-text", "upstream-failed"],
    examples: &[
        Example::fires("the server says so by its status", STATUS),
        Example::fires("nginx says so in its page", NGINX),
        Example::quiet("a head of the usual size", USUAL),
    ],
    check: Check::Failure(check),
};

/// Words of those who answer 400 instead.
const SAID: [&str; 6] = [
    "request header or cookie too large",
    "request header is too large",
    "request header too large",
    "size of a request header field exceeds server limit",
    "request header fields too large",
    "bad request - request too long",
];

/// Heads below this are taken by all servers that are known.
const SMALL: u64 = 4096;

fn check(view: &View<'_>, memory: &Memory) -> Vec<Finding> {
    check_one(view, memory).into_iter().collect()
}

fn check_one(view: &View<'_>, memory: &Memory) -> Option<Finding> {
    if !matches!(view.status(), 400 | 413 | 431 | 502) {
        return None;
    }
    let size = view.request().size();
    let largest = memory.largest_head(view);
    let text = view.error_text().unwrap_or_default().to_ascii_lowercase();
    let said =
        SAID.iter().copied().find(|word| text.contains(word)).filter(|_| matches!(view.status(), 400 | 413 | 431));
    let (certainty, summary) = match (view.status(), said, largest) {
        (431, ..) | (400 | 413, Some(_), _) => {
            (Certainty::Certain, format!("the server does not take a request head of {}", kilobytes(size)))
        }
        // Whatever else these say; smaller heads pass on the route, and this one is far larger.
        (400 | 413 | 502, None, Some(largest)) if size > SMALL && size > largest.saturating_mul(2) => (
            Certainty::Possible,
            format!(
                "the request head has {}, and the largest that passed here had {}",
                kilobytes(size),
                kilobytes(largest)
            ),
        ),
        _ => return None,
    };
    let found = RULE.found(certainty, summary).at(At::Unknown);
    let found = if certainty == Certainty::Possible { found.severity(Severity::Warning) } else { found };
    let found =
        found.because(format!("request: a head of {size} bytes, with {} fields", view.request().fields().len()));
    let widest = view.request().fields().max_by_key(|field| field.value.len());
    let found = match widest {
        Some(field) => {
            let name = view.redactor().name(field.name);
            found.because(clip(format!("the largest field: {name}, {} bytes", field.value.len())))
        }
        None => found,
    };
    let found = match view.main_credentials() {
        Some(offered) => with_credentials(found, view, offered),
        None => found,
    };
    let found = with_named(found.because(format!("response: {}", view.status())), view, Message::Response, "server");
    let found = match said {
        Some(word) => found.because(format!("text: {word}")),
        None => found,
    };
    Some(match largest {
        Some(largest) => found.because(format!("before: a head of {largest} bytes passed on this route")),
        None => found,
    })
}

fn kilobytes(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{}.{} KiB", bytes / 1024, bytes % 1024 * 10 / 1024) }
}

const STATUS: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 431 Request Header Fields Too Large
< Server: envoy
"#;

const NGINX: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 400 Bad Request
< Server: nginx/1.27.0
< Content-Type: text/html
<
< <html><head><title>400 Request Header Or Cookie Too Large</title></head></html>
"#;

const USUAL: &str = r#"> GET /orders HTTP/1.1
> Host: api.example
> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
< HTTP/1.1 200 OK
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::credentials::tests::found;

    #[test]
    fn without_a_word_it_takes_smaller_heads_that_pass() {
        let request = |size: usize, status: u16| {
            let cookie = "x".repeat(size);
            format!("> GET /a HTTP/1.1\n> Host: a\n> Cookie: a={cookie}\n< HTTP/1.1 {status} x\n")
        };
        for (before, size, status, expected) in [
            (request(100, 200), 9000, 400, Some(Certainty::Possible)),
            (request(100, 200), 9000, 502, Some(Certainty::Possible)),
            (request(100, 200), 9000, 401, None),
            (request(100, 200), 3000, 400, None),
            (request(8000, 200), 9000, 400, None),
            (request(100, 404), 9000, 400, None),
            (String::new(), 9000, 400, None),
            (String::new(), 100, 431, Some(Certainty::Certain)),
        ] {
            let found = found(&RULE, &(before.clone() + &request(size, status)));
            assert_eq!(found.first().map(|finding| finding.certainty), expected, "{size} {status}");
        }
    }
}
