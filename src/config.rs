//! What the program was asked to do, read and checked in full before any port is bound.

mod given;
mod tap;

use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub use crate::cli::ProxyProtocol;
use crate::cli::{FailOn, Inspect, LogFormat, Peers, RunOptions};
use crate::error::Error;
use crate::tls;
pub(crate) use given::without_query;
pub use given::{GivenConfig, KeyPlace};
pub(crate) use tap::check_no_upstream;
pub use tap::{Listen, Place, SetHost, TapConfig, Upstream, UpstreamScheme};
use tap::{TapArgument, check_apart, host_to_set};
pub(crate) use tap::{check_tap, is_authority, parse_listen};

/// Everything that a run needs.
pub struct Config {
    /// The taps, in the order in which a request passes them.
    pub taps: Vec<TapConfig>,
    /// Whether they take redirected connections, each for itself.
    pub is_transparent: bool,
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
    /// What counts as a health probe, in words.
    pub quiet_probes: Vec<String>,
    /// Whether the log has the heads of exchanges.
    pub shows_heads: bool,
    /// The command that runs while the taps listen; empty where there is none.
    pub command: Vec<OsString>,
    /// From which severity on a finding counts as a failure.
    pub fail_on: FailOn,
    /// Whether exchanges are diagnosed.
    pub diagnoses: bool,
    /// Where health is asked for.
    pub admin: Option<SocketAddr>,
    /// Whether spans and logs go to a collector.
    pub telemetry: bool,
    /// Where the inspector page is served, and how much memory its records may take, in bytes.
    pub inspect: Option<(SocketAddr, usize)>,
    /// How long running exchanges may take after SIGTERM.
    pub drain: Duration,
    /// Fields that are shown although they are not on the safe list.
    pub shown: Vec<String>,
    /// Fields and query parameters that are masked although they count as harmless.
    pub masked: Vec<String>,
    /// How long secrets are shown; `None` where they are not.
    pub show_secrets: Option<Duration>,
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

/// The least memory for the inspector's records that makes sense, in bytes: room for some of the largest heads.
const INSPECT_LEAST: usize = 1024 * 1024;

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

impl Config {
    /// Checks what was asked for, and reads the files that it names.
    ///
    /// # Errors
    /// What is wrong, with which input, and what would be right.
    pub fn new(options: RunOptions) -> Result<Self, Error> {
        let is_transparent = options.transparent.is_on();
        if options.taps.is_empty() && !is_transparent {
            return Err(Error::usage("no tap was given").advice("authtap https://api.example.com"));
        }
        if is_transparent && !options.client.is_empty() {
            return Err(Error::usage(
                "--transparent and a command can't go together: the tap's URL that a command gets would lead nowhere",
            )
            .advice(
                "authtap --transparent alone, with authtap redirect PORT beside it for the user who runs the command",
            ));
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
        if options.no_diagnosis.is_on() && options.fail_on.is_some_and(|severity| severity != FailOn::Never) {
            return Err(Error::usage("--no-diagnosis and --fail-on contradict each other: nothing would be found")
                .advice("leave one of them out"));
        }
        if options.verbose.is_on() && options.log_format == LogFormat::Json {
            return Err(
                Error::usage("--verbose is for the log for people").advice("leave it out: the record has all heads")
            );
        }
        if options.otel.is_on() && options.mark.is_some() {
            return Err(unmarked("--otel"));
        }
        if options.otel.is_on() && cfg!(not(feature = "otel")) {
            return Err(Error::usage("--otel: this authtap was built without OpenTelemetry")
                .advice("a release image, or cargo build --features otel"));
        }
        if options.otel.is_on() && options.show_secrets.get().is_some() {
            return Err(Error::usage("--otel and --show-secrets can't go together: secrets would leave this machine")
                .advice("leave one of them out"));
        }
        if options.har.is_some() && options.har == options.record {
            return Err(Error::usage("--har and --record can't go to the same file").advice("give each its own"));
        }
        let parse = if is_transparent { TapArgument::parse_transparent } else { TapArgument::parse };
        let mut arguments = options.taps.iter().map(|tap| parse(tap)).collect::<Result<Vec<_>, _>>()?;
        if arguments.is_empty() {
            arguments.push(parse(":8080")?);
        }
        // Who reads the TLS of redirected connections speaks it with where they were going.
        let reads_tls = is_transparent && (options.tls.is_on() || options.tls_cert.is_some());
        let needs_tls = reads_tls || arguments.iter().any(|tap| tap.upstream.scheme == UpstreamScheme::Https);
        // Files that were named are read even where no upstream needs them: a wrong path is a mistake all the same.
        let names_files = options.cacert.is_some() || options.cert.is_some();
        let client_tls = if needs_tls || names_files { Some(Arc::new(tls::towards_upstream(&options)?)) } else { None };
        let names: Vec<String> = arguments.iter().filter_map(|tap| tap.upstream.host()).map(str::to_owned).collect();
        let server_tls = tls::towards_clients(&options, &names)?.map(Arc::new);
        let several = arguments.len() > 1;
        let mut taps = Vec::new();
        for (number, argument) in arguments.into_iter().enumerate() {
            let TapArgument { name, listen, upstream } = argument;
            let name = name.unwrap_or_else(|| if several { format!("tap{}", number + 1) } else { "tap".to_owned() });
            taps.push(TapConfig {
                name,
                listen: listen.unwrap_or_else(|| Listen::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080))),
                host: host_to_set(options.host.as_deref(), &upstream)?,
                client_tls: client_tls.clone().filter(|_| reads_tls || upstream.scheme == UpstreamScheme::Https),
                server_tls: server_tls.clone(),
                proxy_protocol_in: options.proxy_protocol_in.is_on(),
                proxy_protocol_out: options.proxy_protocol_out,
                mark: options.mark,
                upstream,
            });
        }
        check_apart(&taps)?;
        let inspect = inspect(&options)?;
        let own = [("--admin", options.admin), ("--inspect", inspect.map(|(addr, _)| addr))];
        check_no_upstream(&taps, &own)?;
        let given = GivenConfig::new(&options.given, options.cacert.as_deref())?;
        for place in given.keys.iter().filter(|_| options.mark.is_some()) {
            match place {
                KeyPlace::File(..) => {}
                KeyPlace::Url(_) => return Err(unmarked("--jwks with a URL")),
                KeyPlace::Issuer(_) => return Err(unmarked("--issuer with a URL, whose keys are fetched,")),
            }
        }
        let fingerprint_key = options.fingerprint_key_file.as_ref();
        let fingerprint_key = fingerprint_key.map(|path| read_key("--fingerprint-key-file", path)).transpose()?;
        // Redirected connections pass one tap each, however many there are.
        let hops = hops(&options, several && !is_transparent)?;
        let server_files = match (&options.tls_cert, &options.tls_key) {
            (Some(cert), Some(key)) => {
                Some(ServerFiles { cert: cert.clone(), key: key.clone(), logs_keys: options.tls_key_log.is_on() })
            }
            _ => None,
        };
        Ok(Config {
            taps,
            is_transparent,
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
            quiet_probes: options.quiet_probes,
            shows_heads: options.verbose.is_on(),
            fail_on: options.fail_on.unwrap_or(match options.client.is_empty() || options.no_diagnosis.is_on() {
                true => FailOn::Never,
                false => FailOn::Error,
            }),
            diagnoses: !options.no_diagnosis.is_on(),
            command: options.client,
            admin: options.admin,
            telemetry: options.otel.is_on(),
            inspect,
            drain: options.drain.get(),
            shown: options.show,
            masked: options.redact,
            show_secrets: options.show_secrets.get(),
            fingerprint_key,
            hops,
            queue_bytes: options.queue_memory.bytes(),
            history_bytes: options.history_memory.bytes(),
            given,
        })
    }
}

/// What connects to elsewhere without a mark would be redirected by rules that leave marks alone; and what a collector is told
/// would be told of as well, without end.
fn unmarked(option: &str) -> Error {
    Error::usage(format!("{option} and --mark can't go together: upstream connections alone are marked"))
        .advice("run the tap as a user of its own, without --mark, and redirect with authtap redirect --user")
}

/// Where the inspector page is served, and how much memory its records may take.
fn inspect(options: &RunOptions) -> Result<Option<(SocketAddr, usize)>, Error> {
    let Some(addr) = options.inspect.and_then(Inspect::addr) else { return Ok(None) };
    let bytes = options.inspect_memory.bytes();
    if bytes < INSPECT_LEAST {
        return Err(Error::usage("--inspect-memory is too small to hold the records of large heads")
            .advice("--inspect-memory 1MiB or more"));
    }
    Ok(Some((addr, bytes)))
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
