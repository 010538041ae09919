//! Heads out of bytes: `httparse` for what is well-formed, a reader of lines for all the rest.
//!
//! The second reader never refuses: those lines that strict parsers refuse are what people look for. It differs from
//! RFC 9112 in that it takes a bare LF as a line end, as nearly every server does, and never takes a bare CR as one.

use std::mem::MaybeUninit;

use bytes::Bytes;

use super::head::{FieldSpan, HeadDefect, HeadDefectKind, Parts, RawHead, Span};

/// What kind of lines a head starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Request,
    Response,
    Trailers,
}

/// More fields than this go to the reader of lines, which has no limit.
const FIELDS_ON_STACK: usize = 64;

/// Reads a well-formed head at the start of `bytes`, if it is there in whole and without anything to remark.
pub(super) fn read_clean(bytes: &[u8], kind: Kind) -> Option<(RawHead, usize)> {
    let mut space = [const { MaybeUninit::uninit() }; FIELDS_ON_STACK];
    let (size, spans, start_line) = match kind {
        Kind::Request => {
            let mut request = httparse::Request::new(&mut []);
            let Ok(httparse::Status::Complete(size)) = request.parse_with_uninit_headers(bytes, &mut space) else {
                return None;
            };
            // The parser skips empty lines before the start line; those are for the reader of lines.
            let method = request.method.filter(|method| method.as_ptr() == bytes.as_ptr());
            let _ = method?;
            (size, spans(bytes, request.headers), start_line(bytes))
        }
        Kind::Response => {
            let mut response = httparse::Response::new(&mut []);
            let config = httparse::ParserConfig::default();
            let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, &mut space);
            let Ok(httparse::Status::Complete(size)) = parsed else { return None };
            if !bytes.starts_with(b"HTTP/") {
                return None;
            }
            (size, spans(bytes, response.headers), start_line(bytes))
        }
        Kind::Trailers => return None,
    };
    let head = bytes.get(..size)?;
    if !head.is_ascii() || has_bare_lf(head) {
        return None;
    }
    let bytes = Bytes::copy_from_slice(head);
    Some((RawHead::of(Parts { bytes, start_line, fields: spans, defects: Vec::new(), size: size as u64 }), size))
}

fn spans(bytes: &[u8], headers: &[httparse::Header<'_>]) -> Vec<FieldSpan> {
    let base = bytes.as_ptr() as usize;
    let mut spans = Vec::with_capacity(headers.len());
    for header in headers {
        let name = header.name.as_ptr() as usize - base;
        let value = header.value.as_ptr() as usize - base;
        let end = value + header.value.len();
        spans.push(FieldSpan {
            line: Span::new(name..end),
            name: Span::new(name..name + header.name.len()),
            value: Span::new(value..end),
        });
    }
    spans
}

fn start_line(bytes: &[u8]) -> Span {
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let end = if end > 0 && bytes.get(end - 1) == Some(&b'\r') { end - 1 } else { end };
    Span::new(0..end)
}

fn has_bare_lf(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head.get(at - 1) != Some(&b'\r'))
}

/// Reads a head line by line, whatever it holds. `bytes` is the whole head up to the limit of the recording, `size` its
/// size on the wire.
pub(super) fn read_any(bytes: Bytes, kind: Kind, size: u64) -> RawHead {
    let mut reader = Reader { fields: Vec::new(), defects: Vec::new() };
    let mut start_line = (kind == Kind::Trailers).then(Span::default);
    let mut at = 0;
    while let Some(line) = next_line(&bytes, at) {
        if line.bare_lf {
            reader.note(HeadDefectKind::BareLf, start_line.map(|_| reader.fields.len()), line.end);
        }
        let text = bytes.get(line.start..line.end).unwrap_or_default();
        match start_line {
            None if text.is_empty() => reader.note(HeadDefectKind::LeadingEmptyLine, None, line.start),
            None => {
                start_line = Some(Span::new(line.start..line.end));
                reader.check_start_line(text, kind, line.start);
            }
            Some(_) if text.is_empty() => break,
            Some(_) => reader.field_line(&bytes, line.start, line.end),
        }
        at = line.next;
    }
    let start_line = start_line.unwrap_or_default();
    RawHead::of(Parts { start_line, fields: reader.fields, defects: reader.defects, bytes, size })
}

struct Line {
    start: usize,
    end: usize,
    next: usize,
    bare_lf: bool,
}

/// The line that starts at `at`. What a cut head ends with has no line end and is a line all the same.
fn next_line(bytes: &[u8], at: usize) -> Option<Line> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    Some(match memchr::memchr(b'\n', rest) {
        Some(lf) if lf > 0 && rest.get(lf - 1) == Some(&b'\r') => {
            Line { start: at, end: at + lf - 1, next: at + lf + 1, bare_lf: false }
        }
        Some(lf) => Line { start: at, end: at + lf, next: at + lf + 1, bare_lf: true },
        None => Line { start: at, end: bytes.len(), next: bytes.len(), bare_lf: false },
    })
}

struct Reader {
    fields: Vec<FieldSpan>,
    defects: Vec<HeadDefect>,
}

/// A head of nothing but defects must not cost more memory than its bytes.
const DEFECTS_KEPT: usize = 64;

impl Reader {
    fn note(&mut self, kind: HeadDefectKind, field: Option<usize>, at: usize) {
        let known = self.defects.iter().any(|known| known.kind == kind && known.field == field);
        if !known && self.defects.len() < DEFECTS_KEPT {
            self.defects.push(HeadDefect { kind, field, at });
        }
    }

    fn check_start_line(&mut self, text: &[u8], kind: Kind, at: usize) {
        let sound = match kind {
            Kind::Request => {
                let parts: Vec<&[u8]> = text.split(|byte| *byte == b' ').take(4).collect();
                matches!(parts.as_slice(), [method, target, version]
                    if is_token(method) && !target.is_empty() && version.starts_with(b"HTTP/1."))
            }
            Kind::Response => {
                text.starts_with(b"HTTP/1.") && text.get(9..12).is_some_and(|code| code.iter().all(u8::is_ascii_digit))
            }
            Kind::Trailers => true,
        };
        if !sound {
            self.note(HeadDefectKind::StartLine, None, at);
        }
        self.check_characters(text, None, at);
    }

    fn field_line(&mut self, bytes: &Bytes, start: usize, end: usize) {
        let text = bytes.get(start..end).unwrap_or_default();
        if matches!(text.first(), Some(b' ' | b'\t')) {
            return self.folded_line(text, start, end);
        }
        let index = Some(self.fields.len());
        let line = Span::new(start..end);
        let Some(colon) = memchr::memchr(b':', text) else {
            self.note(HeadDefectKind::NoColon, index, start);
            self.check_characters(text, index, start);
            let name = Span::new(start..end);
            self.fields.push(FieldSpan { line, name, value: Span::new(end..end) });
            return;
        };
        let (before, after) = (&text[..colon], &text[colon + 1..]);
        let name = trim_end(before);
        if name.is_empty() {
            self.note(HeadDefectKind::EmptyName, index, start);
        } else if !is_token(name) {
            self.note(HeadDefectKind::NameCharacter, index, start);
        }
        if name.len() < before.len() {
            self.note(HeadDefectKind::SpaceBeforeColon, index, start + name.len());
        }
        self.check_characters(text, index, start);
        let from = start + colon + 1 + (after.len() - trim_start(after).len());
        let value = trim_end(trim_start(after));
        self.fields.push(FieldSpan {
            line,
            name: Span::new(start..start + name.len()),
            value: Span::new(from..from + value.len()),
        });
    }

    fn folded_line(&mut self, text: &[u8], start: usize, end: usize) {
        let Some(index) = self.fields.len().checked_sub(1) else {
            return self.note(HeadDefectKind::LeadingWhiteSpace, None, start);
        };
        self.note(HeadDefectKind::FoldedValue, Some(index), start);
        self.check_characters(text, Some(index), start);
        let kept = trim_end(text).len();
        if let Some(field) = self.fields.get_mut(index) {
            field.line.end = Span::new(start..end).end;
            if kept > 0 {
                field.value.end = Span::new(start..start + kept).end;
            }
        }
    }

    fn check_characters(&mut self, text: &[u8], field: Option<usize>, start: usize) {
        for (at, byte) in text.iter().enumerate() {
            let kind = match byte {
                b'\t' | b' '..=b'~' => continue,
                0 => HeadDefectKind::Nul,
                b'\r' => HeadDefectKind::BareCr,
                0x80.. => HeadDefectKind::NonAscii,
                _ => HeadDefectKind::Control,
            };
            self.note(kind, field, start + at);
        }
    }
}

fn is_white(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_start(text: &[u8]) -> &[u8] {
    let kept = text.iter().position(|byte| !is_white(byte)).unwrap_or(text.len());
    &text[kept..]
}

fn trim_end(text: &[u8]) -> &[u8] {
    let kept = text.iter().rposition(|byte| !is_white(byte)).map_or(0, |last| last + 1);
    &text[..kept]
}

/// Whether `text` is a token of RFC 9110 5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(head: &RawHead) -> Vec<String> {
        head.fields().map(|field| format!("{}={}", field.name.escape_ascii(), field.value.escape_ascii())).collect()
    }

    fn defects(text: &[u8]) -> Vec<&'static str> {
        let head = read_any(Bytes::copy_from_slice(text), Kind::Request, text.len() as u64);
        head.defects().iter().map(|defect| defect.kind.id()).collect()
    }

    #[test]
    fn both_readers_agree_on_clean_heads() {
        let heads: [(&[u8], Kind); 3] = [
            (b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAUTHORIZATION:Basic  eDp5 \r\nEmpty:\r\n\r\n", Kind::Request),
            (b"HTTP/1.1 401 \r\nWWW-Authenticate: Basic realm=\"a\"\r\n\r\n", Kind::Response),
            (b"HTTP/1.0 200\r\n\r\n", Kind::Response),
        ];
        for (text, kind) in heads {
            let (clean, size) = read_clean(text, kind).unwrap();
            let any = read_any(Bytes::copy_from_slice(text), kind, text.len() as u64);
            assert_eq!(size, text.len());
            assert_eq!(clean.start_line(), any.start_line());
            assert_eq!(shown(&clean), shown(&any));
            assert_eq!(any.defects(), []);
        }
    }

    #[test]
    fn every_defect_is_named_and_its_line_kept() {
        let cases: [(&[u8], &[&str]); 14] = [
            (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", &["space-before-colon"]),
            (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", &["folded-value"]),
            (b"GET / HTTP/1.1\nA: b\r\n\r\n", &["bare-lf"]),
            (b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", &["nul"]),
            (b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", &["bare-cr"]),
            (b"GET / HTTP/1.1\r\nA: b\x1bc\r\n\r\n", &["control-character"]),
            (b"GET / HTTP/1.1\r\nno colon here\r\n\r\n", &["no-colon"]),
            (b"GET / HTTP/1.1\r\n: b\r\n\r\n", &["empty-name"]),
            (b"GET / HTTP/1.1\r\na(b): c\r\n\r\n", &["bad-character-in-name"]),
            (b"GET / HTTP/1.1\r\nA: \xc3\xa9\r\n\r\n", &["non-ascii"]),
            (b"GET / HTTP/1.1\r\n A: b\r\n\r\n", &["white-space-before-fields"]),
            (b"\r\nGET / HTTP/1.1\r\n\r\n", &["empty-line-before-start"]),
            (b"GET  / HTTP/1.1\r\n\r\n", &["start-line-malformed"]),
            (b"GET / HTTP/1.1\r\nA: b\r\n\r\n", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(defects(text), expected, "{}", text.escape_ascii());
            assert_eq!(read_clean(text, Kind::Request).is_some(), expected.is_empty(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_folded_value_is_one_field() {
        let text = b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\nD: e\r\n\r\n";
        let head = read_any(Bytes::copy_from_slice(text), Kind::Request, 0);
        assert_eq!(shown(&head), ["A=b\\r\\n\\tc", "D=e"]);
    }

    #[test]
    fn request_and_status_lines_come_apart() {
        let head = |text: &str| RawHead::from_fields(text, std::iter::empty());
        let line = head("GET /a b HTTP/1.1");
        let line = line.request_line();
        assert_eq!((line.method, line.target, line.version), (&b"GET"[..], &b"/a b"[..], &b"HTTP/1.1"[..]));
        assert_eq!(head("HTTP/1.1 401 No").status(), Some(401));
        assert_eq!(head("HTTP/1.1 4015").status(), None);
        assert_eq!(head("HTTP/1.1 x").status(), None);
    }
}
