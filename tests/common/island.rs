//! A network of its own, in which any port is free and any name leads to this machine: for configurations and commands that
//! name ports and hosts as a user would.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::DEADLINE;
use super::process::Process;
use super::servers::{is_root, program};

/// The network, as long as this is there. Programs are started in it by [`Island::command`].
pub struct Island {
    holder: Process,
    home: TempDir,
}

impl Island {
    /// A network with loopback alone, in which these names mean 127.0.0.1.
    pub fn new(hosts: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let names = home.path().join("hosts");
        fs::write(&names, format!("127.0.0.1 localhost {}\n::1 localhost\n", hosts.join(" "))).unwrap();
        let mut command = Command::new(program("unshare"));
        command.args(flags("-r")).args(["--net", "--mount", "sh", "-c"]);
        command.arg("mount --bind \"$0\" /etc/hosts && \"$1\" link set lo up && echo ready && exec sleep 600");
        command.arg(&names).arg(program("ip"));
        let mut holder = Process::spawn(command).unwrap();
        let is_ready = holder.stdout.wait_until(DEADLINE, |text| text.contains("ready").then_some(()));
        if is_ready.is_none() {
            holder.end();
            panic!("no network of its own can be made: {}; run the tests as root", holder.stderr.text());
        }
        Self { holder, home }
    }

    /// A folder of its own.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A command that runs within it, in its folder, with the program under test in its path and nothing else from the
    /// settings of whoever runs the tests.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program("nsenter"));
        command.args(["-t", &self.holder.id().to_string(), "--net", "--mount"]);
        command.args(flags("--user")).args(flags("--preserve-credentials"));
        // Whoever enters other mounts stands at their root.
        command.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(self.home()).arg(name);
        let own = Path::new(env!("CARGO_BIN_EXE_authtap")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let envoy = concat!(env!("CARGO_MANIFEST_DIR"), "/target/envoy");
        // The one that was installed for the tests goes before any other.
        let kubectl = concat!(env!("CARGO_MANIFEST_DIR"), "/target/kubectl");
        let path = format!("{}:{kubectl}:{path}:/usr/local/sbin:/usr/sbin:/sbin:{envoy}", own.display());
        command.env_clear().env("PATH", path).env("HOME", self.home()).env("LC_ALL", "C.UTF-8");
        command
    }

    /// Starts it.
    pub fn start(&self, command: Command) -> Process {
        let shown = format!("{command:?}");
        Process::spawn(command).unwrap_or_else(|error| panic!("start {shown}: {error}"))
    }
}

/// What is needed by whoever is not root.
fn flags(flag: &str) -> Vec<&str> {
    if is_root() { Vec::new() } else { vec![flag] }
}
