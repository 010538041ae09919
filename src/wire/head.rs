//! The head of a message: its start line and its field lines, in order and spelled as received.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// A stretch of a head's bytes. Heads are far smaller than 4 GiB, and small spans keep a recorded head small.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// The span of `range`, cut to what 32 bits can count.
    pub(super) fn new(range: Range<usize>) -> Self {
        let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: short(range.start), end: short(range.end) }
    }

    fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Where one field line lies in its head.
#[derive(Clone, Copy)]
pub(super) struct FieldSpan {
    /// From the first byte of the line up to the line's end, which a folded value moves to a later line.
    pub(super) line: Span,
    /// What stands before the colon, without trailing spaces.
    pub(super) name: Span,
    /// What stands behind the colon, without the white space around it.
    pub(super) value: Span,
}

/// A head as it was on the wire, or as HTTP/2 or HTTP/3 carried it, put into the form of HTTP/1.
///
/// Clones share what they hold. There is no `Debug` on purpose: a head holds secrets.
#[derive(Clone)]
pub struct RawHead(Arc<Parts>);

/// What a head is made of.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) bytes: Bytes,
    pub(super) start_line: Span,
    pub(super) fields: Vec<FieldSpan>,
    pub(super) defects: Vec<HeadDefect>,
    pub(super) size: u64,
}

impl RawHead {
    pub(super) fn of(parts: Parts) -> Self {
        RawHead(Arc::new(parts))
    }

    /// A head that did not come as lines but as a start line and a list of fields, as HTTP/2 delivers it.
    pub fn from_fields<'a>(start_line: &str, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(start_line.as_bytes());
        let start_line = Span::new(0..bytes.len());
        bytes.extend_from_slice(b"\r\n");
        let mut spans = Vec::new();
        for (name, value) in fields {
            let line = bytes.len();
            bytes.extend_from_slice(name);
            let name = Span::new(line..bytes.len());
            bytes.extend_from_slice(b": ");
            let at = bytes.len();
            bytes.extend_from_slice(value);
            spans.push(FieldSpan { line: Span::new(line..bytes.len()), name, value: Span::new(at..bytes.len()) });
            bytes.extend_from_slice(b"\r\n");
        }
        let size = bytes.len() as u64;
        Self::of(Parts { bytes: bytes.into(), start_line, fields: spans, defects: Vec::new(), size })
    }

    /// Whether [`Self::from_fields`] would make the same one of these.
    pub fn says<'a>(&self, start_line: &str, mut fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> bool {
        self.start_line() == start_line.as_bytes()
            && self
                .fields()
                .all(|own| fields.next().is_some_and(|(name, value)| own.value == value && own.name == name))
            && fields.next().is_none()
    }

    /// The start line without its line end; empty for trailers.
    pub fn start_line(&self) -> &[u8] {
        self.0.start_line.of(&self.0.bytes)
    }

    /// The three parts of a request line (RFC 9112 3); what is not there is empty. A target that holds spaces is kept whole.
    pub fn request_line(&self) -> RequestLine<'_> {
        let line = self.start_line();
        let (method, rest) = split_at_space(line);
        match memchr::memrchr(b' ', rest) {
            Some(at) if rest[at + 1..].starts_with(b"HTTP/") => {
                RequestLine { method, target: &rest[..at], version: &rest[at + 1..] }
            }
            _ => RequestLine { method, target: rest, version: b"" },
        }
    }

    /// The status code (RFC 9112 4), or `None` where the status line has no three digits in its place.
    pub fn status(&self) -> Option<u16> {
        let (_, rest) = split_at_space(self.start_line());
        let digits = rest.get(..3).filter(|d| d.iter().all(u8::is_ascii_digit))?;
        let ends = rest.get(3).is_none_or(|next| *next == b' ');
        ends.then(|| digits.iter().fold(0, |sum, d| sum * 10 + u16::from(d - b'0')))
    }

    /// The protocol version of a status line, as sent.
    pub fn status_version(&self) -> &[u8] {
        split_at_space(self.start_line()).0
    }

    /// The field lines, in order and with their duplicates.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> + Clone {
        self.0.fields.iter().enumerate().map(|(index, span)| Field {
            index,
            name: span.name.of(&self.0.bytes),
            value: span.value.of(&self.0.bytes),
            line: span.line.of(&self.0.bytes),
        })
    }

    /// The values of every field called `name`, in order. Names are compared without regard to case (RFC 9110 5.1).
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.fields().filter(move |field| field.is(name)).map(|field| field.value)
    }

    /// The first value of the field called `name`.
    pub fn value<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// Whether there is a field called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.fields().any(|field| field.is(name))
    }

    /// Whether one of the comma-separated members of the fields called `name` is `token`, without regard to case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|member| member.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The value of the field at `index` as a slice that shares the head's memory.
    pub fn shared_value(&self, index: usize) -> Bytes {
        let Some(span) = self.0.fields.get(index) else { return Bytes::new() };
        let (start, end) = (span.value.start as usize, span.value.end as usize);
        if start <= end && end <= self.0.bytes.len() { self.0.bytes.slice(start..end) } else { Bytes::new() }
    }

    /// Takes the lines called `name` out of what is told of the head; the bytes as received stay.
    pub fn forget(&mut self, name: &str) {
        let gone: Vec<usize> = self.fields().filter(|field| field.is(name)).map(|field| field.index).collect();
        for index in gone.into_iter().rev() {
            let parts = Arc::make_mut(&mut self.0);
            parts.fields.remove(index);
            parts.defects.retain_mut(|defect| match &mut defect.field {
                Some(at) if *at == index => false,
                Some(at) if *at > index => {
                    *at -= 1;
                    true
                }
                _ => true,
            });
        }
    }

    /// What a strict parser would object to, in order of place.
    pub fn defects(&self) -> &[HeadDefect] {
        &self.0.defects
    }

    /// The size on the wire in bytes, with the line ends. Larger than what is held when the head was cut.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Whether the head was larger than the limit of the recording, so that later fields are not here.
    pub fn is_cut(&self) -> bool {
        self.0.size > self.0.bytes.len() as u64
    }

    /// Whether it is here in whole, and there is nothing in it that a strict parser would object to.
    pub fn is_clean(&self) -> bool {
        !self.is_cut() && self.0.defects.is_empty()
    }

    /// The same head, known to lack some of its fields.
    pub fn incomplete(mut self) -> Self {
        let parts = Arc::make_mut(&mut self.0);
        parts.size = parts.size.max(parts.bytes.len() as u64 + 1);
        self
    }

    /// The place of a field's parts in [`Self::as_received`].
    pub(super) fn span(&self, index: usize) -> Option<FieldSpan> {
        self.0.fields.get(index).copied()
    }

    /// Which head it is: clones have the same number, and as long as one of them is there, no other head has it.
    pub fn number(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// Whether there is another clone of it.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// How much memory the head takes, for bounds on queues.
    pub fn memory(&self) -> usize {
        let parts = &*self.0;
        size_of::<Parts>()
            + parts.bytes.len()
            + parts.fields.capacity() * size_of::<FieldSpan>()
            + parts.defects.capacity() * size_of::<HeadDefect>()
    }

    /// The bytes as they were received, up to the limit of the recording.
    pub(crate) fn as_received(&self) -> &[u8] {
        &self.0.bytes
    }
}

fn split_at_space(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, b""),
    }
}

/// The parts of a request line, as sent.
#[derive(Clone, Copy)]
pub struct RequestLine<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The request target, in whatever form it came.
    pub target: &'a [u8],
    /// `HTTP/1.1` and the like.
    pub version: &'a [u8],
}

/// One field line of a head.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// Its place among the head's field lines, from 0.
    pub index: usize,
    /// The name as spelled by the sender.
    pub name: &'a [u8],
    /// The value without the white space around it. A folded value keeps its line ends.
    pub value: &'a [u8],
    /// The whole line as received, without its end.
    pub line: &'a [u8],
}

impl Field<'_> {
    /// Whether the field has this name, without regard to case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Something in a head that the grammar of RFC 9112 does not allow, or that parsers are known to disagree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadDefect {
    /// What it is.
    pub kind: HeadDefectKind,
    /// The field line it is in, from 0; `None` for the start line and what comes before the fields.
    pub field: Option<usize>,
    /// The byte of the head at which it shows.
    pub at: usize,
}

/// The kinds of [`HeadDefect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadDefectKind {
    /// The start line is not made of the parts that it must have.
    StartLine,
    /// An empty line before the start line, which RFC 9112 2.2 lets a server ignore.
    LeadingEmptyLine,
    /// White space between the start line and the first field (RFC 9112 2.2).
    LeadingWhiteSpace,
    /// A line without a colon.
    NoColon,
    /// A colon with no name before it.
    EmptyName,
    /// White space between name and colon (RFC 9112 5.1).
    SpaceBeforeColon,
    /// A name with a character that is no token character (RFC 9110 5.6.2).
    NameCharacter,
    /// A value that goes on in the next line (RFC 9112 5.2).
    FoldedValue,
    /// A line that ends with LF alone (RFC 9112 2.2).
    BareLf,
    /// A CR that no LF follows (RFC 9112 2.2).
    BareCr,
    /// A NUL byte (RFC 9110 5.5).
    Nul,
    /// Another control character (RFC 9110 5.5).
    Control,
    /// A byte outside ASCII, whose meaning nobody agrees on (RFC 9110 5.5).
    NonAscii,
}

impl HeadDefectKind {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::StartLine => "start-line-malformed",
            Self::LeadingEmptyLine => "empty-line-before-start",
            Self::LeadingWhiteSpace => "white-space-before-fields",
            Self::NoColon => "no-colon",
            Self::EmptyName => "empty-name",
            Self::SpaceBeforeColon => "space-before-colon",
            Self::NameCharacter => "bad-character-in-name",
            Self::FoldedValue => "folded-value",
            Self::BareLf => "bare-lf",
            Self::BareCr => "bare-cr",
            Self::Nul => "nul",
            Self::Control => "control-character",
            Self::NonAscii => "non-ascii",
        }
    }
}
