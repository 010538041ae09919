//! One message of a transcript: its lines put together and read.

use bytes::Bytes;

use super::macros;
use crate::exchange::{Body, Direction, payload};
use crate::wire::framer::Answers;
use crate::wire::{Framer, Lost, RawHead, Step};

/// The most that is read of one head; far above what an example has.
const LIMIT: usize = 1 << 20;

/// One message in the making.
#[derive(Default)]
pub(super) struct Part {
    head: Vec<u8>,
    head_ended: bool,
    body: Option<Vec<u8>>,
    trailers: Vec<u8>,
}

impl Part {
    pub(super) fn line(&mut self, rest: &str) -> Result<(), String> {
        if let Some(trailer) = rest.strip_prefix('+') {
            self.trailers.extend(macros::expand(trailer.strip_prefix(' ').unwrap_or(trailer))?);
            self.trailers.extend(b"\r\n");
            return Ok(());
        }
        let bytes = macros::expand(rest.strip_prefix(' ').unwrap_or(rest))?;
        match &mut self.body {
            Some(body) => {
                body.push(b'\n');
                body.extend(bytes);
            }
            None if self.head_ended => self.body = Some(bytes),
            None if bytes.is_empty() && self.head.is_empty() => return Err("a head begins with its start line".into()),
            None if bytes.is_empty() => self.head_ended = true,
            None => {
                self.head.extend(bytes);
                self.head.extend(b"\r\n");
            }
        }
        Ok(())
    }

    fn is_http2(&self) -> bool {
        let line = self.head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        line.starts_with(b"HTTP/2") || line.ends_with(b" HTTP/2")
    }

    /// The head, and why the stream can't be followed behind it, if so.
    pub(super) fn read(&self, direction: Direction, answers: Answers) -> Result<(RawHead, Option<Lost>), String> {
        if self.is_http2() {
            return Ok((self.read_http2()?, None));
        }
        let bytes = [&self.head[..], b"\r\n"].concat();
        let mut framer = match direction {
            Direction::Request => Framer::of_requests(LIMIT),
            Direction::Response => Framer::of_responses(LIMIT),
        };
        let mut input = &bytes[..];
        let head = match framer.next(&mut input, answers) {
            Step::Head(head) | Step::Interim(head) => head,
            _ => return Err("this is not the head of a message".into()),
        };
        // Opaque bytes behind the head make the framer say why it gave up; for others they are the start of a body.
        let mut more: &[u8] = b"0";
        match framer.next(&mut more, answers) {
            Step::Lost(why) if why != Lost::ChunkSizeMalformed => Ok((head, Some(why))),
            _ => Ok((head, None)),
        }
    }

    fn read_http2(&self) -> Result<RawHead, String> {
        let text = std::str::from_utf8(&self.head).map_err(|_| "an HTTP/2 head of this kind has to be text")?;
        let mut lines = text.lines();
        let start_line = lines.next().unwrap_or_default();
        let fields: Vec<(&[u8], &[u8])> =
            lines.filter(|line| !line.starts_with(":authority:")).map(split_field).collect();
        Ok(RawHead::from_fields(start_line, fields.into_iter()))
    }

    pub(super) fn authority(&self) -> Option<String> {
        let text = std::str::from_utf8(&self.head).ok()?;
        text.lines().find_map(|line| line.strip_prefix(":authority:")).map(|value| value.trim().to_owned())
    }

    pub(super) fn read_trailers(&self) -> Option<RawHead> {
        if self.trailers.is_empty() {
            return None;
        }
        let bytes =
            [b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", &self.trailers[..], b"\r\n"].concat();
        let (mut framer, mut input) = (Framer::of_requests(LIMIT), &bytes[..]);
        loop {
            match framer.next(&mut input, Answers::Other) {
                Step::Trailers(head) => return Some(head),
                Step::More | Step::Lost(_) => return None,
                _ => {}
            }
        }
    }

    pub(super) fn body(&self, is_kept: bool) -> Body {
        let bytes = self.body.clone().unwrap_or_default();
        Body { size: bytes.len() as u64, start: is_kept.then(|| Bytes::from(bytes)), is_unpacked: false, sha256: None }
    }

    /// The body of a request with this head, of which the whole passed or not.
    pub(super) fn request_body(&self, head: &RawHead, is_kept: bool, is_whole: bool) -> Body {
        let is_hashed = is_whole && payload::named(head).is_some();
        let sha256 = is_hashed.then(|| payload::of(self.body.as_deref().unwrap_or_default()));
        Body { sha256, ..self.body(is_kept) }
    }
}

fn split_field(line: &str) -> (&[u8], &[u8]) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.as_bytes(), value.trim().as_bytes())
}
