//! The command line; the comments of its structs are the help text.

mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use values::{Inspect, Showing, Size, Span, Switch};

/// Find out why HTTP authentication fails.
///
/// authtap is a transparent reverse proxy. Point a client at it, and it passes everything on as it came, both ways, and
/// says beside each exchange what is wrong with its authentication: the verdict, the evidence, the fix.
#[derive(Parser, Debug)]
#[command(
    name = "authtap",
    version,
    about,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    subcommand_value_name = "COMMAND",
    after_help = EXAMPLES
)]
pub struct Cli {
    /// What to do instead of running the proxy.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to run the proxy.
    #[command(flatten)]
    pub run: RunOptions,
}

const EXAMPLES: &str = "\
Examples:
  authtap https://api.example.com                 listen on 127.0.0.1:8080
  authtap :9000=http://localhost:3000             listen on 127.0.0.1:9000
  authtap edge@:8080=http://gateway:80 app@:9090=http://app:3000     a path: the gateway between two taps
  authtap unix:/run/tap.sock=unix:/run/app.sock   sockets of the Unix domain, on either side
  authtap app@0.0.0.0:8080=http://127.0.0.1:3000 --record app.jsonl --log-format json
  authtap https://api.example.com -- curl {}/v1/orders               run a command while the tap listens
  authtap check incident.har --fail-on error      diagnose what a browser recorded
  authtap echo :3000                              a backend that shows what arrived, and challenges on demand
  authtap --transparent [::]:15001                redirected connections, each to where it was going
  authtap compare edge.jsonl app.jsonl            what the gateway between two recordings changed

Every option can also be given as AUTHTAP_... in the environment (--log-format as AUTHTAP_LOG_FORMAT, the taps as
AUTHTAP_TAPS) or in a TOML file (--config). Flags win over the environment, and that wins over the file.
RUST_LOG sets what the program says about itself on stderr.

Exit codes: 0 fine, 1 could not run, 2 wrong usage, 3 findings at or above --fail-on, 4 some exchanges were not
recorded, or could not be read. With a command behind --, the command's own code where that is not 0.";

/// The variable in which a command behind `--` finds the first tap's URL; with `_` and a tap's name behind it, that one's.
pub const URL_VARIABLE: &str = "AUTHTAP_URL";

/// Commands beside running the proxy.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Play real failures through real taps, with everything embedded, and show what a user would see
    Demo,
    /// Diagnose recorded traffic: an HTTP Archive (HAR), or what --record wrote
    Check(CheckOptions),
    /// Say what the hop between two taps changed, from two recordings of the same traffic
    Compare(CompareOptions),
    /// Make an HTTP Archive (HAR 1.2) of what --record wrote
    Har(HarOptions),
    /// Say what a rule means, why it happens and how to fix it, with a bad and a good exchange
    Explain {
        /// The rule's name, as the log gives it
        #[arg(value_name = "RULE")]
        rule: String,
    },
    /// Serve an origin that answers with the request's head as it arrived, secrets masked
    ///
    /// It answers any path, speaks HTTP/1, and takes one request on each connection. /status/N answers with that status;
    /// /basic, /bearer and /digest challenge, and take any credentials of their scheme. A client that accepts
    /// application/json gets JSON.
    Echo {
        /// Where to listen: :PORT means 127.0.0.1:PORT
        #[arg(value_name = "LISTEN", default_value = ":3000")]
        listen: String,
    },
    /// Print the rules that redirect connections to a tap with --transparent, or those that undo it
    ///
    /// They are commands of a shell, to be read first and run as root. Connections that this machine makes are redirected,
    /// but for those of the tap itself, or with --incoming those that come to it.
    Redirect(RedirectOptions),
    /// Print the script that makes a shell complete the command line
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff
    Man {
        /// The command whose page is wanted [default: the program's]
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
    /// List the rules
    Rules {
        /// How to print them
        #[arg(long, value_enum, default_value_t = RulesFormat::Text)]
        format: RulesFormat,
    },
}

/// What is checked, and how it is told.
#[derive(Args, Debug)]
pub struct CheckOptions {
    /// HAR files, and recordings of authtap's own
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Exit with 3 where a finding is as bad as this
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub fail_on: Option<FailOn>,

    /// Look only at these exchanges: words such as status:4xx, rule:NAME, method:GET, path:/prefix, client:ADDRESS, agent:PREFIX,
    /// header:NAME, all of which have to hold; - before one turns it round
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    pub filter: Option<String>,

    /// Show the values of this field too; may be given several times
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub show: Vec<String>,

    /// Mask the values of this field, or of this query parameter, although it counts as harmless; may be given several times
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub redact: Vec<String>,

    /// Show the heads of each exchange, masked: > towards the backend, < back, * the tap
    #[arg(short, long)]
    pub verbose: bool,

    /// How to print it: for people, or as records with their diagnosis
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub format: LogFormat,

    /// What is known of the service.
    #[command(flatten)]
    pub given: GivenOptions,
}

/// What the operator knows of the service, so that tokens can be held against it.
#[derive(Args, Debug, Default)]
pub struct GivenOptions {
    /// Hold tokens against these keys: a JSON Web Key Set, or its URL; may be given several times
    ///
    /// A set at a URL is fetched at start, beside the traffic, and again when a token that was refused names a key that is
    /// not there, at most every 30 seconds.
    #[arg(long, value_name = "URL|FILE", action = ArgAction::Append, help_heading = "What the service expects")]
    pub jwks: Vec<String>,

    /// Hold tokens against the secret in this file, which signer and service share
    ///
    /// A line end behind the secret is left out.
    #[arg(long, value_name = "FILE", help_heading = "What the service expects")]
    pub jwt_secret_file: Option<PathBuf>,

    /// The issuer of its tokens, as it stands in them; may be given several times
    ///
    /// Where neither --jwks nor --jwt-secret-file is given, the issuer's keys are looked up by its metadata.
    #[arg(long, value_name = "URL", action = ArgAction::Append, help_heading = "What the service expects")]
    pub issuer: Vec<String>,

    /// The audience of its tokens, as it stands in them; may be given several times
    #[arg(long, value_name = "NAME", action = ArgAction::Append, help_heading = "What the service expects")]
    pub audience: Vec<String>,

    /// The URL under which clients reach the service
    #[arg(long, value_name = "URL", help_heading = "What the service expects")]
    pub public_url: Option<String>,
}

/// What is compared, and how it is told.
#[derive(Args, Debug)]
pub struct CompareOptions {
    /// Recordings, in the order in which a request passes their taps: the one before the gateway, then the one behind it.
    /// One file is enough where it was recorded by a path of taps
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Show this request across all taps: its path_id or id, or the end of one
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,

    /// Show every request that differs, not just those with findings
    #[arg(long)]
    pub all: bool,

    /// Exit with 3 where a finding is as bad as this
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub fail_on: Option<FailOn>,

    /// How to print it
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

/// What is made an archive of.
#[derive(Args, Debug)]
pub struct HarOptions {
    /// Recordings
    #[arg(value_name = "RECORDING", required = true)]
    pub files: Vec<PathBuf>,

    /// Write it to this file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What is redirected.
#[derive(Args, Debug)]
pub struct RedirectOptions {
    /// The ports whose connections are redirected: those on which clients speak first, as in HTTP
    #[arg(value_name = "PORT", required = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: Vec<u16>,

    /// The port on which the tap listens
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub to: u16,

    /// The user as whom the tap runs, whose connections are left alone
    #[arg(long, value_name = "USER", required_unless_present_any = ["mark", "incoming"], conflicts_with_all = ["mark", "incoming"])]
    pub user: Option<String>,

    /// What the tap marks its connections with (--mark), which are left alone
    #[arg(long, value_name = "N", conflicts_with = "incoming", value_parser = clap::value_parser!(u32).range(1..))]
    pub mark: Option<u32>,

    /// Redirect the connections that come to this machine, or to this pod, in place of those that it makes
    #[arg(long)]
    pub incoming: bool,

    /// Which program sets the rules
    #[arg(long, value_enum, default_value_t = RulesProgram::Iptables)]
    pub format: RulesProgram,

    /// Print what takes the rules back
    #[arg(long)]
    pub undo: bool,
}

/// What sets rules.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesProgram {
    /// iptables and ip6tables
    Iptables,
    /// nft
    Nft,
}

/// From which severity on a finding counts as a failure.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// Errors
    Error,
    /// Warnings and errors
    Warning,
    /// All that is found
    Info,
    /// Nothing
    Never,
}

/// How rules are printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesFormat {
    /// A table for people
    Text,
    /// One JSON array
    Json,
    /// A page with a part for each rule
    Markdown,
}

/// How the proxy is run.
#[derive(Args, Debug)]
pub struct RunOptions {
    /// A tap: [NAME@][LISTEN=]UPSTREAM. LISTEN defaults to 127.0.0.1:8080, and :PORT means 127.0.0.1:PORT. Either may be a
    /// socket, unix:/PATH
    ///
    /// A socket to listen on is made for its owner and group (mode 0660), and removed at the end. Whoever is to connect as another
    /// user has to be in the group of the program, or of the folder where that has the set-group-id bit. One that an earlier
    /// program left behind is replaced.
    #[arg(value_name = "TAP")]
    pub taps: Vec<String>,

    /// Run this command while the taps listen, and end with it
    ///
    /// It finds the first tap's URL in AUTHTAP_URL, and each tap's in AUTHTAP_URL_NAME. An argument that begins with {} gets the
    /// first tap's URL in its place. The log goes to stderr, so that stdout is the command's own; signals are passed on to it.
    #[arg(value_name = "COMMAND ARGS", last = true)]
    pub client: Vec<OsString>,

    /// Read options from a TOML file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What Host fields become: kept, the upstream's authority, or NAME. Without it, kept where the upstream is on loopback
    #[arg(long, value_name = "keep|upstream|NAME", value_parser = host_choice, help_heading = "Traffic")]
    pub host: Option<String>,

    /// Take connections that the kernel redirected here, and pass each on to where it was going. A TAP is then [NAME@]LISTEN
    ///
    /// `authtap redirect` prints the rules that redirect them, and those that undo it. Host is kept. A connection that no rule
    /// redirected is closed. TLS passes unread; with --tls-cert or --tls the tap reads it with a certificate that clients have to
    /// trust, and speaks TLS with where it was going, under the name that the client asked for. One tap takes both kinds.
    #[arg(long, help_heading = "Traffic", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub transparent: Switch,

    /// Mark upstream connections with this number, so that rules can leave them alone; needs CAP_NET_ADMIN or
    /// CAP_NET_RAW
    ///
    /// Other connections of the program are not marked, so that it can't go together with --otel, nor with --jwks or --issuer
    /// where keys are fetched. A tap that runs as a user of its own needs no mark: see `authtap redirect --user`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Traffic")]
    pub mark: Option<u32>,

    /// Expect a PROXY protocol header, of version 1 or 2, before each client connection, and take the client's address from it
    ///
    /// It holds for all taps, and comes before TLS. A connection without one is closed, since who may leave it out could be
    /// taken for somebody else. Whoever can connect can claim any address: let nobody but the load balancer do so.
    #[arg(long, help_heading = "Traffic", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub proxy_protocol_in: Switch,

    /// Put a PROXY protocol header of this version, with the client's address, before each upstream connection
    ///
    /// It comes before TLS. One that came in with the same version is passed on as it is.
    #[arg(long, value_enum, value_name = "VERSION", help_heading = "Traffic")]
    pub proxy_protocol_out: Option<ProxyProtocol>,

    /// Threads that relay [default: one for each core]
    #[arg(long, value_name = "N", help_heading = "Traffic")]
    pub threads: Option<usize>,

    /// Client connections that may be open at once, for each tap
    #[arg(long, value_name = "N", default_value_t = 16_384, help_heading = "Traffic")]
    pub max_connections: usize,

    /// How long resolving and connecting to an upstream may take
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Traffic")]
    pub connect_timeout: Span,

    /// How long a TLS handshake may take, with either side
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Traffic")]
    pub handshake_timeout: Span,

    /// How long an upstream may take for the first byte of an answer [default: as long as it likes]
    #[arg(long, value_name = "TIME", help_heading = "Traffic")]
    pub response_timeout: Option<Span>,

    /// How long a connection may be idle between exchanges
    #[arg(long, value_name = "TIME", default_value = "5m", help_heading = "Traffic")]
    pub idle_timeout: Span,

    /// How long running exchanges may take to finish after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "30s", help_heading = "Traffic")]
    pub drain: Span,

    /// Do not tell the next tap of a path about requests. Without the header that does so, what a hop changed can only be
    /// guessed from what both taps saw
    #[arg(long, help_heading = "Paths of taps", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub no_hop_header: Switch,

    /// The name of the header by which taps tell each other of requests
    #[arg(long, value_name = "NAME", default_value = crate::config::HOP_HEADER, value_parser = header_name,
          help_heading = "Paths of taps")]
    pub hop_header: String,

    /// Believe taps of other processes that have the same key: 16 bytes or more in this file
    #[arg(long, value_name = "FILE", help_heading = "Paths of taps")]
    pub hop_key_file: Option<PathBuf>,

    /// Where those other taps are, seen from here
    #[arg(long, value_enum, value_name = "SIDE", help_heading = "Paths of taps")]
    pub hop_peers: Option<Peers>,

    /// What is known of the service.
    #[command(flatten)]
    pub given: GivenOptions,

    /// Do not verify upstreams' certificates
    #[arg(short = 'k', long, help_heading = "TLS towards the upstream", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub insecure: Switch,

    /// Trust the certificates in this PEM file, and no others [default: the platform's]
    #[arg(long, value_name = "FILE", help_heading = "TLS towards the upstream")]
    pub cacert: Option<PathBuf>,

    /// The certificate to show to upstreams, in PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS towards the upstream")]
    pub cert: Option<PathBuf>,

    /// The key of --cert, in PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS towards the upstream")]
    pub key: Option<PathBuf>,

    /// Speak TLS with clients, with a certificate made at start
    #[arg(long, help_heading = "TLS towards clients", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub tls: Switch,

    /// Speak TLS with clients, with this certificate in PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS towards clients")]
    pub tls_cert: Option<PathBuf>,

    /// The key of --tls-cert, in PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS towards clients")]
    pub tls_key: Option<PathBuf>,

    /// Write the keys of TLS sessions to the file that SSLKEYLOGFILE names. Whoever has it can read the traffic
    #[arg(long, help_heading = "TLS towards clients", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub tls_key_log: Switch,

    /// Write a record of every exchange to this file, as JSON lines
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub record: Option<PathBuf>,

    /// Write every exchange to this HTTP Archive (HAR 1.2) as well, which is whole at any moment
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub har: Option<PathBuf>,

    /// What stdout gets: a log for people, or the record as JSON lines
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text, help_heading = "Output")]
    pub log_format: LogFormat,

    /// Exit with 3 where a finding is as bad as this [default: error with a command behind --, else never]
    #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Output")]
    pub fail_on: Option<FailOn>,

    /// Tell only of these exchanges in the log: words such as status:4xx, rule:NAME, method:GET, path:/prefix, client:ADDRESS,
    /// agent:PREFIX, header:NAME, all of which have to hold; - before one turns it round. The record has all exchanges
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true, help_heading = "Output")]
    pub filter: Option<String>,

    /// Do not show exchanges of this kind while nothing is wrong with them, as with the usual health probes: words as for
    /// --filter; may be given several times. "none" shows the usual probes too
    #[arg(long, value_name = "EXPR", action = ArgAction::Append, allow_hyphen_values = true, help_heading = "Output")]
    pub quiet_probes: Vec<String>,

    /// Show the heads of each exchange in the log, their names as they were spelled, their values masked: > towards the
    /// backend, < back, * the tap
    #[arg(short, long, help_heading = "Output", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub verbose: Switch,

    /// Record what passes and diagnose none of it: every verdict is "not-diagnosed". What it costs to diagnose can be seen so
    #[arg(long, help_heading = "Output", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub no_diagnosis: Switch,

    /// Bytes of each head that are recorded; larger heads go on all the same
    #[arg(long, value_name = "SIZE", default_value = "64KiB", help_heading = "Output")]
    pub head_limit: Size,

    /// Memory for exchanges that wait to be diagnosed; when it is full, traffic goes on and the loss is counted
    #[arg(long, value_name = "SIZE", default_value = "64MiB", help_heading = "Output")]
    pub queue_memory: Size,

    /// Memory for what earlier exchanges told of clients, credentials and routes; when it is full, the oldest is forgotten
    #[arg(long, value_name = "SIZE", default_value = "64MiB", help_heading = "Output")]
    pub history_memory: Size,

    /// Show the values of this field too; may be given several times
    #[arg(long, value_name = "NAME", action = ArgAction::Append, help_heading = "Output")]
    pub show: Vec<String>,

    /// Mask the values of this field, or of this query parameter, although it counts as harmless; may be given several times
    #[arg(long, value_name = "NAME", action = ArgAction::Append, help_heading = "Output")]
    pub redact: Vec<String>,

    /// Show all secrets for this long, 10m where no time is given, and mask them again. Never where others can read the log
    #[arg(long, help_heading = "Output", value_name = "TIME", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true)]
    pub show_secrets: Showing,

    /// Key fingerprints with this file, so that they are equal across runs [default: a new random key for each run]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub fingerprint_key_file: Option<PathBuf>,

    /// Let the system write a core file of a crash, and debuggers attach. There are secrets in both
    #[arg(long, help_heading = "Output", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub allow_core: Switch,

    /// Send a span of each exchange, with its findings, and a log of each finding to an OpenTelemetry collector
    ///
    /// Where and how is for the usual variables: OTEL_EXPORTER_OTLP_ENDPOINT [http://localhost:4318],
    /// OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and so on. It goes by
    /// OTLP over HTTP, in protobuf. Without a sampler every exchange is sent, also where its client's trace is not.
    #[arg(long, help_heading = "Output", value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pub otel: Switch,

    /// Answer /healthz, /readyz and /metrics here, such as 127.0.0.1:9901
    #[arg(long, value_name = "ADDR", value_parser = admin_address, help_heading = "Output")]
    pub admin: Option<SocketAddr>,

    /// Serve a page that shows exchanges as they come, secrets masked; its link is printed at start [default address: 127.0.0.1:4040]
    ///
    /// :PORT means 127.0.0.1:PORT, and port 0 any that is free. Whoever has the link sees what --record would write. It goes over
    /// plain HTTP, so forward a port rather than listen on another address.
    #[arg(long, value_name = "ADDR", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          help_heading = "Inspector")]
    pub inspect: Option<Inspect>,

    /// Memory for the exchanges that the page shows; when it is full, the oldest are forgotten
    #[arg(long, value_name = "SIZE", default_value = "64MiB", help_heading = "Inspector")]
    pub inspect_memory: Size,
}

fn admin_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.to_owned() };
    full.parse().map_err(|_| "write an address with a port, such as 127.0.0.1:9901 or :9901".to_owned())
}

fn header_name(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match (1..=64).contains(&text.len()) && text.bytes().all(is_token) {
        true => Ok(text.to_owned()),
        false => Err("use the name of a header, such as X-Debug-Hop".to_owned()),
    }
}

fn host_choice(text: &str) -> Result<String, String> {
    match crate::config::is_authority(text) {
        true => Ok(text.to_owned()),
        false => Err("use keep, upstream, or a name such as api.example.com:8443".to_owned()),
    }
}

/// Where taps of other processes are.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Requests come from them
    Before,
    /// Requests go on to them
    Behind,
    /// On both sides
    Both,
}

/// The versions of the PROXY protocol.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// A line of text
    V1,
    /// Binary
    V2,
}

/// What stdout gets.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A log for people
    Text,
    /// The record, one JSON object a line
    Json,
}
