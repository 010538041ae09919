//! What the integration tests share: the built program on a port of its own, scripted peers, real servers, curl.
//!
//! Everything here waits for an event with a deadline and never sleeps in the hope that something has happened by
//! then; every port is chosen by the system.

// Each test file is a crate of its own that includes this module whole and uses a part of it.
#![allow(dead_code, unreachable_pub, unused_imports)]
// A helper that fails is a test that fails, with the line to look at.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod browser;
pub mod canaries;
pub mod client;
pub mod curl;
pub mod frames;
pub mod gateway;
pub mod head;
pub mod inspector;
pub mod island;
pub mod messages;
pub mod ntlm;
pub mod origin;
pub mod path;
pub mod process;
pub mod record;
pub mod servers;
pub mod tap;
pub mod tools;

use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use client::Client;
pub use curl::{CurlResult, curl};
pub use head::Head;
pub use origin::{Conn, Origin};
pub use path::{Path, Way};
pub use servers::{Apache, Caddy, Envoy, Haproxy, Nginx, Server};
pub use tap::Tap;

/// How long anything may take before the test gives up. Far more than is needed, since a loaded machine is no failure.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer, or fails with `what` was awaited.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, ask: impl FnMut() -> Option<T>) -> T {
    wait_for_or_none(limit, ask).unwrap_or_else(|| panic!("waited {limit:?} in vain for {what}"))
}

/// The same, for who knows better what to say when there is none.
pub fn wait_for_or_none<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() >= limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Reads once. A read with a time limit is not taken up again by the system behind a signal or a stop (signal(7)); that is
/// nothing of the stream's, so it is done again here.
pub fn read_once(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| from.read(buffer))
}

/// The same for whatever else waits with a time limit.
pub fn uninterrupted<T>(mut wait: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match wait() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The path of a file in `certs/`.
pub fn cert(file: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("certs").join(file).to_str().unwrap().to_owned()
}
