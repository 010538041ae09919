//! What the program was asked to do, read and checked in full before any port is bound.

use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::cli::{FailOn, GivenOptions, LogFormat, Peers, RunOptions};
use crate::error::Error;
use crate::tls;
use zeroize::Zeroizing;

/// Everything that a run needs.
pub struct Config {
    /// The taps, in the order in which a request passes them.
    pub taps: Vec<TapConfig>,
    /// Limits and timeouts of connections.
    pub limits: Limits,
    /// Threads that relay, each with its own listeners.
    pub threads: usize,
    /// The certificate that clients are shown, where it is read from files.
    pub server_files: Option<ServerFiles>,
    /// Whether the keys of TLS sessions are written down.
    pub logs_tls_keys: bool,
    /// Where records go, beside the log.
    pub record: Option<PathBuf>,
    /// The HTTP Archive that records go to as well.
    pub har: Option<PathBuf>,
    /// What stdout gets.
    pub log_format: LogFormat,
    /// Which exchanges the log tells of, in words.
    pub filter: Option<String>,
    /// The command that runs while the taps listen; empty where there is none.
    pub command: Vec<OsString>,
    /// From which severity on a finding counts as a failure.
    pub fail_on: FailOn,
    /// Where health is asked for.
    pub admin: Option<SocketAddr>,
    /// How long running exchanges may take after SIGTERM.
    pub drain: Duration,
    /// Fields that are shown although they are not on the safe list.
    pub shown: Vec<String>,
    /// Fields and query parameters that are masked although they count as harmless.
    pub masked: Vec<String>,
    /// Whether secrets are shown.
    pub show_secrets: bool,
    /// What fingerprints are keyed with; a random key where there is none.
    pub fingerprint_key: Option<Vec<u8>>,
    /// How taps tell each other of requests; `None` where they don't.
    pub hops: Option<HopConfig>,
    /// How much memory exchanges may take that wait to be diagnosed, in bytes.
    pub queue_bytes: usize,
    /// How much memory the history of exchanges may take, in bytes.
    pub history_bytes: usize,
    /// What is known of the service.
    pub given: GivenConfig,
}

/// What is known of the service, so that tokens can be held against it.
pub struct GivenConfig {
    /// The issuers of its tokens.
    pub issuers: Vec<String>,
    /// The audiences of its tokens.
    pub audiences: Vec<String>,
    /// The URL under which clients reach it, without a slash at its end.
    pub public_url: Option<String>,
    /// Where keys are.
    pub keys: Vec<KeyPlace>,
    /// The secret that signer and service share, and the name of its file.
    pub secret: Option<(String, Zeroizing<Vec<u8>>)>,
    /// The authorities that are trusted where keys are published; the platform's, if not given.
    pub cacert: Option<PathBuf>,
}

/// Where keys are.
#[derive(Clone)]
pub enum KeyPlace {
    /// In a file, with what is in it.
    File(PathBuf, Vec<u8>),
    /// At a URL.
    Url(String),
    /// Where the metadata of an issuer says.
    Issuer(String),
}

impl KeyPlace {
    /// The place as it may be shown: without the query of a URL.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Url(url) | Self::Issuer(url) => without_query(url).to_owned(),
        }
    }
}

impl GivenConfig {
    /// Checks what was given, and reads the files that it names.
    ///
    /// # Errors
    /// What is wrong, with which input.
    pub fn new(options: &GivenOptions, cacert: Option<&Path>) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for text in &options.jwks {
            keys.push(match text.contains("://") {
                true => KeyPlace::Url(url("--jwks", text)?.to_owned()),
                false => {
                    let path = PathBuf::from(text);
                    let json = fs::read(&path).map_err(|error| cannot_read("--jwks", &path, &error))?;
                    KeyPlace::File(path, json)
                }
            });
        }
        let secret = options.jwt_secret_file.as_ref().map(|path| read_secret(path)).transpose()?;
        if keys.is_empty() && secret.is_none() {
            let urls = options.issuer.iter().filter(|issuer| issuer.contains("://"));
            for issuer in urls {
                keys.push(KeyPlace::Issuer(url("--issuer", issuer)?.to_owned()));
            }
        }
        let public_url = options.public_url.as_ref().map(|text| url("--public-url", text)).transpose()?;
        Ok(GivenConfig {
            issuers: options.issuer.clone(),
            audiences: options.audience.clone(),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            keys,
            secret,
            cacert: cacert.map(Path::to_owned),
        })
    }
}

/// A URL without its query, in which a secret may stand.
pub(crate) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// A URL that can be asked for; a password in it is not repeated.
fn url<'t>(option: &str, text: &'t str) -> Result<&'t str, Error> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if authority.contains('@') {
        return Err(Error::usage(format!("{option}: the URL has a user name or password in it"))
            .advice("leave it out, or download the document and give the file"));
    }
    if authority.is_empty() || text.contains(char::is_whitespace) {
        return Err(Error::usage(format!("{option}: {:?} is no URL", without_query(text)))
            .advice("write it in full, such as https://login.example.com/keys"));
    }
    Ok(text)
}

fn read_secret(path: &Path) -> Result<(String, Zeroizing<Vec<u8>>), Error> {
    let option = "--jwt-secret-file";
    let mut secret = Zeroizing::new(fs::read(path).map_err(|error| cannot_read(option, path, &error))?);
    let end = secret.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
    secret.truncate(end);
    match secret.is_empty() {
        true => Err(Error::usage(format!("{option}: {} is empty", path.display()))
            .advice("put the secret into it as the server has it")),
        false => Ok((path.display().to_string(), secret)),
    }
}

/// How taps tell each other of requests.
pub struct HopConfig {
    /// The header's name.
    pub header: String,
    /// What the key is made of; a random one where there is none, for taps of this process alone.
    pub key: Option<Vec<u8>>,
    /// Where taps of other processes are.
    pub peers: HopPeers,
}

/// Where taps of other processes are, seen from the taps of this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HopPeers {
    /// Requests come from them.
    pub before: bool,
    /// Requests go on to them.
    pub behind: bool,
}

/// The name of the header by which taps tell each other of requests, unless another one is asked for.
pub const HOP_HEADER: &str = "Authtap-Hop";

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

/// TLS towards an upstream.
pub struct ClientTls {
    /// Roots and client certificate; without ALPN, which is each client's own.
    pub config: Arc<rustls::ClientConfig>,
    /// Whether certificates are checked.
    pub verifies: bool,
}

/// TLS towards clients, with a certificate that can be replaced while connections are served.
pub struct ServerTls(RwLock<Arc<rustls::ServerConfig>>);

impl ServerTls {
    /// With that certificate; without ALPN, which the upstream decides.
    pub fn new(config: rustls::ServerConfig) -> Self {
        ServerTls(RwLock::new(Arc::new(config)))
    }

    /// What the next connection gets.
    pub fn current(&self) -> Arc<rustls::ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives later connections another certificate.
    pub fn replace(&self, config: rustls::ServerConfig) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

/// The files of the certificate that clients are shown, to be read again.
pub struct ServerFiles {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whether the keys of sessions are written down.
    pub logs_keys: bool,
}

/// Limits of connections: what they bound is the tap's memory, not the user's traffic.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of each head that are recorded; larger heads go on all the same.
    pub head: usize,
    /// Client connections that may be open at once, for each tap.
    pub connections: usize,
    /// How long resolving and connecting may take.
    pub connect_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a connection may be idle between exchanges.
    pub idle_timeout: Duration,
    /// How long an upstream may take for the first byte of an answer; as long as it likes, if not given.
    pub response_timeout: Option<Duration>,
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
struct TapArgument {
    name: Option<String>,
    listen: Option<SocketAddr>,
    upstream: Upstream,
}

const TAP_FORM: &str = "write a tap as [NAME@][LISTEN=]UPSTREAM, such as https://api.example.com, \
                        :9000=http://localhost:3000 or edge@:8080=http://gateway:80";

impl TapArgument {
    fn parse(text: &str) -> Result<Self, Error> {
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

impl Config {
    /// Checks what was asked for, and reads the files that it names.
    ///
    /// # Errors
    /// What is wrong, with which input, and what would be right.
    pub fn new(options: RunOptions) -> Result<Self, Error> {
        if options.taps.is_empty() {
            return Err(Error::usage("no tap was given").advice("authtap https://api.example.com"));
        }
        if options.key.is_some() != options.cert.is_some() {
            return Err(Error::usage("--cert and --key go together").advice("give both, or neither"));
        }
        if options.tls_key.is_some() != options.tls_cert.is_some() {
            return Err(Error::usage("--tls-cert and --tls-key go together").advice("give both, or --tls alone"));
        }
        if options.tls_key_log.is_on() && std::env::var_os("SSLKEYLOGFILE").is_none() {
            return Err(Error::usage("--tls-key-log needs SSLKEYLOGFILE in the environment")
                .advice("SSLKEYLOGFILE=keys.log authtap --tls-key-log …"));
        }
        if options.insecure.is_on() && options.cacert.is_some() {
            return Err(Error::usage("--insecure and --cacert contradict each other").advice("leave --insecure out"));
        }
        if options.har.is_some() && options.har == options.record {
            return Err(Error::usage("--har and --record can't go to the same file").advice("give each its own"));
        }
        let arguments = options.taps.iter().map(|tap| TapArgument::parse(tap)).collect::<Result<Vec<_>, _>>()?;
        let needs_tls = arguments.iter().any(|tap| tap.upstream.scheme == UpstreamScheme::Https);
        // Files that were named are read even where no upstream needs them: a wrong path is a mistake all the same.
        let names_files = options.cacert.is_some() || options.cert.is_some();
        let client_tls = if needs_tls || names_files { Some(Arc::new(tls::towards_upstream(&options)?)) } else { None };
        let names: Vec<String> = arguments.iter().map(|tap| tap.upstream.host.clone()).collect();
        let server_tls = tls::towards_clients(&options, &names)?.map(Arc::new);
        let several = arguments.len() > 1;
        let mut taps = Vec::new();
        for (number, argument) in arguments.into_iter().enumerate() {
            let TapArgument { name, listen, upstream } = argument;
            let name = name.unwrap_or_else(|| if several { format!("tap{}", number + 1) } else { "tap".to_owned() });
            taps.push(TapConfig {
                name,
                listen: listen.unwrap_or_else(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)),
                host: host_to_set(options.host.as_deref(), &upstream)?,
                client_tls: client_tls.clone().filter(|_| upstream.scheme == UpstreamScheme::Https),
                server_tls: server_tls.clone(),
                upstream,
            });
        }
        check_apart(&taps)?;
        let given = GivenConfig::new(&options.given, options.cacert.as_deref())?;
        let fingerprint_key = options.fingerprint_key_file.as_ref();
        let fingerprint_key = fingerprint_key.map(|path| read_key("--fingerprint-key-file", path)).transpose()?;
        let hops = hops(&options, several)?;
        let server_files = match (&options.tls_cert, &options.tls_key) {
            (Some(cert), Some(key)) => {
                Some(ServerFiles { cert: cert.clone(), key: key.clone(), logs_keys: options.tls_key_log.is_on() })
            }
            _ => None,
        };
        Ok(Config {
            taps,
            server_files,
            logs_tls_keys: options.tls_key_log.is_on(),
            limits: Limits {
                head: options.head_limit.bytes(),
                connections: options.max_connections,
                connect_timeout: options.connect_timeout.get(),
                handshake_timeout: options.handshake_timeout.get(),
                idle_timeout: options.idle_timeout.get(),
                response_timeout: options.response_timeout.map(|timeout| timeout.get()),
            },
            threads: options
                .threads
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
                .clamp(1, 256),
            record: options.record,
            har: options.har,
            log_format: options.log_format,
            filter: options.filter,
            fail_on: options.fail_on.unwrap_or(if options.client.is_empty() { FailOn::Never } else { FailOn::Error }),
            command: options.client,
            admin: options.admin,
            drain: options.drain.get(),
            shown: options.show,
            masked: options.redact,
            show_secrets: options.show_secrets.is_on(),
            fingerprint_key,
            hops,
            queue_bytes: options.queue_memory.bytes(),
            history_bytes: options.history_memory.bytes(),
            given,
        })
    }
}

/// What Host is set to: nothing on loopback, where the tap is a sidecar; elsewhere the upstream's own authority, since a
/// server of many names finds its site by it.
fn host_to_set(asked: Option<&str>, upstream: &Upstream) -> Result<Option<SetHost>, Error> {
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
fn check_apart(taps: &[TapConfig]) -> Result<(), Error> {
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

/// How the taps of this process tell each other, and those of other processes, of requests.
fn hops(options: &RunOptions, several: bool) -> Result<Option<HopConfig>, Error> {
    let key = options.hop_key_file.as_ref().map(|path| read_key("--hop-key-file", path)).transpose()?;
    if options.no_hop_header.is_on() {
        return match key {
            Some(_) => Err(Error::usage("--hop-key-file and --no-hop-header contradict each other")
                .advice("leave one of them out")),
            None => Ok(None),
        };
    }
    let peers = match (options.hop_peers, key.is_some()) {
        (Some(_), false) => {
            return Err(Error::usage("--hop-peers needs --hop-key-file, since only a key tells taps from clients")
                .advice("head -c 32 /dev/urandom > hop.key, the same file on both machines"));
        }
        (Some(Peers::Before), true) => HopPeers { before: true, behind: false },
        (Some(Peers::Behind), true) => HopPeers { before: false, behind: true },
        (Some(Peers::Both), true) => HopPeers { before: true, behind: true },
        (None, true) if !several => {
            return Err(Error::usage("--hop-key-file needs --hop-peers: where is the other tap?").advice(
                "--hop-peers behind before the gateway, and --hop-peers before between the gateway and the app",
            ));
        }
        (None, _) => HopPeers::default(),
    };
    let is_needed = several || peers != HopPeers::default();
    Ok(is_needed.then(|| HopConfig { header: options.hop_header.clone(), key, peers }))
}

fn read_key(option: &str, path: &PathBuf) -> Result<Vec<u8>, Error> {
    let key = fs::read(path).map_err(|error| cannot_read(option, path, &error))?;
    if key.len() < 16 {
        return Err(Error::usage(format!("{option}: {} has less than 16 bytes", path.display()))
            .advice(format!("head -c 32 /dev/urandom > {}", path.display())));
    }
    Ok(key)
}

/// A file that an option names and that can't be read.
pub(crate) fn cannot_read(option: &str, path: &std::path::Path, error: &std::io::Error) -> Error {
    Error::run(format!("{option}: cannot read {}: {error}", path.display()))
        .advice("check the path and who may read the file")
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
