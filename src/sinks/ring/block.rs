//! Records that came one behind the other, as text or packed.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// What a block takes beside its text.
const OVERHEAD: usize = 128;

/// The block to which records are added.
#[derive(Clone, Default)]
pub(super) struct Open {
    first: u64,
    size: usize,
    text: Vec<u8>,
    ends: Vec<u32>,
}

impl Open {
    /// An empty one, for records from that number on, which counts as full at that size.
    pub(super) fn new(first: u64, size: usize) -> Self {
        Open { first, size, text: Vec::new(), ends: Vec::new() }
    }

    pub(super) fn put(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= self.size
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number of the record that comes next.
    pub(super) fn next(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// Bytes that it takes.
    pub(super) fn memory(&self) -> usize {
        OVERHEAD + self.text.capacity() + 4 * self.ends.capacity()
    }

    pub(super) fn close(self) -> Block {
        let Open { first, mut text, ends, .. } = self;
        text.shrink_to_fit();
        Block { first, ends: ends.into(), text: Text::Plain(text) }
    }
}

/// Records that do not change any more.
pub(super) struct Block {
    /// The number of its first record.
    pub(super) first: u64,
    /// Where each of them ends.
    ends: Box<[u32]>,
    text: Text,
}

enum Text {
    Plain(Vec<u8>),
    Packed(Vec<u8>),
}

impl Block {
    /// How many records it has.
    pub(super) fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    pub(super) fn has(&self, number: u64) -> bool {
        (self.first..self.first + self.len()).contains(&number)
    }

    /// Bytes that it takes.
    pub(super) fn memory(&self) -> usize {
        let (Text::Plain(text) | Text::Packed(text)) = &self.text;
        OVERHEAD + text.capacity() + 4 * self.ends.len()
    }

    /// The same, packed; nothing where it is already, or where that saves nothing.
    pub(super) fn packed(&self) -> Option<Self> {
        let Text::Plain(text) = &self.text else { return None };
        let mut packer = DeflateEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
        packer.write_all(text).ok()?;
        let mut packed = packer.finish().ok()?;
        packed.shrink_to_fit();
        let is_smaller = packed.len() < text.len();
        is_smaller.then(|| Block { first: self.first, ends: self.ends.clone(), text: Text::Packed(packed) })
    }

    /// The text of all records, to be given to [`Block::line`].
    pub(super) fn text(&self) -> Vec<u8> {
        match &self.text {
            Text::Plain(text) => text.clone(),
            Text::Packed(packed) => {
                let mut text = Vec::with_capacity(self.ends.last().map_or(0, |end| *end as usize));
                // It was packed here, so it can be unpacked; what could not would be missing lines.
                let _ = DeflateDecoder::new(packed.as_slice()).read_to_end(&mut text);
                text
            }
        }
    }

    /// The line of a record, without its end.
    pub(super) fn line<'t>(&self, text: &'t [u8], number: u64) -> Option<&'t [u8]> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1)? as usize };
        let line = text.get(start..*self.ends.get(at)? as usize)?;
        Some(line.strip_suffix(b"\n").unwrap_or(line))
    }
}
