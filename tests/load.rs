//! Many clients at once: those that say nothing hold next to no memory, those that say something are served, and nobody
//! waits for the slow ones.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, DEADLINE, Origin, Tap, head, wait_for};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What is aimed at; a machine that allows fewer descriptors gets fewer.
const IDLE: usize = 10_000;
const ACTIVE: usize = 2_000;

/// What an idle connection may cost, which includes that it served a request.
const IDLE_BYTES: u64 = 8 * 1024;

/// How long a client beside all of them may wait.
const PROMPT: Duration = Duration::from_secs(1);

/// Raises the limit of this process to what it may have, and gives it. The tap does the same for itself.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
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
