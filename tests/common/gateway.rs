//! A gateway that does to requests and answers what a test tells it to, for what no real one can be made to do.

use std::net::SocketAddr;

use super::client::Client;
use super::head::Head;
use super::origin::Origin;

/// A message in its parts.
#[derive(Clone, Debug)]
pub struct Message {
    pub start_line: String,
    /// Names as spelled, and values.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Where there are any, the body goes out in chunks.
    pub trailers: Vec<(String, String)>,
}

impl Message {
    /// An answer without a body.
    pub fn answer(status: &str, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { start_line: format!("HTTP/1.1 {status}"), fields, body: Vec::new(), trailers: Vec::new() }
    }

    fn of(head: &Head, body: Vec<u8>) -> Self {
        // How the body was framed is made anew.
        let is_framing = |name: &str| ["content-length", "transfer-encoding"].contains(&&*name.to_ascii_lowercase());
        let fields = head.fields().into_iter().filter(|(name, _)| !is_framing(name)).collect();
        Self { start_line: head.start_line(), fields, body, trailers: Vec::new() }
    }

    /// The value of the first field of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Takes all fields of that name off, and gives their values.
    pub fn take(&mut self, name: &str) -> Vec<String> {
        let is_named = |line: &mut (String, String)| line.0.eq_ignore_ascii_case(name);
        self.fields.extract_if(.., is_named).map(|(_, value)| value).collect()
    }

    /// Gives the first field of that name another value, or adds one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.fields.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value.into(),
            None => self.add(name, value),
        }
    }

    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        self.fields.push((name.to_owned(), value.into()));
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        let renamed = self.fields.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case(from));
        renamed.for_each(|(name, _)| *name = to.to_owned());
    }

    /// The second word of the start line, another one.
    pub fn set_target(&mut self, target: &str) {
        let words: Vec<&str> = self.start_line.splitn(3, ' ').collect();
        self.start_line = format!("{} {target} {}", words[0], words[2]);
    }

    fn bytes(&self) -> Vec<u8> {
        let lines = |fields: &[(String, String)]| -> String {
            fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
        };
        let mut text = format!("{}\r\n{}", self.start_line, lines(&self.fields)).into_bytes();
        if self.trailers.is_empty() {
            let is_bare = self.body.is_empty() && !self.start_line.starts_with("HTTP/");
            if !is_bare {
                text.extend(format!("Content-Length: {}\r\n", self.body.len()).bytes());
            }
            text.extend(b"\r\n");
            text.extend(&self.body);
        } else {
            text.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            if !self.body.is_empty() {
                text.extend(format!("{:x}\r\n", self.body.len()).bytes());
                text.extend(&self.body);
                text.extend(b"\r\n");
            }
            text.extend(format!("0\r\n{}\r\n", lines(&self.trailers)).bytes());
        }
        text
    }
}

/// Sends a request to the next tap, on a connection of its own, and gives the answer.
pub type Send<'a> = &'a dyn Fn(&Message) -> Message;

/// A gateway before `app`. For each request, `script` makes the answer; it may send requests on, none or several.
pub fn gateway(
    app: &str,
    script: impl Fn(Message, Send<'_>) -> Message + std::marker::Send + Sync + 'static,
) -> Origin {
    let app: SocketAddr = app.parse().unwrap();
    Origin::start(move |conn| {
        while let Some(head) = conn.read_head() {
            let body = conn.read_body(&head);
            let send = |request: &Message| {
                let mut client = Client::connect(app);
                client.send(request.bytes());
                let (head, body) = client.read_response();
                Message::of(&head, body)
            };
            let answer = script(Message::of(&head, body), &send);
            conn.write(&answer.bytes());
        }
    })
}

/// A gateway that changes requests on their way, and passes answers on as they are.
pub fn changing(app: &str, change: impl Fn(&mut Message) + std::marker::Send + Sync + 'static) -> Origin {
    gateway(app, move |mut request, send| {
        change(&mut request);
        send(&request)
    })
}

/// A gateway that changes answers on their way, and passes requests on as they are.
pub fn answering(app: &str, change: impl Fn(&mut Message) + std::marker::Send + Sync + 'static) -> Origin {
    gateway(app, move |request, send| {
        let mut answer = send(&request);
        change(&mut answer);
        answer
    })
}
