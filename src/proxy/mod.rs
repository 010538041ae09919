//! The data path: accepts connections, relays them, and hands over what it saw as exchanges.
//!
//! It knows no rules. Each core has a thread of its own with its own listener on the shared port, so that no connection
//! ever moves between threads.

mod authority;
mod buffers;
mod downstream;
mod flow;
mod happy_eyeballs;
mod held;
mod hop;
mod http1_pool;
mod http2;
mod http2_limits;
mod hyper_error;
mod introduction;
mod listen;
mod observer;
mod passed;
mod recent_heads;
mod recorder;
mod relay;
mod reply;
mod seldom;
mod stream;
#[cfg(test)]
mod test_connection;
mod transparent;
mod upstream;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::{OnceCell, watch};

pub use crate::config::{Limits, TapConfig};
use crate::config::{Place, ProxyProtocol, ServerTls, SetHost};
use crate::exchange::{Edit, Endpoint, Failure, Position, Tap};
use crate::queue::Outlet;
use crate::wire::proxy_header::ProxyVersion;
use hop::Hop;
pub use hop::Hops;
use listen::Listening;
pub use listen::{Listener, SocketFile, listen, listen_unix};
use seldom::Seldom;
pub use transparent::{may_mark, missed};
use upstream::Target;

/// How long accepting waits after it failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A tap that is served.
pub struct ListeningTap {
    tap: Arc<Tap>,
    target: Arc<Target>,
    proxy_protocol_in: bool,
    host: Option<Arc<SetHost>>,
    server_tls: Option<Arc<ServerTls>>,
    limits: Limits,
    outlet: Outlet,
    hop: Option<Arc<Hop>>,
    open: AtomicUsize,
    speaks_http2: OnceCell<bool>,
    turned_away: Seldom,
    no_handshake: Seldom,
    no_header: Seldom,
    no_tunnel: Seldom,
    not_redirected: Seldom,
    own_redirected: Seldom,
    wrong_protocol: Seldom,
    not_accepted: Seldom,
}

impl ListeningTap {
    /// What a tap is made of: how it was set up, where it listens, where its exchanges go, its place among the taps of the
    /// process, and how they tell each other of requests, if they do.
    pub fn new(
        config: &TapConfig,
        listen: Endpoint,
        limits: Limits,
        outlet: Outlet,
        position: Position,
        hops: Option<Arc<Hops>>,
    ) -> Self {
        let tap = Tap { name: config.name.clone(), listen, upstream_url: config.upstream.url(), position };
        ListeningTap {
            hop: hops.map(|hops| Arc::new(Hop::new(hops, tap.name.clone(), position))),
            tap: Arc::new(tap),
            target: Arc::new(Target {
                upstream: config.upstream.clone(),
                tls: config.client_tls.clone(),
                mark: config.mark,
                proxy_protocol: config.proxy_protocol_out.map(|version| match version {
                    ProxyProtocol::V1 => ProxyVersion::V1,
                    ProxyProtocol::V2 => ProxyVersion::V2,
                }),
            }),
            proxy_protocol_in: config.proxy_protocol_in,
            host: config.host.clone().map(Arc::new),
            server_tls: config.server_tls.clone(),
            limits,
            outlet,
            open: AtomicUsize::new(0),
            speaks_http2: OnceCell::new(),
            turned_away: Seldom::default(),
            no_handshake: Seldom::default(),
            no_header: Seldom::default(),
            no_tunnel: Seldom::default(),
            not_redirected: Seldom::default(),
            own_redirected: Seldom::default(),
            wrong_protocol: Seldom::default(),
            not_accepted: Seldom::default(),
        }
    }

    /// The tap's name.
    pub fn name(&self) -> &str {
        &self.tap.name
    }

    /// Where clients are to be pointed at: a URL, or a socket as in `unix:/run/tap.sock`.
    pub fn url(&self) -> String {
        let scheme = if self.server_tls.is_some() { "https" } else { "http" };
        match &self.tap.listen {
            Endpoint::Tcp(addr) => format!("{scheme}://{addr}"),
            socket => socket.to_string(),
        }
    }

    /// Where it listens.
    pub fn listen(&self) -> &Endpoint {
        &self.tap.listen
    }

    /// Where its connections go.
    pub fn upstream_url(&self) -> &str {
        if self.is_transparent() { "where each connection was going" } else { &self.tap.upstream_url }
    }

    /// Whether its connections go where their clients wanted them to.
    fn is_transparent(&self) -> bool {
        self.target.upstream.place == Place::Original
    }

    /// How many client connections are open.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether the clear-text upstream speaks HTTP/2; asked until it answers once.
    async fn speaks_http2(&self) -> Result<bool, Failure> {
        self.speaks_http2.get_or_try_init(|| upstream::speaks_http2(&self.target, &self.limits)).await.copied()
    }
}

/// The edit of a Host field, or of what stands for it, as it is recorded.
fn host_edit(host: &SetHost, from: String) -> Edit {
    Edit { what: "host", from: from.into(), to: host.to.clone().into(), why: host.why }
}

/// The threads that serve, and the way to stop them.
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    draining: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    taps: Vec<Arc<ListeningTap>>,
}

impl Workers {
    /// Starts one thread for each listener that every tap has.
    ///
    /// # Errors
    /// What the operating system says when a thread can't be started.
    pub fn start(taps: Vec<(Arc<ListeningTap>, Vec<Listener>)>) -> io::Result<Self> {
        let (draining, _) = watch::channel(false);
        let (stop, _) = watch::channel(false);
        let threads_wanted = taps.iter().map(|(_, listeners)| listeners.len()).max().unwrap_or_default();
        let mut shares: Vec<Vec<(Arc<ListeningTap>, Listener)>> = (0..threads_wanted).map(|_| Vec::new()).collect();
        let mut kept = Vec::new();
        for (tap, listeners) in taps {
            for (share, listener) in shares.iter_mut().zip(listeners) {
                share.push((tap.clone(), listener));
            }
            kept.push(tap);
        }
        let mut threads = Vec::new();
        for (number, share) in shares.into_iter().enumerate() {
            let (draining, stop) = (draining.subscribe(), stop.subscribe());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = Builder::new().name(format!("relay-{number}")).spawn(move || {
                runtime.block_on(work(share, draining, stop));
            })?;
            threads.push(thread);
        }
        Ok(Workers { threads, draining, stop, taps: kept })
    }

    /// Stops accepting, ends idle connections, and lets running exchanges finish.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// How many client connections are still open.
    pub fn open_connections(&self) -> usize {
        self.taps.iter().map(|tap| tap.open_connections()).sum()
    }

    /// Ends everything that still runs, and waits for the threads.
    pub fn stop(self) {
        self.draining.send_replace(true);
        self.stop.send_replace(true);
        for thread in self.threads {
            // A thread that panicked has nothing left to wait for.
            let _ = thread.join();
        }
    }
}

/// One thread's work: its listeners, until it is stopped. Connections that still run then are dropped with the runtime.
async fn work(
    share: Vec<(Arc<ListeningTap>, Listener)>,
    draining: watch::Receiver<bool>,
    mut stop: watch::Receiver<bool>,
) {
    for (tap, listener) in share {
        match Listening::new(listener) {
            Ok(listener) => drop(tokio::spawn(accept(tap, listener, draining.clone()))),
            Err(error) => tracing::error!(tap = %tap.tap.name, "cannot serve the listener: {error}"),
        }
    }
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn accept(tap: Arc<ListeningTap>, listener: Listening, mut draining: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        match accepted {
            Ok((stream, addr)) if tap.open_connections() < tap.limits.connections => {
                let open = OpenConnection::of(tap.clone());
                let serving = downstream::serve(open.0.clone(), stream, addr, draining.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(open);
                });
            }
            Ok((_, addr)) => {
                if let Some(unsaid) = tap.turned_away.may_say() {
                    let most = tap.limits.connections;
                    tracing::warn!(tap = %tap.tap.name, client = %addr, unsaid, "turned away: {most} connections are open");
                }
            }
            Err(error) => {
                if let Some(unsaid) = tap.not_accepted.may_say() {
                    tracing::warn!(tap = %tap.tap.name, unsaid, "cannot accept a connection: {error}");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Counts a connection for as long as it is open.
struct OpenConnection(Arc<ListeningTap>);

impl OpenConnection {
    fn of(tap: Arc<ListeningTap>) -> Self {
        tap.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(tap)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
