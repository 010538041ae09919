//! The way to the upstream: resolve, connect, TLS; and which step failed, with the reason in words.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Limits;
use super::stream::Stream;
use crate::config::{ClientTls, Upstream};
use crate::exchange::{Failure, Step, Tls, UpstreamSide};

/// Where a tap's upstream connections go.
pub(super) struct Target {
    pub(super) upstream: Upstream,
    pub(super) tls: Option<Arc<ClientTls>>,
}

/// An upstream connection.
pub(super) struct Connected {
    pub(super) stream: Stream,
    pub(super) side: UpstreamSide,
    /// What the upstream chose of the protocols that were offered.
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) took: Duration,
}

/// Upstream connections of the whole process, to number them.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Makes a connection and, for an `https` upstream, the TLS handshake with `offer` as ALPN.
pub(super) async fn connect(target: &Target, offer: &[Vec<u8>], limits: &Limits) -> Result<Connected, Failure> {
    let began = Instant::now();
    let (tcp, addr) = connect_tcp(&target.upstream, limits).await?;
    let mut side = UpstreamSide {
        addr: Some(addr),
        connection: Some(CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1),
        reused: false,
        tls: None,
    };
    let Some(tls) = &target.tls else {
        return Ok(Connected { stream: Stream::Plain(tcp), side, alpn: None, took: began.elapsed() });
    };
    let name = ServerName::try_from(target.upstream.host.clone())
        .map_err(|_| Failure { step: Step::Tls, reason: "the upstream's host is no name for a certificate".into() })?;
    let mut config = rustls::ClientConfig::clone(&tls.config);
    config.alpn_protocols = offer.to_vec();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
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
        server_name: Some(target.upstream.host.clone()),
        peer_certificate: true,
        verified: tls.verifies,
    }));
    Ok(Connected { stream: Stream::Connected(Box::new(stream)), side, alpn, took: began.elapsed() })
}

async fn connect_tcp(upstream: &Upstream, limits: &Limits) -> Result<(TcpStream, SocketAddr), Failure> {
    let addresses = resolve(upstream, limits).await?;
    let connect = async {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for addr in addresses {
            match TcpStream::connect(addr).await {
                Ok(stream) => return Ok((stream, addr)),
                Err(error) => last = error,
            }
        }
        Err(Failure { step: Step::Connect, reason: connect_reason(&last) })
    };
    let (stream, addr) = timeout(limits.connect_timeout, connect).await.unwrap_or_else(|_| {
        let reason = format!("no connection within {:?}", limits.connect_timeout);
        Err(Failure { step: Step::ConnectTimeout, reason })
    })?;
    // Small writes go out at once, as they came in.
    let _ = stream.set_nodelay(true);
    Ok((stream, addr))
}

async fn resolve(upstream: &Upstream, limits: &Limits) -> Result<Vec<SocketAddr>, Failure> {
    let host = upstream.host.as_str();
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, upstream.port)]);
    }
    let failed = |reason: String| Failure { step: Step::Dns, reason: format!("{host}: {reason}") };
    match timeout(limits.connect_timeout, tokio::net::lookup_host((host, upstream.port))).await {
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
    let (mut stream, _) = connect_tcp(&target.upstream, limits).await?;
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
