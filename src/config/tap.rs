//! A tap as it was asked for: where it listens, where its connections go, and what becomes of Host.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ClientTls, ServerTls};
use crate::cli::ProxyProtocol;
use crate::error::Error;

/// One tap.
pub struct TapConfig {
    /// Its name in records.
    pub name: String,
    /// Where it listens; port 0 takes any that is free.
    pub listen: Listen,
    /// Where its connections go.
    pub upstream: Upstream,
    /// What Host fields are set to, if they are.
    pub host: Option<SetHost>,
    /// TLS towards the upstream, for `https`.
    pub client_tls: Option<Arc<ClientTls>>,
    /// TLS towards clients.
    pub server_tls: Option<Arc<ServerTls>>,
    /// Whether client connections begin with a PROXY protocol header.
    pub proxy_protocol_in: bool,
    /// Which version of it upstream connections begin with.
    pub proxy_protocol_out: Option<ProxyProtocol>,
    /// What upstream connections are marked with, for rules of the kernel.
    pub mark: Option<u32>,
}

/// What Host fields are set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetHost {
    /// The value that they get.
    pub to: String,
    /// Why, for the record.
    pub why: &'static str,
}

/// Where a tap listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a socket of the Unix domain.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Where a tap's connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// How it is spoken to.
    pub scheme: UpstreamScheme,
    /// Where it is.
    pub place: Place,
}

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the network.
    Host {
        /// A name, or an address without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// Behind a socket of the Unix domain, with this path.
    Unix(PathBuf),
    /// Where each client's connection was going before it was redirected to the tap.
    Original,
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
    /// As a URL: `http://app:3000`, or `unix:/run/app.sock`, with `h2c://` before it where HTTP/2 was asked for. Empty where
    /// each connection has its own.
    pub fn url(&self) -> String {
        let scheme = self.scheme.as_str();
        match (&self.place, self.scheme) {
            (Place::Host { .. }, _) => format!("{scheme}://{}", self.authority().unwrap_or_default()),
            (Place::Unix(path), UpstreamScheme::Http) => format!("{UNIX}{}", path.display()),
            (Place::Original, _) => String::new(),
            (Place::Unix(path), _) => format!("{scheme}://{UNIX}{}", path.display()),
        }
    }

    /// As a Host field has it (RFC 9110 7.2): without the port where it is the scheme's own. A socket has none.
    pub fn authority(&self) -> Option<String> {
        let Place::Host { host, port } = &self.place else { return None };
        let written = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        Some(if *port == self.scheme.default_port() { written } else { format!("{written}:{port}") })
    }

    /// The name or the address of its host; a socket has none.
    pub fn host(&self) -> Option<&str> {
        match &self.place {
            Place::Host { host, .. } => Some(host),
            Place::Unix(_) | Place::Original => None,
        }
    }

    /// Whether it is on this machine, by its name. One where a redirected connection was going counts so: its client speaks to
    /// it, and knows its name.
    pub fn is_loopback(&self) -> bool {
        let Some(host) = self.host() else { return true };
        match host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        }
    }
}

/// A TAP argument, taken apart: `[NAME@][LISTEN=]UPSTREAM`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TapArgument {
    /// The name before `@`.
    pub(super) name: Option<String>,
    /// The address before `=`.
    pub(super) listen: Option<Listen>,
    /// What comes last.
    pub(super) upstream: Upstream,
}

const TAP_FORM: &str = "write a tap as [NAME@][LISTEN=]UPSTREAM, such as https://api.example.com, \
                        :9000=http://localhost:3000, edge@:8080=http://gateway:80 or :8080=unix:/run/app.sock";

/// What the path of a socket has before it.
const UNIX: &str = "unix:";

/// The most bytes that the path of a socket can have: the operating system has room for 108, with a zero behind them.
const UNIX_PATH: usize = 107;

impl TapArgument {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        // A '@' or '=' behind "://" belongs to the URL, and a '@' behind "unix:" to the path.
        let name_end = [text.find("://"), text.find(UNIX)].into_iter().flatten().min().unwrap_or(text.len());
        let (name, rest) = match text.split_once('@').filter(|(name, _)| name.len() < name_end) {
            Some((name, rest)) => (Some(name), rest),
            None => (None, text),
        };
        // A path may have a '=' in it only where nothing could be taken for the upstream behind it.
        let from = if rest.starts_with(UNIX) { UNIX.len() } else { 0 };
        let upstream_at = rest.get(from..).and_then(|rest| rest.find("://")).map_or(rest.len(), |at| from + at);
        let (listen, upstream) = match rest.get(..upstream_at).and_then(|before| before.rfind('=')) {
            Some(at) => (rest.get(..at), rest.get(at + 1..).unwrap_or_default()),
            None => (None, rest),
        };
        let (scheme, url) = match upstream.find("://") {
            Some(at) if !upstream.starts_with(UNIX) => upstream.split_at(at),
            _ => (upstream, ""),
        };
        // From here on nothing of the text is repeated before it is known to have no password in it.
        if let Some(name) = name {
            let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
            if (url.is_empty() && !scheme.starts_with(UNIX)) || name.is_empty() || !name.chars().all(plain) {
                return Err(Error::usage("a tap's name may have letters, digits, '-', '_' and '.'").advice(TAP_FORM));
            }
        }
        let listen = listen.map(parse_tap_listen).transpose()?;
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

impl TapArgument {
    /// Takes an argument apart under `--transparent`, where it is `[NAME@]LISTEN`.
    pub(super) fn parse_transparent(text: &str) -> Result<Self, Error> {
        let (name, listen) = match text.split_once('@') {
            Some((name, listen)) => (Some(name), listen),
            None => (None, text),
        };
        let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        let is_named = name.is_none_or(|name| !name.is_empty() && name.chars().all(plain));
        if text.contains('=') || text.contains("//") || text.contains(UNIX) || !is_named {
            return Err(Error::usage("with --transparent a tap has no upstream: connections go where they were going")
                .advice("write a tap as [NAME@]LISTEN, such as [::]:15001, egress@[::]:15001, or 0.0.0.0:15001 for IPv4 alone"));
        }
        let upstream = Upstream { scheme: UpstreamScheme::Http, place: Place::Original };
        let listen = Listen::Tcp(parse_listen(listen)?);
        Ok(TapArgument { name: name.map(str::to_owned), listen: Some(listen), upstream })
    }
}

/// Where a tap is to listen.
fn parse_tap_listen(text: &str) -> Result<Listen, Error> {
    match text.trim().strip_prefix(UNIX) {
        Some(path) => Ok(Listen::Unix(parse_path(path)?)),
        None => parse_listen(text).map(Listen::Tcp),
    }
}

/// The path of a socket.
fn parse_path(text: &str) -> Result<PathBuf, Error> {
    let text = text.strip_prefix("//").unwrap_or(text);
    let wrong = |what: &str| Error::usage(format!("the socket {text:?} {what}")).advice("such as unix:/run/app.sock");
    if text.is_empty() || text.ends_with('/') {
        return Err(wrong("has no name"));
    }
    if text.starts_with('@') {
        return Err(wrong("has no path, and a tap needs one"));
    }
    if text.len() > UNIX_PATH {
        return Err(wrong("has too long a path: the operating system takes 107 bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong("has a control character in its path"));
    }
    Ok(PathBuf::from(text))
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
    if let Some(path) = rest.strip_prefix(UNIX) {
        let place = Place::Unix(parse_path(path)?);
        if scheme == UpstreamScheme::Https {
            return Err(Error::usage("an upstream behind a socket can't have the scheme https")
                .advice("leave it out: what passes by a socket does not leave the machine"));
        }
        return Ok(Upstream { scheme, place });
    }
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
    Ok(Upstream { scheme, place: Place::Host { host: host.to_ascii_lowercase(), port } })
}

/// What Host is set to: nothing on loopback, where the tap is a sidecar; elsewhere the upstream's own authority, since a
/// server of many names finds its site by it.
pub(super) fn host_to_set(asked: Option<&str>, upstream: &Upstream) -> Result<Option<SetHost>, Error> {
    let asked_for = |to: String| Ok(Some(SetHost { to, why: "--host asks for it" }));
    match asked {
        Some("keep") => Ok(None),
        Some("upstream") => asked_for(upstream.authority().ok_or_else(|| {
            Error::usage("--host can't be upstream where the upstream has no name: a socket, or with --transparent")
                .advice("use keep, or a name such as api.example.com")
        })?),
        Some(name) if is_authority(name) => asked_for(name.to_owned()),
        Some(name) => Err(Error::usage(format!("--host can't be {name:?}"))
            .advice("use keep, upstream, or a name such as api.example.com:8443")),
        None => match upstream.authority().filter(|_| !upstream.is_loopback()) {
            Some(to) => Ok(Some(SetHost { to, why: "the upstream is not on loopback" })),
            None => Ok(None),
        },
    }
}

/// Whether it is a host with or without a port.
pub(crate) fn is_authority(text: &str) -> bool {
    parse_upstream(UpstreamScheme::Http, text).is_ok_and(|upstream| upstream.host().is_some())
}

/// Checks a TAP argument by itself, whatever form the other options ask for.
pub(crate) fn check_tap(text: &str) -> Result<(), Error> {
    let parsed = TapArgument::parse(text);
    parsed.or_else(|error| TapArgument::parse_transparent(text).map_err(|_| error)).map(|_| ())
}

/// No two taps may listen on the same place, have the same name, or feed themselves.
pub(super) fn check_apart(taps: &[TapConfig]) -> Result<(), Error> {
    for (number, tap) in taps.iter().enumerate() {
        for earlier in taps.iter().take(number) {
            if tap.listen == earlier.listen && !matches!(tap.listen, Listen::Tcp(addr) if addr.port() == 0) {
                return Err(Error::usage(format!("two taps would listen on {}", tap.listen))
                    .advice("give each its own, such as edge@:8080=http://gateway app@:9090=http://app"));
            }
            if tap.name == earlier.name {
                return Err(Error::usage(format!("two taps are called {:?}", tap.name))
                    .advice("give each its own name, such as edge@… and app@…"));
            }
        }
        let own = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
        let is_own = match (&tap.listen, &tap.upstream.place) {
            (Listen::Tcp(addr), Place::Host { port, .. }) => {
                tap.upstream.is_loopback() && addr.port() == *port && own(addr.ip())
            }
            (Listen::Unix(path), Place::Unix(upstream)) => same_socket(path) == same_socket(upstream),
            _ => false,
        };
        if is_own {
            let advice = match &tap.listen {
                Listen::Tcp(_) => "let it listen on another port, such as :8081=",
                Listen::Unix(_) => "let it listen on another path, such as unix:/run/tap.sock=",
            };
            return Err(Error::usage(format!("the tap {:?} would be its own upstream", tap.name)).advice(advice));
        }
    }
    Ok(())
}

/// A path as all its spellings come to, also before there is a socket. Where even its folder is not there it stays as it is.
fn same_socket(path: &Path) -> PathBuf {
    // What a link leads to may be the socket that is yet to be made.
    let target = fs::read_link(path).map_or_else(|_| path.to_owned(), |to| path.with_file_name("").join(to));
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (fs::canonicalize(folder), target.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => target,
    }
}

/// No tap may lead to a listener of the program's own, by whatever address it is reached: who may use a tap would reach it.
pub(crate) fn check_no_upstream<'t>(
    taps: impl IntoIterator<Item = &'t TapConfig>,
    own: &[(&str, Option<SocketAddr>)],
) -> Result<(), Error> {
    for tap in taps {
        for (option, addr) in own.iter().filter_map(|(option, addr)| Some((option, (*addr)?))) {
            let upstream = &tap.upstream;
            let Place::Host { host, port } = &upstream.place else { continue };
            let is_there = match host.parse::<IpAddr>() {
                Ok(ip) if addr.ip().is_unspecified() => is_of_this_machine(ip),
                Ok(ip) => ip == addr.ip() || ip.is_unspecified(),
                Err(_) => false,
            };
            let is_local = upstream.is_loopback() && (addr.ip().is_loopback() || addr.ip().is_unspecified());
            if *port == addr.port() && (is_there || is_local) {
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
    fn either_end_may_be_a_socket() {
        let some = |text: &str| Some(text.to_owned());
        for (text, name, listen, url) in [
            ("unix:/run/app.sock", None, None, "unix:/run/app.sock"),
            ("unix:///run/app.sock", None, None, "unix:/run/app.sock"),
            ("http://unix:/run/app.sock", None, None, "unix:/run/app.sock"),
            ("h2c://unix:/run/app.sock", None, None, "h2c://unix:/run/app.sock"),
            (":9000=unix:/run/a@b.sock", None, some("127.0.0.1:9000"), "unix:/run/a@b.sock"),
            ("unix:/run/a@b.sock=http://c", None, some("unix:/run/a@b.sock"), "http://c"),
            ("unix:/run/a.sock=c:3000", None, some("unix:/run/a.sock"), "http://c:3000"),
            ("unix:/run/a.sock=https://c:3000", None, some("unix:/run/a.sock"), "https://c:3000"),
            ("app@unix:a.sock=unix:b.sock", some("app"), some("unix:a.sock"), "unix:b.sock"),
            ("app@unix:///a.sock=unix:///b.sock", some("app"), some("unix:/a.sock"), "unix:/b.sock"),
            ("app@unix:/b.sock", some("app"), None, "unix:/b.sock"),
        ] {
            assert_eq!(tap(text), Ok((name, listen, url.to_owned())), "{text}");
        }
        let transparent = |text: &str| TapArgument::parse_transparent(text).map_err(|error| error.to_string());
        let listen = |text: &str| transparent(text).unwrap().listen.unwrap().to_string();
        assert_eq!((listen(":15001"), listen("egress@[::]:15001")), ("127.0.0.1:15001".into(), "[::]:15001".into()));
        for text in [":1=http://a", "http://a:80", "x y@:1", "unix:/run/a.sock"] {
            assert!(transparent(text).unwrap_err().contains("no upstream"), "{text}");
        }
        for (text, words) in [
            ("unix:", "no name"),
            ("unix:/run/", "no name"),
            ("unix:@abstract", "no path"),
            ("https://unix:/run/app.sock", "https"),
            (&*format!("unix:/{}", "a".repeat(UNIX_PATH)), "too long"),
            ("unix:=http://a", "no name"),
        ] {
            let error = tap(text).unwrap_err();
            assert!(error.contains(words) && error.contains("try:"), "{text}: {error}");
        }
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
        assert_eq!(set(None, "unix:/run/app.sock"), None);
        assert_eq!(set(Some("a"), "unix:/run/app.sock"), Some("a".into()));
        assert!(host_to_set(Some("upstream"), &upstream("unix:/run/app.sock")).is_err());
        assert_eq!(set(None, "https://api.example.com:443"), Some("api.example.com".into()));
        assert_eq!(set(Some("keep"), "https://api.example.com"), None);
        assert_eq!(set(Some("upstream"), "http://[::1]:81"), Some("[::1]:81".into()));
        assert_eq!(set(Some("a.example:8443"), "http://b"), Some("a.example:8443".into()));
        assert!(host_to_set(Some("a b"), &upstream("http://b")).is_err());
    }
}
