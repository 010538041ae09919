//! The origin behind every subject, and the byte splice: both in processes of their own, started from this program's file.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

/// The size of a large body, in bytes.
pub(crate) const LARGE: usize = 1 << 20;

const SMALL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";
const REFUSED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"orders\"\r\n\
    Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

/// Made once: a connection that first had to make its own would be a slow one.
static LARGE_ANSWER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {LARGE}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + LARGE, b'x');
    answer
});

/// Runs what `role` names on a free port, which it prints, until the process is ended.
pub(crate) fn run(role: &str, to: Option<SocketAddr>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpSocket::new_v4().expect("a socket");
        listener.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let listener = listener.listen(8192).expect("a listener");
        println!("{}", listener.local_addr().expect("an address"));
        loop {
            match listener.accept().await {
                Ok((client, _)) => drop(match (role, to) {
                    ("splice", Some(to)) => tokio::spawn(splice(client, to)),
                    _ => tokio::spawn(answer_all(client)),
                }),
                // Out of descriptors, for example.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    });
}

/// Bytes across, without a look at them.
async fn splice(mut client: TcpStream, to: SocketAddr) -> std::io::Result<()> {
    // Like the tap: no connection for a client that says nothing.
    client.readable().await?;
    let mut origin = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    origin.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut origin).await.map(drop)
}

async fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    let (mut filled, mut body) = (0, 0);
    loop {
        let got = stream.read(&mut buffer[filled..]).await?;
        if got == 0 {
            return Ok(());
        }
        filled += got;
        let mut start = 0;
        while start < filled {
            if body > 0 {
                let here = body.min(filled - start);
                (start, body) = (start + here, body - here);
                if body == 0 {
                    stream.write_all(&LARGE_ANSWER).await?;
                }
                continue;
            }
            let Some(end) = memchr::memmem::find(&buffer[start..filled], b"\r\n\r\n") else { break };
            let head = &buffer[start..start + end];
            let is = |path: &[u8]| memchr::memmem::find(head, path).is_some_and(|at| at < 8);
            let (answer, expected) = match () {
                () if is(b" /large") => (&[][..], LARGE),
                () if is(b" /refused") => (REFUSED, 0),
                () => (SMALL, 0),
            };
            body = expected;
            stream.write_all(answer).await?;
            start += end + 4;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}
