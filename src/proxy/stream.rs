//! A connection of either side, plain or within TLS, as one type.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::transparent::Own;

/// A connection to a client or to an upstream.
pub(super) enum Stream {
    /// Without TLS.
    Plain(Socket),
    /// From a client, within TLS.
    Accepted(Box<tokio_rustls::server::TlsStream<Socket>>),
    /// To an upstream, within TLS.
    Connected(Box<tokio_rustls::client::TlsStream<Socket>>),
}

impl Stream {
    /// Whether bytes that were written may stay in the stream until it is flushed.
    pub(super) fn holds_back(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// Makes the connection end with a reset when it is dropped, as the other side's did.
    pub(super) fn reset_on_drop(&self) {
        // Where the option can't be set the connection ends with a FIN, which is the best that is left. A socket of the Unix
        // domain knows no resets, but for what it tells of bytes that were not read.
        if let Some(stream) = self.socket().tcp() {
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(stream) => stream,
            Self::Accepted(stream) => stream.get_ref().0,
            Self::Connected(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Accepted(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Connected(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Accepted(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            Self::Connected(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Accepted(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Connected(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Accepted(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Connected(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

/// What bytes go through, below TLS.
pub(super) enum Socket {
    /// A connection of the network.
    Tcp(TcpStream),
    /// One within this machine.
    Unix(UnixStream),
    /// A connection of the network that a transparent tap made. In a box, since it is rare.
    Own(Box<OwnSocket>),
}

/// A connection that a transparent tap made, which is known as its own for as long as it is there.
pub(super) struct OwnSocket {
    /// Before the stream, since fields are dropped in their order: once the port is free, the next connection may have it, and
    /// would lose what was remembered of it.
    pub(super) _own: Own,
    pub(super) stream: TcpStream,
}

impl Socket {
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Own(own) => Some(&own.stream),
            Self::Unix(_) => None,
        }
    }

    /// Has small writes go out at once, as they came in.
    pub(super) fn set_nodelay(&self) {
        if let Some(stream) = self.tcp() {
            // Without it they come a little later.
            let _ = stream.set_nodelay(true);
        }
    }

    /// Waits until there is something to read, or the other side has left.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Own(own) => own.stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    /// What there is to read, which is left where it is; nothing where the other side has left.
    pub(super) fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || peek(stream, buffer)),
            Self::Own(own) => own.stream.try_io(Interest::READABLE, || peek(&own.stream, buffer)),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || peek(stream, buffer)),
        }
    }

    /// The address of this end, where it has one.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        self.tcp().and_then(|stream| stream.local_addr().ok())
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Own(own) => own.stream.try_read(buffer),
            Self::Unix(stream) => stream.try_read(buffer),
        }
    }
}

fn peek(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(socket, buffer, RecvFlags::PEEK)?.0)
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Own(own) => Pin::new(&mut own.stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Own(own) => Pin::new(&mut own.stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Own(own) => Pin::new(&mut own.stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Own(own) => Pin::new(&mut own.stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A stream whose first bytes were read already and are to be read again.
pub(super) struct Rewound {
    first: bytes::Bytes,
    stream: Stream,
}

impl Rewound {
    pub(super) fn new(first: Vec<u8>, stream: Stream) -> Self {
        Rewound { first: first.into(), stream }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let piece = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first.split_to(piece));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
