//! Listeners: of a port, one for each thread; of a socket of the Unix domain, one that all threads share.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};

use super::stream::Socket;
use crate::exchange::Endpoint;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Who may connect to a socket: its owner and its group, since a sidecar's neighbour is often another user. The group is
/// that of the process, or of the folder where that has the set-group-id bit.
const MODE: u32 = 0o660;

/// One thread's listener.
pub enum Listener {
    /// Of a port, which it shares with those of the other threads.
    Tcp(StdTcpListener),
    /// Of a socket in the file system, which goes away with its last listener.
    Unix(StdUnixListener, Arc<SocketFile>),
}

/// A socket in the file system that this process has made.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode, so that nobody else's is removed.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // One that is left behind is replaced by the next one who listens there.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Listeners of one port, one for each of `threads`.
///
/// # Errors
/// What the operating system says when the address can't be listened on.
pub fn listen(addr: SocketAddr, threads: usize) -> io::Result<(SocketAddr, Vec<StdTcpListener>)> {
    // A port that is shared by choice can't be told from one that is taken, so it is tried without sharing first.
    let probe = bind(addr, false)?;
    let addr = probe.local_addr()?;
    drop(probe);
    let listeners = (0..threads).map(|_| bind(addr, true)).collect::<io::Result<_>>()?;
    Ok((addr, listeners))
}

fn bind(addr: SocketAddr, shared: bool) -> io::Result<StdTcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// One listener of a socket in the file system, as often as there are `threads`. A socket that nobody listens on any more is
/// replaced.
///
/// # Errors
/// `AddrInUse` where somebody listens there, `AlreadyExists` where what is there is no socket, and what else the operating
/// system says.
pub fn listen_unix(path: &Path, threads: usize) -> io::Result<Vec<Listener>> {
    let socket = match bind_unix(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path)?;
            bind_unix(path)?
        }
        bound => bound?,
    };
    let file = Arc::new(SocketFile { path: path.to_owned(), identity: identity(path)? });
    // Nobody can connect before it listens, so there is no moment at which the mode is another one.
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    let listener = StdUnixListener::from(socket);
    (0..threads).map(|_| listener.try_clone().map(|listener| Listener::Unix(listener, file.clone()))).collect()
}

fn bind_unix(path: &Path) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    Ok(socket)
}

/// Removes a socket that refuses connections, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // Who waited for a place in a full queue might wait for ever. There is somebody's queue, and that is enough.
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&socket2::SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Who may not connect to it does not know whether somebody listens.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// A listener as the runtime has it.
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "held for as long as somebody listens")] Arc<SocketFile>),
}

impl Listening {
    pub(super) fn new(listener: Listener) -> io::Result<Self> {
        Ok(match listener {
            Listener::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Listener::Unix(listener, file) => Self::Unix(UnixListener::from_std(listener)?, file),
        })
    }

    /// The next connection, and its client's address.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Endpoint)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, addr)| (Socket::Tcp(stream), addr.into())),
            Self::Unix(listener, _) => {
                listener.accept().await.map(|(stream, _)| (Socket::Unix(stream), Endpoint::unnamed()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream as StdUnixStream;

    use super::*;

    #[test]
    fn a_listener_with_a_full_queue_is_one_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listener = bind_unix(&path).unwrap();
        listener.listen(0).unwrap();
        let connect = || {
            let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(&socket2::SockAddr::unix(&path).unwrap()).map(|()| socket)
        };
        let mut waiting = Vec::new();
        let full = loop {
            match connect() {
                Ok(socket) => waiting.push(socket),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(listen_unix(&path, 1).map(drop).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[test]
    fn only_a_socket_that_nobody_listens_on_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listeners = listen_unix(&path, 2).unwrap();
        assert_eq!(listeners.len(), 2);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        let taken = listen_unix(&path, 1).map(drop).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        StdUnixStream::connect(&path).unwrap();

        drop(listeners);
        assert!(!path.exists(), "the file goes with its last listener");
        drop(StdUnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a socket that is left behind");
        let listeners = listen_unix(&path, 1).unwrap();
        StdUnixStream::connect(&path).unwrap();

        // What has come in its place by then is not ours.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "kept").unwrap();
        drop(listeners);
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        assert_eq!(listen_unix(&path, 1).map(drop).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    }
}
