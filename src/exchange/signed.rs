//! What the signatures of a request cover, by the names that they list; no key is needed to read them.

use super::View;
use super::view::OfferedIn;
use crate::auth::Detail;

/// What the signatures of a request cover: names of fields in lower case, `@method`, `@target`, `@path` and `@authority`.
pub fn signed(view: &View<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for offered in view.offered() {
        match &offered.credentials.detail {
            Detail::SigV4(signature) => {
                names.extend(["@method".to_owned(), "@target".to_owned()]);
                names.extend(signature.signed_headers.iter().map(|name| covered(name)));
            }
            Detail::Digest(_) if offered.place == OfferedIn::Authorization => {
                names.extend(["@method".to_owned(), "@target".to_owned()]);
            }
            _ => {}
        }
    }
    let request = view.request();
    for value in request.values("signature-input").chain(request.values("signature")) {
        names.extend(components(value));
    }
    let authorization = request.value("authorization").unwrap_or_default();
    if authorization.get(..10).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"signature ")) {
        names.extend(components(authorization));
    }
    if request.has("dpop") {
        // A proof names the URL without its query (RFC 9449 4.2).
        names.extend(["@method", "@path", "@authority"].map(str::to_owned));
    }
    if let Some(query) = view.target().split(|byte| *byte == b'?').nth(1) {
        let presigned = query.split(|byte| *byte == b'&').find_map(|pair| {
            let text = std::str::from_utf8(pair).ok()?;
            let (name, value) = text.split_once('=')?;
            name.eq_ignore_ascii_case("x-amz-signedheaders").then_some(value)
        });
        if let Some(list) = presigned {
            names.extend(["@method".to_owned(), "@target".to_owned()]);
            let list = percent_encoding::percent_decode_str(list).decode_utf8_lossy();
            names.extend(list.split(';').take(64).map(covered));
        }
    }
    // What stands in a list of names may be anything.
    let mut names: Vec<String> = names.iter().map(|name| shown(view, name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn shown(view: &View<'_>, name: &str) -> String {
    match name.strip_prefix('@') {
        Some(rest) => format!("@{}", view.redactor().name(rest.as_bytes())),
        None => view.redactor().name(name.as_bytes()).into_owned(),
    }
}

/// The components that RFC 9421 lists in parentheses, or the older draft in `headers`, each in quotes or parted by spaces.
fn components(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value.get(..4096).unwrap_or(value)).into_owned();
    if let Some(list) = text.split_once("headers=\"").and_then(|(_, rest)| rest.split_once('"')) {
        return list.0.split_whitespace().map(covered).collect();
    }
    let mut names = Vec::new();
    for list in text.split('(').skip(1).filter_map(|rest| rest.split_once(')')) {
        names.extend(list.0.split_ascii_whitespace().filter_map(component));
    }
    names
}

/// One of them: a name in quotes, and its parameters. What is in the trailers, or in the request that an answer belongs to,
/// is no part of this head (RFC 9421 2.1).
fn component(item: &str) -> Option<String> {
    let (name, parameters) = item.strip_prefix('"')?.split_once('"')?;
    let is_elsewhere = parameters.split(';').any(|parameter| matches!(parameter, "tr" | "req"));
    (!is_elsewhere).then(|| covered(name))
}

fn covered(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    match name.as_str() {
        "host" => "@authority".to_owned(),
        "(request-target)" | "@target-uri" | "@request-target" | "@query" => "@target".to_owned(),
        _ => name,
    }
}
