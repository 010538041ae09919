//! What clients do: requests over connections that are kept, each over a new one, or so many in a second.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::http;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::origin::LARGE;

/// Connections that are kept.
pub(crate) const CONNECTIONS: usize = 64;
/// Of HTTP/2, with so many requests at once on each.
const HTTP2_CONNECTIONS: usize = 8;
const STREAMS: usize = CONNECTIONS / HTTP2_CONNECTIONS;
/// The length of the Bearer token in each request, in bytes.
const TOKEN: usize = 900;
/// Nothing takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How late a timer may be.
const TIMER: Duration = Duration::from_millis(3);

/// How a client reaches a subject.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) addr: SocketAddr,
    /// For a client that speaks TLS; with HTTP/2 if the configuration offers it.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

impl Door {
    async fn open(&self) -> io::Result<Box<dyn Wire>> {
        let tcp = TcpStream::connect(self.addr).await?;
        tcp.set_nodelay(true)?;
        let Some(config) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(config.clone()).connect(name, tcp).await?))
    }
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Small,
    Refused,
    /// A body of 1 MiB, which is answered with another one.
    Large,
}

impl Ask {
    fn path(self) -> &'static str {
        match self {
            Ask::Small => "/ok/v1/orders/7",
            Ask::Refused => "/refused/v1/orders/7",
            Ask::Large => "/large/v1/orders/7",
        }
    }

    fn request(self, number: usize) -> Vec<u8> {
        let (path, token) = (self.path(), token(number));
        let (method, length) = match self {
            Ask::Large => ("POST", format!("Content-Length: {LARGE}\r\n")),
            Ask::Small | Ask::Refused => ("GET", String::new()),
        };
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: load/1\r\nAccept: */*\r\n{length}\
             Authorization: Bearer {token}\r\n\r\n"
        )
        .into_bytes();
        if self == Ask::Large {
            request.resize(request.len() + LARGE, b'x');
        }
        request
    }
}

fn token(number: usize) -> String {
    (0..TOKEN).map(|at| char::from(b'a' + ((at * 7 + number) % 26) as u8)).collect()
}

/// Runs a load on a runtime of its own, and gives how long it took.
pub(crate) fn run<T>(load: impl Future<Output = io::Result<T>>) -> (T, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let began = Instant::now();
    let result = runtime.block_on(async { tokio::time::timeout(PATIENCE, load).await });
    (result.expect("an end in time").expect("an answer to each request"), began.elapsed())
}

/// So many requests over kept connections.
pub(crate) async fn kept(door: Door, ask: Ask, requests: usize) -> io::Result<()> {
    let each = requests.div_ceil(CONNECTIONS);
    let connection = |number: usize| {
        let door = door.clone();
        tokio::spawn(async move {
            let mut wire = door.open().await?;
            let request = ask.request(number);
            let mut buffer = vec![0; 64 * 1024];
            for _ in 0..each {
                exchange(&mut wire, &request, &mut buffer).await?;
            }
            io::Result::Ok(())
        })
    };
    all((0..CONNECTIONS).map(connection).collect()).await
}

/// So many requests, each over a connection of its own.
pub(crate) async fn anew(door: Door, requests: usize) -> io::Result<()> {
    let each = requests.div_ceil(CONNECTIONS);
    let client = |number: usize| {
        let door = door.clone();
        tokio::spawn(async move {
            let request = Ask::Small.request(number);
            let mut buffer = vec![0; 64 * 1024];
            for _ in 0..each {
                let mut wire = door.open().await?;
                exchange(&mut wire, &request, &mut buffer).await?;
            }
            io::Result::Ok(())
        })
    };
    all((0..CONNECTIONS).map(client).collect()).await
}

/// So many requests over HTTP/2.
pub(crate) async fn http2(door: Door, requests: usize) -> io::Result<()> {
    let each = requests.div_ceil(CONNECTIONS);
    let mut streams = Vec::new();
    for _ in 0..HTTP2_CONNECTIONS {
        let wire = door.open().await?;
        let (sender, connection) = h2::client::handshake(wire).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        for number in 0..STREAMS {
            let mut sender = sender.clone();
            streams.push(tokio::spawn(async move {
                let authorization = format!("Bearer {}", token(number));
                for _ in 0..each {
                    sender = sender.ready().await.map_err(io::Error::other)?;
                    let request = http::Request::get(format!("https://localhost{}", Ask::Small.path()))
                        .header("user-agent", "load/1")
                        .header("accept", "*/*")
                        .header("authorization", &authorization)
                        .body(())
                        .map_err(io::Error::other)?;
                    let (answer, _) = sender.send_request(request, true).map_err(io::Error::other)?;
                    let mut body = answer.await.map_err(io::Error::other)?.into_body();
                    while let Some(piece) = body.data().await {
                        let length =
                            piece.as_ref().map(Bytes::len).map_err(|error| io::Error::other(error.to_string()))?;
                        // A connection that is over needs no more room.
                        let _ = body.flow_control().release_capacity(length);
                    }
                }
                io::Result::Ok(())
            }));
        }
    }
    all(streams).await
}

/// So many requests, so many in each second whatever the answers take. Gives how long each answer took from the moment at
/// which its request was due.
pub(crate) async fn steady(door: Door, each_second: u32, requests: usize) -> io::Result<Vec<Duration>> {
    let each = requests.div_ceil(CONNECTIONS);
    let gap = Duration::from_secs(1) * CONNECTIONS as u32 / each_second;
    let began = Instant::now() + Duration::from_millis(50);
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let mut wire = door.open().await?;
        let first = began + gap * number as u32 / CONNECTIONS as u32;
        connections.push(tokio::spawn(async move {
            let request = Ask::Small.request(number);
            let mut buffer = vec![0; 64 * 1024];
            let mut took = Vec::with_capacity(each);
            for turn in 0..each {
                let due = first + gap * turn as u32;
                tokio::time::sleep_until(due.into()).await;
                // Timers are good for a millisecond, which is more than what is measured here. What is later was held up.
                let now = Instant::now();
                let began = if now.saturating_duration_since(due) > TIMER { due } else { now };
                exchange(&mut wire, &request, &mut buffer).await?;
                took.push(began.elapsed());
            }
            io::Result::Ok(took)
        }));
    }
    let mut all = Vec::new();
    for connection in connections {
        all.append(&mut connection.await.map_err(io::Error::other)??);
    }
    Ok(all)
}

/// Opens so many connections, has each serve one request, and holds them while `measure` looks.
pub(crate) async fn idle<T>(door: Door, connections: usize, measure: impl FnOnce() -> T) -> io::Result<T> {
    let request = Ask::Small.request(0);
    let mut buffer = vec![0; 64 * 1024];
    let mut held = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut wire = door.open().await?;
        exchange(&mut wire, &request, &mut buffer).await?;
        held.push(wire);
    }
    // What was kept for the moment is given back.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(measure())
}

async fn exchange(wire: &mut impl Wire, request: &[u8], buffer: &mut [u8]) -> io::Result<()> {
    let (mut reading, mut writing) = tokio::io::split(wire);
    let sending = async {
        writing.write_all(request).await?;
        writing.flush().await
    };
    let (sent, read) = tokio::join!(sending, answer(&mut reading, buffer));
    sent.and(read)
}

async fn answer(wire: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    let head = loop {
        let got = wire.read(&mut buffer[filled..]).await?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += got;
        if let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let length = text.split_once("content-length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let length: usize = length.ok_or_else(|| io::Error::other(format!("no length in {text}")))?;
    let mut rest = length - (filled - head);
    while rest > 0 {
        let most = rest.min(buffer.len());
        let got = wire.read(&mut buffer[..most]).await?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        rest -= got;
    }
    Ok(())
}

async fn all(tasks: Vec<tokio::task::JoinHandle<io::Result<()>>>) -> io::Result<()> {
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(())
}
