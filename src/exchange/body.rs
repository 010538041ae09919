//! What is kept of a body: its size, and the start of the few that are evidence.

use std::io::Read;

use bytes::Bytes;

use super::payload;
use crate::wire::RawHead;

/// How much of a body's text is kept as evidence.
pub const TEXT_KEPT: usize = 4 * 1024;

/// How much of a compressed body is kept, to be unpacked later.
pub const PACKED_KEPT: usize = 64 * 1024;

/// A body that passed.
#[derive(Clone, Default)]
pub struct Body {
    /// Its size in bytes, without the framing of chunks; what passed of it where it broke off.
    pub size: u64,
    /// Its first bytes as they passed, where they are evidence: of a refusal's text, of a form.
    pub start: Option<Bytes>,
    /// Whether that start is unpacked already, whatever Content-Encoding says.
    pub is_unpacked: bool,
    /// Its SHA-256, where the whole of it passed and the head names such a hash ([`payload::named`]).
    pub sha256: Option<payload::Hash>,
}

impl Body {
    /// How much memory it takes.
    pub(super) fn memory(&self) -> usize {
        self.start.as_ref().map_or(0, Bytes::len)
    }

    /// The kept start as text, unpacked, at most [`TEXT_KEPT`] bytes of it. `None` where nothing was kept, where it is
    /// packed in a way that is not known, or where it is no text.
    pub fn text(&self, head: &RawHead) -> Option<String> {
        let start = self.start.as_ref().filter(|start| !start.is_empty())?;
        let codings: Vec<&[u8]> = if self.is_unpacked { Vec::new() } else { head.values("content-encoding").collect() };
        let unpacked = match codings.as_slice() {
            [] => start.slice(..start.len().min(TEXT_KEPT)).to_vec(),
            [coding] => unpack(&coding.trim_ascii().to_ascii_lowercase(), start)?,
            _ => return None,
        };
        let text = String::from_utf8_lossy(&unpacked);
        (!text.contains('\0')).then(|| text.into_owned())
    }
}

/// The first [`TEXT_KEPT`] bytes of what was packed; as far as they can be had where the packed bytes are cut.
fn unpack(coding: &[u8], packed: &[u8]) -> Option<Vec<u8>> {
    match coding {
        b"identity" => Some(read_start(packed)),
        b"gzip" | b"x-gzip" => Some(read_start(flate2::read::MultiGzDecoder::new(packed))),
        // Named deflate, it is zlib's format (RFC 9110 8.4.1.2), and some send the bare stream.
        b"deflate" if packed.first().is_some_and(|byte| byte & 0x0f == 8) => {
            Some(read_start(flate2::read::ZlibDecoder::new(packed)))
        }
        b"deflate" => Some(read_start(flate2::read::DeflateDecoder::new(packed))),
        b"br" => Some(read_start(brotli_decompressor::Decompressor::new(packed, TEXT_KEPT))),
        b"zstd" => ruzstd::decoding::StreamingDecoder::new(packed).ok().map(read_start),
        _ => None,
    }
}

/// Reads up to [`TEXT_KEPT`] bytes. An error ends the text, since a body that was cut ends in one.
fn read_start(mut reader: impl Read) -> Vec<u8> {
    let mut text = vec![0; TEXT_KEPT];
    let mut filled = 0;
    while let Some(space) = text.get_mut(filled..).filter(|space| !space.is_empty()) {
        match reader.read(space) {
            Ok(0) | Err(_) => break,
            Ok(size) => filled += size,
        }
    }
    text.truncate(filled);
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text(coding: &str, packed: Vec<u8>) -> Option<String> {
        let head = RawHead::from_fields("", [(&b"Content-Encoding"[..], coding.as_bytes())].into_iter());
        Body { size: packed.len() as u64, start: Some(packed.into()), is_unpacked: false, sha256: None }.text(&head)
    }

    #[test]
    fn packed_texts_are_unpacked() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(b"no token").unwrap();
        let packed = gzip.finish().unwrap();
        assert_eq!(text("gzip", packed.clone()).unwrap(), "no token");

        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(b"no token").unwrap();
        assert_eq!(text("deflate", zlib.finish().unwrap()).unwrap(), "no token");

        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::none());
        bare.write_all(b"no token").unwrap();
        assert_eq!(text("Deflate", bare.finish().unwrap()).unwrap(), "no token");

        let zstd = ruzstd::encoding::compress_to_vec(&b"no token"[..], ruzstd::encoding::CompressionLevel::Fastest);
        assert_eq!(text("zstd", zstd).unwrap(), "no token");

        let brotli = [&[0x8b, 0x03, 0x80][..], b"no token", &[0x03]].concat();
        assert_eq!(text("br", brotli).unwrap(), "no token");
    }

    #[test]
    fn of_a_cut_body_there_is_what_came() {
        let words: String = (0..4000).map(|number| format!("word {} ", number * 7919 % 4001)).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(words.as_bytes()).unwrap();
        let packed = gzip.finish().unwrap();
        let got = text("gzip", packed[..packed.len() / 2].to_vec()).unwrap();
        assert!(got.len() == TEXT_KEPT && words.starts_with(&got), "{got}");
    }

    #[test]
    fn a_bomb_gives_no_more_than_is_kept() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b'a'; 10 << 20]).unwrap();
        assert_eq!(text("gzip", gzip.finish().unwrap()).unwrap().len(), TEXT_KEPT);
    }

    #[test]
    fn what_is_no_text_or_packed_unknown_is_left() {
        assert_eq!(text("rot13", b"ab gbxra".to_vec()), None);
        assert_eq!(text("identity", b"a\0b".to_vec()), None);
    }
}
