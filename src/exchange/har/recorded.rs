//! The entries that authtap writes into an HTTP Archive: made of a record, and turned back into it.
//!
//! An entry is made of nothing but the record, so that nothing gets into an archive that may not be shown. What HAR 1.2 has
//! no place for stands in `_authtap`, and nothing of the record is lost.

use serde_json::{Map, Value, json};

use crate::exchange::record::{SCHEMA, escaped};

/// How an archive begins, up to its first entry.
pub const OPENING: &str = concat!(
    r#"{"log":{"version":"1.2","creator":{"name":"authtap","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""},"pages":[],"entries":["#
);

/// How it begins whatever the version was that wrote it.
pub const MARK: &str = r#"{"log":{"version":"1.2","creator":{"name":"authtap","#;

/// How it ends, behind its last entry.
pub const CLOSING: &str = "\n]}}\n";

/// What stands between two entries. No entry has a line feed in it.
pub const BETWEEN: &str = ",\n";

/// The entry of a record that is one line of JSON; `None` where it is no record.
pub fn entry(line: &[u8]) -> Option<Vec<u8>> {
    let mut record: Value = serde_json::from_slice(line).ok()?;
    if record["schema"] != SCHEMA {
        return None;
    }
    let request = request(&mut record)?;
    let response = response(&mut record);
    let mut entry = json!({
        "startedDateTime": record["time"],
        "time": record["timing"]["total_ms"].as_f64().unwrap_or_default(),
        "request": request,
        "response": response,
        "cache": {},
        "timings": timings(&record["timing"]),
        "connection": record["client"]["connection"].to_string(),
    });
    let fields = entry.as_object_mut()?;
    if let Some(addr) = record["upstream"]["addr"].as_str() {
        let addr = addr.rsplit_once(':').map_or(addr, |(addr, _)| addr);
        fields.insert("serverIPAddress".to_owned(), addr.trim_matches(['[', ']']).into());
    }
    let own = record.as_object_mut()?;
    if let Some(Value::Object(diagnosis)) = own.remove("diagnosis") {
        own.extend(diagnosis);
    }
    fields.insert("_authtap".to_owned(), record);
    Some(escaped(entry.to_string().into_bytes()))
}

/// The record that an entry was made of, as a line of JSON; `None` where it was made by somebody else.
pub(super) fn record(entry: &Value) -> Option<String> {
    let mut record = entry.get("_authtap").filter(|own| own["schema"] == SCHEMA)?.clone();
    put_back(&mut record, "request", &entry["request"]);
    put_back(&mut record, "response", &entry["response"]);
    let text = &entry["response"]["content"]["text"];
    if let (Some(body), Value::String(_)) = (object(&mut record, "/response/error_body"), text) {
        body.insert("text".to_owned(), text.clone());
    }
    let own = record.as_object_mut()?;
    let diagnosis: Map<String, Value> =
        ["verdict", "findings"].into_iter().filter_map(|name| Some((name.to_owned(), own.remove(name)?))).collect();
    own.insert("diagnosis".to_owned(), diagnosis.into());
    Some(String::from_utf8_lossy(&escaped(record.to_string().into_bytes())).into_owned())
}

fn object<'v>(value: &'v mut Value, place: &str) -> Option<&'v mut Map<String, Value>> {
    value.pointer_mut(place)?.as_object_mut()
}

fn put_back(record: &mut Value, side: &str, message: &Value) {
    let Some(own) = record.get_mut(side).and_then(Value::as_object_mut) else { return };
    let headers = message["headers"].as_array().into_iter().flatten();
    let headers: Vec<Value> = headers.map(|header| json!([header["name"], header["value"]])).collect();
    own.insert("headers".to_owned(), headers.into());
}

fn request(record: &mut Value) -> Option<Value> {
    let headers = headers(record, "/request");
    let request = record.get("request")?;
    let target = request["target"].as_str()?;
    let query = target.split_once('?').map_or("", |(_, query)| query).split('#').next().unwrap_or_default();
    let query = query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        json!({ "name": name, "value": value })
    });
    Some(json!({
        "method": request["method"],
        "url": url(record, target),
        "httpVersion": request["version"],
        "cookies": [],
        "headers": headers,
        "queryString": query.collect::<Vec<_>>(),
        "headersSize": -1,
        "bodySize": request["body_bytes"].as_u64().unwrap_or_default(),
    }))
}

/// The URL that the client asked for, as far as it may be shown.
fn url(record: &Value, target: &str) -> String {
    let scheme = if record["client"]["tls"].is_null() { "http" } else { "https" };
    let url = match (target.contains("://"), record["request"]["authority"].as_str()) {
        (true, _) => target.to_owned(),
        (false, Some(authority)) if target.starts_with('/') => format!("{scheme}://{authority}{target}"),
        (false, Some(authority)) => format!("{scheme}://{authority}/{target}"),
        (false, None) => {
            let upstream = record["upstream"]["url"].as_str().unwrap_or_default();
            let authority = upstream.split_once("://").map_or("unknown.invalid", |(_, authority)| authority);
            format!("{scheme}://{authority}/{}", target.trim_start_matches('/'))
        }
    };
    // What is masked is written with signs that a URL does not have.
    url.replace(' ', "%20").replace('<', "%3C").replace('>', "%3E")
}

/// The answer. Where there was none its status is 0, as browsers have it.
fn response(record: &mut Value) -> Value {
    let headers = headers(record, "/response");
    let text = object(record, "/response/error_body").and_then(|body| body.remove("text"));
    let seen = &record["response"];
    let first = |name: &str| {
        let mut values = headers.iter().filter(|header| is_named(header, name));
        values.find_map(|header| header["value"].as_str()).unwrap_or_default().to_owned()
    };
    let size = seen["body_bytes"].as_u64().unwrap_or_default();
    let mut content = json!({ "size": size, "mimeType": first("content-type") });
    if let (Some(fields), Some(text)) = (content.as_object_mut(), text) {
        fields.insert("text".to_owned(), text);
    }
    let mut response = json!({
        "status": seen["status"].as_u64().unwrap_or_default(),
        "statusText": "",
        "httpVersion": seen["version"].as_str().unwrap_or_default(),
        "cookies": [],
        "redirectURL": first("location"),
        "headers": headers,
        "content": content,
        "headersSize": -1,
        "bodySize": size,
    });
    if let (Some(fields), Some(error)) = (response.as_object_mut(), error(record)) {
        fields.insert("_error".to_owned(), error.into());
    }
    response
}

fn is_named(header: &Value, name: &str) -> bool {
    header["name"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name))
}

/// Why there was no answer, or none of the upstream's.
fn error(record: &Value) -> Option<String> {
    let failure = &record["failure"];
    match (failure["step"].as_str(), failure["reason"].as_str()) {
        (Some(step), Some(reason)) => Some(format!("{step}: {reason}")),
        _ if record["response"].is_null() => record["outcome"].as_str().map(str::to_owned),
        _ => None,
    }
}

/// Takes the fields out of a message of the record, as an archive has them: each line by itself, as spelled, in order.
fn headers(record: &mut Value, message: &str) -> Vec<Value> {
    let lines = object(record, message).and_then(|message| message.remove("headers"));
    let lines = lines.as_ref().and_then(Value::as_array).into_iter().flatten();
    lines.map(|line| json!({ "name": line[0], "value": line[1] })).collect()
}

/// The stages, which add up to the whole time. The time that it took to send is a part of the waiting.
fn timings(timing: &Value) -> Value {
    let total = timing["total_ms"].as_f64().unwrap_or_default();
    let connect = timing["connect_ms"].as_f64();
    let first_byte = timing["first_byte_ms"].as_f64().unwrap_or(total);
    json!({
        "blocked": -1,
        "dns": -1,
        "connect": connect.unwrap_or(-1.0),
        "ssl": -1,
        "send": 0,
        "wait": (first_byte - connect.unwrap_or_default()).max(0.0),
        "receive": (total - first_byte).max(0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"schema":"authtap/1","id":"01KB","time":"2026-11-24T12:00:00.120Z","tap":"edge","path_id":"01KB",
        "client":{"addr":"127.0.0.1:9","connection":3,"tls":null},
        "upstream":{"url":"http://a.example","addr":"[::1]:80","connection":4,"reused":false,"tls":null},
        "request":{"method":"GET","target":"/v1?a=1&token=<redacted fp=1 len=20>","version":"HTTP/1.1","authority":"b.example:81",
          "headers":[["Host","b.example:81"],["X-A","1"],["x-a","2"]],"credentials":[],"body_bytes":0},"edits":[],
        "response":{"status":401,"version":"HTTP/1.1","headers":[["Content-Type","text/plain"],["Location","/login"]],
          "challenges":[],"error_body":{"media_type":"text/plain","text":"no \u202e token"},"body_bytes":8},
        "timing":{"connect_ms":1.5,"first_byte_ms":4.0,"total_ms":5.25},"outcome":"complete",
        "diagnosis":{"verdict":"ok","findings":[]}}"#;

    fn made(record: &str) -> (Value, String) {
        let text = String::from_utf8(entry(record.as_bytes()).unwrap()).unwrap();
        (serde_json::from_str(&text).unwrap(), text)
    }

    #[test]
    fn an_entry_has_what_archives_have() {
        let (entry, text) = made(RECORD);
        assert!(text.is_ascii() && !text.contains('\n'), "{text}");
        assert_eq!(entry["request"]["url"], "http://b.example:81/v1?a=1&token=%3Credacted%20fp=1%20len=20%3E");
        assert_eq!(entry["request"]["headers"][2], json!({ "name": "x-a", "value": "2" }));
        assert_eq!(entry["request"]["queryString"][1], json!({ "name": "token", "value": "<redacted fp=1 len=20>" }));
        assert_eq!(entry["response"]["content"]["text"], "no \u{202e} token");
        assert_eq!((&entry["response"]["redirectURL"], &entry["serverIPAddress"]), (&json!("/login"), &json!("::1")));
        assert_eq!((&entry["connection"], &entry["_authtap"]["verdict"]), (&json!("3"), &json!("ok")));
        let stages = &entry["timings"];
        let sum = ["connect", "send", "wait", "receive"].iter().map(|stage| stages[stage].as_f64().unwrap());
        assert_eq!(sum.sum::<f64>(), entry["time"].as_f64().unwrap());
    }

    #[test]
    fn nothing_of_a_record_is_lost() {
        let (entry, _) = made(RECORD);
        let back: Value = serde_json::from_str(&record(&entry).unwrap()).unwrap();
        assert_eq!(back, serde_json::from_str::<Value>(RECORD).unwrap());
    }

    #[test]
    fn an_exchange_without_an_answer_says_why() {
        let mut bare: Value = serde_json::from_str(RECORD).unwrap();
        bare["response"] = Value::Null;
        bare["outcome"] = "client-gone".into();
        let (entry, _) = made(&bare.to_string());
        assert_eq!((&entry["response"]["status"], &entry["response"]["_error"]), (&json!(0), &json!("client-gone")));
        assert_eq!(serde_json::from_str::<Value>(&record(&entry).unwrap()).unwrap(), bare);
        bare["failure"] = json!({ "step": "connect", "reason": "refused" });
        assert_eq!(made(&bare.to_string()).0["response"]["_error"], "connect: refused");
    }

    #[test]
    fn what_is_no_record_makes_no_entry() {
        for line in ["", "7", "[]", "{}", r#"{"schema":"other/1"}"#, r#"{"schema":"authtap/1"}"#] {
            assert!(entry(line.as_bytes()).is_none(), "{line}");
        }
        assert!(record(&json!({ "_authtap": { "schema": "other/1" } })).is_none() && record(&json!(7)).is_none());
    }
}
