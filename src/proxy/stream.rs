//! A connection of either side, plain or within TLS, as one type.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection to a client or to an upstream.
pub(super) enum Stream {
    /// Without TLS.
    Plain(TcpStream),
    /// From a client, within TLS.
    Accepted(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// To an upstream, within TLS.
    Connected(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether bytes that were written may stay in the stream until it is flushed.
    pub(super) fn holds_back(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// Makes the connection end with a reset when it is dropped, as the other side's did.
    pub(super) fn reset_on_drop(&self) {
        // Where the option can't be set the connection ends with a FIN, which is the best that is left.
        let _ = socket2::SockRef::from(self.tcp()).set_linger(Some(std::time::Duration::ZERO));
    }

    fn tcp(&self) -> &TcpStream {
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
