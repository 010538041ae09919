//! Where one end of a connection is: an address of the network, or a socket of this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// Where one end of a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address with its port.
    Tcp(SocketAddr),
    /// A socket of the Unix domain. A client's has no path, mostly, and then the path is empty.
    Unix(Arc<Path>),
}

impl Endpoint {
    /// A socket of the Unix domain without a name, as clients have.
    pub fn unnamed() -> Self {
        Self::Unix(Arc::from(Path::new("")))
    }

    /// The address with its port, where there is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// The address, where there is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.tcp().map(|addr| addr.ip())
    }

    /// The address without its port, as people look for it; `unix` for a socket.
    pub fn host(&self) -> String {
        self.ip().map_or_else(|| "unix".to_owned(), |ip| ip.to_string())
    }

    /// Whether what passes never leaves this machine.
    pub fn is_local(&self) -> bool {
        self.ip().is_none_or(|ip| ip.to_canonical().is_loopback())
    }
}

/// A listener for both families gives addresses of the old one within the new one's; they are kept as the old one has them.
impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(plain(addr))
    }
}

/// An address of the old family as that has it, where it is written within the new one.
pub fn plain(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, addr.port()),
        // It has more than its address and its port: where a link begins.
        IpAddr::V6(_) => addr,
    }
}

/// `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/app.sock`, and `unix:` for a socket without a name.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_written_as_people_write_it() {
        let tcp = |text: &str| Endpoint::from(text.parse::<SocketAddr>().unwrap());
        let app = Endpoint::Unix(Arc::from(Path::new("/run/app.sock")));
        for (end, text, host, is_local) in [
            (tcp("10.0.0.7:80"), "10.0.0.7:80", "10.0.0.7", false),
            (tcp("127.0.0.2:80"), "127.0.0.2:80", "127.0.0.2", true),
            (tcp("[::1]:80"), "[::1]:80", "::1", true),
            (tcp("[::ffff:127.0.0.1]:80"), "127.0.0.1:80", "127.0.0.1", true),
            (tcp("[fe80::1%3]:80"), "[fe80::1%3]:80", "fe80::1", false),
            (app, "unix:/run/app.sock", "unix", true),
            (Endpoint::unnamed(), "unix:", "unix", true),
        ] {
            assert_eq!((end.to_string().as_str(), end.host().as_str(), end.is_local()), (text, host, is_local));
        }
    }
}
