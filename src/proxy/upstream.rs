//! The way to the upstream: resolve, connect, TLS; and which step failed, with the reason in words.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Limits;
use super::happy_eyeballs;
use super::stream::{Socket, Stream};
use super::transparent::{self, Original};
use crate::config::{ClientTls, Place, Upstream};
use crate::exchange::{Endpoint, Failure, Step, Tls, UpstreamSide};
use crate::wire::proxy_header::{self, ProxyVersion};

/// Where a tap's upstream connections go.
pub(super) struct Target {
    pub(super) upstream: Upstream,
    pub(super) tls: Option<Arc<ClientTls>>,
    /// Which PROXY protocol header comes before all else.
    pub(super) proxy_protocol: Option<ProxyVersion>,
    /// What its connections are marked with.
    pub(super) mark: Option<u32>,
}

/// What the upstream connections of one client are made for.
#[derive(Clone)]
pub(super) struct Errand {
    pub(super) target: Arc<Target>,
    /// The PROXY protocol header that tells of the client.
    pub(super) header: Option<Arc<[u8]>>,
    /// Where the client's connection was going, if that is where it goes.
    pub(super) original: Option<Box<Original>>,
}

impl Errand {
    /// TLS towards the upstream, where it is spoken.
    pub(super) fn tls(&self) -> Option<&ClientTls> {
        self.target.tls.as_deref().filter(|_| self.original.as_ref().is_none_or(|original| original.is_tls))
    }

    /// The name by which the upstream's certificate is checked, or its address.
    fn host(&self) -> String {
        match &self.original {
            Some(original) => original.server_name.clone().unwrap_or_else(|| original.addr.ip().to_string()),
            None => self.target.upstream.host().unwrap_or_default().to_owned(),
        }
    }
}

/// An upstream connection.
pub(super) struct Connected {
    pub(super) stream: Stream,
    pub(super) side: UpstreamSide,
    /// What the upstream chose of the protocols that were offered.
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) took: Duration,
}

/// How long the first pause is before a socket whose server has a full queue is tried again, and how long they become.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Upstream connections of the whole process, to number them.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Makes a connection and, for an `https` upstream, the TLS handshake with `offer` as ALPN.
pub(super) async fn connect(errand: &Errand, offer: &[Vec<u8>], limits: &Limits) -> Result<Connected, Failure> {
    let began = Instant::now();
    let (mut socket, addr) = match &errand.original {
        Some(original) => connect_original(original.addr, &errand.target, limits).await?,
        None => connect_socket(&errand.target, limits).await?,
    };
    if let Some(header) = &errand.header {
        announce(&mut socket, header).await?;
    }
    let mut side = UpstreamSide {
        addr: Some(addr),
        connection: Some(CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1),
        reused: false,
        tls: None,
    };
    let Some(tls) = errand.tls() else {
        return Ok(Connected { stream: Stream::Plain(socket), side, alpn: None, took: began.elapsed() });
    };
    let host = errand.host();
    let name = ServerName::try_from(host.clone())
        .map_err(|_| Failure { step: Step::Tls, reason: "the upstream's host is no name for a certificate".into() })?;
    let mut config = rustls::ClientConfig::clone(&tls.config);
    config.alpn_protocols = offer.to_vec();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, socket);
    let stream = match timeout(limits.handshake_timeout, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Failure { step: Step::Tls, reason: tls_reason(&error) }),
        Err(_) => return Err(Failure { step: Step::Tls, reason: "the handshake took too long".into() }),
    };
    let session = stream.get_ref().1;
    let alpn = session.alpn_protocol().map(<[u8]>::to_vec);
    side.tls = Some(Arc::new(Tls {
        version: version_name(session.protocol_version()),
        alpn: alpn.as_deref().map(|name| String::from_utf8_lossy(name).into_owned()),
        server_name: Some(host),
        peer_certificate: true,
        verified: tls.verifies,
    }));
    Ok(Connected { stream: Stream::Connected(Box::new(stream)), side, alpn, took: began.elapsed() })
}

async fn connect_socket(target: &Target, limits: &Limits) -> Result<(Socket, Endpoint), Failure> {
    let (host, port) = match &target.upstream.place {
        Place::Host { host, port } => (host.as_str(), *port),
        Place::Unix(path) => return connect_unix(path, limits).await,
        // There is none before a client has come.
        Place::Original => return Err(Failure { step: Step::Connect, reason: "no destination is known".to_owned() }),
    };
    let addresses = resolve(host, port, limits).await?;
    let mark = target.mark;
    let connect = async {
        match happy_eyeballs::first(addresses, |addr| transparent::connect_marked(addr, mark)).await {
            Ok((stream, addr)) => Ok((Socket::Tcp(stream), addr.into())),
            Err(error) => Err(Failure { step: Step::Connect, reason: connect_reason(&error) }),
        }
    };
    let (socket, addr) = timeout(limits.connect_timeout, connect).await.unwrap_or_else(|_| Err(too_late(limits)))?;
    socket.set_nodelay();
    Ok((socket, addr))
}

/// Connects to where a client's connection was going.
async fn connect_original(addr: SocketAddr, target: &Target, limits: &Limits) -> Result<(Socket, Endpoint), Failure> {
    let failed = |error: io::Error| Failure { step: Step::Connect, reason: connect_reason(&error) };
    let connect = transparent::connect(addr, target.mark);
    let socket = timeout(limits.connect_timeout, connect).await.map_err(|_| too_late(limits))?.map_err(failed)?;
    socket.set_nodelay();
    Ok((socket, addr.into()))
}

fn too_late(limits: &Limits) -> Failure {
    Failure { step: Step::ConnectTimeout, reason: format!("no connection within {:?}", limits.connect_timeout) }
}

async fn connect_unix(path: &Path, limits: &Limits) -> Result<(Socket, Endpoint), Failure> {
    let failed = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "there is no such socket".to_owned(),
            io::ErrorKind::PermissionDenied => "the tap may not write to the socket".to_owned(),
            _ => connect_reason(&error),
        };
        Failure { step: Step::Connect, reason }
    };
    let mut is_full = false;
    // A server whose queue is full has sockets say so at once, where a port would let clients wait.
    let connect = async {
        let mut pause = FIRST_PAUSE;
        loop {
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => is_full = true,
                connected => return connected,
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    };
    match timeout(limits.connect_timeout, connect).await {
        Ok(Ok(stream)) => Ok((Socket::Unix(stream), Endpoint::Unix(Arc::from(path)))),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) if is_full => Err(Failure {
            step: Step::ConnectTimeout,
            reason: format!("the server accepted no more connections within {:?}", limits.connect_timeout),
        }),
        Err(_) => Err(too_late(limits)),
    }
}

/// Says whose the connection is, before anything else. A new connection has room for it.
async fn announce(socket: &mut Socket, header: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure { step: Step::Send, reason: format!("its PROXY protocol header: {error}") };
    socket.write_all(header).await.map_err(failed)
}

async fn resolve(host: &str, port: u16, limits: &Limits) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let failed = |reason: String| Failure { step: Step::Dns, reason: format!("{host}: {reason}") };
    match timeout(limits.connect_timeout, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => {
            let found: Vec<_> = found.collect();
            if found.is_empty() { Err(failed("the name has no address".into())) } else { Ok(found) }
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("the resolver did not answer in time".into())),
    }
}

/// Whether a clear-text upstream speaks HTTP/2 to whoever begins with its preface.
///
/// Asked on a connection of its own, since a server that does not know HTTP/2 is entitled to close it. Where there is no
/// connection, there is no answer either.
pub(super) async fn speaks_http2(target: &Target, limits: &Limits) -> Result<bool, Failure> {
    const PREFACE_AND_SETTINGS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const SETTINGS: u8 = 4;
    let (mut stream, _) = connect_socket(target, limits).await?;
    if let Some(version) = target.proxy_protocol {
        announce(&mut stream, &proxy_header::written(version, None)).await?;
    }
    let ask = async {
        stream.write_all(PREFACE_AND_SETTINGS).await?;
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await?;
        Ok::<_, io::Error>(frame)
    };
    Ok(match timeout(limits.connect_timeout, ask).await {
        // The server's first frame has to be SETTINGS (RFC 9113 3.4); "HTTP/1.1 " has another byte in its place.
        Ok(Ok(frame)) => frame[3] == SETTINGS && frame[5..] == [0; 4],
        _ => false,
    })
}

fn connect_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether the upstream refused every protocol that was offered (RFC 7301 3.2).
pub(super) fn refused_protocols(failure: &Failure) -> bool {
    failure.step == Step::Tls && failure.reason == NO_PROTOCOL
}

const NO_PROTOCOL: &str = "the upstream takes none of the offered protocols (ALPN)";

fn tls_reason(error: &io::Error) -> String {
    tls_error(error).unwrap_or_else(|| match error.kind() {
        io::ErrorKind::UnexpectedEof => "the upstream closed the connection during the handshake".to_owned(),
        io::ErrorKind::ConnectionReset => "the upstream reset the connection during the handshake".to_owned(),
        _ => error.to_string(),
    })
}

/// What TLS objects to, in words; `None` where the error is not one of TLS.
pub(super) fn tls_error(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let words = match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            CertificateError::UnknownIssuer => "its certificate is from an unknown issuer; give its CA with --cacert",
            CertificateError::Revoked => "its certificate is revoked",
            CertificateError::BadEncoding => "its certificate is malformed",
            CertificateError::BadSignature => "its certificate has a wrong signature",
            _ => return Some(format!("its certificate is not acceptable: {why}")),
        },
        rustls::Error::InvalidMessage(_) => "what it speaks is not TLS",
        rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol) => NO_PROTOCOL,
        rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired) => {
            "it wants a client certificate; give one with --cert and --key"
        }
        rustls::Error::AlertReceived(alert) => return Some(format!("it sent the alert {alert:?}")),
        rustls::Error::PeerIncompatible(_) => "it has no TLS version or cipher in common with us",
        other => return Some(other.to_string()),
    };
    Some(words.to_owned())
}

/// `TLSv1.3` and the like.
pub(super) fn version_name(version: Option<rustls::ProtocolVersion>) -> &'static str {
    match version {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "unknown",
    }
}
