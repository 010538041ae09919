//! What is kept of a body: its size, and the start of the few that are evidence.

use std::io::Read;

use bytes::Bytes;
use memchr::memmem;

use super::payload;
use super::view::path_of;
use crate::wire::RawHead;

/// How much of a body's text is kept as evidence.
pub const TEXT_KEPT: usize = 4 * 1024;

/// How much of a compressed body is kept, to be unpacked later.
pub const PACKED_KEPT: usize = 64 * 1024;

/// The largest JSON of a success that is kept whole: an error's envelope is small, and data is mostly larger.
pub const SMALL_JSON: usize = 512;

/// How much of an answer's body is evidence, by both heads alone: the text of a refusal, and of the successes the few in
/// which a refusal or a login's description may stand. 0 where nothing of it is to be kept.
pub fn kept_of_answer(request: &RawHead, answer: &RawHead, status: u16) -> usize {
    let kind = || answer.value("content-type").map(<[u8]>::to_ascii_lowercase);
    let is_evidence = match status {
        400..500 => kind().is_none_or(|kind| is_textual(&kind)),
        200 => kind().is_some_and(|kind| is_evidence_of_success(request, answer, &kind)),
        _ => false,
    };
    match (is_evidence, answer.has("content-encoding")) {
        (false, _) => 0,
        (true, false) => TEXT_KEPT,
        (true, true) => PACKED_KEPT,
    }
}

fn is_textual(kind: &[u8]) -> bool {
    kind.starts_with(b"text/")
        || [&b"json"[..], b"xml", b"x-www-form-urlencoded"].iter().any(|word| memmem::find(kind, word).is_some())
}

/// Whether the body of a success says something about the login: metadata of OAuth, a page in place of data, or so little
/// JSON that it may be an error. What hands out secrets is left alone, as far as the request shows it.
fn is_evidence_of_success(request: &RawHead, answer: &RawHead, kind: &[u8]) -> bool {
    let is_json = memmem::find(kind, b"json").is_some();
    let is_page = kind.starts_with(b"text/html");
    if !is_json && !is_page {
        return false;
    }
    let line = request.request_line();
    if is_metadata(path_of(line.target)) {
        return is_json && line.method == b"GET";
    }
    let is_small = || {
        let length = answer.value("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        length.is_some_and(|length: usize| length <= SMALL_JSON)
    };
    let is_about_login = if is_json { is_small() } else { is_api_request(request) };
    is_about_login && !hands_out_secrets(request)
}

/// Whether a path is one of the public documents that describe a login (RFC 8414 3, RFC 9728 3, OpenID Connect Discovery 4).
fn is_metadata(path: &[u8]) -> bool {
    [&b"/.well-known/oauth-"[..], b"/.well-known/openid-configuration"]
        .iter()
        .any(|place| memmem::find(path, place).is_some())
}

/// Whether the answer may hold tokens, keys or passwords, by the words of the path and the form that was sent.
fn hands_out_secrets(request: &RawHead) -> bool {
    const WORDS: [&[u8]; 14] = [
        b"token",
        b"oauth",
        b"auth",
        b"login",
        b"signin",
        b"sign-in",
        b"session",
        b"introspect",
        b"revoke",
        b"password",
        b"secret",
        b"credential",
        b"key",
        b"jwt",
    ];
    let path = path_of(request.request_line().target).to_ascii_lowercase();
    let is_form = request.value("content-type").is_some_and(|kind| {
        let form = b"application/x-www-form-urlencoded";
        kind.get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form))
    });
    is_form || WORDS.iter().any(|word| memmem::find(&path, word).is_some())
}

/// Whether a program asks that can't read a page: it wants JSON, is a script, or has a token. Who takes HTML may get it.
pub fn is_api_request(request: &RawHead) -> bool {
    let accept = request.value("accept").unwrap_or_default().to_ascii_lowercase();
    let is_navigation = request.value("sec-fetch-mode").is_some_and(|mode| mode.eq_ignore_ascii_case(b"navigate"));
    // Pieces of pages are what such a script asks for.
    let takes_html = memmem::find(&accept, b"html").is_some() || request.has("hx-request");
    if is_navigation || takes_html {
        return false;
    }
    let is_script = request.value("x-requested-with").is_some_and(|with| with.eq_ignore_ascii_case(b"xmlhttprequest"))
        || request.value("sec-fetch-mode").is_some_and(|mode| mode.eq_ignore_ascii_case(b"cors"));
    let has_token = request
        .value("authorization")
        .and_then(|value| value.get(..7))
        .is_some_and(|start| start.eq_ignore_ascii_case(b"bearer "));
    accept.starts_with(b"application/json") || is_script || has_token
}

/// A body that passed.
#[derive(Clone, Default)]
pub struct Body {
    /// Its size in bytes, without the framing of chunks; what passed of it where it broke off.
    pub size: u64,
    /// Its first bytes as they passed, where they are evidence: of a refusal's text, of a form, of the few successes that
    /// [`kept_of_answer`] names.
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
        if memchr::memchr(0, &unpacked).is_some() {
            return None;
        }
        Some(String::from_utf8(unpacked).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
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

    /// How much is kept of an answer that has `fields`, to a request with that start line and those fields.
    fn kept(line: &str, sent: &[(&str, &str)], status: u16, fields: &[(&str, &str)]) -> usize {
        let head = |line: &str, fields: &[(&str, &str)]| {
            RawHead::from_fields(line, fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
        };
        kept_of_answer(&head(line, sent), &head("HTTP/1.1 200 OK", fields), status)
    }

    const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");
    const HTML: (&str, &str) = ("Content-Type", "text/html");
    const SMALL: (&str, &str) = ("Content-Length", "40");
    const WANTS_JSON: (&str, &str) = ("Accept", "application/json");

    #[test]
    fn refusals_are_kept_as_far_as_they_are_text() {
        let line = "GET /oauth2/token HTTP/1.1";
        assert_eq!(kept(line, &[], 401, &[JSON]), TEXT_KEPT);
        assert_eq!(kept(line, &[], 404, &[]), TEXT_KEPT);
        assert_eq!(kept(line, &[], 403, &[HTML, ("Content-Encoding", "gzip")]), PACKED_KEPT);
        assert_eq!(kept(line, &[], 403, &[("Content-Type", "image/png")]), 0);
        assert_eq!(kept(line, &[], 500, &[JSON, SMALL]), 0);
    }

    #[test]
    fn of_successes_only_what_is_about_a_login_is_kept() {
        let metadata = "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1";
        assert_eq!(kept(metadata, &[], 200, &[JSON]), TEXT_KEPT);
        assert_eq!(kept("GET /realms/a/.well-known/openid-configuration HTTP/1.1", &[], 200, &[JSON]), TEXT_KEPT);
        assert_eq!(kept(metadata, &[], 200, &[HTML]), 0);
        assert_eq!(kept("POST /.well-known/oauth-protected-resource HTTP/1.1", &[], 200, &[JSON]), 0);

        let api = "GET /v1/orders HTTP/1.1";
        assert_eq!(kept(api, &[WANTS_JSON], 200, &[HTML]), TEXT_KEPT);
        assert_eq!(kept(api, &[("Authorization", "bearer abc")], 200, &[HTML]), TEXT_KEPT);
        assert_eq!(kept(api, &[("X-Requested-With", "XMLHttpRequest")], 200, &[HTML]), TEXT_KEPT);
        assert_eq!(kept(api, &[], 200, &[HTML]), 0);
        assert_eq!(kept(api, &[("Accept", "text/html, */*"), ("Sec-Fetch-Mode", "cors")], 200, &[HTML]), 0);
        assert_eq!(kept(api, &[WANTS_JSON, ("Sec-Fetch-Mode", "navigate")], 200, &[HTML]), 0);

        assert_eq!(kept(api, &[], 200, &[JSON, SMALL]), TEXT_KEPT);
        assert_eq!(kept(api, &[WANTS_JSON], 200, &[JSON, ("Content-Length", "513")]), 0);
        assert_eq!(kept(api, &[WANTS_JSON], 200, &[JSON]), 0);
        assert_eq!(kept(api, &[], 206, &[JSON, SMALL]), 0);
    }

    #[test]
    fn what_hands_out_secrets_is_never_kept() {
        for path in ["/oauth2/token", "/connect/Token?x", "/api/refreshToken", "/v1/api-keys", "/login", "/userAuth/1"]
        {
            assert_eq!(kept(&format!("POST {path} HTTP/1.1"), &[WANTS_JSON], 200, &[JSON, SMALL]), 0, "{path}");
            assert_eq!(kept(&format!("GET {path} HTTP/1.1"), &[WANTS_JSON], 200, &[HTML]), 0, "{path}");
        }
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        assert_eq!(kept("POST /as HTTP/1.1", &[form], 200, &[JSON, SMALL]), 0);
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
