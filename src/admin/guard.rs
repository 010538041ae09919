//! Who may ask the inspector: a browser on a page of its own, or a program with the token.
//!
//! A page of somebody else's can make a browser ask, under a name that leads here; and a tap could be led here by its
//! upstream. So the name that was asked for has to be this machine's, a page that asks has to be ours, and what tells of
//! traffic needs the token, which no browser sends by itself.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::http::{HeaderName, header};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request has to show. The token is compared by its hash, in a time that tells nothing of it.
pub(super) struct Guard {
    token: blake3::Hash,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It asks for a host that is not this one.
    Host,
    /// Another site's page sends it.
    Origin,
    /// It has no token, or a wrong one.
    Token,
}

impl Guard {
    pub(super) fn new(token: &str) -> Self {
        Guard { token: blake3::hash(token.as_bytes()) }
    }

    /// Whether the request is for this listener, which it reached at the address `local`, and comes from no other site.
    pub(super) fn check_site(fields: &HeaderMap, local: SocketAddr) -> Result<(), Refusal> {
        let host = only(fields, &header::HOST).filter(|host| is_here(host, local.ip())).ok_or(Refusal::Host)?;
        if fields.contains_key(header::ORIGIN) {
            let origin = only(fields, &header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
            if !origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host)) {
                return Err(Refusal::Origin);
            }
        }
        Ok(())
    }

    /// Whether what tells of traffic may be told to this request, which [`Guard::check_site`] let pass.
    pub(super) fn check_token(&self, fields: &HeaderMap) -> Result<(), Refusal> {
        if fields.get(FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none") {
            return Err(Refusal::Origin);
        }
        let given = only(fields, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        match given.is_some_and(|given| blake3::hash(given.as_bytes()) == self.token) {
            true => Ok(()),
            false => Err(Refusal::Token),
        }
    }
}

/// The value of a field that stands once.
fn only<'f>(fields: &'f HeaderMap, name: &HeaderName) -> Option<&'f str> {
    let mut values = fields.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

/// Whether a Host field names this machine's loopback, or the address at which it was reached. The port may be another one:
/// somebody may have forwarded it.
fn is_here(host: &str, local: IpAddr) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if name.contains(':') => (name, port),
            _ => return false,
        },
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    if !is_port {
        return false;
    }
    match name.parse::<IpAddr>() {
        Ok(addr) => [addr.to_canonical(), addr].iter().any(|addr| is_loopback(*addr) || *addr == local.to_canonical()),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

/// The addresses that a link on this machine is written with; others of 127.0.0.0/8 are no names of ours.
fn is_loopback(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V4(std::net::Ipv4Addr::LOCALHOST) | IpAddr::V6(std::net::Ipv6Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(*name, value.parse().unwrap());
        }
        fields
    }

    fn site(local: &str, lines: &[(&'static str, &str)]) -> Result<(), Refusal> {
        Guard::check_site(&fields(lines), format!("{local}:4040").parse().unwrap())
    }

    #[test]
    fn a_host_has_to_be_here() {
        for host in ["localhost", "LOCALHOST:4040", "127.0.0.1", "127.0.0.1:9", "[::1]:4040", "[::1]", "10.0.0.7:4040"]
        {
            assert_eq!(site("10.0.0.7", &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:4040",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:4040@evil",
            "127.0.0.1:x",
            "127.0.0.1:99999",
            "10.0.0.8",
            "0.0.0.0:4040",
            "[::2]:4040",
            "[localhost]",
            "127.1",
            "2130706433",
            "::1",
            "localhost.",
            "",
        ] {
            assert_eq!(site("10.0.0.7", &[("host", host)]), Err(Refusal::Host), "{host}");
        }
        assert_eq!(site("127.0.0.1", &[]), Err(Refusal::Host));
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(site("127.0.0.1", &twice), Err(Refusal::Host));
    }

    #[test]
    fn an_origin_has_to_be_the_same() {
        let asked = |origin| site("127.0.0.1", &[("host", "localhost:4040"), ("origin", origin)]);
        assert_eq!(asked("http://localhost:4040"), Ok(()));
        for origin in [
            "null",
            "http://localhost",
            "http://localhost:4041",
            "https://localhost:4040",
            "http://127.0.0.1:4040",
            "http://evil.example",
            "",
        ] {
            assert_eq!(asked(origin), Err(Refusal::Origin), "{origin}");
        }
    }

    #[test]
    fn a_token_has_to_be_right_and_come_in_its_field() {
        let guard = Guard::new("right-token");
        let asked = |lines: &[(&'static str, &str)]| guard.check_token(&fields(lines));
        assert_eq!(asked(&[("authorization", "Bearer right-token")]), Ok(()));
        for value in
            ["Bearer", "Bearer ", "Bearer right-toke", "Bearer right-token2", "right-token", "Basic right-token"]
        {
            assert_eq!(asked(&[("authorization", value)]), Err(Refusal::Token), "{value}");
        }
        assert_eq!(asked(&[("cookie", "token=right-token")]), Err(Refusal::Token));
        let twice = [("authorization", "Bearer right-token"), ("authorization", "Bearer right-token")];
        assert_eq!(asked(&twice), Err(Refusal::Token));
        let from = |site| asked(&[("authorization", "Bearer right-token"), ("sec-fetch-site", site)]);
        assert_eq!((from("same-origin"), from("cross-site")), (Ok(()), Err(Refusal::Origin)));
        assert_eq!(from("same-site"), Err(Refusal::Origin));
    }
}
