//! A client that sends exactly the bytes that it is given, and shows exactly those that come back.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::head::Head;
use super::{DEADLINE, read_once};

pub struct Client {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream, ahead: Vec::new() }
    }

    /// One connection, one message, and everything that comes back until the other side closes.
    pub fn exchange(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut client = Self::connect(addr);
        client.send(bytes);
        client.read_to_end()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Each chunk in a packet of its own, as far as the system lets one.
    pub fn send_chunks<'a>(&mut self, chunks: impl IntoIterator<Item = &'a [u8]>) -> &mut Self {
        for chunk in chunks {
            self.stream.write_all(chunk).unwrap();
            self.stream.flush().unwrap();
        }
        self
    }

    /// One byte at a time, so that every message is cut at every place.
    pub fn send_bytewise(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.send_chunks(bytes.as_ref().chunks(1))
    }

    /// For a peer that may have closed already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// What comes next, if anything does before the other side closes or resets.
    pub fn read_some(&mut self) -> Option<Vec<u8>> {
        matches!(self.fill(), Ok(true)).then(|| std::mem::take(&mut self.ahead))
    }

    /// What comes until the other side closes. A reset is a failure; see [`Client::read_until_gone`].
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill().expect("read to the end") {}
        std::mem::take(&mut self.ahead)
    }

    /// As [`Client::read_to_end`], but a reset is an end like another.
    pub fn read_until_gone(&mut self) -> Vec<u8> {
        loop {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("read until the peer is gone: {error}"),
            }
        }
        std::mem::take(&mut self.ahead)
    }

    /// Reads until `enough` says so, and gives all that is there then.
    pub fn read_until(&mut self, mut enough: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
        while !enough(&self.ahead) {
            let more = self.fill().expect("read more");
            assert!(more, "closed too early, after {:?}", String::from_utf8_lossy(&self.ahead));
        }
        std::mem::take(&mut self.ahead)
    }

    pub fn read_exact(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            let more = self.fill().expect("read more");
            assert!(more, "closed too early, after {:?}", String::from_utf8_lossy(&self.ahead));
        }
        self.ahead.drain(..length).collect()
    }

    pub fn read_head(&mut self) -> Head {
        loop {
            if let Some(head) = Head::take(&mut self.ahead) {
                return head;
            }
            let more = self.fill().expect("read a head");
            assert!(more, "closed within a head: {:?}", String::from_utf8_lossy(&self.ahead));
        }
    }

    /// A head and the body that its `Content-Length` announces.
    pub fn read_response(&mut self) -> (Head, Vec<u8>) {
        let head = self.read_head();
        let length = head.content_length().unwrap_or(0);
        let body = self.read_exact(length.try_into().unwrap());
        (head, body)
    }

    /// Says that nothing more will come, and goes on listening.
    pub fn close_write(&mut self) -> &mut Self {
        match self.stream.shutdown(Shutdown::Write) {
            // The peer reset the connection already; reading will tell.
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            result => result.unwrap(),
        }
        self
    }

    /// Leaves with a reset, as a killed client does.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn fill(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let got = read_once(&mut self.stream, &mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..got]);
        Ok(got > 0)
    }
}
