//! What stops the program, with advice for who has to mend it, and the exit codes.

use std::fmt;

/// Nothing to complain about.
pub const FINE: u8 = 0;
/// The program could not run: a port in use, a file that is not there.
pub const COULD_NOT_RUN: u8 = 1;
/// The command line, the environment or the configuration file is wrong.
pub const USAGE: u8 = 2;
/// Findings at or above `--fail-on`.
pub const FINDINGS: u8 = 3;
/// The recording is incomplete: something was dropped or could not be read.
pub const INCOMPLETE: u8 = 4;

/// Why the program can't run: what was tried and on what, why it failed, and what to do about it.
#[derive(Debug)]
pub struct Error {
    what: String,
    advice: Option<String>,
    code: u8,
}

impl Error {
    /// Something on this machine is not as it has to be.
    pub fn run(what: impl Into<String>) -> Self {
        Error { what: what.into(), advice: None, code: COULD_NOT_RUN }
    }

    /// The program was asked for something that makes no sense.
    pub fn usage(what: impl Into<String>) -> Self {
        Error { what: what.into(), advice: None, code: USAGE }
    }

    /// Adds what to do.
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Says in front where the wrong value came from.
    pub fn from_source(mut self, source: &str) -> Self {
        self.what = format!("{source}: {}", self.what);
        self
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.advice {
            Some(advice) => write!(f, "\n  try: {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// What went wrong in the end: the first words of a client's error are never that.
pub fn last_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
