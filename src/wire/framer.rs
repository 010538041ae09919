//! Follows one direction of an HTTP/1 connection and cuts out its messages.
//!
//! A [`Framer`] is fed slices and answers with [`Step`]s; it does no IO and knows no clock. It keeps the head that it is
//! in the middle of, and of bodies nothing. Fed one byte at a time it yields the same heads as fed all at once. Where
//! the stream can't be followed any more it says why, once, and takes all that comes as opaque.
//!
//! On purpose it is stricter than RFC 9112 about lengths (see `length.rs`) and more lenient about everything that does
//! not change where a message ends.

use bytes::Bytes;

use super::head::RawHead;
use super::length::{Length, declared};
use super::lines::{Kind, read_any, read_clean};

/// What the framer found at the start of the bytes that it was given.
pub enum Step<'a> {
    /// The bytes are used up.
    More,
    /// The head of a message; for responses, of a final one or of a `101`.
    Head(RawHead),
    /// The head of an informational response, which another response follows.
    Interim(RawHead),
    /// Bytes of a body, without the framing of chunks.
    Body(&'a [u8]),
    /// The fields behind a chunked body, where there are any.
    Trailers(RawHead),
    /// The message is complete.
    End,
    /// The stream can't be followed from here on.
    Lost(Lost),
    /// Bytes that have no HTTP/1 meaning: behind an upgrade, or behind [`Step::Lost`].
    Opaque(&'a [u8]),
    /// Bytes behind a request that asks for another protocol: their meaning depends on the response. To be fed again
    /// after [`Framer::resume`].
    Undecided(&'a [u8]),
}

/// Why a stream can't be followed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// More than one Content-Length.
    SeveralLengths,
    /// A Content-Length that is not a plain decimal number.
    LengthMalformed,
    /// Content-Length together with Transfer-Encoding.
    LengthAndEncoding,
    /// A Transfer-Encoding that does not say plainly where the body ends.
    EncodingMalformed,
    /// A Transfer-Encoding in an HTTP/1.0 message.
    EncodingInHttp10,
    /// A line that some parsers take for Content-Length or Transfer-Encoding and others don't.
    FramingFieldMalformed,
    /// A chunk size that is no hexadecimal number, or too large, or whose line ends wrongly.
    ChunkSizeMalformed,
    /// Chunk data that no CRLF follows.
    ChunkEndMalformed,
    /// The first line is none of HTTP.
    NotHttp,
    /// A head larger than the recording holds that hid how the message goes on.
    HeadTooLarge,
    /// A response to a request that was not made.
    ResponseUnasked,
    /// More bytes before the answer to an upgrade than are kept.
    TooMuchBeforeUpgrade,
    /// An answer that came before its request's head was complete.
    AnsweredEarly,
}

impl Lost {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::SeveralLengths => "several-content-lengths",
            Self::LengthMalformed => "content-length-malformed",
            Self::LengthAndEncoding => "content-length-and-transfer-encoding",
            Self::EncodingMalformed => "transfer-encoding-malformed",
            Self::EncodingInHttp10 => "transfer-encoding-in-http-1.0",
            Self::FramingFieldMalformed => "framing-field-malformed",
            Self::ChunkSizeMalformed => "chunk-size-malformed",
            Self::ChunkEndMalformed => "chunk-end-malformed",
            Self::NotHttp => "not-http",
            Self::HeadTooLarge => "head-too-large",
            Self::ResponseUnasked => "response-without-request",
            Self::TooMuchBeforeUpgrade => "too-much-before-upgrade",
            Self::AnsweredEarly => "answered-within-head",
        }
    }

    /// What it means, for a reader of the log.
    pub fn text(self) -> &'static str {
        match self {
            Self::SeveralLengths => "there are several Content-Length fields",
            Self::LengthMalformed => "Content-Length is not a plain number",
            Self::LengthAndEncoding => "there are both Content-Length and Transfer-Encoding",
            Self::EncodingMalformed => "Transfer-Encoding does not say where the body ends",
            Self::EncodingInHttp10 => "an HTTP/1.0 message has a Transfer-Encoding",
            Self::FramingFieldMalformed => "a line that sets the length is malformed",
            Self::ChunkSizeMalformed => "a chunk has a malformed size",
            Self::ChunkEndMalformed => "a chunk does not end where its size says",
            Self::NotHttp => "what was sent is not HTTP/1",
            Self::HeadTooLarge => "the head is larger than what is recorded of heads",
            Self::ResponseUnasked => "a response came that answers no request",
            Self::TooMuchBeforeUpgrade => "the client went on before its upgrade was answered",
            Self::AnsweredEarly => "the answer came before the head of the request was complete",
        }
    }
}

/// What a response framer has to know of the request that is answered next (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// No request is waiting for an answer.
    Nothing,
    /// A HEAD request, whose answer has no body.
    Head,
    /// A CONNECT request, whose success starts a tunnel.
    Connect,
    /// Any other request.
    Other,
}

/// Reads along with one direction of a connection.
pub struct Framer {
    kind: Kind,
    limit: usize,
    state: State,
    /// What comes behind the message that the stream stands in.
    then: After,
    /// The unfinished head or trailers.
    held: Vec<u8>,
    /// The size of the unfinished head on the wire, of which `held` may have just the start.
    held_size: u64,
    /// How much of the empty line that ends a head has been seen.
    line: LineEnd,
    /// The head that may come next.
    expected: Option<RawHead>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Body(u64),
    UntilClose,
    ChunkSize { size: u64, digits: u8, part: SizePart },
    ChunkData(u64),
    ChunkEnd { cr: bool },
    Trailers,
    Done,
    Undecided,
    Failed(Lost),
    Opaque,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Head,
    Undecided,
    Opaque,
}

/// Where in the line of a chunk's size (RFC 9112 7.1) the stream stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SizePart {
    Digits,
    Extension,
    Cr,
}

/// What the last bytes of a head were, to find its end across slices.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    /// Nothing but empty lines so far.
    Start,
    /// Within a line.
    Inside,
    /// Right behind a line's LF.
    Lf,
    /// Behind a line's LF and a CR.
    LfCr,
}

impl Framer {
    /// A framer for what a client sends. Of each head at most `limit` bytes are kept.
    pub fn of_requests(limit: usize) -> Self {
        Self::new(Kind::Request, limit)
    }

    /// A framer for what a server sends.
    pub fn of_responses(limit: usize) -> Self {
        Self::new(Kind::Response, limit)
    }

    fn new(kind: Kind, limit: usize) -> Self {
        Framer {
            kind,
            limit,
            state: State::Head,
            then: After::Head,
            held: Vec::new(),
            held_size: 0,
            line: LineEnd::Start,
            expected: None,
        }
    }

    /// Names a head that may come next, since it came before in the same direction. If it does, byte by byte, it is not read
    /// again but given out as it is. Whatever else comes is read as ever.
    pub fn expect(&mut self, head: Option<RawHead>) {
        self.expected = head;
    }

    /// Takes what it can from the front of `input` and says what it was. To be called until it answers [`Step::More`].
    ///
    /// `answers` is of use for responses only: the request that the next response head will answer.
    pub fn next<'a>(&mut self, input: &mut &'a [u8], answers: Answers) -> Step<'a> {
        loop {
            if self.state == State::Done {
                self.state = match self.then {
                    After::Head => State::Head,
                    After::Undecided => State::Undecided,
                    After::Opaque => State::Opaque,
                };
                return Step::End;
            }
            if let State::Failed(why) = self.state {
                self.state = State::Opaque;
                return Step::Lost(why);
            }
            if input.is_empty() {
                return Step::More;
            }
            match self.state {
                State::Head => {
                    if let Some(step) = self.head(input, answers) {
                        return step;
                    }
                }
                State::Body(left) => return self.body(input, left),
                State::UntilClose => return Step::Body(take(input, usize::MAX)),
                State::ChunkSize { size, digits, part } => self.chunk_size(input, size, digits, part),
                State::ChunkData(left) => return self.chunk_data(input, left),
                State::ChunkEnd { cr } => self.chunk_end(input, cr),
                State::Trailers => {
                    if let Some(step) = self.trailers(input) {
                        return step;
                    }
                }
                State::Done | State::Failed(_) => {}
                State::Undecided => return Step::Undecided(take(input, usize::MAX)),
                State::Opaque => return Step::Opaque(take(input, usize::MAX)),
            }
        }
    }

    /// Whether the stream stands between two messages.
    pub fn is_between_messages(&self) -> bool {
        matches!(self.state, State::Head) && self.held_size == 0
    }

    /// Whether nothing of the next message has come but empty lines, which RFC 9112 2.2 lets a client send before a request.
    pub fn is_before_message(&self) -> bool {
        matches!(self.state, State::Head) && self.line == LineEnd::Start
    }

    /// Whether the stream stands within a head or trailers that may still be held back.
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head) && self.held_size > 0
    }

    /// The size so far of the head that the stream stands in.
    pub fn head_size(&self) -> u64 {
        self.held_size
    }

    /// Whether the body goes on until the connection closes.
    pub fn is_until_close(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Whether nothing that comes has a meaning any more.
    pub fn is_opaque(&self) -> bool {
        matches!(self.state, State::Opaque | State::Failed(_))
    }

    /// Whether another protocol was agreed on by the message that just ended.
    pub fn is_going_opaque(&self) -> bool {
        self.then == After::Opaque
    }

    /// Whether the meaning of what comes depends on the answer to an upgrade.
    pub fn is_undecided(&self) -> bool {
        self.then == After::Undecided
    }

    /// The upgrade was refused: what comes next, and what was [`Step::Undecided`], is HTTP/1.
    pub fn resume(&mut self) {
        if self.state == State::Undecided {
            self.state = State::Head;
        }
        if self.then == After::Undecided {
            self.then = After::Head;
        }
    }

    /// The other direction agreed to another protocol, or can't be followed: from here on all is opaque.
    pub fn stop(&mut self) {
        self.forget_held();
        self.state = State::Opaque;
    }

    /// What there is of a head or trailers that never came to their end, when the stream ends here.
    pub fn take_unfinished(&mut self) -> Option<RawHead> {
        let kind = match self.state {
            State::Head => self.kind,
            State::Trailers => Kind::Trailers,
            _ => return None,
        };
        (self.held_size > 0 && self.line != LineEnd::Start).then(|| self.take_head(kind))
    }

    fn head<'a>(&mut self, input: &mut &'a [u8], answers: Answers) -> Option<Step<'a>> {
        let expected = self.expected.take();
        if self.held_size == 0 {
            // A whole head ends with an empty line, so what begins with all of it can't be the start of another one.
            let is_here = |head: &RawHead| {
                let bytes = head.as_received();
                head.is_clean() && bytes.len() <= self.limit && input.starts_with(bytes)
            };
            if let Some(head) = expected.filter(is_here) {
                take(input, head.as_received().len());
                return Some(self.begin(head, answers));
            }
            let within_limit = input.get(..self.limit).unwrap_or(input);
            if let Some((head, size)) = read_clean(within_limit, self.kind) {
                take(input, size);
                return Some(self.begin(head, answers));
            }
        }
        let (used, complete) = self.scan(input);
        self.hold(take(input, used));
        complete.then(|| {
            let head = self.take_head(self.kind);
            self.begin(head, answers)
        })
    }

    /// Finds out what follows a head.
    fn begin<'a>(&mut self, head: RawHead, answers: Answers) -> Step<'a> {
        let follows = match self.kind {
            Kind::Request => Self::after_request(&head),
            _ => Self::after_response(&head, answers),
        };
        let interim = self.kind == Kind::Response && matches!(head.status(), Some(100 | 102..200));
        self.state = match follows {
            _ if interim => State::Head,
            Ok((length, then)) => {
                self.then = then;
                match length {
                    Length::None | Length::Bytes(0) => State::Done,
                    Length::Bytes(left) => State::Body(left),
                    Length::Chunked => State::ChunkSize { size: 0, digits: 0, part: SizePart::Digits },
                    Length::UntilClose => State::UntilClose,
                }
            }
            Err(why) => State::Failed(why),
        };
        if interim { Step::Interim(head) } else { Step::Head(head) }
    }

    fn after_request(head: &RawHead) -> Result<(Length, After), Lost> {
        let line = head.request_line();
        if head.is_cut() {
            return Err(Lost::HeadTooLarge);
        }
        if !line.version.starts_with(b"HTTP/1.") {
            return Err(Lost::NotHttp);
        }
        let then = if line.method == b"CONNECT" || head.has("upgrade") { After::Undecided } else { After::Head };
        match declared(head)? {
            Some(Length::UntilClose) => Err(Lost::EncodingMalformed),
            length => Ok((length.unwrap_or(Length::None), then)),
        }
    }

    fn after_response(head: &RawHead, answers: Answers) -> Result<(Length, After), Lost> {
        if answers == Answers::Nothing {
            return Err(Lost::ResponseUnasked);
        }
        let Some(status) = head.status().filter(|_| head.start_line().starts_with(b"HTTP/1.")) else {
            return Err(Lost::NotHttp);
        };
        match (status, answers) {
            (101, _) | (200..300, Answers::Connect) => return Ok((Length::None, After::Opaque)),
            (204 | 304, _) | (_, Answers::Head) => return Ok((Length::None, After::Head)),
            _ if head.is_cut() => return Err(Lost::HeadTooLarge),
            _ => {}
        }
        Ok((declared(head)?.unwrap_or(Length::UntilClose), After::Head))
    }

    /// How many bytes of `input` belong to the head, and whether it is complete with them.
    fn scan(&mut self, input: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(byte) = input.get(at) {
            self.line = match (self.line, byte) {
                (LineEnd::Start, b'\r' | b'\n') => LineEnd::Start,
                (LineEnd::Lf | LineEnd::LfCr, b'\n') => return (at + 1, true),
                (LineEnd::Lf, b'\r') => LineEnd::LfCr,
                _ => match memchr::memchr(b'\n', input.get(at..).unwrap_or_default()) {
                    Some(lf) => {
                        at += lf;
                        LineEnd::Lf
                    }
                    None => {
                        self.line = LineEnd::Inside;
                        return (input.len(), false);
                    }
                },
            };
            at += 1;
        }
        (input.len(), false)
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.held_size += bytes.len() as u64;
        let room = self.limit.saturating_sub(self.held.len()).min(bytes.len());
        self.held.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    fn take_head(&mut self, kind: Kind) -> RawHead {
        let size = self.held_size;
        let bytes = Bytes::from(std::mem::take(&mut self.held));
        self.forget_held();
        read_any(bytes, kind, size)
    }

    fn forget_held(&mut self) {
        self.held = Vec::new();
        self.held_size = 0;
        self.line = LineEnd::Start;
    }

    fn body<'a>(&mut self, input: &mut &'a [u8], left: u64) -> Step<'a> {
        let piece = take(input, usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - piece.len() as u64;
        self.state = if left == 0 { State::Done } else { State::Body(left) };
        Step::Body(piece)
    }

    fn chunk_size(&mut self, input: &mut &[u8], mut size: u64, mut digits: u8, mut part: SizePart) {
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            match (part, byte) {
                (SizePart::Digits, byte) if byte.is_ascii_hexdigit() && digits < 15 => {
                    let digit = (*byte as char).to_digit(16).unwrap_or_default();
                    size = size << 4 | u64::from(digit);
                    digits += 1;
                }
                (SizePart::Digits, b';' | b' ' | b'\t') if digits > 0 => part = SizePart::Extension,
                (SizePart::Digits, b'\r') if digits > 0 => part = SizePart::Cr,
                (SizePart::Extension, b'\r') => part = SizePart::Cr,
                (SizePart::Extension, byte) if *byte != b'\n' => {}
                (SizePart::Cr, b'\n') => {
                    self.line = LineEnd::Lf;
                    self.state = if size == 0 { State::Trailers } else { State::ChunkData(size) };
                    return;
                }
                _ => {
                    self.state = State::Failed(Lost::ChunkSizeMalformed);
                    return;
                }
            }
        }
        self.state = State::ChunkSize { size, digits, part };
    }

    fn chunk_data<'a>(&mut self, input: &mut &'a [u8], left: u64) -> Step<'a> {
        let piece = take(input, usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - piece.len() as u64;
        self.state = if left == 0 { State::ChunkEnd { cr: false } } else { State::ChunkData(left) };
        Step::Body(piece)
    }

    fn chunk_end(&mut self, input: &mut &[u8], cr: bool) {
        let Some((byte, rest)) = input.split_first() else { return };
        *input = rest;
        self.state = match (cr, byte) {
            (false, b'\r') => State::ChunkEnd { cr: true },
            (true, b'\n') => State::ChunkSize { size: 0, digits: 0, part: SizePart::Digits },
            _ => State::Failed(Lost::ChunkEndMalformed),
        };
    }

    fn trailers<'a>(&mut self, input: &mut &'a [u8]) -> Option<Step<'a>> {
        let (used, complete) = self.scan(input);
        self.hold(take(input, used));
        if !complete {
            return None;
        }
        self.state = State::Done;
        // The empty line alone: there are no trailers.
        if self.held_size <= 2 {
            self.forget_held();
            return None;
        }
        Some(Step::Trailers(self.take_head(Kind::Trailers)))
    }
}

/// Takes up to `most` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    front
}
