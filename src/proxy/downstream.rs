//! The client's side: its first bytes, TLS, and which protocol it speaks.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::server::Acceptor;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use super::buffers::Buffer;
use super::http2::{self, Backend};
use super::observer::Observer;
use super::recorder::{Began, Connection};
use super::relay::Relay;
use super::stream::{Socket, Stream};
use super::upstream::{self, Connected, Errand};
use super::{ListeningTap, introduction, reply, transparent};
use crate::config::{ServerTls, UpstreamScheme};
use crate::exchange::{ClientSide, Endpoint, Failure, Tls};
use crate::wire::proxy_header;

/// What an HTTP/2 connection begins with (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a TLS connection begins with (RFC 8446 5.1): a handshake record.
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Client connections of the whole process, to number them.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Serves one client connection to its end.
///
/// What it takes to find out how is in a box, and freed before the small future runs that may last for hours. It is not
/// `async` itself, or that one would have room for what is handed over here.
pub(super) fn serve(
    tap: Arc<ListeningTap>,
    socket: Socket,
    addr: Endpoint,
    draining: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send {
    let greeting: Meeting = Box::pin(greet(tap, socket, addr, draining));
    async move {
        let served = greeting.await;
        if let Some(served) = served {
            served.await;
        }
    }
}

/// Hears what a client has to say first, and finds out how to serve it.
async fn greet(
    tap: Arc<ListeningTap>,
    socket: Socket,
    addr: Endpoint,
    draining: watch::Receiver<bool>,
) -> Option<Served> {
    socket.set_nodelay();
    let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut side = ClientSide { addr, announced: None, connection: number, tls: None };
    let mut errand = Errand { target: tap.target.clone(), header: None, original: None };
    if tap.is_transparent() {
        errand.original = Some(Box::new(transparent::original(&tap, &socket)?));
    }
    if tap.proxy_protocol_in || tap.target.proxy_protocol.is_some() {
        // What is rare takes its room for a moment alone.
        let introduce = Box::pin(introduction::introduce(&tap, &socket, side, &errand, draining.clone()));
        (side, errand.header) = introduce.await?;
    }
    let mut client = Client { tap, errand, side, draining, came: None };
    let first = client.first_bytes(&socket).await?;
    if client.errand.original.as_ref().is_some_and(|original| transparent::is_own(&client.tap, original)) {
        return None;
    }
    // It takes a large future for a moment, for which who has said nothing yet needs no room.
    client.meet(socket, first).await
}

/// What finds out how to serve a client.
type Meeting = Pin<Box<dyn Future<Output = Option<Served>> + Send>>;

/// What serves a client to its end, once it is known what it speaks.
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Client {
    tap: Arc<ListeningTap>,
    errand: Errand,
    side: ClientSide,
    draining: watch::Receiver<bool>,
    /// When its first bytes came, where they were read.
    came: Option<Began>,
}

impl Client {
    /// Not `async` itself, or whoever waits would have room for all of it.
    fn meet(self, socket: Socket, first: Vec<u8>) -> Meeting {
        match self.tap.server_tls.clone() {
            // What is to be read within TLS is still in the socket.
            Some(tls) if first.is_empty() => Box::pin(self.meet_tls(socket, tls)),
            _ => Box::pin(self.meet_plain(socket, first)),
        }
    }

    async fn meet_plain(self, socket: Socket, first: Vec<u8>) -> Option<Served> {
        let stream = Stream::Plain(socket);
        if first.starts_with(TLS_HANDSHAKE) && self.errand.original.is_some() {
            return self.tunnel(stream, first).await;
        }
        if first.starts_with(TLS_HANDSHAKE)
            && let Some(unsaid) = self.tap.wrong_protocol.may_say()
        {
            let (tap, client) = (&self.tap.tap.name, &self.side.addr);
            tracing::warn!(%tap, %client, unsaid, "the client speaks https:// to this http:// port; --tls makes it an https:// one");
        }
        if proxy_header::is_begun(&first)
            && !self.tap.proxy_protocol_in
            && let Some(unsaid) = self.tap.wrong_protocol.may_say()
        {
            let (tap, client) = (&self.tap.tap.name, &self.side.addr);
            tracing::warn!(%tap, %client, unsaid, "the client begins with a PROXY protocol header, which goes on as it is; --proxy-protocol-in reads it");
        }
        if first.starts_with(PREFACE) {
            let backend = self.http2_backend().await;
            return Some(self.http2(stream, first, backend));
        }
        let offer: &[Vec<u8>] = &[HTTP1.to_vec()];
        let connected = upstream::connect(&self.errand, offer, &self.tap.limits).await;
        Some(self.relay(stream, first, connected))
    }

    /// The upstream of a client that speaks HTTP/2 without TLS, and so knows its server to do the same.
    async fn http2_backend(&self) -> Backend {
        let (target, limits) = (&self.errand.target, &self.tap.limits);
        let speaks_http2 = match target.upstream.scheme {
            // Who speaks HTTP/2 at once to where it was going knows that it is understood there.
            UpstreamScheme::Http if self.errand.original.is_none() => self.tap.speaks_http2().await,
            UpstreamScheme::Http | UpstreamScheme::H2c | UpstreamScheme::Https => Ok(true),
        };
        match speaks_http2 {
            Ok(true) => {}
            Ok(false) => return Backend::http1(self.tap.clone(), self.errand.clone()),
            Err(failure) => return Backend::Failed(failure),
        }
        let offer = [HTTP2.to_vec(), HTTP1.to_vec()];
        match upstream::connect(&self.errand, &offer, limits).await {
            Ok(connected) if self.errand.tls().is_some() && connected.alpn.as_deref() != Some(HTTP2) => {
                Backend::http1(self.tap.clone(), self.errand.clone())
            }
            Ok(connected) => Backend::http2(connected).await,
            Err(failure) => Backend::Failed(failure),
        }
    }

    async fn meet_tls(mut self, socket: Socket, tls: Arc<ServerTls>) -> Option<Served> {
        let limit = self.tap.limits.handshake_timeout;
        let hello = match timeout(limit, LazyConfigAcceptor::new(Acceptor::default(), socket)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(error)) => return self.no_handshake(&error),
            Err(_) => return self.no_handshake(&io::ErrorKind::TimedOut.into()),
        };
        let offer: Vec<Vec<u8>> =
            hello.client_hello().alpn().map(|offer| offer.map(<[u8]>::to_vec).collect()).unwrap_or_default();
        let server_name = hello.client_hello().server_name().map(str::to_owned);
        if let Some(original) = &mut self.errand.original {
            original.is_tls = true;
            original.server_name.clone_from(&server_name);
        }
        let (choice, backend) = self.negotiate(&offer).await;
        let mut config = rustls::ServerConfig::clone(&tls.current());
        config.alpn_protocols = choice.iter().cloned().collect();
        let stream = match timeout(limit, hello.into_stream(Arc::new(config))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.no_handshake(&error),
            Err(_) => return self.no_handshake(&io::ErrorKind::TimedOut.into()),
        };
        let session = stream.get_ref().1;
        self.side.tls = Some(Arc::new(Tls {
            version: upstream::version_name(session.protocol_version()),
            alpn: choice.as_deref().map(|name| String::from_utf8_lossy(name).into_owned()),
            server_name,
            peer_certificate: session.peer_certificates().is_some_and(|chain| !chain.is_empty()),
            verified: false,
        }));
        let stream = Stream::Accepted(Box::new(stream));
        match backend {
            Chosen::Http2(backend) => Some(self.http2(stream, Vec::new(), backend)),
            Chosen::Relay(connected) => Some(self.relay(stream, Vec::new(), *connected)),
        }
    }

    /// Which protocol the client gets, and the upstream connection that decided it.
    async fn negotiate(&self, offer: &[Vec<u8>]) -> (Option<Vec<u8>>, Chosen) {
        let (target, limits) = (&self.errand.target, &self.tap.limits);
        let offers = |protocol: &[u8]| offer.iter().any(|offered| offered == protocol);
        let http1 = || offers(HTTP1).then(|| HTTP1.to_vec());
        if self.errand.tls().is_none() {
            let http2_only = offers(HTTP2) && !offers(HTTP1);
            return match target.upstream.scheme {
                UpstreamScheme::H2c if offers(HTTP2) => {
                    (Some(HTTP2.to_vec()), Chosen::Http2(self.http2_backend().await))
                }
                _ if http2_only => (Some(HTTP2.to_vec()), Chosen::Http2(self.http2_backend().await)),
                _ => (http1(), Chosen::relay(upstream::connect(&self.errand, &[], limits).await)),
            };
        }
        match upstream::connect(&self.errand, offer, limits).await {
            Ok(connected) if connected.alpn.as_deref() == Some(HTTP2) => {
                (Some(HTTP2.to_vec()), Chosen::Http2(Backend::http2(connected).await))
            }
            Ok(connected) if connected.alpn.is_none() && offers(HTTP2) && !offers(HTTP1) => {
                (Some(HTTP2.to_vec()), Chosen::Http2(Backend::http1(self.tap.clone(), self.errand.clone())))
            }
            Ok(connected) => (connected.alpn.clone(), Chosen::relay(Ok(connected))),
            Err(failure) if upstream::refused_protocols(&failure) && offers(HTTP2) => {
                (Some(HTTP2.to_vec()), Chosen::Http2(Backend::http1(self.tap.clone(), self.errand.clone())))
            }
            Err(failure) if offers(HTTP2) && !offers(HTTP1) => {
                (Some(HTTP2.to_vec()), Chosen::Http2(Backend::Failed(failure)))
            }
            Err(failure) => (http1(), Chosen::relay(Err(failure))),
        }
    }

    fn no_handshake(&self, error: &io::Error) -> Option<Served> {
        let hint = match error.kind() {
            io::ErrorKind::InvalidData => {
                "; does it speak http:// to this https:// port, or not trust the certificate?"
            }
            _ => "",
        };
        if let Some(unsaid) = self.tap.no_handshake.may_say() {
            let (tap, client) = (&self.tap.tap.name, &self.side.addr);
            tracing::warn!(%tap, %client, unsaid, "no TLS handshake with the client: {}{hint}", error.kind());
        }
        None
    }

    /// The client's first bytes, for which it waits without holding a buffer: as many as it takes to know whether they are
    /// HTTP/2's. `None` when it leaves or the tap stops before. Of a client that is to speak TLS they are left where they are.
    async fn first_bytes(&mut self, socket: &Socket) -> Option<Vec<u8>> {
        let mut is_tls = self.tap.server_tls.is_some();
        let mut first = Vec::new();
        let is_transparent = self.errand.original.is_some();
        let mut byte = [0];
        let read = async {
            loop {
                socket.readable().await.ok()?;
                let mut buffer = Buffer::lend();
                let result = if is_tls { socket.try_peek(&mut byte) } else { socket.try_read(buffer.bytes()) };
                let size = match result {
                    Ok(size) => size,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(_) => return None,
                };
                if is_tls && is_transparent && size > 0 && !TLS_HANDSHAKE.starts_with(&byte) {
                    // Rules may send connections of both kinds here.
                    is_tls = false;
                    continue;
                }
                if is_tls {
                    return (size > 0).then_some(());
                }
                self.came.get_or_insert_with(Began::now);
                first.extend_from_slice(buffer.bytes().get(..size)?);
                let is_undecided = first.len() < PREFACE.len() && PREFACE.starts_with(&first);
                match (size, is_undecided) {
                    (0, _) if first.is_empty() => return None,
                    (1.., true) => {}
                    _ => return Some(()),
                }
            }
        };
        tokio::select! {
            read = timeout(self.tap.limits.idle_timeout, read) => read.ok()??,
            _ = self.draining.wait_for(|draining| *draining) => return None,
        }
        Some(first)
    }

    fn connection(&self) -> Arc<Connection> {
        Arc::new(Connection {
            tap: self.tap.tap.clone(),
            client: self.side.clone(),
            original: self.errand.original.as_ref().map(|original| Box::new(original.addr)),
            outlet: self.tap.outlet.clone(),
        })
    }

    fn http2(self, stream: Stream, first: Vec<u8>, backend: Backend) -> Served {
        let connection = self.connection();
        Box::pin(http2::serve(self.tap, connection, stream, first, backend, self.draining))
    }

    /// Passes TLS on that the tap is not to read, so that a rule that redirects too much breaks nothing.
    async fn tunnel(self, stream: Stream, first: Vec<u8>) -> Option<Served> {
        if let Some(unsaid) = self.tap.wrong_protocol.may_say() {
            let (tap, client) = (&self.tap.tap.name, &self.side.addr);
            tracing::warn!(%tap, %client, unsaid, "TLS passes unread; with --tls-cert the tap reads it");
        }
        let connected = match upstream::connect(&self.errand, &[], &self.tap.limits).await {
            Ok(connected) => connected,
            Err(failure) => {
                // No answer could be read by who waits for one in TLS.
                if let Some(unsaid) = self.tap.no_tunnel.may_say() {
                    let (tap, step) = (&self.tap.tap.name, failure.step.text());
                    tracing::warn!(%tap, unsaid, "TLS could not pass: {step}: {}", failure.reason);
                }
                stream.reset_on_drop();
                return None;
            }
        };
        let limits = self.tap.limits.clone();
        let observer = Observer::unread(self.connection());
        let relay = Box::new(Relay::new(stream, connected.stream, observer, limits));
        Some(Box::pin(relay.run(first, self.draining)))
    }

    fn relay(self, stream: Stream, first: Vec<u8>, connected: Result<Connected, Failure>) -> Served {
        let limits = self.tap.limits.clone();
        let mut observer = Observer::new(self.connection(), self.tap.host.clone(), self.tap.hop.clone(), limits.head);
        observer.came(self.came);
        match connected {
            Ok(connected) => {
                observer.connected(connected.side, connected.took);
                let relay = Box::new(Relay::new(stream, connected.stream, observer, limits));
                Box::pin(relay.run(first, self.draining))
            }
            Err(failure) => {
                let patience = limits.handshake_timeout;
                Box::pin(reply::refuse_unconnected(stream, first, observer, failure, patience))
            }
        }
    }
}

/// How a client within TLS is served.
enum Chosen {
    Http2(Backend),
    Relay(Box<Result<Connected, Failure>>),
}

impl Chosen {
    fn relay(connected: Result<Connected, Failure>) -> Self {
        Chosen::Relay(Box::new(connected))
    }
}
