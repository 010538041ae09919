//! `authtap echo`: an origin that answers with the request's head as it arrived, masked, and challenges on demand.
//!
//! What arrived is read by the framer of the taps and not by an HTTP library, which would change the spelling of names and
//! refuse the very lines that somebody wants to see. So it speaks HTTP/1 alone, and one request on each connection.

mod answer;

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::parse_listen;
use crate::error::{self, Error};
use crate::run::listen;
use crate::wire::framer::Answers;
use crate::wire::{Framer, RawHead, Step};
use answer::Page;

/// Connections that are served at once; the others wait in the system's queue.
const CONNECTIONS: usize = 256;

/// Bytes of a head that are kept.
const HEAD: usize = 64 * 1024;

/// How long a request may take to come, and how long its client is listened to behind the answer, so that it can read it.
const PATIENCE: Duration = Duration::from_secs(60);
const GOODBYE: Duration = Duration::from_secs(1);

/// How long accepting waits after it failed for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is told to stop. Gives the exit code.
///
/// # Errors
/// An address that can't be listened on.
pub fn run(place: &str) -> Result<u8, Error> {
    let (addr, listeners) = listen(parse_listen(place)?, 1)?;
    let cannot = |error: io::Error| Error::run(format!("cannot start the runtime: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let page = Arc::new(Page::new()?);
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate()).map_err(cannot)?,
            signal(SignalKind::interrupt()).map_err(cannot)?,
        );
        eprintln!(
            "authtap echo on http://{addr}: any path, /status/N, /basic, /bearer, /digest. Secrets are masked. Ctrl-C to stop."
        );
        for listener in listeners {
            tokio::spawn(serve(listener, page.clone()));
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(error::FINE)
    })
}

async fn serve(listener: StdListener, page: Arc<Page>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("cannot serve: {error}"),
    };
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // It is never closed.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let Ok((stream, client)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let page = page.clone();
        tokio::spawn(async move {
            // A client that leaves early is no concern of ours.
            let _ = answer(stream, client, &page).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, client: SocketAddr, page: &Page) -> io::Result<()> {
    let Ok(request) = timeout(PATIENCE, read(&mut stream)).await else { return Ok(()) };
    let Some(request) = request? else { return Ok(()) };
    stream.write_all(&page.answer(&request, client)).await?;
    stream.shutdown().await?;
    // A connection that is closed while something comes in is reset, and the answer lost with it.
    let mut rest = [0; 4096];
    let _ = timeout(GOODBYE, async { while stream.read(&mut rest).await.is_ok_and(|got| got > 0) {} }).await;
    Ok(())
}

/// A request that came.
struct Arrived {
    head: RawHead,
    body_bytes: u64,
    trailers: Option<RawHead>,
    /// Why its body could not be followed, in words.
    lost: Option<&'static str>,
}

/// Reads one request; `None` where the client closes before its head is complete, or none begins here.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Arrived>> {
    let mut framer = Framer::of_requests(HEAD);
    let mut buffer = vec![0; 16 * 1024];
    let mut arrived: Option<Arrived> = None;
    loop {
        let got = stream.read(&mut buffer).await?;
        if got == 0 {
            return Ok(arrived.or_else(|| framer.take_unfinished().map(Arrived::new)));
        }
        let mut input = buffer.get(..got).unwrap_or_default();
        loop {
            match framer.next(&mut input, Answers::Nothing) {
                Step::More => break,
                Step::Head(head) => {
                    if head.lists("expect", "100-continue") {
                        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                    }
                    arrived = Some(Arrived::new(head));
                }
                Step::Body(part) => {
                    if let Some(arrived) = &mut arrived {
                        arrived.body_bytes += part.len() as u64;
                    }
                }
                Step::Trailers(trailers) => {
                    if let Some(arrived) = &mut arrived {
                        arrived.trailers = Some(trailers);
                    }
                }
                Step::Lost(why) => {
                    if let Some(arrived) = &mut arrived {
                        arrived.lost = Some(why.text());
                    }
                    return Ok(arrived);
                }
                Step::End | Step::Interim(_) | Step::Opaque(_) | Step::Undecided(_) => return Ok(arrived),
            }
        }
    }
}

impl Arrived {
    fn new(head: RawHead) -> Self {
        Arrived { head, body_bytes: 0, trailers: None, lost: None }
    }
}
