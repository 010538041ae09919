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
use crate::config::{Limits, TapConfig, Upstream, UpstreamScheme};
use crate::diagnose::Diagnoser;
use crate::error::{self, Error};
use crate::exchange::redact::Redactor;
use crate::exchange::{Position, View};
use crate::proxy::{self, ListeningTap, Workers};
use crate::queue::{self, Inlet, Next, Outlet};
use crate::sinks::Lost;
use crate::sinks::console::{self, Console};
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
    for _ in &scene.requests {
        let Next::Exchange(exchange) = stage.inlet.next(PATIENCE) else {
            return Err(Error::run(format!("the tap recorded nothing of the scene {:?}", scene.title)));
        };
        let view = View::new(&exchange, &teller.redactor);
        let diagnosis = teller.diagnoser.diagnose(&view);
        verdict = diagnosis.verdict().to_owned();
        teller.number += 1;
        teller.summary.add(&view, &diagnosis.findings);
        told.push_str(&teller.console.exchange(&view, teller.number, &diagnosis.findings));
    }
    Ok((told, verdict))
}

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
    /// A tap before a port where nothing listens.
    Nowhere,
}

impl Way {
    fn text(self) -> &'static str {
        match self {
            Self::Gateway => "tap -> gateway -> backend",
            Self::Backend => "tap -> backend",
            Self::Nowhere => "tap -> a backend that is down",
        }
    }
}

/// The backend, the gateway, and a tap for each way.
struct Stage {
    workers: Workers,
    inlet: Inlet,
    taps: [(Way, SocketAddr); 3],
    tokens: scenes::Tokens,
}

impl Stage {
    fn build() -> Result<Self, Error> {
        let tokens = scenes::Tokens::issue().map_err(|error| cannot("get random bytes", &error))?;
        let backend = listen()?;
        let gateway = listen()?;
        let backend_addr = address(&backend)?;
        let gateway_addr = address(&gateway)?;
        // Bound and closed again: for a moment nobody else gets this port.
        let nowhere = address(&listen()?)?;
        let accepted = tokens.clone();
        thread::Builder::new()
            .name("demo".to_owned())
            .spawn(move || serve(backend, gateway, backend_addr, accepted))
            .map_err(|error| cannot("start the backend", &error))?;
        let (outlet, inlet, _) = queue::bounded(1024, 16 << 20);
        let mut served = Vec::new();
        let mut taps = [(Way::Gateway, gateway_addr), (Way::Backend, backend_addr), (Way::Nowhere, nowhere)];
        for (_, addr) in &mut taps {
            let (tap, listeners) = tap_before(*addr, outlet.clone())?;
            *addr = listeners.first().map_or(Ok(*addr), address)?;
            served.push((Arc::new(tap), listeners));
        }
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

fn tap_before(upstream: SocketAddr, outlet: Outlet) -> Result<(ListeningTap, Vec<TcpListener>), Error> {
    let (listen, listeners) = proxy::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1)
        .map_err(|error| cannot("listen on loopback", &error))?;
    let config = TapConfig {
        name: "tap".to_owned(),
        listen,
        upstream: Upstream { scheme: UpstreamScheme::Http, host: upstream.ip().to_string(), port: upstream.port() },
        host: None,
        client_tls: None,
        server_tls: None,
    };
    let limits = Limits {
        head: 64 * 1024,
        connections: 64,
        connect_timeout: PATIENCE,
        handshake_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        response_timeout: None,
    };
    Ok((ListeningTap::new(&config, listen, limits, outlet, Position::ALONE, None), listeners))
}

/// Serves the backend and the gateway until the program ends.
fn serve(backend: TcpListener, gateway: TcpListener, backend_addr: SocketAddr, tokens: scenes::Tokens) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!("cannot start the backend: {error}"),
    };
    runtime.block_on(async {
        tokio::join!(backend::serve(backend, tokens), gateway::serve(gateway, backend_addr));
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
