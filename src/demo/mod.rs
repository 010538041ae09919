//! `authtap demo`: real failures through real taps on real sockets, with everything embedded.
//!
//! A backend and a gateway run on loopback, each tap is the one that `authtap` runs, and what is printed is what its log
//! prints. The client writes its requests as bytes, since half of the failures can't be made with a library.

mod backend;
mod client;
mod gateway;
mod scenes;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::auth::FingerprintKey;
use crate::config::{HOP_HEADER, HopPeers, Limits, Listen, Place, TapConfig, Upstream, UpstreamScheme};
use crate::diagnose::Diagnoser;
use crate::error::{self, Error};
use crate::exchange::redact::Redactor;
use crate::exchange::{Position, View};
use crate::hops::trace::HopKey;
use crate::paths::Paths;
use crate::proxy::{self, Hops, Listener, ListeningTap, Workers};
use crate::queue::{self, Inlet, Next, Outlet};
use crate::sinks::Lost;
use crate::sinks::console::{self, Console};
use crate::sinks::shown::Shown;
use crate::sinks::summary::Summary;
use scenes::Scene;

/// How long an exchange may take to come out of the tap before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plays all scenes and prints what a user would see. Gives the exit code: 1 where a scene did not end as it should.
///
/// # Errors
/// What keeps it from starting.
pub fn run() -> Result<u8, Error> {
    let stage = Stage::build()?;
    let key = FingerprintKey::random().map_err(|error| cannot("get random bytes", &error))?;
    let redactor = Redactor::new(key, []);
    let mut teller = Teller {
        console: Console::new(console::is_coloured(), false),
        diagnoser: Diagnoser::default(),
        summary: Summary::default(),
        redactor,
        number: 0,
    };
    let began = Instant::now();
    let (mut failures, mut healthy, mut surprises) = (0, 0, Vec::new());
    print(&stage.introduction())?;
    for (number, scene) in scenes::all(&stage.tokens).into_iter().enumerate() {
        print(&format!("\n{:>2}. {}\n    client -> {}\n\n", number + 1, scene.title, scene.way.text()))?;
        let (told, verdict) = play(&stage, &scene, &mut teller)?;
        print(&told)?;
        if verdict != scene.expects {
            surprises.push(format!("scene {} ended with {verdict}, not with {}", number + 1, scene.expects));
        } else if verdict == "ok" {
            healthy += 1;
        } else {
            failures += 1;
        }
    }
    print(&teller.summary.text(began.elapsed(), &Lost::default(), 0, 0))?;
    print(&format!(
        "\n{failures} failures explained, {healthy} healthy calls left alone. Now with your own server:\n\
         \n    authtap https://api.example.com     then use http://127.0.0.1:8080\n\
         \n    authtap explain token-expired       what a verdict means\n"
    ))?;
    stage.workers.stop();
    for surprise in &surprises {
        eprintln!("authtap: {surprise}");
    }
    Ok(if surprises.is_empty() { error::FINE } else { error::COULD_NOT_RUN })
}

/// Plays one scene. Gives what the log says of it, and the verdict of its last exchange.
fn play(stage: &Stage, scene: &Scene, teller: &mut Teller) -> Result<(String, String), Error> {
    let tap = stage.tap(scene.way);
    client::send(tap, &scene.requests).map_err(|error| cannot("talk to the tap", &error))?;
    let mut told = String::new();
    let mut verdict = "nothing".to_owned();
    let taps: Vec<String> = scene.way.taps().iter().map(|name| (*name).to_owned()).collect();
    let mut paths = Paths::new(taps.len());
    let mut left = scene.requests.len();
    let end = Instant::now() + PATIENCE;
    while left > 0 {
        if Instant::now() > end {
            return Err(Error::run(format!("the tap recorded nothing of the scene {:?}", scene.title)));
        }
        let requests = match stage.inlet.next(STEP) {
            Next::Exchange(exchange) => paths.add(exchange, Instant::now()),
            Next::Arrival(arrival) => {
                paths.arrived(arrival, Instant::now());
                Vec::new()
            }
            Next::Nothing | Next::Closed => paths.due(Instant::now()),
        };
        for request in requests {
            left = left.saturating_sub(1);
            let views: Vec<View<'_>> =
                request.seen.iter().map(|seen| View::new(&seen.exchange, &teller.redactor)).collect();
            let diagnosis = teller.diagnoser.diagnose_request(&views, &request, &taps).whole;
            let Some(outermost) = views.first() else { continue };
            verdict = diagnosis.verdict().to_owned();
            teller.number += 1;
            let shown = Shown::of(outermost);
            teller.summary.add(&shown, &diagnosis.findings);
            told.push_str(&teller.console.exchange(&shown, teller.number, &diagnosis.findings));
        }
    }
    Ok((told, verdict))
}

/// How long it waits before it looks whether something has become due.
const STEP: Duration = Duration::from_millis(20);

/// Diagnoses and tells, as the program does behind its queue.
struct Teller {
    console: Console,
    diagnoser: Diagnoser,
    summary: Summary,
    redactor: Redactor,
    number: u64,
}

/// Which way the client's requests take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A tap before the gateway.
    Gateway,
    /// A tap before the backend.
    Backend,
    /// A tap before the gateway, and one behind it.
    Path,
    /// A tap before a port where nothing listens.
    Nowhere,
}

impl Way {
    fn text(self) -> &'static str {
        match self {
            Self::Gateway => "tap -> gateway -> backend",
            Self::Backend => "tap -> backend",
            Self::Path => "edge tap -> gateway -> app tap -> backend",
            Self::Nowhere => "tap -> a backend that is down",
        }
    }

    /// The names of its taps, in the order in which a request passes them.
    fn taps(self) -> &'static [&'static str] {
        match self {
            Self::Path => &["edge", "app"],
            _ => &["tap"],
        }
    }
}

/// The backend, the gateway, and a tap for each way.
struct Stage {
    workers: Workers,
    inlet: Inlet,
    taps: [(Way, SocketAddr); 4],
    tokens: scenes::Tokens,
}

impl Stage {
    fn build() -> Result<Self, Error> {
        let tokens = scenes::Tokens::issue().map_err(|error| cannot("get random bytes", &error))?;
        let backend = listen()?;
        let (gateway, inner_gateway) = (listen()?, listen()?);
        let backend_addr = address(&backend)?;
        let (gateway_addr, inner_gateway_addr) = (address(&gateway)?, address(&inner_gateway)?);
        // Bound and closed again: for a moment nobody else gets this port.
        let nowhere = address(&listen()?)?;
        let (outlet, inlet, _) = queue::bounded(1024, 16 << 20);
        let key = HopKey::random().map_err(|error| cannot("get random bytes", &error))?;
        let hops = Arc::new(Hops::new(HOP_HEADER.to_owned(), key, HopPeers::default()));
        let mut served = Vec::new();
        let mut tap_of = |way: Way, index: usize, upstream: SocketAddr| {
            let position = Position { index, of: way.taps().len() };
            let name = way.taps().get(index).copied().unwrap_or_default();
            let hops = (position.of > 1).then(|| hops.clone());
            let (tap, addr, listeners) = tap_before(name, upstream, outlet.clone(), position, hops)?;
            served.push((Arc::new(tap), listeners));
            Ok(addr)
        };
        let inner = tap_of(Way::Path, 1, backend_addr)?;
        let taps = [
            (Way::Gateway, tap_of(Way::Gateway, 0, gateway_addr)?),
            (Way::Backend, tap_of(Way::Backend, 0, backend_addr)?),
            (Way::Path, tap_of(Way::Path, 0, inner_gateway_addr)?),
            (Way::Nowhere, tap_of(Way::Nowhere, 0, nowhere)?),
        ];
        let accepted = tokens.clone();
        thread::Builder::new()
            .name("demo".to_owned())
            .spawn(move || serve(backend, [(gateway, backend_addr), (inner_gateway, inner)], accepted))
            .map_err(|error| cannot("start the backend", &error))?;
        let workers = Workers::start(served).map_err(|error| cannot("start the taps", &error))?;
        Ok(Stage { workers, inlet, taps, tokens })
    }

    fn tap(&self, way: Way) -> SocketAddr {
        let found = self.taps.iter().find(|(known, _)| *known == way);
        found.map_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), |(_, addr)| *addr)
    }

    fn introduction(&self) -> String {
        let lead = concat!("authtap ", env!("CARGO_PKG_VERSION"), " demo");
        format!(
            "{lead}   a backend, a gateway and a client, with taps between\n\
             What follows each headline is what the tap's log says.\n"
        )
    }
}

fn tap_before(
    name: &str,
    upstream: SocketAddr,
    outlet: Outlet,
    position: Position,
    hops: Option<Arc<Hops>>,
) -> Result<(ListeningTap, SocketAddr, Vec<Listener>), Error> {
    let (listen, listeners) = proxy::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1)
        .map_err(|error| cannot("listen on loopback", &error))?;
    let config = TapConfig {
        name: name.to_owned(),
        listen: Listen::Tcp(listen),
        upstream: Upstream {
            scheme: UpstreamScheme::Http,
            place: Place::Host { host: upstream.ip().to_string(), port: upstream.port() },
        },
        host: None,
        client_tls: None,
        server_tls: None,
        proxy_protocol_in: false,
        proxy_protocol_out: None,
        mark: None,
    };
    let limits = Limits {
        head: 64 * 1024,
        connections: 64,
        connect_timeout: PATIENCE,
        handshake_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        response_timeout: None,
    };
    let tap = ListeningTap::new(&config, listen.into(), limits, outlet, position, hops);
    Ok((tap, listen, listeners.into_iter().map(Listener::Tcp).collect()))
}

/// Serves the backend and the gateways, each with where it goes to, until the program ends.
fn serve(backend: TcpListener, gateways: [(TcpListener, SocketAddr); 2], tokens: scenes::Tokens) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!("cannot start the backend: {error}"),
    };
    runtime.block_on(async {
        let [outer, inner] = gateways.map(|(listener, backend)| gateway::serve(listener, backend));
        tokio::join!(backend::serve(backend, tokens), outer, inner);
    });
}

fn listen() -> Result<TcpListener, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| cannot("listen on loopback", &error))?;
    listener.set_nonblocking(true).map_err(|error| cannot("listen on loopback", &error))?;
    Ok(listener)
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|error| cannot("listen on loopback", &error))
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::run(format!("the demo cannot {what}: {error}"))
}

fn print(text: &str) -> Result<(), Error> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| cannot("write to stdout", &error))
}
