//! HTTP/2 by the byte (RFC 9113), for peers that break its rules as no library would.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::DEADLINE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PROTOCOL_ERROR: u32 = 1;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it is sent.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    assert_eq!(length[0], 0, "too long for a frame");
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A setting by its number.
pub fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (number, value) in all {
        payload.extend(number.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn goaway(last_stream: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last_stream.to_be_bytes(), code.to_be_bytes()].concat())
}

pub fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// A field as HPACK has it without a table and without compression (RFC 7541 6.2.2).
pub fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// A field that goes into the table as its newest entry, which has the number 62 then (RFC 7541 6.2.1).
pub fn field_to_keep(name: &str, value: &str) -> Vec<u8> {
    [&[0x40][..], &text(name), &text(value)].concat()
}

/// The newest entry of the table, in one byte.
pub const KEPT_FIELD: u8 = 0x80 | 62;

fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text.len() {
        short @ ..127 => bytes.push(short as u8),
        long => {
            bytes.push(127);
            let mut rest = long - 127;
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
    }
    bytes.extend(text.bytes());
    bytes
}

/// The fields that every request begins with.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    [field(":method", method), field(":scheme", "http"), field(":path", path), field(":authority", "a")].concat()
}

pub fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &request("GET", path))
}

/// Digits in the code of RFC 7541 appendix B: 0 to 2 have five bits, the others six; the rest of a byte is ones.
fn compressed_digits(digits: &str) -> Vec<u8> {
    let mut bits = String::new();
    for digit in digits.bytes().map(|byte| byte - b'0') {
        bits.push_str(&if digit < 3 { format!("{digit:05b}") } else { format!("{:06b}", digit + 22) });
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    (0..bits.len()).step_by(8).map(|at| u8::from_str_radix(&bits[at..at + 8], 2).unwrap()).collect()
}

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a reset or a GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// Whether it is the head of an answer with that status, compressed as libraries do the first time.
    pub fn has_status(&self, status: &str) -> bool {
        let code = compressed_digits(status);
        self.kind == HEADERS && self.payload.windows(code.len()).any(|part| part == code)
    }

    /// The numbers and values of settings.
    pub fn settings(&self) -> BTreeMap<u16, u32> {
        let pair = |pair: &[u8]| {
            let (number, value) = pair.split_at(2);
            (u16::from_be_bytes(number.try_into().unwrap()), u32::from_be_bytes(value.try_into().unwrap()))
        };
        self.payload.chunks(6).map(pair).collect()
    }

    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// Reads a frame; nothing where the peer ends or resets the connection instead.
pub fn read_frame(from: &mut impl Read) -> Option<Frame> {
    let mut head = [0; 9];
    read_or_end(from, &mut head)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let mut payload = vec![0; length];
    read_or_end(from, &mut payload)?;
    let stream = u32::from_be_bytes(head[5..9].try_into().unwrap()) & 0x7fff_ffff;
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

fn read_or_end(from: &mut impl Read, buffer: &mut [u8]) -> Option<()> {
    match from.read_exact(buffer) {
        Ok(()) => Some(()),
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => None,
        Err(error) => panic!("read a frame: {error}"),
    }
}

/// A client that sends whatever frames it is told to, and acknowledges nothing by itself.
pub struct RawClient(TcpStream);

impl RawClient {
    /// Says the preface, with these settings.
    pub fn connect(addr: SocketAddr, own: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let mut client = RawClient(stream);
        client.send(&[PREFACE, &settings(own)].concat());
        client
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Sends until the peer takes no more for that long, or leaves; at most so many times. Gives how often it was taken.
    pub fn flood(&mut self, bytes: &[u8], most: usize, patience: Duration) -> usize {
        self.0.set_write_timeout(Some(patience)).unwrap();
        let taken = (0..most).take_while(|_| self.0.write_all(bytes).is_ok()).count();
        self.0.set_write_timeout(Some(DEADLINE)).unwrap();
        taken
    }

    /// The next frame, whatever it is.
    pub fn read_any(&mut self) -> Option<Frame> {
        read_frame(&mut self.0)
    }

    /// The next frame that is no greeting: no SETTINGS, no WINDOW_UPDATE and no PING.
    pub fn read(&mut self) -> Option<Frame> {
        loop {
            let frame = read_frame(&mut self.0)?;
            if !matches!(frame.kind, SETTINGS | WINDOW_UPDATE | PING) {
                return Some(frame);
            }
        }
    }

    /// Reads up to the first frame of that kind. The peer must not leave before.
    #[track_caller]
    pub fn read_until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.read().expect("the connection ended too early");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Reads until the stream ends, and gives how many bytes its body had.
    #[track_caller]
    pub fn read_body(&mut self, stream: u32) -> usize {
        let mut size = 0;
        loop {
            let frame = self.read().expect("the connection ended too early");
            assert_ne!((frame.kind, frame.stream), (RST_STREAM, stream), "the stream was reset: {}", frame.code());
            if frame.kind == DATA && frame.stream == stream {
                size += frame.payload.len();
            }
            if frame.stream == stream && frame.ends_stream() {
                return size;
            }
        }
    }
}

/// What a server finds at the start of a connection, and its own SETTINGS. False if the peer leaves before.
pub fn greet(peer: &mut (impl Read + Write), own: &[(u16, u32)]) -> bool {
    let mut preface = vec![0; PREFACE.len()];
    if read_or_end(peer, &mut preface).is_none() {
        return false;
    }
    assert_eq!(preface, PREFACE);
    peer.write_all(&settings(own)).is_ok()
}

/// The next HEADERS that the server gets; acknowledges settings and pings on the way.
pub fn next_request(peer: &mut (impl Read + Write)) -> Option<u32> {
    loop {
        let frame = read_frame(peer)?;
        match frame.kind {
            HEADERS => return Some(frame.stream),
            SETTINGS | PING if frame.flags & ACK == 0 => {
                let payload = if frame.kind == PING { &frame.payload[..] } else { &[] };
                peer.write_all(&self::frame(frame.kind, ACK, 0, payload)).ok()?;
            }
            _ => {}
        }
    }
}

/// The head of an answer.
pub fn answer(stream: u32, status: &str, flags: u8) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &field(":status", status))
}
