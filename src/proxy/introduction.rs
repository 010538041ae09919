//! Whose a connection is: what a PROXY protocol header says of the client, and what the upstream is told.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;

use super::ListeningTap;
use super::buffers::Buffer;
use super::stream::Socket;
use super::upstream::Errand;
use crate::exchange::{self, ClientSide, Endpoint};
use crate::wire::proxy_header::{self, Announced, Announcement, Reading, V2_LIMIT};

/// The client as its header tells of it, where it has to bring one, and the header for its upstream connections, where they
/// get one. `None` where the connection is to be closed.
pub(super) async fn introduce(
    tap: &ListeningTap,
    socket: &Socket,
    mut side: ClientSide,
    errand: &Errand,
    mut draining: watch::Receiver<bool>,
) -> Option<(ClientSide, Option<Arc<[u8]>>)> {
    let mut destination = errand.original.as_ref().map(|original| original.addr).or_else(|| socket.local_addr());
    let mut came = None;
    if tap.proxy_protocol_in {
        let read = timeout(tap.limits.handshake_timeout, header(socket));
        let read = tokio::select! {
            read = read => read.unwrap_or(Err(Unread::Wrong("none came in time"))),
            _ = draining.wait_for(|draining| *draining) => return None,
        };
        let (bytes, announcement) = match read {
            Ok(read) => read,
            Err(Unread::Left) => return None,
            Err(Unread::Wrong(why)) => return turn_away(tap, &side, why),
        };
        let by = side.addr.clone();
        let client = match announcement.client {
            Announced::Nobody => None,
            Announced::Tcp { source, destination: original } => {
                destination = Some(original);
                Some(Endpoint::from(source))
            }
            Announced::Unix => Some(Endpoint::unnamed()),
        };
        if let Some(addr) = client {
            let version = announcement.version.id();
            side.addr = addr;
            side.announced = Some(Arc::new(exchange::Announced { version, by, tls: announcement.tls }));
        }
        came = Some((announcement.version, bytes));
    }
    let header = tap.target.proxy_protocol.map(|version| match came {
        // What it says beside the address is for the upstream as well.
        Some((known, bytes)) if known == version => bytes.into(),
        _ => proxy_header::written(version, side.addr.tcp().zip(destination)).into(),
    });
    Some((side, header))
}

/// Why there is no header.
enum Unread {
    /// The client left without a word, as those do that only look whether somebody listens.
    Left,
    /// What came is something else.
    Wrong(&'static str),
}

/// Takes the header off a connection, and nothing that stands behind it.
async fn header(socket: &Socket) -> Result<(Vec<u8>, Announcement), Unread> {
    let mut held = Vec::new();
    loop {
        socket.readable().await.map_err(|_| Unread::Left)?;
        if let Some(found) = take(socket, &mut held)? {
            return Ok((held, found));
        }
    }
}

/// Takes what has come of the header, behind what is `held` of it.
fn take(socket: &Socket, held: &mut Vec<u8>) -> Result<Option<Announcement>, Unread> {
    let mut buffer = Buffer::lend();
    let room = buffer.bytes().get_mut(..V2_LIMIT).unwrap_or_default();
    let size = match socket.try_peek(room) {
        Ok(size @ 1..) => size,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        _ if held.is_empty() => return Err(Unread::Left),
        _ => return Err(Unread::Wrong("the connection ended within it")),
    };
    let before = held.len();
    held.extend_from_slice(room.get(..size).unwrap_or_default());
    let found = match proxy_header::read(held) {
        Reading::More => None,
        Reading::Whole(found) => Some(found),
        Reading::Wrong(why) => return Err(Unread::Wrong(why)),
    };
    held.truncate(found.as_ref().map_or(held.len(), |found| found.length));
    let mut left = held.len().saturating_sub(before);
    while left > 0 {
        // It was seen there just now.
        match socket.try_read(room.get_mut(..left).unwrap_or_default()) {
            Ok(size @ 1..) => left = left.saturating_sub(size),
            _ => return Err(Unread::Wrong("the connection ended within it")),
        }
    }
    Ok(found)
}

fn turn_away<T>(tap: &ListeningTap, side: &ClientSide, why: &str) -> Option<T> {
    if let Some(unsaid) = tap.no_header.may_say() {
        let (tap, client) = (&tap.tap.name, &side.addr);
        tracing::warn!(%tap, %client, unsaid, "closed a connection without the header that --proxy-protocol-in awaits: {why}");
    }
    None
}
