//! Joins the parts: binds the ports, starts the data path, diagnoses what it hands over, and stops in good order.

mod inspecting;
mod signals;
mod watchdog;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::admin::Admin;
use crate::admin::inspector::{self, Inspector};
use crate::auth::FingerprintKey;
use crate::check::fails;
use crate::cli::LogFormat;
use crate::command::Command;
use crate::config::{Config, Listen};
use crate::diagnose::Diagnoser;
use crate::error::{self, Error};
use crate::exchange::redact::Redactor;
use crate::exchange::{Endpoint, Position};
use crate::hops::trace::HopKey;
use crate::keys::Keys;
use crate::port_holder::port_holder;
use crate::process;
use crate::proxy::{self, Hops, Listener, ListeningTap, Workers};
use crate::queue::{self, Inlet, Losses};
use crate::sinks::console::{self, Console};
use crate::sinks::filter::Filter;
use crate::sinks::metrics::{Counting, metrics};
use crate::sinks::output::{Output, Reopening};
use crate::sinks::probes::Probes;
use crate::sinks::ring::Ring;
use crate::sinks::{End, Log, Sinks, counted};
use crate::teller::Teller;
use crate::tls;
use signals::Signals;
use watchdog::{Bark, Watchdog};

/// Exchanges that may wait to be diagnosed.
const QUEUE: usize = 65_536;

/// How often the operator is reminded that certificates are not verified.
const REMINDER: Duration = Duration::from_secs(60);

/// Descriptors that are kept for the admin listener and its connections, the record, the standard streams and what fetches
/// keys; and those of a thread that relays, beside its listeners.
const OWN_DESCRIPTORS: usize = 96;
const DESCRIPTORS_OF_THREAD: usize = 4;

/// How long the end of the program waits for what is still to be diagnosed.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// How often it is looked whether the diagnosis goes on.
const LOOK: Duration = Duration::from_secs(5);

/// How often a draining program looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(20);

/// How long what a command left running is waited for without a word.
const LEFTOVER: Duration = Duration::from_millis(500);

/// Runs the proxy until it is told to stop. Gives the exit code.
///
/// # Errors
/// What keeps it from starting, with what to do about it.
pub fn run(mut config: Config) -> Result<u8, Error> {
    let filter = Filter::parse("--filter", config.filter.as_deref().unwrap_or_default())?;
    let probes = Probes::parse(&config.quiet_probes)?;
    if let Some(descriptors) = process::raise_descriptor_limit() {
        config.limits.connections = connections_within(descriptors, &config);
    }
    if let Some(mark) = config.taps.iter().find_map(|tap| tap.mark) {
        proxy::may_mark(mark).map_err(|error| {
            Error::run(format!("--mark: cannot mark connections: {error}")).advice(
                "give the program CAP_NET_ADMIN or CAP_NET_RAW, or leave its user out: authtap redirect --user …",
            )
        })?;
    }
    let keys = Keys::start(&config.given)?;
    let redactor = redactor(&config)?;
    let hops = hops(&config)?.map(Arc::new);
    let open = |option: &str, path: &Option<PathBuf>, open: fn(&Path) -> io::Result<Output>| {
        path.as_ref().map(|path| open(path).map_err(|error| cannot_write(option, path, &error))).transpose()
    };
    let record = open("--record", &config.record, Output::to_file)?;
    let archive = open("--har", &config.har, Output::to_archive)?;
    let mut reporting = Reporting::start(&config)?;
    let reopenings: Vec<Reopening> = [&record, &archive].into_iter().flatten().map(Output::reopening).collect();
    let admin_listener = config.admin.map(|addr| listen(addr, 1)).transpose()?.map(|(addr, listeners)| {
        eprintln!("authtap: health on http://{addr}/healthz and /readyz, metrics on /metrics");
        listeners
    });
    let bound = config
        .taps
        .iter()
        .map(|tap| listen_for_tap(&tap.listen, config.threads).map(|(addr, listeners)| (tap, addr, listeners)))
        .collect::<Result<Vec<_>, _>>()?;
    let inspecting = inspecting::bind(&config)?;
    let (outlet, inlet, losses) = queue::bounded(QUEUE, config.queue_bytes);
    let taps: Vec<(Arc<ListeningTap>, Vec<Listener>)> = bound
        .into_iter()
        .enumerate()
        .map(|(index, (tap, addr, listeners))| {
            let position = match config.is_transparent {
                true => Position::ALONE,
                false => Position { index, of: config.taps.len() },
            };
            let tap = ListeningTap::new(tap, addr, config.limits.clone(), outlet.clone(), position, hops.clone());
            (Arc::new(tap), listeners)
        })
        .collect();
    drop(outlet);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::run(format!("cannot start the runtime: {error}")))?;
    // Whoever reads in the banner that the program runs may stop it at once, and it has to end in good order then.
    let signals = {
        let _runtime = runtime.enter();
        Signals::new().map_err(|error| Error::run(format!("cannot listen for signals: {error}")))?
    };
    let urls: Vec<(String, String)> =
        taps.iter().map(|(tap, _)| (tap.name().to_owned(), reachable(&tap.url()))).collect();
    let inspecting = inspecting.map(|bound| bound.start(&config, &urls, losses.clone())).transpose()?;
    banner(&config, &taps, inspecting.as_ref().map(|inspecting| inspecting.words.as_str()));
    let (ring, inspector) = inspecting.map(|inspecting| (inspecting.ring, inspecting.listening)).unzip();
    let names: Vec<String> = taps.iter().map(|(tap, _)| tap.name().to_owned()).collect();
    let (metrics, counting) = metrics(&names);
    // The diagnosis goes on as long as somebody holds a tap, and the admin listener is there to the last.
    let served: Vec<Weak<ListeningTap>> = taps.iter().map(|(tap, _)| Arc::downgrade(tap)).collect();
    let (counted, watched) = (losses.clone(), losses.clone());
    let admin = Admin::new(move || {
        let open = served.iter().map(|tap| tap.upgrade().map_or(0, |tap| tap.open_connections()));
        metrics.text(open, counted.dropped())
    });
    let files = Files {
        record,
        archive,
        counting: config.admin.is_some().then_some(counting),
        telemetry: reporting.output.take(),
        ring,
        filter,
        probes,
    };
    let diagnosis = start_diagnosis(&config, (inlet, losses), redactor, hops, files, keys)?;
    let workers = Workers::start(taps).map_err(|error| Error::run(format!("cannot start the relay: {error}")))?;
    let code = runtime.block_on(async {
        if let Some((inspector, listener)) = inspector {
            tokio::spawn(Inspector::serve(inspector, listener));
        }
        let command = (!config.command.is_empty()).then(|| Command::start(&config.command, &urls)).transpose()?;
        tokio::spawn(watch(watched));
        Ok(until_told(&config, &workers, (admin, admin_listener), &reopenings, (signals, command)).await)
    });
    workers.stop();
    // A rule that does not come to its end must not keep the program from doing so.
    let end = diagnosis
        .recv_timeout(LAST_WORDS)
        .map_err(|_| Error::run(format!("the diagnosis did not end within {LAST_WORDS:?}; records may be missing")))?;
    let ended = report(&config, &end, reporting.lost());
    code.map(|code| if code == error::FINE { ended } else { code })
}

/// The URL under which a client on this machine reaches a tap, which may listen on all addresses.
fn reachable(url: &str) -> String {
    url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
}

/// Client connections for each tap that so many descriptors suffice for, of those that were asked for: each has one of its
/// own and one towards the upstream, and the program needs some for itself.
fn connections_within(descriptors: u64, config: &Config) -> usize {
    let inspector = config.inspect.map_or(0, |_| inspector::CONNECTIONS);
    let own = OWN_DESCRIPTORS + inspector + config.threads * (config.taps.len() + DESCRIPTORS_OF_THREAD);
    let left = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(own);
    config.limits.connections.min((left / 2 / config.taps.len().max(1)).max(1))
}

fn redactor(config: &Config) -> Result<Redactor, Error> {
    let hop_key = config.hops.as_ref().and_then(|hops| hops.key.as_ref());
    let key = match (&config.fingerprint_key, hop_key) {
        (Some(bytes), _) => FingerprintKey::from_bytes(bytes),
        // Machines that share this key may as well call the same secret the same.
        (None, Some(bytes)) => HopKey::from_bytes(bytes).fingerprints().clone(),
        (None, None) => FingerprintKey::random().map_err(|error| no_random_bytes(&error))?,
    };
    let redactor = Redactor::new(key, config.shown.iter().cloned()).masking(config.masked.iter().cloned());
    Ok(if config.show_secrets.is_some() { redactor.show_everything() } else { redactor })
}

/// How the taps tell each other of requests, if they do.
fn hops(config: &Config) -> Result<Option<Hops>, Error> {
    let Some(hops) = &config.hops else { return Ok(None) };
    let key = match &hops.key {
        Some(bytes) => HopKey::from_bytes(bytes),
        None => HopKey::random().map_err(|error| no_random_bytes(&error))?,
    };
    Ok(Some(Hops::new(hops.header.clone(), key, hops.peers)))
}

fn no_random_bytes(error: &getrandom::Error) -> Error {
    Error::run(format!("cannot get random bytes for a key: {error}"))
}

fn cannot_write(option: &str, path: &Path, error: &io::Error) -> Error {
    let advice = match error.kind() {
        io::ErrorKind::InvalidData => "give it another name, or move away what is there",
        _ => "check that the folder is there and may be written to",
    };
    Error::run(format!("{option}: cannot write {}: {error}", path.display())).advice(advice)
}

/// Listens, or says who does so already.
pub(crate) fn listen(addr: SocketAddr, threads: usize) -> Result<(SocketAddr, Vec<TcpListener>), Error> {
    proxy::listen(addr, threads).map_err(|error| {
        let holder = (error.kind() == io::ErrorKind::AddrInUse).then(|| port_holder(addr.port())).flatten();
        let held = holder.map(|holder| format!("\n  held by: {holder}")).unwrap_or_default();
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => format!("another port, such as :{}=", addr.port().wrapping_add(1).max(1024)),
            io::ErrorKind::PermissionDenied => "a port from 1024 on, such as :8080=".to_owned(),
            _ => "an address of this machine, such as 127.0.0.1 or 0.0.0.0".to_owned(),
        };
        Error::run(format!("cannot listen on {addr}: {}{held}", in_words(&error))).advice(advice)
    })
}

/// Listens where a tap is to, or says why it can't.
fn listen_for_tap(place: &Listen, threads: usize) -> Result<(Endpoint, Vec<Listener>), Error> {
    let path = match place {
        Listen::Tcp(addr) => {
            let (addr, listeners) = listen(*addr, threads)?;
            return Ok((addr.into(), listeners.into_iter().map(Listener::Tcp).collect()));
        }
        Listen::Unix(path) => path,
    };
    let listeners = proxy::listen_unix(path, threads).map_err(|error| {
        let (why, advice) = match error.kind() {
            io::ErrorKind::AddrInUse => ("another program listens on it", "another path, or stop that program"),
            io::ErrorKind::AlreadyExists => ("what is there is no socket", "another path, or move that file away"),
            io::ErrorKind::NotFound => ("its folder does not exist", "make the folder, or give another path"),
            _ => ("", "a path in a folder that the tap may write to, such as /run/authtap/tap.sock"),
        };
        let why = if why.is_empty() { error.to_string() } else { why.to_owned() };
        Error::run(format!("cannot listen on {place}: {why}")).advice(advice)
    })?;
    Ok((Endpoint::Unix(Arc::from(path.as_path())), listeners))
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The program's first words, on stderr.
fn banner(config: &Config, taps: &[(Arc<ListeningTap>, Vec<Listener>)], inspector: Option<&str>) {
    let mut text = String::new();
    for (number, (tap, _)) in taps.iter().enumerate() {
        let lead = if number == 0 { concat!("authtap ", env!("CARGO_PKG_VERSION")) } else { "" };
        let name = if taps.len() > 1 { format!("{}  ", tap.name()) } else { String::new() };
        text.push_str(&format!("{lead:<15} {name}{}  ->  {}\n", tap.url(), tap.upstream_url()));
    }
    if let Some((first, _)) = taps.first() {
        let secrets = if config.show_secrets.is_some() { "SECRETS ARE SHOWN." } else { "Secrets are masked." };
        let how = match first.listen() {
            Endpoint::Tcp(addr) if config.is_transparent => {
                format!("What redirects connections here, and undoes it: authtap redirect PORT --to {} …", addr.port())
            }
            _ => format!("Point your client at {}.", first.url()),
        };
        text.push_str(&format!("{how} {secrets} Ctrl-C to stop.\n"));
    }
    text.push_str(inspector.unwrap_or_default());
    if let Some(time) = config.show_secrets {
        text.push_str(&format!("{SHOWING}, for {}.\n", in_time(time)));
    }
    for (tap, _) in taps.iter().filter(|_| config.is_transparent) {
        if let Endpoint::Tcp(addr) = tap.listen()
            && let Some(words) = proxy::missed(*addr)
        {
            text.push_str(&format!("WARNING: --transparent: {words}.\n"));
        }
    }
    if skips_verification(config) {
        text.push_str("WARNING: --insecure: upstreams' certificates are NOT verified.\n");
    }
    if config.logs_tls_keys {
        text.push_str("WARNING: --tls-key-log: whoever reads the file SSLKEYLOGFILE can read all traffic.\n");
    }
    eprintln!("{text}");
}

/// What is said, loudly and again, while secrets are shown.
const SHOWING: &str = "WARNING: --show-secrets: passwords and tokens are in the log and the record, in the clear";

/// A stretch of time in its largest unit.
fn in_time(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

fn skips_verification(config: &Config) -> bool {
    config.taps.iter().any(|tap| tap.client_tls.as_ref().is_some_and(|tls| !tls.verifies))
}

/// What hears of exchanges beside the log.
struct Files {
    record: Option<Output>,
    archive: Option<Output>,
    counting: Option<Counting>,
    telemetry: Option<Output>,
    /// What the inspector shows.
    ring: Option<Arc<Ring>>,
    /// What the log tells of.
    filter: Filter,
    /// What counts as a health probe.
    probes: Probes,
}

fn start_diagnosis(
    config: &Config,
    (inlet, losses): (Inlet, Losses),
    redactor: Redactor,
    hops: Option<Arc<Hops>>,
    files: Files,
    keys: Option<Keys>,
) -> Result<Receiver<End>, Error> {
    let cannot = |what: &str, error: io::Error| Error::run(format!("cannot start {what}: {error}"));
    let owns_stdout = config.command.is_empty();
    let coloured = if owns_stdout { console::is_coloured() } else { console::wants_colour(&io::stderr()) };
    let log = match config.log_format {
        LogFormat::Text => Log::Text(Box::new(Console::new(coloured, config.taps.len() > 1))),
        LogFormat::Json => Log::Json,
    };
    let lines = if owns_stdout { Output::to_stdout() } else { Output::to_stderr() };
    let lines = lines.map_err(|error| cannot("the log", error))?;
    let sinks = Sinks::new(log, lines, files.record)
        .archiving(files.archive)
        .counting(files.counting)
        .reporting(files.telemetry)
        .filtering(files.filter)
        .probed_by(files.probes)
        .keeping(files.ring)
        .showing_heads(config.shows_heads);
    let diagnoser = match hops.as_ref().filter(|_| config.hops.as_ref().is_some_and(|hops| hops.key.is_some())) {
        Some(hops) => Diagnoser::with_peers(hops.key().fingerprints().clone()),
        None => Diagnoser::default(),
    };
    let mut diagnoser = diagnoser.remembering(config.history_bytes).resting(!config.diagnoses);
    if let Some(keys) = &keys {
        diagnoser.set_given(keys.given().clone());
    }
    let taps = config.taps.iter().map(|tap| tap.name.clone()).collect();
    let showing = config.show_secrets.map(|time| Instant::now() + time);
    let teller = Teller { redactor, diagnoser, sinks, taps, losses, hops, keys, showing };
    let (tell, told) = sync_channel(1);
    let run = move || {
        process::step_back();
        // Nobody listens any more when the program did not want to wait.
        let _ = tell.send(teller.run(&inlet));
    };
    let thread = thread::Builder::new().name("diagnosis".to_owned()).spawn(run);
    thread.map(|_| told).map_err(|error| cannot("the diagnosis", error))
}

/// What takes records on their way to a collector, and how much of it did not get there.
#[derive(Default)]
struct Reporting {
    output: Option<Output>,
    #[cfg(feature = "otel")]
    counts: Option<Arc<crate::telemetry::Counts>>,
}

impl Reporting {
    /// Sets it up where it is asked for. Its endpoint is said, so that nobody sends by mistake.
    #[cfg(feature = "otel")]
    fn start(config: &Config) -> Result<Self, Error> {
        if !config.telemetry {
            return Ok(Reporting::default());
        }
        let telemetry = crate::telemetry::Telemetry::start()?;
        eprintln!("authtap: spans and findings go to {}", telemetry.endpoints());
        let counts = Some(telemetry.counts());
        let output = Output::start("what is for the collector".to_owned(), telemetry)
            .map_err(|error| Error::run(format!("cannot start what sends telemetry: {error}")))?;
        Ok(Reporting { output: Some(output), counts })
    }

    #[cfg(not(feature = "otel"))]
    fn start(_: &Config) -> Result<Self, Error> {
        Ok(Reporting::default())
    }

    /// How many spans and logs did not get to the collector.
    fn lost(&self) -> u64 {
        #[cfg(feature = "otel")]
        return self.counts.as_ref().map_or(0, |counts| counts.lost());
        #[cfg(not(feature = "otel"))]
        return 0;
    }
}

/// Opens the files anew, so that they may be moved away, and reads the listeners' certificate again.
fn reload(config: &Config, files: &[Reopening]) {
    files.iter().for_each(Reopening::ask);
    let Some(files) = &config.server_files else { return };
    match tls::renewed(files) {
        Ok(renewed) => {
            for tls in config.taps.iter().filter_map(|tap| tap.server_tls.as_ref()) {
                tls.replace(renewed.clone());
            }
            tracing::info!("new connections get the certificate that is now in {}", files.cert.display());
        }
        Err(error) => tracing::error!("the certificate stays as it was: {error}"),
    }
}

/// Says where the diagnosis hangs, for as long as the program runs.
async fn watch(losses: Losses) {
    let mut dog = Watchdog::new(Instant::now());
    loop {
        tokio::time::sleep(LOOK).await;
        match dog.look(losses.heartbeat(), Instant::now()) {
            Some(Bark::Hangs(time)) => tracing::error!(
                "the diagnosis has not come back for more exchanges for {}; traffic goes on, and what does not fit into the queue is \
                 counted",
                in_time(time)
            ),
            Some(Bark::GoesOn(time)) => tracing::warn!("the diagnosis goes on, after {}", in_time(time)),
            None => {}
        }
    }
}

/// Waits for a signal, or for the end of the command, then drains: no new connections, running exchanges may finish. A second
/// signal ends at once. While a command runs, signals are the command's. Gives its exit code.
async fn until_told(
    config: &Config,
    workers: &Workers,
    (admin, admin_listener): (Arc<Admin>, Option<Vec<TcpListener>>),
    files: &[Reopening],
    (mut signals, mut command): (Signals, Option<Command>),
) -> u8 {
    for listener in admin_listener.into_iter().flatten() {
        tokio::spawn(admin.clone().serve(listener));
    }
    admin.set_ready(true);
    let began = Instant::now();
    let mut reminder = tokio::time::interval_at(tokio::time::Instant::now() + REMINDER, REMINDER);
    let code = loop {
        tokio::select! {
            told = signals.next() => match (told, &command) {
                (None, _) => reload(config, files),
                (Some(signal), Some(command)) => command.pass_on(signal),
                (Some(_), None) => break error::FINE,
            },
            code = end_of(&mut command) => break code,
            _ = reminder.tick() => {
                if skips_verification(config) {
                    eprintln!("WARNING: --insecure: upstreams' certificates are NOT verified.");
                }
                if let Some(left) = config.show_secrets.and_then(|time| time.checked_sub(began.elapsed())) {
                    eprintln!("{SHOWING}, for {} more.", in_time(left));
                }
            }
        }
    };
    admin.set_ready(false);
    workers.drain();
    let drained = async {
        let began = tokio::time::Instant::now();
        let mut is_told = command.is_none();
        while workers.open_connections() > 0 {
            tokio::time::sleep(DRAIN_STEP).await;
            if !is_told && began.elapsed() > LEFTOVER {
                is_told = true;
                tracing::info!("the command has ended; what it left running has {:?} to finish", config.drain);
            }
        }
    };
    tokio::select! {
        result = tokio::time::timeout(config.drain, drained) => {
            if result.is_err() {
                let open = workers.open_connections();
                let open = counted(open, "connection was still open after --drain and is", "connections were still open after --drain and are");
                tracing::warn!("{open} closed now");
            }
        }
        () = signals.end() => tracing::warn!("told to stop a second time: ending at once"),
    }
    code
}

/// Waits for the end of the command, for ever where there is none.
async fn end_of(command: &mut Option<Command>) -> u8 {
    match command {
        Some(command) => command.end().await,
        None => std::future::pending().await,
    }
}

/// The last words, and the exit code.
fn report(config: &Config, end: &End, unreported: u64) -> u8 {
    let mut stderr = io::stderr().lock();
    // Where stderr is gone there is nobody to tell.
    if config.log_format == LogFormat::Json {
        let _ = stderr.write_all(end.summary.as_bytes());
    }
    for (path, lost) in [(&config.record, end.lost_records), (&config.har, end.lost_entries)] {
        let Some(path) = path else { continue };
        let secrets = if config.show_secrets.is_some() { "SECRETS IN THE CLEAR" } else { "secrets masked" };
        let saved = if lost > 0 { "Saved in part" } else { "Saved" };
        let _ = writeln!(stderr, "  {saved}  {} ({secrets})", path.display());
    }
    if end.unreported > 0 {
        let exchanges = counted(end.unreported, "exchange was", "exchanges were");
        let _ = writeln!(stderr, "  ! {exchanges} too many to be sent to the collector");
    }
    if unreported > 0 {
        let _ = writeln!(stderr, "  ! {unreported} spans and logs did not get to the collector");
    }
    if fails(Some(config.fail_on), end.worst) {
        return error::FINDINGS;
    }
    if end.is_complete { error::FINE } else { error::INCOMPLETE }
}
