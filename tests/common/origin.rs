//! A backend that says what the test tells it to, and remembers every byte that it was sent.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::head::{Head, find};
use super::{DEADLINE, read_once};

/// Listens on a port of its own and runs a script for each connection.
///
/// When it goes out of scope it joins its scripts: a panic in one of them fails the test, and so does an origin to which
/// nobody spoke (see [`Origin::may_be_unused`]).
pub struct Origin {
    addr: SocketAddr,
    stopping: Arc<AtomicBool>,
    shared: Shared,
    acceptor: Option<JoinHandle<()>>,
    may_be_unused: bool,
}

type Shared = Arc<Mutex<Vec<Running>>>;

struct Running {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    received: Mutex<Vec<u8>>,
    /// Waiting for the next request, with nothing of it there: the script may be ended now.
    idle: AtomicBool,
    /// A second handle, to end a script that waits; gone when the script has ended, so that the socket closes then.
    stream: Mutex<Option<TcpStream>>,
}

impl Origin {
    /// Runs `script` for each connection, in a thread of its own.
    pub fn start(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let shared = Shared::default();
        let script = Arc::new(script);
        let acceptor = thread::spawn({
            let (stopping, shared) = (Arc::clone(&stopping), Arc::clone(&shared));
            move || {
                for stream in listener.incoming() {
                    if stopping.load(Ordering::SeqCst) {
                        break;
                    }
                    let stream = stream.unwrap();
                    stream.set_nodelay(true).unwrap();
                    stream.set_read_timeout(Some(DEADLINE)).unwrap();
                    stream.set_write_timeout(Some(DEADLINE)).unwrap();
                    let state = Arc::new(State {
                        received: Mutex::default(),
                        idle: AtomicBool::new(false),
                        stream: Mutex::new(Some(stream.try_clone().unwrap())),
                    });
                    let mut conn = Conn { stream, state: Arc::clone(&state), ahead: Vec::new() };
                    let script = Arc::clone(&script);
                    let thread = thread::spawn(move || script(&mut conn));
                    shared.lock().unwrap().push(Running { state, thread: Some(thread) });
                }
            }
        });
        Self { addr, stopping, shared, acceptor: Some(acceptor), may_be_unused: false }
    }

    /// Answers each request, body and all, with what `answer` makes of its head; connections stay open. It closes where it
    /// is asked for HTTP/2, as a server of HTTP/1 may.
    pub fn serve(answer: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |conn| {
            while let Some(head) = conn.read_head() {
                if head.start_line() == "PRI * HTTP/2.0" {
                    break;
                }
                conn.read_body(&head);
                let close = head.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                conn.write(&answer(&head));
                if close {
                    break;
                }
            }
        })
    }

    /// Answers every request with the same bytes.
    pub fn reply(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::serve(move |_| bytes.clone())
    }

    /// For tests that prove that nothing arrives.
    pub fn may_be_unused(mut self) -> Self {
        self.may_be_unused = true;
        self
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What has arrived until now, one entry a connection, in the order in which they were accepted.
    pub fn received(&self) -> Vec<Vec<u8>> {
        let running = self.shared.lock().unwrap();
        running.iter().map(|r| r.state.received.lock().unwrap().clone()).collect()
    }

    /// As [`Origin::received`], all of it as one text.
    pub fn received_text(&self) -> String {
        String::from_utf8_lossy(&self.received().concat()).into_owned()
    }

    /// Forgets the connections so far, so that what follows stands alone, such as after a control without the tap.
    /// Call it only when they have ended.
    pub fn forget(&self) {
        let done = std::mem::take(&mut *self.shared.lock().unwrap());
        join(done);
    }

    /// Ends the origin and gives what each connection brought.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        self.end();
        self.received()
    }

    fn end(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which looks at the flag.
        let _ = TcpStream::connect(self.addr);
        acceptor.join().unwrap();
        let mut running = self.shared.lock().unwrap();
        let called = running.iter().any(|r| !r.state.received.lock().unwrap().is_empty());
        let ended = running
            .iter_mut()
            .map(|r| Running { state: Arc::clone(&r.state), thread: r.thread.take() })
            .collect::<Vec<_>>();
        drop(running);
        join(ended);
        assert!(called || self.may_be_unused, "nobody spoke to the scripted origin {}", self.addr);
    }
}

/// Lets scripts come to their end, ends those that only wait for another request, and hands on their panics.
fn join(running: Vec<Running>) {
    let patience = Instant::now() + Duration::from_secs(5);
    for Running { state, thread } in running {
        let Some(thread) = thread else { continue };
        while !thread.is_finished() {
            if (state.idle.load(Ordering::SeqCst) || Instant::now() > patience)
                && let Some(stream) = &*state.stream.lock().unwrap()
            {
                let _ = stream.shutdown(Shutdown::Both);
            }
            thread::sleep(Duration::from_millis(1));
        }
        if let Err(panic) = thread.join()
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if thread::panicking() {
            // The test has failed already; its own message is the one to read.
            self.may_be_unused = true;
        }
        self.end();
    }
}

/// A script's side of a connection. Reading and writing give up after [`DEADLINE`]. The connection closes when the
/// script returns or panics, so that no peer waits for what will not come.
pub struct Conn {
    stream: TcpStream,
    state: Arc<State>,
    /// Read, but not asked for yet.
    ahead: Vec<u8>,
}

impl Conn {
    /// The next head, or nothing if the peer closes instead. Half a head is a failure.
    pub fn read_head(&mut self) -> Option<Head> {
        loop {
            if let Some(head) = Head::take(&mut self.ahead) {
                return Some(head);
            }
            self.state.idle.store(self.ahead.is_empty(), Ordering::SeqCst);
            let more = self.fill();
            self.state.idle.store(false, Ordering::SeqCst);
            if !more {
                let cut = String::from_utf8_lossy(&self.ahead);
                assert!(cut.is_empty(), "the connection ended within a head: {cut:?}");
                return None;
            }
        }
    }

    /// The body that belongs to `head`: by length, in chunks (taken apart), or none.
    pub fn read_body(&mut self, head: &Head) -> Vec<u8> {
        if let Some(length) = head.content_length() {
            return self.read_exact(length.try_into().unwrap());
        }
        let mut body = Vec::new();
        if head.is_chunked() {
            loop {
                let line = self.read_line();
                let size = usize::from_str_radix(line.split(';').next().unwrap().trim(), 16).unwrap();
                if size == 0 {
                    while !self.read_line().is_empty() {}
                    break;
                }
                body.extend(self.read_exact(size));
                self.read_exact(2);
            }
        }
        body
    }

    /// Hands on `length` bytes as they come, without keeping them: for bodies that are too large to remember.
    pub fn stream_body(&mut self, length: u64, mut sink: impl FnMut(&[u8])) {
        let ready = self.ahead.len().min(length.try_into().unwrap_or(usize::MAX));
        let first = self.ahead.drain(..ready).collect::<Vec<_>>();
        sink(&first);
        let mut left = length - first.len() as u64;
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let want = buffer.len().min(left.try_into().unwrap_or(usize::MAX));
            let got = read_once(&mut self.stream, &mut buffer[..want]).unwrap();
            assert!(got > 0, "the body ended {left} bytes early");
            sink(&buffer[..got]);
            left -= got as u64;
        }
    }

    pub fn read_exact(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            assert!(self.fill(), "the peer closed with {} of {length} bytes sent", self.ahead.len());
        }
        self.ahead.drain(..length).collect()
    }

    /// All that comes until the peer closes or resets.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.ahead)
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// As [`Conn::write`], for a peer that may have left already.
    pub fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will come, and goes on listening.
    pub fn close_write(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Makes the end of the script a reset instead of an orderly close.
    pub fn reset_at_end(&mut self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn read_line(&mut self) -> String {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n") {
                let line = self.read_exact(end + 2);
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.fill(), "the connection ended within a line");
        }
    }

    /// Reads once; false at the end.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match read_once(&mut self.stream, &mut buffer) {
            Ok(0) => false,
            Ok(got) => {
                self.state.received.lock().unwrap().extend_from_slice(&buffer[..got]);
                self.ahead.extend_from_slice(&buffer[..got]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            Err(error) => panic!("the origin waited for bytes: {error}"),
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.state.stream.lock().unwrap().take();
    }
}
