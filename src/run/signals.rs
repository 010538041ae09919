//! What the program is told by signals.

use std::io::{self, IsTerminal};

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::FILE_TOO_LARGE;

/// The signals that it listens for.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// To open files anew.
    reload: Signal,
    /// Whether there was a terminal at the start.
    had_terminal: bool,
}

impl Signals {
    /// Listens for them from now on; until then the first one kills.
    pub(super) fn new() -> io::Result<Self> {
        // It would end the program where a file reaches its limit; listened for once, it is an error of the write.
        let _ = signal(SignalKind::from_raw(FILE_TOO_LARGE))?;
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
            had_terminal: io::stderr().is_terminal(),
        })
    }

    /// Waits for one, and gives it where it ends the program.
    pub(super) async fn next(&mut self) -> Option<Number> {
        tokio::select! {
            _ = self.terminate.recv() => Some(Number::TERM),
            _ = self.interrupt.recv() => Some(Number::INT),
            // The system sends it as well where the terminal is closed, and nobody is to forget a tap that goes on then.
            _ = self.reload.recv() => {
                (self.had_terminal && !io::stderr().is_terminal()).then_some(Number::HUP)
            }
        }
    }

    /// Waits for one that ends the program.
    pub(super) async fn end(&mut self) {
        while self.next().await.is_none() {}
    }
}
