//! The few things of a record that a list shows and filters by.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::exchange::record::escaped;
use crate::exchange::record::read::ReadCredential;

/// The most bytes of a target, of another text that a peer chose, and the most credentials, that a row has. The record has
/// the whole.
const TARGET: usize = 2 * 1024;
const TEXT: usize = 128;
const CREDENTIALS: usize = 8;

/// What is read of a record.
#[derive(Deserialize)]
struct Listed {
    id: String,
    time: Timestamp,
    #[serde(default)]
    tap: String,
    #[serde(default)]
    path_id: String,
    #[serde(default)]
    parent_id: Option<String>,
    #[serde(default)]
    client: ListedClient,
    request: ListedRequest,
    #[serde(default)]
    response: Option<ListedResponse>,
    #[serde(default)]
    timing: ListedTimes,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    diagnosis: ListedDiagnosis,
}

#[derive(Deserialize, Default)]
struct ListedClient {
    #[serde(default)]
    addr: String,
}

#[derive(Deserialize)]
struct ListedRequest {
    method: String,
    target: String,
    #[serde(default)]
    credentials: Vec<ReadCredential>,
}

#[derive(Deserialize)]
struct ListedResponse {
    status: u16,
}

#[derive(Deserialize, Default)]
struct ListedTimes {
    #[serde(default)]
    total_ms: f64,
}

#[derive(Deserialize, Default)]
struct ListedDiagnosis {
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    findings: Vec<ListedFinding>,
}

#[derive(Deserialize)]
struct ListedFinding {
    rule: String,
    severity: String,
    #[serde(default)]
    at: String,
}

/// The row of a record, as a JSON array whose places `src/admin/page/store.js` names; `None` where it is no record.
pub(super) fn row(number: u64, line: &[u8]) -> Option<Vec<u8>> {
    let listed: Listed = serde_json::from_slice(line).ok()?;
    let diagnosis = &listed.diagnosis;
    let main = diagnosis.findings.iter().find(|finding| finding.rule == diagnosis.verdict);
    let rules: Vec<&str> = diagnosis.findings.iter().map(|finding| finding.rule.as_str()).collect();
    let client = listed.client.addr.rsplit_once(':').map_or(listed.client.addr.as_str(), |(addr, _)| addr);
    let credentials: Vec<(String, Cow<'_, str>)> = listed
        .request
        .credentials
        .iter()
        .filter(|offered| !offered.fingerprint.is_empty())
        .take(CREDENTIALS)
        .map(|offered| (cut(&offered.label(), TEXT).into_owned(), cut(&offered.fingerprint, TEXT)))
        .collect();
    let row = json!([
        number,
        listed.id,
        listed.path_id,
        listed.parent_id,
        listed.time.as_millisecond(),
        listed.tap,
        cut(&listed.request.method, TEXT),
        cut(&listed.request.target, TARGET),
        listed.response.as_ref().map_or(0, |response| response.status),
        diagnosis.verdict,
        main.map_or("", |main| main.severity.as_str()),
        main.map_or("", |main| main.at.as_str()),
        rules,
        cut(client.trim_matches(['[', ']']), TEXT),
        credentials,
        listed.timing.total_ms,
        listed.outcome,
    ]);
    Some(escaped(row.to_string().into_bytes()))
}

/// A text of no more bytes than these, with a sign that it goes on where it was longer.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let ends = text.char_indices().map(|(at, char)| at + char.len_utf8());
    let end = ends.take_while(|end| *end <= most).last().unwrap_or(0);
    Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_short_however_long_the_head_was() {
        let offered = serde_json::json!({ "in": "header", "name": "authorization", "scheme": "other",
            "scheme_as_sent": "S".repeat(9_000), "fingerprint": "3fa9c1d2", "length": 20 });
        let record = serde_json::json!({ "id": "01A", "time": "2026-11-24T12:00:00Z", "request": { "method": "M".repeat(9_000),
            "target": format!("/{}", "é".repeat(30_000)), "credentials": vec![offered; 100] } });
        let row = row(1, record.to_string().as_bytes()).unwrap();
        assert!(row.len() < 5_000, "{}", row.len());
        let row: serde_json::Value = serde_json::from_slice(&row).unwrap();
        assert_eq!(row[7], format!("/{}…", "é".repeat(1_023)));
        assert_eq!(row[14].as_array().unwrap().len(), CREDENTIALS);
        assert_eq!((cut("abc", 3), cut("abcd", 3), cut("é", 1)), ("abc".into(), "abc…".into(), "…".into()));
    }

    #[test]
    fn a_row_has_what_a_list_shows() {
        let record = r#"{"schema":"authtap/1","id":"01A","time":"2026-11-24T12:00:00.120Z","tap":"edge","path_id":"01P",
            "client":{"addr":"[::1]:4711","connection":3,"tls":null},"request":{"method":"GET","target":"/a",
            "headers":[["A","b"]],"credentials":[{"in":"header","name":"authorization","scheme":"bearer",
            "scheme_as_sent":"Bearer","fingerprint":"3fa9c1d2","length":20}]},"response":{"status":401,"headers":[]},
            "timing":{"total_ms":1.5},"outcome":"complete","diagnosis":{"verdict":"token-expired","findings":[
            {"rule":"token-expired","severity":"error","at":"client"},{"rule":"browser-popup","severity":"info"}]}}"#;
        let row = String::from_utf8(row(7, record.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            row,
            r#"[7,"01A","01P",null,1795521600120,"edge","GET","/a",401,"token-expired","error","client",["token-expired","browser-popup"],"::1",[["Bearer token#3fa9","3fa9c1d2"]],1.5,"complete"]"#
        );
    }

    #[test]
    fn what_is_no_record_has_no_row() {
        for line in ["", "7", "{}", r#"{"id":"1","time":"x","request":{"method":"GET","target":"/"}}"#] {
            assert!(row(1, line.as_bytes()).is_none(), "{line}");
        }
    }
}
