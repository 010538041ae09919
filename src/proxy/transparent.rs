//! Connections that the kernel redirected to the tap: where they were going, and which of them are the tap's own.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{LazyLock, Mutex};

use tokio::net::{TcpSocket, TcpStream};

use super::ListeningTap;
use super::stream::{OwnSocket, Socket};
use crate::exchange::plain;

/// Where a redirected connection was going.
#[derive(Clone)]
pub(super) struct Original {
    pub(super) addr: SocketAddr,
    /// Whom the connection is with, whatever a PROXY protocol header says.
    pub(super) peer: SocketAddr,
    /// Whether the client speaks TLS, so that the upstream is spoken to in the same way.
    pub(super) is_tls: bool,
    /// Which server the client asked for within TLS.
    pub(super) server_name: Option<String>,
}

/// The upstream connections of all transparent taps. What comes from the near end of one of them, and was going to its far end,
/// was redirected by a rule that should have left the tap alone, and would be served in a circle.
static OWN: LazyLock<Mutex<HashSet<Ends>>> = LazyLock::new(Mutex::default);

/// An address and a port, however they are written.
type End = (IpAddr, u16);

/// The near end and the far end. The near one alone says nothing: another program's connection to elsewhere may have the same.
type Ends = (End, End);

fn end(addr: SocketAddr) -> End {
    (addr.ip().to_canonical(), addr.port())
}

/// That a connection between those ends is the tap's own, for as long as it is there.
pub(super) struct Own(Ends);

impl Drop for Own {
    fn drop(&mut self) {
        if let Ok(mut own) = OWN.lock() {
            own.remove(&self.0);
        }
    }
}

/// Where a connection was going. A connection that was not redirected is closed, and said: the tap would connect to itself.
pub(super) fn original(tap: &ListeningTap, socket: &Socket) -> Option<Original> {
    let Socket::Tcp(stream) = socket else { return None };
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return None };
    // Without a rule the kernel knows no other destination, or gives the listener's own.
    match destination(stream, plain(local)).map(plain) {
        Ok(addr) if end(addr) != end(local) => Some(Original { addr, peer, is_tls: false, server_name: None }),
        _ => {
            if let Some(unsaid) = tap.not_redirected.may_say() {
                let tap = &tap.tap.name;
                tracing::warn!(%tap, client = %peer, unsaid, "closed a connection that no rule redirected here; authtap redirect prints the rules");
            }
            None
        }
    }
}

#[cfg(target_os = "linux")]
fn destination(stream: &TcpStream, local: SocketAddr) -> io::Result<SocketAddr> {
    let socket = socket2::SockRef::from(stream);
    let original = if local.is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() }?;
    original.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

#[cfg(not(target_os = "linux"))]
fn destination(_: &TcpStream, _: SocketAddr) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a connection is one of the tap's own, which a rule redirected as well. Its upstream connection was made before its
/// first byte was sent, so this is to be asked when that has come.
pub(super) fn is_own(tap: &ListeningTap, original: &Original) -> bool {
    let ends = (end(original.peer), end(original.addr));
    let is_own = OWN.lock().is_ok_and(|own| own.contains(&ends));
    if is_own && let Some(unsaid) = tap.own_redirected.may_say() {
        let (tap, to) = (&tap.tap.name, original.addr);
        tracing::error!(%tap, %to, unsaid, "closed a connection of the tap's own that a rule redirected back to it; the rule has to leave out the tap's user, or what it marks with --mark");
    }
    is_own
}

/// Connects, and remembers that the connection is the tap's own.
pub(super) async fn connect(addr: SocketAddr, mark: Option<u32>) -> io::Result<Socket> {
    let stream = connect_marked(addr, mark).await?;
    let ends = (end(stream.local_addr()?), end(addr));
    if let Ok(mut own) = OWN.lock() {
        own.insert(ends);
    }
    Ok(Socket::Own(Box::new(OwnSocket { _own: Own(ends), stream })))
}

/// Connects with a mark by which rules know the connection.
pub(super) async fn connect_marked(addr: SocketAddr, mark: Option<u32>) -> io::Result<TcpStream> {
    let Some(mark) = mark else { return TcpStream::connect(addr).await };
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    set_mark(socket2::SockRef::from(&socket), mark)?;
    socket.connect(addr).await
}

#[cfg(target_os = "linux")]
fn set_mark(socket: socket2::SockRef<'_>, mark: u32) -> io::Result<()> {
    socket.set_mark(mark)
}

#[cfg(not(target_os = "linux"))]
fn set_mark(_: socket2::SockRef<'_>, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Which redirected connections a tap that listens there does not get, in words. The kernel redirects what this machine makes
/// to the loopback address of the same family, and what comes in to the address of the interface.
pub fn missed(listen: SocketAddr) -> Option<String> {
    let ip = listen.ip();
    let (family, localhost) = match ip {
        IpAddr::V6(ip) if ip.is_unspecified() => return None,
        IpAddr::V6(ip) => ("IPv4", ip == Ipv6Addr::LOCALHOST),
        IpAddr::V4(ip) => ("IPv6", ip == Ipv4Addr::LOCALHOST),
    };
    let side = match () {
        () if localhost => ", and none that come from other machines",
        () if ip.is_loopback() => " and none by IPv4 either",
        () if !ip.is_unspecified() => ", and none that this machine makes",
        () => "",
    };
    Some(format!("a tap on {listen} gets no connections by {family}{side}; one on [::]:{} gets all", listen.port()))
}

/// Tries whether connections may be marked.
///
/// # Errors
/// What the operating system says where they may not.
pub fn may_mark(mark: u32) -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    set_mark(socket2::SockRef::from(&socket), mark)
}
