//! The header that a load balancer puts before a connection to say whose it is: the PROXY protocol, versions 1 and 2.
//!
//! <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>

use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxiedAddress, ProxyHeader};

/// The most bytes that a header of version 1 has, by its definition.
pub const V1_LIMIT: usize = 107;

/// The most bytes of a header of version 2 that are read. It may say that it has 64 KiB; what is sent has hundreds of bytes,
/// or a few thousand where a client's certificate is in it.
pub const V2_LIMIT: usize = 16 * 1024;

const V1_START: &[u8] = b"PROXY ";
const V1_UNKNOWN: &[u8] = b"PROXY UNKNOWN";
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

const MALFORMED: &str = "its PROXY protocol header is malformed";

/// Bytes of version 2 up to the end of its length.
const V2_FIXED: usize = 16;

/// The versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyVersion {
    /// The name by which records call it.
    pub fn id(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

/// A header that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its version.
    pub version: ProxyVersion,
    /// Whose connection it is.
    pub client: Announced,
    /// Whether the client spoke TLS with the sender, where the sender says so.
    pub tls: Option<bool>,
    /// Its length in bytes.
    pub length: usize,
}

/// Whose connection it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// The sender's own, such as a health check, or one of which it does not know more.
    Nobody,
    /// That of a client with this address, which connected to that one.
    Tcp {
        /// The client's address.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
    /// That of a client that came to the sender by a socket of the Unix domain.
    Unix,
}

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The start of a header, all of them.
    More,
    /// A header, perhaps with something behind it.
    Whole(Announcement),
    /// Something else, and what is wrong with it.
    Wrong(&'static str),
}

/// Whether a connection that begins so may begin with a header.
pub fn is_start(bytes: &[u8]) -> bool {
    [V1_START, V2_START].iter().any(|start| start.iter().zip(bytes).all(|(expected, byte)| expected == byte))
}

/// Whether a connection begins with the whole start of a header.
pub fn is_begun(bytes: &[u8]) -> bool {
    [V1_START, V2_START].iter().any(|start| bytes.starts_with(start))
}

/// Reads the header that a connection begins with, of which these are the first bytes.
pub fn read(bytes: &[u8]) -> Reading {
    if !is_start(bytes) {
        return Reading::Wrong("it does not begin with a header of the PROXY protocol");
    }
    let Some(version) = bytes.first().map(|byte| if *byte == b'P' { ProxyVersion::V1 } else { ProxyVersion::V2 })
    else {
        return Reading::More;
    };
    let (known, has_ended) = match version {
        ProxyVersion::V1 => {
            let line = bytes.get(..V1_LIMIT).unwrap_or(bytes);
            let end = line.iter().position(|byte| *byte == b'\n');
            (end.and_then(|end| line.get(..=end)).unwrap_or(line), end.is_some())
        }
        ProxyVersion::V2 => {
            let Some([high, low]) = bytes.get(V2_FIXED - 2..V2_FIXED) else { return Reading::More };
            let length = V2_FIXED + usize::from(u16::from_be_bytes([*high, *low]));
            if length > V2_LIMIT {
                return Reading::Wrong("its PROXY protocol header is longer than 16 KiB");
            }
            (bytes.get(..length).unwrap_or(bytes), bytes.len() >= length)
        }
    };
    // Anything may be behind this word, but the word ends first.
    let behind = known.strip_prefix(V1_UNKNOWN).and_then(<[u8]>::first);
    if behind.is_some_and(|byte| !matches!(byte, b' ' | b'\r')) {
        return Reading::Wrong(MALFORMED);
    }
    let parsed = ProxyHeader::parse(known, ParseConfig::default());
    let (header, length) = match parsed {
        Ok(parsed) => parsed,
        // What has ended is whole, whatever is missing in it.
        Err(proxy_header::Error::BufferTooShort) if !has_ended => return Reading::More,
        Err(_) => return Reading::Wrong(MALFORMED),
    };
    let is_sound = match (version, known.get(..length)) {
        (ProxyVersion::V1, Some(line)) => header.proxied_address().is_none() || has_plain_ports(line),
        (ProxyVersion::V2, Some(block)) => has_whole_fields(block),
        (_, None) => false,
    };
    if !is_sound {
        return Reading::Wrong(MALFORMED);
    }
    let client = match header.proxied_address() {
        Some(address) if address.protocol == Protocol::Stream => {
            Announced::Tcp { source: address.source, destination: address.destination }
        }
        None if version == ProxyVersion::V2 && known.get(12..14) == Some(&[0x21, 0x31]) => Announced::Unix,
        _ => Announced::Nobody,
    };
    let tls = header.ssl().map(|ssl| ssl.client_ssl());
    Reading::Whole(Announcement { version, client, tls, length })
}

/// Whether the ports of a line are written as others read them: a sign or a zero before a number is something else to some.
fn has_plain_ports(line: &[u8]) -> bool {
    let mut ports = line.trim_ascii_end().split(|byte| *byte == b' ').skip(4);
    ports.all(|port| port.iter().all(u8::is_ascii_digit) && (port.len() == 1 || !port.starts_with(b"0")))
}

/// Whether what is behind the addresses of a binary header (types, lengths and values) ends where the header does.
fn has_whole_fields(block: &[u8]) -> bool {
    let addresses = match block.get(V2_FIXED - 4..V2_FIXED - 2) {
        // A connection of the sender's own, of which all else is to be ignored.
        Some([0x20, _]) | None => return true,
        Some(kind) => match kind.last().map(|family| family >> 4) {
            Some(1) => 12,
            Some(2) => 36,
            Some(3) => 216,
            // Of a family that is not named nobody knows where the addresses end.
            _ => return true,
        },
    };
    let mut rest = block.get(V2_FIXED + addresses..).unwrap_or_default();
    while let [_, high, low, behind @ ..] = rest {
        let Some(next) = behind.get(usize::from(u16::from_be_bytes([*high, *low]))..) else { return false };
        rest = next;
    }
    rest.is_empty()
}

/// A header that says whose connection it is; of a client without an address, or with one of another family than the
/// address that it connected to, it says nothing.
pub fn written(version: ProxyVersion, addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    // A listener for both families has the old one's addresses within the new one's.
    let plain = |addr: SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
    let addresses = addresses
        .map(|(source, destination)| (plain(source), plain(destination)))
        .filter(|(source, destination)| source.is_ipv4() == destination.is_ipv4());
    let header = match addresses {
        Some((source, destination)) => ProxyHeader::with_address(ProxiedAddress::stream(source, destination)),
        None => ProxyHeader::with_local(),
    };
    let mut bytes = Vec::with_capacity(64);
    let result = match version {
        ProxyVersion::V1 => header.encode_v1(&mut bytes),
        ProxyVersion::V2 => header.encode_v2(&mut bytes),
    };
    debug_assert!(result.is_ok(), "addresses of one family, and room without end");
    bytes
}

#[cfg(test)]
mod tests {
    use proxy_header::{SslInfo, Tlv};

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn with_tls(is_tls: bool) -> Vec<u8> {
        let addresses = ProxiedAddress::stream(addr("203.0.113.9:4711"), addr("10.0.0.1:443"));
        let mut ssl = SslInfo::new(is_tls, false, false, 0);
        ssl.append_tlv(Tlv::SslVersion("TLSv1.3".into()));
        let tlvs = [Tlv::Authority("api.example".into()), Tlv::Ssl(ssl), Tlv::UniqueId(vec![7; 128].into())];
        let mut bytes = Vec::new();
        ProxyHeader::with_tlvs(Some(addresses), tlvs).encode_v2(&mut bytes).unwrap();
        bytes
    }

    fn tcp(source: &str, destination: &str) -> Announced {
        Announced::Tcp { source: addr(source), destination: addr(destination) }
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = V2_START.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn sound() -> Vec<(Vec<u8>, Announced, Option<bool>)> {
        let v1 = |line: &str| format!("PROXY {line}\r\n").into_bytes();
        vec![
            (v1("TCP4 203.0.113.9 10.0.0.1 4711 80"), tcp("203.0.113.9:4711", "10.0.0.1:80"), None),
            (v1("TCP6 2001:db8::9 ::1 4711 80"), tcp("[2001:db8::9]:4711", "[::1]:80"), None),
            (
                v1("TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"),
                tcp(
                    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                ),
                None,
            ),
            (v1("UNKNOWN"), Announced::Nobody, None),
            (v1("UNKNOWN 203.0.113.9 10.0.0.1 4711 80"), Announced::Nobody, None),
            (
                v2(0x21, 0x11, &[203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 0, 80]),
                tcp("203.0.113.9:4711", "10.0.0.1:80"),
                None,
            ),
            (v2(0x20, 0x00, &[]), Announced::Nobody, None),
            (v2(0x20, 0x11, &[203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 0, 80]), Announced::Nobody, None),
            (v2(0x21, 0x00, &[1, 2, 3]), Announced::Nobody, None),
            (v2(0x21, 0x31, &[0; 216]), Announced::Unix, None),
            (v2(0x21, 0x31, &[&[0; 216][..], &[4, 0, 0, 4, 0, 1, 9]].concat()), Announced::Unix, None),
            (v1("TCP4 203.0.113.9 10.0.0.1 0 80"), tcp("203.0.113.9:0", "10.0.0.1:80"), None),
            (v2(0x20, 0x31, &[0; 216]), Announced::Nobody, None),
            (v2(0x21, 0x12, &[203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 0, 80]), Announced::Nobody, None),
            (with_tls(true), tcp("203.0.113.9:4711", "10.0.0.1:443"), Some(true)),
            (with_tls(false), tcp("203.0.113.9:4711", "10.0.0.1:443"), Some(false)),
        ]
    }

    #[test]
    fn every_kind_of_header_is_read_and_every_start_of_it_is_a_start() {
        for (bytes, client, tls) in sound() {
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes[..cut]), Reading::More, "{cut} bytes of {}", bytes.escape_ascii());
            }
            let version = if bytes.starts_with(b"P") { ProxyVersion::V1 } else { ProxyVersion::V2 };
            let expected = Reading::Whole(Announcement { version, client, tls, length: bytes.len() });
            assert_eq!(read(&bytes), expected, "{}", bytes.escape_ascii());
            let more = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(read(&more), expected, "what is behind it is not of it");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_it_is_none() {
        let v1 = |line: &str| format!("PROXY {line}\r\n").into_bytes();
        for bytes in [
            b"G".to_vec(),
            b"PO".to_vec(),
            b"proxy ".to_vec(),
            b"PROXYx".to_vec(),
            b"\x16\x03\x01".to_vec(),
            b"\r\n\r\n\r".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\n".to_vec(),
            v1("TCP4 203.0.113.9 10.0.0.1 4711"),
            v1("TCP4 203.0.113.9 ::1 4711 80"),
            v1("TCP4 203.0.113.9 10.0.0.1 4711 65536"),
            v1("TCP4 203.0.113.9 10.0.0.1 +4711 80"),
            v1("TCP4 203.0.113.9 10.0.0.1 007 80"),
            v1("TCP4 203.0.113.9 10.0.0.1 4711 00"),
            v1("TCP4 203.0.113.9 010.0.0.1 4711 80"),
            v1("UNKNOWNX"),
            v1("UNKNOWN\0"),
            b"PROXY UNKNOWNX".to_vec(),
            v1("TCP4 203.0.113.300 10.0.0.1 4711 80"),
            v1("TCP5 203.0.113.9 10.0.0.1 4711 80"),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\rX".to_vec(),
            [&b"PROXY UNKNOWN "[..], &[b'x'; 200], b"\r\n"].concat(),
            b"PROXY UNKNOWN \n 2 3 4\r\n".to_vec(),
            [&b"PROXY "[..], &[b' '; 101]].concat(),
            v2(0x21, 0x11, &[1; 11]),
            v2(0x21, 0x21, &[1; 35]),
            v2(0x21, 0x31, &[1; 215]),
            v2(0x31, 0x11, &[1; 12]),
            v2(0x22, 0x11, &[1; 12]),
            v2(0x21, 0x41, &[1; 12]),
            v2(0x20, 0x00, &vec![0; V2_LIMIT]),
            v2(0x21, 0x11, &[&[1; 12][..], &[4]].concat()),
            v2(0x21, 0x11, &[&[1; 12][..], &[4, 0]].concat()),
            v2(0x21, 0x11, &[&[1; 12][..], &[4, 0, 2, 0]].concat()),
            v2(0x21, 0x21, &[&[1; 36][..], &[4, 0, 0, 4, 0, 1]].concat()),
            v2(0x21, 0x31, &[&[0; 216][..], &[4, 0xff, 0xff, 0]].concat()),
        ] {
            assert!(matches!(read(&bytes), Reading::Wrong(_)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn no_change_of_a_byte_makes_it_panic_or_read_too_far() {
        for (bytes, ..) in sound() {
            for at in 0..bytes.len() {
                for value in 0..=255 {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    if let Reading::Whole(found) = read(&changed) {
                        assert!(found.length <= changed.len());
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            for (source, destination, client) in [
                ("203.0.113.9:4711", "10.0.0.1:80", tcp("203.0.113.9:4711", "10.0.0.1:80")),
                ("[2001:db8::9]:4711", "[::1]:80", tcp("[2001:db8::9]:4711", "[::1]:80")),
                ("[::ffff:203.0.113.9]:4711", "[::ffff:10.0.0.1]:80", tcp("203.0.113.9:4711", "10.0.0.1:80")),
                ("203.0.113.9:4711", "[::1]:80", Announced::Nobody),
            ] {
                let bytes = written(version, Some((addr(source), addr(destination))));
                let length = bytes.len();
                assert_eq!(read(&bytes), Reading::Whole(Announcement { version, client, tls: None, length }));
            }
            let bytes = written(version, None);
            assert!(matches!(read(&bytes), Reading::Whole(found) if found.client == Announced::Nobody));
        }
        assert_eq!(written(ProxyVersion::V1, None), b"PROXY UNKNOWN\r\n");
    }
}
