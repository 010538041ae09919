//! The heads of an exchange as they were on the wire, masked, in the way that curl has made familiar: `>` went towards the
//! backend, `<` came from it, `*` is what the tap has to say.
//!
//! It is made of the record, so nothing is here that the record does not have, and a recording reads like a live exchange.

use std::fmt::Write;

use serde_json::Value;

use super::escape::printable;

/// The most field lines that are shown of a head.
const MOST: usize = 200;

/// The text of a record, with an empty line behind it; empty where the line is no record.
pub fn heads(record: &[u8]) -> String {
    let Ok(record) = serde_json::from_slice::<Value>(record) else { return String::new() };
    let mut text = Text(String::new());
    text.connection(&record);
    let (request, response) = (&record["request"], &record["response"]);
    let start = format!("{} {} {}", words(&request["method"]), words(&request["target"]), words(&request["version"]));
    text.message('>', &start, request);
    for edit in list(&record["edits"]) {
        let (what, from, to) = (words(&edit["what"]), words(&edit["from"]), words(&edit["to"]));
        text.note(&format!("{what} was changed by the tap: {from} -> {to} ({})", words(&edit["why"])));
    }
    if response.is_object() {
        for status in list(&response["interim"]) {
            text.line('<', &format!("{} {status}", words(&response["version"])));
        }
        if response["by_tap"] == true {
            text.note("the tap made this answer, because the upstream gave none");
        }
        text.message('<', &format!("{} {}", words(&response["version"]), response["status"]), response);
    }
    if let Some(reason) = record["failure"]["reason"].as_str() {
        text.note(&format!("the upstream failed at {}: {reason}", words(&record["failure"]["step"])));
    }
    if let Some(why) = record["unfollowed"]["text"].as_str() {
        text.note(&format!("from here on the {} was not read: {why}", words(&record["unfollowed"]["direction"])));
    }
    let total = record["timing"]["total_ms"].as_f64().unwrap_or_default();
    text.note(&format!(
        "{} after {total:.1} ms: {}",
        words(&record["outcome"]),
        words(&record["diagnosis"]["verdict"])
    ));
    text.0.push('\n');
    text.0
}

struct Text(String);

impl Text {
    fn line(&mut self, sign: char, line: &str) {
        // Writing to a String can't fail.
        let _ = writeln!(self.0, "{}", format_args!("{sign} {}", printable(line)).to_string().trim_end());
    }

    fn note(&mut self, note: &str) {
        self.line('*', note);
    }

    fn connection(&mut self, record: &Value) {
        let (client, upstream) = (&record["client"], &record["upstream"]);
        let tls = |side: &Value| match side["tls"]["version"].as_str() {
            Some(version) => format!(" {version}"),
            None => String::new(),
        };
        let reached = upstream["addr"].as_str().map(|addr| format!(" ({addr})")).unwrap_or_default();
        let again = if upstream["reused"] == true { ", again" } else { "" };
        self.note(&format!(
            "{} {}  {}{} #{} -> {}{reached}{}{again}",
            words(&record["time"]),
            words(&record["tap"]),
            words(&client["addr"]),
            tls(client),
            client["connection"],
            words(&upstream["url"]),
            tls(upstream),
        ));
    }

    fn message(&mut self, sign: char, start: &str, message: &Value) {
        self.line(sign, start);
        for field in list(&message["headers"]).take(MOST) {
            self.line(sign, &format!("{}: {}", words(&field[0]), words(&field[1])));
        }
        let more = list(&message["headers"]).count().saturating_sub(MOST);
        if more > 0 {
            self.note(&format!("{more} more lines, which are in the record"));
        }
        self.line(sign, "");
        if let Some(size) = message["cut_head_bytes"].as_u64() {
            self.note(&format!("the head had {size} bytes, and only its first part was recorded"));
        }
        for defect in list(&message["defects"]) {
            let place =
                defect["line"].as_u64().map_or_else(|| "start line".to_owned(), |line| format!("line {}", line + 1));
            self.note(&format!("{place}: {}", words(&defect["defect"])));
        }
        if let Some(text) = message["error_body"]["text"].as_str().filter(|text| !text.is_empty()) {
            text.lines().for_each(|line| self.line(sign, line));
        }
        match message["body_bytes"].as_u64() {
            None | Some(0) => {}
            Some(size) => self.note(&format!("{size} bytes of body")),
        }
        for field in list(&message["trailers"]) {
            self.line(sign, &format!("{}: {}", words(&field[0]), words(&field[1])));
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::FingerprintKey;
    use crate::exchange::record::Record;
    use crate::exchange::redact::Redactor;
    use crate::exchange::{View, transcript};
    use crate::sinks::recorded;

    fn shown(exchange: &str) -> String {
        let redactor = Redactor::new(FingerprintKey::from_bytes(b"test"), []);
        let exchange = transcript::parse(exchange).unwrap().remove(0);
        let view = View::new(&exchange, &redactor);
        heads(&Record::new(&view, recorded("ok", &[]), Vec::new()).to_line())
    }

    #[test]
    fn both_heads_are_there_as_spelled_and_masked() {
        let text = shown(
            "> GET /a HTTP/1.1\n> hOST: x\n> Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA\n\
             < HTTP/1.1 401 Unauthorized\n< WWW-authenticate: Bearer realm=\"a\"\n",
        );
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("* ") && lines[0].contains(" -> "), "{text}");
        assert_eq!(lines[1..3], ["> GET /a HTTP/1.1", "> hOST: x"]);
        assert!(lines[3].starts_with("> Authorization: Bearer <redacted fp="), "{text}");
        assert_eq!(lines[4], ">");
        assert_eq!(lines[5..8], ["< HTTP/1.1 401", "< WWW-authenticate: Bearer realm=\"a\"", "<"]);
        assert!(text.trim_end().ends_with(": ok") && text.ends_with("\n\n"), "{text}");
        assert!(!text.contains("2YotnFZF"), "{text}");
    }

    #[test]
    fn what_a_peer_sends_stays_on_its_line() {
        let text = shown("> GET /a HTTP/1.1\n> Host: x\n> Accept: a\\x1b[2J\\u{202e}b\n< HTTP/1.1 200 OK\n");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert_eq!(heads(b"no record\n"), "");
    }
}
