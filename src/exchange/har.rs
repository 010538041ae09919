//! HTTP Archives (HAR 1.2), read as exchanges.
//!
//! Browsers and proxies write them in many dialects, so whatever can be missing may be: an entry that can't be read is told
//! of, and the others are read all the same. A file that breaks off gives what stands before the break.
//!
//! A sanitised archive is known as such. Chromium leaves Authorization, Cookie and Set-Cookie out when it exports one, and
//! other tools write a word in their place: then the heads of its requests count as cut, since that a field is not there says
//! nothing. One that authtap wrote has the records in it, and these are what is read of it.

pub mod recorded;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use ulid::Ulid;

use super::body::{TEXT_KEPT, kept_of_answer};
use super::{
    Body, Capture, ClientSide, Exchange, OnPath, Outcome, Position, Request, Response, Tap, Timing, Tls, UpstreamSide,
    Version, payload,
};
use crate::wire::RawHead;

/// An archive.
pub struct Archive {
    /// Its exchanges, by the time at which they began.
    pub exchanges: Vec<Exchange>,
    /// The records of the entries that authtap wrote, each a line of JSON, in the order of the file.
    pub records: Vec<String>,
    /// Who wrote it, with its version.
    pub creator: String,
    /// Why it is taken for sanitised, if it is.
    pub sanitised: Option<&'static str>,
    /// What could not be read, and why; in words that quote nothing of it.
    pub faults: Vec<String>,
}

/// The archive of a text; `None` where it is none at all.
pub fn read(text: &str) -> Option<Archive> {
    let text = text.trim_start_matches('\u{feff}');
    let mut faults = Vec::new();
    let (creator, entries) = match serde_json::from_str::<File>(text) {
        Ok(file) => (file.log.creator, file.log.entries),
        Err(error) => salvage(text, &error, &mut faults)?,
    };
    let mut read: Vec<(Entry, usize)> = Vec::new();
    let mut records = Vec::new();
    for (number, entry) in entries.into_iter().enumerate() {
        if let Some(record) = recorded::record(&entry) {
            records.push(record);
            continue;
        }
        match serde_json::from_value(entry) {
            Ok(entry) => read.push((entry, number + 1)),
            Err(_) => faults.push(format!("entry {}: it lacks a request or a response", number + 1)),
        }
    }
    let entries: Vec<&Entry> = read.iter().map(|(entry, _)| entry).collect();
    let sanitised = why_sanitised(&creator, &entries);
    let mut exchanges = Vec::new();
    for (entry, number) in &read {
        match exchange(entry, *number, sanitised.is_some()) {
            Some(exchange) => exchanges.push(exchange),
            None => faults.push(format!("entry {number}: its time or its URL can't be read")),
        }
    }
    exchanges.sort_by_key(|exchange| exchange.time);
    let creator = [creator.name, creator.version].join(" ").trim().to_owned();
    Some(Archive { exchanges, records, creator, sanitised, faults })
}

#[derive(Deserialize)]
struct File {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    #[serde(default)]
    creator: Creator,
    entries: Vec<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Creator {
    name: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    started_date_time: String,
    #[serde(default)]
    time: f64,
    request: HarRequest,
    response: HarResponse,
    #[serde(default, rename = "serverIPAddress")]
    server_ip_address: Option<String>,
    #[serde(default)]
    connection: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default)]
    http_version: String,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    post_data: Option<PostData>,
    #[serde(default)]
    body_size: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarResponse {
    #[serde(default)]
    status: i64,
    #[serde(default)]
    status_text: String,
    #[serde(default)]
    http_version: String,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    content: Content,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Content {
    size: i64,
    text: Option<String>,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    #[serde(default)]
    value: String,
}

/// The entries that stand before the place where the text can't be read any more.
fn salvage(text: &str, error: &serde_json::Error, faults: &mut Vec<String>) -> Option<(Creator, Vec<Value>)> {
    let (before, rest) = text.split_once("\"entries\"").filter(|_| text.trim_start().starts_with('{'))?;
    let mut rest = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('[')?;
    let creator = before.split_once("\"creator\"").and_then(|(_, rest)| {
        let rest = rest.trim_start().strip_prefix(':')?;
        serde_json::Deserializer::from_str(rest).into_iter::<Creator>().next()?.ok()
    });
    let mut entries = Vec::new();
    loop {
        rest = rest.trim_start_matches(|char: char| char == ',' || char.is_ascii_whitespace());
        if rest.is_empty() || rest.starts_with(']') {
            break;
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let Some(Ok(entry)) = values.next() else { break };
        let end = values.byte_offset();
        entries.push(entry);
        rest = rest.get(end..).unwrap_or_default();
    }
    let (line, column) = (error.line(), error.column());
    faults.push(format!(
        "line {line}, column {column}: it is no JSON from here on; {} entries stand before",
        entries.len()
    ));
    Some((creator.unwrap_or_default(), entries))
}

/// Words that tools put in the place of a value.
const WORDS: [&str; 5] = ["redacted", "[redacted]", "<redacted>", "*****", "xxxxx"];

fn why_sanitised(creator: &Creator, entries: &[&Entry]) -> Option<&'static str> {
    let sensitive = |header: &&Header| {
        ["authorization", "cookie", "set-cookie"].iter().any(|name| header.name.eq_ignore_ascii_case(name))
    };
    let mut headers = entries.iter().flat_map(|entry| entry.request.headers.iter().chain(&entry.response.headers));
    let is_word = |header: &Header| {
        let value = header.value.trim().to_ascii_lowercase();
        WORDS.iter().any(|word| value.contains(word))
    };
    if headers.clone().filter(sensitive).any(is_word) {
        return Some("words stand in the place of secrets");
    }
    let is_chromium = creator.name.eq_ignore_ascii_case("WebInspector");
    let has_some = headers.any(|header| sensitive(&header));
    (is_chromium && !entries.is_empty() && !has_some)
        .then_some("the browser leaves Authorization, Cookie and Set-Cookie out when it exports")
}

/// A URL in the parts that an exchange needs.
struct Url<'a> {
    is_tls: bool,
    authority: &'a str,
    target: &'a str,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end)?;
        // User information stays with the target, where the tap would see none.
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        (!authority.is_empty()).then_some(Url { is_tls, authority, target })
    }
}

fn version(token: &str) -> Version {
    match token.to_ascii_lowercase().as_str() {
        "http/1.0" => Version::Http10,
        "http/1.1" => Version::Http11,
        // Names are in lower case over HTTP/3 as well, and that is all that is made of it.
        "h2" | "http/2" | "http/2.0" | "h2c" | "h3" | "http/3" | "http/3.0" => Version::Http2,
        _ => Version::Unknown,
    }
}

fn head(start_line: &str, headers: &[Header], is_cut: bool) -> RawHead {
    // What HTTP/2 has in place of a start line stands among the fields in some dialects.
    let fields = headers.iter().filter(|header| !header.name.starts_with(':'));
    let head = RawHead::from_fields(start_line, fields.map(|field| (field.name.as_bytes(), field.value.as_bytes())));
    if is_cut { head.incomplete() } else { head }
}

fn exchange(entry: &Entry, number: usize, is_sanitised: bool) -> Option<Exchange> {
    let time: Timestamp = entry.started_date_time.parse().ok()?;
    let url = Url::parse(&entry.request.url)?;
    let target = if url.target.starts_with('/') { url.target.to_owned() } else { format!("/{}", url.target) };
    let request = &entry.request;
    let spoken = version(&request.http_version);
    let token = if spoken == Version::Unknown { "HTTP/1.1" } else { spoken.as_str() };
    let has_host = request.headers.iter().any(|header| header.name.eq_ignore_ascii_case("host"));
    let form =
        request.post_data.as_ref().filter(|data| data.mime_type.starts_with("application/x-www-form-urlencoded"));
    let form = form.and_then(|data| data.text.clone());
    let host = url.authority.rsplit_once(':').map_or(url.authority, |(host, _)| host);
    let is_local =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|addr| addr.is_loopback()) || host == "[::1]";
    let addr = if is_local { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let id = Ulid::from_parts(time.as_millisecond().unsigned_abs(), number as u128);
    let request_head = head(&format!("{} {target} {token}", request.method), &request.headers, is_sanitised);
    let response = response(&entry.response, &request_head);
    let connection = connection_number(entry.connection.as_ref()).unwrap_or(u64::MAX - number as u64);
    let scheme = if url.is_tls { "https" } else { "http" };
    let server =
        entry.server_ip_address.as_deref().and_then(|addr| addr.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    let request_head = head(&format!("{} {target} {token}", request.method), &request.headers, is_sanitised);
    Some(Exchange {
        id,
        time,
        tap: Arc::new(Tap {
            name: "har".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into(),
            upstream_url: format!("{scheme}://{}", url.authority),
            position: Position::ALONE,
        }),
        path: OnPath::first(id),
        client: ClientSide {
            addr: SocketAddr::from((addr, 0)).into(),
            announced: None,
            connection,
            tls: url.is_tls.then(|| Arc::new(tls())),
        },
        upstream: UpstreamSide {
            addr: server.map(|addr| SocketAddr::new(addr, 0).into()),
            connection: None,
            reused: false,
            tls: None,
        },
        request: Request {
            version: spoken,
            authority: (!has_host).then(|| url.authority.to_owned()),
            body: Body {
                size: 0,
                start: form.map(|text| start_of(text.into_bytes())),
                is_unpacked: true,
                sha256: hash_of_body(request, &request_head),
            },
            head: request_head,
            trailers: None,
        },
        response,
        edits: Vec::new(),
        timing: Timing {
            total: Duration::try_from_secs_f64(entry.time / 1000.0).unwrap_or_default(),
            ..Timing::default()
        },
        outcome: if entry.response.status > 0 { Outcome::Complete } else { Outcome::ClientGone },
        lost: None,
    })
}

fn response(response: &HarResponse, request: &RawHead) -> Capture<Response> {
    // Requests that a browser gave up on, or did not let the page see, have the status 0.
    let Some(status) = u16::try_from(response.status).ok().filter(|status| (100..=999).contains(status)) else {
        return Capture::NotReached;
    };
    let spoken = version(&response.http_version);
    let token = if spoken == Version::Unknown { "HTTP/1.1" } else { spoken.as_str() };
    let start_line = format!("{token} {status} {}", response.status_text);
    let head = head(start_line.trim_end(), &response.headers, false);
    let text = response.content.text.as_deref().filter(|_| kept_of_answer(request, &head, status) > 0);
    let body = text.and_then(|text| match response.content.encoding.as_deref() {
        Some("base64") => base64::engine::general_purpose::STANDARD.decode(text).ok(),
        _ => Some(text.as_bytes().to_vec()),
    });
    Capture::Seen(Response {
        head,
        status,
        version: spoken,
        interim: Vec::new(),
        interim_count: 0,
        body: Body {
            size: u64::try_from(response.content.size).unwrap_or_default(),
            start: body.map(start_of),
            is_unpacked: true,
            sha256: None,
        },
        trailers: None,
        by_tap: false,
    })
}

/// The hash of the request's body, where its text is there as it was sent: of bytes that are no text, of a text that was cut
/// and of one that was made unreadable the size tells that it is another one.
fn hash_of_body(request: &HarRequest, head: &RawHead) -> Option<payload::Hash> {
    payload::named(head)?;
    let text = request.post_data.as_ref()?.text.as_deref()?;
    let size = request.body_size.as_ref()?.as_u64()?;
    (size > 0 && size == text.len() as u64).then(|| payload::of(text.as_bytes()))
}

fn start_of(mut bytes: Vec<u8>) -> Bytes {
    bytes.truncate(TEXT_KEPT);
    bytes.into()
}

fn connection_number(connection: Option<&Value>) -> Option<u64> {
    match connection? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}

/// What the browser's end of a protected connection is taken for: an archive tells nothing of it but that there was one.
fn tls() -> Tls {
    Tls { version: "unknown", alpn: None, server_name: None, peer_certificate: false, verified: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(status: u16, request_headers: &str) -> String {
        format!(
            r#"{{"startedDateTime":"2026-11-24T13:00:00.120+01:00","time":41.5,"serverIPAddress":"[::1]","connection":"17",
               "request":{{"method":"GET","url":"https://api.example:8443/v1/orders?page=2#top","httpVersion":"h2",
                 "headers":[{{"name":":authority","value":"api.example:8443"}}{request_headers}]}},
               "response":{{"status":{status},"statusText":"","httpVersion":"h2",
                 "headers":[{{"name":"content-encoding","value":"gzip"}}],
                 "content":{{"size":12,"mimeType":"text/plain","text":"bm8gdG9rZW4=","encoding":"base64"}}}}}}"#
        )
    }

    fn file(creator: &str, entries: &[String]) -> String {
        format!(
            r#"{{"log":{{"version":"1.2","creator":{{"name":"{creator}","version":"1"}},"pages":[],"entries":[{}]}}}}"#,
            entries.join(",")
        )
    }

    const SENT: &str = r#",{"name":"authorization","value":"Bearer 2YotnFZFEjr1zCsicMWpAA"}"#;

    #[test]
    fn an_entry_is_an_exchange() {
        let archive = read(&("\u{feff}".to_owned() + &file("Firefox", &[entry(401, SENT)]))).unwrap();
        assert!(archive.sanitised.is_none() && archive.faults.is_empty() && archive.creator == "Firefox 1");
        let exchange = &archive.exchanges[0];
        assert_eq!(exchange.time.to_string(), "2026-11-24T12:00:00.12Z");
        let line = exchange.request.head.request_line();
        assert_eq!((line.method, line.target), (&b"GET"[..], &b"/v1/orders?page=2"[..]));
        assert_eq!(exchange.request.authority.as_deref(), Some("api.example:8443"));
        assert_eq!(exchange.request.head.fields().count(), 1);
        assert_eq!(exchange.client.connection, 17);
        let response = exchange.response.seen().unwrap();
        // An archive has bodies unpacked, whatever the head says of them.
        assert_eq!(response.body.text(&response.head).as_deref(), Some("no token"));
    }

    #[test]
    fn of_a_success_only_what_is_evidence_is_kept() {
        let text = |entry: String| {
            let archive = read(&file("Firefox", &[entry])).unwrap();
            archive.exchanges[0].response.seen().unwrap().body.start.clone()
        };
        let metadata = |entry: String| entry.replace("/v1/orders", "/.well-known/oauth-protected-resource");
        let json = |entry: String| {
            entry.replace("\"content-encoding\",\"value\":\"gzip\"", "\"content-type\",\"value\":\"application/json\"")
        };
        assert_eq!(text(json(metadata(entry(200, "")))).as_deref(), Some(&b"no token"[..]));
        assert_eq!(text(json(entry(200, ""))), None);
        assert_eq!(text(metadata(entry(200, ""))), None);
    }

    #[test]
    fn a_body_is_hashed_where_its_text_is_whole() {
        let hash = |size: &str, text: &str| {
            let signed = r#",{"name":"Authorization","value":"AWS4-HMAC-SHA256 Credential=a"},{"name":"X-Amz-Content-Sha256",
                "value":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#;
            let body = format!(r#""bodySize":{size},"postData":{{"mimeType":"text/plain","text":"{text}"}},"headers""#);
            let entry = entry(403, signed).replacen(r#""headers""#, &body, 1);
            read(&file("Firefox", &[entry])).unwrap().exchanges[0].request.body.sha256
        };
        assert_eq!(hash("3", "one"), Some(payload::of(b"one")));
        assert_eq!(hash("2", "é"), Some(payload::of("é".as_bytes())));
        for (size, text) in
            [("4", "one"), ("-1", "one"), ("0", ""), ("null", "one"), ("\"3\"", "one"), ("1", "\u{fffd}")]
        {
            assert_eq!(hash(size, text), None, "{size}");
        }
        let unsigned =
            entry(403, "").replacen(r#""headers""#, r#""bodySize":3,"postData":{"text":"one"},"headers""#, 1);
        assert!(read(&file("Firefox", &[unsigned])).unwrap().exchanges[0].request.body.sha256.is_none());
    }

    #[test]
    fn a_sanitised_archive_is_known() {
        let bare = read(&file("WebInspector", &[entry(401, "")])).unwrap();
        assert!(bare.sanitised.is_some() && bare.exchanges[0].request.head.is_cut());
        let whole = read(&file("WebInspector", &[entry(401, ""), entry(200, SENT)])).unwrap();
        assert!(whole.sanitised.is_none() && !whole.exchanges[0].request.head.is_cut());
        let words = SENT.replace("Bearer 2YotnFZFEjr1zCsicMWpAA", "[REDACTED]");
        assert!(read(&file("har-sanitizer", &[entry(401, &words)])).unwrap().sanitised.is_some());
        assert!(read(&file("Firefox", &[entry(401, "")])).unwrap().sanitised.is_none());
    }

    #[test]
    fn what_can_be_read_is_read() {
        let broken = r#"{"startedDateTime":"2026-11-24T12:00:00Z"}"#.to_owned();
        let odd = entry(200, "").replace("https://", "chrome-extension://");
        let archive = read(&file("x", &[broken, entry(200, ""), odd])).unwrap();
        assert_eq!((archive.exchanges.len(), archive.faults.len()), (1, 2));
        assert!(archive.faults[0].starts_with("entry 1: ") && archive.faults[1].starts_with("entry 3: "));

        let whole = file("x", &[entry(200, ""), entry(401, "")]);
        for end in [whole.len() - 1, whole.len() - 40] {
            let archive = read(&whole[..end]).unwrap();
            assert!(archive.faults[0].contains("no JSON from here on"), "{:?}", archive.faults);
            assert_eq!(
                (archive.creator.as_str(), archive.exchanges.len()),
                ("x 1", if end == whole.len() - 1 { 2 } else { 1 })
            );
        }
        assert!(read("{\"schema\":\"authtap/1\"}").is_none() && read("").is_none() && read("[]").is_none());
    }

    #[test]
    fn no_text_makes_it_panic() {
        let whole = file("x", &[entry(200, SENT)]);
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            read(&whole[..end]);
            read(&whole[end..]);
        }
    }
}
