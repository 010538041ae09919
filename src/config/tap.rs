//! A tap as it was asked for: where it listens, where its connections go, and what becomes of Host.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use super::{ClientTls, ServerTls};
use crate::error::Error;

/// One tap.
pub struct TapConfig {
    /// Its name in records.
    pub name: String,
    /// Where it listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Where its connections go.
    pub upstream: Upstream,
    /// What Host fields are set to, if they are.
    pub host: Option<SetHost>,
    /// TLS towards the upstream, for `https`.
    pub client_tls: Option<Arc<ClientTls>>,
    /// TLS towards clients.
    pub server_tls: Option<Arc<ServerTls>>,
}

/// What Host fields are set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetHost {
    /// The value that they get.
    pub to: String,
    /// Why, for the record.
    pub why: &'static str,
}

/// Where a tap's connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// How it is spoken to.
    pub scheme: UpstreamScheme,
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamScheme {
    /// HTTP without TLS.
    Http,
    /// HTTP within TLS.
    Https,
    /// HTTP/2 without TLS.
    H2c,
}

impl UpstreamScheme {
    fn parse(scheme: &str) -> Option<Self> {
        match scheme {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            "h2c" => Some(Self::H2c),
            _ => None,
        }
    }

    /// As a URL has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
        }
    }

    fn default_port(self) -> u16 {
        if self == Self::Https { 443 } else { 80 }
    }
}

impl Upstream {
    /// As a URL.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority())
    }

    /// As a Host field has it (RFC 9110 7.2): without the port where it is the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether it is on this machine's loopback, by its name.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

/// A TAP argument, taken apart: `[NAME@][LISTEN=]UPSTREAM`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TapArgument {
    /// The name before `@`.
    pub(super) name: Option<String>,
    /// The address before `=`.
    pub(super) listen: Option<SocketAddr>,
    /// What comes last.
    pub(super) upstream: Upstream,
}

const TAP_FORM: &str = "write a tap as [NAME@][LISTEN=]UPSTREAM, such as https://api.example.com, \
                        :9000=http://localhost:3000 or edge@:8080=http://gateway:80";

impl TapArgument {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        // A '@' or '=' behind "://" belongs to the URL.
        let (before, url) = match text.find("://") {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let (name, before) = match before.split_once('@') {
            Some((name, rest)) => (Some(name), rest),
            None => (None, before),
        };
        let (listen, scheme) = match before.rsplit_once('=') {
            Some((listen, rest)) => (Some(listen), rest),
            None => (None, before),
        };
        // From here on nothing of the text is repeated before it is known to have no password in it.
        if let Some(name) = name {
            let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
            if url.is_empty() || name.is_empty() || !name.chars().all(plain) {
                return Err(Error::usage("a tap's name may have letters, digits, '-', '_' and '.'").advice(TAP_FORM));
            }
        }
        let listen = listen.map(parse_listen).transpose()?;
        let upstream = if url.is_empty() {
            parse_upstream(UpstreamScheme::Http, scheme)?
        } else {
            let known = UpstreamScheme::parse(&scheme.to_ascii_lowercase()).ok_or_else(|| {
                Error::usage(format!("an upstream can't have the scheme {scheme:?}"))
                    .advice("use http://, https://, or h2c:// for HTTP/2 without TLS")
            })?;
            parse_upstream(known, url.trim_start_matches("://"))?
        };
        Ok(TapArgument { name: name.map(str::to_owned), listen, upstream })
    }
}

/// An address to listen on; a port alone means loopback.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, Error> {
    let wrong = || {
        Error::usage(format!("can't listen on {text:?}"))
            .advice("write :8080 for 127.0.0.1:8080, or an address with a port such as 0.0.0.0:8080 or [::1]:8080")
    };
    let text = text.trim();
    if let Some(port) = text.strip_prefix(':') {
        let port = port.parse().map_err(|_| wrong())?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let text = text.strip_prefix("localhost:").map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| wrong())
}

fn parse_upstream(scheme: UpstreamScheme, rest: &str) -> Result<Upstream, Error> {
    if rest.contains('@') {
        return Err(Error::usage("the upstream's URL has a user name or password in it")
            .advice("leave it out and let the client send it: a tap changes no credentials"));
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(at) = authority.find(['/', '?', '#']) {
        // A path or a query may hold a secret.
        let authority = authority.get(..at).unwrap_or_default();
        return Err(Error::usage(format!("the upstream {authority:?} has a path"))
            .advice("leave the path out: a tap passes on the path that the client asks for"));
    }
    let wrong = |what: &str| Error::usage(format!("the upstream {authority:?} {what}")).advice(TAP_FORM);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| wrong("has no closing bracket"))?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong("is no IPv6 address"))?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(wrong("names no host"));
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            // What stands there may be a password, where the host behind it was forgotten.
            Error::usage(format!("the upstream {host:?} has no valid port behind its colon")).advice(TAP_FORM)
        })?,
        None => scheme.default_port(),
    };
    Ok(Upstream { scheme, host: host.to_ascii_lowercase(), port })
}

/// What Host is set to: nothing on loopback, where the tap is a sidecar; elsewhere the upstream's own authority, since a
/// server of many names finds its site by it.
pub(super) fn host_to_set(asked: Option<&str>, upstream: &Upstream) -> Result<Option<SetHost>, Error> {
    let asked_for = |to: String| Ok(Some(SetHost { to, why: "--host asks for it" }));
    match asked {
        Some("keep") => Ok(None),
        Some("upstream") => asked_for(upstream.authority()),
        Some(name) if is_authority(name) => asked_for(name.to_owned()),
        Some(name) => Err(Error::usage(format!("--host can't be {name:?}"))
            .advice("use keep, upstream, or a name such as api.example.com:8443")),
        None if upstream.is_loopback() => Ok(None),
        None => Ok(Some(SetHost { to: upstream.authority(), why: "the upstream is not on loopback" })),
    }
}

/// Whether it is a host with or without a port.
pub(crate) fn is_authority(text: &str) -> bool {
    parse_upstream(UpstreamScheme::Http, text).is_ok()
}

/// Checks a TAP argument by itself.
pub(crate) fn check_tap(text: &str) -> Result<(), Error> {
    TapArgument::parse(text).map(|_| ())
}

/// No two taps may listen on the same place, have the same name, or feed themselves.
pub(super) fn check_apart(taps: &[TapConfig]) -> Result<(), Error> {
    for (number, tap) in taps.iter().enumerate() {
        for earlier in taps.iter().take(number) {
            if tap.listen == earlier.listen && tap.listen.port() != 0 {
                return Err(Error::usage(format!("two taps would listen on {}", tap.listen))
                    .advice("give each its own, such as edge@:8080=http://gateway app@:9090=http://app"));
            }
            if tap.name == earlier.name {
                return Err(Error::usage(format!("two taps are called {:?}", tap.name))
                    .advice("give each its own name, such as edge@… and app@…"));
            }
        }
        let port = tap.upstream.port;
        let own = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
        if tap.upstream.is_loopback() && tap.listen.port() == port && own(tap.listen.ip()) {
            return Err(Error::usage(format!("the tap {:?} would be its own upstream", tap.name))
                .advice("let it listen on another port, such as :8081="));
        }
    }
    Ok(())
}

/// No tap may lead to a listener of the program's own, by whatever address it is reached: who may use a tap would reach it.
pub(crate) fn check_no_upstream<'t>(
    taps: impl IntoIterator<Item = &'t TapConfig>,
    own: &[(&str, Option<SocketAddr>)],
) -> Result<(), Error> {
    for tap in taps {
        for (option, addr) in own.iter().filter_map(|(option, addr)| Some((option, (*addr)?))) {
            let upstream = &tap.upstream;
            let is_there = match upstream.host.parse::<IpAddr>() {
                Ok(ip) if addr.ip().is_unspecified() => is_of_this_machine(ip),
                Ok(ip) => ip == addr.ip() || ip.is_unspecified(),
                Err(_) => false,
            };
            let is_local = upstream.is_loopback() && (addr.ip().is_loopback() || addr.ip().is_unspecified());
            if upstream.port == addr.port() && (is_there || is_local) {
                return Err(Error::usage(format!("the upstream of the tap {:?} would be {option}", tap.name))
                    .advice(format!("give {option} another port")));
            }
        }
    }
    Ok(())
}

/// Whether this machine has that address, which it would not let be listened on otherwise.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tap(text: &str) -> Result<(Option<String>, Option<String>, String), String> {
        TapArgument::parse(text)
            .map(|tap| (tap.name, tap.listen.map(|addr| addr.to_string()), tap.upstream.url()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn taps_come_apart() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(tap("https://Api.example.com/"), Ok((None, None, "https://api.example.com".into())));
        assert_eq!(tap("localhost:3000"), Ok((None, None, "http://localhost:3000".into())));
        assert_eq!(tap(":9000=h2c://[::1]:50051"), Ok((None, some("127.0.0.1:9000"), "h2c://[::1]:50051".into())));
        assert_eq!(tap("edge@0.0.0.0:80=http://gw"), Ok((some("edge"), some("0.0.0.0:80"), "http://gw".into())));
    }

    #[test]
    fn a_wrong_tap_says_what_is_wrong_and_no_password() {
        for (text, words) in [
            ("ftp://x", "scheme"),
            ("http://x/v1", "path"),
            ("http://user:hunter2@x", "user name or password"),
            ("http://", "names no host"),
            ("http://x:99999", "port"),
            ("x y@:80=http://a", "name"),
            ("8080=http://a", "listen"),
        ] {
            let error = tap(text).unwrap_err();
            assert!(error.contains(words) && error.contains("try:"), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn host_is_kept_on_loopback_only() {
        let upstream = |url: &str| TapArgument::parse(url).unwrap().upstream;
        let set = |asked, url| host_to_set(asked, &upstream(url)).unwrap().map(|host| host.to);
        assert_eq!(set(None, "http://127.0.0.1:3000"), None);
        assert_eq!(set(None, "http://app.localhost"), None);
        assert_eq!(set(None, "https://api.example.com:443"), Some("api.example.com".into()));
        assert_eq!(set(Some("keep"), "https://api.example.com"), None);
        assert_eq!(set(Some("upstream"), "http://[::1]:81"), Some("[::1]:81".into()));
        assert_eq!(set(Some("a.example:8443"), "http://b"), Some("a.example:8443".into()));
        assert!(host_to_set(Some("a b"), &upstream("http://b")).is_err());
    }
}
