//! A message head as the peers of the tests read it: split into lines, nothing folded, trimmed or re-spelled.

use std::fmt;

#[derive(Clone)]
pub struct Head {
    /// Every byte, with the empty line at the end.
    pub raw: Vec<u8>,
}

impl Head {
    /// Cuts the first head off `bytes`, if all of it is there.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let end = find(bytes, b"\r\n\r\n")? + 4;
        let rest = bytes.split_off(end);
        Some(Self { raw: std::mem::replace(bytes, rest) })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    pub fn start_line(&self) -> String {
        self.text().lines().next().unwrap_or_default().to_owned()
    }

    pub fn method(&self) -> String {
        self.start_line().split(' ').next().unwrap_or_default().to_owned()
    }

    pub fn target(&self) -> String {
        self.start_line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// The status of a response.
    pub fn status(&self) -> u16 {
        let line = self.start_line();
        line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status line: {line:?}"))
    }

    /// Names and values in their order; the name as spelled, the value without the white space around it.
    pub fn fields(&self) -> Vec<(String, String)> {
        self.text()
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect()
    }

    /// The first field of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<String> {
        self.fields().into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The first field whose name is spelled exactly so.
    pub fn get_exact(&self, name: &str) -> Option<String> {
        self.fields().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    pub fn content_length(&self) -> Option<u64> {
        self.get("content-length").and_then(|value| value.parse().ok())
    }

    pub fn is_chunked(&self) -> bool {
        self.get("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().ends_with("chunked"))
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A whole HTTP/1.1 message with `Content-Length`; `fields` are lines such as `Server: x`.
pub fn answer(status: &str, fields: &[&str], body: &str) -> Vec<u8> {
    let mut message = format!("HTTP/1.1 {status}\r\n");
    for field in fields {
        message.push_str(field);
        message.push_str("\r\n");
    }
    message.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    message.into_bytes()
}
