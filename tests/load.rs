//! Many clients at once: those that say nothing hold next to no memory, those that say something are served, and nobody
//! waits for the slow ones.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, DEADLINE, Tap, head, wait_for};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What is aimed at; a machine that allows fewer descriptors gets fewer.
const IDLE: usize = 10_000;
const ACTIVE: usize = 2_000;
const SLOW: usize = 1_000;

/// What an output keeps for a reader that does not read, in bytes.
const WAITING: usize = 8 << 20;

/// What an idle connection may cost, which includes that it served a request.
const IDLE_BYTES: u64 = 8 * 1024;

/// How long a client beside all of them may wait.
const PROMPT: Duration = Duration::from_secs(3);

/// The descriptors of this process are enough for one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enough descriptors for all clients and as many at the origin, with some for files.
const DESCRIPTORS: u64 = 2 * (IDLE + ACTIVE) as u64 + 1_000;

/// Raises the limit of this process to what it may have, and gives it. The tap inherits it, and does the same for itself.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Who is root may have more than was meant for it.
    let enough = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    if limit.maximum.is_some_and(|most| most < DESCRIPTORS) && setrlimit(Resource::Nofile, enough).is_ok() {
        return DESCRIPTORS as usize;
    }
    let most = limit.maximum.unwrap_or(1 << 20);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).unwrap();
    usize::try_from(most).unwrap()
}

/// As many as there is room for, and a word where those are fewer.
fn as_many_as_fit(what: &str, wanted: usize, for_each: usize) -> usize {
    // Both processes have files of their own.
    let fit = descriptors().saturating_sub(500) / for_each;
    if fit < wanted {
        eprintln!("{what}: {fit} connections instead of {wanted}, since a process may have no more descriptors");
    }
    let number = wanted.min(fit);
    assert!(number >= 200, "the limit of open files is too low for this test: raise it with ulimit -n");
    number
}

/// A server that answers whoever asks, all in one thread. It ends with the test's process.
fn origin() -> SocketAddr {
    let (tell, told) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            // All of the tap's clients may begin at the same time.
            let listener = socket.listen(4096).unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer_all(stream));
            }
        });
    });
    told.recv().unwrap()
}

async fn answer_all(mut stream: tokio::net::TcpStream) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let answer = head::answer("200 OK", &[], "served");
    let mut buffer = [0; 4096];
    let mut end = 0;
    while let Ok(size @ 1..) = stream.read(&mut buffer).await {
        for byte in &buffer[..size] {
            end = if *byte == b"\r\n\r\n"[end] { end + 1 } else { usize::from(*byte == b'\r') };
            if end == 4 {
                end = 0;
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn open(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Every client asks before the first one reads.
fn ask_all(clients: &mut [TcpStream]) {
    for client in &mut *clients {
        client.write_all(GET.as_bytes()).unwrap();
    }
    for client in clients {
        let mut answer = vec![0; head::answer("200 OK", &[], "served").len()];
        client.read_exact(&mut answer).unwrap();
        assert!(answer.ends_with(b"served"), "{}", answer.escape_ascii());
    }
}

/// What the tap holds, in bytes.
fn memory(tap: &Tap) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", tap.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// A new client is served before anybody's patience ends. Gives how long it took.
#[track_caller]
fn assert_prompt(addr: SocketAddr, beside: &str) {
    let start = Instant::now();
    assert_eq!(Client::connect(addr).send(GET).read_response().1, b"served");
    let took = start.elapsed();
    assert!(took < PROMPT, "a client beside {beside} was served after {took:?}");
}

#[test]
fn thousands_of_idle_clients_cost_little_and_hold_nobody_up() {
    let _alone = alone();
    // Each has a connection of its own to the upstream, and both ends but the tap's are in this process.
    let all = as_many_as_fit("idle and active clients", IDLE + ACTIVE, 2);
    let active = ACTIVE.min(all / 5);
    let tap = Tap::start(&format!("http://{}", origin()));
    // What the program needs once is there before it is measured.
    let mut active: Vec<TcpStream> = (0..active).map(|_| open(tap.addr())).collect();
    ask_all(&mut active);
    let before = memory(&tap);
    let mut idle = Vec::new();
    while idle.len() < all - active.len() {
        let mut some: Vec<TcpStream> =
            (0..active.len().min(all - active.len() - idle.len())).map(|_| open(tap.addr())).collect();
        ask_all(&mut some);
        idle.append(&mut some);
    }
    let each = memory(&tap).saturating_sub(before) / idle.len() as u64;
    eprintln!("{} idle and {} active clients, {each} bytes for an idle one", idle.len(), active.len());
    assert!(each < IDLE_BYTES, "an idle connection costs {each} bytes");
    for _ in 0..3 {
        ask_all(&mut active);
        assert_prompt(tap.addr(), "idle and active ones");
    }
    // They were forgotten by nobody.
    ask_all(&mut idle);
}

#[test]
fn slow_clients_hold_up_no_fast_ones() {
    let _alone = alone();
    let number = as_many_as_fit("slow clients", SLOW, 2);
    let tap = Tap::start(&format!("http://{}", origin()));
    let mut slow: Vec<TcpStream> = (0..number).map(|_| open(tap.addr())).collect();
    // One byte of each at a time, and somebody fast after each round.
    for byte in GET.as_bytes() {
        for client in &mut slow {
            client.write_all(&[*byte]).unwrap();
        }
        assert_prompt(tap.addr(), "slow ones");
    }
    for client in &mut slow {
        let mut answer = vec![0; head::answer("200 OK", &[], "served").len()];
        client.read_exact(&mut answer).unwrap();
        assert!(answer.ends_with(b"served"));
    }
}

#[test]
fn what_a_log_reader_that_stops_reading_misses_is_counted() {
    const BATCH: usize = 64;
    let _alone = alone();
    let upstream = format!("127.0.0.1:0=http://{}", origin());
    let mut command = common::tap::command();
    command.args(["--log-format", "json", &upstream]);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut tap = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let mut complaints = BufReader::new(tap.stderr.take().unwrap());
    let mut banner = String::new();
    complaints.read_line(&mut banner).unwrap();
    let addr = banner.split_once("http://").unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
    // A long target makes long lines, so that what may wait is full soon.
    let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "word/".repeat(600));
    let answer = head::answer("200 OK", &[], "served");
    let mut client = open(addr);
    let mut asked = 0;
    // Twice what waits for a reader, and the pipe besides.
    while asked * request.len() < 2 * WAITING {
        client.write_all(request.repeat(BATCH).as_bytes()).unwrap();
        let mut answers = vec![0; answer.len() * BATCH];
        client.read_exact(&mut answers).unwrap();
        asked += BATCH;
    }
    assert_prompt(addr, "a log that nobody reads");
    asked += 1;
    drop(client);
    // The reader is back, and gets what waited.
    let reading = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    Command::new("sh").args(["-c", &format!("kill -TERM {}", tap.id())]).status().unwrap();
    let status = wait_for("the end of the tap", DEADLINE, || tap.try_wait().unwrap());
    let mut words = String::new();
    complaints.read_to_string(&mut words).unwrap();
    let text = reading.join().unwrap().unwrap();
    let told = text.lines().filter(|line| line.starts_with('{')).count();
    let lost = words.split_once("! ").and_then(|(_, rest)| rest.split_once(" lines of the log could not be written"));
    let lost: usize = lost.unwrap_or_else(|| panic!("no loss is told: {words}")).0.parse().unwrap();
    assert_eq!((told + lost, status.code()), (asked, Some(4)), "{told} lines came and {lost} were lost: {words}");
}
