//! The command that runs while the taps listen: `authtap TAP... -- COMMAND`.
//!
//! Its standard streams are the program's own. It learns the taps' URLs from its environment and from its arguments.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::cli::URL_VARIABLE;
use crate::error::{self, Error};

/// What an argument begins with in the place of the first tap's URL.
const PLACE: &[u8] = b"{}";

/// A command that was started.
pub struct Command {
    child: Child,
}

impl Command {
    /// Starts it. `taps` are the names of the taps with their URLs.
    ///
    /// # Errors
    /// What the operating system says when there is no such command, or it can't be started.
    pub fn start(words: &[OsString], taps: &[(String, String)]) -> Result<Self, Error> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(
                Error::usage("there is no command behind --").advice("authtap https://api.example.com -- curl {}")
            );
        };
        let first = taps.first().map(|(_, url)| url.as_str()).unwrap_or_default();
        let mut command = tokio::process::Command::new(program);
        command.args(arguments.iter().map(|argument| filled(argument, first))).env(URL_VARIABLE, first);
        command.envs(taps.iter().map(|(name, url)| (variable_of(name), url)));
        let child = command.spawn().map_err(|error| {
            Error::run(format!("cannot start the command {}: {error}", program.display()))
                .advice("check its name, and whether it may be executed")
        })?;
        Ok(Command { child })
    }

    /// Waits for its end, and gives its exit code as a shell would.
    pub async fn end(&mut self) -> u8 {
        match self.child.wait().await {
            Ok(status) => code_of(status),
            Err(error) => {
                tracing::error!("the command's end can't be waited for: {error}");
                error::COULD_NOT_RUN
            }
        }
    }

    /// Passes a signal on. One that was typed at a terminal has come to the command already.
    pub fn pass_on(&self, signal: Signal) {
        if signal == Signal::INT && io::stdin().is_terminal() {
            return;
        }
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // It may have ended just now, which is what its end will tell.
            let _ = kill_process(id, signal);
        }
    }
}

fn code_of(status: ExitStatus) -> u8 {
    let by_signal = || status.signal().map(|signal| signal + 128);
    status.code().or_else(by_signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// The argument, with the URL where it begins with `{}`.
fn filled(argument: &OsStr, url: &str) -> OsString {
    match argument.as_bytes().strip_prefix(PLACE) {
        Some(rest) => OsString::from_vec([url.as_bytes(), rest].concat()),
        None => argument.to_owned(),
    }
}

/// The variable for a tap of that name: `AUTHTAP_URL_EDGE` for `edge`.
fn variable_of(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
    format!("{URL_VARIABLE}_{}", name.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_begins_with_the_place() {
        let filled = |argument: &str| filled(OsStr::new(argument), "http://a").into_string().unwrap();
        assert_eq!(filled("{}"), "http://a");
        assert_eq!(filled("{}/v1?a={}"), "http://a/v1?a={}");
        for other in ["", "{", "{\"a\":{}}", "--url={}"] {
            assert_eq!(filled(other), other);
        }
    }

    #[test]
    fn variables_have_names_that_shells_take() {
        assert_eq!(variable_of("edge-1.eu"), "AUTHTAP_URL_EDGE_1_EU");
    }
}
