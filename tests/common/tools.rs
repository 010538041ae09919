//! Programs that are clients: run to their end, with nothing from the settings of whoever runs the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::DEADLINE;
use super::process::Process;

/// How a program ended.
#[derive(Debug)]
pub struct Ran {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn assert_fine(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn assert_failed(&self) -> &Self {
        assert!(self.code.is_some_and(|code| code != 0), "{self:#?}");
        self
    }
}

/// A program of the Python environment that belongs to the tests: `python`, `npm`.
pub fn tool(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin").join(name);
    assert!(file.is_file(), "{} is not there; get it with: bash tests/install.sh", file.display());
    file
}

/// A command whose home is `home`, and which knows of no proxy and no other setting.
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    let tools = program.parent().unwrap().display();
    let path = std::env::var("PATH").unwrap_or_default();
    command.env_clear().env("PATH", format!("{tools}:{path}")).env("HOME", home).env("LC_ALL", "C.UTF-8");
    command.current_dir(home);
    command
}

/// Runs it to its end.
pub fn run(command: Command) -> Ran {
    let mut process = start(command);
    let status = process.wait(2 * DEADLINE);
    Ran { code: status.code(), stdout: process.stdout.whole(DEADLINE), stderr: process.stderr.whole(DEADLINE) }
}

pub fn start(command: Command) -> Process {
    let shown = format!("{command:?}");
    Process::spawn(command).unwrap_or_else(|error| panic!("start {shown}: {error}"))
}
