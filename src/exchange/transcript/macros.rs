//! What stands in braces within a line of a transcript.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// The line as bytes, with what stands in braces replaced. Braces that are no macro stay.
pub(super) fn expand(line: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        bytes.extend_from_slice(before.as_bytes());
        let Some((name, kind)) = KINDS.iter().find(|(name, _)| is_macro(from, name)) else {
            bytes.push(b'{');
            rest = from.get(1..).unwrap_or_default();
            continue;
        };
        let end = closing(from).ok_or_else(|| format!("`{{{name}` is never closed"))?;
        let argument = from.get(name.len() + 2..end).unwrap_or_default();
        bytes.extend(kind(argument)?);
        rest = from.get(end + 1..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

type Kind = fn(&str) -> Result<Vec<u8>, String>;

const KINDS: [(&str, Kind); 5] = [("basic", base64), ("base64", base64), ("hex", hex), ("jwt", jwt), ("ntlm", ntlm)];

fn is_macro(text: &str, name: &str) -> bool {
    text.strip_prefix('{').and_then(|text| text.strip_prefix(name)).is_some_and(|rest| rest.starts_with(' '))
}

/// The place of the brace that closes the first one.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn base64(text: &str) -> Result<Vec<u8>, String> {
    Ok(STANDARD.encode(expand(text)?).into_bytes())
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> =
        text.chars().filter_map(|char| char.to_digit(16)).filter_map(|digit| digit.try_into().ok()).collect();
    if digits.len() != text.trim().len() || !digits.len().is_multiple_of(2) {
        return Err(format!("`{text}` is not an even number of hexadecimal digits"));
    }
    Ok(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect())
}

fn ntlm(text: &str) -> Result<Vec<u8>, String> {
    let step: u8 = text.trim().parse().map_err(|_| format!("`{text}` is not the number of a message"))?;
    let message = [b"NTLMSSP\0", &[step, 0, 0, 0][..], &[0x42; 40]].concat();
    Ok(STANDARD.encode(message).into_bytes())
}

fn jwt(text: &str) -> Result<Vec<u8>, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut next = || {
        let start = values.byte_offset();
        let value = values.next()?.ok()?;
        Some((text.get(start..values.byte_offset())?.trim(), value))
    };
    let malformed = || "a token is made of a header and claims, both JSON objects".to_owned();
    let (header, header_value) = next().ok_or_else(malformed)?;
    let (claims, _) = next().ok_or_else(malformed)?;
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let alg = header_value.get("alg").and_then(Value::as_str).unwrap_or_default();
    let signature = match next() {
        None => encode(&signature(signature_length(alg))),
        Some((_, Value::String(text))) => text,
        Some((_, length)) => encode(&signature(length.as_u64().and_then(|n| n.try_into().ok()).unwrap_or_default())),
    };
    Ok(format!("{}.{}.{signature}", encode(header.as_bytes()), encode(claims.as_bytes())).into_bytes())
}

/// RFC 7518 3.1 and RFC 8037 3.1, with RSA keys of 2048 bits.
fn signature_length(alg: &str) -> usize {
    match alg {
        "none" => 0,
        "HS256" => 32,
        "HS384" => 48,
        "ES256" | "ES256K" | "EdDSA" | "HS512" => 64,
        "ES384" => 96,
        "ES512" => 132,
        _ => 256,
    }
}

/// Bytes that look like a signature and are none.
fn signature(length: usize) -> Vec<u8> {
    (0..length.min(4096)).map(|at| (at * 151 + 7) as u8).collect()
}
