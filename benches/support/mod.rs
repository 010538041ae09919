//! What the benches share: an origin, a load of keep-alive connections, and the processor time of a program.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Keep-alive connections of the load.
pub(crate) const CONNECTIONS: usize = 64;

/// The length of the Bearer token in each request, in bytes.
pub(crate) const TOKEN: usize = 900;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

/// An origin on a thread of its own, that answers every request with a small 200. It ends with the program.
pub(crate) fn origin() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket that does not block");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_all(stream));
            }
        });
    });
    addr
}

async fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let got = stream.read(&mut buffer[filled..]).await?;
        if got == 0 {
            return Ok(());
        }
        filled += got;
        // The requests of the load have no bodies.
        let mut start = 0;
        while let Some(end) = memchr::memmem::find(&buffer[start..filled], b"\r\n\r\n") {
            start += end + 4;
            stream.write_all(ANSWER).await?;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

/// Sends so many requests to `addr` over [`CONNECTIONS`] connections, and gives how long that took.
pub(crate) fn load(addr: SocketAddr, requests: usize) -> Duration {
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let each = requests / CONNECTIONS;
        let tasks: Vec<_> = (0..CONNECTIONS).map(|number| tokio::spawn(ask(addr, number, each))).collect();
        for task in tasks {
            task.await.expect("a connection of the load").expect("an answer to each request");
        }
    });
    began.elapsed()
}

async fn ask(addr: SocketAddr, number: usize, requests: usize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let token: String = (0..TOKEN).map(|at| char::from(b'a' + ((at * 7 + number) % 26) as u8)).collect();
    let request = format!(
        "GET /v1/orders/{number} HTTP/1.1\r\nHost: api.example\r\nUser-Agent: load/1\r\nAccept: */*\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    let mut buffer = vec![0; 4096];
    for _ in 0..requests {
        stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        while !buffer[..filled].ends_with(b"Hello, world!") {
            let got = stream.read(&mut buffer[filled..]).await?;
            if got == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            filled += got;
        }
    }
    Ok(())
}

/// A running `authtap`, which ends with this.
pub(crate) struct Program {
    child: Child,
    /// The addresses of its taps, in their order.
    pub(crate) taps: Vec<SocketAddr>,
    /// Its own words are read, so that it never waits for a reader.
    _words: JoinHandle<()>,
}

impl Program {
    /// Starts it, with its record on and thrown away.
    pub(crate) fn start(options: &[&str], taps: &[String]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_authtap"))
            .args(["--log-format", "json", "--record", "/dev/null"])
            .args(options)
            .args(taps)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start authtap");
        let mut words = BufReader::new(child.stderr.take().expect("its words"));
        let mut addresses = Vec::new();
        while addresses.len() < taps.len() {
            let mut line = String::new();
            assert!(words.read_line(&mut line).expect("its words") > 0, "authtap ended before it listened");
            let url = line.split_once("->").and_then(|(before, _)| before.rsplit("http://").next().map(str::trim));
            addresses.extend(url.and_then(|addr| addr.parse::<SocketAddr>().ok()));
        }
        let rest = thread::spawn(move || drop(words.read_to_end(&mut Vec::new())));
        Program { child, taps: addresses, _words: rest }
    }

    /// The processor time that it has taken so far, its kernel's included.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(self.child.id())
    }
}

/// The processor time that a process has taken so far, its kernel's included.
pub(crate) fn cpu_of(process: u32) -> Duration {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("its statistics");
    let (_, fields) = stat.rsplit_once(')').expect("its name in parentheses");
    // utime and stime are the 14th and 15th fields; behind the name they are the 12th and 13th.
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nothing is asked of it any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
