//! What the program asks of the system for itself, before it sees the first secret.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of the signal that a process gets which writes beyond its limit for files. Whoever listens for it gets an error
/// from the write instead.
pub const FILE_TOO_LARGE: i32 = rustix::process::Signal::XFSZ.as_raw();

/// The flag with which a symbolic link is not opened.
pub const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// Keeps what is in memory out of core files, and other processes of the same user from reading it.
///
/// # Errors
/// What the operating system says when it does not allow that.
pub fn forbid_core() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A program that takes core files over a pipe gets them whatever their limit is.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Takes as many descriptors as the system lets it have. Gives their number; `None` where there is no limit.
pub fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // Where it can't be raised it stays, and what it is decides how many clients are served.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current
}

/// How far a thread steps back: enough that one with work for a client goes first, and not so far that it stands still on a
/// busy machine.
#[cfg(target_os = "linux")]
const STEP_BACK: i32 = 5;

/// Lets the other threads go first where there is not enough time for all: on Linux a priority is that of one thread.
pub fn step_back() {
    // Where the system does not allow it, the threads are equal.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, STEP_BACK);
}
